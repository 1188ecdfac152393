"""The drawn machines of lesson 05 show the numbers that they are given."""

import pytest
import torch

from course_utils.display import attention_diagrams, plots


def texts_of(ax):
    return [text.get_text() for text in ax.texts]


@pytest.fixture
def drawn():
    figures = []
    yield lambda figure: figures.append(figure) or figure.axes
    for figure in figures:
        figure.canvas.draw()
        plots.put_away(figure)


def test_the_query_meets_every_key_and_the_mix_is_shown(drawn):
    words, weights = ["good", "not", "bad"], [0.25, 0.7, 0.05]
    numbers = torch.tensor([[1.0, 0], [0, 3], [0, 0.5]])
    (ax,) = drawn(
        attention_diagrams.lookup(words, numbers, numbers, -numbers, weights, [0.1, -0.86])
    )
    shown = texts_of(ax)
    assert {"key (1, 0)", "key (0, 3)", "value (−0, −3)"} <= set(shown)
    assert "query (0, 0.5)" in shown and "query (0, 3)" not in shown
    assert {"0.25", "0.70", "0.05"} <= set(shown)
    assert {"0.00", "1.06", "0.18"} <= set(shown)  # (0, 0.5) · key / √2
    assert any(text.endswith("bad → (0.1, −0.86)") for text in shown)
    thickness = [line.get_linewidth() for line in ax.lines]
    assert len(thickness) == 3 and thickness[2] < thickness[0] < thickness[1]


def test_the_stream_has_both_parts_and_two_additions(drawn):
    (ax,) = drawn(attention_diagrams.stream())
    shown = texts_of(ax)
    assert {"norm1", "attention", "norm2", "mlp"} <= set(shown) and shown.count("+") == 2


@pytest.mark.parametrize(("length", "given"), [(7, 3), (5, 1), (9, 8)])
def test_the_counts_of_decoding_are_those_of_the_lesson(drawn, length, given):
    words = [str(place) for place in range(length)]
    without, with_one = drawn(attention_diagrams.decoding(words, given))
    slow, fast = sum(range(given, length)), length - 1
    assert f": {slow} tokens" in without.get_title("left")
    assert f": {fast} tokens" in with_one.get_title("left")
    assert len(without.patches) == len(with_one.patches) == slow
