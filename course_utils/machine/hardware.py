"""What may be wrong with the machine: its GPU, threads, memory and clock."""

import datetime
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from course_utils.learner import catalogue
from course_utils.machine import free_memory, lesson_costs
from course_utils.machine.finding import Finding
from course_utils.tiers import TIERS

_COLAB = "on Colab: Runtime > Change runtime type > T4 GPU"


def gpu() -> Iterator[Finding]:
    """A GPU that is asked for and absent, or present and unused."""
    import torch

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        usable = torch.cuda.is_available()
    words = " ".join(" ".join(str(one.message) for one in told).split())[:200]
    if usable:
        yield from _works(torch)
        return
    if _has_nvidia() and torch.version.cuda is None:
        yield Finding(
            "gpu-unused",
            f"This machine has an NVIDIA driver, and PyTorch {torch.__version__} is the build without CUDA.",
            "Every lesson computes on the CPU.",
            "stop JupyterLab, then: COURSE_TORCH=default python3 run.py lab",
            stops=_asked(),
        )
    elif _has_nvidia() or words:
        yield Finding(
            "gpu-driver",
            f"PyTorch {torch.__version__} cannot use the GPU here: {words or 'it finds none'}.",
            f"Its build is for CUDA {torch.version.cuda}; an older driver does not know that.",
            "update the driver from https://www.nvidia.com/drivers, or go on with the CPU",
            stops=_asked(),
        )
    elif _asked():
        yield Finding(
            "gpu-absent",
            "COURSE_TIER is gpu, and there is no GPU here.",
            "Lessons 2 to 6 would train at full scale on the CPU, for days.",
            f"{_COLAB}; elsewhere, before the kernel starts or in the first cell: "
            'import os; os.environ["COURSE_TIER"] = "laptop"',
        )


def threads() -> Iterator[Finding]:
    """More threads than the container may use, or fewer than the processor has."""
    import torch

    using, cores, share = torch.get_num_threads(), len(_cores()), _share()
    if share is not None and using > max(1, round(share)) * 1.5:
        few = max(1, round(share))
        yield Finding(
            "threads-many",
            f"PyTorch uses {using} threads, and this container may use {share:g} of {cores} CPU cores.",
            "Threads that wait for each other make every training several times slower.",
            f"import torch; torch.set_num_threads({few})   # or OMP_NUM_THREADS={few} before JupyterLab starts",
        )
    elif using * 4 <= min(cores, share or cores) and "OMP_NUM_THREADS" in os.environ:
        yield Finding(
            "threads-few",
            f"OMP_NUM_THREADS={os.environ['OMP_NUM_THREADS']}: PyTorch uses {using} of {cores} CPU cores.",
            "Trainings take longer than the lessons' tables say.",
            f"import torch; torch.set_num_threads({cores})",
            stops=False,
        )


def memory_for_lessons() -> Iterator[Finding]:
    """Lessons whose measured peak is more than what is free. This kernel's own memory counts as free."""
    free = free_memory.here()
    peaks = {lesson.number: lesson_costs.peak_bytes(lesson.name) for lesson in catalogue.lessons()}
    tight = {number: peak for number, peak in peaks.items() if free and peak and peak > free}
    if free and tight:
        names = ", ".join(
            f"lesson {number} ({peak / 2**30:.1f} GiB)" for number, peak in tight.items()
        )
        yield Finding(
            "memory-small",
            f"{free / 2**30:.1f} GiB of memory are free, which is less than was measured for {names}.",
            "The system ends a kernel that wants more, without a word: the notebook only says that the kernel died.",
            "close browser tabs and other programs; in JupyterLab: Kernel > Shut Down All Kernels. If that is not "
            'enough, in the first cell: import os; os.environ["COURSE_TIER"] = "smoke"',
        )


def clock() -> Iterator[Finding]:
    """A clock that stands before the day on which the course was measured."""
    day = lesson_costs.newest_day()
    today = datetime.date.today()
    if day and today < day - datetime.timedelta(days=2):
        yield Finding(
            "clock-behind",
            f"This machine's clock says {today}, and the course was made on {day}.",
            "Secure connections are refused with a wrong clock, and progress gets wrong dates.",
            "set the clock in the system's settings (let it be set by the network)",
            stops=False,
        )


def _works(torch: ModuleType) -> Iterator[Finding]:
    try:
        (torch.ones(8, device="cuda") + 1).sum().item()
    except RuntimeError as error:
        yield Finding(
            "gpu-broken",
            f"{torch.cuda.get_device_name()} is there and does not compute: {' '.join(str(error).split())[:160]}.",
            "It may be too old for this build of PyTorch, or full of another program's data.",
            "look with nvidia-smi; to go on with the CPU, restart the kernel and run first: "
            'import os; os.environ["CUDA_VISIBLE_DEVICES"] = ""',
        )


def _asked() -> bool:
    """Whether a tier was chosen that is for a graphics card."""
    tier = TIERS.get(os.environ.get("COURSE_TIER", ""))
    return tier is not None and tier.default_on == "cuda"


def _has_nvidia() -> bool:
    return bool(shutil.which("nvidia-smi")) or Path("/proc/driver/nvidia/version").exists()


def _cores() -> set[int]:
    try:
        return os.sched_getaffinity(0)
    except AttributeError:  # not on Windows and macOS
        return set(range(os.cpu_count() or 1))


def _share() -> float | None:
    """Processor cores that a container's own limit leaves (control groups, version 2); None without one."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else int(quota) / int(period)
