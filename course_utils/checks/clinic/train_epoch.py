"""Exercise `train_epoch`: an epoch that does not stop late: at its last batch, at its first note, at a second run."""

import math
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.checks.core import Answer, call, exercise, expect_number, require


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
    "size": "The labels have the nominal size of a batch; the last one may be smaller. Take the size from the batch.",
    "NameError": "A name that only the note uses: no run shorter than `log_every` steps would ever meet it.",
    "FileNotFoundError": "The note's folder is not there. `mkdir(parents=True)` makes it, with all above it.",
    "FileExistsError": "A second run finds the folder: `exist_ok=True`.",
}

_DROPPED = (
    "Batches are missing: leaving the last, smaller one out (`drop_last`) hides the fault, and a data set smaller than "
    "one batch is then never trained on at all."
)


@exercise(_epoch_by_chunks)
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
                _expect_note(folder / "notes" / f"{step}.txt")


def _expect_note(path: Path) -> None:
    text = path.read_text() if path.is_file() else "no file"
    hint = (
        "The note of this step is missing: an error that is caught and passed over is still there."
    )
    require(path.is_file(), f"a file notes/{path.name}", text, hint)
    try:
        good = math.isfinite(float(text.split()[-1]))
    except (ValueError, IndexError):
        good = False
    own = "Write this step's own loss, as a number."
    require(good, f"the loss of the step in notes/{path.name}", text, own)
