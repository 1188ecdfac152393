"""Checks of lesson 02: DCGAN on CIFAR-10. Each returns the function that the lesson goes on with."""

from course_utils.checks.dcgan.conv_transpose_output_size import conv_transpose_output_size
from course_utils.checks.dcgan.init_dcgan_weights import init_dcgan_weights
from course_utils.checks.dcgan.make_generator import make_generator
from course_utils.checks.dcgan.slerp import slerp
from course_utils.checks.dcgan.to_tanh_range import to_tanh_range

__all__ = [
    "conv_transpose_output_size",
    "init_dcgan_weights",
    "make_generator",
    "slerp",
    "to_tanh_range",
]
