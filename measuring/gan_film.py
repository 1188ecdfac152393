"""Draw the film that opens lesson 01: ``python -m measuring.gan_film``.

It writes ``notebooks/figures/gan_twins.gif``, two games on the ring side by side, trained with the lesson's own
functions in about a minute, and needs no kernel to play. The file holds a digest of the code that it was drawn from.
"""

import argparse
import ast
import hashlib
import inspect
import io
import math
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from PIL import Image

from course_utils.authoring.lessons import load_definitions
from course_utils.display import palette, plots

PATH = Path(__file__).parents[1] / "notebooks" / "figures" / "gan_twins.gif"
STEPS, EVERY = 2_400, 60
"""Steps of each player, and steps between two frames."""
GAMES = {"game A": ("equal rates", palette.BLUE), "game B": ("G faster", palette.PURPLE)}
"""Name in the film -> the lesson's setting and its colour there."""
SIDE = 4.0
"""The frame reaches from -SIDE to SIDE."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    argparse.ArgumentParser(
        prog="python -m measuring.gan_film",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args(argv)
    matplotlib.use("agg")
    torch.set_num_threads(1)
    lesson = load_definitions("01_gan_theory")
    histories = {name: play(lesson, setting) for name, (setting, _) in GAMES.items()}
    frames = [draw(lesson, histories, number) for number in range(STEPS // EVERY)]
    shades = frames[-1].quantize(48)
    flat = [frame.quantize(palette=shades, dither=Image.Dither.NONE) for frame in frames]
    times = [130] * (len(flat) - 1) + [3_000]
    comment = digest().encode()
    flat[0].save(
        PATH, save_all=True, append_images=flat[1:], duration=times, loop=0, comment=comment
    )
    print(PATH, PATH.stat().st_size // 1024, "KiB")
    return 0


def play(lesson: ModuleType, setting: str) -> dict[str, list[Any]]:
    """One game of the lesson: what `ring_trace` sees, samples (500, 2), and D on a grid, at each frame."""
    line = torch.linspace(-SIDE, SIDE, 65)
    grid = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1).view(1, -1, 2)
    noise = torch.randn(1, 500, 2, generator=torch.Generator().manual_seed(0))

    def look(generator: Any, discriminator: Any, step: int, copies: int) -> dict[str, Any]:
        seen = lesson.ring_trace(generator, discriminator, step, copies)
        if step % EVERY == 0:
            with torch.no_grad():
                seen["samples"] = generator(noise)[0]
                seen["answers"] = discriminator(grid)[0].sigmoid().view(65, 65)
        return {"samples": None, "answers": None, **seen}

    judge = lesson.make_judge(1)
    _, history = lesson.play_ring(judge, lesson.G_RATES[setting], STEPS, 1, look=look)
    return {
        name: [value for value in values if value is not None] for name, values in history.items()
    }


def draw(
    lesson: ModuleType, histories: dict[str, dict[str, list[Any]]], number: int
) -> Image.Image:
    """One frame: above, both games in the plane; below, both losses so far."""
    torch.manual_seed(0)
    data = lesson.draw_ring(1, 500)[0]
    step = (number + 1) * EVERY
    with plots.style():
        figure = plt.figure(figsize=(7.2, 5.2), dpi=90, layout="none")
        for column, (name, (_, colour)) in enumerate(GAMES.items()):
            history = histories[name]
            ax = figure.add_axes((0.04 + 0.49 * column, 0.33, 0.46, 0.61))
            draw_plane(ax, data, history["samples"][number], history["answers"][number], colour)
            ax.set_title(name, color=colour, fontsize=12, pad=4)
            below = figure.add_axes((0.10 + 0.49 * column, 0.09, 0.39, 0.19))
            seen = step // 20
            below.axhline(math.log(4), color="grey", linewidth=0.8)
            below.plot(history["step"][:seen], history["d_loss"][:seen], color=colour)
            below.set(xlim=(0, STEPS), ylim=(0, 2.2), xticks=(0, STEPS), yticks=(0, 1, 2))
            below.set_xlabel(f"step {step:,}", labelpad=-8, fontsize=9)
            below.tick_params(labelsize=8)
            if not column:
                below.set_ylabel("D's loss", fontsize=9)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        plt.close(figure)
    return Image.open(buffer).convert("RGB")


def draw_plane(
    ax: Axes, data: torch.Tensor, samples: torch.Tensor, answers: torch.Tensor, colour: str
) -> None:
    """Data in dark grey on D's answer in six shades of grey, and the samples in colour."""
    levels = [i / 6 for i in range(7)]
    extent = (-SIDE, SIDE)
    line = torch.linspace(*extent, answers.shape[0])
    shades = [str(0.97 - 0.055 * i) for i in range(6)]  # of grey
    ax.contourf(line, line, answers, levels=levels, colors=shades)
    ax.scatter(*data.T, s=5, color="black", alpha=0.6, linewidths=0)
    ax.scatter(*samples.T, s=7, color=colour, linewidths=0, alpha=0.8)
    ax.set(xlim=extent, ylim=extent, xticks=[], yticks=[], aspect="equal")
    ax.grid(visible=False)


def digest() -> str:
    """SHA-256 of the lesson's code that trains on the ring, without comments and layout."""
    lesson = load_definitions("01_gan_theory")
    names = ("play_ring", "make_judge", "make_ring_generator", "draw_ring", "ring_centres")
    code = [ast.dump(ast.parse(inspect.getsource(getattr(lesson, name)))) for name in names]
    return hashlib.sha256("".join([*code, str(lesson.G_RATES)]).encode()).hexdigest()


if __name__ == "__main__":
    raise SystemExit(main())
