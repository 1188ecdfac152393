"""Exercise `train_epoch`: an epoch that does not stop late: at its last batch, at its first note, at a second run."""

import math
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.checks.clinic.game import case
from course_utils.checks.core import Answer, call, expect_number, require


def _epoch_by_chunks(images: Tensor, batch_size: int, log_every: int, folder: Path) -> int:
    """Labels made from the answers, the note's folder made before it is written."""
    judge = nn.Linear(images[0].numel(), 1)
    for step, batch in enumerate(images.flatten(1).split(batch_size), start=1):
        loss = F.softplus(-judge(batch)).mean()
        if step % log_every == 0:
            place = Path(folder) / "notes"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{step}.txt").write_text(f"{loss.item():.3f}")
    return step


_SAYS = {
    "input size (torch.Size([]))": "`squeeze()` takes the batch away too where its size is 1: name the dimension, "
    "`squeeze(1)`.",
    "size": "The labels have the nominal size of a batch; the last one may be smaller. Take the size from the batch.",
    "NameError": "A name that only the note uses: no run shorter than `log_every` steps would ever meet it.",
    "FileNotFoundError": "The note's folder is not there. `mkdir(parents=True)` makes it, with all above it.",
    "FileExistsError": "A second run finds the folder: `exist_ok=True`.",
}

_DROPPED = (
    "Batches are missing: leaving the last, smaller one out (`drop_last`) hides the fault, and a data set smaller"
    " than one batch is then never trained on at all."
)


@case(_epoch_by_chunks)
def train_epoch(fn: Answer) -> None:
    """Check ``train_epoch(images, batch_size, log_every, folder) -> steps``; notes in ``folder/notes/STEP.txt``.

    Sizes that fill no batch, one batch and several; notes at the first step; a new folder, and the same again.
    """
    with tempfile.TemporaryDirectory() as name:
        new = Path(name) / "not" / "there"
        runs = (
            (80, 32, 2, new),
            (80, 32, 1, new),
            (5, 32, 1, Path(name)),
            (64, 32, 1, Path(name)),
            (65, 32, 9, new),
        )
        for count, size, every, folder in runs:
            what = f"{count} images in batches of {size}"
            steps = call(fn, torch.rand(count, 1, 4, 4), size, every, folder, says=_SAYS)
            steps = expect_number(steps, f"{what}: the number of steps")
            right = math.ceil(count / size)
            hint = _DROPPED if steps < right else "One step a batch."
            require(steps == right, f"{what}: {right} steps", steps, hint)
            for step in range(every, int(steps) + 1, every):
                _read_note(folder / "notes" / f"{step}.txt")
        _expect_own_loss(fn, Path(name))
        _expect_own_pictures(fn, Path(name))


_OWN = "A note holds the loss of *its* step: the mean over this batch alone, no mean or sum over the steps before."
_FILLED = (
    "The last batch was filled up: its loss is the mean over the pictures that are there, and no black or "
    "repeated ones beside them."
)
_LOUD = 1e5
"""Brightness at which a linear judge is sure: a loss is then either near 0 or enormous, by the sign of its weights."""


def _expect_own_loss(fn: Answer, folder: Path) -> None:
    """Black batches, whose loss is near log 2 for any new judge, between batches with a loss of 0 or thousands."""
    scale = torch.tensor([0.0, _LOUD, 0.0, -_LOUD, 0.0, 0.0, _LOUD, 0.0]).repeat_interleave(4)
    for every, black in ((1, (1, 3, 5, 6, 8)), (2, (6, 8))):
        place = folder / f"own{every}"
        call(
            fn, scale[:, None, None, None].expand(-1, 1, 4, 4).clone(), 4, every, place, says=_SAYS
        )
        for step in black:
            loss = _read_note(place / "notes" / f"{step}.txt")
            what = f"a loss near log 2 for the black batch of step {step}"
            require(0.3 < loss < 1.3, what, f"{loss:.3f}", _OWN)
        names = sorted(path.name for path in (place / "notes").iterdir())
        right = sorted(f"{step}.txt" for step in range(every, 9, every))
        each = "A note at every `log_every`-th step, and at no other."
        require(names == right, f"notes {', '.join(right)}", ", ".join(names), each)


def _expect_own_pictures(fn: Answer, folder: Path) -> None:
    """The last batch is one bright picture: its loss is near 0 or enormous, unless others are averaged with it."""
    for run in range(8):  # a new judge each time; half of them find the picture real
        images = torch.zeros(9, 1, 4, 4)
        images[-1] = _LOUD * (-1) ** run
        call(fn, images, 8, 1, folder / f"last{run}", says=_SAYS)
        loss = _read_note(folder / f"last{run}" / "notes" / "2.txt")
        what = "a loss near 0 or above 2 for a last batch of one bright picture"
        require(not 0.2 < loss < 2, what, f"{loss:.3f}", _FILLED)


def _read_note(path: Path) -> float:
    text = path.read_text() if path.is_file() else "no file"
    hint = (
        "The note of this step is missing. Is it written, in the folder `notes`, and are steps counted from 1? An "
        "error that is caught and passed over is still there."
    )
    require(path.is_file(), f"a file notes/{path.name}", text, hint)
    try:
        good = math.isfinite(float(text.split()[-1]))
    except (ValueError, IndexError):
        good = False
    own = "Write this step's own loss, as a number."
    require(good, f"the loss of the step in notes/{path.name}", text, own)
    return float(text.split()[-1])
