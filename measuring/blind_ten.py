"""Draw the ten pictures that open lesson 0: ``python -m measuring.blind_ten --data FOLDER``.

It writes ``notebooks/figures/blind_ten.png``: five photographs of the test set that ``--data`` names, and five pictures
of lesson 08's generator that ships, nearer to the middle and each of a class drawn at random, none of them picked.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.datasets.images import load_images
from course_utils.display import plots
from course_utils.models import cgan

PATH = Path(__file__).parents[1] / "notebooks" / "figures" / "blind_ten.png"
PHOTOGRAPHS = (2, 3, 6, 7, 10)
"""Places of the photographs, from 1; lesson 0 tells them in its folded answer."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m measuring.blind_ten",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", help="folder of images, as course_utils.datasets.images reads it")
    options = parser.parse_args(argv)
    matplotlib.use("agg")
    random = torch.Generator().manual_seed(0)
    photographs = load_images(options.data, split="test", limit=1_000).images
    photographs = photographs[torch.randperm(len(photographs), generator=random)[:5]]
    generator, facts = cgan.load_shipped()
    labels = torch.randint(len(facts["classes"]), (5,), generator=random)
    made = cgan.sample(cgan.nearer(generator), labels, generator=random)
    figure = draw(photographs, made)
    figure.savefig(PATH, dpi=100, metadata={"Software": None})
    plt.close(figure)
    print(PATH)
    return 0


def draw(photographs: Tensor, made: Tensor) -> Figure:
    """Two rows of five, numbered; photographs at their places, the others in between."""
    photos, fakes = iter(photographs), iter(made)
    with plots.style():
        figure = plt.figure(figsize=(7.2, 3.2), layout="none")
        for place in range(1, 11):
            column, row = (place - 1) % 5, (place - 1) // 5
            ax = figure.add_axes((0.01 + 0.198 * column, 0.505 - 0.5 * row, 0.188, 0.44))
            image = next(photos if place in PHOTOGRAPHS else fakes)
            ax.imshow(image.permute(1, 2, 0), interpolation="bicubic")
            ax.set_title(str(place), fontsize=10, pad=2)
            ax.axis("off")
    return figure


if __name__ == "__main__":
    raise SystemExit(main())
