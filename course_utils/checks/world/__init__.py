"""Checks of lesson 10: in the world. Each returns the function that the lesson goes on with."""

from course_utils.checks.prediction import prediction
from course_utils.checks.world.clip_and_noise import clip_and_noise
from course_utils.checks.world.exposure import exposure
from course_utils.checks.world.flips import flips
from course_utils.checks.world.green_list import green_list
from course_utils.checks.world.members_found import members_found
from course_utils.checks.world.membership_auc import membership_auc
from course_utils.checks.world.private_step import private_step
from course_utils.checks.world.rounded import rounded
from course_utils.checks.world.training_cost import training_cost
from course_utils.checks.world.watermark_z import watermark_z
from course_utils.checks.world.worst_direction import worst_direction

generated_gain = prediction("world.generated_gain")
bits_needed = prediction("world.bits_needed")
flip_size = prediction("world.flip_size")
largest_class = prediction("world.largest_class")
copies_needed = prediction("world.copies_needed", ("1", "10", "100", "none"))
blind_auc = prediction("world.blind_auc")
tokens_needed = prediction("world.tokens_needed")

__all__ = [
    "bits_needed",
    "blind_auc",
    "clip_and_noise",
    "copies_needed",
    "exposure",
    "flip_size",
    "flips",
    "generated_gain",
    "green_list",
    "largest_class",
    "members_found",
    "membership_auc",
    "private_step",
    "rounded",
    "tokens_needed",
    "training_cost",
    "watermark_z",
    "worst_direction",
]
