"""Checks of lesson 03: the VAE and the ELBO. Each returns the function that the lesson goes on with."""

from course_utils.checks.prediction import prediction
from course_utils.checks.vae.best_log_var import best_log_var
from course_utils.checks.vae.beta_of import beta_of
from course_utils.checks.vae.free_bits import free_bits
from course_utils.checks.vae.gaussian_kl import gaussian_kl
from course_utils.checks.vae.gaussian_nll import gaussian_nll
from course_utils.checks.vae.iwae_bound import iwae_bound
from course_utils.checks.vae.linear_elbo import linear_elbo
from course_utils.checks.vae.linear_posterior import linear_posterior
from course_utils.checks.vae.log_weights import log_weights
from course_utils.checks.vae.negative_elbo import negative_elbo
from course_utils.checks.vae.repaired_line import repaired_line
from course_utils.checks.vae.reparameterise import reparameterise
from course_utils.checks.vae.sample import sample
from course_utils.checks.vae.train_step import train_step

__all__ = [
    "best_log_var",
    "beta_of",
    "collapsed_lines",
    "free_bits",
    "gaussian_kl",
    "gaussian_nll",
    "iwae_bound",
    "linear_elbo",
    "linear_posterior",
    "log_weights",
    "negative_elbo",
    "repaired_line",
    "reparameterise",
    "sample",
    "train_step",
]

collapsed_lines = prediction("vae.collapsed_lines")
"""In how many of five networks no latent number is used."""
