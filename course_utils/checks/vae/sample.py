"""Exercise `sample`: a draw of a picture from the distribution that a decoder describes."""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.distributions.transforms import AffineTransform

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_like


def _sample_by_transform(model: Any, z: Tensor, noise: Tensor) -> Tensor:
    return AffineTransform(model.decode(z), model.log_var.exp().sqrt())(noise)


def _with(scale: Any, mean: Any = lambda model, z: model.decode(z)) -> Answer:
    return lambda model, z, noise: mean(model, z) + scale(model) * noise


_LIKE_REPARAMETERISE = "The noise is too strong or too weak: the deviation is exp(log_var / 2), as in `reparameterise`."
_MISTAKES: list[Wrong] = [
    (
        _with(lambda model: 0.0),
        "This is the mean of p(x|z), which everyone shows. A draw lies around it, by the pixels' deviation.",
    ),
    (
        _with(lambda model: 1.0),
        "The noise has the deviation 1: the model says another, in `log_var`.",
    ),
    (_with(lambda model: model.log_var.exp()), _LIKE_REPARAMETERISE),
    (_with(lambda model: model.log_var), _LIKE_REPARAMETERISE),
    (_with(lambda model: (2 * model.log_var).exp()), _LIKE_REPARAMETERISE),
    (_with(lambda model: (-0.5 * model.log_var).exp()), _LIKE_REPARAMETERISE),
    (
        _with(lambda model: -(0.5 * model.log_var).exp()),
        "The noise is subtracted: as probable a draw, but x = mean + deviation * noise.",
    ),
    (
        _with(lambda model: (0.5 * model.log_var).exp(), lambda model, z: 0.0),
        "The decoder's mean is missing: this is noise alone.",
    ),
    (
        lambda model, z, noise: _sample_by_transform(model, z, noise).clamp(-1, 1),
        "Nothing is cut off here: a Gaussian's draws may leave [-1, 1]. That is for whoever makes bytes.",
    ),
    (
        lambda model, z, noise: _sample_by_transform(model, z, noise[:1]),
        "All pictures got the noise of the first: each pixel has a draw of its own.",
    ),
]
_OWN_NOISE = "The noise is an argument: draw none of your own, or nobody could repeat the draw."
_WORKED = (
    "One pixel: the decoder says 0.4, the deviation is 2, the noise 0.5. So x = 0.4 + 2 · 0.5."
)
_SHAPE = "A draw has the shape of the picture, (B, 3, H, W)."


@exercise(_sample_by_transform)
def sample(fn: Answer) -> None:
    """Check ``sample(model, z, noise)``: latents (B, D), noise (B, 3, H, W) -> (B, 3, H, W)."""
    for count, latents, log_var in ((4, 3, -1.4), (2, 5, 0.8)):
        weights = torch.randn(latents, 3 * 4 * 4)
        model = SimpleNamespace(
            decode=lambda z, weights=weights: (z @ weights).tanh().unflatten(1, (3, 4, 4)),
            log_var=torch.tensor(log_var),
        )
        inputs = (model, torch.randn(count, latents), torch.randn(count, 3, 4, 4))
        got, again = call(fn, *inputs), call(fn, *inputs)
        random = type(got) is type(again) is Tensor and not torch.equal(got, again)
        expect_like(
            got,
            _sample_by_transform(*inputs),
            f"a draw of {count} pictures with log_var = {log_var}",
            inputs=inputs,
            wrong=_MISTAKES,
            shape=_SHAPE,
            hint=_OWN_NOISE if random else _WORKED,
        )
