"""Exercise `with_spread`: points with one more coordinate, which tells D how far their batch spreads."""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.core import Answer, Wrong, call, exercise, expect_gradient, expect_like


def _with(spread: Tensor, points: Tensor) -> Tensor:
    """Points (copies, B, D) and a number that broadcasts to (copies, B, 1), side by side."""
    return torch.cat([points, spread.expand(*points.shape[:2], 1)], dim=2)


def _by_norms(points: Tensor, less: int = 1) -> Tensor:
    """From the distances to the mean of the batch; ``less`` of the points is subtracted from their number."""
    away = points - points.mean(dim=1, keepdim=True)
    lengths = torch.linalg.vector_norm(away, dim=1) / (points.shape[1] - less) ** 0.5  # (copies, D)
    return F.pad(points, (0, 1)) + F.pad(lengths.mean(dim=1)[:, None, None], (points.shape[2], 0))


def _std(points: Tensor) -> Tensor:
    return points.std(dim=1, keepdim=True)


_ONE_FOR_ALL = (
    "This is one number for all copies: copy 1 would see how far the samples of copy 2 spread. Each copy has a batch "
    "of its own."
)
_COPIES = "This is the spread over the copies, dimension 0. The points of one batch lie along dimension 1."
_MISTAKES: list[Wrong] = [
    (lambda x: _with(_std(x).mean(), x), _ONE_FOR_ALL),
    (lambda x: _with(x.std(), x), _ONE_FOR_ALL),
    (lambda x: _with(x.std(dim=0, keepdim=True).mean(dim=2, keepdim=True), x), _COPIES),
    (lambda x: _with(x.std(dim=0).mean(), x), _COPIES),
    (
        lambda x: _with(x.std(dim=2, keepdim=True), x),
        "This compares the coordinates of one point with each other. What has to be compared is one coordinate of all "
        "points of a batch.",
    ),
    (
        lambda x: _with(x.std(dim=(1, 2), keepdim=True), x),
        "One standard deviation over points and coordinates together: it is large where the coordinates have unequal "
        "means, even if all points are alike. First one for each coordinate, then their mean.",
    ),
    (
        lambda x: _with(x.var(dim=1, keepdim=True).mean(dim=2, keepdim=True), x),
        "This is the variance, in squared units; the standard deviation is its root.",
    ),
    (
        lambda x: _with(x.var(dim=1, keepdim=True).mean(dim=2, keepdim=True).sqrt(), x),
        "The root of the mean variance. Asked for is the mean of the roots: first the root, then the mean.",
    ),
    (
        lambda x: _with(_std(x).norm(dim=2, keepdim=True), x),
        "The root of the summed variances grows with the number of coordinates; asked for is the mean of the standard "
        "deviations.",
    ),
    (
        lambda x: _with(_std(x).sum(dim=2, keepdim=True), x),
        "The standard deviations of the coordinates are added here; asked for is their mean.",
    ),
    (
        lambda x: _with(x.mean(dim=1, keepdim=True).mean(dim=2, keepdim=True), x),
        "This tells D where the batch lies. Asked for is how far it spreads.",
    ),
    (
        lambda x: _with((x - x.mean(dim=1, keepdim=True)).abs().mean(dim=2, keepdim=True), x),
        "This is each point's own distance from the mean; all points of a batch get the same number.",
    ),
    (
        lambda x: torch.cat([_with(_std(x).mean(dim=2, keepdim=True), x)[..., -1:], x], dim=2),
        "The spread stands in front; it is appended, behind the point's own coordinates.",
    ),
    (
        lambda x: torch.cat([x, _std(x).expand_as(x)], dim=2),
        "One more coordinate, not one for each: the standard deviations of the coordinates are averaged.",
    ),
    (
        lambda x: _with(_std(x).mean(dim=2, keepdim=True), x)[..., -1:],
        "Only the spread is left. D still has to see the points: append it to them.",
    ),
    (
        lambda x: torch.cat(
            [x, _std(x).mean(dim=2, keepdim=True).expand(-1, 1, x.shape[2])], dim=1
        ),
        "The spread became one more *point* (dim=1); it shall be one more *coordinate* of every point (dim=2).",
    ),
]
_SHAPE = "Each point keeps its coordinates and gets one more: (copies, B, D) -> (copies, B, D + 1)."
_WORKED = (
    "One copy with the points (1, 0) and (3, 8): the standard deviations are 1.414 and 5.657 (1 and 4 if divided by "
    "B), their mean is 3.536 (2.5), and the points become (1, 0, 3.536) and (3, 8, 3.536)."
)
_CUT = (
    "The numbers are right, but no gradient comes back through the spread: G would never feel what its lack of variety "
    "costs. No .detach(), .item() or torch.no_grad on the way."
)


@exercise(_by_norms)
def with_spread(fn: Answer) -> None:
    """Check ``with_spread(points)``: (copies, B, D) -> (copies, B, D + 1); divided by B or by B - 1."""
    random = torch.Generator().manual_seed(4)
    for copies, batch, size in ((3, 5, 2), (2, 4, 3), (1, 6, 1)):
        far = torch.tensor([1.0, -3.0, 6.0])[:size]
        wide = torch.linspace(0.5, 3, copies)[:, None, None] * torch.linspace(1, 2, size)
        points = torch.randn(copies, batch, size, generator=random) * wide + far
        points.requires_grad_()
        answer = call(fn, points)
        expected = _nearest(answer, points)
        expect_like(
            answer,
            expected,
            "points and spread",
            inputs=(points.detach(),),
            wrong=_MISTAKES,
            shape=_SHAPE,
            hint=_WORKED,
        )
        expect_gradient(answer, expected, {"points": points}, _CUT)


def _nearest(answer: object, points: Tensor) -> Tensor:
    """The reference with the divisor, B - 1 or B, that an answer took; B - 1 if neither."""
    by_number = _by_norms(points, less=0)
    if not isinstance(answer, Tensor) or answer.shape != by_number.shape:
        return _by_norms(points)
    same = torch.allclose(answer.double(), by_number.double(), rtol=1e-4, atol=1e-6)
    return by_number if same else _by_norms(points)
