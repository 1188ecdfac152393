"""What an answer may not touch: its inputs, the random generators and the notebook's settings."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

# Nobody passes this one to manual_seed by chance, so reseeding is always noticed.
_SEED = 715_225_739


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


def settings() -> dict[str, Any]:
    """PyTorch's settings that hold for the whole notebook, by the name that a learner reads."""
    return {
        "the random seed": torch.initial_seed(),
        "the default dtype": torch.get_default_dtype(),
        "the default device": torch.get_default_device(),
        "the gradient mode": torch.is_grad_enabled(),
        "the number of threads": torch.get_num_threads(),
        "the deterministic mode": torch.get_deterministic_debug_mode(),
    }


@contextmanager
def untouched_surroundings() -> Iterator[None]:
    """Start from known generators and settings; give both back as they were, whatever the answer did to them."""
    states = (random.getstate(), np.random.get_state(), torch.get_rng_state())
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    _, dtype, device, grad, threads, deterministic = settings().values()
    try:
        random.seed(_SEED)
        np.random.seed(_SEED)
        torch.manual_seed(_SEED)
        torch.set_default_dtype(torch.float32)
        torch.set_grad_enabled(True)
        # The probes are tiny: on a busy machine more threads only wait for each other.
        torch.set_num_threads(1)
        yield
    finally:
        torch.set_default_dtype(dtype)
        if torch.get_default_device() != device:
            torch.set_default_device(None if device.type == "cpu" else device)
        torch.set_grad_enabled(grad)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        if torch.get_deterministic_debug_mode() != deterministic:
            torch.use_deterministic_algorithms(deterministic > 0, warn_only=deterministic == 1)
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
