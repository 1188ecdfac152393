"""Checks of lesson 07, the debugging clinic: each judges a mended program by what it does, and knows useless fixes."""

from course_utils.checks.clinic.accuracy import accuracy
from course_utils.checks.clinic.class_loss import class_loss
from course_utils.checks.clinic.critic_step import critic_step
from course_utils.checks.clinic.elbo import elbo
from course_utils.checks.clinic.encode_batch import encode_batch
from course_utils.checks.clinic.first_break import first_break
from course_utils.checks.clinic.first_nan import first_nan
from course_utils.checks.clinic.game import first_sight, guess, reveal
from course_utils.checks.clinic.gan_losses import gan_losses
from course_utils.checks.clinic.gan_step import gan_step
from course_utils.checks.clinic.generator_objective import generator_objective
from course_utils.checks.clinic.is_equilibrium import is_equilibrium
from course_utils.checks.clinic.kl import kl
from course_utils.checks.clinic.label_loss import label_loss
from course_utils.checks.clinic.make_classifier import make_classifier
from course_utils.checks.clinic.make_judge import make_judge
from course_utils.checks.clinic.make_network import make_network
from course_utils.checks.clinic.match_ranges import match_ranges
from course_utils.checks.clinic.mystery import mystery
from course_utils.checks.clinic.overfit_one_batch import overfit_one_batch
from course_utils.checks.clinic.same_training import same_training
from course_utils.checks.clinic.shuffled import shuffled
from course_utils.checks.clinic.squared_error import squared_error
from course_utils.checks.clinic.train_epoch import train_epoch

__all__ = [
    "accuracy",
    "class_loss",
    "critic_step",
    "elbo",
    "encode_batch",
    "first_break",
    "first_nan",
    "first_sight",
    "gan_losses",
    "gan_step",
    "generator_objective",
    "guess",
    "is_equilibrium",
    "kl",
    "label_loss",
    "make_classifier",
    "make_judge",
    "make_network",
    "match_ranges",
    "mystery",
    "overfit_one_batch",
    "reveal",
    "same_training",
    "shuffled",
    "squared_error",
    "train_epoch",
]
