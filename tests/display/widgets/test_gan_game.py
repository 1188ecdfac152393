"""Lesson 01's widget: its numbers against closed forms, its drawing, its sliders, its static twin."""

import math

import matplotlib.pyplot as plt
import pytest
import torch

from course_utils.authoring.lessons import load_definitions
from course_utils.display.widgets import gan_game


@pytest.fixture(scope="module")
def lesson():
    return load_definitions("01_gan_theory")


def moment(lesson, p_data, mean, std):
    return gan_game.game_at(p_data, lesson.optimal_discriminator, lesson.js_divergence, mean, std)


def narrow(x):
    return torch.exp(-0.5 * (x / 0.5) ** 2) / (0.5 * math.sqrt(2 * math.pi))


def test_equal_densities_are_the_equilibrium(lesson):
    now = moment(lesson, narrow, 0.0, 0.5)
    assert now.jsd == pytest.approx(0, abs=1e-9) and now.value == pytest.approx(-math.log(4))
    assert torch.allclose(now.best, torch.full_like(now.best, 0.5))


def test_far_densities_reach_the_worst_value(lesson):
    now = moment(lesson, narrow, 5.0, 0.25)
    assert now.jsd == pytest.approx(math.log(2), abs=1e-6) and now.value == pytest.approx(
        0, abs=1e-6
    )


def test_a_nearer_generator_has_a_smaller_divergence(lesson):
    values = [moment(lesson, narrow, mean, 0.5).jsd for mean in (2.0, 1.0, 0.5, 0.1)]
    assert values == sorted(values, reverse=True)


def test_the_sentence_tells_both_numbers(lesson):
    now = moment(lesson, lesson.p_data, 2.0, 0.8)
    text = gan_game.describe_game(now)
    assert f"{now.jsd:.4f}" in text and f"{now.value:.4f}" in text


def test_the_drawing_shows_the_three_curves_and_the_numbers(lesson):
    now = moment(lesson, lesson.p_data, 2.0, 0.8)
    _, ax = plt.subplots()
    gan_game.draw_game(ax, now)
    for line, curve in zip(ax.lines[:3], (now.p_data, now.p_g, now.best), strict=True):
        assert torch.allclose(torch.as_tensor(line.get_ydata()), curve)
    assert f"{now.jsd:.3f}" in ax.get_title(loc="left")
    plt.close("all")


def test_the_static_twin_draws_with_the_same_function(lesson):
    figure, axes = plt.subplots(1, 3)
    gan_game.game_static(
        list(axes), lesson.p_data, lesson.optimal_discriminator, lesson.js_divergence
    )
    titles = [ax.get_title(loc="left") for ax in axes]
    assert all("JSD" in title and "N(" in title for title in titles) and len(set(titles)) == 3
    plt.close(figure)


def test_dragging_a_slider_redraws(lesson):
    asked = []

    def divergence(p, q, dx):
        asked.append(q)
        return lesson.js_divergence(p, q, dx)

    widget = gan_game.game(lesson.p_data, lesson.optimal_discriminator, divergence)
    (mean, _), (std, _), shown = (child.children for child in widget.children)
    picture, sentence = bytes(shown[0].value), shown[1].value
    assert picture.startswith(b"\x89PNG") and len(asked) == 1
    mean.value = -3.0
    assert len(asked) == 2 and bytes(shown[0].value) != picture and shown[1].value != sentence
    std.value = 1.5
    now = moment(lesson, lesson.p_data, -3.0, 1.5)
    assert shown[1].value == gan_game.describe_game(now)
    assert bytes(shown[0].value) == gan_game.picture_of(now, gan_game.sketch())
    assert asked[-1].argmax() == (torch.linspace(*gan_game.GRID) + 3.0).abs().argmin()
