"""What a word does to a classifier's answer, by leaving it out."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Margin = Callable[[Sequence[str]], Tensor]
"""Texts -> how far each leans to positive: (N,), the positive logit minus the negative one."""


def occlusion(margin: Margin, text: str) -> tuple[list[str], Tensor]:
    """The effect of each word: the margin of the whole text minus that of the text without the word.

    Args:
        margin: scores texts.
        text: words are what white space separates.

    Returns:
        The W words and their effects (W,); a positive one spoke for positive.

    Source: M. Zeiler, R. Fergus (2014), arXiv 1311.2901, section 4.2 (on image patches); J. Li and others (2016),
    arXiv 1612.08220 (on words).
    """
    words = text.split()
    without = [" ".join(words[:i] + words[i + 1 :]) for i in range(len(words))]
    margins = margin([" ".join(words), *without])
    return words, (margins[0] - margins[1:]).detach() if words else torch.empty(0)
