"""Exercise `make_generator`: DCGAN's generator, from 1x1 maps to images of 32x32 pixels."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from course_utils.checks.core import Answer, CheckFailed, call, exercise, expect_tensor, require
from course_utils.checks.dcgan.shared import Normalised


def _generator_of_the_package(latent_dim: int, width: int, channels: int) -> nn.Module:
    from course_utils.models.dcgan import make_generator

    return make_generator(latent_dim, width, channels)


_WRONG_SIZES = {
    8: "Two layers end at 8x8 (1 -> 4 -> 8). How many doublings are there from 4 to 32?",
    16: "One doubling is missing: 1 -> 4 -> 8 -> 16 is not yet 32.",
    64: "One doubling too many: count the layers in 1 -> 4 -> 8 -> 16 -> 32.",
}

_SIZE = "The first layer makes 4x4 out of 1x1, each later one doubles: follow it with `conv_transpose_output_size`."
_POSITIVE = "No value is ever negative (sigmoid or ReLU at the end?), but the images' are."
_BATCH = "The batch size must stay free: keep it first, and use -1 or len(z) where you reshape."

_CASES = ((40, 8, 2), (128, 16, 1), (100, 64, 3))  # latent_dim, width, channels


@exercise(_generator_of_the_package)
def make_generator(fn: Answer) -> None:
    """Check ``make_generator(latent_dim, width, channels)``: (B, latent_dim, 1, 1) -> (B, channels, 32, 32).

    Any construction with these properties is right.
    """
    first, second = _make(fn, *_CASES[0]), _make(fn, *_CASES[0])
    places = [{p.data_ptr() for p in network.parameters()} for network in (first, second)]
    shared = places[0] & places[1]
    hint = "Make the layers inside the function, so that each call gives a new network."
    require(not shared, "a new network at each call", "two networks with the same weights", hint)
    for latent_dim, width, channels in _CASES:
        generator = _make(fn, latent_dim, width, channels)
        z = torch.randn(7, latent_dim, 1, 1)
        images = _expect_images(generator, z, channels)
        _expect_registered_weights(_make(fn, latent_dim, width, channels), z)
        _expect_images_of_their_own(generator, z, images)
        _expect_full_resolution(generator, latent_dim)
        _expect_hidden_maps(generator, z, width, channels)
        _expect_whole_range(_make(fn, latent_dim, width, channels), z)
        _expect_curved(generator, latent_dim)
        _expect_gradients(generator, z)
        _expect_batch_norm(_make(fn, latent_dim, width, channels), latent_dim)


def _make(fn: Answer, latent_dim: int, width: int, channels: int) -> nn.Module:
    generator = call(fn, latent_dim, width, channels)
    hint = "Return a network that can be called with z, made of layers, and not the class or its output."
    require(isinstance(generator, nn.Module), "an nn.Module", generator, hint)
    return generator.eval()


def _expect_images(generator: nn.Module, z: Tensor, channels: int) -> Tensor:
    try:
        images = call(generator, z)
    except CheckFailed as failure:
        hint = _why_it_stopped(generator, z, failure.got) or failure.hint
        raise CheckFailed(failure.expected, failure.got, hint) from None
    shape = (len(z), channels, 32, 32)
    what = f"the images for z of shape {tuple(z.shape)} with channels={channels}"
    expect_tensor(images, shape, what, torch.float32, _why_this_shape(images, shape))
    one = call(generator, z[:1])
    expect_tensor(one, (1, *shape[1:]), f"{what}, one vector only", torch.float32, _BATCH)
    finite, whence = images.isfinite().all().item(), "Where does infinity or NaN come from?"
    require(finite, f"{what}: finite numbers", images, whence)
    return images.detach()


def _why_this_shape(images: Any, shape: tuple[int, ...]) -> str:
    if not isinstance(images, Tensor) or images.dim() != 4:
        return "Images have four dimensions: (B, channels, 32, 32)."
    if images.shape[1:] == shape[1:]:
        return _BATCH
    if images.shape[2:] == shape[2:] and images.shape[0] == shape[0]:
        return "The last layer makes as many channels as the argument `channels` says (1 for grey images)."
    return _WRONG_SIZES.get(images.shape[-1], _SIZE)


_STOPPED = {
    "running_mean should contain": "BatchNorm is told how many channels come to it: as many as the layer before makes.",
    "Kernel size can't": "An ordinary convolution cannot grow a 1x1 map: here all layers are transposed.",
    "expected 2D or 3D input": "These are maps (B, C, H, W): BatchNorm2d takes each channel over all their pixels.",
}


def _why_it_stopped(generator: nn.Module, z: Tensor, came: str) -> str | None:
    for words, hint in _STOPPED.items():
        if words in came:
            return hint
    try:
        generator(z.flatten(1))
        return "This network wants z of shape (B, latent_dim). Here it comes as a 1x1 map: (B, D, 1, 1)."
    except Exception:
        layers = generator.modules()
        taken = [getattr(x, "in_channels", getattr(x, "in_features", None)) for x in layers]
        if z.shape[1] not in taken and any(taken):
            return "No layer takes `latent_dim` channels: the first layer's input must follow the argument."
        if "channels, but got" in came:
            return "One layer's outputs are not the next one's inputs: `width` counts the channels at 16x16."
    return None


def _expect_hidden_maps(generator: nn.Module, z: Tensor, width: int, channels: int) -> None:
    """Look at the outputs of all inner layers; what is made without layers cannot be seen and is not asked for."""
    seen: dict[int, set[int]] = {4: set(), 8: set(), 16: set()}
    normalised: list[tuple[int, ...]] = []

    def note(layer: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.dim() == 4:
            seen.setdefault(output.shape[-1], set()).add(output.shape[1])
            if isinstance(layer, _BatchNorm):
                normalised.append(tuple(output.shape[1:]))

    hooks = [m.register_forward_hook(note) for m in generator.modules() if m is not generator]
    generator(z)
    for hook in hooks:
        hook.remove()
    hint = "DCGAN leaves BatchNorm off the output layer: it would force one mean and one contrast on every batch."
    bare = (channels, 32, 32) not in normalised
    require(bare, "no BatchNorm on the images", "one before or after Tanh", hint)
    wanted = {4: 4 * width, 8: 2 * width, 16: width}
    transposed = any(isinstance(layer, nn.ConvTranspose2d) for layer in generator.modules())
    for size, count in wanted.items():
        got = str(sorted(seen[size]))
        expected = f"{count} channels at {size}x{size} for width={width}"
        hint = "There is no map of that size: double step by step, so that each scale has a layer of its own."
        require(bool(seen[size]) or not transposed or size == 4, expected, got, hint)
        require(not seen[size] or count in seen[size], expected, got, _why_these_maps(seen, width))


def _why_these_maps(seen: dict[int, set[int]], width: int) -> str:
    if width in seen[4] and 4 * width in seen[16]:
        return "The order is turned round: small maps have many channels, large maps few."
    if width != 64 and 256 in seen[4] and 64 in seen[16]:
        return "The channels stay at 256, 128, 64 whatever the argument `width` says."
    return "`width` is the number of channels at 16x16; it doubles with each step back to 4x4."


def _expect_registered_weights(generator: nn.Module, z: Tensor) -> None:
    """With all parameters at 0 nothing of z can come through, unless weights are hidden from `parameters()`."""
    parameters = list(generator.parameters())
    for parameter in parameters:
        parameter.data.zero_()
    images = generator(z)
    hidden = (images[0] - images[1]).abs().max().item() > 1e-6
    whole = bool(parameters) and not hidden
    hint = (
        "Layers in a plain list are invisible to the optimiser: use nn.Sequential or nn.ModuleList."
    )
    require(whole, "all weights in parameters()", "weights that are not in it", hint)


def _expect_whole_range(generator: nn.Module, z: Tensor) -> None:
    """Turn weights and z up until the output must reach its limits."""
    for parameter in generator.parameters():
        parameter.data.mul_(8)
    images = call(generator, 30 * z)
    low, high = images.min().item(), images.max().item()
    expected = "values between -1 and 1 that come near to both"
    got = f"values from {low:.4g} to {high:.4g}"
    hint = "Nothing bounds the output: which function maps every number into (-1, 1)?"
    require(max(-low, high) <= 1 + 1e-5, expected, got, hint)
    require(low < -1e-6, expected, got, _POSITIVE)
    hint = "Black (-1) and white (1) must both be within reach of the last function."
    require(low < -0.9 and high > 0.9, expected, got, hint)


def _expect_images_of_their_own(generator: nn.Module, z: Tensor, images: Tensor) -> None:
    spread = images.std(0).max().item()
    hint = "Every z gives the same image: does z reach the first layer?"
    varied = spread > 1e-6 * images.abs().max().item()
    require(varied, "other images for other z", "equal images", hint)
    tolerance = 1e-3 * spread
    again = (generator(z) - images).abs().max().item()
    hint = "All chance is in z: the network itself draws no noise in evaluation mode."
    came = f"a difference of {again:.3g}"
    require(again <= tolerance, "the same image for the same z", came, hint)
    alone = max((generator(z[i : i + 1])[0] - images[i]).abs().max().item() for i in (0, 4))
    hint = (
        "In evaluation mode image i depends on z[i] only: does a layer or a reshape mix the batch?"
    )
    came = f"a difference of {alone:.3g}"
    require(alone <= tolerance, "the same image alone as in a batch", came, hint)


def _expect_full_resolution(generator: nn.Module, latent_dim: int) -> None:
    """An 8x8 picture enlarged to 32x32 has rows of 32 pixels with 8 independent ones, by any interpolation."""
    with torch.no_grad():
        images = generator(torch.randn(128, latent_dim, 1, 1)).double()
    # The enlarging may stand before or after Tanh; in one of the two places it is linear.
    before = torch.atanh(images.clamp(-1 + 1e-9, 1 - 1e-9))
    independent = min(_independent_pixels(images), _independent_pixels(before))
    hint = "Some rows or columns do not vary freely: which pixels does no weight reach alone?"
    if images.min() == 0:
        hint = _POSITIVE
    elif 0 < independent <= 16:
        size = 8 if independent <= 8 else 16
        hint = f"This is a picture of {size}x{size} made larger: neighbours are copies or blends. Learn each scale."
    what = "32 independent pixels in each row and column"
    require(independent == 32, what, f"{independent} of them", hint)


def _independent_pixels(images: Tensor) -> int:
    """The smallest rank of any row or column over many images (N, C, 32, 32)."""
    centred = images - images.mean(0)
    rows, columns = centred.permute(1, 2, 0, 3), centred.permute(1, 3, 0, 2)
    lines = torch.cat([rows, columns]).flatten(0, 1)  # (2*C*32, N, 32)
    strengths = torch.linalg.eigvalsh(lines.mT @ lines)  # squared singular values, ascending
    return int((strengths > 1e-10 * strengths[:, -1:]).sum(1).min())


def _expect_curved(generator: nn.Module, latent_dim: int) -> None:
    """Without activations the network before Tanh is one affine map: f(a + b) - f(a) - f(b) + f(0) = 0."""
    a, b = 5 * torch.randn(2, 16, latent_dim, 1, 1)
    with torch.no_grad():
        both, at_a, at_b, zero = (torch.atanh(generator(z).double()) for z in (a + b, a, b, 0 * a))
    bend = (both - at_a - at_b + zero).abs().mean() / (both - zero).abs().mean()
    what, came = "activations between the layers", "a linear map and a function at its end"
    hint = (
        "Without a non-linear function between them, all layers together are a single linear one."
    )
    require(not bend.item() < 1e-4, what, came, hint)


def _expect_batch_norm(generator: nn.Module, latent_dim: int) -> None:
    with torch.no_grad(), Normalised() as heard:
        generator.train()(torch.randn(16, latent_dim, 1, 1))
    for size in (4, 8, 16):
        hint = f"After *each* hidden map comes BatchNorm, {size}x{size} as well: without it deep ones hardly learn."
        came = f"BatchNorm at {sorted(heard.sizes) or 'no size'}"
        require(size in heard.sizes, f"BatchNorm after the {size}x{size} map", came, hint)


def _expect_gradients(generator: nn.Module, z: Tensor) -> None:
    images = generator(z)
    hint = "The graph is cut: no `detach`, `no_grad`, `.data` or NumPy on the way from the weights to the images."
    what = "images that gradients can flow back from"
    require(images.requires_grad, what, "requires_grad is False", hint)
    (images * torch.randn_like(images)).sum().backward()
    trained = [(name, p.grad) for name, p in generator.named_parameters() if p.requires_grad]
    idle = [name for name, gradient in trained if gradient is None or not gradient.any()]
    hint = "These weights take no part in the images: made but not used in `forward`, or cut off on the way."
    require(not idle, "a gradient for every parameter", f"none for {', '.join(idle[:3])}", hint)
    images = call(generator.train(), z)
    finite = images.isfinite().all().item()
    require(finite, "finite images in training mode", images, "What differs in training mode?")
