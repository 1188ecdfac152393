"""Lesson 06's figures and widgets: what a slider shows is what was measured, and each has a twin with the same."""

import io

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from course_utils import results
from course_utils.datasets.images import load_images
from course_utils.display import plots, score_diagrams, score_plots
from course_utils.display.widgets import blind_test, score_bias
from course_utils.errors import CourseError
from course_utils.evaluation.scores import wilson_interval


@pytest.fixture(scope="module")
def bias():
    return score_plots.recorded_bias()


@pytest.fixture(scope="module")
def blind():
    images = load_images("standin", "test", limit=24)
    return blind_test.make_test(
        images.images[:12], images.images[12:], 12, images.title("real or made?"), seed=1
    )


def controls(widget):
    row, score, middle, below = widget.children
    row, score, (n, *buttons) = row.children[1], score.children[1], middle.children
    return row, score, n, *below.children, buttons


def test_the_slider_shows_what_was_measured(bias):
    row, score, n, picture, sentence, (more, fewer) = controls(score_bias.bias_slider(bias))
    paper = score_bias.sketch()
    for chosen in (("gan", "FD", 100), ("real", "KD", 5_000), ("vae", "FD", 1_000)):
        row.value, score.value, n.value = chosen
        assert picture.value == score_bias.picture_of(bias, *chosen, paper)
        assert sentence.value == score_bias.describe_bias(bias, *chosen)
        found = bias.rows[chosen[0]][chosen[1]][chosen[2]]
        assert f"{found['low']:.3g} to {found['high']:.3g}" in sentence.value
    for button, wanted in ((fewer, 700), (more, 1_000), (more, 1_500)):
        button.click()
        assert n.value == wanted and f"n = {wanted:,}" in sentence.value
    n.value = bias.counts[0]
    fewer.click()
    assert n.value == bias.counts[0]


def test_the_sentence_leaves_nothing_out(bias):
    text = score_bias.describe_bias(bias, "gan", "FD", 100)
    for part in (
        "FD",
        "95 % interval",
        "n = 100 ×",
        "5 draws",
        "trained on CIFAR-10",
        "Real set: CIFAR-10",
    ):
        assert part in text


def test_the_slider_draws_once_a_move_on_the_same_figure(bias, monkeypatch):
    drawn, save = [], Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda figure, *a, **k: drawn.append(figure) or save(figure, *a, **k)
    )
    _, _, n, *_ = controls(score_bias.bias_slider(bias))
    for count in bias.counts[1:]:
        n.value = count
    assert len(drawn) == len(bias.counts) and len(set(drawn)) == 1
    assert len(drawn[0].axes) == 1 and not drawn[0].get_constrained_layout()  # which is slow


def test_the_twin_draws_with_the_widgets_function_and_marks_the_chosen_number(bias):
    figure, axes = plots.subplots(1, 3)
    score_bias.bias_static(list(axes), bias, "real", "FD")
    for ax, n in zip(axes, (bias.counts[0], bias.counts[5], bias.counts[-1]), strict=True):
        assert f"n = {n:,}" in ax.get_title("left")
        marked = ax.lines[1]
        assert set(marked.get_xdata()) == {n}
        assert np.allclose(marked.get_ydata(), bias.rows["real"]["FD"][n]["values"])
    plots.show(figure, alt="a test")


def test_the_measured_bias_is_one_for_fd_and_none_for_kd(bias):
    real = bias.rows["real"]
    assert (
        real["FD"][100]["low"]
        > real["FD"][1_000]["high"]
        > real["FD"][1_000]["low"]
        > real["FD"][5_000]["high"]
    )
    assert (
        sum(row["low"] <= 0 <= row["high"] for row in real["KD"].values()) >= len(bias.counts) - 2
    )


def interval(value, half):
    return {"value": value, "low": value - half, "high": value + half}


def test_verdicts_know_which_way_is_worse():
    assert score_plots.verdict("FD", interval(2, 0.1), interval(1, 0.1)) == 1
    assert score_plots.verdict("FD", interval(0.5, 0.1), interval(1, 0.1)) == -1
    assert score_plots.verdict("recall", interval(0.5, 0.1), interval(0.9, 0.1)) == 1
    assert score_plots.verdict("CS", interval(6, 0.1), interval(5, 0.1)) == -1
    assert score_plots.verdict("KD", interval(1.1, 0.1), interval(1, 0.05)) == 0
    assert score_plots.verdict("copied", interval(0.0, 0.001), interval(0.01, 0.001)) == 0


def test_the_map_marks_in_words_as_well_as_in_colour():
    figure, (ax,) = plots.subplots()
    rows = {"bad": {"FD": interval(2, 0.1), "recall": interval(0.9, 0.1)}}
    score_plots.notice_map(
        ax, rows, {"FD": interval(1, 0.1), "recall": interval(0.9, 0.1)}, "title [stand-in]"
    )
    texts = [text.get_text() for text in ax.texts]
    assert texts == ["2 ● worse", "0.9"] and ax.get_title("left") == "title [stand-in]"
    plots.show(figure, alt="a test")


def test_the_map_shows_kd_a_thousandfold():
    figure, (ax,) = plots.subplots()
    score_plots.notice_map(ax, {"bad": {"KD": interval(0.02, 0.001)}}, {"KD": interval(0.001, 0.0)})
    assert [text.get_text() for text in ax.texts] == ["20 ● worse"]
    assert ax.get_xticklabels()[0].get_text() == "KD × 1,000\n(floor 1)"
    plots.show(figure, alt="a test")


def test_the_map_shows_shares_of_copies_in_per_cent():
    figure, (ax,) = plots.subplots()
    rows = {one: {"copied": interval(one, 0.0)} for one in (1.0, 0.88, 0.0005, 0.0)}
    score_plots.notice_map(ax, rows, {"copied": interval(0.0125, 0.005)})
    texts = [text.get_text() for text in ax.texts]
    assert texts == ["100 % ● worse", "88 % ● worse", "0.05 %", "0 %"]
    assert ax.get_xticklabels()[0].get_text() == "copies, by features\n(floor 1.2 %)"
    plots.show(figure, alt="a test")


def test_distances_stand_in_multiples_of_their_own_floor_with_intervals():
    figure, (ax,) = plots.subplots()
    rows = {"held_out": {"FD": interval(2, 0.5)}, "gan": {"FD": interval(8, 2)}}
    score_plots.floor_ratios(ax, {"one": rows, "two": rows}, "title")
    for container in ax.containers:
        (value,) = container.lines[0].get_xdata()
        (arm,) = container.lines[2][0].get_segments()
        assert value == 4 and arm[:, 0].tolist() == [3, 5]
    heights = [container.lines[0].get_ydata()[0] for container in ax.containers]
    assert heights[0] < heights[1] and [t.get_text() for t in ax.get_yticklabels()] == [
        score_plots.ROWS["gan"]
    ]
    plots.show(figure, alt="a test")


def test_fidelity_and_diversity_are_the_axes_of_a_plane():
    figure, (ax,) = plots.subplots()
    floor = {"precision": interval(0.9, 0.1), "recall": interval(0.8, 0.1)}
    rows = {"copies": {"precision": interval(0.7, 0.2), "recall": interval(0.0, 0.0)}}
    score_plots.fidelity_diversity(ax, rows, floor, "title")
    places = [tuple(c.lines[0].get_xydata()[0]) for c in ax.containers]
    assert places == [(0.8, 0.9), (0.0, 0.7)]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["real, held out", "copies"]
    plots.show(figure, alt="a test")


def test_against_one_over_n_the_bias_is_the_recorded_line(bias):
    figure, axes = plots.subplots(1, 2)
    recorded = results.read("scores_bias.json")["rows"]
    score_plots.bias_lines(axes, bias, recorded)
    dashed = [line for line in axes[0].lines if line.get_linestyle() == "--"]
    for line, row in zip(dashed, ("real", "gan"), strict=True):
        (_, start), (x, end) = line.get_xydata()
        assert start == recorded[row]["limit"]["value"]
        assert (end - start) / x == pytest.approx(recorded[row]["slope"]["value"])
    assert not any(line.get_linestyle() == "--" for line in axes[1].lines)
    figure.canvas.draw()
    labels = [label.get_text() for label in axes[0].get_xticklabels()]
    assert labels == ["0", "1/100", "1/200", "1/500"]
    plots.show(figure, alt="a test")


def test_a_folded_table_holds_what_the_table_holds():
    found = results.read("scores_table.json")
    text = score_plots.folded_table(found, "all of it")
    assert text.startswith("<details><summary>all of it</summary>") and "KD × 1,000" in text
    assert text.count("<tr>") == 1 + len(found["rows"]) and "Real set: CIFAR-10" in text


def test_the_diagrams_show_what_their_titles_count():
    figure, axes = plots.subplots(1, 2)
    score_diagrams.carrying(axes[0], torch.tensor([0.0, 2.0]), torch.tensor([1.0, 5.0]), "costs")
    assert axes[0].get_title("left") == "costs: mean cost 5.00"
    square = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    asked = torch.tensor([[0.5, 0.5], [3.0, 3.0], [-0.9, 0.0]])
    score_diagrams.region(axes[1], square, asked, 1, ("real", "made"))
    inside, outside = (line.get_xydata() for line in axes[1].lines[1:])
    assert inside.tolist() == pytest.approx(asked[[0, 2]].numpy()) and len(outside) == 1
    assert [patch.radius for patch in axes[1].patches] == [1.0] * 4
    plots.show(figure, alt="a test")


def test_the_recorded_table_names_all_that_it_depends_on():
    found = results.read("scores_table.json")
    text = score_plots.interval_table(found)
    lines = text.splitlines()
    assert len({line.count("|") for line in lines[: 2 + len(found["rows"])]}) == 1
    for part in ("n = 2,000", "5 draws", "features_cifar10", "Real set: CIFAR-10", "95 %"):
        assert part in lines[-1]
    assert "e-19" not in text


# ---- the blind test


def shown(picture):
    pixels = np.asarray(Image.open(io.BytesIO(picture.value)).convert("RGB"))[::6, ::6]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def test_the_blind_test_shows_each_picture_and_counts(blind):
    picture, buttons, status = blind_test.blind_test(blind).children
    real, made = buttons.children
    for number, is_real in enumerate(blind.real):
        assert torch.equal(shown(picture), blind.images[number])
        assert status.value == f"Picture {number + 1} of 12"
        assert not any(word in status.value.lower() for word in ("right", "wrong")), (
            "no hints on the way"
        )
        (real if is_real == (number != 4) else made).click()  # the fifth answer is wrong
    assert real.disabled and made.disabled
    assert status.value.startswith("11 of 12 right") and status.value.endswith("Wrong: 5.")


def blind_and_answers_belong_together():
    real, made = (
        torch.zeros(30, 3, 8, 8, dtype=torch.uint8),
        torch.full((30, 3, 8, 8), 9, dtype=torch.uint8),
    )
    test = blind_test.make_test(real, made, 30, "t", seed=5)
    assert [bool((image == 0).all()) for image in test.images] == list(test.real)
    assert 5 < sum(test.real) < 25
    assert blind_test.make_test(real, made, 30, "t", seed=5).real == test.real
    with pytest.raises(CourseError):
        blind_test.make_test(real[:3], made, 4, "t")


def test_the_twin_numbers_all_pictures_and_folds_the_answers(blind):
    figure, (ax,) = plots.subplots()
    blind_test.blind_static(ax, blind, columns=6)
    assert [text.get_text() for text in ax.texts] == [str(n) for n in range(1, 13)]
    assert ax.images[0].get_array().shape[:2] == (
        2 * 40 - 8,
        6 * 40 - 8,
    ) and "stand-in" in ax.get_title("left")
    plots.show(figure, alt="a test")
    folded = blind_test.answers_folded(blind)
    listed = {int(n) for n in folded.split("Real: ")[1].split(".")[0].split(", ")}
    assert listed == {n for n, is_real in enumerate(blind.real, 1) if is_real}
    assert folded.startswith("<details><summary>") and folded.endswith("</details>")


@pytest.mark.parametrize(
    ("right", "words"), [(14, "contains 50 %"), (18, "above 50 %"), (2, "below 50 %")]
)
def test_judgements(right, words):
    text = blind_test.judge(right, 20)
    low, high = wilson_interval(right, 20)
    assert words in text and f"{low:.0%} to {high:.0%}" in text
    for wrong in ((21, 20), (-1, 20), (0, 0)):
        with pytest.raises(CourseError):
            blind_test.judge(*wrong)


def test_the_whole_figures_hold_what_they_are_given():
    cloud = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    figure = score_diagrams.clouds(cloud, {"one": cloud, "other": cloud + 1})
    assert [ax.get_title() for ax in figure.axes] == ["truth", "one", "other"]
    plots.show(figure, alt="a test")
    figure = score_diagrams.plans(cloud[:, 0], {"at random": cloud[:, 1], "no way": cloud[:, 0]})
    assert figure.axes[1].get_title("left") == "no way: mean cost 0.00"
    plots.show(figure, alt="a test")
    figure = score_diagrams.regions(cloud, cloud + 1, 3)
    one, other = figure.axes
    assert one.get_xlim() == other.get_xlim() and one.get_ylim() == other.get_ylim()
    for ball in (*one.patches, *other.patches):
        low, high = one.get_xlim()
        assert low < ball.center[0] - ball.radius and ball.center[0] + ball.radius < high
    plots.show(figure, alt="a test")


def test_several_measurements_stand_on_one_scale_with_one_legend():
    rows = {"held_out": {"FD": interval(2, 0.5)}, "gan": {"FD": interval(8, 2)}}
    wide = {"held_out": {"FD": interval(2, 0.5)}, "gan": {"FD": interval(800, 20)}}
    figure = score_plots.ratio_figure({"here": {"one": rows}, "there": {"one": wide}})
    one, other = figure.axes
    assert one.get_xlim() == other.get_xlim() and one.get_xlim()[1] > 400
    assert one.get_legend() and not other.get_legend()
    plots.show(figure, alt="a test")
    floor = {"FD": interval(1, 0.1)}
    figure = score_plots.notice_figure({"bad": {"FD": interval(2, 0.1)}}, floor, "title")
    assert figure.axes[0].get_title("left") == "title"
    plots.show(figure, alt="a test")
