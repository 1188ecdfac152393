"""Checks of lesson 04: BERT fine-tuned on IMDB. Each returns the function that the lesson goes on with."""

from course_utils.checks.bert.keep_ends import keep_ends
from course_utils.checks.bert.lora_linear import lora_linear
from course_utils.checks.bert.mask_tokens import mask_tokens
from course_utils.checks.bert.merged import merged
from course_utils.checks.bert.occlusion import occlusion
from course_utils.checks.bert.pad_batch import pad_batch
from course_utils.checks.bert.paired_gap import paired_gap
from course_utils.checks.bert.train_step import train_step
from course_utils.checks.prediction import prediction

negations_right = prediction("bert.negations_right")

__all__ = [
    "keep_ends",
    "lora_linear",
    "mask_tokens",
    "merged",
    "negations_right",
    "occlusion",
    "pad_batch",
    "paired_gap",
    "train_step",
]
