"""Lesson 02: right and wrong answers to its exercises."""

import math
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torchvision import transforms

from answers import book

RIGHT, WRONG, right, wrong = book()


# ---- conv_transpose_output_size


@right("conv_transpose_output_size")
def size_by_formula(size, kernel_size, stride, padding):
    return (size - 1) * stride - 2 * padding + kernel_size


@right("conv_transpose_output_size")
def size_by_layer(size, kernel_size, stride, padding):
    return nn.ConvTranspose2d(1, 1, kernel_size, stride, padding)(
        torch.zeros(1, 1, size, size)
    ).shape[-1]


@right("conv_transpose_output_size")
def size_by_counting(size, kernel_size, stride, padding):
    touched = {i * stride + k for i in range(size) for k in range(kernel_size)}
    return max(touched) + 1 - padding - padding


WRONG["conv_transpose_output_size"] += [
    (lambda i, k, s, p: (i + 2 * p - k) // s + 1, "ordinary convolution"),
    (lambda i, k, s, p: (i - 1) * s + k, "Padding is missing"),
    (lambda i, k, s, p: (i - 1) * s - p + k, "cropped at one side"),
    (lambda i, k, s, p: (i - 1) * s + 2 * p + k, "Which way"),
    (lambda i, k, s, p: i * s, "Input times stride"),
    (lambda i, k, s, p: i * s - 2 * p + k, "fence posts"),
    (lambda i, k, s, p: (i - 1) * s - 2 * p + k - 1, "Short by one"),
    (lambda i, k, s, p: (i - 1) * s - 2 * p, "kernel is missing"),
    (lambda i, k, s, p: (i - 1) * s - 2 * p + k + 1, "Long by one"),
    (lambda i, k, s, p: ((i - 1) * s * s - 2 * p * s + k * s) / s, "`/` makes a float"),
    (lambda i, k, s, p: ((i - 1) * s - 2 * p + k,) * 2, "one plain int"),
    (lambda i, k, s, p: {(7, 9, 4, 3): 27}.get((i, k, s, p), -1), "term by term"),
]


# ---- to_tanh_range


@right("to_tanh_range")
def range_by_halves(images):
    return images.float() / 127.5 - 1


@right("to_tanh_range")
def range_by_numpy(images):
    return torch.from_numpy(np.interp(images.numpy(), [0, 255], [-1, 1]).astype("float32"))


@right("to_tanh_range")
def range_in_place_on_a_copy(images):
    return images.to(torch.float32).div_(255).mul_(2).sub_(1)


def min_max(images, dims):
    x = images.float()
    low, high = x.amin(dims, keepdim=True), x.amax(dims, keepdim=True)
    return 2 * (x - low) / (high - low) - 1


def imagenet(images):
    return transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])(images / 255)


def overwriting(images):
    images //= 2
    return images.float() / 63.5 - 1


def remembering_nothing(images):
    result = images / 127.5 - 1
    images.zero_()
    return result


def by_three_channels(images):
    half = torch.full((3, 1, 1), 0.5)
    return (images.float() / 255 - half) / half


def in_four_dimensions(images):
    height, width = images.shape[2:]
    return images.float().view(-1, images.shape[1], height, width) / 127.5 - 1


def bright_only(images):
    return images / 127.5 - 1 if images.max() > 1 else images * 2.0 - 1


RIGHT["to_tanh_range"] += [
    lambda images: (images.double() / 127.5 - 1).float(),
    lambda images: torch.from_numpy(np.asarray(images.numpy() / 127.5 - 1, dtype=np.float32)),
]
WRONG["to_tanh_range"] += [
    (by_three_channels, "shape is free"),
    (in_four_dimensions, "shape is free"),
    (lambda x: transforms.Normalize((0.5,) * 3, (0.5,) * 3)(x / 255), "shape is free"),
    (
        lambda x: transforms.Normalize([0.5] * x.shape[-3], [0.5] * x.shape[-3])(x / 255),
        "shape is free",
    ),
    (bright_only, "same byte always"),
    (lambda x: x / 255, "[0, 1]"),
    (lambda x: transforms.ConvertImageDtype(torch.float32)(x), "[0, 1]"),
    (lambda x: x / 127.5, "[0, 2]"),
    (lambda x: x / 255 - 0.5, "[-0.5, 0.5]"),
    (lambda x: x / 128 - 1, "0.992"),
    (lambda x: 1 - x / 127.5, "exchanged"),
    (imagenet, "ImageNet"),
    (lambda x: (x.float() - x.float().mean()) / x.float().std(), "deviation 1"),
    (lambda x: min_max(x, (1, 2, 3)), "Each image's own"),
    (lambda x: min_max(x, (0, 1, 2, 3)), "The whole batch's own"),
    (lambda x: (x * 2 - 255).float() / 255, "wraps round"),
    (lambda x: (x - 128).float() / 127.5, "wraps round"),
    (lambda x: x.double() / 127.5 - 1, "another float type"),
    (lambda x: (x / 127.5 - 1).half(), "another float type"),
    (lambda x: (x / 127.5 - 1).to(torch.uint8), "whole numbers"),
    (lambda x: (x / 127.5 - 1).permute(0, 2, 3, 1), "stay in place"),
    (overwriting, "In-place"),
    (remembering_nothing, "In-place"),
    (lambda x: (x / 127.5 - 1) * 0.9999999, "rounded"),
    (lambda x: (x.float() / 127.5 - 1) ** 3, "term by term"),
]


# ---- init_dcgan_weights


def draws(
    conv=(nn.Conv2d, nn.ConvTranspose2d),
    norm=nn.BatchNorm2d,
    centre=0.0,
    scale=0.02,
    mean=1.0,
    std=0.02,
    biases=True,
):
    """A solution with parts to get wrong."""

    def init(module):
        if isinstance(module, conv):
            nn.init.normal_(module.weight, centre, scale)
        elif isinstance(module, norm):
            nn.init.normal_(module.weight, mean, std)
        if biases and isinstance(module, (*conv, norm)) and module.bias is not None:
            nn.init.zeros_(module.bias)

    return init


RIGHT["init_dcgan_weights"].append(draws())


@right("init_dcgan_weights")
def init_by_name(module):
    kind = type(module).__name__
    if kind.startswith("Conv"):
        module.weight.data.normal_(0.0, 0.02)
    elif kind.startswith("BatchNorm"):
        module.weight.data.normal_(1.0, 0.02)
    if kind.startswith(("Conv", "BatchNorm")) and module.bias is not None:
        module.bias.data.fill_(0)
    return module


@right("init_dcgan_weights")
def init_with_new_parameters(module):
    match module:
        case nn.Conv2d() | nn.ConvTranspose2d():
            module.weight = nn.Parameter(
                torch.distributions.Normal(0.0, 0.02).sample(module.weight.shape)
            )
        case nn.BatchNorm2d():
            module.weight = nn.Parameter(
                1 + torch.from_numpy(np.random.normal(0, 0.02, len(module.weight))).float()
            )
        case _:
            return
    if module.bias is not None:
        module.bias = nn.Parameter(torch.zeros_like(module.bias))


@right("init_dcgan_weights")
@torch.no_grad()
def init_from_the_top(module):
    for layer in module.modules():
        draws()(layer)


def after_right(change, **parts):
    def init(module):
        draws(**parts)(module)
        change(module)

    return init


@torch.no_grad()
def uniform(module):
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        module.weight.uniform_(-0.02 * 3**0.5, 0.02 * 3**0.5)


@torch.no_grad()
def every_layer(module):
    if isinstance(module, nn.Linear):
        module.weight.normal_(0, 0.02)


@torch.no_grad()
def all_equal(module):
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        module.weight.fill_(0.02)


@torch.no_grad()
def own_generator(module):
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        module.weight.normal_(0, 0.02, generator=torch.Generator().manual_seed(0))


def blind_bias(module):
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0, 0.02)
        module.bias.data.zero_()


WRONG["init_dcgan_weights"] += [
    (draws(centre=1.0), "Mean 1 belongs"),
    (draws(scale=0.2), "Ten times"),
    (draws(scale=math.sqrt(0.02)), "variance"),
    (draws(scale=0.02**2), "squared"),
    (after_right(all_equal), "All weights are equal"),
    (draws(scale=0.0), "All weights are 0"),
    (draws(scale=0.03), "Which of the two numbers"),
    (after_right(uniform), "bell"),
    (draws(mean=0.0), "switches nearly every channel off"),
    (draws(std=0.0), "exactly 1"),
    (draws(norm=nn.Bilinear), "BatchNorm's weights were left out"),
    (draws(conv=(nn.Conv2d,)), "Transposed convolutions were left out"),
    (lambda module: None, "which class do they have"),
    (draws(biases=False), "Biases start at 0"),
    (after_right(every_layer), "ask for the class"),
    (
        after_right(lambda m: m.reset_running_stats() if isinstance(m, nn.BatchNorm2d) else None),
        "ask for the class",
    ),
    (after_right(lambda m: torch.manual_seed(0)), "set it outside"),
    (after_right(own_generator), "same numbers"),
    (blind_bias, "bias=False"),
    (after_right(lambda m: m.requires_grad_(False)), "Undo the freezing"),
]


# ---- make_generator


def layers(
    latent_dim, width, channels, order=(4, 2, 1), relu=nn.ReLU, last=nn.Tanh, norm=nn.BatchNorm2d
):
    """A solution with parts to get wrong, as a list."""
    maps = [width * factor for factor in order]
    parts = [nn.ConvTranspose2d(latent_dim, maps[0], 4, 1, 0, bias=False)]
    for before, after in zip(maps, [*maps[1:], channels], strict=True):
        parts += [norm(before), relu(), nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)]
    return [*parts, last()]


@right("make_generator")
def sequential(latent_dim, width, channels):
    return nn.Sequential(*layers(latent_dim, width, channels))


@right("make_generator")
def with_biases_and_other_activation(latent_dim, width, channels):
    def block(before, after):
        layers = (
            nn.ConvTranspose2d(before, after, 4, 2, 1),
            nn.LeakyReLU(0.1),
            nn.BatchNorm2d(after),
        )
        return nn.Sequential(*layers)

    first = nn.Sequential(
        nn.ConvTranspose2d(latent_dim, 4 * width, 4), nn.BatchNorm2d(4 * width), nn.SiLU()
    )
    blocks = block(4 * width, 2 * width), block(2 * width, width)
    return nn.Sequential(first, *blocks, nn.ConvTranspose2d(width, channels, 4, 2, 1), nn.Tanh())


@right("make_generator")
class Projected(nn.Module):
    """Project and reshape, as in the paper's figure; functions instead of layers where possible."""

    def __init__(self, latent_dim, width, channels):
        super().__init__()
        self.width = width
        self.project = nn.Linear(latent_dim, 4 * width * 4 * 4)
        self.steps = nn.ModuleList(
            [
                nn.ConvTranspose2d(a, b, 2, 2)
                for a, b in ((4 * width, 2 * width), (2 * width, width), (width, channels))
            ]
        )
        self.norms = nn.ModuleList([nn.BatchNorm2d(width * factor) for factor in (4, 2, 1)])

    def forward(self, z):
        x = self.project(z.flatten(1)).view(-1, 4 * self.width, 4, 4)
        for norm, step in zip(self.norms, self.steps, strict=True):
            x = step(F.relu(norm(x)))
        return torch.tanh(x)


class OwnNorm(nn.Module):
    """BatchNorm by hand, with running means."""

    def __init__(self, count):
        super().__init__()
        self.scale, self.shift = (
            nn.Parameter(fill(count, 1, 1)) for fill in (torch.ones, torch.zeros)
        )
        self.register_buffer("mean", torch.zeros(count, 1, 1))
        self.register_buffer("variance", torch.ones(count, 1, 1))

    def forward(self, x):
        mean, variance = self.mean, self.variance
        if self.training:
            mean = x.mean((0, 2, 3))[:, None, None]
            variance = (x - mean).square().mean((0, 2, 3))[:, None, None]
            self.mean.lerp_(mean.detach(), 0.1)
            self.variance.lerp_(variance.detach(), 0.1)
        return (x - mean) / (variance + 1e-5).sqrt() * self.scale + self.shift


@right("make_generator")
def resize_and_convolve(latent_dim, width, channels):
    def step(before, after, mode):
        return nn.Upsample(scale_factor=2, mode=mode), nn.Conv2d(before, after, 3, padding=1)

    return nn.Sequential(
        nn.ConvTranspose2d(latent_dim, 4 * width, 4),
        OwnNorm(4 * width),
        nn.ReLU(),
        *step(4 * width, 2 * width, "nearest"),
        OwnNorm(2 * width),
        nn.ReLU(),
        *step(2 * width, width, "bilinear"),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        *step(width, channels, "nearest"),
        nn.Tanh(),
    )


@right("make_generator")
def shuffled_and_initialised(latent_dim, width, channels):
    def step(before, after):
        return nn.Conv2d(before, 4 * after, 3, padding=1), nn.PixelShuffle(2)

    network = nn.Sequential(
        nn.Linear(latent_dim, 64 * width),
        nn.BatchNorm1d(64 * width),
        nn.Unflatten(1, (4 * width, 4, 4)),
        *step(4 * width, 2 * width),
        nn.BatchNorm2d(2 * width),
        nn.ELU(),
        *step(2 * width, width),
        nn.BatchNorm2d(width),
        nn.ELU(),
        *step(width, channels),
        nn.Hardtanh(),
    )
    network.insert(0, nn.Flatten())
    return network


@right("make_generator")
def with_small_weights(latent_dim, width, channels):
    return sequential(latent_dim, width, channels).apply(draws())


class Wrapped(nn.Module):
    """A right network with a function before and one after it."""

    def __init__(self, network, before=lambda z: z, after=lambda x: x):
        super().__init__()
        self.network, self.before, self.after = network, before, after

    def forward(self, z):
        return self.after(self.network(self.before(z)))


def enlarged(scale, mode, tanh_first=False):
    def make(latent_dim, width, channels):
        full = layers(latent_dim, width, channels)
        parts = full[:4] if scale == 4 else full[:7]
        parts[-1] = nn.ConvTranspose2d(parts[-1].in_channels, channels, 4, 2, 1)
        end = [nn.Tanh(), nn.Upsample(scale_factor=scale, mode=mode)]
        return nn.Sequential(*parts, *(end if tanh_first else end[::-1]))

    return make


def short(count):
    """The first `count` transposed convolutions, the last of them making the image."""

    def make(latent_dim, width, channels):
        sizes = [*[latent_dim, 4 * width, 2 * width, width, width][:count], channels]
        parts = [
            nn.ConvTranspose2d(a, b, 4, 1 + (i > 0), int(i > 0))
            for i, (a, b) in enumerate(pairwise(sizes))
        ]
        return nn.Sequential(*[part for p in parts for part in (p, nn.ReLU())][:-1], nn.Tanh())

    return make


def changed(**parts):
    return lambda *sizes: nn.Sequential(*layers(*sizes, **parts))


def wrapped(**functions):
    return lambda *sizes: Wrapped(sequential(*sizes), **functions)


def jumping(latent_dim, width, channels):
    return nn.Sequential(
        nn.ConvTranspose2d(latent_dim, 4 * width, 4),
        nn.ReLU(),
        nn.ConvTranspose2d(4 * width, channels, 8, 8),
        nn.Tanh(),
    )


def norm_on_images(latent_dim, width, channels):
    return nn.Sequential(
        *layers(latent_dim, width, channels)[:-1], nn.BatchNorm2d(channels), nn.Tanh()
    )


def norm_only_on_images(latent_dim, width, channels):
    parts = layers(latent_dim, width, channels, norm=lambda c: nn.Identity())
    return nn.Sequential(*parts[:-1], nn.BatchNorm2d(channels), nn.Tanh())


def flat(latent_dim, width, channels):
    first = nn.Linear(latent_dim, 64 * width), nn.Unflatten(1, (4 * width, 4, 4))
    return nn.Sequential(*first, *layers(latent_dim, width, channels)[1:])


class InAList(nn.Module):
    def __init__(self, *sizes):
        super().__init__()
        self.parts = layers(*sizes)

    def forward(self, z):
        for part in self.parts:
            z = part(z)
        return z


class Idle(nn.Module):
    def __init__(self, *sizes):
        super().__init__()
        self.network, self.unused = sequential(*sizes), nn.Linear(3, 3)

    def forward(self, z):
        return self.network(z)


class NoForward(nn.Module):
    def __init__(self, *sizes):
        super().__init__()


ONE_NETWORK = {}


def remembered(*sizes):
    return ONE_NETWORK.setdefault(sizes, sequential(*sizes))


def noisy(z):
    return z + torch.randn_like(z)


def without_norm(*sizes):
    """No BatchNorm after the maps of these sizes."""

    def make(latent_dim, width, channels):
        skipped = {width * 16 // size for size in sizes}
        norm = lambda count: nn.Identity() if count in skipped else nn.BatchNorm2d(count)  # noqa: E731
        return nn.Sequential(*layers(latent_dim, width, channels, norm=norm))

    return make


WRONG["make_generator"] += [
    (without_norm(4, 8, 16), "*each* hidden map"),
    (without_norm(16), "*each* hidden map"),
    (without_norm(8), "*each* hidden map"),
    (without_norm(4), "*each* hidden map"),
    (changed(norm=lambda count: nn.GroupNorm(1, count)), "*each* hidden map"),
    (changed(norm=nn.InstanceNorm2d), "*each* hidden map"),
    (short(2), "Two layers end at 8x8"),
    (short(3), "One doubling is missing"),
    (short(5), "One doubling too many"),
    (enlarged(4, "nearest"), "picture of 8x8 made larger"),
    (enlarged(4, "bilinear"), "picture of 8x8 made larger"),
    (enlarged(4, "bicubic", tanh_first=True), "picture of 8x8 made larger"),
    (enlarged(2, "nearest", tanh_first=True), "picture of 16x16 made larger"),
    (enlarged(2, "bilinear"), "picture of 16x16 made larger"),
    (jumping, "There is no map of that size"),
    (changed(last=nn.Sigmoid), "No value is ever negative"),
    (changed(last=nn.Identity), "Nothing bounds"),
    (wrapped(after=lambda x: 0.5 * x), "within reach"),
    (changed(order=(1, 2, 4)), "turned round"),
    (changed(order=(8, 4, 2)), "number of channels at 16x16"),
    (
        lambda latent_dim, width, channels: sequential(latent_dim, 64, channels),
        "whatever the argument `width`",
    ),
    (
        lambda latent_dim, width, channels: sequential(100, width, channels),
        "must follow the argument",
    ),
    (lambda latent_dim, width, channels: sequential(latent_dim, width, 3), "`channels` says"),
    (norm_on_images, "BatchNorm off the output"),
    (norm_only_on_images, "BatchNorm off the output"),
    (flat, "(B, latent_dim)"),
    (changed(relu=nn.Identity), "single linear one"),
    (changed(norm=lambda c: nn.BatchNorm2d(c, track_running_stats=False)), "mix the batch"),
    (wrapped(before=lambda z: z[:1].expand(len(z), -1, -1, -1)), "does z reach"),
    (wrapped(before=lambda z: 0 * z), "does z reach"),
    (wrapped(before=lambda z: z - z.mean(0)), "mix the batch"),
    (wrapped(before=noisy), "draws no noise"),
    (wrapped(after=lambda x: x.detach()), "graph is cut"),
    (wrapped(after=lambda x: F.pad(x[..., 1:-1, 1:-1], (1, 1, 1, 1))), "do not vary freely"),
    (wrapped(after=lambda x: x[0]), "four dimensions"),
    (wrapped(after=lambda x: x[:1]), "batch size must stay free"),
    (wrapped(after=lambda x: x.squeeze(0)), "batch size must stay free"),
    (wrapped(after=lambda x: x.double()), "Convert with"),
    (wrapped(before=lambda z: z.mul_(2)), "In-place"),
    (InAList, "plain list"),
    (Idle, "take no part"),
    (NoForward, "stopped with an error"),
    (remembered, "inside the function"),
    (lambda *sizes: Projected, "Return a network"),
    (
        lambda latent_dim, *rest: sequential(latent_dim, *rest)(torch.randn(1, latent_dim, 1, 1)),
        "Return a network",
    ),
]


# ---- slerp


def angle_between(z0, z1):
    return torch.arccos(F.cosine_similarity(z0, z1, dim=1).clamp(-1, 1))[:, None]


@right("slerp")
def slerp(z0, z1, t):
    angle = angle_between(z0, z1)
    sine = torch.sin(angle)
    curved = (torch.sin((1 - t) * angle) * z0 + torch.sin(t * angle) * z1) / sine
    return torch.where(sine < 1e-6, (1 - t) * z0 + t * z1, curved)


@right("slerp")
def slerp_row_by_row(z0, z1, t):
    rows = []
    for a, b in zip(z0, z1, strict=True):
        cosine = float(torch.dot(a, b) / (a.norm() * b.norm()))
        angle = math.acos(max(-1.0, min(1.0, cosine)))
        if cosine > 0.9999 or math.sin(angle) < 1e-6:
            rows.append(a + t * (b - a))
            continue
        rows.append(
            a * (math.sin((1 - t) * angle) / math.sin(angle))
            + b * (math.sin(t * angle) / math.sin(angle))
        )
    return torch.stack(rows)


@right("slerp")
def slerp_by_sinc(z0, z1, t):
    angle = angle_between(z0, z1)
    whole = torch.special.sinc(angle / torch.pi)
    weights = [u * torch.special.sinc(u * angle / torch.pi) / whole for u in (1 - t, t)]
    line = (1 - t) * z0 + t * z1
    return torch.where(whole.abs() < 1e-6, line, weights[0] * z0 + weights[1] * z1)


@right("slerp")
def slerp_of_direction_and_length(z0, z1, t):
    u, v = F.normalize(z0, dim=1), F.normalize(z1, dim=1)
    length = (1 - t) * z0.norm(dim=1, keepdim=True) + t * z1.norm(dim=1, keepdim=True)
    return slerp(u, v, t) * length


def with_angle(angle_of, safe=True):
    def answer(z0, z1, t):
        angle = angle_of(z0, z1)
        curved = (torch.sin((1 - t) * angle) * z0 + torch.sin(t * angle) * z1) / torch.sin(angle)
        line = (1 - t) * z0 + t * z1
        return torch.where(torch.sin(angle).abs() < 1e-6, line, curved) if safe else curved

    return answer


def unit(z):
    return F.normalize(z, dim=1)


def lerp(z0, z1, t):
    return torch.lerp(z0, z1, t)


def normalised_lerp(z0, z1, t):
    return unit(lerp(z0, z1, t)) * lerp(z0.norm(dim=1), z1.norm(dim=1), t)[:, None]


def branch_for_all_rows(z0, z1, t):
    angle = angle_between(z0, z1)
    return (
        lerp(z0, z1, t)
        if (torch.sin(angle) < 1e-6).all()
        else with_angle(angle_between, safe=False)(z0, z1, t)
    )


def other_way_round(z0, z1, t):
    obtuse = (z0 * z1).sum(1, keepdim=True) < 0
    return slerp(z0, torch.where(obtuse, -z1, z1), t)


def padded_sine(z0, z1, t):
    angle = angle_between(z0, z1)
    return (torch.sin((1 - t) * angle) * z0 + torch.sin(t * angle) * z1) / (torch.sin(angle) + 1e-2)


def by_cosine(z0, z1, t):
    """Nearly parallel rows are treated apart, opposite ones are not."""
    angle = angle_between(z0, z1)
    curved = (torch.sin((1 - t) * angle) * z0 + torch.sin(t * angle) * z1) / torch.sin(angle)
    return torch.where(torch.cos(angle) > 1 - 1e-6, (1 - t) * z0 + t * z1, curved)


def by_small_angle(z0, z1, t):
    angle = angle_between(z0, z1)
    curved = (torch.sin((1 - t) * angle) * z0 + torch.sin(t * angle) * z1) / torch.sin(angle)
    return torch.where(angle < 1e-3, (1 - t) * z0 + t * z1, curved)


def zeros_between_opposites(z0, z1, t):
    return by_cosine(z0, z1, t).nan_to_num(0.0, 0.0, 0.0).clamp(-50, 50)


WRONG["slerp"] += [
    (by_cosine, "Opposite vectors"),
    (by_small_angle, "Opposite vectors"),
    (zeros_between_opposites, "Opposite vectors"),
    (lerp, "straight line. It cuts"),
    (normalised_lerp, "pushed out"),
    (lambda z0, z1, t: unit(lerp(z0, z1, t)), "pushed out"),
    (with_angle(lambda a, b: torch.rad2deg(angle_between(a, b))), "radians"),
    (lambda z0, z1, t: slerp(z1, z0, t), "exchanged"),
    (with_angle(lambda a, b: torch.arccos((a * b).sum(1, keepdim=True))), "plain dot product"),
    (
        with_angle(
            lambda a, b: torch.arccos((a * b).sum(1, keepdim=True).clamp(-1, 1)), safe=False
        ),
        "plain dot product",
    ),
    (with_angle(angle_between, safe=False), "treat them apart"),
    (branch_for_all_rows, "treat them apart"),
    (
        with_angle(lambda a, b: torch.arccos(F.cosine_similarity(a.flatten(), b.flatten(), 0))),
        "whole batch",
    ),
    (with_angle(lambda a, b: torch.arccos(F.cosine_similarity(a, b, dim=0))), "which mixes"),
    (with_angle(lambda a, b: F.cosine_similarity(a, b)[:, None]), "not yet the angle"),
    (lambda z0, z1, t: slerp(z0, z1, t) * torch.sin(angle_between(z0, z1)), "not divided"),
    (other_way_round, "quaternions"),
    (lambda z0, z1, t: slerp(unit(z0), unit(z1), t), "length is lost"),
    (
        lambda z0, z1, t: slerp(unit(z0), unit(z1), t) * z0.norm(dim=1, keepdim=True),
        "length is lost",
    ),
    (padded_sine, "end itself must come back"),
    (lambda z0, z1, t: slerp(z0, z1, min(max(t, 0.01), 0.99)), "end itself must come back"),
    (lambda z0, z1, t: slerp(z0, z1, t * t), "two weights"),
    (lambda z0, z1, t: slerp(z0, z1, t).double(), "Convert with"),
    (lambda z0, z1, t: slerp(z0, z1, t)[:, None], "One vector for each row"),
    (lambda z0, z1, t: slerp(z0.mul_(1.0001), z1, t), "In-place"),
]
