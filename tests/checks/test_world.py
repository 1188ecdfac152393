"""Lesson 10: what its checks promise beyond right and wrong answers (`test_every_exercise.py`)."""

import pytest
import torch
from answers.world import Private

from course_utils.checks import world


@pytest.mark.parametrize("seed", range(20))
def test_a_right_private_gradient_passes_whatever_it_draws(seed):
    def answer(gradients, clip, noise_multiplier, generator):
        torch.rand(seed, generator=generator)  # other random numbers than those of the other seeds
        return Private()(gradients, clip, noise_multiplier, generator)

    assert world.clip_and_noise(answer) is answer
