"""Lesson 06: what its checks promise beyond right and wrong answers (`test_every_exercise.py`)."""

import pytest
import torch
from answers.metrics import bootstrap

from course_utils.checks import metrics


@pytest.mark.parametrize("seed", range(20))
def test_a_right_bootstrap_passes_whatever_it_draws(seed):
    def answer(values, statistic, repeats, generator):
        torch.rand(seed, generator=generator)  # other random numbers than those of the other seeds
        return bootstrap(values, statistic, repeats, generator)

    assert metrics.bootstrap_interval(answer) is answer
