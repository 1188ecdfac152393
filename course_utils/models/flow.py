"""Lesson 09's network on pictures: a velocity for each picture, time and class, its training step, and the walk.

The network sees a picture of half the size with four times the channels (space-to-depth): a convolution costs a
quarter, and a processor makes several times the steps in the same minutes.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.errors import CourseError
from course_utils.models import dcgan, shipped
from course_utils.models.modes import evaluation_mode

SHIPPED, SHIPPED_64 = "flow_cifar10", "flow_standin64"
PEAK = 1e-3
"""The largest learning rate of the schedule."""
DROPPED = 0.1
"""Share of the pictures whose label is left out in training, so that one network learns both velocities.

Source: Ho and Salimans 2022, arXiv 2207.12598, section 3.2."""
TIME_FEATURES = 64
METHODS = ("euler", "heun")


class Velocity(nn.Module):
    """A small U-Net: pictures, times and classes -> velocities.

    Args:
        size: pixels of a side, a multiple of 8.
        width: channels of the finest map; the coarser ones have twice and four times as many. A multiple of 4.
        classes: how many; the label ``classes`` means "no label".
        fold: pixels of a side that make one place of the finest map; 1 gives each pixel its own.
        layout: in which order the numbers of a map lie in memory.

    Source: Ronneberger et al. 2015, arXiv 1505.04597 (the U); Ho et al. 2020, arXiv 2006.11239, appendix B
        (its blocks).
    """

    def __init__(
        self,
        size: int = 32,
        width: int = 32,
        classes: int = 10,
        fold: int = 2,
        layout: torch.memory_format = torch.channels_last,
    ) -> None:
        super().__init__()
        self.size, self.width, self.classes = size, width, classes
        self.fold, self.layout = fold, layout
        widths, embedding = (width, 2 * width, 4 * width), 4 * width
        self.label = nn.Embedding(classes + 1, embedding)
        self.time = nn.Sequential(
            nn.Linear(TIME_FEATURES, embedding), nn.SiLU(), nn.Linear(embedding, embedding)
        )
        self.first = nn.Conv2d(3 * fold**2, width, 3, padding=1)
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        self.up, self.grow = nn.ModuleList(), nn.ModuleList()
        before = width
        for level, here in enumerate(widths):
            if level:
                self.shrink.append(nn.Conv2d(before, before, 3, stride=2, padding=1))
            self.down.append(Block(before, here, embedding))
            before = here
        self.middle = nn.ModuleList(
            [Block(before, before, embedding), Attention(before), Block(before, before, embedding)]
        )
        for level, here in reversed(list(enumerate(widths))):
            self.up.append(Block(before + here, here, embedding))
            if level:
                self.grow.append(nn.Conv2d(here, here, 3, padding=1))
            before = here
        self.norm = _norm(width)
        self.last = _silent(nn.Conv2d(width, 3 * fold**2, 3, padding=1))

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        """Velocities of pictures on the way.

        Args:
            x: (B, 3, size, size), noise at t = 0 and a picture in [-1, 1] at t = 1.
            t: (B,) in [0, 1].
            label: (B,) int64; ``classes`` means "no label".

        Returns:
            (B, 3, size, size).
        """
        about = F.silu(self.time(time_features(t)) + self.label(label))  # (B, embedding)
        h = F.pixel_unshuffle(x, self.fold).contiguous(memory_format=self.layout)
        h, skipped = self.first(h), []
        for level, block in enumerate(self.down):
            h = self.shrink[level - 1](h) if level else h
            h = block(h, about)
            skipped.append(h)
        first, attention, second = self.middle
        h = second(attention(first(h, about)), about)
        for level, block in enumerate(self.up):
            h = block(torch.cat([h, skipped.pop()], dim=1), about)
            if level < len(self.grow):
                h = self.grow[level](F.interpolate(h, scale_factor=2, mode="nearest"))
        return F.pixel_shuffle(self.last(F.silu(self.norm(h))), self.fold)


class Block(nn.Module):
    """Two convolutions beside a shortcut; time and class scale and shift the map between them."""

    def __init__(self, before: int, after: int, embedding: int) -> None:
        super().__init__()
        self.first = nn.Sequential(_norm(before), nn.SiLU(), nn.Conv2d(before, after, 3, padding=1))
        self.about, self.norm = nn.Linear(embedding, 2 * after), _norm(after)
        self.second = _silent(nn.Conv2d(after, after, 3, padding=1))
        self.shortcut = nn.Identity() if before == after else nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor, about: Tensor) -> Tensor:
        """(B, before, H, W) and (B, embedding) -> (B, after, H, W)."""
        scale, shift = self.about(about)[:, :, None, None].chunk(2, dim=1)
        h = self.norm(self.first(x)) * (1 + scale) + shift
        return self.shortcut(x) + self.second(F.silu(h))


class Attention(nn.Module):
    """Self-attention (lesson 05) between all places of a map, beside a shortcut."""

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.heads, self.norm = heads, _norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = _silent(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        batch, channels, height, width = x.shape
        parts = self.qkv(self.norm(x)).reshape(batch, 3, self.heads, channels // self.heads, -1)
        q, k, v = parts.transpose(3, 4).unbind(dim=1)  # (B, heads, H·W, C / heads)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(2, 3)
        return x + self.out(mixed.reshape(batch, channels, height, width))


def time_features(t: Tensor) -> Tensor:
    """Times (B,) in [0, 1] -> (B, 64): sines and cosines from a tenth of a turn to ten, as of lesson 05's positions."""
    turns = torch.logspace(-1, 1, TIME_FEATURES // 2, device=t.device)
    angle = 2 * math.pi * t.float()[:, None] * turns
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def sample_times(normal: Tensor) -> Tensor:
    """Times (B,) in (0, 1) out of N(0, 1): the middle of the way, where most is to be learned, comes most often.

    Source: Esser et al. 2024, arXiv 2403.03206, section 3.1 (logit-normal).
    """
    return torch.sigmoid(normal)


def make_optimizer(network: nn.Module, peak: float = PEAK) -> torch.optim.AdamW:
    """AdamW; set each group's ``lr`` before every step (`flow_step` does)."""
    groups = [{"params": list(network.parameters()), "initial_lr": peak}]  # a resumed run compares
    return torch.optim.AdamW(groups, lr=peak, betas=(0.9, 0.99), weight_decay=0.01, fused=True)


def learning_rate(step: int, steps: int, peak: float = PEAK) -> float:
    """Linear warm-up over at most 50 steps, then half a cosine down to a twentieth of the peak.

    Args:
        step: steps taken so far, from 0.
        steps: steps in all.
        peak: the largest rate.
    """
    warm_up = min(1.0, (step + 1) / max(1, min(50, steps // 10)))
    done = min(1.0, step / max(1, steps))
    return peak * warm_up * (0.05 + 0.475 * (1 + math.cos(math.pi * done)))


def flow_step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    label: Tensor,
    noise: Tensor,
    t: Tensor,
    lr: float,
    autocast: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> dict[str, float]:
    """One optimisation step; returns ``loss``, the mean squared error of the velocity, and ``t``, the mean time.

    Args:
        network: as `Velocity`.
        optimizer: holds its parameters.
        x: pictures (B, 3, H, W) in [-1, 1].
        label: (B,) int64, where a label is left out already ``network.classes``.
        noise: N(0, 1), as x.
        t: (B,) in [0, 1].
        lr: learning rate of this step.
        autocast: how convolutions are taken.

    Source: Lipman et al. 2022, arXiv 2210.02747; Tong et al. 2023, arXiv 2302.00482.
    """
    for group in optimizer.param_groups:
        group["lr"] = lr
    at = t[:, None, None, None]
    with autocast():
        velocity = network((1 - at) * noise + at * x, t, label)
    loss = F.mse_loss(velocity.float(), x - noise)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    return {"loss": loss.item(), "t": t.mean().item()}


@torch.no_grad()
def walk(
    network: Velocity,
    noise: Tensor,
    labels: Tensor,
    steps: int,
    method: str = "euler",
    guidance: float = 1.0,
    autocast: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Iterator[Tensor]:
    """The way from noise to pictures: the point before the first step and after each one, (B, 3, H, W).

    Args:
        network: as `Velocity`.
        noise: (B, 3, H, W), N(0, 1).
        labels: (B,) int64.
        steps: at least 1. A step of ``euler`` calls the network once, one of ``heun`` twice; a guidance other than 0
            and 1 doubles the calls.
        method: ``"euler"`` or ``"heun"``.
        guidance: 0 leaves the label out, 1 takes it, more goes beyond it.
        autocast: how convolutions are taken.

    Raises:
        CourseError: another method, or fewer steps than 1.
    """
    if method not in METHODS or steps < 1:
        raise CourseError(
            "flow-method",
            f"There is no walk by {method!r} in {steps} steps.",
            f"The methods are {' and '.join(METHODS)}, and a walk has at least one step.",
            'flow.sample(network, labels, steps=16, method="heun")',
        )
    none = torch.full_like(labels, network.classes)

    def velocity(x: Tensor, t: float) -> Tensor:
        times = torch.full((len(x),), t, device=x.device)
        with autocast():
            if guidance == 0:
                return network(x, times, none).float()
            with_label = network(x, times, labels).float()
            if guidance == 1:
                return with_label
            without = network(x, times, none).float()
        return without + guidance * (with_label - without)

    x = noise
    yield x
    for step in range(steps):
        slope = velocity(x, step / steps)
        if method == "heun":
            ahead = velocity(x + slope / steps, (step + 1) / steps)
            slope = (slope + ahead) / 2
        x = x + slope / steps
        yield x


def sample(
    network: Velocity,
    labels: Tensor,
    steps: int = 16,
    method: str = "euler",
    guidance: float = 1.0,
    generator: torch.Generator | None = None,
    autocast: Callable[[], AbstractContextManager[None]] = nullcontext,
    batch_size: int = 250,
) -> Tensor:
    """Pictures of the classes asked for: labels (N,) int64 -> uint8 (N, 3, H, W), on the processor.

    Args:
        network: as `Velocity`, with its ``size`` and ``classes``.
        labels: (N,) int64; ``network.classes`` means "any".
        steps: of the walk (see `walk` for what each costs).
        method: ``"euler"`` or ``"heun"``.
        guidance: 0 leaves the label out, 1 takes it, more goes beyond it.
        generator: of the noise; on the processor, so that pictures are the same on every device.
        autocast: how convolutions are taken.
        batch_size: pictures at a time.
    """
    device = next(network.parameters()).device
    found = []
    with evaluation_mode(network):
        for part in labels.split(batch_size):
            noise = torch.randn(len(part), 3, network.size, network.size, generator=generator)
            *_, last = walk(
                network, noise.to(device), part.to(device), steps, method, guidance, autocast
            )
            found.append(dcgan.to_bytes(last).cpu())
    return torch.cat(found)


def load_shipped(
    device: torch.device | str = "cpu", name: str = SHIPPED
) -> tuple[Velocity, dict[str, Any]]:
    """A network of one of the course's long runs, in evaluation mode, and the facts of that run.

    Args:
        device: where it goes.
        name: `SHIPPED`, which makes photographs of 32 pixels, or `SHIPPED_64`, which makes the stand-in's drawings of
            64.

    Raises:
        CourseError: the file is missing or damaged.
    """
    weights, facts = shipped.read(name)
    network = Velocity(int(facts["size"]), int(facts["width"]), int(facts["classes"]))
    network.load_state_dict(weights, assign=True)
    return network.to(device).eval(), facts


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(8, channels), channels)


def _silent(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer, giving 0 at first: a block then begins as its shortcut, and the network as "no velocity"."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
