"""The flow-matching loop as tutorials write it; the baseline of ``python3 run.py bench``.

PIL images through transforms and a DataLoader, float32, attention with all its scores in memory, the schedule as a
LambdaLR, an average that a Python loop updates tensor by tensor. The network's layers are lesson 09's; so are batch,
rates and times.
"""

import copy
import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader

from course_utils.datasets.images import ImageSet
from course_utils.models.flow import DROPPED, PEAK, learning_rate
from measuring.benchmarks.textbook_dcgan import Images


class Labelled(Images):
    """Pictures as PIL images with their classes, as torchvision's data sets keep them."""

    def __init__(self, pictures, labels) -> None:
        super().__init__(pictures)
        self.labels = labels

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return super().__getitem__(index), self.labels[index]


def normalization(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(8, channels), channels)


def zero_module(module: nn.Module) -> nn.Module:
    for p in module.parameters():
        p.detach().zero_()
    return module


def timestep_embedding(timesteps: torch.Tensor, dim: int = 64) -> torch.Tensor:
    freqs = 2 * math.pi * torch.logspace(-1, 1, dim // 2)
    args = timesteps[:, None] * freqs[None]
    return torch.cat([torch.sin(args), torch.cos(args)], dim=-1)


class ResBlock(nn.Module):
    def __init__(self, channels: int, out_channels: int, emb_channels: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(
            normalization(channels), nn.SiLU(), nn.Conv2d(channels, out_channels, 3, padding=1)
        )
        self.emb_layers = nn.Linear(emb_channels, 2 * out_channels)
        self.out_norm = normalization(out_channels)
        self.out_rest = nn.Sequential(
            nn.SiLU(), zero_module(nn.Conv2d(out_channels, out_channels, 3, padding=1))
        )
        self.skip_connection: nn.Module = nn.Identity()
        if out_channels != channels:
            self.skip_connection = nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: torch.Tensor, emb: torch.Tensor) -> torch.Tensor:
        h = self.in_layers(x)
        emb_out = self.emb_layers(emb)[..., None, None]
        scale, shift = torch.chunk(emb_out, 2, dim=1)
        h = self.out_norm(h) * (1 + scale) + shift
        return self.skip_connection(x) + self.out_rest(h)


class AttentionBlock(nn.Module):
    def __init__(self, channels: int, num_heads: int = 4) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm = normalization(channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = zero_module(nn.Conv1d(channels, channels, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, c, *spatial = x.shape
        x = x.reshape(b, c, -1)
        q, k, v = self.qkv(self.norm(x)).chunk(3, dim=1)
        ch = c // self.num_heads
        scale = 1 / math.sqrt(math.sqrt(ch))
        q, k, v = (part.reshape(b * self.num_heads, ch, -1) for part in (q, k, v))
        weight = torch.einsum("bct,bcs->bts", q * scale, k * scale)
        weight = torch.softmax(weight, dim=-1)
        h = torch.einsum("bts,bcs->bct", weight, v).reshape(b, c, -1)
        return (x + self.proj_out(h)).reshape(b, c, *spatial)


class UNet(nn.Module):
    def __init__(self, model_channels: int, num_classes: int) -> None:
        super().__init__()
        ch, emb = model_channels, 4 * model_channels
        self.label_emb = nn.Embedding(num_classes + 1, emb)
        self.time_embed = nn.Sequential(nn.Linear(64, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.conv_in = nn.Conv2d(12, ch, 3, padding=1)
        self.input_blocks = nn.ModuleList(
            [ResBlock(ch, ch, emb), ResBlock(ch, 2 * ch, emb), ResBlock(2 * ch, 4 * ch, emb)]
        )
        self.downsample = nn.ModuleList(
            [nn.Conv2d(c, c, 3, stride=2, padding=1) for c in (ch, 2 * ch)]
        )
        self.output_blocks = nn.ModuleList(
            [
                ResBlock(8 * ch, 4 * ch, emb),
                ResBlock(6 * ch, 2 * ch, emb),
                ResBlock(3 * ch, ch, emb),
            ]
        )
        self.upsample = nn.ModuleList([nn.Conv2d(c, c, 3, padding=1) for c in (4 * ch, 2 * ch)])
        self.middle_block = nn.ModuleList(
            [ResBlock(4 * ch, 4 * ch, emb), AttentionBlock(4 * ch), ResBlock(4 * ch, 4 * ch, emb)]
        )
        self.out_norm = normalization(ch)
        self.out = zero_module(nn.Conv2d(ch, 12, 3, padding=1))

    def forward(self, x: torch.Tensor, timesteps: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        emb = self.time_embed(timestep_embedding(timesteps)) + self.label_emb(y)
        emb = F.silu(emb)
        hs = []
        h = self.conv_in(F.pixel_unshuffle(x, 2))
        for i, block in enumerate(self.input_blocks):
            if i > 0:
                h = self.downsample[i - 1](h)
            h = block(h, emb)
            hs.append(h)
        h = self.middle_block[0](h, emb)
        h = self.middle_block[1](h)
        h = self.middle_block[2](h, emb)
        for i, block in enumerate(self.output_blocks):
            h = torch.cat([h, hs.pop()], dim=1)
            h = block(h, emb)
            if i < len(self.upsample):
                h = F.interpolate(h, scale_factor=2, mode="nearest")
                h = self.upsample[i](h)
        return F.pixel_shuffle(self.out(F.silu(self.out_norm(h))), 2)


class EMA:
    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.shadow = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        for s, p in zip(self.shadow.parameters(), model.parameters(), strict=True):
            s.mul_(self.decay).add_(p, alpha=1 - self.decay)


class ConditionalFlowMatcher:
    def sample_location_and_conditional_flow(self, x0: torch.Tensor, x1: torch.Tensor):
        t = torch.sigmoid(torch.randn(x1.shape[0]))
        t_ = t.view(-1, 1, 1, 1)
        xt = t_ * x1 + (1 - t_) * x0
        ut = x1 - x0
        return t, xt, ut


def train(images: ImageSet, settings: dict, state: dict) -> Iterator[dict[str, float]]:
    """Train for ever; after each step yields its loss and the number of images that it used.

    Args:
        images: 32 x 32 pictures with their classes.
        settings: ``batch_size``, ``width``, ``average`` and ``steps``, over which the rate falls.
        state: gets the ``network`` and its average, ``averaged``.
    """
    dataset = Labelled(
        images.images.permute(0, 2, 3, 1).contiguous().numpy(), images.labels.tolist()
    )
    dataloader = DataLoader(
        dataset, batch_size=settings["batch_size"], shuffle=True, num_workers=settings["workers"]
    )
    classes = len(images.classes)
    model = UNet(settings["width"], classes)
    ema = EMA(model, settings["average"])
    state["network"], state["averaged"] = model, ema.shadow
    FM = ConditionalFlowMatcher()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0, betas=(0.9, 0.99), weight_decay=0.01)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate(step, settings["steps"], PEAK)
    )
    while True:
        for x1, y in dataloader:
            optimizer.zero_grad()
            x0 = torch.randn_like(x1)
            t, xt, ut = FM.sample_location_and_conditional_flow(x0, x1)
            y[torch.rand(len(y)) < DROPPED] = classes
            vt = model(xt, t, y)
            loss = torch.mean((vt - ut) ** 2)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            ema.update(model)
            yield {"loss": loss.item(), "examples": len(x1)}
