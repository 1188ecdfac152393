"""What an open exercise falls back to must go wherever the lesson's own solution goes.

Checks ask small questions in float32. Trainings pass more: bf16 from autocast, channels-last pictures, large batches.
So each question of a check is asked again in these ways; where the solution answers, so must the reference, alike.
"""

import contextlib
import copy
import functools
import importlib

import pytest
import torch
from test_every_exercise import EXERCISES, written
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from course_utils.models import cgan

LEFT_OUT = {
    "attention.beam_search": "a search without a training",
    "metrics.cheat": "a search, which its check measures by what it finds",
    "clinic": "its networks are small, on the CPU and in float32",
}
"""An exercise, or a lesson's folder, and why it is not asked."""
NEVER_TRAINED = {
    "metrics": "scores are computed in float32 or float64, after a training",
    "world": "it looks at what is trained already, in float32",
    "attention.filter_logits": "logits are made float32 before a token is drawn",
    "diffusion.ddim": "it starts from float32, and asks a network that is trained",
    "diffusion.exact_velocity": "it takes pictures and no network",
    "diffusion.noisy_walk": "it starts from float32, and asks a network that is trained",
    "gan.loss_of_modes": "it takes two counts, and no network",
    "gan.mode_scores": "a score of samples",
    "gan.optimal_discriminator": "it takes densities from a formula",
    "vae.best_log_var": "it reads float32, after a training",
    "vae.beta_of": "it takes numbers in float64, and a loss line",
    "vae.linear_elbo": "it takes numbers in float64, and no network",
    "vae.linear_posterior": "it takes numbers in float64, and no network",
}
"""What meets neither bf16 nor gradients."""
DRAWN = {"bert.mask_tokens", "metrics.bootstrap_interval"}
"""Reference and solution draw other random numbers: only their shapes and formats are compared."""
FEW_ROWS = {"diffusion.exact_velocity": "the lesson asks for twelve pictures"}
"""References that may take one row after the other."""
PENALTY = importlib.import_module("course_utils.checks.stable.gradient_penalty")
QUESTIONS = 2
"""How many of a check's questions are asked again."""


def named_in(table, name):
    return name in table or name.split(".")[0] in table


ASKED = [name for name in EXERCISES if not named_in(LEFT_OUT, name)]


def autocast():
    return torch.autocast("cpu", dtype=torch.bfloat16)


def of_tensors(change, of_networks=lambda network: network):
    """A change of every tensor among the arguments, also of those in lists and tuples."""

    def changed(value):
        if isinstance(value, torch.Tensor):
            return change(value.detach())
        if isinstance(value, nn.Module):
            return of_networks(value)
        if isinstance(value, (list, tuple)) and any(isinstance(v, torch.Tensor) for v in value):
            return type(value)(changed(v) for v in value)
        return value

    return lambda arguments: tuple(map(changed, arguments))


def in_bf16(x):
    return x.bfloat16() if x.is_floating_point() else x


def channels_last(x):
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


def elsewhere(x):
    """On a device that computes shapes and formats only; as on a GPU, nothing from the CPU goes with it."""
    return x.to("meta")


WAYS = {
    "as asked": (of_tensors(torch.clone), contextlib.nullcontext),
    "float32, inside bf16's autocast": (of_tensors(torch.clone), autocast),
    "bf16, inside autocast": (of_tensors(in_bf16), autocast),
    "bf16, after autocast": (of_tensors(in_bf16), contextlib.nullcontext),
    "channels last": (of_tensors(channels_last), contextlib.nullcontext),
    "on another device": (of_tensors(elsewhere, elsewhere), contextlib.nullcontext),
    "16 times the rows": (
        of_tensors(lambda x: x.repeat_interleave(16, 0) if x.dim() else x.clone()),
        contextlib.nullcontext,
    ),
}


class Counted(TorchDispatchMode):
    """Counts operations: a duration would differ from run to run."""

    def __init__(self):
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.operations += 1
        return function(*args, **(kwargs or {}))


@functools.cache
def questions(name):
    """The arguments of the first questions that the check asks the lesson's own solution."""
    asked, solution = [], written(name)

    @functools.wraps(solution)
    def noting(*arguments):
        asked.append(copied(of_tensors(torch.clone)(arguments)))
        if len(asked) == QUESTIONS:
            raise Enough
        return solution(*arguments)

    with contextlib.suppress(Enough):
        EXERCISES[name](noting)
    assert asked
    return asked


class Enough(BaseException):
    """Ends a check, which takes every `Exception` for the answer's."""


def copied(arguments):
    """The arguments together, so that a copied optimiser steps the copied network; a generator at its place."""
    generators = {id(a): torch.Generator() for a in arguments if isinstance(a, torch.Generator)}
    for a in arguments:
        if isinstance(a, torch.Generator):
            generators[id(a)].set_state(a.get_state())
    twins = copy.deepcopy(arguments, generators)
    for a, twin in zip(arguments, twins, strict=True):
        if isinstance(a, torch.optim.Optimizer):  # whose copies have no attributes of a check's own
            vars(twin).update(vars(a) | vars(twin))
    return twins


def outcome(fn, arguments, change, surroundings, trained=True):
    """All numbers that come of a question: results, gradients, what became of networks. And how many operations."""
    arguments = change(copied(arguments))
    leaves = [a for a in arguments if isinstance(a, torch.Tensor) and a.is_floating_point()]
    for leaf in leaves:
        leaf.requires_grad_(trained and not leaf.is_inference())
    networks = [a for a in arguments if isinstance(a, nn.Module)]
    torch.manual_seed(0)
    counted = Counted()
    with surroundings(), counted:
        result = fn(*arguments)
        tensors = list(flat(result))
        total = sum(
            (t.float() * torch.linspace(0.5, 1.5, t.numel(), device=t.device).view(t.shape)).sum()
            for t in tensors
            if t.requires_grad
        )
    if isinstance(total, torch.Tensor):
        total.backward()
    parts = [*leaves, *(p for network in networks for p in network.parameters())]
    tensors += [torch.zeros_like(p) if p.grad is None else p.grad for p in parts]
    tensors += [value for network in networks for value in network.state_dict().values()]
    return [comparable(t) for t in tensors], counted.operations


def comparable(t):
    """A tensor as it is; of the other device, which has no numbers, its shape and format."""
    return torch.zeros_like(t, device="cpu") if t.is_meta else t.detach()


def flat(result):
    """Every number of a result as a tensor; what holds none (a function, a text) is left out."""
    if isinstance(result, torch.Tensor):
        yield result
    elif isinstance(result, (bool, int, float)):
        yield torch.tensor(float(result), dtype=torch.float64)
    elif isinstance(result, (list, tuple)):
        for part in result:
            yield from flat(part)
    elif isinstance(result, dict):
        yield from flat(list(result.values()))


def alike_in_form(ours, theirs):
    """Whether two outcomes have the same shapes and formats; a reference may be float32 where the solution is bf16."""
    return len(ours) == len(theirs) and all(
        a.shape == b.shape
        and (a.dtype == b.dtype or (a.dtype, b.dtype) == (torch.bfloat16, torch.float32))
        for a, b in zip(ours, theirs, strict=True)
    )


def alike(ours, theirs, digits):
    """Whether two outcomes agree, up to rounding in a format of so many decimal digits."""
    limit = 10**-digits
    return alike_in_form(ours, theirs) and all(
        torch.allclose(a.double(), b.double(), rtol=limit, atol=limit * scale(a), equal_nan=True)
        for a, b in zip(ours, theirs, strict=True)
    )


def scale(x):
    finite = x[x.isfinite()].double()
    return max(1e-3, finite.abs().max().item()) if finite.numel() else 1.0


def first_complaint(name, reference):
    """Where a reference does not go with its lesson's solution, or "" where it always does."""
    solution, trained = written(name), not named_in(NEVER_TRAINED, name)
    for number, question in enumerate(questions(name)):
        for way, how in WAYS.items():
            if "bf16" in way and not trained:
                continue
            try:
                expected, few = outcome(solution, question, *how, trained)
            except Exception:
                if way == "as asked":
                    raise
                continue  # no lesson can train this way
            try:
                came, many = outcome(reference, question, *how, trained)
            except Exception as error:
                if "meta tensor" in str(error).lower():
                    continue  # it reads a number, which other devices have
                return f"question {number}, {way}: {error!r}"
            if not alike_in_form(expected, came):
                return f"question {number}, {way}: another shape or format"
            if name not in DRAWN and not alike(expected, came, 1.2 if "bf16" in way else 3):
                return f"question {number}, {way}: other numbers"
            if many > 4 * few + 40 and name not in FEW_ROWS:
                return f"question {number}, {way}: {many} operations where the solution takes {few}"
    return ""


@pytest.mark.parametrize("name", ASKED)
def test_the_reference_goes_wherever_the_solution_goes(name):
    assert first_complaint(name, EXERCISES[name].reference) == ""


def projection_by_rows(features, labels, embedding, linear):
    """Stood in lesson 08 for a day: no product of bf16 and float32."""
    rows = [linear.weight[0] + embedding.weight[label] for label in labels.tolist()]
    return torch.stack([h.dot(row) for h, row in zip(features, rows, strict=True)]) + linear.bias


@pytest.mark.parametrize(
    ("name", "reference", "words"),
    [
        ("stable.projection_logit", projection_by_rows, "dtype"),
        ("stable.gradient_penalty", PENALTY._penalty_one_by_one, "operations"),
    ],
)
def test_the_references_that_once_stopped_a_training_are_found(name, reference, words):
    assert words in first_complaint(name, reference)


# ---- what no check asks: networks that an exercise makes, and a discriminator that knows its batch's classes


def twins(name, *arguments):
    """A network of the solution and one of the reference, with equal weights, channels last as lesson 02 trains."""
    made = [make(*arguments) for make in (written(name), EXERCISES[name].reference)]
    made = [network.to(memory_format=torch.channels_last).train() for network in made]
    with torch.no_grad():
        for ours, theirs in zip(*(network.parameters() for network in made), strict=True):
            theirs.copy_(ours.view_as(theirs))
    return made


@pytest.mark.parametrize("surroundings", [contextlib.nullcontext, autocast])
@pytest.mark.parametrize(
    ("name", "arguments", "shape"),
    [
        ("dcgan.make_generator", (100, 8, 3), (16, 100, 1, 1)),
        ("dcgan.make_discriminator", (8, 3), (16, 3, 32, 32)),
    ],
)
def test_the_networks_of_references_train_as_those_of_solutions(
    name, arguments, shape, surroundings
):
    torch.manual_seed(0)
    x, found = torch.randn(shape), []
    for network in twins(name, *arguments):
        with surroundings():
            answer = network(x.contiguous(memory_format=torch.channels_last))
        (answer.float() ** 2).sum().backward()
        gradients = [p.grad for p in network.parameters()]
        found.append([t.detach() for t in (answer, *gradients)])
    digits = 3 if surroundings is contextlib.nullcontext else 1.2
    assert alike(*found, digits)


@pytest.mark.parametrize("name", ["dcgan.slope", "stable.zero_centred_penalty"])
def test_the_penalties_references_take_the_whole_batch_of_a_discriminator_with_classes(name):
    torch.manual_seed(0)
    discriminator, label = cgan.Discriminator(8), torch.arange(16) % 10
    real = torch.randn(16, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    told = cgan.Judging(discriminator.to(memory_format=torch.channels_last), label)
    ours, theirs = (fn(told, real) for fn in (written(name), EXERCISES[name].reference))
    torch.testing.assert_close(theirs, ours)
