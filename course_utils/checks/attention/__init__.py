"""Checks of lesson 05: attention and text generation. Each returns the function that the lesson goes on with."""

from course_utils.checks.attention.causal_mask import causal_mask
from course_utils.checks.attention.filter_logits import filter_logits
from course_utils.checks.attention.merge_heads import merge_heads
from course_utils.checks.attention.next_token_loss import next_token_loss
from course_utils.checks.attention.scaled_dot_product import scaled_dot_product
from course_utils.checks.attention.split_heads import split_heads

__all__ = [
    "causal_mask",
    "filter_logits",
    "merge_heads",
    "next_token_loss",
    "scaled_dot_product",
    "split_heads",
]
