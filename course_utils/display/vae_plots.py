"""Figures of lesson 03: a bound and its gap, rows of pictures, bounds by draws, rate and distortion.

Each function returns a finished figure for `plots.show`.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.datasets.images import ImageSet
from course_utils.display import palette, plots
from course_utils.models import vae
from course_utils.models.modes import evaluation_mode


def elbo_bars(parts: Mapping[str, tuple[Any, Any]], log_px: Any, floor: float = -16.0) -> Figure:
    """One bar for each q: the ELBO, and on top of it the gap, which fills it up to log p(x).

    Args:
        parts: name of q -> ELBO and gap, in nats.
        log_px: the exact log p(x), in nats.
        floor: where the bars start, in nats.
    """
    figure, (ax,) = plots.subplots(width=7.5, height=3.2)
    names, top = list(parts), float(log_px)
    elbos, gaps = ([float(both[k]) for both in parts.values()] for k in (0, 1))
    ax.bar(names, [bound - floor for bound in elbos], bottom=floor, label="ELBO")
    label = "gap: KL(q ‖ posterior)"
    ax.bar(names, gaps, bottom=elbos, label=label, hatch="//", edgecolor="white")
    for place, (bound, gap) in enumerate(zip(elbos, gaps, strict=True)):
        ax.text(place, floor + 0.4, _signed(bound), ha="center", color="white")
        above = {"textcoords": "offset points", "ha": "center", "va": "bottom"}
        ax.annotate(f"gap {gap:.2f}", (place, top), (0, 2), **above)
    end = len(names) - 0.5
    ax.hlines(top, -0.5, end, color=palette.BLACK, linestyle=":", linewidth=1)
    ax.text(end + 0.05, top, f"log p(x)\n= {_signed(top)}", va="center")
    ax.set(ylim=(floor, 1), xlim=(-0.5, end), ylabel="nats")
    ax.grid(visible=False)
    plots.legend_above(ax)
    return figure


def picture_rows(rows: Mapping[str, Tensor], title: str) -> Figure:
    """Rows of pictures, each under its name.

    Args:
        rows: name -> uint8 (N, 3, H, W), as many in each row.
        title: above all of them; names the data.
    """
    figure, axes = plots.subplots(len(rows), 1, width=8.5, height=0.4 + 0.82 * len(rows))
    for ax, (name, images) in zip(axes, rows.items(), strict=True):
        plots.image_grid(ax, images, len(images), name)
    figure.suptitle(title, fontsize=10)
    return figure


def loss_lines(
    networks: Mapping[str, vae.VAE],
    pictures: ImageSet,
    betas: Mapping[str, float],
    findings: Mapping[str, Mapping[str, Any]],
) -> Figure:
    """For each loss line nine reconstructions (left) and nine samples (right) of the network that it trained.

    Args:
        networks: name of the line -> its network.
        pictures: held-out ones; the first nine are shown.
        betas: name -> the beta of the line.
        findings: name -> ``active`` units and ``kl`` in nats, as the laboratory's `examine` gives them.
    """
    figure, axes = plots.subplots(
        len(networks) + 1, 2, width=9.4, height=0.4 + 0.8 * (len(networks) + 1)
    )
    originals = pictures.images[:9]
    plots.image_grid(axes[0], originals, 9, "held-out pictures, and below their reconstructions")
    blank = torch.full_like(originals, 255)  # so that both titles stand on one line
    plots.image_grid(axes[1], blank, 9, "below: samples")
    for left, right, (name, network) in zip(axes[2::2], axes[3::2], networks.items(), strict=True):
        codes, _ = vae.encode_means(network, originals)
        drawn = torch.randn(codes.shape, generator=torch.Generator().manual_seed(5))
        used = f"{findings[name]['active']} of {codes.shape[1]} latents used"
        rebuilt, sampled = (vae.decode_bytes(network, z) for z in (codes, drawn))
        plots.image_grid(left, rebuilt, 9, f"{name}: β = {betas[name]:.4g}")
        plots.image_grid(right, sampled, 9, f"{used}, KL {findings[name]['kl']:.1f} nats")
    figure.suptitle(pictures.title("one network, trained by each line"), fontsize=10)
    return figure


def reconstructions(networks: Mapping[str, vae.VAE], pictures: Tensor, title: str) -> Figure:
    """Held-out pictures, and below them a row for each network that reconstructs them.

    Args:
        networks: name -> network.
        pictures: uint8 (N, 3, H, W).
        title: above all of them; names the data.
    """
    rows = {"held-out": pictures}
    for name, network in networks.items():
        codes, _ = vae.encode_means(network, pictures)
        rows[f"reconstructed: {name}"] = vae.decode_bytes(network, codes)
    return picture_rows(rows, title)


def training_progress(
    history: Mapping[str, Sequence[float]],
    bits: Sequence[float],
    network: vae.VAE,
    pictures: Tensor,
    z: Tensor,
    title: str,
) -> Figure:
    """Bits per dimension and KL by step, and beside them what the network makes of pictures and of draws.

    Args:
        history: ``step``, and ``kl`` in nats per picture.
        bits: per dimension, at each step.
        network: a VAE, whose layers are left in the modes in which they were.
        pictures: held-out ones, uint8 (N, 3, H, W).
        z: (N, D), from the prior.
        title: above the pictures; names the data.
    """
    with evaluation_mode(network):
        codes, _ = vae.encode_means(network, pictures)
        rebuilt, sampled = (vae.decode_bytes(network, each) for each in (codes, z))
    rows = {"held-out": pictures, "rebuilt": rebuilt, "sampled": sampled}
    steps = history["step"]
    figure, axes = plots.subplots(1, 3, width=10, height=2.7)
    axes[0].get_gridspec().set_width_ratios((1, 1, 1.7))
    plots.curves(axes[0], steps, {"bits": bits}, "step", "bits per dimension", smooth=25)
    plots.curves(axes[1], steps, {"KL": history["kl"]}, "step", "KL (nats per picture)", smooth=25)
    pictures = torch.cat(list(rows.values()))
    columns, side = len(pictures) // len(rows), pictures.shape[-2] + 2
    plots.image_grid(axes[2], pictures, columns, title)
    for place, name in enumerate(rows):
        axes[2].text(-4, (place + 0.5) * side, name, ha="right", va="center", fontsize=9)
    return figure


def bound_by_draws(
    draws: Sequence[int], values: Sequence[float], errors: Sequence[float], exact: float
) -> Figure:
    """The importance-weighted bound by the number of draws inside its logarithm, and the exact log p(x).

    Args:
        draws: K, rising.
        values: the bound for each, in nats.
        errors: their standard errors.
        exact: log p(x), in nats.
    """
    figure, (ax,) = plots.subplots(width=7, height=2.7)
    label = "IWAE bound (± two standard errors)"
    arms = [2 * float(error) for error in errors]
    ax.errorbar(draws, values, arms, marker="o", capsize=3, label=label)
    ax.axhline(exact, color=palette.BLACK, linestyle=":", label="log p(x), exact")
    if draws[0] == 1:
        beside = {"textcoords": "offset points", "va": "center"}
        ax.annotate("K = 1: the ELBO", (1, float(values[0])), (10, 0), **beside)
    ax.set(xscale="log", xlabel="K, draws inside the log", ylabel="nats")
    ax.set_xticks(draws, [f"{k:,}" for k in draws])
    ax.minorticks_off()
    ax.legend(frameon=False, loc="lower right")
    return figure


def side_by_side(pictures: Mapping[str, Tensor], columns: int = 10) -> Figure:
    """Blocks of pictures beside one another: title -> uint8 (N, 3, H, W), N at least 2 * ``columns``."""
    figure, axes = plots.subplots(1, len(pictures), width=10, height=2.4)
    for ax, (title, images) in zip(axes, pictures.items(), strict=True):
        plots.image_grid(ax, images, columns, title)
    return figure


def rate_distortion(
    points: Mapping[int, tuple[float, float]], prices: Sequence[float], title: str
) -> Figure:
    """The error of networks by the nats of their codes, with what a nat of code saves between neighbours.

    Args:
        points: beta -> rate (KL in nats per picture) and distortion (error in grey levels), the rate falling.
        prices: nats of pixels per nat of code between two neighbours.
        title: names the data.
    """
    figure, (ax,) = plots.subplots(width=7.5, height=3.2)
    ax.plot(*zip(*points.values(), strict=True), "o-")
    for beta, point in points.items():
        ax.annotate(f"β = {beta:,}", point, (7, 5), textcoords="offset points")
    below = {"textcoords": "offset points", "ha": "right", "color": palette.VERMILION}
    for price, ((a, low), (b, high)) in zip(prices, pairwise(points.values()), strict=True):
        ax.annotate(f"{price:.0f}", ((a + b) / 2, (low * high) ** 0.5), (-4, -14), **below)
    ax.set(xlabel="rate: KL (nats per picture)", ylabel="distortion: error (grey levels)")
    ax.set(yscale="log", ylim=(3.4, 33), xlim=(-0.5, 15.2))
    ax.set_yticks((4, 6, 10, 20, 30), ("4", "6", "10", "20", "30"))
    ax.minorticks_off()
    ax.set_title(title, loc="left", fontsize=10)
    return figure


def kl_bars(findings: Mapping[str, Mapping[str, Any]], title: str) -> Figure:
    """The KL of each latent dimension, largest first; one Axes for each network.

    Args:
        findings: name -> ``active`` units and ``kl_per_dim``, as the laboratory's `examine` gives them.
        title: names the data.
    """
    figure, axes = plots.subplots(1, len(findings), width=10, height=2.6)
    top = 1.15 * max(found["kl_per_dim"][0] for found in findings.values())
    for ax, (name, found) in zip(axes, findings.items(), strict=True):
        _one_kl(ax, found["kl_per_dim"], top)
        ax.set_title(f"{name}: {found['active']} active", fontsize=10)
    axes[0].set_ylabel("KL (nats)")
    figure.suptitle(title, fontsize=10)
    return figure


def _one_kl(ax: Axes, each: Sequence[float], top: float) -> None:
    count, largest = len(each), max(each)
    ax.bar(range(1, count + 1), each)
    ticks = sorted({1, count, *range(4, count - 1, 4)})
    ax.set(xlabel="latent dimension, sorted", ylim=(0, top), xticks=ticks)
    ax.set_axisbelow(True)
    ax.grid(visible=False, axis="x")
    if largest < 0.02 * top:  # bars that nobody sees look like a figure that is broken
        text = f"all {count} bars are there:\nnone is above {largest:.3f} nats"
        ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes)
    else:
        ax.text(count + 0.5, 0.93 * top, f"largest {largest:.2f}", ha="right", va="center")


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
