"""How fast several trainings step on this machine, measured in turns: what disturbs one disturbs the others."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from measuring.with_intervals import over_seeds


def in_turns(timed: Mapping[str, Callable[[], float]], turns: int, kept: Path) -> dict[str, Any]:
    """Seconds of one step of each training: mean and interval over the turns, in which each is asked once.

    Args:
        timed: name -> trains a few steps and returns the seconds of one.
        turns: at least two.
        kept: the file that holds what was found; where it is there nothing is measured, so that the parts of a program
            that was cut train as many steps.
    """
    if not kept.is_file():
        seconds: dict[str, list[float]] = {name: [] for name in timed}
        for _ in range(turns):
            for name, ask in timed.items():
                seconds[name].append(ask())
        kept.write_text(json.dumps({k: over_seeds(v) for k, v in seconds.items()}), "utf-8")
    return dict(json.loads(kept.read_text("utf-8")))
