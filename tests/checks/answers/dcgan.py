"""Lesson 02: right and wrong answers to its exercises."""

import copy
import math
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

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
    (lambda i, k, s, p: {(7, 9, 4, 3): 27}.get((i, k, s, p), -1), "By hand: 3 stamps"),
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
        "collects while it trains",
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
    (lambda z0, z1, t: slerp(z0, z1, t * t), "One row: z0"),
    (lambda z0, z1, t: slerp(z0, z1, t).double(), "Convert with"),
    (lambda z0, z1, t: slerp(z0, z1, t)[:, None], "One vector for each row"),
    (lambda z0, z1, t: slerp(z0.mul_(1.0001), z1, t), "In-place"),
]


# ---- make_discriminator


def halves(before, after, norm=nn.BatchNorm2d, act=nn.LeakyReLU):
    return [nn.Conv2d(before, after, 4, 2, 1, bias=False), norm(after), act(0.2)]


@right("make_discriminator")
def judge_in_a_row(width, channels):
    return nn.Sequential(
        nn.Conv2d(channels, width, 4, 2, 1),
        nn.LeakyReLU(0.2),
        *halves(width, 2 * width),
        *halves(2 * width, 4 * width),
        nn.Conv2d(4 * width, 1, 4),
        nn.Flatten(0),
    )


@right("make_discriminator")
class Judge(nn.Module):
    """Functions instead of layers where possible, a linear layer at the end."""

    def __init__(self, width, channels):
        super().__init__()
        sizes = [channels, width, 2 * width, 4 * width]
        self.halve = nn.ModuleList([nn.Conv2d(a, b, 3, 2, 1) for a, b in pairwise(sizes)])
        self.norms = nn.ModuleList([nn.BatchNorm2d(2 * width), nn.BatchNorm2d(4 * width)])
        self.last = nn.Linear(4 * width * 16, 1)

    def forward(self, x):
        for number, layer in enumerate(self.halve):
            x = layer(x)
            x = F.leaky_relu(self.norms[number - 1](x) if number else x, 0.2)
        return self.last(x.flatten(1)).squeeze(1)


@right("make_discriminator")
def judge_with_small_weights(width, channels):
    return judge_in_a_row(width, channels).apply(draws())


def judge(first=None, norm=nn.BatchNorm2d, act=nn.LeakyReLU, end=None, order=(1, 2, 4), last=None):
    """The right network but for what is given."""

    def make(width, channels):
        a, b, c = (factor * width for factor in order)
        start = [nn.Conv2d(channels, a, 4, 2, 1), *(first(a) if first else []), act(0.2)]
        tail = end() if end else [nn.Flatten(0)]
        body = [*halves(a, b, norm, act), *halves(b, c, norm, act)]
        return nn.Sequential(*start, *body, (last or nn.Conv2d)(c, 1, 4), *tail)

    return make


class Reshaped(nn.Module):
    """A right network with a function before and one after it."""

    def __init__(self, network, before=lambda x: x, after=lambda x: x):
        super().__init__()
        self.network, self.before, self.after = network, before, after

    def forward(self, x):
        return self.after(self.network(self.before(x)))


def reshaped(**functions):
    return lambda *sizes: Reshaped(judge_in_a_row(*sizes), **functions)


def patches(width, channels):
    """Two halvings only: a map of 5x5 logits for each picture."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 4, 2, 1),
        nn.LeakyReLU(0.2),
        *halves(width, 2 * width),
        nn.Conv2d(2 * width, 1, 4),
        nn.Flatten(0),
    )


class MeanOfPatches(nn.Module):
    def __init__(self, width, channels):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            *halves(width, 2 * width),
            *halves(2 * width, 4 * width),
            nn.Conv2d(4 * width, 1, 3, 1, 1),
        )

    def forward(self, x):
        return self.body(x).mean((1, 2, 3))


def pooled(width, channels):
    def block(before, after, norm):
        return [nn.Conv2d(before, after, 3, 1, 1), norm(after), nn.LeakyReLU(0.2), nn.AvgPool2d(2)]

    return nn.Sequential(
        *block(channels, width, nn.Identity),
        *block(width, 2 * width, nn.BatchNorm2d),
        *block(2 * width, 4 * width, nn.BatchNorm2d),
        nn.Conv2d(4 * width, 1, 4),
        nn.Flatten(0),
    )


class JudgeInAList(nn.Module):
    def __init__(self, *sizes):
        super().__init__()
        self.parts = list(judge_in_a_row(*sizes))

    def forward(self, x):
        for part in self.parts:
            x = part(x)
        return x


class IdleJudge(nn.Module):
    def __init__(self, *sizes):
        super().__init__()
        self.network, self.unused = judge_in_a_row(*sizes), nn.Linear(3, 3)

    def forward(self, x):
        return self.network(x)


ONE_JUDGE = {}


def remembered_judge(*sizes):
    return ONE_JUDGE.setdefault(sizes, judge_in_a_row(*sizes))


WRONG["make_discriminator"] += [
    (patches, "patches are judged"),
    (judge(end=list), "in a flat row"),
    (judge(end=lambda: [nn.Flatten()]), "in a flat row"),
    (judge(end=lambda: [nn.Flatten(0), nn.Sigmoid()]), "no Sigmoid at the end"),
    (judge(end=lambda: [nn.Flatten(0), nn.Tanh()]), "bounds the output"),
    (MeanOfPatches, "mean over patches"),
    (pooled, "No pooling and no shrinking"),
    (judge(act=lambda _: nn.ReLU()), "use LeakyReLU"),
    (judge(act=lambda _: nn.Identity()), "a single linear one"),
    (judge(first=lambda a: [nn.BatchNorm2d(a)]), "off D's first layer"),
    (judge(norm=lambda _: nn.Identity()), "second and third convolution"),
    (judge(norm=lambda c: nn.GroupNorm(1, c)), "second and third convolution"),
    (judge(end=lambda: [nn.BatchNorm2d(1), nn.Flatten(0)]), "BatchNorm on the logits"),
    (judge(order=(4, 2, 1)), "turned round"),
    (judge(order=(2, 4, 8)), "doubles with each halving"),
    (lambda width, channels: judge_in_a_row(64, channels), "doubles with each halving"),
    (lambda width, channels: judge_in_a_row(width, 3), "does not take `channels`"),
    (reshaped(before=lambda x: x - x.mean(0)), "mix the batch"),
    (reshaped(before=lambda x: F.pad(x[..., :-4], (0, 4))), "One corner"),
    (
        reshaped(before=lambda x: F.avg_pool2d(x, 2).repeat(1, 1, 2, 2)),
        "No pooling and no shrinking",
    ),
    (reshaped(after=lambda x: x.detach()), "graph is cut"),
    (reshaped(after=lambda x: x.double()), "Convert with"),
    (JudgeInAList, "plain list"),
    (IdleJudge, "take no part"),
    (remembered_judge, "inside the function"),
    (lambda *sizes: Judge, "not the class"),
]


# ---- slope


class evaluation:
    """Within this block a network is in evaluation mode; afterwards its layers have their modes back."""

    def __init__(self, network, put_back=True):
        self.modes = [(layer, layer.training) for layer in network.modules()]
        self.put_back = put_back

    def __enter__(self):
        for layer, _ in self.modes:
            layer.training = False

    def __exit__(self, *_):
        for layer, mode in self.modes if self.put_back else ():
            layer.training = mode


def gradients(discriminator, real, of=torch.sum, graph=True):
    real = real.detach().clone().requires_grad_(True)
    return torch.autograd.grad(of(discriminator(real)), real, create_graph=graph)[0]


def squared(gradient):
    return gradient.square().flatten(1).sum(1).mean()


@right("slope")
def slope_in_evaluation_mode(discriminator, real):
    with evaluation(discriminator):
        return squared(gradients(discriminator, real))


@right("slope")
def slope_one_by_one(discriminator, real):
    with evaluation(discriminator):
        lengths = [gradients(discriminator, picture).norm() ** 2 for picture in real.split(1)]
    return sum(lengths) / len(real)


@right("slope")
def slope_of_a_copy_that_shares_its_weights(discriminator, real):
    twin = copy.deepcopy(discriminator).eval()
    weights = dict(discriminator.named_parameters())
    call = lambda x: torch.func.functional_call(twin, weights, (x,))  # noqa: E731
    return squared(gradients(call, real))


@right("slope")
def slope_with_norms_alone_in_evaluation_mode(discriminator, real):
    norms = [m for m in discriminator.modules() if isinstance(m, nn.BatchNorm2d) and m.training]
    for norm in norms:
        norm.eval()
    came = squared(gradients(discriminator, real))
    for norm in norms:
        norm.train()
    return came


def in_evaluation(reduce, put_back=True, **how):
    def answer(discriminator, real):
        with evaluation(discriminator, put_back):
            return reduce(gradients(discriminator, real, **how))

    return answer


def own_in_the_batch(discriminator, real):
    real = real.clone().requires_grad_(True)
    rows = [torch.autograd.grad(a, real, create_graph=True)[0] for a in discriminator(real)]
    return torch.stack([row[i].square().sum() for i, row in enumerate(rows)]).mean()


def one_by_one_in_training(discriminator, real):
    return torch.stack([squared(gradients(discriminator, x)) for x in real.split(1)]).mean()


def always_training_afterwards(discriminator, real):
    discriminator.eval()
    came = squared(gradients(discriminator, real))
    discriminator.train()
    return came


def by_backward(discriminator, real):
    with evaluation(discriminator):
        real = real.clone().requires_grad_(True)
        discriminator(real).sum().backward(create_graph=True)
        return squared(real.grad)


def on_the_callers_own(discriminator, real):
    with evaluation(discriminator):
        real.requires_grad_(True)
        logits = discriminator(real).sum()
        return squared(torch.autograd.grad(logits, real, create_graph=True)[0])


def without_asking_for_gradients(discriminator, real):
    with evaluation(discriminator):
        return squared(torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)[0])


def by_another_copy(discriminator, real):
    with evaluation(discriminator):
        x = real.clone().requires_grad_(True)
        logits = discriminator(real).sum()
        return squared(torch.autograd.grad(logits, x, create_graph=True)[0])


WRONG["slope"] += [
    (lambda d, real: squared(gradients(d, real)), "BatchNorm mixes the batch"),
    (lambda d, real: squared(gradients(d.train(), real)), "BatchNorm mixes the batch"),
    (own_in_the_batch, "inside the batch"),
    (one_by_one_in_training, "that picture's own mean"),
    (in_evaluation(lambda g: g.flatten(1).norm(dim=1).mean()), "These are lengths"),
    (in_evaluation(lambda g: g.square().sum()), "mean over the batch"),
    (in_evaluation(lambda g: g.square().mean()), "A mean over pixels"),
    (in_evaluation(squared, of=torch.mean), "by B twice"),
    (in_evaluation(lambda g: squared(g) / 2), "Half of it"),
    (in_evaluation(squared, of=lambda a: a.sigmoid().sum()), "slope of the probability"),
    (in_evaluation(lambda g: g.square().flatten(1).sum(1)), "A single number"),
    (in_evaluation(squared, put_back=False), "in which it was"),
    (always_training_afterwards, "in which it was"),
    (in_evaluation(squared, graph=False), "`create_graph=True`"),
    (lambda d, real: slope_in_evaluation_mode(d, real).detach(), "`create_graph=True`"),
    (by_backward, "`autograd.grad`"),
    (on_the_callers_own, "ask it of a copy"),
    (without_asking_for_gradients, "before D sees them"),
    (by_another_copy, "D was not asked"),
]


# ---- further ones, of which no test had been


def all_or_nothing(z0, z1, t):
    angle = torch.arccos(F.cosine_similarity(z0, z1).clamp(-1, 1))[:, None]
    if (angle.sin() < 1e-3).any():
        return (1 - t) * z0 + t * z1
    return (torch.sin((1 - t) * angle) * z0 + torch.sin(t * angle) * z1) / angle.sin()


WRONG["slerp"] += [(all_or_nothing, "the whole batch took")]


# ---- a second reader's mistakes


def without_parentheses(size, kernel_size, stride, padding):
    return size - 1 * stride - 2 * padding + kernel_size


WRONG["conv_transpose_output_size"] += [
    (without_parentheses, "multiplies before it subtracts"),
    (lambda i, k, s, p: i * k - 2 * p, "lie side by side here; in"),
    (lambda i, k, s, p: (i - 1 - 2 * p) * s + k, "counted in strides"),
    (lambda i, k, s, p: (i - 1) * s + k - s * p, "A whole stride is cut"),
    (lambda i, k, s, p: (i - 1) * (s - 2 * p) + k, "Every distance"),
    (lambda i, k, s, p: i * (k - p - p), "Every stamp is cut"),
    (lambda i, k, s, p: (i + 1) * s + k - 2 * p, "Two distances too many"),
]


def norms_one_step_ahead(latent_dim, width, channels):
    parts = layers(latent_dim, width, channels)
    parts[1] = nn.BatchNorm2d(2 * width)
    return nn.Sequential(*parts)


def maps_that_do_not_meet(latent_dim, width, channels):
    parts = layers(latent_dim, width, channels)
    parts[3] = nn.ConvTranspose2d(2 * width, 2 * width, 4, 2, 1)
    return nn.Sequential(*parts)


def ordinary_first(latent_dim, width, channels):
    first = nn.Conv2d(latent_dim, 4 * width, 4)
    return nn.Sequential(first, *layers(latent_dim, width, channels)[1:])


WRONG["make_generator"] += [
    (norms_one_step_ahead, "how many channels come to it"),
    (maps_that_do_not_meet, "not the next one's inputs"),
    (ordinary_first, "cannot grow a 1x1 map"),
    (changed(norm=nn.BatchNorm1d), "BatchNorm2d takes each channel"),
    (changed(last=lambda: nn.Sequential(nn.ReLU(), nn.Tanh())), "No value is ever negative"),
    (changed(last=nn.ReLU), "No value is ever negative"),
]


@right("make_generator")
def with_dropout_and_a_last_bias(latent_dim, width, channels):
    parts = layers(
        latent_dim, width, channels, relu=lambda: nn.Sequential(nn.ReLU(), nn.Dropout(0.3))
    )
    parts[-2] = nn.ConvTranspose2d(width, channels, 4, 2, 1)
    nn.init.constant_(parts[-2].bias, 0.5)
    return nn.Sequential(*parts)


def two_logits(width, channels):
    return nn.Sequential(
        *list(judge_in_a_row(width, channels))[:-2], nn.Conv2d(4 * width, 2, 4), nn.Flatten()
    )


def one_halving_too_many(width, channels):
    body = list(judge_in_a_row(width, channels))[:-2]
    return nn.Sequential(
        *body, *halves(4 * width, 8 * width), nn.Conv2d(8 * width, 1, 2), nn.Flatten(0)
    )


def first_one_does_not_halve(width, channels):
    body = list(judge_in_a_row(width, channels))[1:-2]
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, 1, 1), *body, nn.Conv2d(4 * width, 1, 8), nn.Flatten(0)
    )


def growing(width, channels):
    first = nn.ConvTranspose2d(channels, width, 4, 2, 1)
    return nn.Sequential(
        first, nn.LeakyReLU(0.2), nn.ConvTranspose2d(width, 1, 4, 2, 1), nn.Flatten(0)
    )


WRONG["make_discriminator"] += [
    (judge(end=lambda: [nn.Flatten(0), nn.LogSigmoid()]), "All logits have one sign"),
    (judge(end=lambda: [nn.Flatten(0), nn.Softplus()]), "All logits have one sign"),
    (two_logits, "one logit says it all"),
    (one_halving_too_many, "One halving too many"),
    (first_one_does_not_halve, "first convolution has to halve"),
    (growing, "The maps grow"),
]


def every_bias(module):
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def plain_tensor(module):
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        module.weight = 0.02 * torch.randn_like(module.weight)


def under_autograds_eyes(module):
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        module.weight.normal_(0, 0.02)


def walks_by_itself(module):
    for layer in module:
        draws()(layer)


def asks_the_bias(module):
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias:
            nn.init.zeros_(module.bias)


WRONG["init_dcgan_weights"] += [
    (every_bias, "without weights: ask for the class first"),
    (plain_tensor, "an nn.Parameter"),
    (under_autograds_eyes, "Autograd watches"),
    (walks_by_itself, "walks through the network itself"),
    (asks_the_bias, "`is not None`"),
]


def of_a_copy(discriminator, real):
    return squared(gradients(copy.deepcopy(discriminator).eval(), real))


def by_the_weights(discriminator, real):
    with evaluation(discriminator):
        logits, weights = discriminator(real).sum(), list(discriminator.parameters())
        rows = torch.autograd.grad(logits, weights, create_graph=True)
    return sum(row.square().sum() for row in rows)


def of_all_logits(discriminator, real):
    with evaluation(discriminator):
        real = real.clone().requires_grad_(True)
        return squared(torch.autograd.grad(discriminator(real), real, create_graph=True)[0])


def tuple_and_all(discriminator, real):
    with evaluation(discriminator):
        real = real.clone().requires_grad_(True)
        found = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
        return squared(found)


WRONG["slope"] += [
    (of_a_copy, "weights of a copy"),
    (by_the_weights, "gradient by D's weights"),
    (of_all_logits, "starts from one number"),
    (tuple_and_all, "returns a tuple"),
    (in_evaluation(lambda g: g.sum((1, 2, 3)).square().mean()), "Added first and squared"),
    (in_evaluation(torch.norm), "One length for the whole batch"),
    (in_evaluation(lambda g: g.norm(dim=1).square().mean()), "colour channels alone"),
    (in_evaluation(lambda g: g.square().sum((2, 3)).mean()), "channel by itself"),
    (in_evaluation(lambda g: (g.flatten(1).norm(dim=1) - 1).square().mean()), "towards 1"),
]


def without_keepdim(z0, z1, t):
    angle = torch.arccos(F.cosine_similarity(z0, z1, dim=1).clamp(-1, 1))
    return (torch.sin((1 - t) * angle) * z0 + torch.sin(t * angle) * z1) / torch.sin(angle)


def one_if_for_all(z0, z1, t):
    angle = angle_between(z0, z1)
    return lerp(z0, z1, t) if angle.sin() < 1e-6 else slerp(z0, z1, t)


def by_math(z0, z1, t):
    angle = math.acos(F.cosine_similarity(z0, z1, dim=1))
    return (math.sin((1 - t) * angle) * z0 + math.sin(t * angle) * z1) / math.sin(angle)


def guarded_division(z0, z1, t):
    angle = angle_between(z0, z1)
    curved = torch.sin((1 - t) * angle) * z0 + torch.sin(t * angle) * z1
    return curved / torch.sin(angle).clamp_min(1e-4)


def first_end_where_parallel(z0, z1, t):
    parallel = torch.sin(angle_between(z0, z1)) < 1e-3
    return torch.where(parallel, z1 if t == 1 else z0, slerp(z0, z1, t))


def sines_of_shares(z0, z1, t):
    angle = angle_between(z0, z1)
    return (math.sin(1 - t) * angle * z0 + math.sin(t) * angle * z1) / angle.sin()


WRONG["slerp"] += [
    (without_keepdim, "makes a column (B, 1)"),
    (one_if_for_all, "would decide for all rows"),
    (by_math, "`math` takes one number"),
    (guarded_division, "Only the parallel rows"),
    (first_end_where_parallel, "Only the parallel rows"),
    (
        with_angle(lambda a, b: torch.arccos((a / a.norm() * b / b.norm()).sum(1, keepdim=True))),
        "length of the whole batch",
    ),
    (sines_of_shares, "belongs to the angle"),
    (
        with_angle(lambda a, b: torch.arcsin(F.cosine_similarity(a, b)[:, None])),
        "arcsin leads back",
    ),
    (
        lambda z0, z1, t: (
            torch.cos(t * angle_between(z0, z1)) * z0 + torch.sin(t * angle_between(z0, z1)) * z1
        ),
        "at right angles",
    ),
]
