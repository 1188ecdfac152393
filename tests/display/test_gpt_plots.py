"""Lesson 05's figures hold what they are given, and labels stand where no curve runs."""

import itertools

import pytest
import torch

from course_utils.display import gpt_plots, plots, text_plots


@pytest.fixture
def drawn():
    figures = []
    yield lambda figure: figures.append(figure) or figure
    for figure in figures:
        plots.put_away(figure)


def outside(ax):
    """The labels of an Axes, drawn, which all begin to the right of it and do not touch."""
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert all(box.x0 >= ax.get_window_extent().x1 for box in boxes)
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    return [text.get_text() for text in ax.texts]


def test_slopes_are_named_at_their_ends(drawn):
    measured = {"divided": [0.05, 0.05, 0.05], "not divided": [0.05, 0.02, 0.001]}
    (ax,) = drawn(gpt_plots.slopes([1, 64, 1024], measured)).axes
    assert outside(ax) == list(measured)
    assert [line.get_ydata().tolist() for line in ax.lines] == list(measured.values())
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "64", "1,024"]
    assert ax.get_xscale() == "log" and ax.get_ylim()[0] == 0


def test_only_where_a_mask_was_at_work_is_something_forbidden(drawn):
    everywhere = torch.full((3, 3), 1 / 3)
    causal = torch.ones(3, 3).tril() / torch.tensor([[1.0], [2], [3]])
    words = ["a", "$b$", "c"]
    free, masked = drawn(gpt_plots.maps({"free": everywhere, "masked": causal}, words)).axes
    assert not free.patches and len(masked.patches) == 3
    assert [ax.get_title("left") for ax in (free, masked)] == ["free", "masked"]
    assert [label.get_text() for label in free.get_yticklabels()] == words
    assert len(drawn(gpt_plots.maps({str(n): causal for n in range(3)}, words)).axes) == 3


@pytest.mark.parametrize("counted", [4.0, 9.0])
def test_the_loss_stands_beside_simpler_models_and_above_what_was_written(drawn, counted):
    history = {"step": list(range(1, 101)), "loss": [8 - 0.05 * n for n in range(100)]}
    page = "step 50: it cost $5 and $6 " + 100 * "long "
    levels = {"log V": 6.9, "single tokens": 5.9, "pairs": counted}
    (ax,) = drawn(gpt_plots.learning(history, levels, page, "loss of $ and $")).axes
    page_shown = ax.texts[-1]
    below = page_shown.get_text().split("\n")
    assert below[0].startswith("step 50: it cost $5 and $6 long")
    assert len(below) <= 3 and below[-1].endswith("…")
    ax.figure.canvas.draw()
    assert page_shown.get_window_extent().y1 < ax.xaxis.label.get_window_extent().y0
    page_shown.remove()
    assert outside(ax) == list(levels) and ax.get_xlabel() == "step"
    assert {tuple(set(line.get_ydata())) for line in ax.lines} >= {(v,) for v in levels.values()}
    assert ax.get_title("left") == "loss of $ and $"


def test_who_wrote_what_is_told_after_the_guess(capsys):
    texts = {"pairs": "aa\n<b>", "yours": "bb", "person": "c" * 300}
    who = text_plots.lettered(texts, seed=11, length=20)
    shown = capsys.readouterr().out
    assert sorted(who) == ["A", "B", "C"] and sorted(who.values()) == sorted(texts)
    assert not any(name in shown for name in texts)
    (letter,) = (letter for letter, name in who.items() if name == "pairs")
    assert f"{letter}: aa <b>\n" in shown and max(map(len, shown.splitlines())) <= 23
    text_plots.tell(who, dict.fromkeys(who, ...))
    assert "no guess" in capsys.readouterr().out
    text_plots.tell(who, who | {letter: "person"})
    told = capsys.readouterr().out
    assert f"{letter} pairs" in told and "2 of 3 right" in told


def test_the_order_of_the_letters_is_the_seeds():
    texts = {name: name for name in "abcd"}
    assert text_plots.lettered(texts, seed=11) == text_plots.lettered(texts, seed=11)
    assert len({tuple(text_plots.lettered(texts, seed).values()) for seed in range(9)}) > 3
