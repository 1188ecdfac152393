"""Checks of lesson 07, the debugging clinic: each judges a mended program by what it does, and knows useless fixes."""

from course_utils.checks.clinic.commons_folder import commons_folder
from course_utils.checks.clinic.critic_step import critic_step
from course_utils.checks.clinic.elbo import elbo
from course_utils.checks.clinic.encode_batch import encode_batch
from course_utils.checks.clinic.errors_apart import errors_apart
from course_utils.checks.clinic.first_break import first_break
from course_utils.checks.clinic.gan_losses import gan_losses
from course_utils.checks.clinic.gan_step import gan_step
from course_utils.checks.clinic.generator_input import generator_input
from course_utils.checks.clinic.generator_objective import generator_objective
from course_utils.checks.clinic.is_equilibrium import is_equilibrium
from course_utils.checks.clinic.kl import kl
from course_utils.checks.clinic.label_loss import label_loss
from course_utils.checks.clinic.make_classifier import make_classifier
from course_utils.checks.clinic.make_judge import make_judge
from course_utils.checks.clinic.make_optimizer import make_optimizer
from course_utils.checks.clinic.match_ranges import match_ranges
from course_utils.checks.clinic.objections import objections
from course_utils.checks.clinic.same_training import same_training
from course_utils.checks.clinic.share_cut import share_cut
from course_utils.checks.clinic.shuffled import shuffled
from course_utils.checks.clinic.train_epoch import train_epoch

__all__ = [
    "commons_folder",
    "critic_step",
    "elbo",
    "encode_batch",
    "errors_apart",
    "first_break",
    "gan_losses",
    "gan_step",
    "generator_input",
    "generator_objective",
    "is_equilibrium",
    "kl",
    "label_loss",
    "make_classifier",
    "make_judge",
    "make_optimizer",
    "match_ranges",
    "objections",
    "same_training",
    "share_cut",
    "shuffled",
    "train_epoch",
]
