"""A run that was cut is not recorded as a whole one."""

import os
import signal

import pytest

from course_utils import runtime
from course_utils.datasets.images import load_images
from course_utils.models import gan_steady
from course_utils.training.recipes.dcgan import train_dcgan
from measuring.whole_runs import whole

SETTINGS = {"latent_dim": 8, "width": 4, "steps": 3, "batch_size": 8}


def test_a_cut_run_ends_the_program_and_the_same_command_goes_on(tmp_path, monkeypatch):
    run, images = runtime.setup(0), load_images("standin", limit=32)

    def press_ctrl_c(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(gan_steady.AveragedModel, "update_parameters", press_ctrl_c)
        with pytest.raises(SystemExit, match="the same command goes on"):
            whole(train_dcgan(run, images, tmp_path, SETTINGS))
    training, _ = whole(train_dcgan(run, images, tmp_path, SETTINGS))
    assert training.finished


def test_a_run_that_says_it_was_cut_is_refused(tmp_path):
    run, images = runtime.setup(0), load_images("standin", limit=32)
    training, means = train_dcgan(run, images, tmp_path, SETTINGS)
    training.step = 2
    with pytest.raises(SystemExit, match="at step 2 of 3; the same command goes on"):
        whole((training, means))
