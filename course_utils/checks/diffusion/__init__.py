"""Checks of lesson 09: diffusion and flow matching. Each returns the function that the lesson goes on with."""

from course_utils.checks.diffusion.ddim import ddim
from course_utils.checks.diffusion.exact_velocity import exact_velocity
from course_utils.checks.diffusion.flow_loss import flow_loss
from course_utils.checks.diffusion.from_velocity import from_velocity
from course_utils.checks.diffusion.guided import guided
from course_utils.checks.diffusion.guided_velocity import guided_velocity
from course_utils.checks.diffusion.interpolate import interpolate
from course_utils.checks.diffusion.noisy_walk import noisy_walk
from course_utils.checks.diffusion.solve import solve
from course_utils.checks.diffusion.train_step import train_step
from course_utils.checks.prediction import prediction

__all__ = [
    "ddim",
    "exact_velocity",
    "flow_loss",
    "from_velocity",
    "guided",
    "guided_velocity",
    "interpolate",
    "noisy_walk",
    "one_call",
    "removable",
    "solve",
    "train_step",
]

one_call = prediction("diffusion.one_call")
"""How far from the ring's centre its points lie after a single step, on average; the ring has radius 2."""

removable = prediction("diffusion.removable")
"""How many percent of the loss a perfect network could still take away."""
