"""Checks of lesson 05: attention and text generation. Each returns the function that the lesson goes on with."""

from course_utils.checks.attention.attend_with_cache import attend_with_cache
from course_utils.checks.attention.beam_search import beam_search
from course_utils.checks.attention.bigram_probabilities import bigram_probabilities
from course_utils.checks.attention.block_forward import block_forward
from course_utils.checks.attention.causal_mask import causal_mask
from course_utils.checks.attention.filter_logits import filter_logits
from course_utils.checks.attention.generate import generate
from course_utils.checks.attention.merge_heads import merge_heads
from course_utils.checks.attention.merge_pair import merge_pair
from course_utils.checks.attention.next_token_loss import next_token_loss
from course_utils.checks.attention.scaled_dot_product import scaled_dot_product
from course_utils.checks.attention.split_heads import split_heads
from course_utils.checks.prediction import prediction

bits_after_training = prediction("attention.bits_after_training")

__all__ = [
    "attend_with_cache",
    "beam_search",
    "bigram_probabilities",
    "bits_after_training",
    "block_forward",
    "causal_mask",
    "filter_logits",
    "generate",
    "merge_heads",
    "merge_pair",
    "next_token_loss",
    "scaled_dot_product",
    "split_heads",
]
