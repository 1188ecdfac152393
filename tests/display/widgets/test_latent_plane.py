"""The latent plane: what the widget shows is what its static twins draw, and what the decoder says."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from course_utils.datasets.images import load_images
from course_utils.display import plots
from course_utils.display.widgets import latent_plane
from course_utils.errors import CourseError
from course_utils.models import vae
from course_utils.paths import checkpoints_dir
from course_utils.training.recipes import vae_laboratory


@pytest.fixture(scope="module")
def networks():
    made = {}
    for beta in (1, 100):
        torch.manual_seed(beta)
        made[beta] = vae.VAE(2, 2, hidden=8).eval()
    return made


@pytest.fixture(scope="module")
def hearts():
    return vae_laboratory.moving_hearts(12, "test")


def controls(widget):
    left, picture, original = widget.children
    beta, *numbers = left.children
    z1, z2, start = (row.children[0] for row in numbers)
    return beta.children[1], z1, z2, start, original.children[0], picture.children[0]


def shown(picture, scale):
    pixels = np.asarray(Image.open(io.BytesIO(picture.value)).convert("RGB"))[::scale, ::scale]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]


def test_widget_shows_the_decoders_picture_of_the_chosen_point(networks, hearts):
    beta, z1, z2, _, _, picture = controls(latent_plane.latent_plane(networks, hearts))
    for b, a, c in ((1, -1.5, 0.3), (100, 2.0, -2.0), (100, 0.0, 0.7)):
        beta.value, z1.value, z2.value = b, a, c
        assert torch.equal(shown(picture, 7), vae.decode_bytes(networks[b], torch.tensor([[a, c]])))


def test_choosing_a_picture_moves_the_sliders_to_its_code(networks, hearts):
    beta, z1, z2, start, original, picture = controls(latent_plane.latent_plane(networks, hearts))
    start.value = 5
    assert torch.equal(shown(original, 4), hearts.images[5:6])
    code = vae.encode_means(networks[beta.value], hearts.images[5:6])[0][0].clamp(-2, 2)
    assert torch.allclose(torch.tensor([z1.value, z2.value]), code, atol=0.051)
    assert torch.equal(
        shown(picture, 7), latent_plane.plane_point(networks[beta.value], z1.value, z2.value)
    )


def test_static_plane_is_made_of_the_widgets_points(networks):
    grid = latent_plane.plane(networks[1], stops=5)
    corners = {0: (-2.0, 2.0), 4: (2.0, 2.0), 20: (-2.0, -2.0), 12: (0.0, 0.0), 13: (1.0, 0.0)}
    for index, point in corners.items():
        difference = (
            grid[index : index + 1].int() - latent_plane.plane_point(networks[1], *point).int()
        )
        assert difference.abs().max() <= 1


def test_static_twins_draw_on_the_axes_they_are_given(networks, hearts):
    figure, axes = plots.subplots(1, 2)
    assert latent_plane.draw_plane(axes[0], networks[1], hearts.title("plane"), stops=3) is axes[0]
    assert axes[0].images[0].get_array().shape == (
        3 * 32 + 2,
        3 * 32 + 2,
        3,
    ) and "stand-in" in axes[0].get_title("left")
    assert latent_plane.codes_static(axes[1], networks[1], hearts) is axes[1]
    points = axes[1].collections[0].get_offsets()
    assert np.allclose(points, vae.encode_means(networks[1], hearts.images)[0].numpy(), atol=1e-6)
    plots.show(figure, alt="a test")


def test_what_has_no_plane_or_no_factors_is_refused(networks, hearts):
    figure, (ax,) = plots.subplots()
    with pytest.raises(CourseError, match="3 latent dimensions"):
        latent_plane.draw_plane(ax, vae.VAE(3, 2), "no plane")
    with pytest.raises(CourseError, match="3 latent dimensions"):
        latent_plane.plane_point(vae.VAE(3, 2), 0.0, 0.0)
    unknown = load_images("standin", limit=2)
    without = type(unknown)(unknown.images, unknown.labels, "photos", False, unknown.classes)
    with pytest.raises(CourseError, match="no known factors"):
        latent_plane.codes_static(ax, networks[1], without)
    plots.show(figure, alt="empty")


@pytest.mark.parametrize("beta", [1, 10, 100, 400, 1000])
def test_shipped_planes_are_small_and_whole(beta):
    network, facts = vae.load_shipped(f"vae_plane_{beta}")
    assert facts["beta"] == str(beta) and "stand-in" in facts["data"]
    path = checkpoints_dir() / f"vae_plane_{beta}.safetensors"
    assert path.stat().st_size < 200_000
    found = vae_laboratory.examine(network, vae_laboratory.moving_hearts(200, "test").images)
    assert found["error"] < 35 if beta == 1000 else found["error"] < 12
    assert found["active"] == (0 if beta == 1000 else 2)


def test_shipped_decoder_is_small_and_makes_pictures():
    network, facts = vae.load_shipped("vae_cifar10")
    assert network.encoder is None and facts["data"].startswith("CIFAR-10")
    assert (checkpoints_dir() / "vae_cifar10.safetensors").stat().st_size < 700_000
    images = vae.decode_bytes(network, torch.randn(16, network.latent_dim)).float()
    assert images.flatten(1).std(1).mean() > 15 and (images[0] - images[1]).abs().mean() > 5
