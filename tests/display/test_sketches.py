"""Lesson 02's diagrams: what they say is what the layers do."""

import matplotlib

matplotlib.use("Agg")

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils.display import plots, sketches
from course_utils.models import dcgan


@pytest.fixture
def ax():
    figure, (ax,) = plots.subplots()
    yield ax
    plots.put_away(figure)


def words(ax):
    return [text.get_text() for text in ax.texts]


@pytest.mark.parametrize(("stride", "kernel"), [(2, [1, 10, 100, 1000]), (1, [3, 5]), (3, [2, 7])])
def test_the_sum_of_the_stamps_is_the_transposed_convolution(ax, stride, kernel):
    numbers = [1.0, 2.0, 3.0]
    sketches.stamps(ax, numbers, kernel, stride)
    x, k = torch.tensor(numbers)[None, None], torch.tensor(kernel, dtype=torch.float)[None, None]
    made = F.conv_transpose1d(x, k, stride=stride).flatten().tolist()
    said = words(ax)
    assert said[said.index("their sum") + 1 :] == [f"{value:g}" for value in made]


def test_padding_greys_the_cells_that_are_cut(ax):
    sketches.stamps(ax, [1, 2], [1, 2, 3, 4], stride=2, padding=1)
    filled = [patch.get_facecolor() for patch in ax.patches[-6:]]
    assert filled[0] == filled[-1] != filled[1] and len(set(filled[1:-1])) == 1
    lines = [patch.get_linestyle() for patch in ax.patches[-6:]]
    assert lines[0] == lines[-1] != lines[1] and len(set(lines[1:-1])) == 1


@pytest.mark.parametrize(("size", "width", "latent_dim"), [(32, 64, 100), (64, 16, 128)])
def test_the_pyramids_have_the_sizes_of_the_networks(ax, size, width, latent_dim):
    sketches.pyramids(ax, latent_dim, width, 3, size)
    shapes = [(latent_dim, 1, 1)]
    g, d = (
        dcgan.make_generator(latent_dim, width, 3, size),
        dcgan.make_discriminator(width, 3, size),
    )
    for network in (g, d):
        for layer in network:
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                layer.register_forward_hook(lambda _l, _i, out: shapes.append(tuple(out.shape[1:])))
    d(g(torch.randn(2, latent_dim, 1, 1)))
    half = len(shapes) // 2
    shapes.insert(half + 1, shapes[half])  # the picture stands in both pyramids
    said = [text for text in words(ax) if "×" in text]
    assert said == [f"{side}×{side}\n×{channels}" for channels, side, _ in shapes]
