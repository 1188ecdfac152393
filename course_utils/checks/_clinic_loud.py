"""Checks of the clinic's loud cases, 7.1 to 7.4: programs that stop, but late, or with a message that misleads."""

import math
import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from course_utils.checks import (
    Answer,
    CheckFailed,
    Wrong,
    call,
    expect_close,
    expect_number,
    expect_tensor,
    require,
)
from course_utils.checks._clinic_tools import call_in_words

# ---------------------------------------------------------------- 7.1 late failures


def epoch_by_chunks(images: Tensor, batch_size: int, log_every: int, folder: Path) -> int:
    """The reference: labels made from the answers, the note's folder made before it is written."""
    judge = nn.Linear(images[0].numel(), 1)
    for step, batch in enumerate(images.flatten(1).split(batch_size), start=1):
        loss = F.softplus(-judge(batch)).mean()
        if step % log_every == 0:
            place = Path(folder) / "notes"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{step}.txt").write_text(f"{loss.item():.3f}")
    return step


_LATE = {
    "size": "The labels have the nominal size of a batch; the last one may be smaller. Take the size from the batch.",
    "NameError": "A name that only the note uses: no run shorter than `log_every` steps would ever meet it.",
    "FileNotFoundError": "The note's folder is not there. `mkdir(parents=True)` makes it, with all above it.",
    "FileExistsError": "A second run finds the folder: `exist_ok=True`.",
}
_DROPPED = (
    "Batches are missing: leaving the last, smaller one out (`drop_last`) hides the fault, and a data set smaller than "
    "one batch is then never trained on at all."
)


def inspect_epoch(fn: Answer) -> None:
    """Sizes that fill no batch, one batch and several; notes at the first step; a new folder, and the same again."""
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
            steps = call_in_words(fn, torch.rand(count, 1, 4, 4), size, every, folder, says=_LATE)
            steps = expect_number(steps, f"{what}: the number of steps")
            require(
                steps >= math.ceil(count / size),
                f"{what}: {math.ceil(count / size)} steps",
                steps,
                _DROPPED,
            )
            require(
                steps == math.ceil(count / size),
                f"{what}: {math.ceil(count / size)} steps",
                steps,
                "One step a batch.",
            )
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
    require(
        good,
        f"the loss of the step in notes/{path.name}",
        text,
        "Write this step's own loss, as a number.",
    )


# ---------------------------------------------------------------- 7.2 dtype and shape of labels


def loss_by_softplus(logits: Tensor, label: float) -> Tensor:
    """The reference: label * -log D + (1 - label) * -log (1 - D), mean over all."""
    return (label * F.softplus(-logits) + (1 - label) * F.softplus(logits)).mean()


_LABELS = {
    "desired output type Long": "`torch.full(..., 1)` takes its type from the 1: whole numbers. Labels "
    "are floats here.",
    "expected Float": "`torch.full(..., 1)` takes its type from the 1: whole numbers. Labels are floats here.",
    "target size": "The labels have another shape than the logits: `len(logits)` is the batch, not the shape.",
    "Target size": "The labels have another shape than the logits: `len(logits)` is the batch, not the shape.",
    "require grad": "The logits were turned into another type, and their gradient was lost: change the labels instead.",
}
_WRONG_LABELS: list[Wrong] = [
    (
        lambda a, y: loss_by_softplus(a, int(y)),
        "`int(label)` cuts 0.9 down to 0: soft labels are labels too.",
    ),
    (lambda a, y: loss_by_softplus(a, 1 - y), "This is the loss of the opposite label."),
    (lambda a, y: loss_by_softplus(a, y) * a.numel(), "A sum grows with the batch: take the mean."),
    (
        lambda a, y: loss_by_softplus(a.sigmoid(), y),
        "The loss applies the sigmoid itself: pass logits.",
    ),
]


def inspect_label_loss(fn: Answer) -> None:
    """Several shapes, types and labels; value, type and gradient."""
    cases = (
        (torch.tensor([1.5, -0.7, 2.2]), 1),
        (torch.tensor([[0.8], [-2.0]]), 0),
        (torch.tensor([0.4, -1.0], dtype=torch.float64).view(2, 1, 1, 1), 1),
        (torch.tensor([0.5, -1.5, 3.0, 0.25], dtype=torch.bfloat16), 0),
        (torch.tensor([[2.0]]), 0.9),
    )
    for logits, label in cases:
        mine = logits.clone().requires_grad_()
        what = f"the loss of logits {tuple(logits.shape)} {str(logits.dtype)[6:]} for label {label}"
        got = call_in_words(fn, mine, label, says=_LABELS)
        expect_tensor(got, (), what, hint="One number for all logits: the mean.")
        same = "A fixed type fits one precision only. `torch.full_like(logits, label)` takes type, shape and device along."
        require(
            got.dtype == logits.dtype,
            f"{what}, in the type of the logits",
            f"dtype {got.dtype}",
            same,
        )
        loose = {"atol": 2e-2, "rtol": 2e-2} if logits.dtype == torch.bfloat16 else {}
        expect_close(
            got,
            loss_by_softplus(logits, label),
            what,
            inputs=(logits, label),
            wrong=_WRONG_LABELS,
            **loose,
        )
        require(
            got.requires_grad, f"{what}, with a gradient", "a constant", _LABELS["require grad"]
        )
        ours = logits.clone().requires_grad_()
        right, came = (
            torch.autograd.grad(f, x)[0]
            for f, x in ((loss_by_softplus(ours, label), ours), (got, mine))
        )
        expect_close(came, right, f"the gradient of {what}", **loose)


# ---------------------------------------------------------------- 7.3 noise of the wrong shape


def generator_input_by_view(z: Tensor) -> Tensor:
    """The reference."""
    return z.view(*z.shape, 1, 1)


_TRANSPOSED = (
    "Batch and channels are exchanged. With as many pictures as latent "
    "numbers that even runs, and every picture is then "
    "made from one number of each noise vector."
)
_WRONG_NOISE: list[Wrong] = [
    (lambda z: z, "Nothing changed: the layer wants (B, channels, height, width)."),
    (
        lambda z: z.unsqueeze(0),
        "This puts one dimension in front: the batch became the channels of a single picture.",
    ),
    (
        lambda z: z.unsqueeze(-1),
        "One dimension short: PyTorch then takes the batch for the channels of one picture.",
    ),
    (lambda z: z.t()[..., None, None], _TRANSPOSED),
    (
        lambda z: z.reshape(z.shape[1], z.shape[0], 1, 1),
        "`reshape` filled a (D, B) table row by row: noise is mixed up.",
    ),
    (
        lambda z: z[..., None, None].expand(-1, -1, 4, 4),
        "A generator starts from one point, 1x1, not from 4x4 equal ones.",
    ),
]


def inspect_generator_input(fn: Answer) -> None:
    """Batches 1, 7 and 100; 100 latent numbers and 8."""
    for count, size in ((7, 100), (1, 100), (100, 100), (3, 8)):
        z = torch.randn(count, size)
        hint = f"Expected is (B, D, 1, 1): here ({count}, {size}, 1, 1), with row i made from z[i] alone."
        expect_close(call(fn, z), generator_input_by_view(z), f"the input for {count} pictures",
                     inputs=(z,), wrong=_WRONG_NOISE, hint=hint)  # fmt: skip


# ---------------------------------------------------------------- 7.4 one answer a picture


def judge_by_depth(size: int) -> nn.Sequential:
    """The reference: strided layers until the map is 4x4, then one kernel over all of it."""
    layers, channels = [], 3
    for depth in range(int(math.log2(size)) - 2):
        layers += [nn.Conv2d(channels, 8 * 2**depth, 4, 2, 1), nn.LeakyReLU(0.2)]
        channels = 8 * 2**depth
    return nn.Sequential(*layers, nn.Conv2d(channels, 1, 4), nn.Flatten(0))


_POOLED = (
    "The count is right, but the answer is a mean over patches: nobody looks at the picture as a whole, and lesson 2's "
    "rule says no pooling. Another strided layer makes the map small enough for the last kernel."
)
_SHRUNK = "The picture is shrunk before it is judged: D is blind to fine detail. Another strided layer keeps it."
_POOLING = (
    "mean",
    "avg_pool2d",
    "adaptive_avg_pool2d",
    "max_pool2d",
    "adaptive_max_pool2d",
    "amax",
    "lp_pool2d",
)


class _Listen(TorchFunctionMode):
    """Notes the names of the torch functions that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(getattr(func, "__name__", ""))
        return func(*args, **(kwargs or {}))


def inspect_judge(fn: Answer) -> None:
    """One logit a picture at 32 and 64 pixels; every corner counts; no pooling, no shrinking."""
    for size in (32, 64):
        judge = call(fn, size)
        require(
            isinstance(judge, nn.Module),
            "a module",
            judge,
            "Return the network, for example an nn.Sequential.",
        )
        judge.eval()
        for count in (1, 7):
            pictures = (2 * torch.rand(count, 3, size, size) - 1).requires_grad_()
            with _Listen() as heard:
                logits = _answer(judge, pictures, size)
            _expect_one_each(logits, count, size)
            require(
                not heard.names & set(_POOLING),
                "strided convolutions only",
                "pooling or a mean",
                _POOLED,
            )
            require(
                "interpolate" not in heard.names, "all pixels judged", "a shrunken picture", _SHRUNK
            )
            (slope,) = torch.autograd.grad(logits[0], pictures)
            corners = slope[0, :, [0, 0, -1, -1], [0, -1, 0, -1]].abs().sum(0)
            hint = (
                "One corner of the picture has no say: the answer is taken from a part of the map."
            )
            require(
                bool((corners > 0).all()),
                "an answer that depends on all four corners",
                corners,
                hint,
            )
            mates = count == 1 or float(slope[1:].abs().sum()) == 0
            require(
                mates,
                "an answer for each picture alone",
                "a mixture",
                "Other pictures of the batch have a say.",
            )


def _answer(judge: nn.Module, pictures: Tensor, size: int) -> Tensor:
    try:
        return judge(pictures)
    except Exception as error:
        hint = "Print the shape after each layer: a strided layer (4, 2, 1) halves it, the last kernel wants 4x4."
        got = f"{type(error).__name__}: {str(error)[:120]}"
        raise CheckFailed(f"logits for pictures of {size} pixels", got, hint) from None


def _expect_one_each(logits: Any, count: int, size: int) -> None:
    many = isinstance(logits, Tensor) and logits.numel() > count
    hint = "The last map has more than one place, so D answers once for each patch: one more strided layer."
    expect_tensor(logits, (count,), f"logits of {count} pictures of {size} pixels",
                  hint=hint if many else "One logit a picture, in a flat row: `nn.Flatten(0)`.")  # fmt: skip
