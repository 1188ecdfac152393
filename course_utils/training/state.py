"""The state of a training run as named tensors and JSON, without pickle: networks, optimisers, random generators."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

State = Mapping[str, nn.Module | torch.optim.Optimizer]

# How an optimiser computes, not what: these may differ between machines.
_IMPLEMENTATION = {"params", "foreach", "fused", "capturable", "differentiable"}


def networks(state: State) -> dict[str, nn.Module]:
    """The networks among the parts."""
    return {name: part for name, part in state.items() if isinstance(part, nn.Module)}


def optimizer_settings(state: State) -> dict[str, Any]:
    """Learning rates and the like: ``"part lr" -> value`` for each optimiser (``"part 1 lr"`` for its second group)."""
    groups = {
        name: part.param_groups for name, part in state.items() if not isinstance(part, nn.Module)
    }
    return _settings(groups)


def saved_optimizer_settings(optimizers: Mapping[str, Any]) -> dict[str, Any]:
    """The same of packed optimisers."""
    return _settings({name: saved["groups"] for name, saved in optimizers.items()})


def pack(state: State) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All tensors under flat names ``part.key``, and what remains of the optimisers as JSON."""
    tensors: dict[str, Tensor] = {}
    optimizers: dict[str, Any] = {}
    for name, part in state.items():
        content = part.state_dict()
        if isinstance(part, nn.Module):
            tensors |= {f"{name}.{key}": value for key, value in content.items()}
            continue
        scalars: dict[str, dict[str, Any]] = {}
        for number, values in content["state"].items():
            for key, value in values.items():
                if isinstance(value, Tensor):
                    tensors[f"{name}.{number}.{key}"] = value
                else:
                    scalars.setdefault(str(number), {})[key] = value
        optimizers[name] = {"groups": content["param_groups"], "scalars": scalars}
    return tensors, optimizers


def unpack(state: State, tensors: Mapping[str, Tensor], optimizers: Mapping[str, Any]) -> None:
    """Put a packed state back.

    Raises:
        ValueError: a part is missing or surplus.
        RuntimeError: a network's tensors are missing, surplus or of another shape.
    """
    own = {
        n: {k.removeprefix(f"{n}."): v for k, v in tensors.items() if k.startswith(f"{n}.")}
        for n in state
    }
    known = {f"{name}.{key}" for name, values in own.items() for key in values}
    surplus = {key.split(".")[0] for key in tensors if key not in known} - {"rng"}
    differ = surplus | (set(optimizers) ^ (set(state) - set(networks(state))))
    if differ:
        raise ValueError(f"only one of the two has {', '.join(sorted(differ))}")
    for name, part in state.items():
        if isinstance(part, nn.Module):
            part.load_state_dict(own[name])
        else:
            _unpack_optimizer(part, own[name], optimizers[name])


def pack_rng() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The global random generators of PyTorch as tensors, and of Python and NumPy as JSON."""
    tensors = {"rng.cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors |= {f"rng.cuda.{i}": s for i, s in enumerate(torch.cuda.get_rng_state_all())}
    kind, numbers, *rest = np.random.get_state(legacy=True)
    return tensors, {
        "python_rng": random.getstate(),
        "numpy_rng": [kind, np.asarray(numbers).tolist(), *rest],
    }


def unpack_rng(tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """Put the global random generators back."""
    version, numbers, gauss = record["python_rng"]
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state(tuple(record["numpy_rng"]))
    torch.set_rng_state(tensors["rng.cpu"])
    for number in range(torch.cuda.device_count()):
        if f"rng.cuda.{number}" in tensors:
            torch.cuda.set_rng_state(tensors[f"rng.cuda.{number}"], number)


def not_finite(state: State) -> list[str]:
    """Names of the networks' parameters and buffers that hold a NaN or an infinity."""
    named = (
        (f"{n}.{key}", value)
        for n, part in networks(state).items()
        for key, value in part.state_dict().items()
    )
    return [
        key
        for key, value in named
        if value.is_floating_point() and not bool(value.isfinite().all())
    ]


def differences(
    record: Mapping[str, Any],
    config: Mapping[str, Any],
    settings: Mapping[str, Any],
    data_sha256: str | None,
) -> list[str]:
    """What a saved run and a new one do not share, as ``name: old -> new``; a digest that one lacks is not compared."""
    old = record.get("optimizer_settings") or saved_optimizer_settings(record["optimizers"])
    found = _changes(record["config"], config, {*record["config"], *config})
    # Only what both know: a newer PyTorch has further settings.
    found += _changes(old, settings, old.keys() & settings.keys())
    old_data = record.get("data_sha256")
    if old_data and data_sha256 and old_data != data_sha256:
        found.append(f"data: content with digest {old_data[:12]} -> {data_sha256[:12]}")
    return found


def machine_differences(made_with: Mapping[str, Any], processes: int = 1) -> list[str]:
    """What may change the last bits of a sum, as ``name: old -> new``: PyTorch's version, threads and processes."""
    now = {"torch": torch.__version__, "threads": torch.get_num_threads(), "processes": processes}
    return _changes(made_with, now, set(made_with))


def _changes(old: Mapping[str, Any], new: Mapping[str, Any], names: set[str]) -> list[str]:
    return [
        f"{k}: {old.get(k)!r} -> {new.get(k)!r}" for k in sorted(names) if old.get(k) != new.get(k)
    ]


def _settings(groups: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, of_optimizer in groups.items():
        for number, group in enumerate(of_optimizer):
            prefix = f"{name} {number} " if number else f"{name} "
            # A schedule changes lr on the way; where it started is the setting.
            values = {**group, "lr": group.get("initial_lr", group.get("lr"))}
            for key in values.keys() - _IMPLEMENTATION - {"initial_lr"}:
                value = values[key]
                value = value.tolist() if isinstance(value, Tensor) else value
                found[prefix + key] = list(value) if isinstance(value, tuple) else value
    return found


def _unpack_optimizer(
    part: torch.optim.Optimizer, own: Mapping[str, Tensor], saved: Mapping[str, Any]
) -> None:
    values: dict[int, dict[str, Any]] = {int(n): dict(v) for n, v in saved["scalars"].items()}
    for key, value in own.items():
        number, field = key.split(".", 1)
        values.setdefault(int(number), {})[field] = value
    part.load_state_dict({"state": dict(sorted(values.items())), "param_groups": saved["groups"]})
    _keep_layout(part)


def _keep_layout(optimizer: torch.optim.Optimizer) -> None:
    """Give moments their parameter's memory layout: the same sums in another order would end in other last bits."""
    for parameter, values in optimizer.state.items():
        for key, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                values[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
