"""Exercise `first_nan`: the first module whose output is not finite."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from course_utils.checks.clinic.game import case
from course_utils.checks.core import Answer, call, require


def _first_by_flags(model: nn.Module, x: Tensor) -> str | None:
    """A list of all modules in the order in which they answer, read afterwards."""
    seen: list[tuple[str, bool]] = []

    def watch(name: str) -> Callable[..., None]:
        return lambda module, given, out: seen.append((name, bool(out.isfinite().all())))

    hooks = [module.register_forward_hook(watch(name)) for name, module in model.named_modules()]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return next((name for name, finite in seen if not finite), None)


class _Step(nn.Module):
    """One operation as a module."""

    def __init__(self, how: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        return self.how(x)


class _Backwards(nn.Module):
    """Its modules answer in another order than that of their definition."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.first = _Step(torch.log), _Step(lambda x: 1 / (x - x))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.first(x))


_STEPS: dict[str, Callable[[Tensor], Tensor]] = {
    "line": lambda x: 2 * x + 1,
    "log": lambda x: torch.log(x - x),  # minus infinity
    "root": lambda x: torch.sqrt(-1 - x.abs()),  # NaN
    "ones": torch.ones_like,
}


def _net(*names: str, **blocks: nn.Module) -> nn.Sequential:
    """Steps by what they do and then blocks by name; a second step of one kind is ``line2``."""
    net = nn.Sequential()
    for name in names:
        net.add_module(name, _Step(_STEPS[name.rstrip("2345")]))
    for name, block in blocks.items():
        net.add_module(name, block)
    return net


_INFINITE = "Infinity is not finite either, and it becomes NaN one layer later: `isfinite` sees both, `isnan` only one."
_ORDER = (
    "Modules answer in the order in which they are *called*, which hooks see; that of `named_modules` is another "
    "one."
)
_FIRST = "Once something is not finite, what follows is so as well. Asked for is the first, not the last."
_LAST = (
    "This is the last module of all. Asked for is the first; and if each of your hooks says so: the name in a loop is "
    "read when the hook *runs*. Bind it, `def hook(module, inputs, output, name=name)`."
)
_NEXT = "This module is innocent: what it was *given* was bad already. Look at outputs."
_NO_NAME = "`named_modules()` has no such name: it gives pairs of name and module."
_INNER = (
    "A block answers after the modules in it: the innermost one is the culprit, and its name has dots "
    "(`block.root`)."
)
_NONE = "All outputs are finite here: None."
_LEFT = (
    "A hook that stays is called at every later pass: keep what `register_forward_hook` returns and call its "
    "`.remove()`."
)
_TAKEN = "A hook that was there before is gone: call `.remove()` on your own handles, and clear no others."
_WHOLE_NET = (
    "'' is the network itself, which answers last, after all of its modules. Asked for is the first, not the last, in "
    "the order of calls that hooks see; `named_modules` has another order."
)
_UNSEEN = "Nothing was found, though an output is not finite here: do your hooks look at *outputs*, and of all modules?"
_NAME = "Return the name that `named_modules()` gives, as text, or None."
_ONE_ROW = "A single bad row is enough: look at all of the output, not at its mean over finite values or its first row."


_SAYS = {"list index out of range": "Where all is finite nothing is found: the answer is None."}


@case(_first_by_flags)
def first_nan(fn: Answer) -> None:
    """Check ``first_nan(model, x)``: the name of the first module called whose output is not finite, or None.

    Sound networks; NaN, infinity; nested modules; modules called in another order than defined; hooks that stay.
    """
    x = torch.linspace(0.5, 2, 12).view(4, 3)
    half = torch.cat([x[:3], torch.full((1, 3), float("inf"))])
    cases = (
        (_net("line", "line2"), x, None, _NONE),
        (_net("line", "root", "line2", "line3"), x, "root", _FIRST),
        (_net("line", "log", "root", "line2"), x, "log", _INFINITE),
        (_Backwards(), x, "first", _ORDER),
        (_net("line", block=_net("line", "root")), x, "block.root", _INNER),
        (_net("line", "line2"), half, "line", _ONE_ROW),
        (_net("line", "ones"), x, None, _NONE),
    )
    for model, given, right, hint in cases:
        guest = model.register_forward_hook(lambda *_: None)
        came = call(fn, model, given, returns=False, says=_SAYS)
        require(guest.id in model._forward_hooks, "other hooks left alone", "one is gone", _TAKEN)
        guest.remove()
        require(came is None or type(came) is str, "a name or None", came, _NAME)
        left = sum(len(module._forward_hooks) for module in model.modules())
        require(not left, "no hook left behind", f"{left} of them", _LEFT)
        if came == "" and right is not None:
            hint = _WHOLE_NET
        elif came is None and hint is _FIRST:
            hint = _UNSEEN
        elif came is not None and came not in dict(model.named_modules()):
            hint = _NO_NAME
        elif hint is _FIRST:
            hint = {"line2": _NEXT, "line3": _LAST}.get(came, hint)
        require(came == right, f"{right!r} for {type(model).__name__}", repr(came), hint)
