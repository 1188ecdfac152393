"""What each lesson's settings cell says, tier by tier, for the trainings without a notebook.

A test holds each row to the lesson's own.
"""

from collections.abc import Mapping
from typing import Any

from course_utils.tiers import TIERS

STEADY = {"d_lr": 4e-4, "gamma": 0.1}
"""What steadies lesson 02's game: the discriminator's learning rate, and the weight of the penalty on its slope."""


def _table(same: Mapping[str, Any], **rows: tuple[Any, ...]) -> Mapping[str, Mapping[str, Any]]:
    """Settings per tier: the rows hold a value for each, ``same`` what is alike at all."""
    columns = zip(*rows.values(), strict=True)
    return {
        tier: {**same, **dict(zip(rows, column, strict=True))}
        for tier, column in zip(TIERS, columns, strict=True)
    }


# fmt: off
SETTINGS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "dcgan": _table(
        {"latent_dim": 100, **STEADY},
        #                smoke  laptop     gpu
        steps         = (   30,  2_400, 80_000),
        images        = (  512, 50_000, 50_000),
        batch_size    = (   32,     64,     64),
        width         = (   16,     64,     64),
        average       = (  0.9,   0.99,  0.999),
    ),
    "vae": _table(
        {"latent_dim": 64},
        #                smoke  laptop     gpu
        steps         = (   60,  1_600, 40_000),
        images        = (  512, 50_000, 50_000),
        batch_size    = (   32,    128,    128),
        width         = (    8,     32,     32),
    ),
    "cgan": _table(
        {"latent_dim": 100, **STEADY},
        #                smoke  laptop     gpu
        steps         = (   30,  2_000, 80_000),
        images        = (  512, 50_000, 50_000),
        batch_size    = (   32,     64,     64),
        width         = (   16,     64,     64),
        average       = (  0.9,   0.99,  0.999),
    ),
    "bert": _table(
        {"keep": "ends"},
        #                smoke  laptop     gpu
        reviews       = (   64,  2_000, 25_000),
        test          = (  100,  1_000, 25_000),
        max_tokens    = (   32,    128,    256),
        batch_size    = (   16,     16,     32),
        epochs        = (    1,      2,      3),
        learning_rate = ( 1e-4,   1e-4,   2e-5),
    ),
    "gpt": _table(
        {},
        #                smoke  laptop     gpu
        documents     = (  100, 10_000, 25_000),
        steps         = (   60,  4_000, 20_000),
        batch_size    = (   16,     16,     16),
        vocab         = (  512,  1_024,  1_024),
        dim           = (   32,    128,    192),
        layers        = (    2,      4,      6),
        heads         = (    2,      4,      6),
        context       = (   64,     64,    256),
    ),
    "flow": _table(
        {},
        #                smoke  laptop     gpu
        steps         = (   40,  1_600, 80_000),
        images        = (  512, 50_000, 50_000),
        batch_size    = (   32,     64,    128),
        width         = (    8,     32,     64),
        average       = (  0.9,   0.99, 0.9995),
    ),
}
# fmt: on
"""Lesson -> tier -> setting -> value."""
