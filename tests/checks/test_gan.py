"""Lesson 01: what its checks promise beyond right and wrong answers (`test_every_exercise.py`)."""

import math
from copy import deepcopy

import numpy as np
import pytest
import torch
from answers import gan as answers
from torch import nn

from course_utils.authoring.lessons import load_definitions
from course_utils.checks import gan
from course_utils.models import gan as package


@pytest.mark.parametrize("name", ["value_function", "generator_loss", "gan_step"])
def test_what_graduated_passes_the_checks(name):
    assert getattr(gan, name)(getattr(package, name)) is getattr(package, name)


@pytest.mark.parametrize(
    ("name", "spacing"), [("optimal_discriminator", ()), ("js_divergence", (0.5,))]
)
def test_references_and_solutions_take_numpy_arrays_too(name, spacing):
    p, q = np.array([0.5, 0.3, 0.0]), np.array([0.1, 0.9, 0.0])
    solution = getattr(load_definitions("01_gan_theory"), name)
    both = [function(p, q, *spacing) for function in (solution, getattr(gan, name).reference)]
    assert np.allclose(*map(np.asarray, both))


ANSWERS = [
    pytest.param(name, answer, id=f"{name}-{answer.__name__}")
    for name in ("optimal_discriminator", "js_divergence")
    for answer in answers.RIGHT[name]
]


@pytest.mark.parametrize(("name", "answer"), ANSWERS)
def test_what_the_checks_take_holds_what_the_lesson_asserts(name, answer):
    lesson = load_definitions("01_gan_theory", solved=True)
    setattr(lesson, name, getattr(gan, name)(answer))
    wide = torch.linspace(-30, 30, 6001, dtype=torch.float64)
    p = lesson.normal_density(wide, 0.0, 1.0)
    for shift in (0.0, 4.0, 20.0):
        q = lesson.normal_density(wide, shift, 1.0)
        left = float(lesson.value_by_quadrature(p, q, 0.01))
        right = -2 * math.log(2) + 2 * float(lesson.js_divergence(p, q, 0.01))
        assert abs(left - right) < 1e-9


def test_gan_step_does_not_alter_networks_that_others_hold():
    nets = nn.Linear(2, 1), nn.Linear(1, 1)
    before = deepcopy([n.state_dict() for n in nets])
    gan.gan_step(package.gan_step)
    assert all(torch.equal(b["weight"], n.weight) for b, n in zip(before, nets, strict=True))
