"""Exercise `make_network`: a network that knows all of its layers."""

import torch
from torch import Tensor, nn

from course_utils.checks.clinic.game import case
from course_utils.checks.core import Answer, call, expect_close, expect_tensor, require


def _network_by_modules(depth: int, width: int) -> nn.Module:
    network = nn.Sequential()
    for place in range(depth):
        network.add_module(f"hidden{place}", nn.Linear(width if place else 64, width))
        network.add_module(f"bend{place}", nn.ReLU())
    network.add_module("answers", nn.Linear(width if depth else 64, 10))
    return network


_UNKNOWN = (
    "Layers are missing in `parameters()`: a plain list, tuple or dict hides what it holds. Where can a network "
    "see them?"
)
_FEW = (
    "Parameters of hidden layers are missing. Are there `depth` of these layers, and is each where the network can "
    "see it? A plain list, tuple or dict hides what it holds."
)
_UNBIASED = "As many parameters are missing as there are biases: each layer has its own, as the patient's have."
_OTHER_BEND = (
    "With these weights and a ReLU behind each hidden layer the logits would be others: one ReLU for each, and no "
    "other function."
)
_SHARED = "The same layer several times over: `[layer] * depth` repeats one layer. Make a new one in each round."
_MORE = "There are more parameters than the layers need."
_STRAIGHT = "The network is linear: no ReLU stands between its layers, so that all of them are one."
_SLEEPS = "A layer is registered and takes no part in the answer: its gradient is None or 0."
_PROBABILITIES = "Logits are asked for: no softmax at the end, for the loss has one inside."
_BENT_END = (
    "The last layer's answers are logits and may have any sign: the ReLUs stand behind the *hidden* layers "
    "only."
)
_COPY = "Saved and loaded into a new network, the answers differ: something that matters is not in `state_dict()`."


@case(_network_by_modules)
def make_network(fn: Answer) -> None:
    """Check ``make_network(depth, width)``: depth hidden layers with ReLU, pictures (B, 64) -> logits (B, 10).

    Counts of parameters, gradients in all of them, and a copy made by saving and loading.
    """
    for depth, width in ((2, 12), (1, 8), (3, 20)):
        network = call(fn, depth, width)
        kind = "Return the network, an `nn.Module`."
        require(isinstance(network, nn.Module), "a network", network, kind)
        _expect_layers(network, depth, width)
        x = torch.randn(32, 64)
        logits = network(x)
        expect_tensor(logits, (32, 10), "logits of 32 pictures")
        logits.square().sum().backward()
        asleep = [
            name
            for name, p in network.named_parameters()
            if p.grad is None or not p.grad.abs().sum() > 0
        ]
        require(not asleep, "a gradient in every layer", f"none in {', '.join(asleep)}", _SLEEPS)
        with torch.no_grad():
            there, back, middle = network(x), network(-x), network(0 * x)
        one = torch.allclose(there.sum(1), torch.ones(32), atol=1e-4)
        require(not one, "logits, any numbers", "rows that add up to 1", _PROBABILITIES)
        both = bool((there < 0).any() and (there > 0).any())
        require(
            both,
            "logits of both signs",
            f"numbers from {there.min():.3g} to {there.max():.3g}",
            _BENT_END,
        )
        bent = not torch.allclose(there + back, 2 * middle, atol=1e-5)
        require(bent, "a network that is not linear", "f(x) + f(-x) = 2 f(0)", _STRAIGHT)
        _expect_relus(network, depth, x, there)
        copy = call(fn, depth, width)
        copy.load_state_dict(network.state_dict())
        with torch.no_grad():
            expect_close(copy(x), there, "the copy's logits", hint=_COPY)


def _expect_layers(network: nn.Module, depth: int, width: int) -> None:
    came = sum(p.numel() for p in network.parameters())
    right = sum(p.numel() for p in _network_by_modules(depth, width).parameters())
    once = depth > 1 and came == right - (depth - 2) * (width * width + width) and depth > 2
    what = f"{right:,} parameters for depth {depth} and width {width}"
    missing, biases = right - came, depth * width
    hint = _UNKNOWN if came == 10 * width + 10 else _FEW
    hint = _UNBIASED if missing in (biases, biases + 10) else hint
    hint = _MORE if missing < 0 else _SHARED if once else hint
    require(came == right, what, f"{came:,}", hint)


def _expect_relus(network: nn.Module, depth: int, x: Tensor, logits: Tensor) -> None:
    """A ReLU behind each hidden layer; asked only where the order of the layers can be told from their shapes."""
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    layers.sort(key=lambda layer: (layer.out_features == 10, layer.in_features != 64))
    if depth > 2 or len(layers) != depth + 1:
        return
    with torch.no_grad():
        for layer in layers[:-1]:
            x = layer(x).relu()
        expect_close(logits, layers[-1](x), "logits of 32 pictures", hint=_OTHER_BEND)
