"""The figures of lesson 04 hold what they are given, and labels stand where no curve runs."""

import math

import pytest
import torch

from course_utils import results
from course_utils.display import bert_plots, plots, text_plots


@pytest.fixture
def axes():
    figure, axes = plots.subplots(1, 2)
    yield axes
    plots.put_away(figure)


def test_a_bar_is_what_is_read_and_what_is_thrown_away(axes):
    measured = {
        "long": {"name": "long texts", "cut": {"64": 0.75, "128": 0.5}},
        "short": {"name": "short texts", "cut": {"64": 0.01, "128": 0.0}},
    }
    bert_plots.cut(axes[0], measured, ("long", "short"))
    widths = [bar.get_width() for bar in axes[0].patches]
    assert widths == pytest.approx([25, 50, 99, 100, 75, 50, 1, 0])
    texts = [text.get_text() for text in axes[0].texts]
    assert texts.count("long texts") == texts.count("short texts") == 1
    assert "75 %" in texts and "50 %" in texts and "1 %" not in texts
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["64", "128", "64", "128"]


def test_losses_stand_beside_chance_and_labels_outside_of_the_curves(axes):
    losses = {"masked": [10.0, 8.0, 7.0], "next": [0.7, 0.69, 0.68]}
    bert_plots.two_tasks(axes, losses, 1_000, 6.5)
    curve, chance, known = axes[0].lines
    assert curve.get_xydata().tolist() == [[1, 10], [2, 8], [3, 7]]
    assert set(chance.get_ydata()) == {math.log(1_000)} and set(known.get_ydata()) == {6.5}
    assert set(axes[1].lines[1].get_ydata()) == {math.log(2)}
    figure = axes[0].figure
    figure.canvas.draw()
    for ax in axes:
        for text in ax.texts:
            assert text.get_window_extent().x0 >= ax.get_window_extent().x1


def test_training_shows_loss_and_accuracy():
    figure = bert_plots.training({"loss": [0.7, 0.5], "accuracy": [0.5, 0.75]}, "$ and $")
    loss, accuracy = figure.axes
    assert loss.get_title("left") == "$ and $" and accuracy.get_ylabel() == "accuracy"
    assert accuracy.lines[0].get_ydata().tolist() == [0.5, 0.75]
    plots.put_away(figure)


def test_few_labels_names_each_curve_once_and_tells_where_counting_is_level(axes):
    recorded = results.read("bert_curve.json")
    bert_plots.few_labels(axes[0], recorded)
    texts = [text.get_text() for text in axes[0].texts]
    assert {"all of it trained", "bag of words", "encoder frozen"} < set(texts)
    assert sum("the counter needs 1,000" in text for text in texts) == 1
    assert axes[0].get_xscale() == "log"
    axes[0].figure.canvas.draw()
    boxes = [t.get_window_extent() for t in axes[0].texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_where_counting_never_gets_there_nothing_is_said_of_it(axes):
    def share(value):
        return {"value": value, "low": value - 0.01, "high": value + 0.01}

    row = {"full": share(0.9), "words": share(0.6), "frozen": share(0.7)}
    bert_plots.few_labels(
        axes[0], {"data": "made up", "epochs": {"100": 1, "300": 1}, "100": row, "300": row}
    )
    assert not any("needs" in text.get_text() for text in axes[0].texts)


def test_two_orders_and_the_turn(axes):
    losses = {"sorted": [0.7, 0.1, 3.0], "shuffled": [0.7, 0.7, 0.6]}
    bert_plots.two_orders(axes[0], losses, 2.0, "title")
    assert axes[0].lines[0].get_ydata().tolist() == losses["sorted"]
    assert {"label\nchanges", "chance"} == {text.get_text() for text in axes[0].texts}


def test_answers_are_named_and_wrong_ones_marked():
    table = text_plots.answers_table(
        ["<b>good</b>", "bad"], [1, 0], {"a": torch.tensor([1, 1]), "b": [0, 0]}, "two texts"
    )
    assert repr(table).splitlines() == [
        "two texts",
        "text | truth | a | b",
        "<b>good</b> | positive | positive | negative ✗",
        "bad | negative | positive ✗ | negative",
    ]
    assert "&lt;b&gt;good" in table.data


def test_four_cases_of_two_classifiers():
    first = torch.tensor([1, 1, 1, 0, 0, 0, 0]).bool()
    second = torch.tensor([1, 0, 0, 1, 1, 1, 0]).bool()
    lines = repr(text_plots.right_or_wrong(("net", "counter"), first, second, "all")).splitlines()
    assert lines[2:] == ["net right | 1 | 2", "net wrong | 3 | 1"]


def test_one_word_is_bold(axes):
    text_plots.word_bars(axes[0], ["it", "is", "not"], [0.1, 0.2, -1.0], "effect", "", bold="not")
    weights = [label.get_fontweight() for label in axes[0].get_yticklabels()]
    assert weights == ["normal", "normal", "bold"]


def test_a_word_in_both_views_is_told_with_its_rank_and_its_share():
    attention = torch.tensor([[0.5, 0.1, 0.4], [0.2, 0.2, 0.6], [1.0, 0.0, 0.0]])
    tokens, effects = ["[CLS]", "not", "bad"], torch.tensor([-0.5, 1.25])
    told = text_plots.beside_attention("not", ["not", "bad"], effects, tokens, attention)
    assert "effect -0.50 logits, number 2 of 2 words" in told
    assert "[CLS] gives it 10.0% of its attention (33.3% if" in told
