"""Exercise `make_discriminator`: DCGAN's discriminator, from images of 32x32 pixels to one logit each."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from course_utils.checks.core import Answer, CheckFailed, call, exercise, expect_tensor, require
from course_utils.checks.dcgan.shared import Normalised


def _discriminator_of_the_package(width: int, channels: int) -> nn.Module:
    from course_utils.models.dcgan import make_discriminator

    return make_discriminator(width, channels)


_CASES = ((6, 3), (8, 1))  # width, channels
_POOLS = ("pool", "mean", "amax", "interpolate")


@exercise(_discriminator_of_the_package)
def make_discriminator(fn: Answer) -> None:
    """Check ``make_discriminator(width, channels)``: (B, channels, 32, 32) -> logits (B,).

    Any construction with these properties is right.
    """
    first, second = _make(fn, *_CASES[0]), _make(fn, *_CASES[0])
    places = [{p.data_ptr() for p in network.parameters()} for network in (first, second)]
    hint = "Make the layers inside the function, so that each call gives a new network."
    shared = places[0] & places[1]
    require(not shared, "a new network at each call", "two networks with the same weights", hint)
    for width, channels in _CASES:
        judge = _make(fn, width, channels)
        images = torch.rand(7, channels, 32, 32) * 2 - 1
        _expect_logits(judge, images)
        _expect_hidden_maps(judge, images, width)
        _expect_own_picture(judge, images)
        _expect_curved(judge, images)
        _expect_normalised(_make(fn, width, channels), channels)
        _expect_gradients(_make(fn, width, channels), images)
        _expect_unbounded(_make(fn, width, channels), images)


def _make(fn: Answer, width: int, channels: int) -> nn.Module:
    judge = call(fn, width, channels)
    hint = "Return a network that can be called with images, made of layers, not the class or its output."
    require(isinstance(judge, nn.Module), "an nn.Module", judge, hint)
    count = len(list(judge.parameters()))
    hint = (
        "Layers in a plain list are invisible to the optimiser: use nn.Sequential or nn.ModuleList."
    )
    require(count >= 4, "all weights in parameters()", f"{count} of them", hint)
    return judge.eval()


class _Heard(TorchFunctionMode):
    """Notes the names of all functions, those that shrank or pooled maps, and each LeakyReLU's map and slope."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.pooled: list[tuple[str, Tensor]] = []
        self.leaks: list[tuple[int, float]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result, name = func(*args, **(kwargs or {})), getattr(func, "__name__", "")
        self.names.add(name)
        if name in ("leaky_relu", "leaky_relu_") and isinstance(result, Tensor):
            slope = args[1] if len(args) > 1 else (kwargs or {}).get("negative_slope", 0.01)
            self.leaks.append((result.shape[-1], float(slope)))
        if isinstance(result, Tensor) and any(word in name for word in _POOLS):
            self.pooled.append((name, result))
        return result


def _expect_logits(judge: nn.Module, images: Tensor) -> None:
    for count in (len(images), 1):
        what = f"logits of {count} images"
        with _Heard() as heard:
            try:
                logits = call(judge, images[:count])
            except CheckFailed as failure:
                raise CheckFailed(
                    failure.expected, failure.got, _why_it_stopped(failure.got) or failure.hint
                ) from None
        expect_tensor(logits, (count,), what, torch.float32, _why_this_shape(logits, count))
    _expect_no_pooling(heard, logits)
    dead = bool(heard.names & {"relu", "relu_"})
    hint = "ReLU has no slope at negative numbers, and the generator learns from D's slope alone: use LeakyReLU(0.2)."
    require(not dead, "an activation that never dies", "ReLU", hint)
    _expect_leaks(heard)


def _expect_leaks(heard: _Heard) -> None:
    """Activations that were written out by hand cannot be heard, and are not asked for."""
    if not heard.leaks:
        return
    slopes = sorted({slope for _, slope in heard.leaks})
    came = f"slopes {', '.join(f'{slope:g}' for slope in slopes)}"
    hint = "LeakyReLU's argument is its slope at negative numbers: 0.2 in a DCGAN, 0.01 if nothing is said."
    require(all(abs(slope - 0.2) < 1e-6 for slope in slopes), "LeakyReLU(0.2)", came, hint)
    sizes = sorted({size for size, _ in heard.leaks}, reverse=True)
    hint = "LeakyReLU stands behind each of the three hidden maps and nowhere else: the last convolution gives logits."
    if 32 in sizes:
        hint = "A map of 32x32: the first convolution has to halve, too, or the last one sees 8x8."
    elif 2 in sizes:
        hint = "One halving too many: the last convolution makes one number out of 4x4."
    came = f"LeakyReLU at {', '.join(f'{size}x{size}' for size in sizes)}"
    require(sizes == [16, 8, 4], "LeakyReLU at 16x16, 8x8 and 4x4", came, hint)


def _why_it_stopped(came: str) -> str | None:
    if "must match" in came or "channels, but got" in came or "expected input" in came:
        return "One layer's outputs are not the next one's inputs, or the first does not take `channels` channels."
    if "kernel size can't" in came.lower():
        return "The maps are already smaller than the last kernel: how many halvings lead from 32 to 4?"
    return None


def _why_this_shape(logits: Any, count: int) -> str:
    if not isinstance(logits, Tensor):
        return "Return a tensor of logits."
    if logits.numel() > 1024 * count:
        return "The maps grow: a transposed convolution doubles them, and the right pyramid wants ordinary ones."
    if logits.dim() > 1 and logits.shape[:2] == (count, 2):
        return "Two numbers for each image: one logit says it all, since the fake's probability is 1 - D."
    if logits.numel() > count:
        return "More than one logit for each image: patches are judged. What is the size of the last map, and why?"
    return "One logit for each image, in a flat row: `nn.Flatten(0)` makes (B,) of (B, 1, 1, 1)."


def _expect_no_pooling(heard: _Heard, logits: Tensor) -> None:
    maps = [name for name, result in heard.pooled if result.dim() == 4 and result.shape[-1] > 1]
    ends = [name for name, result in heard.pooled if _same_numbers(result, logits)]
    hint = "No pooling and no shrinking: a convolution with stride 2 learns its own way to halve a map."
    require(not maps, "strided convolutions only", f"`{(maps or [''])[0]}` on a map", hint)
    hint = "The logit is a mean over patches: nobody looks at the picture as a whole. The last kernel covers all 4x4."
    require(not ends, "a last convolution over the whole map", f"`{(ends or [''])[0]}`", hint)


def _same_numbers(result: Tensor, logits: Tensor) -> bool:
    return result.numel() == logits.numel() and torch.equal(result.flatten(), logits.flatten())


def _expect_hidden_maps(judge: nn.Module, images: Tensor, width: int) -> None:
    """Look at the outputs of all inner layers; what is made without layers cannot be seen and is not asked for."""
    seen: dict[int, set[int]] = {}

    def note(_layer: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.dim() == 4:
            seen.setdefault(output.shape[-1], set()).add(output.shape[1])

    hooks = [m.register_forward_hook(note) for m in judge.modules() if m is not judge]
    judge(images)
    for hook in hooks:
        hook.remove()
    wanted = {16: width, 8: 2 * width, 4: 4 * width}
    for size, count in wanted.items():
        expected = f"{count} channels at {size}x{size} for width={width}"
        hint = "There is no map of that size: each convolution halves, (n + 2·1 - 4)/2 + 1 of n."
        require(not seen or size in seen, expected, f"maps of {sorted(seen)}", hint)
        hint = "`width` is the number of channels at 16x16; it doubles with each halving."
        if width in seen.get(4, ()) and 4 * width in seen.get(16, ()):
            hint = "The order is turned round: large maps have few channels, small maps many."
        require(not seen or count in seen[size], expected, str(sorted(seen.get(size, ()))), hint)


def _expect_own_picture(judge: nn.Module, images: Tensor) -> None:
    images = images.clone().requires_grad_(True)
    logits = judge(images)
    cut = "The graph is cut: no `detach`, `no_grad` or `.data` on the way."
    require(logits.requires_grad, "logits that gradients can flow back from", "a cut graph", cut)
    (slope,) = torch.autograd.grad(logits[0], images)
    hint = "In evaluation mode logit i depends on image i only: does a layer or a reshape mix the batch?"
    require(not slope[1:].any(), "an answer for each picture alone", "a mixture", hint)
    corners = slope[0][:, [0, 0, -1, -1], [0, -1, 0, -1]].abs().sum(0)
    hint = "One corner of the picture has no say: the answer is taken from a part of the map."
    require(bool((corners > 0).all()), "an answer that depends on all corners", corners, hint)


def _expect_curved(judge: nn.Module, images: Tensor) -> None:
    """Without activations the network is one affine map: f(a + b) - f(a) - f(b) + f(0) = 0."""
    a, b = images[:3].double(), -images[3:6].double().flip(-1)
    twin = judge.double()
    with torch.no_grad():
        both, at_a, at_b, zero = (twin(x) for x in (a + b, a, b, 0 * a))
    judge.float()
    bend = (both - at_a - at_b + zero).abs().mean() / (at_a - zero).abs().mean()
    hint = (
        "Without a non-linear function between them, all layers together are a single linear one."
    )
    require(not bend.item() < 1e-6, "activations between the layers", "a linear map", hint)


def _expect_normalised(judge: nn.Module, channels: int) -> None:
    with torch.no_grad(), Normalised() as heard:
        judge.train()(torch.rand(16, channels, 32, 32) * 2 - 1)
    sizes = {size for size in heard.sizes if size > 1}
    first = sizes & {16, 32}
    hint = "DCGAN leaves BatchNorm off D's first layer: the colours' mean and spread are what D must see."
    came = f"BatchNorm at {sorted(first)}"
    require(not first, "no BatchNorm before the 8x8 map", came, hint)
    last = [m for m in judge.modules() if isinstance(m, _BatchNorm) and m.num_features == 1]
    hint = "BatchNorm on the logits makes their mean 0 in every batch, whether it is real or fake."
    require(not last, "no BatchNorm on the logits", "one on a map of one channel", hint)
    for size in (8, 4):
        hint = f"After the second and third convolution comes BatchNorm: the {size}x{size} map has none."
        came = f"BatchNorm at {sorted(sizes) or 'no size'}"
        require(size in sizes, f"BatchNorm after the {size}x{size} map", came, hint)


def _expect_gradients(judge: nn.Module, images: Tensor) -> None:
    (judge.train()(images) * torch.randn(len(images))).sum().backward()
    trained = [(name, p.grad) for name, p in judge.named_parameters() if p.requires_grad]
    hint = (
        "Layers in a plain list are invisible to the optimiser: use nn.Sequential or nn.ModuleList."
    )
    require(len(trained) >= 4, "all weights in parameters()", f"{len(trained)} of them", hint)
    idle = [name for name, gradient in trained if gradient is None or not gradient.any()]
    hint = "These weights take no part in the logits: made but not used in `forward`, or cut off on the way."
    require(not idle, "a gradient for every parameter", f"none for {', '.join(idle[:3])}", hint)


def _expect_unbounded(judge: nn.Module, images: Tensor) -> None:
    """Turn the weights up until the logits must leave any range; then draw others, until both signs must come."""
    for parameter in judge.parameters():
        parameter.data.mul_(50)
    with torch.no_grad():
        logits = judge(torch.cat([images, -images, 0 * images]))
    low, high = logits.min().item(), logits.max().item()
    came = f"values from {low:.4g} to {high:.4g}"
    hint = "A probability, not a logit: no Sigmoid at the end, the loss has it inside."
    require(low < 0 or high > 1, "logits, which know no bounds", came, hint)
    hint = "Something bounds the output; a logit is what the last convolution gives."
    require(max(-low, high) > 1.01, "logits, which know no bounds", came, hint)
    lowest, highest = 0.0, 0.0
    for _ in range(20):
        for parameter in judge.parameters():
            parameter.data.normal_()
        with torch.no_grad():
            logits = judge(images)
        lowest, highest = min(lowest, logits.min().item()), max(highest, logits.max().item())
    hint = "All logits have one sign, whatever the weights: a log of a probability? The loss takes that log itself."
    came = "none above 0" if highest == 0 else "none below 0"
    require(lowest < 0 < highest, "logits of both signs", came, hint)
