"""Lesson 03's interactive figure, a two-dimensional latent plane to walk in, and its static twins.

The widget and its twins draw with the same functions. Only what ipywidgets 7.7 and 8.1 share is used.
"""

from collections.abc import Mapping

import ipywidgets
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.datasets.images import ImageSet
from course_utils.display import palette, plots
from course_utils.display.widgets import controls
from course_utils.errors import CourseError
from course_utils.models import vae

LIMIT = 6.0
"""Codes are drawn from -6 to 6, so that those outside the prior's bulk are seen as well."""
REACH = 2.0
"""The plane is drawn from -2 to 2: 91 % of a two-dimensional standard normal distribution lie in that square."""


def plane_point(network: vae.VAE, z1: float, z2: float) -> Tensor:
    """The picture at one point of a two-dimensional latent plane: uint8 (1, 3, H, W).

    Raises:
        CourseError: the network has another number of latent dimensions.
    """
    _check(network)
    return vae.decode_bytes(network, torch.tensor([[z1, z2]], dtype=torch.float32))


def plane(network: vae.VAE, stops: int = 9) -> Tensor:
    """Pictures on a square grid of the plane, z1 to the right and z2 upwards: uint8 (stops * stops, 3, H, W).

    Raises:
        CourseError: the network has another number of latent dimensions.
    """
    _check(network)
    line = torch.linspace(-REACH, REACH, stops)
    z = torch.stack([line.repeat(stops), line.flip(0).repeat_interleave(stops)], dim=1)
    return vae.decode_bytes(network, z)


def latent_plane(networks: Mapping[int, vae.VAE], images: ImageSet) -> ipywidgets.Widget:
    """Walk in the latent plane: choose beta, drag z1 and z2, see the decoder's picture; or start from a real picture.

    Args:
        networks: beta -> a VAE with two latent dimensions.
        images: pictures to start from; choosing one moves the sliders to its code, cut to the plane.
    """
    betas = list(networks)
    beta = controls.choice(
        "trained with", [(f"β = {b:,}", b) for b in betas], betas[len(betas) // 2]
    )
    z1, z2 = (
        controls.number("z1", -REACH, REACH, 0.1, 0.0),
        controls.number("z2", -REACH, REACH, 0.1, 0.0),
    )
    start = controls.number("code of no.", 0, len(images) - 1, 1, 0)
    picture, original = controls.Picture(224, 224), controls.Picture(112, 112)

    def draw(*_: object) -> None:
        point = plane_point(networks[beta.box.value], z1.box.value, z2.box.value)
        sentence = f"β = {beta.box.value:,} at z = ({z1.box.value:.1f}, {z2.box.value:.1f})"
        picture.show(controls.enlarged(point, 7), sentence)

    def look(*_: object) -> Tensor:
        chosen = images.images[start.box.value : start.box.value + 1]
        original.show(controls.enlarged(chosen, 4), f"picture no. {start.box.value}")
        return chosen

    def encode(*_: object) -> None:
        code = vae.encode_means(networks[beta.box.value], look())[0][0].clamp(-REACH, REACH)
        z1.box.value, z2.box.value = (round(v, 1) for v in code.tolist())

    for control in (beta, z1, z2):
        control.box.observe(draw, names="value")
    start.box.observe(encode, names="value")
    look()
    draw()
    left = ipywidgets.VBox([beta.row, z1.row, z2.row, start.row])
    return ipywidgets.HBox([left, picture.box, original.box])


def plane_static(networks: Mapping[int, vae.VAE], images: ImageSet) -> Figure:
    """For readers without a kernel: for each beta the whole plane, and below it where the encoder puts pictures.

    Args:
        networks: beta -> a VAE with two latent dimensions.
        images: held-out pictures whose factors x and y are known.
    """
    split = len(networks)
    figure, axes = plots.subplots(2, split, width=10, height=4.5)
    for above, below, (beta, network) in zip(
        axes[:split], axes[split:], networks.items(), strict=True
    ):
        draw_plane(above, network, f"β = {beta:,}", stops=5)
        codes_static(below, network, images)
        below.label_outer()
    text = "above: drawn at 25 points; below: codes of held-out pictures (brightness: true x; size: true y)"
    figure.suptitle(images.title(text), fontsize=10)
    return figure


def draw_plane(ax: Axes, network: vae.VAE, title: str, stops: int = 9) -> Axes:
    """The whole plane at once: ``stops`` by ``stops`` pictures."""
    return plots.image_grid(ax, plane(network, stops), columns=stops, title=title, gap=1)


def codes_static(ax: Axes, network: vae.VAE, images: ImageSet) -> Axes:
    """Where an encoder puts pictures: colour tells their x, the size of the mark their y.

    Args:
        ax: where to draw.
        network: a VAE with two latent dimensions.
        images: pictures whose factors are known.

    Raises:
        CourseError: another number of latent dimensions, or pictures without factors.
    """
    _check(network)
    if images.factors is None:
        raise CourseError(
            "widgets-no-factors",
            f"The set {images.name!r} has no known factors.",
            "Only drawn pictures come with the numbers that they were drawn from.",
            "images = vae_lab.moving_hearts(600, 'test')",
        )
    codes, _ = vae.encode_means(network, images.images)
    rank = images.factors["y"].argsort().argsort() / len(images)  # 0 to 1
    x, y = codes.T
    place = images.factors["x"]
    ax.scatter(
        x,
        y,
        c=place,
        s=1 + 14 * rank,
        cmap=palette.AMOUNTS,
        alpha=0.8,
        linewidths=0,
    )
    ax.plot(
        [-REACH, REACH, REACH, -REACH, -REACH],
        [-REACH, -REACH, REACH, REACH, -REACH],
        ":",
        color="black",
    )
    ax.set(xlabel="z1", ylabel="z2", aspect="equal", xlim=(-LIMIT, LIMIT), ylim=(-LIMIT, LIMIT))
    return ax


def _check(network: vae.VAE) -> None:
    if network.latent_dim != 2:
        raise CourseError(
            "widgets-plane",
            f"This VAE has {network.latent_dim} latent dimensions.",
            "A plane to walk in has two.",
            'network, facts = vae.load_shipped("vae_plane_100")',
        )
