"""The Inception FID as far as a machine without Inception's weights can show it."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from course_utils.errors import CourseError
from course_utils.evaluation.inception import _Pictures, inception_fid

PICTURES = torch.arange(2 * 3 * 4 * 4, dtype=torch.uint8).view(2, 3, 4, 4)


def test_a_missing_library_is_named_with_a_fix_that_can_be_pasted(monkeypatch):
    monkeypatch.setitem(
        sys.modules, "torch_fidelity", None
    )  # what an import of a missing library looks like
    with pytest.raises(CourseError) as caught:
        inception_fid(PICTURES, SimpleNamespace(images=PICTURES, name="x", split="train"))
    assert caught.value.code == "inception-not-installed"
    command = caught.value.fix.split()
    assert command[:4] == ["python", "-m", "pip", "install"]
    told = subprocess.run(
        [sys.executable, *command[1:4], "--help"], capture_output=True, text=True, check=True
    )
    assert "pip install" in told.stdout


def test_the_library_gets_bytes_one_picture_at_a_time():
    pictures = _Pictures(PICTURES)
    assert (
        len(pictures) == 2
        and pictures[1].dtype == torch.uint8
        and torch.equal(pictures[1], PICTURES[1])
    )
