"""Checks of lesson 01: GAN theory. Each returns the function that the lesson goes on with; predictions are recorded."""

from course_utils.checks.gan.data_weights import data_weights
from course_utils.checks.gan.gan_step import gan_step
from course_utils.checks.gan.generator_loss import generator_loss
from course_utils.checks.gan.js_divergence import js_divergence
from course_utils.checks.gan.loss_of_modes import loss_of_modes
from course_utils.checks.gan.mode_scores import mode_scores
from course_utils.checks.gan.optimal_discriminator import optimal_discriminator
from course_utils.checks.gan.value_by_quadrature import value_by_quadrature
from course_utils.checks.gan.value_function import value_function
from course_utils.checks.gan.with_spread import with_spread
from course_utils.checks.prediction import prediction

first_with_adam = prediction("gan.first_with_adam", ("minimax", "non-saturating"))
modes_covered = prediction("gan.modes_covered")

__all__ = [
    "data_weights",
    "first_with_adam",
    "gan_step",
    "generator_loss",
    "js_divergence",
    "loss_of_modes",
    "mode_scores",
    "modes_covered",
    "optimal_discriminator",
    "value_by_quadrature",
    "value_function",
    "with_spread",
]
