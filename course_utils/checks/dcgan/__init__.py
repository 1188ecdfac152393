"""Checks of lesson 02: DCGAN on CIFAR-10. Each returns the function that the lesson goes on with."""

from course_utils.checks.dcgan.conv_transpose_output_size import conv_transpose_output_size
from course_utils.checks.dcgan.init_dcgan_weights import init_dcgan_weights
from course_utils.checks.dcgan.make_discriminator import make_discriminator
from course_utils.checks.dcgan.make_generator import make_generator
from course_utils.checks.dcgan.slerp import slerp
from course_utils.checks.dcgan.slope import slope
from course_utils.checks.prediction import prediction

slope_of_the_sum = prediction("dcgan.slope_of_the_sum")
"""Lesson 02, when it goes wrong: what the gradient of the sum gives for BatchNorm and a linear layer."""

__all__ = [
    "conv_transpose_output_size",
    "init_dcgan_weights",
    "make_discriminator",
    "make_generator",
    "slerp",
    "slope",
    "slope_of_the_sum",
]
