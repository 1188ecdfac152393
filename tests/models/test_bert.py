"""Batches, masking, optimiser groups, warm-up, one step and predictions of lesson 04: a tiny BERT, the real one."""

import copy
import math
import random

import numpy as np
import pytest
import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification, BertModel

from course_utils.datasets.length_batches import length_order
from course_utils.models import bert, masked_lm, shipped
from course_utils.models.pretrained import load_encoder

PAD, MASK, VOCAB = 0, 4, 50


def tiny(seed=0, **changes):
    """A BERT of two layers with a head; dropout as BERT has it, weights large enough that every token counts."""
    settings = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        options = {"initializer_range": 0.2, "attn_implementation": "eager", **changes}
        config = BertConfig(vocab_size=VOCAB, **settings, **options)
        return BertForSequenceClassification(config).eval()


def sentences_of(*lengths, seed=1):
    rng = random.Random(seed)
    return [[2, *(rng.randrange(5, VOCAB) for _ in range(length - 2)), 3] for length in lengths]


def a_batch():
    ids, mask = bert.pad_batch(sentences_of(5, 9, 3, 7), PAD)
    return ids, mask, torch.tensor([0, 1, 1, 0])


@pytest.fixture(scope="module")
def real(encoder_wheel):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_CACHE", str(encoder_wheel.parent))
        return load_encoder("small", tier="laptop", texts=[])


# ---- pad_batch


def test_padding_by_hand():
    ids, mask = bert.pad_batch([[5, 6, 7], [8], (9, 10)], pad_id=99)
    assert ids.tolist() == [[5, 6, 7], [8, 99, 99], [9, 10, 99]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0], [1, 1, 0]]
    assert ids.dtype == mask.dtype == torch.int64


def test_padding_agrees_with_a_loop_and_does_not_ask_what_the_ids_are():
    rng = random.Random(0)
    for pad_id in (0, 7):
        sequences = [
            [rng.choice([0, 7, 8]) for _ in range(rng.randrange(1, 30))] for _ in range(20)
        ]
        ids, mask = bert.pad_batch(sequences, pad_id)
        longest = max(map(len, sequences))
        assert ids.tolist() == [s + [pad_id] * (longest - len(s)) for s in sequences]
        assert mask.tolist() == [[1] * len(s) + [0] * (longest - len(s)) for s in sequences]


@pytest.mark.parametrize("which", ["tiny", "real"])
def test_logits_are_the_same_whatever_the_padding(which, request):
    model = tiny() if which == "tiny" else request.getfixturevalue("real").model
    sequences = sentences_of(4, 12, 7)
    ids, mask = bert.pad_batch(sequences, PAD)
    with torch.no_grad():
        together = model(input_ids=ids, attention_mask=mask).logits
        alone = torch.cat([model(input_ids=torch.tensor([s])).logits for s in sequences])
        longer = nn.functional.pad(ids, (0, 20), value=9), nn.functional.pad(mask, (0, 20))
        wider = model(input_ids=longer[0], attention_mask=longer[1])
        unmasked = model(input_ids=ids).logits
    assert torch.allclose(together, alone, atol=1e-5) and torch.allclose(
        wider.logits, alone, atol=1e-5
    )
    assert (unmasked[0] - alone[0]).abs().max() > 1e-4  # without the mask padding would count


# ---- mask_tokens


def test_masking_has_the_papers_shares():
    ids = torch.randint(5, VOCAB, (400, 500), generator=torch.Generator().manual_seed(0))
    special = torch.zeros_like(ids)
    special[:, 0] = 1
    before = ids.clone()
    shown, labels = bert.mask_tokens(ids, special, MASK, VOCAB, torch.Generator().manual_seed(1))
    chosen = labels != bert.IGNORED
    assert torch.equal(ids, before) and torch.equal(labels[chosen], ids[chosen])
    assert not chosen[:, 0].any() and torch.equal(shown[~chosen], ids[~chosen])
    n = int(chosen.sum())
    assert n / (400 * 499) == pytest.approx(0.15, abs=4 * math.sqrt(0.15 * 0.85 / (400 * 499)))
    masked = shown[chosen] == MASK
    kept = shown[chosen] == ids[chosen]
    drawn = shown[chosen][~masked & ~kept]
    share = {"masked": masked, "kept": kept}
    expected = {
        "masked": 0.8 + 0.1 / VOCAB,
        "kept": 0.1 + 0.1 / VOCAB,
    }  # a random token may be the mask or the same
    for name, expectation in expected.items():
        spread = math.sqrt(expectation * (1 - expectation) / n)
        assert share[name].float().mean().item() == pytest.approx(expectation, abs=4 * spread)
    counts = torch.bincount(drawn, minlength=VOCAB).float()
    assert (
        counts[MASK] == 0 and counts[[0, 1, 2, 3]].min() > 0
    )  # from all of the vocabulary, special tokens as well
    others = torch.cat([counts[:MASK], counts[MASK + 1 :]])
    assert ((others - others.mean()).abs() < 5 * others.mean().sqrt()).all()


def test_masking_is_reproducible_and_special_tokens_may_be_all():
    ids = torch.arange(5, 45).view(4, 10)
    special = torch.zeros_like(ids, dtype=torch.bool)
    runs = [
        bert.mask_tokens(ids, special, MASK, VOCAB, torch.Generator().manual_seed(s))
        for s in (0, 0, 1)
    ]
    assert torch.equal(runs[0][0], runs[1][0]) and torch.equal(runs[0][1], runs[1][1])
    assert not torch.equal(runs[0][1], runs[2][1])
    shown, labels = bert.mask_tokens(ids, torch.ones_like(ids), MASK, VOCAB)
    assert (
        torch.equal(shown, ids)
        and (labels == bert.IGNORED).all()
        and labels.dtype == shown.dtype == torch.int64
    )
    state = torch.get_rng_state()
    bert.mask_tokens(ids, special, MASK, VOCAB, torch.Generator())
    assert torch.equal(torch.get_rng_state(), state)


# ---- parameter_groups


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("which", ["tiny", "real"])
def test_each_trainable_parameter_is_in_one_group(which, frozen, request):
    model = tiny() if which == "tiny" else copy.deepcopy(request.getfixturevalue("real").model)
    if frozen:
        model.bert.embeddings.requires_grad_(False)
        model.bert.encoder.requires_grad_(False)
    decayed, undecayed = bert.parameter_groups(model, 0.03)
    assert (decayed["weight_decay"], undecayed["weight_decay"]) == (0.03, 0.0)
    names = {id(p): name for name, p in model.named_parameters()}
    found = [[names[id(p)] for p in group["params"]] for group in (decayed, undecayed)]
    assert sorted(found[0] + found[1]) == sorted(
        n for n, p in model.named_parameters() if p.requires_grad
    )
    by_name = [
        n
        for n, p in model.named_parameters()
        if p.requires_grad and ("bias" in n or "LayerNorm" in n)
    ]
    assert sorted(found[1]) == sorted(by_name)
    assert all(p.ndim == 2 for p in decayed["params"]) and all(
        p.ndim == 1 for p in undecayed["params"]
    )
    if frozen:
        assert len(found[0]) == len(found[1]) == 2  # pooling and head


def test_groups_go_by_kind_and_not_by_name_and_shared_parameters_come_once():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.norms = nn.ModuleList([nn.LayerNorm(4)])  # no name says LayerNorm
            self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4, bias=False)
            self.second.weight = self.first.weight

    odd = Odd()
    decayed, undecayed = bert.parameter_groups(odd, 0.01)
    assert [id(p) for p in decayed["params"]] == [id(odd.first.weight)]
    assert {id(p) for p in undecayed["params"]} == {
        id(p) for p in (*odd.norms[0].parameters(), odd.first.bias)
    }


# ---- warm-up


@pytest.mark.parametrize(
    ("warm_up", "total"), [(10, 100), (1, 10), (0, 10), (100, 100), (0, 1), (50, 51)]
)
def test_warm_up_rises_to_one_and_falls_to_zero(warm_up, total):
    factors = [bert.warmup_linear(step, warm_up, total) for step in range(total + 5)]
    assert factors[warm_up] == (1 if warm_up < total else 0)
    assert all(factor == 0 for factor in factors[total:]) and all(
        0 <= factor <= 1 for factor in factors
    )
    rise, fall = np.diff(factors[: warm_up + 1]), np.diff(factors[warm_up : total + 1])
    if warm_up < total:
        assert np.allclose(rise, 1 / max(1, warm_up)) and np.allclose(fall, -1 / (total - warm_up))
    if warm_up:
        assert factors[0] == 0


# ---- one step


def reference_step(model, optimizer, ids, mask, labels):
    """The step written out: hidden states, pooling, head, the definition of cross-entropy, clipping by hand."""
    model.train()
    hidden = model.bert(input_ids=ids, attention_mask=mask).last_hidden_state
    pooled = torch.tanh(
        hidden[:, 0] @ model.bert.pooler.dense.weight.T + model.bert.pooler.dense.bias
    )
    logits = model.dropout(pooled) @ model.classifier.weight.T + model.classifier.bias
    loss = (torch.logsumexp(logits, 1) - logits[torch.arange(len(labels)), labels]).mean()
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    norm = torch.sqrt(sum((g**2).sum() for g in gradients))
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        parameter.grad = gradient * min(1.0, 1 / (norm.item() + 1e-6))
    optimizer.step()
    return loss.item(), (logits.argmax(1) == labels).float().mean().item(), norm.item()


@pytest.mark.parametrize("scale", [1.0, 40.0])
def test_a_step_is_the_written_out_step(scale):
    """With a head that is 40 times as large, the gradients are clipped."""
    models = tiny(), tiny()
    for model in models:
        model.classifier.weight.data.mul_(scale)
    optimizer = bert.make_optimizer(models[0], 1e-2, 0.1)
    undecayed = [p for n, p in models[1].named_parameters() if "bias" in n or "LayerNorm" in n]
    decayed = [p for n, p in models[1].named_parameters() if not ("bias" in n or "LayerNorm" in n)]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": undecayed, "weight_decay": 0.0}]
    other = torch.optim.AdamW(groups, lr=1e-2)
    norms = []
    for step in range(1, 6):
        factor = bert.warmup_linear(step, 2, 6)
        torch.manual_seed(step)
        found = bert.bert_step(models[0], optimizer, *a_batch(), factor)
        for group in other.param_groups:
            group["lr"] = 1e-2 * factor
        torch.manual_seed(step)
        loss, accuracy, norm = reference_step(models[1], other, *a_batch())
        assert found == pytest.approx({"loss": loss, "accuracy": accuracy}, rel=1e-4)
        norms.append(norm)
        for (name, a), b in zip(models[0].named_parameters(), models[1].parameters(), strict=True):
            if not name.endswith(
                "key.bias"
            ):  # softmax takes no notice of it: its gradient is 0 but for rounding
                assert torch.allclose(a, b, atol=2e-5), name
    assert scale == 1 or min(norms) > 1


def test_clipping_bounds_the_gradient_that_reaches_the_optimiser():
    model = tiny()
    model.classifier.weight.data.mul_(1_000)
    seen = []

    class Watching(torch.optim.SGD):
        def step(self, closure=None):
            gradients = [
                p.grad for group in self.param_groups for p in group["params"] if p.grad is not None
            ]
            seen.append(torch.sqrt(sum((g**2).sum() for g in gradients)).item())

    optimizer = Watching([{"params": list(model.parameters()), "initial_lr": 1.0}], lr=1.0)
    bert.bert_step(model, optimizer, *a_batch(), 1.0)
    assert seen[0] == pytest.approx(1, abs=1e-3)


def test_a_step_trains_with_dropout_from_any_mode_and_forgets_old_gradients():
    weights = []
    for mode in (False, True):
        model = tiny()
        optimizer = bert.make_optimizer(model, 1e-3)
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, 5.0)
        model.train(mode)
        torch.manual_seed(0)
        bert.bert_step(model, optimizer, *a_batch(), 1.0)
        assert model.training
        weights.append(model.bert.pooler.dense.weight.detach().clone())
    assert torch.equal(*weights)
    model = tiny()
    losses = set()
    for seed in range(3):
        torch.manual_seed(seed)
        losses.add(bert.bert_step(model, bert.make_optimizer(model, 0.0), *a_batch(), 1.0)["loss"])
    assert len(losses) == 3


def test_a_factor_of_zero_changes_nothing_and_the_peak_is_kept():
    model = tiny()
    before = copy.deepcopy(model.state_dict())
    optimizer = bert.make_optimizer(model, 1e-2)
    for factor in (0.0, 0.0):
        bert.bert_step(model, optimizer, *a_batch(), factor)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    bert.bert_step(model, optimizer, *a_batch(), 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [5e-3, 5e-3]
    assert [group["initial_lr"] for group in optimizer.param_groups] == [1e-2, 1e-2]


def test_frozen_weights_do_not_move():
    model = tiny()
    model.bert.embeddings.requires_grad_(False)
    model.bert.encoder.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    optimizer = bert.make_optimizer(model, 1e-2)
    for _ in range(3):
        bert.bert_step(model, optimizer, *a_batch(), 1.0)
    moved = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    names = ("bert.pooler.dense", "classifier")
    assert moved == {f"{name}.{kind}" for name in names for kind in ("weight", "bias")}


def test_a_tiny_bert_learns_which_word_is_there():
    model, rng = tiny(), random.Random(0)
    sequences = [
        [2, *(rng.randrange(20, VOCAB) for _ in range(rng.randrange(2, 9))), 3] for _ in range(128)
    ]
    labels = torch.arange(128) % 2
    for sequence, label in zip(sequences, labels.tolist(), strict=True):
        sequence[rng.randrange(1, len(sequence) - 1)] = 10 + label
    optimizer = bert.make_optimizer(model, 5e-3)
    torch.manual_seed(0)
    for epoch in range(8):
        for index in length_order(torch.tensor([len(s) for s in sequences]), 16, 0, epoch).split(
            16
        ):
            batch = bert.pad_batch([sequences[i] for i in index.tolist()], PAD)
            bert.bert_step(model, optimizer, *batch, labels[index], 1.0)
    assert (bert.predict(model, sequences, PAD).argmax(1) == labels).float().mean() > 0.95


@pytest.mark.parametrize("autocast", [lambda: torch.autocast("cpu", torch.bfloat16)])
def test_a_step_in_bf16_has_its_loss_in_float32(autocast):
    model = tiny()
    found = bert.bert_step(model, bert.make_optimizer(model, 1e-3), *a_batch(), 1.0, autocast)
    assert math.isfinite(found["loss"]) and all(
        p.dtype == torch.float32 for p in model.parameters()
    )
    assert bert.predict(model, sentences_of(4, 6), PAD, autocast).dtype == torch.float32


# ---- predict


def test_predictions_do_not_depend_on_batches_or_order():
    model, sequences = tiny(), sentences_of(*(3 + i * 7 % 23 for i in range(40)))
    with torch.no_grad():
        alone = torch.cat([model(input_ids=torch.tensor([s])).logits for s in sequences])
    for batch_size in (1, 7, 40, 1_000):
        found = bert.predict(model, sequences, PAD, batch_size=batch_size)
        assert found.shape == (40, 2) and found.dtype == torch.float32
        assert torch.allclose(found, alone, atol=1e-5)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0)).tolist()
    shuffled = bert.predict(model, [sequences[i] for i in order], PAD, batch_size=7)
    assert torch.allclose(shuffled, alone[order], atol=1e-5)


def test_predictions_are_without_dropout_and_leave_the_generators_alone():
    model, sequences = tiny().train(), sentences_of(5, 8, 6)
    before = torch.get_rng_state()
    first, second = bert.predict(model, sequences, PAD), bert.predict(model.train(), sequences, PAD)
    assert torch.equal(first, second) and torch.equal(torch.get_rng_state(), before)


def test_predictions_can_be_computed_with_further():
    """As calibration does: a temperature is fitted to them by its gradient."""
    logits = bert.predict(tiny(), sentences_of(5, 8, 6), PAD)
    temperature = torch.ones((), requires_grad=True)
    nn.functional.cross_entropy(logits / temperature, torch.tensor([0, 1, 0])).backward()
    assert temperature.grad is not None
    logits += 1


def test_no_sequences_no_predictions():
    assert bert.predict(tiny(), [], PAD).shape == (0, 2)


# ---- the two pre-training heads


def masked_model(seed=0):
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=VOCAB,
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=16,
    )
    return masked_lm.MaskedLM(BertModel(config).eval()).eval()


def test_masked_loss_is_that_of_the_chosen_tokens():
    model = masked_model()
    ids, mask = bert.pad_batch(sentences_of(6, 9), PAD)
    labels = torch.full_like(ids, bert.IGNORED)
    labels[0, 2], labels[1, 3], labels[1, 7] = 11, 12, 13
    loss = masked_lm.masked_loss(model, ids, mask, labels)
    with torch.no_grad():
        chances = model(ids, mask, torch.ones_like(ids, dtype=torch.bool)).log_softmax(-1)
    assert chances.shape == (ids.numel(), VOCAB)
    chances = chances.reshape(*ids.shape, VOCAB)
    by_hand = -(chances[0, 2, 11] + chances[1, 3, 12] + chances[1, 7, 13]) / 3
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-5)
    loss.backward()
    trained = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert trained == {
        name for name, parameter in model.named_parameters() if parameter.requires_grad
    }
    assert not any(".layer.0." in name or "embeddings" in name for name in trained)
    assert any(".layer.1." in name for name in trained) and any(
        ".layer.2." in name for name in trained
    )


def test_the_callers_encoder_is_copied():
    encoder = BertModel(masked_model().encoder.config)
    masked_lm.MaskedLM(encoder)
    assert all(parameter.requires_grad for parameter in encoder.parameters())


def test_a_shipped_model_comes_back_on_its_own_encoder(own_data):
    model, facts = masked_model(), {"steps": 7, "name": "\u00fc"}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * parameter.requires_grad)
    shipped.write(masked_lm.SHIPPED, *masked_lm.contents(model, facts))
    plain = masked_model().encoder
    found, told = masked_lm.load_shipped(plain)
    assert told == facts and not found.training
    for (name, a), b in zip(found.named_parameters(), model.parameters(), strict=True):
        assert torch.equal(a, b.half().float() if b.requires_grad else b), name
    larger = BertModel(
        BertConfig(vocab_size=VOCAB, hidden_size=32, num_hidden_layers=3, num_attention_heads=2)
    )
    assert masked_lm.load_shipped(larger) is None
