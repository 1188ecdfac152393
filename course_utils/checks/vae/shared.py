"""What the checks of `gaussian_kl` and `gaussian_nll` share."""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from course_utils.checks.core import Answer, Wrong, call, expect_gradient, expect_like


def expect_per_image(
    fn: Answer,
    inputs: tuple[Tensor, ...],
    expected: Tensor,
    what: str,
    wrong: Sequence[Wrong],
    worked: str,
    says: Mapping[str, str] | None = None,
) -> None:
    """Require one number for each image of the batch, (B,); ``worked`` is an example, ``says`` goes to `call`."""
    full = "There is one number for each image of the batch: what is summed away, and what is kept?"
    came = call(fn, *inputs, says=says)
    expect_like(came, expected, what, inputs=inputs, wrong=wrong, shape=full, hint=worked)


def expect_both_gradients(
    fn: Answer, reference: Callable[[Tensor, Tensor], Tensor], mean: Tensor, log_var: Tensor
) -> None:
    """Require the reference's gradients in the mean and in the log variance."""
    leaves = {"mean": mean.requires_grad_(), "log_var": log_var.requires_grad_()}
    expect_gradient(call(fn, mean, log_var), reference(mean, log_var), leaves)
