"""What a kernel tells after it has run a lesson: tier, data, versions, peak memory. Runs inside the kernel."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def report(namespace: Mapping[str, Any]) -> str:
    """Facts about this process as JSON.

    Args:
        namespace: the lesson's variables; image sets among them are named.

    Returns:
        JSON with ``tier``, ``data``, ``peak_mib`` (MiB of this process), `results.provenance` and, where the lesson
        trains, ``training``: its seconds, and the setting that they depend on.
    """
    from course_utils import results, runtime

    facts = {
        "tier": runtime.tier(),
        "data": data_names(namespace),
        "peak_mib": round(peak_mib()),
        **results.provenance(),
    }
    return json.dumps(facts | training(namespace))


def training(namespace: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Seconds of the variable ``training``, where it ran here from its first step, with what decides over them."""
    from course_utils.machine.lesson_costs import KNOBS
    from course_utils.training.run import TrainingRun

    run = namespace.get("training")
    if not isinstance(run, TrainingRun) or run.resumed_at is not None:
        return {}
    knobs = {name: namespace[name] for name in sorted(set(KNOBS.values())) if name in namespace}
    return {"training": {"seconds": round(run.seconds, 1), **knobs}}


def data_names(namespace: Mapping[str, Any]) -> list[str]:
    """Names of the image sets among the variables (whatever has ``name`` and ``is_standin``)."""
    return sorted(
        {str(v.name) for v in namespace.values() if hasattr(v, "is_standin") and hasattr(v, "name")}
    )


def peak_mib() -> float:
    """Peak memory (resident set) of this process in MiB."""
    status = Path("/proc") / "self" / "status"
    if status.is_file():  # getrusage would count the parent's memory from before the exec
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    if sys.platform == "win32":
        import psutil  # ipykernel brings it

        return psutil.Process().memory_info().peak_wset / 2**20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS counts bytes
