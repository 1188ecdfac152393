"""A second place for training runs: checkpoints are copied there, and brought back to a machine that has lost them.

``COURSE_RUNS_COPY`` names the place, such as a mounted cloud drive, a network folder or a USB stick; without it nothing
happens. A run trains in its own folder, on a disk that is quick and sure; only finished generations travel.
"""

import os
import shutil
import time
from pathlib import Path

from course_utils.paths import atomic_write, resolve
from course_utils.training.checkpoints import generations, is_intact, prune

_SHARE = 20
"""Between two copies on the way pass so many times the seconds that the last one took."""


class RunCopies:
    """The copies of one run's checkpoints.

    Args:
        folder: the run's folder; its copies lie in the folder of the same name in the second place.
    """

    def __init__(self, folder: Path) -> None:
        place = os.environ.get("COURSE_RUNS_COPY")
        there = resolve(place) / folder.name if place else None
        self.folder, self.there = folder, None if there == folder.resolve() else there
        self._due = time.monotonic()

    def bring_back(self) -> None:
        """Copy the newest generation from the second place, where the run's own folder has no newer one."""
        if self.there is None:
            return
        try:
            for copy in _newer(self.there, self.folder):
                if _copy(copy, self.folder / copy.name):
                    print(
                        f"Brought back {copy.name} of {self.folder.name} from {self.there.parent}."
                    )
                    return
                print(f"Skipped {copy} in the second place: it is damaged.")
        except OSError as error:
            print(f"Nothing could be brought back from {self.there}: {error}.")

    def add(self, generation: Path) -> None:
        """Copy a generation now. A place that fails is told and stops nothing."""
        if self.there is None:
            return
        start = time.monotonic()
        try:
            kept = _copy(generation, self.there / generation.name)
            why = "" if kept else "it gave back something else"
            if kept:
                prune(self.there, self.there / generation.name)
        except OSError as error:
            why = str(error)
        if why:
            print(
                f"\n{generation.name} was not copied to {self.there}: {why}. It is in {self.folder}."
            )
        now = time.monotonic()
        self._due = now + _SHARE * (now - start)

    def add_when_due(self, generation: Path) -> None:
        """Copy a generation, but spend no more than about a twentieth of the time on copies."""
        if time.monotonic() >= self._due:
            self.add(generation)

    def clear(self) -> None:
        """Forget the copies: the run starts again. The last one stays, in the folder ``previous``."""
        if self.there is None or not (copies := generations(self.there)):
            return
        last = copies[0]
        try:
            previous = self.there / "previous"
            shutil.rmtree(previous, ignore_errors=True)
            previous.mkdir()
            last.rename(previous / last.name)
            for older in copies[1:]:
                shutil.rmtree(older)
        except OSError as error:
            print(f"The copies in {self.there} could not be moved aside: {error}.")


def _newer(there: Path, here: Path) -> list[Path]:
    """Generations there that are newer than any intact one here, the newest first."""
    have = next((_order(path.name) for path in generations(here) if is_intact(path)), ())
    return [path for path in generations(there) if _order(path.name) > have]


def _order(name: str) -> tuple[int, ...]:
    """``step-000000120-1`` as (120, 1)."""
    return tuple(int(number) for number in name.split("-")[1:])


def _copy(source: Path, target: Path) -> bool:
    """Copy a generation, its manifest last; whether it arrived whole (else it is removed again).

    Raises:
        OSError: it could not be read or written.
    """
    names = sorted(
        (path.name for path in source.iterdir() if path.is_file()),
        key=lambda name: name == "manifest.json",
    )
    for name in names:
        atomic_write(target / name, (source / name).read_bytes())
    if is_intact(target):
        return True
    shutil.rmtree(target, ignore_errors=True)
    return False
