"""Draw the films of lesson 09: ``python -m measuring.flow_film ring``, ``... pictures`` or ``... drawings``.

``ring`` writes ``notebooks/figures/flow_ring.gif``: points that walk from noise to the ring, by the lesson's own
functions, trained in about a minute. ``pictures`` writes ``flow_pictures.gif`` and ``drawings`` ``flow_drawings.gif``:
the shipped networks at work. None needs a kernel to play. Each file holds a digest: of the lesson's code, or of the
shipped weights.
"""

import argparse
import ast
import hashlib
import inspect
import io
import textwrap
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import matplotlib
import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from course_utils.authoring.lessons import load_definitions
from course_utils.display import flow_plots, palette, plots
from course_utils.models import dcgan, flow, known_flow, shipped

FIGURES = Path(__file__).parents[1] / "notebooks" / "figures"
RING = FIGURES / "flow_ring.gif"
PICTURES, DRAWINGS = FIGURES / "flow_pictures.gif", FIGURES / "flow_drawings.gif"
STEPS, TRAINED, POINTS = 45, 3_000, 1_500
"""Frames of the ring's film after the first, steps of its network, and points that walk."""
CALLS = 24
"""Frames of the pictures' films after the first."""
SIDE = 3.0


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m measuring.flow_film",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    films = {"ring": draw_ring, "pictures": draw_pictures, "drawings": draw_drawings}
    parser.add_argument("film", choices=films)
    matplotlib.use("agg")
    torch.set_num_threads(1)
    path = films[parser.parse_args(argv).film]()
    print(path, path.stat().st_size // 1024, "KiB")
    return 0


def draw_ring() -> Path:
    """Train on the ring with the lesson's functions, walk, and draw each step."""
    lesson = load_definitions("09_diffusion_flow")
    vars(lesson)["ring"] = ring = known_flow.ring()
    torch.manual_seed(0)
    network = lesson.train_ring(TRAINED)
    start, diary = torch.randn(POINTS, 2), list[Tensor]()
    with torch.no_grad():
        end = lesson.solve(lesson.with_diary(network, diary), start, STEPS, "euler")
        line = torch.linspace(-SIDE, SIDE, 17)
        grid = torch.cartesian_prod(line, line)
        arrows = [network(grid, torch.full((len(grid),), k / STEPS)) for k in range(STEPS + 1)]
    cluster = torch.cdist(end, ring.centres).argmin(dim=1)
    colours = [palette.COLOURS[k % 4] for k in cluster]
    places = [*diary, end]
    frames = [
        _picture(_ring_frame(x, colours, grid, arrow, k / STEPS))
        for k, (x, arrow) in enumerate(zip(places, arrows, strict=True))
    ]
    return _write(RING, frames, 90, code_digest(lesson))


def draw_pictures() -> Path:
    """Thirty photographs that never were."""
    return _walk(PICTURES, flow.SHIPPED, rows=3, scale=2)


def draw_drawings() -> Path:
    """Twenty drawings of 64 pixels that the stand-in does not have."""
    return _walk(DRAWINGS, flow.SHIPPED_64, rows=2, scale=1)


def _walk(path: Path, name: str, rows: int, scale: int) -> Path:
    """Walk with a shipped network, and draw each step: a class in each column, a pixel as ``scale`` × ``scale``."""
    network, _ = flow.load_shipped(name=name)
    labels = torch.arange(network.classes).repeat(rows)
    noise = torch.randn(
        len(labels), 3, network.size, network.size, generator=torch.Generator().manual_seed(4)
    )
    way = flow.walk(network, noise, labels, CALLS, guidance=3.0)
    tiles = [plots.tile(dcgan.to_bytes(x.clamp(-1, 1)), network.classes) for x in way]
    frames = [
        Image.fromarray(tile).resize(
            (scale * tile.shape[1], scale * tile.shape[0]), Image.Resampling.NEAREST
        )
        for tile in tiles
    ]
    return _write(path, frames, 160, weights_digest(name))


def code_digest(lesson: ModuleType | None = None) -> str:
    """SHA-256 of the lesson's code that the ring's film is drawn by, without comments, docstrings and layout."""
    lesson = lesson or load_definitions("09_diffusion_flow")
    network = lesson.PlaneNetwork
    used = (lesson.interpolate, lesson.flow_loss, lesson.train_ring, lesson.solve)
    parts = (*used, network.__init__, network.forward)
    code = [ast.parse(textwrap.dedent(inspect.getsource(part))).body[0] for part in parts]
    for function in code:
        assert isinstance(function, ast.FunctionDef)
        if ast.get_docstring(function) is not None:
            del function.body[0]
    return hashlib.sha256("".join(map(ast.dump, code)).encode()).hexdigest()


def weights_digest(name: str) -> str:
    """SHA-256 of the shipped weights that a film is drawn by."""
    return shipped.digests()[name]


def _ring_frame(x: Tensor, colours: list[str], grid: Tensor, arrow: Tensor, t: float) -> Figure:
    with plots.style():
        figure = plt.figure(figsize=(5.2, 5.4), dpi=90, layout="none")
        ax = figure.add_axes((0.02, 0.01, 0.96, 0.92))
        ax.quiver(*grid.T, *arrow.T, color=palette.ARROWS, scale=90, width=0.003)
        ax.scatter(x[:, 0], x[:, 1], s=5, c=colours, linewidths=0)
        flow_plots.frame(ax, f"t = {t:.2f}", SIDE)
    return figure


def _picture(figure: Figure) -> Image.Image:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    plt.close(figure)
    return Image.open(buffer).convert("RGB")


def _write(path: Path, frames: list[Image.Image], milliseconds: int, comment: str) -> Path:
    shades = frames[-1].quantize(64 if path == RING else 128)
    flat = [frame.quantize(palette=shades, dither=Image.Dither.NONE) for frame in frames]
    times = [900, *[milliseconds] * (len(flat) - 2), 3_000]
    flat[0].save(
        path,
        save_all=True,
        append_images=flat[1:],
        duration=times,
        loop=0,
        comment=comment.encode(),
    )
    return path


if __name__ == "__main__":
    raise SystemExit(main())
