"""What an answer may not touch: its inputs, the random generators, the notebook's settings and the libraries."""

import builtins
import hashlib
import math
import os
import random
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import isroutine
from types import ModuleType
from typing import Any, TextIO

import numpy as np
import torch

# Nobody passes this one to manual_seed by chance, so reseeding is always noticed.
_SEED = 715_225_739
_LINES, _LETTERS = 20, 4_000  # of an answer's own prints that one check shows
_PATIENCE = 10.0  # seconds after which a learner is told how to stop
_STEPS = (
    500  # 624 numbers each: so many may be drawn from Python's or NumPy's generator in one call
)


def fingerprint(value: Any) -> str:
    """A digest of any argument: tensors, arrays, networks (weights, buffers, modes) and containers of them."""
    if isinstance(value, torch.nn.Module):
        return fingerprint([[m.training for m in value.modules()], dict(value.state_dict())])
    if isinstance(value, torch.Tensor):
        data = value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data
        return f"{value.dtype}{tuple(value.shape)}{value.requires_grad}{hashlib.sha256(data).hexdigest()}"
    if isinstance(value, np.ndarray):
        data = np.ascontiguousarray(value).data
        return f"{value.dtype}{value.shape}{hashlib.sha256(data).hexdigest()}"
    if isinstance(value, dict):
        return fingerprint([[key, item] for key, item in value.items()])
    if isinstance(value, list | tuple):
        return "(" + ",".join(fingerprint(item) for item in value) + ")"
    return repr(value) if isinstance(value, int | float | str | bool) else ""


# ---- settings that hold for the whole notebook


@dataclass(frozen=True)
class Setting:
    """One setting, by the name that a learner reads."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]


def _set_device(device: torch.device) -> None:
    torch.set_default_device(None if device.type == "cpu" else device)


def _set_deterministic(mode: int) -> None:
    torch.use_deterministic_algorithms(mode > 0, warn_only=mode == 1)


def _print_options() -> dict[str, Any]:
    options = getattr(torch._tensor_str, "PRINT_OPTS", None)  # there is no public reader
    return dict(vars(options)) if options is not None else {}


def _set_print_options(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        setattr(torch._tensor_str.PRINT_OPTS, name, value)


def _attribute(module: ModuleType, name: str) -> tuple[Callable[[], Any], Callable[[Any], object]]:
    return (lambda: getattr(module, name), lambda value: setattr(module, name, value))


SETTINGS = (
    Setting("the default dtype", torch.get_default_dtype, torch.set_default_dtype),
    Setting("the default device", torch.get_default_device, _set_device),
    Setting("the gradient mode", torch.is_grad_enabled, torch.set_grad_enabled),
    Setting("the number of threads", torch.get_num_threads, torch.set_num_threads),
    Setting("the deterministic mode", torch.get_deterministic_debug_mode, _set_deterministic),
    Setting(
        "the precision of matrix products",
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
    Setting(
        "the anomaly mode", torch.is_anomaly_enabled, torch.autograd.anomaly_mode.set_detect_anomaly
    ),
    Setting("PyTorch's print options", _print_options, _set_print_options),
    Setting("NumPy's print options", np.get_printoptions, lambda old: np.set_printoptions(**old)),
    Setting("NumPy's error handling", np.geterr, lambda old: np.seterr(**old)),
    Setting("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    Setting("the working directory", os.getcwd, os.chdir),
    Setting("print", *_attribute(builtins, "print")),
    Setting("sys.stdout", *_attribute(sys, "stdout")),
)


def _read_settings() -> dict[str, Any]:
    return {setting.name: setting.read() for setting in SETTINGS}


def _write_settings(values: Mapping[str, Any]) -> None:
    for setting in SETTINGS:
        if setting.read() != values[setting.name]:
            setting.write(values[setting.name])


# ---- random generators


@dataclass(frozen=True)
class Surroundings:
    """How everything around an answer stood at one moment."""

    settings: dict[str, Any]
    seed: int
    python: Sequence[int]
    numpy: Sequence[int]

    def touched(self) -> list[str]:
        """The names of what is different now. Drawing random numbers is no change, seeding a generator anew is."""
        now = _read_settings()
        names = [name for name, value in self.settings.items() if now[name] != value]
        if torch.initial_seed() != self.seed:
            names.append("the random seed")
        if not _drawn(self.python, _python_words()):
            names.append("the seed of Python's generator")
        if not _drawn(self.numpy, _numpy_words()):
            names.append("the seed of NumPy's generator")
        return names


def now() -> Surroundings:
    """How everything around an answer stands now."""
    return Surroundings(_read_settings(), torch.initial_seed(), _python_words(), _numpy_words())


def _python_words() -> Sequence[int]:
    return random.getstate()[1][:-1]


def _numpy_words() -> Sequence[int]:
    state: Any = np.random.get_state(legacy=False)
    return state["state"]["key"].tolist()


def _drawn(before: Sequence[int], after: Sequence[int]) -> bool:
    """Whether the Mersenne Twister's 624 words came from the earlier ones by drawing alone."""
    wanted = tuple(after)
    if tuple(before) == wanted:
        return True
    twister = random.Random()
    twister.setstate((3, (*before, 624), None))
    for _ in range(_STEPS):
        twister.getrandbits(32 * 624)
        if twister.getstate()[1][:-1] == wanted:
            return True
    return False


# ---- the libraries themselves


_HELD = {
    name: (module, {key: value for key, value in vars(module).items() if isroutine(value)})
    for name, module in {
        "torch": torch,
        "torch.nn.functional": torch.nn.functional,
        "torch.linalg": torch.linalg,
        "numpy": np,
        "math": math,
    }.items()
}


def replaced() -> list[str]:
    """Functions of PyTorch, NumPy and `math` in whose place there are others; not those that PyTorch itself wraps."""
    return [
        f"{place}.{name}"
        for place, (module, held) in _HELD.items()
        for name, function in held.items()
        if (now := vars(module).get(name)) is not function and not _of_library(now, module)
    ]


def _of_library(function: Any, module: ModuleType) -> bool:
    home = getattr(function, "__module__", None) or ""
    return home.split(".")[0] == module.__name__.split(".")[0]


def _put_back() -> None:
    for name in replaced():
        place, _, function = name.rpartition(".")
        module, held = _HELD[place]
        setattr(module, function, held[function])


# ---- around a check


class _Capped:
    """A standard output that shows the first lines of an answer's prints and counts the rest."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.lines = self.letters = self.hidden = 0

    def write(self, text: str) -> int:
        if self.lines < _LINES and self.letters < _LETTERS:
            shown = text[: _LETTERS - self.letters]
            shown = "".join(shown.splitlines(keepends=True)[: _LINES - self.lines])
            self.stream.write(shown)
            self.lines += shown.count("\n")
            self.letters += len(shown)
            text = text[len(shown) :]
        self.hidden += len(text)
        return len(text)

    def told(self) -> str:
        """What was left out, or nothing."""
        return f"(and {self.hidden:,} more characters that the answer printed)\n" * bool(
            self.hidden
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def patience(stream: TextIO) -> Iterator[None]:
    """Tell a learner how to stop an answer that takes long, and that this is possible."""
    seconds = f"{_PATIENCE:.0f} seconds"
    word = f"Your function has been running for {seconds}. If it never ends: the stop button ■ above, or I I.\n"
    timer = threading.Timer(_PATIENCE, stream.write, [word])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def untouched_surroundings() -> Iterator[None]:
    """Start from known generators and settings; give back all of it as it was, whatever the answer did to it."""
    settings = _read_settings()
    states = (random.getstate(), np.random.get_state(), torch.get_rng_state())
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    capped = _Capped(sys.stdout)
    try:
        random.seed(_SEED)
        np.random.seed(_SEED)
        torch.manual_seed(_SEED)
        torch.set_default_dtype(torch.float32)
        torch.set_grad_enabled(True)
        # The probes are tiny: on a busy machine more threads only wait for each other.
        torch.set_num_threads(1)
        sys.stdout = capped
        yield
    finally:
        _put_back()
        _write_settings(settings)
        capped.stream.write(capped.told())
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
