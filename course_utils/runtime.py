"""What this machine has and how the course uses it: tier, device, seed, threads, number formats."""

import functools
import os
import platform
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

from course_utils.errors import CourseError
from course_utils.tiers import TIERS

T = TypeVar("T")

WORTH = 1.2
"""How many times faster bf16's matrix products have to be, so that it is taken."""


@dataclass(frozen=True)
class Runtime:
    """The settings of this machine.

    Attributes:
        tier: ``smoke``, ``laptop`` or ``gpu``; `course_utils.tiers` says what each is for.
        device: where tensors and networks live.
        seed: the seed that Python, NumPy and PyTorch were given.
        threads: CPU threads that PyTorch uses.
        autocast_dtype: ``torch.bfloat16`` where the hardware multiplies it faster, else None.
        autocast_reason: why, in a few words.
    """

    tier: str
    device: torch.device
    seed: int
    threads: int
    autocast_dtype: torch.dtype | None
    autocast_reason: str

    def pick(self, *values: T) -> T:
        """The value for this tier, of those for ``smoke``, ``laptop`` and ``gpu``, in this order.

        Raises:
            ValueError: these are not as many as there are tiers.
        """
        return dict(zip(TIERS, values, strict=True))[self.tier]

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """Run matrix products in the fast number format where the machine has one; exact float32 elsewhere."""
        if self.autocast_dtype is None:
            yield
            return
        with torch.autocast(self.device.type, dtype=self.autocast_dtype):
            yield

    def __str__(self) -> str:
        number_format = str(self.autocast_dtype or torch.float32).removeprefix("torch.")
        threads = f"{self.threads} thread" + "s" * (self.threads != 1)
        return (
            f"tier {self.tier} | {device_name(self.device)} | {threads} | "
            f"{number_format} ({self.autocast_reason}) | seed {self.seed} | torch {torch.__version__.split('+')[0]}"
        )


def setup(seed: int = 0, quiet: bool = False) -> Runtime:
    """Choose tier and device, seed the random generators, set the machine up, and print one line about it.

    Args:
        seed: for Python's, NumPy's and PyTorch's generators, from 0 to 2^32 - 1.
        quiet: print nothing.

    Raises:
        CourseError: ``COURSE_TIER`` holds an unknown name, or the seed is negative or too large.
    """
    name = tier()
    if not 0 <= seed < 2**32:
        raise CourseError(
            "runtime-seed",
            f"The seed is {seed}.",
            "NumPy takes seeds from 0 to 4294967295 only.",
            "Use a seed in that range, for example: runtime.setup(seed=0)",
        )
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_default_dtype(torch.float32)  # a start-up file of the user's may ask for float64
    # Saturated gradients of a confident discriminator are denormal numbers, which CPUs multiply 20 times slower.
    torch.set_flush_denormal(True)
    device = default_device()
    dtype, reason = _autocast(device)
    runtime = Runtime(name, device, seed, torch.get_num_threads(), dtype, reason)
    if not quiet:
        print(runtime)
    return runtime


def tier() -> str:
    """The tier's name: what ``COURSE_TIER`` says, else ``gpu`` where there is one, else ``laptop``.

    Raises:
        CourseError: ``COURSE_TIER`` holds an unknown name.
    """
    name = os.environ.get("COURSE_TIER") or _default_tier()
    if name not in TIERS:
        raise CourseError(
            "runtime-unknown-tier",
            f"COURSE_TIER is {name!r}.",
            f"The course knows the tiers {', '.join(TIERS)}.",
            'Set it to one of them, for example: os.environ["COURSE_TIER"] = "laptop"',
        )
    return name


def _default_tier() -> str:
    device = default_device().type
    return next(tier.name for tier in TIERS.values() if tier.default_on == device)


def default_device() -> torch.device:
    """The first CUDA device where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    """What the device is called, for reports: the GPU's name, or the processor's family."""
    return (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"CPU ({platform.machine()})"
    )


def fast_dtype(device: torch.device) -> torch.dtype | None:
    """The 16-bit format that ``device`` multiplies faster than float32, or None (see ``Runtime.autocast_dtype``)."""
    return _autocast(device)[0]


@functools.cache
def gain_of_bf16() -> float:
    """How many times faster than in float32 this processor multiplies matrices in bf16: the quickest of nine each.

    Some processors have the instructions, and take twice as long with them as without.
    """
    factors = {
        dtype: torch.ones(512, 512, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)
    }
    seconds: dict[torch.dtype, list[float]] = {dtype: [] for dtype in factors}
    for _ in range(10):
        for dtype, factor in factors.items():
            begun = time.perf_counter()
            torch.mm(factor, factor)
            seconds[dtype].append(time.perf_counter() - begun)
    quickest = {dtype: min(turns[1:]) for dtype, turns in seconds.items()}
    return quickest[torch.float32] / quickest[torch.bfloat16]


def _autocast(device: torch.device) -> tuple[torch.dtype | None, str]:
    if os.environ.get("COURSE_BF16") == "0":
        return None, "bf16 switched off by COURSE_BF16=0"
    if device.type == "cuda":
        if torch.cuda.get_device_capability(device) >= (8, 0):
            return torch.bfloat16, "GPU has bf16 matrix units"
        return None, "GPU without bf16 matrix units"
    # Without these instructions bf16 on a CPU is emulated; with them it may still be slower than float32.
    for name, instructions in (
        ("_is_amx_tile_supported", "AMX"),
        ("_is_avx512_bf16_supported", "AVX512-BF16"),
    ):
        if getattr(torch.cpu, name, lambda: False)():  # PyTorch has no public question for this
            if os.environ.get("COURSE_BF16") == "1" or (gain := gain_of_bf16()) >= WORTH:
                return torch.bfloat16, instructions
            return None, f"{instructions} reaches {gain:.1f} of float32's speed here"
    return None, "no bf16 matrix instructions"
