"""Exercise `gan_step`: a step that leaves no gradient over for the next. It is judged as that of lesson 01 is."""

from course_utils.checks.clinic.game import case
from course_utils.checks.core import Answer
from course_utils.checks.gan.gan_step import gan_step_with_labels, inspect_gan_step


@case(gan_step_with_labels)
def gan_step(fn: Answer) -> None:
    """Check ``gan_step(generator, discriminator, g_optimizer, d_optimizer, real, noise) -> (float, float)``."""
    inspect_gan_step(fn)
