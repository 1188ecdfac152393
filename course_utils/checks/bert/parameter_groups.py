"""Exercise `parameter_groups`: weight decay for all parameters but biases and LayerNorm's."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from course_utils.checks.core import Answer, CheckFailed, call, exercise, expect_number, require


def _groups_by_dimensions(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Biases and LayerNorm's weights are vectors; what decays in a BERT are matrices."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in trainable if p.dim() < 2], "weight_decay": 0.0},
        {"params": [p for p in trainable if p.dim() >= 2], "weight_decay": weight_decay},
    ]


@exercise(_groups_by_dimensions)
def parameter_groups(fn: Answer) -> None:
    """Check ``parameter_groups(model, weight_decay)`` -> two groups for an optimiser."""
    for make, weight_decay in ((_bert, 0.037), (_other_names, 0.2)):
        probe = make()
        trainable = [p.requires_grad for p in probe.model.parameters()]
        groups = call(fn, probe.model, weight_decay)
        hint = "Sorting only reads: which parameters train was decided before."
        same = trainable == [p.requires_grad for p in probe.model.parameters()]
        require(same, "a model left as it was", "requires_grad of its parameters was changed", hint)
        _expect_two_groups(groups, probe)
        _expect_each_once(groups, probe)
        kept, decayed = _by_decay(groups, weight_decay)
        _expect_sorted(kept, decayed, probe)
        _expect_optimizer(groups)


@dataclass(frozen=True)
class _Probe:
    """A network, and what each of its trainable parameters is."""

    name: str
    model: nn.Module
    biases: frozenset[str]
    norms: frozenset[str]
    embeddings: frozenset[str]

    def parameters(self) -> dict[str, nn.Parameter]:
        """The trainable ones by name, each once."""
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}


class _OtherNames(nn.Module):
    """A small text classifier whose LayerNorms have any name but BERT's."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(11, 8)
        self.positions = nn.Parameter(torch.randn(5, 8))
        self.norm1 = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2)
        self.feed = nn.Sequential(
            nn.Linear(8, 16), nn.GELU(), nn.LayerNorm(16), nn.Linear(16, 8, bias=False)
        )
        self.ln_f = nn.LayerNorm(8, bias=False)
        self.frozen = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8)).requires_grad_(False)
        self.out = nn.Linear(8, 11)
        self.out.weight = self.words.weight


def _other_names() -> _Probe:
    biases = {
        "norm1.bias",
        "attention.in_proj_bias",
        "attention.out_proj.bias",
        "feed.0.bias",
        "feed.2.bias",
    }
    return _Probe(
        "a network with other names",
        _OtherNames(),
        frozenset(biases | {"out.bias"}),
        frozenset({"norm1.weight", "feed.2.weight", "ln_f.weight"}),
        frozenset({"words.weight", "positions"}),
    )


def _bert() -> _Probe:
    # Seconds, where nothing else needs them.
    from transformers import BertConfig, BertForSequenceClassification

    size = {
        "hidden_size": 8,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 12,
    }
    config = BertConfig(vocab_size=20, max_position_embeddings=16, **size)
    model = BertForSequenceClassification(config)
    names = [name for name, _ in model.named_parameters()]
    return _Probe(
        "BERT",
        model,
        frozenset(name for name in names if name.endswith(".bias")),
        frozenset(name for name in names if name.endswith("LayerNorm.weight")),
        frozenset(name for name in names if name.endswith("embeddings.weight")),
    )


def _expect_two_groups(groups: Any, probe: _Probe) -> None:
    what = "a list of two dicts with the keys 'params' and 'weight_decay'"
    listed = type(groups) in (list, tuple) and all(type(group) is dict for group in groups)
    require(listed, what, groups, "An optimiser takes a list of dicts, one for each group.")
    one = "All in one group: an optimiser has one weight decay for each group, and two are needed."
    require(len(groups) != 1, what, "one group", one)
    many = "Two groups are enough: one dict for all that decays, one for all that does not."
    require(len(groups) == 2, what, f"{len(groups)} groups", many)
    for group in groups:
        keys = f"the keys {sorted(map(str, group))}"
        require("params" in group, what, keys, "The parameters stand under 'params'.")
        params = group["params"]
        once = "A generator can be read once: whoever counts its parameters leaves none for the optimiser. Make a list."
        require(not hasattr(params, "__next__"), "a list under 'params'", params, once)
        ordered = (
            "An optimiser's state is kept by position, so it wants the parameters in order: a list."
        )
        require(type(params) in (list, tuple), "a list under 'params'", params, ordered)
        both = f"parameters of {probe.name} in both groups"
        require(len(params) > 0, both, "an empty group", one)
        named = "A pair (name, parameter) or a name: the list holds the parameters themselves."
        for entry in params:
            require(not isinstance(entry, tuple | str), "parameters under 'params'", entry, named)
            none = "`bias` is None in a layer made without one: look before you collect it."
            require(entry is not None, "parameters under 'params'", "None among them", none)


def _expect_each_once(groups: Sequence[dict], probe: _Probe) -> None:
    held = [id(entry) for group in groups for entry in group["params"]]
    wanted = {id(p): name for name, p in probe.parameters().items()}
    frozen = {id(p) for p in probe.model.parameters() if not p.requires_grad}
    what = f"each trainable parameter of {probe.name} once ({len(wanted)} of them)"
    own = "Some are not the model's parameters but copies (or `.data`): the optimiser would train those instead."
    require(set(held) <= set(wanted) | frozen, what, "tensors that are not in the model", own)
    cold = "Frozen parameters (requires_grad False) are in a group too: the optimiser is given only what trains."
    require(not frozen & set(held), what, f"{len(frozen & set(held))} frozen ones as well", cold)
    twice = sorted({wanted[key] for key in held if held.count(key) > 1})
    hint = (
        "A weight that two layers share is one parameter, which `model.parameters()` knows. A walk over the modules "
        "meets it twice, and a child's parameters at the parent again."
    )
    require(not twice, what, f"more than once: {_names(twice)}", hint)
    missing = [name for key, name in wanted.items() if key not in held]
    lost = "What is in no group is never trained. Make the second group out of all that is not in the first."
    require(not missing, what, f"missing: {_names(missing)}", lost)


def _by_decay(groups: Sequence[dict], weight_decay: float) -> tuple[set[int], set[int]]:
    """The ids of the parameters without and with weight decay."""
    what = f"weight_decay 0.0 in one group and {weight_decay} in the other"
    silent = "A group without the key 'weight_decay' gets the optimiser's default, 0.01 for AdamW: write the 0.0 out."
    told = all("weight_decay" in group for group in groups)
    require(told, what, "a group without the key 'weight_decay'", silent)
    decays = [expect_number(group["weight_decay"], "weight_decay") for group in groups]
    came = f"{decays[0]:g} and {decays[1]:g}"
    both = "Both groups decay. Exactly 0.0 is what keeps biases and LayerNorm out of it."
    neither = "Neither group decays: the matrices get the weight_decay that was passed in."
    fixed = "The decaying group has another number than the argument weight_decay: is one written into the function?"
    require(any(decays), what, came, neither)
    require(not all(decays), what, came, both)
    asked = any(math.isclose(decay, weight_decay, rel_tol=1e-6) for decay in decays)
    require(asked, what, came, fixed)
    kept, decayed = groups if decays[1] else groups[::-1]
    return {id(p) for p in kept["params"]}, {id(p) for p in decayed["params"]}


def _expect_sorted(kept: set[int], decayed: set[int], probe: _Probe) -> None:
    names = {id(p): name for name, p in probe.parameters().items()}
    without, with_decay = {names[key] for key in kept}, {names[key] for key in decayed}
    what = f"in {probe.name}: biases and LayerNorm without weight decay, all else with it"
    spared = probe.biases | probe.norms
    swapped = "Exchanged: the zero stands at the matrices, the decay at biases and LayerNorm."
    require(with_decay != spared, what, "the two groups the other way round", swapped)
    bert = probe.name == "BERT"
    of_norm = {name.replace(".weight", ".bias") for name in probe.norms} & probe.biases
    biases = "Biases decay here. They shift, they do not scale: drawing them to 0 fits worse and protects from nothing."
    if with_decay & probe.biases == of_norm:
        biases = "LayerNorm's bias decays here: its weight is spared, but both of its parameters are to be."
    elif not bert and with_decay & probe.biases == {"attention.in_proj_bias"}:
        biases = (
            "A bias need not be called `.bias`: the one of the packed projection is `in_proj_bias`."
        )
    _refuse(with_decay & probe.biases, what, "decaying", biases)
    norms = "LayerNorm's weight decays here: it is a factor that starts at 1, and decay draws it towards 0."
    if not bert:
        norms = "LayerNorm has another name in this model, and decays. What do LayerNorms share if not the name?"
    _refuse(with_decay & probe.norms, what, "decaying", norms)
    rows = "Embeddings are matrices like the others: they decay too."
    _refuse(without & probe.embeddings, what, "not decaying", rows)
    matrices = "Matrices are left without decay: only biases and LayerNorm are spared."
    _refuse(without - spared, what, "not decaying", matrices)


def _refuse(names: set[str], what: str, state: str, hint: str) -> None:
    require(not names, what, f"{state}: {_names(sorted(names))}", hint)


def _expect_optimizer(groups: Sequence[dict]) -> None:
    """Without gradients a step moves nothing, but it reads all that the groups hold."""
    try:
        torch.optim.AdamW([dict(group) for group in groups], lr=1e-3).step()
    except Exception as error:
        hint = "The parameters are sorted well, but AdamW stumbles over the groups: what else do the dicts hold?"
        came = f"{type(error).__name__}: {error}"
        raise CheckFailed("groups that torch.optim.AdamW takes", came, hint) from None


def _names(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
