"""Draw the README's pictures from what ships, in half a minute: ``python -m measuring.readme_tiles``.

They go to ``notebooks/figures/readme_NAME.png``. Each file holds a digest of what it was drawn from, so that a test
can tell when it is out of date.
"""

import argparse
import ast
import hashlib
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_utils import results
from course_utils.authoring.lessons import load_definitions
from course_utils.display import palette, plots
from course_utils.models import attention, cgan, dcgan, flow, shipped
from course_utils.models.attention import filter_logits, generate

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks" / "figures"
SIZE, DPI = 2.4, 200
"""Inches and dots per inch: 480 pixels, which a page shows at about half that width."""
CORNERS = (13, 20, 28, 8)
"""Of lesson 02's fixed latent vectors; chosen among the first forty for their colours."""
COLUMNS, LINES = 23, 11
"""Of the text in its picture, in characters."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m measuring.readme_tiles",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(TILES)}; none: all"
    )
    options = parser.parse_args(argv)
    matplotlib.use("agg")
    for name in options.names or TILES:
        draw, _ = TILES[name]
        path = FOLDER / f"readme_{name}.png"
        with plt.rc_context({"font.size": 8}):
            figure = draw()
            figure.savefig(path, dpi=DPI, metadata={"Source": digest(name), "Software": None})
        plt.close(figure)
        print(path)
    return 0


def digest(name: str) -> str:
    """SHA-256 of what a picture is drawn from; the picture holds it under ``Source``."""
    return hashlib.sha256(TILES[name][1]()).hexdigest()


def ring() -> Figure:
    """Lesson 01: samples of a generator as fast as its discriminator, and of one that is far too slow."""
    lesson = load_definitions("01_gan_theory")
    figure, ax = _square()
    ax.scatter(*lesson.draw_ring(1, 800)[0].T, s=4, color="grey", alpha=0.35, linewidths=0)
    for name, colour in (("equal rates", palette.BLUE), ("G slower", palette.VERMILION)):
        samples, _ = lesson.play_ring(lesson.make_judge(1), lesson.G_RATES[name], 2_000, 1)
        ax.scatter(*samples[0, :1000].T, s=4, alpha=0.5, color=colour, linewidths=0)
    ax.set(xlim=(-2.7, 2.7), ylim=(-2.7, 2.7), xticks=[], yticks=[], aspect="equal")
    return figure


def walk(stops: int = 7) -> Figure:
    """Lesson 02: four generated pictures in the corners and what lies between them, by slerp down and across."""
    generator, _ = dcgan.load_shipped_generator()
    latent_dim = generator[0].in_channels
    latents = torch.randn(64, latent_dim, generator=torch.Generator().manual_seed(2))
    top_left, top_right, low_left, low_right = latents[list(CORNERS)].split(1)
    line = torch.linspace(0, 1, stops).tolist()
    left = [dcgan.slerp(top_left, low_left, t) for t in line]
    right = [dcgan.slerp(top_right, low_right, t) for t in line]
    points = torch.cat(
        [dcgan.slerp(a, b, t) for a, b in zip(left, right, strict=True) for t in line]
    )
    figure, ax = _square(whole=True)
    pictures = dcgan.sample(generator, points.view(-1, latent_dim, 1, 1))
    plots.image_grid(ax, pictures, columns=stops, gap=0)
    return figure


def words(prompt: str = "The film was", count: int = 60) -> Figure:
    """Lesson 05: the first text that the shipped GPT writes; the less a token was expected, the darker it is."""
    figure, ax = _square(whole=True)
    ax.set(xlim=(0, COLUMNS), ylim=(LINES, 0))
    ax.axis("off")
    column, row = 0, 0
    for word in _words(_written(prompt, count)):
        if column + sum(len(piece.strip()) for piece, _ in word) >= COLUMNS:
            column, row = 0, row + 1
        if row == LINES:
            break
        for piece, bits in word:
            piece = piece if column else piece.lstrip()
            _write(ax, column, row, piece, bits)
            column += len(piece)
    return figure


def ruler() -> Figure:
    """Lesson 06: the distance between photographs and photographs of the same set, which should be 0."""
    counts, values, lows, highs = _scores()
    figure, ax = _square()
    ax.spines[["top", "right"]].set_visible(False)
    ax.fill_between(counts, lows, highs, color=palette.BLUE, alpha=0.2, linewidth=0)
    ax.plot(counts, values, "o-", color=palette.BLUE, markersize=3)
    ax.set(xscale="log", ylim=0, xlabel="photographs on each side", ylabel="FD (equal: 0)")
    ax.set_xticks([100, 1_000, 5_000], ["100", "1,000", "5,000"])
    ax.minorticks_off()
    return figure


def classes(columns: int = 10) -> Figure:
    """Lesson 08: the first pictures of each class that the class-conditional generator makes, nearer to the middle."""
    generator, facts = cgan.load_shipped()
    draw = partial(cgan.sample, cgan.nearer(generator))
    return _row_a_class(draw, len(facts["classes"]), columns)


def asked(columns: int = 10) -> Figure:
    """Lesson 09: the first pictures of each class that the guided flow makes, a row a class."""
    network, facts = flow.load_shipped()
    draw = partial(flow.sample, network, steps=25, guidance=3.0)
    return _row_a_class(draw, int(facts["classes"]), columns)


def _row_a_class(draw: Callable[..., torch.Tensor], count: int, columns: int) -> Figure:
    """The first pictures that ``draw(labels, generator=...)`` makes of each of ``count`` classes."""
    labels = torch.arange(count).repeat_interleave(columns)
    figure, ax = _square(whole=True)
    pictures = draw(labels, generator=torch.Generator().manual_seed(0))
    plots.image_grid(ax, pictures, columns=columns, gap=0)
    return figure


def _scores() -> list[tuple[float, ...]]:
    """Numbers of photographs, FD at each, and both ends of its interval."""
    measured = results.read("scores_bias.json")["rows"]["real"]
    keys = ("value", "low", "high")
    rows = [
        (int(count), *(scores["FD"][key] for key in keys))
        for count, scores in measured.items()
        if count.isdigit()
    ]
    return list(zip(*rows, strict=True))


def _ring_code() -> bytes:
    """The lesson's functions that train on the ring, without their comments and layout."""
    lesson = load_definitions("01_gan_theory")
    used = (
        lesson.play_ring,
        lesson.make_ring_generator,
        lesson.make_judge,
        lesson.draw_ring,
        lesson.ring_centres,
    )
    code = [ast.dump(ast.parse(inspect.getsource(one))) for one in used]
    return "".join([*code, str(lesson.G_RATES)]).encode()


TILES: dict[str, tuple[Callable[[], Figure], Callable[[], bytes]]] = {
    "ring": (ring, _ring_code),
    "walk": (walk, shipped.path("dcgan_cifar10").read_bytes),
    "words": (words, shipped.path(attention.SHIPPED).read_bytes),
    "classes": (classes, shipped.path(cgan.SHIPPED).read_bytes),
    "asked": (asked, shipped.path(flow.SHIPPED).read_bytes),
    "ruler": (ruler, lambda: repr(_scores()).encode()),
}
"""Name of a picture -> what draws it, and what reads what it is drawn from."""


def _square(whole: bool = False) -> tuple[Figure, Axes]:
    """A square figure, and its Axes: with room for labels, or over all of it."""
    figure = plt.figure(figsize=(SIZE, SIZE), layout=None if whole else "constrained")
    return figure, figure.add_axes((0.0, 0.0, 1.0, 1.0)) if whole else figure.add_subplot()


def _written(prompt: str, count: int) -> Iterator[tuple[str, float | None]]:
    """Each token's text and its surprise in bits; None for those of the prompt."""
    model, tokenizer, _ = attention.load_shipped()
    begun, random = [0, *tokenizer.encode(prompt).ids], torch.Generator().manual_seed(0)
    bits: list[float | None] = [None] * len(begun)

    def choose(logits: torch.Tensor) -> int:
        likely = filter_logits(logits, 0.7, None, 0.9).softmax(0)
        token = int(torch.multinomial(likely, 1, generator=random))
        bits.append(-logits.log_softmax(0)[token].item() / math.log(2))
        return token

    tokens, text = generate(model, begun, count, choose), ""
    for end in range(2, len(tokens) + 1):
        longer = tokenizer.decode(tokens[:end])
        yield longer[len(text) :].replace("\n", " "), bits[end - 1]
        text = longer


def _words(pieces: Iterator[tuple[str, float | None]]) -> list[list[tuple[str, float | None]]]:
    """Tokens that belong to one word stay on one line."""
    found: list[list[tuple[str, float | None]]] = []
    for piece, bits in pieces:
        if piece.startswith(" ") or not found:
            found.append([])
        found[-1].append((piece, bits))
    return found


def _write(ax: Axes, column: int, row: int, text: str, bits: float | None) -> None:
    """Characters on a grid, before a colour that says how many bits of surprise (10 and more: the darkest)."""
    if bits is not None:
        shade = plt.get_cmap(palette.SHARES)(0.75 * min(1.0, bits / 10))
        ax.add_patch(plt.Rectangle((column, row + 0.06), len(text), 0.88, color=shade, linewidth=0))
    style = {"weight": "bold" if bits is None else "normal", "family": "monospace", "size": 9}
    for place, character in enumerate(text, start=column):
        ax.text(
            place + 0.5, row + 0.5, character, ha="center", va="center", parse_math=False, **style
        )


if __name__ == "__main__":
    raise SystemExit(main())
