"""Checks of lesson 01: GAN theory. Each returns the function that the lesson goes on with."""

from course_utils.checks.gan.gan_step import gan_step
from course_utils.checks.gan.generator_loss import generator_loss
from course_utils.checks.gan.js_divergence import js_divergence
from course_utils.checks.gan.optimal_discriminator import optimal_discriminator
from course_utils.checks.gan.value_function import value_function

__all__ = ["gan_step", "generator_loss", "js_divergence", "optimal_discriminator", "value_function"]
