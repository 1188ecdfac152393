"""The review meter: what the widget shows is what its static twin draws; whatever a reader types is escaped."""

import pytest
import torch

from course_utils.display import plots, text_plots
from course_utils.display.widgets import review_meter

WEIGHTS = {"good": 2.0, "great": 3.0, "bad": -2.5, "dull": -1.0}
MARKUP = "<script>alert(1)</script> <b onclick='x'>great</b> & \"quotes\""


def margin(texts):
    return torch.tensor(
        [sum(WEIGHTS.get(word.strip(".,"), 0.0) for word in text.split()) for text in texts]
    )


def parts(widget):
    field, answer = widget.children
    return field, answer


def test_widget_and_twin_show_the_same_verdict():
    field, answer = parts(review_meter.review_meter(margin, "a good film"))
    figure, (ax,) = plots.subplots()
    texts = ["a good film", "a dull and bad film", "great but dull"]
    review_meter.review_meter_static(ax, margin, texts, "made up")
    bars = ax.patches[len(texts) :]
    for text, bar in zip(texts, bars, strict=True):
        field.value = text
        verdict = review_meter.judge(margin, text)
        assert answer.value == review_meter.verdict_html(verdict)
        assert bar.get_width() == pytest.approx(verdict.positive)
        assert f"{verdict.positive:.0%} positive" in answer.value
        assert f"{verdict.positive:.0%}" in [t.get_text() for t in ax.texts]
    plots.show(figure, alt="a test")


def test_another_classifier_stands_beside_as_diamonds():
    figure, (ax,) = plots.subplots()
    review_meter.review_meter_static(ax, margin, ["good", "bad"], "", ("counter", [0.25, 0.75]))
    (line,) = ax.lines
    assert line.get_xdata().tolist() == [0.25, 0.75] and line.get_label() == "counter"
    plots.put_away(figure)


def test_a_verdict_names_the_words_that_move_it():
    verdict = review_meter.judge(margin, "good but dull and bad")
    assert verdict.raises == ("good",) and verdict.lowers == ("bad", "dull")
    assert verdict.positive == pytest.approx(torch.tensor(-1.5).sigmoid().item())
    assert "raised by good; lowered by bad, dull" in verdict.sentence()


def test_nothing_and_too_much_are_answered():
    field, answer = parts(review_meter.review_meter(margin, ""))
    assert "Write a review." in answer.value
    field.value = " \n\t "
    assert "Write a review." in answer.value
    field.value = "good " * 10_000
    assert len(review_meter.judge(margin, field.value).text.split()) == review_meter.LONGEST


@pytest.mark.fault("B3")
def test_markup_is_escaped_wherever_it_is_shown():
    _, answer = parts(review_meter.review_meter(margin, MARKUP))
    assert "<script" not in answer.value and "<b " not in answer.value
    assert "&lt;b" in answer.value or "onclick" not in answer.value
    shown = text_plots.table(["text"], [(MARKUP,)], f"caption {MARKUP}").data
    assert (
        "<script" not in shown and "onclick='x'" not in shown and shown.count("&lt;script&gt;") == 2
    )


def test_tables_are_plain_text_as_well_and_have_headers():
    shown = text_plots.table(["a", "b"], [(1, "x"), (2, "y")], "what it is")
    assert repr(shown) == "what it is\na | b\n1 | x\n2 | y"
    assert shown.data.count('scope="col"') == 2 and "<caption" in shown.data


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb\tc", "a b c"),
        ("a\x00b", "a b"),
        ("\u202eevil", "evil"),
        ("x" * 300, "x" * 159 + "…"),
        ("  ", ""),
    ],
)
def test_shorten_gives_one_line_without_control_characters(text, line):
    assert text_plots.shorten(text) == line


def test_dollar_signs_are_no_mathematics():
    figure, axes = plots.subplots(1, 2)
    text_plots.word_bars(axes[0], ["$5", "$x^$"], [1.0, -1.0], "effect", "costs $5 and $6")
    text_plots.attention_map(axes[1], torch.eye(2), ["$a", "b$"], "made up")
    plots.show(figure, alt="a test")  # drawing would fail


def test_reliability_draws_every_group_with_its_count():
    figure, (ax,) = plots.subplots()
    text_plots.reliability(ax, [(0.6, 0.5, 0.4, 0.6, 20), (0.99, 1.0, 0.9, 1.0, 7)], "made up")
    assert [t.get_text() for t in ax.texts] == ["20", "7"]
    plots.show(figure, alt="a test")
