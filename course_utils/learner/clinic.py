"""Around the cases of lesson 07: a complaint in one line, recorded runs, and the checklist to take home."""

import functools
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_utils import results
from course_utils.errors import CourseError
from course_utils.learner import catalogue
from course_utils.paths import atomic_write, runs_dir

RECORDS = ("gan_traces.json", "clinic_traces.json", "clinic_imdb.json")
"""Files with recorded histories, by name of the run."""


@dataclass(frozen=True)
class Case:
    """A case of the clinic.

    Attributes:
        function: the name of the function that the learner mends or writes.
        sign: how the fault shows.
        habit: what keeps it from coming back, as a line of a checklist.
    """

    function: str
    sign: str
    habit: str

    @property
    def number(self) -> str:
        """The number of its exercise."""
        return catalogue.number_of(f"clinic.{self.function}")


CASES = (
    Case(
        "train_epoch",
        "stops late",
        "Before a long run: data that fill no batch, a note every step, an empty folder, twice.",
    ),
    Case(
        "label_loss",
        "Found dtype Long",
        "Labels are made from the logits: `torch.full_like(logits, label)`.",
    ),
    Case(
        "generator_input",
        "expected 3D or 4D input",
        "Test shapes with batches of 1, 7 and as many as there are channels.",
    ),
    Case(
        "make_judge",
        "25 answers a picture",
        "Assert `logits.shape == (B,)`; make no label with `ones_like` before.",
    ),
    Case(
        "critic_step",
        "modified by an inplace operation",
        "Loss, zero_grad, backward, step: finish one half before the other begins.",
    ),
    Case(
        "is_equilibrium",
        "losses stand at log 2",
        "Log D(x) *and* D(G(z)); `diagnose` reads both.",
    ),
    Case(
        "gan_losses",
        "the generator's loss goes to 0",
        "Test a loss by its slope at logits of -8 and 8, not by its value.",
    ),
    Case(
        "gan_step",
        "the generator hardly moves",
        "zero_grad directly above backward; compare three SGD steps with a second implementation.",
    ),
    Case(
        "match_ranges",
        "D wins at once",
        "Print minimum and maximum of a real and of a generated batch, side by side.",
    ),
    Case(
        "generator_objective",
        "settles at the wrong place",
        "Evaluate an objective at the data themselves: it must be best there.",
    ),
    Case(
        "elbo",
        "sharp copies, no samples",
        "Ask for the gradient of every term; hold a bound against a model that can be solved.",
    ),
    Case(
        "kl",
        "a divergence below 0",
        "Test a divergence on two unequal distributions, both ways round, and where it is infinite.",
    ),
    Case(
        "make_optimizer",
        "results drift after an upgrade",
        "Write every setting that matters; read them back from `param_groups`.",
    ),
    Case(
        "encode_batch",
        "100 %",
        "Shuffle the labels: accuracy has to fall to chance. Decode one batch and read it.",
    ),
    Case(
        "make_classifier",
        "loss below log 2, accuracy one half",
        "Assert the logits' shape; the loss of an untrained classifier is log(classes).",
    ),
    Case(
        "shuffled",
        "training loss 0, test one half",
        "Print the labels of the first three batches.",
    ),
    Case(
        "share_cut",
        "nothing at all",
        "Count what preprocessing throws away, in the unit that the model reads.",
    ),
    Case(
        "first_break",
        "a proof that ends in 0",
        "Evaluate both sides of every line at random, unsymmetric points.",
    ),
    Case("errors_apart", "a number too good", "No accuracy without n and its standard error."),
    Case(
        "objections",
        "a text too good",
        "Ask what the model cannot have done: prompt, length, dates.",
    ),
    Case(
        "commons_folder",
        "a picture nobody can open",
        "Check sources by what must be true of them.",
    ),
    Case(
        "same_training",
        "looks wrong, is right",
        "Before mending: show by a test that the program is broken.",
    ),
)


def complaint(program: Callable[..., Any], *arguments: Any) -> None:
    """Run a program and print how it ends: the last line of its error with the line that caused it, or its result."""
    try:
        result = program(*arguments)
    except Exception as error:
        frames = [
            f
            for f in traceback.extract_tb(error.__traceback__)
            if f.name == getattr(program, "__name__", "")
        ]
        frames = [f for f in frames if "site-packages" not in f.filename]
        line = f"   at: {frames[-1].line}" if frames and frames[-1].line else ""
        message = " ".join(str(error).split())
        print(
            f"{type(error).__name__}: {message[:230]}{'...' * (len(message) > 230)}",
            line,
            sep="\n" if line else "",
        )
    else:
        shape = getattr(result, "shape", None)
        shown = (
            result
            if shape is None
            else f"shape {tuple(shape)}"
            if shape
            else f"{result.item():.4f}"
        )
        print("no error; result:", shown)


@functools.cache
def _records() -> dict[str, list[dict[str, list[float]]]]:
    found: dict[str, list] = {}
    for name in RECORDS:
        found |= results.read(name)["traces"]
    return found


def recorded(name: str, copy: int = 0) -> dict[str, list[float]]:
    """The history of a recorded run, as `course_utils.evaluation.diagnose.diagnose` reads it.

    Args:
        name: of the kind of run, for example ``"generator trained to be caught"``.
        copy: which repetition.

    Raises:
        CourseError: no such run.
    """
    runs = _records().get(name, [])
    if not 0 <= copy < len(runs):
        raise CourseError(
            "clinic-no-record",
            f"There is no recorded run {copy} of {name!r}.",
            f"Known: {', '.join(sorted(_records()))}.",
            'clinic.recorded("healthy line")',
        )
    return runs[copy]


def recorded_all(name: str) -> list[dict[str, list[float]]]:
    """The histories of all repetitions of a kind of run; as `recorded`."""
    recorded(name)
    return list(_records()[name])


def recorded_names() -> list[str]:
    """All kinds of recorded runs."""
    return sorted(_records())


def checklist(answers: Mapping[str, Any], notes: Mapping[str, str] | None = None) -> str:
    """The learner's checklist as Markdown: a tick where they mended the case themselves, and their own notes.

    Args:
        answers: functions by name, for example ``globals()`` of the notebook. A case is ticked when its function is
            there and is not the course's own.
        notes: further lines by exercise number, for example ``{"7.5": "Ask the critic again."}``.
    """
    notes = notes or {}
    unknown = set(notes) - {case.number for case in CASES}
    if unknown:
        raise CourseError(
            "clinic-unknown-case",
            f"There is no case {', '.join(sorted(unknown))}.",
            f"They run from {CASES[0].number} to {CASES[-1].number}.",
            'clinic.checklist(globals(), {"7.5": "Ask the critic again."})',
        )
    lines = ["## My checklist", ""]
    for case in CASES:
        mended = callable(answers.get(case.function)) and not _is_ours(answers[case.function])
        lines.append(f"- [{'x' if mended else ' '}] *{case.sign}* ({case.number}): {case.habit}")
        if case.number in notes:
            lines.append(f"    - {' '.join(notes[case.number].split())}")
    return "\n".join(lines) + "\n"


def save_checklist(text: str) -> Path:
    """Write the checklist into the folder of training runs; an older one is replaced."""
    return atomic_write(runs_dir() / "07_checklist.md", text.encode())


def _is_ours(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).startswith("course_utils.")
