"""Checks of lesson 08: steadying and steering GANs. Each returns the function that the lesson goes on with."""

from course_utils.checks.prediction import prediction
from course_utils.checks.stable.conditional_norm import conditional_norm
from course_utils.checks.stable.gradient_penalty import gradient_penalty
from course_utils.checks.stable.hinge_losses import hinge_losses
from course_utils.checks.stable.measured_anew import measured_anew
from course_utils.checks.stable.projection_logit import projection_logit
from course_utils.checks.stable.smallest_game import smallest_game
from course_utils.checks.stable.spectral_norm import spectral_norm
from course_utils.checks.stable.zero_centred_penalty import zero_centred_penalty

grid_modes = prediction("stable.grid_modes")
"""Lesson 08, in the plane: how many of the grid's 25 heaps a method keeps."""
nearer = prediction(
    "stable.nearer",
    ("obeys more, varies less", "obeys more, varies more", "obeys less, varies less", "no change"),
)
"""Lesson 08, with classes: what the shipped generator does with latent vectors 0.4 times as long."""
which_moves = prediction("stable.which_moves", ("the total", "the classes", "both"))
"""Lesson 08, with classes: whether telling the class moves the total distance, those of the classes, or both."""

__all__ = [
    "conditional_norm",
    "gradient_penalty",
    "grid_modes",
    "hinge_losses",
    "measured_anew",
    "nearer",
    "projection_logit",
    "smallest_game",
    "spectral_norm",
    "which_moves",
    "zero_centred_penalty",
]
