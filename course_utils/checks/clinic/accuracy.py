"""Exercise `accuracy`: a network is judged as it will be used, and given back in the mode in which it came."""

import torch
from torch import Tensor, nn

from course_utils.checks.clinic.game import case
from course_utils.checks.core import Answer, call, expect_close, expect_number, require


def _accuracy_by_modes(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Every module's mode is kept and given back, one by one."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    with torch.no_grad():
        right = model(x).argmax(dim=1).eq(y).double().mean().item()
    for module, training in modes:
        module.training = training
    return right


_TRAINING = (
    "The network still worked as in training: dropout draws, and batch norm uses this batch. Which call ends "
    "that?"
)
_LEARNED = "Batch norm's running means moved: the network has learned from the examples that it is judged on."
_BACK = (
    "After this it stays in evaluation mode, and the training that goes on has no dropout: give back the mode "
    "that it had."
)
_WAKE = "It came in evaluation mode and goes in training mode: keep `model.training` before, and set that again."
_WORKED = (
    "By hand: logits (0.2, 1.5) and (2.0, -1.0) have their largest at 1 and 0. Labels 1 and 1 make one of two "
    "right: 0.5."
)
_SAYS = {
    "must match the size": "There is one answer for each row: `argmax` runs over the classes, dimension 1."
}
_SHARE = "A share of all examples, between 0 and 1."


@case(_accuracy_by_modes)
def accuracy(fn: Answer) -> None:
    """Check ``accuracy(model, x, y)``: the share of right answers, with the network in evaluation mode.

    Networks with dropout and with batch norm, in both modes; sizes for which a sum or a wrong dimension shows.
    """
    for training in (True, False):
        for model in (_dropping(), _standardising()):
            x = torch.randn(40, 6)
            y = torch.where(torch.arange(40) < 28, _answers(model, x), 3)
            model.train(training)
            before = {name: value.clone() for name, value in model.state_dict().items()}
            came = call(fn, model, x, y, may_change=[model], says=_SAYS)
            moved = [n for n, value in model.state_dict().items() if not value.equal(before[n])]
            require(
                not moved,
                "weights and buffers as they were",
                f"changed: {', '.join(moved)}",
                _LEARNED,
            )
            number = expect_number(came, "an accuracy")
            right = _accuracy_by_modes(model, x, y)
            wrong = [
                (lambda right=right: 40 * right, _SHARE),
                (lambda right=right: 100 * right, _SHARE),
                (lambda right=right: 1 - right, "This is the share of wrong answers."),
            ]
            hint = _WORKED
            if training and abs(number - right) > 1e-6 and _differs(fn, model, x, y):
                hint, wrong = _TRAINING, []
            expect_close(number, right, "the accuracy of a trained network", wrong=wrong, hint=hint)
            mode = f"model.training = {model.training}"
            hint = _BACK if training else _WAKE
            require(
                model.training is training, f"model.training = {training}, as it was", mode, hint
            )


def _differs(fn: Answer, model: nn.Module, x: Tensor, y: Tensor) -> bool:
    """Whether the answer depends on the mode in which the network comes."""
    told = []
    for training in (True, False):
        told.append(call(fn, model.train(training), x, y, may_change=[model]))
    model.train()
    return abs(float(told[0]) - float(told[1])) > 1e-6


def _answers(model: nn.Module, x: Tensor) -> Tensor:
    model.eval()
    with torch.no_grad():
        return model(x).argmax(1)


def _dropping() -> nn.Module:
    """A network whose answers in training have little to do with those that it gives later."""
    model = nn.Sequential(nn.Linear(6, 64), nn.Tanh(), nn.Dropout(0.9), nn.Linear(64, 3))
    return model.requires_grad_(True)


def _standardising() -> nn.Module:
    """A network with batch norm whose means are far from those of any batch here."""
    model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Linear(16, 3))
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.uniform_(-2, 2)
    return model
