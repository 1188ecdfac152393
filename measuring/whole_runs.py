"""What a program measures is a run that came to its end."""

from typing import Any

from course_utils.training.run import TrainingRun


def require_finished(training: TrainingRun) -> None:
    """End the program where a run was cut.

    Ctrl-C ends a training early, saved and without an error; scored nevertheless, it would be recorded as a whole one.

    Raises:
        SystemExit: the run was cut; the same command goes on with it.
    """
    if not training.finished:
        raise SystemExit(
            f"Stopped and saved at step {training.step:,} of {training.steps:,}; the same command goes on."
        )


def whole(trained: tuple[TrainingRun, Any]) -> tuple[TrainingRun, Any]:
    """What a recipe gives back, if its run came to its end (`require_finished`)."""
    require_finished(trained[0])
    return trained
