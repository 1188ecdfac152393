"""Checks of lesson 04: BERT fine-tuned on IMDB. Each returns the function that the lesson goes on with."""

from course_utils.checks.bert.mask_tokens import mask_tokens
from course_utils.checks.bert.pad_batch import pad_batch
from course_utils.checks.bert.parameter_groups import parameter_groups
from course_utils.checks.bert.warmup_linear import warmup_linear
from course_utils.checks.bert.wilson_interval import wilson_interval

__all__ = ["mask_tokens", "pad_batch", "parameter_groups", "warmup_linear", "wilson_interval"]
