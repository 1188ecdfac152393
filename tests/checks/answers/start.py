"""Lesson 00: right and wrong answers to its exercise."""

import numpy as np
import torch

from answers import book

RIGHT, WRONG, right, wrong = book()


def by_numpy(images):
    return torch.from_numpy(np.interp(images.numpy(), [-1, 1], [0, 1]).astype("float32"))


def on_a_copy(images):
    return images.clone().add_(1).div_(2)


def in_place(images):
    images += 1
    return images / 2


RIGHT["to_unit_range"] += [lambda x: (x + 1) / 2, lambda x: 0.5 * x + 0.5, by_numpy, on_a_copy]
WRONG["to_unit_range"] += [
    (lambda x: x.clone(), "Nothing moved"),
    (lambda x: x / 2, "[-0.5, 0.5]"),
    (lambda x: x + 1 / 2, "divides before it adds"),
    (lambda x: 0.5 * x - 0.5, "the wrong way"),
    (lambda x: x + x - 1, "the way back"),
    (lambda x: torch.round(0.5 * x + 0.5), "rounded"),
    (lambda x: torch.div(x + 1, 2, rounding_mode="floor"), "drops what stands behind the point"),
    (lambda x: (1 + x) / (1 + x.amax()), "own largest value"),
    (lambda x: 1 + x, "[0, 2]"),
    (lambda x: x / 2 + 1, "[0.5, 1.5]"),
    (lambda x: 0.5 - x / 2, "exchanged"),
    (lambda x: x.abs(), "folded"),
    (lambda x: x.relu(), "cut off"),
    (lambda x: (x - x.min()) / (x.max() - x.min()), "darkest value here"),
    (lambda x: torch.sigmoid(x), "A curve"),
    (lambda x: (x + 1) * 127.5, "range of bytes"),
    (lambda x: ((x + 1) / 2).mean(), "nothing is summed"),
    (lambda x: ((x + 1) / 2).double(), "Convert with"),
    (lambda x: ((x + 1) / 2).tolist(), "Return a tensor"),
    (in_place, "use a copy"),
    (lambda x: None, "without `return`"),
    (lambda x: (x + 1) / 3, "0.2 / 2 = 0.1"),
]
