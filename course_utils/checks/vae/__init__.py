"""Checks of lesson 03: the VAE and the ELBO. Each returns the function that the lesson goes on with."""

from course_utils.checks.prediction import prediction
from course_utils.checks.vae.gaussian_kl import gaussian_kl
from course_utils.checks.vae.gaussian_nll import gaussian_nll
from course_utils.checks.vae.iwae_bound import iwae_bound
from course_utils.checks.vae.linear_elbo import linear_elbo
from course_utils.checks.vae.log_weights import log_weights
from course_utils.checks.vae.negative_elbo import negative_elbo
from course_utils.checks.vae.repaired_line import repaired_line
from course_utils.checks.vae.reparameterise import reparameterise
from course_utils.checks.vae.train_step import train_step

__all__ = [
    "collapsed_lines",
    "gaussian_kl",
    "gaussian_nll",
    "iwae_bound",
    "linear_elbo",
    "log_weights",
    "negative_elbo",
    "repaired_line",
    "reparameterise",
    "train_step",
]

collapsed_lines = prediction("vae.collapsed_lines")
"""In how many of five networks no latent number is used."""
