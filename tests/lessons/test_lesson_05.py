"""The code of lesson 05, taken from its source, against the package and against independent oracles."""

import ast
import math
import re
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import transformers

from course_utils.authoring.lessons import load_definitions
from course_utils.evaluation import language_models
from course_utils.models import attention, gpt_pipeline, gpt_training
from course_utils.training.settings import SETTINGS

SOURCE = Path(__file__).resolve().parents[2] / "notebooks" / "source" / "05_attention_text.py"
SIZES = {"vocab": 30, "dim": 16, "layers": 2, "heads": 2, "context": 24}


@pytest.fixture(scope="module")
def lesson():
    module = load_definitions("05_attention_text")
    module.run = SimpleNamespace(autocast=nullcontext, device=torch.device("cpu"))
    return module


@pytest.fixture(scope="module")
def twins(lesson):
    """The lesson's network and the package's with the same weights, large enough that everything matters."""
    torch.manual_seed(0)
    own, package = lesson.GPT(**SIZES).eval(), attention.GPT(**SIZES).eval()
    for weight in own.parameters():
        weight.data += 0.2 * torch.randn_like(weight)
    package.load_state_dict(own.state_dict())
    return own, package


def test_the_lessons_functions_and_the_packages_agree(lesson):
    q, k, v = torch.randn(2, 3, 4, 6), torch.randn(2, 3, 5, 6), torch.randn(2, 3, 5, 6)
    mask = torch.ones(4, 5, dtype=torch.bool).tril(1)
    for chosen in (None, mask):
        ours, theirs = (f.scaled_dot_product(q, k, v, chosen) for f in (lesson, attention))
        assert torch.equal(ours, theirs)
    assert torch.equal(lesson.causal_mask(7), attention.causal_mask(7))
    x = torch.randn(2, 5, 12)
    assert torch.equal(lesson.split_heads(x, 3), attention.split_heads(x, 3))
    assert torch.equal(lesson.merge_heads(q), attention.merge_heads(q))
    logits, tokens = torch.randn(2, 5, 9), torch.randint(9, (2, 5))
    assert lesson.next_token_loss(logits, tokens) == attention.next_token_loss(logits, tokens)
    for settings in ((0.7, 4, None), (1.2, None, 0.8), (0.9, 6, 0.9), (1.0, None, None)):
        ours, theirs = (
            f.filter_logits(torch.linspace(0, 3, 12).sin() * 3, *settings)
            for f in (lesson, attention)
        )
        assert torch.equal(ours, theirs)


def test_the_lessons_network_is_the_packages(lesson, twins):
    own, package = twins
    ids = torch.randint(30, (3, 20))
    with torch.no_grad():
        assert torch.equal(own(ids), package(ids))
        cached, cache = lesson.with_cache(own), package.new_cache()
        for part in ids.split(7, dim=1):
            assert torch.equal(cached(part), package(part, cache))
    assert own.sizes == package.sizes == SIZES


def test_the_lessons_network_is_initialised_like_the_packages(lesson):
    stds = []
    for kind in (lesson.GPT, attention.GPT):
        torch.manual_seed(1)
        network = kind(vocab=200, dim=64, layers=3, heads=4, context=32)
        stds.append(
            {
                name: weight.std().item()
                for name, weight in network.named_parameters()
                if weight.dim() == 2
            }
        )
    assert stds[0] == stds[1]
    assert stds[0]["blocks.1.attention.qkv.weight"] == pytest.approx(0.02, rel=0.1)
    assert stds[0]["blocks.1.mlp.2.weight"] == pytest.approx(0.02 / 6**0.5, rel=0.1)


def test_the_lessons_step_is_the_packages_and_descends_the_librarys_loss(lesson):
    torch.manual_seed(2)
    own, package = lesson.GPT(**SIZES), attention.GPT(**SIZES)
    package.load_state_dict(own.state_dict())
    oracle = gpt_pipeline.to_transformers(own)
    ids = torch.randint(1, 30, (4, 20))
    losses = {}
    for name, network, step in (
        ("own", own, lesson.train_step),
        ("package", package, gpt_training.gpt_step),
    ):
        optimizer = gpt_training.make_optimizer(network)
        losses[name] = [step(network, optimizer, ids, 1e-3)["loss"] for _ in range(3)]
    assert (
        losses["own"] == pytest.approx(losses["package"], rel=1e-6)
        and losses["own"][2] < losses["own"][0]
    )
    theirs = oracle(ids, attention_mask=torch.ones_like(ids), labels=ids).loss
    assert losses["own"][0] == pytest.approx(theirs.item(), rel=1e-5)


def test_generation_agrees_with_the_package_and_the_cache_with_recomputation(lesson, twins):
    own, package = twins
    for make in (lambda: lesson.greedy, lambda: lesson.sampler(0.9, 10, 0.95, seed=4)):
        plain = lesson.generate(own, [3, 1], 20, make())
        assert plain == lesson.generate_cached(own, [3, 1], 20, make())
        assert plain == attention.generate(package, [3, 1], 20, make())
    assert len(lesson.generate(own, [0], 40, lesson.greedy)) == 41  # beyond the context


def test_beam_search_finds_what_the_library_finds(lesson, twins):
    own, _ = twins
    theirs = gpt_pipeline.to_transformers(own)
    for beams in (1, 2, 4):
        found, log_p = lesson.beam_search(own, [5, 8], 10, beams)
        options = {"num_beams": beams, "max_new_tokens": 10, "do_sample": False}
        options |= {"eos_token_id": None, "pad_token_id": 0}
        oracle = theirs.generate(torch.tensor([[5, 8]]), attention_mask=torch.ones(1, 2), **options)
        assert found == oracle[0].tolist()
        with torch.no_grad():
            log_all = own(torch.tensor([found]))[0].log_softmax(-1)
        assert log_p == pytest.approx(
            sum(log_all[t, found[t + 1]].item() for t in range(1, 11)), rel=1e-4
        )


def test_beam_search_with_all_beams_is_exhaustive(lesson):
    torch.manual_seed(5)
    tiny = lesson.GPT(vocab=4, dim=8, layers=1, heads=2, context=8).eval()
    for weight in tiny.parameters():
        weight.data += 0.5 * torch.randn_like(weight)
    found, log_p = lesson.beam_search(tiny, [0], 3, beams=4)
    best = -math.inf
    for code in range(64):
        ids = torch.tensor([[0, code // 16, code // 4 % 4, code % 4]])
        best = max(best, -3 * attention.next_token_loss(tiny(ids), ids).item())
    _, wide = lesson.beam_search(tiny, [0], 2, beams=4)
    assert log_p <= best + 1e-5 and wide <= 0 and len(found) == 4


def test_the_perturbation_test_finds_a_leak_and_only_a_leak(lesson, twins):
    own, _ = twins
    ids = torch.randint(30, (2, 20))
    assert lesson.first_change(own, ids, 9) == 9
    torch.manual_seed(0)
    leaky = lesson.GPT(**SIZES).eval()
    leaky.load_state_dict(own.state_dict())
    for block in leaky.blocks:
        unmasked = lesson.Unmasked(SIZES["dim"], SIZES["heads"])
        unmasked.load_state_dict(block.attention.state_dict())
        block.attention = unmasked
    assert lesson.first_change(leaky, ids, 9) == 0


@pytest.mark.parametrize("layers", [1, 3])
def test_gpt2s_weights_give_gpt2s_logits_in_the_lessons_class(lesson, layers):
    """A random one of the library, with biases and norms that are no longer 0 and 1."""
    torch.manual_seed(3)
    sizes = {"vocab_size": 50, "n_embd": 24, "n_layer": layers, "n_head": 3, "n_positions": 16}
    theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes)).eval()
    for weight in theirs.parameters():
        weight.data += 0.3 * torch.randn_like(weight)
    ours, ids = lesson.from_gpt2(theirs), torch.randint(50, (3, 16))
    with torch.no_grad():
        expected = theirs(ids, attention_mask=torch.ones_like(ids)).logits
        assert torch.allclose(ours(ids), expected, atol=1e-3, rtol=1e-4)
        assert expected.std() > 1
    back = gpt_pipeline.to_transformers(ours)
    pairs = zip(back.parameters(), theirs.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_without_positions_one_block_is_blind_to_order_and_two_are_not(lesson):
    torch.manual_seed(4)
    ids = torch.randint(30, (2, 20))
    moved = []
    for layers in (1, 2):
        network = lesson.GPT(**{**SIZES, "layers": layers})
        for weight in network.parameters():
            weight.data += 0.3 * torch.randn_like(weight)
        moved.append(lesson.order_moves(lesson.without_positions(network), ids))
    assert moved[0] < 1e-4 < 0.1 < moved[1]


def test_the_colleagues_loss_rewards_copying(lesson):
    tokens = torch.randint(9, (2, 12))
    copying = 20.0 * torch.nn.functional.one_hot(tokens, 9)
    assert lesson.loss_of_a_colleague(copying, tokens) < 1e-6
    assert lesson.next_token_loss(copying, tokens) > 5


def test_bits_per_byte(lesson):
    assert lesson.bits_per_byte(math.log(256), 10, 10) == pytest.approx(8)
    assert lesson.bits_per_byte(math.log(2), 10, 40) == pytest.approx(0.25)


def test_the_lessons_bigrams_are_the_packages(lesson):
    random = torch.Generator().manual_seed(0)
    documents = [torch.randint(9, (n,), generator=random).tolist() for n in (1, 2, 30, 50)]
    for strength in (0.5, 50):
        ours = lesson.bigram_probabilities(documents, 12, strength)
        counts = language_models.bigram_counts(documents, 12)
        assert torch.equal(ours.log(), language_models.bigram_log_probs(counts, strength))


def test_a_large_strength_leaves_the_frequencies_of_single_tokens(lesson, monkeypatch):
    """What the dotted lines of the loss are called: pairs at s = 50, single tokens at s = 1e9."""
    documents = [[0, 1, 1, 2], [0, 2, 1]]
    monkeypatch.setattr(lesson, "train_ids", documents, raising=False)
    monkeypatch.setattr(lesson, "vocab", 4, raising=False)
    alone = lesson.counting_model(1e9)(torch.arange(4)[None])[0].softmax(-1)
    ends = torch.tensor([0, 3, 2, 0]) + 1.0  # of the five pairs, and each token once more
    assert torch.allclose(alone, (ends / ends.sum()).expand(4, 4), atol=1e-5)
    pairs = lesson.counting_model(0.01)(torch.tensor([[0]]))[0, 0].softmax(-1)
    assert pairs.tolist() == pytest.approx([0, 0.5, 0.5, 0], abs=0.01)


def test_what_a_prediction_asks_for_is_not_told_above_it():
    text = SOURCE.read_text(encoding="utf-8")
    asked = text.index("bits_after_training = ...")
    told = [match.start() for match in re.finditer(r"gpt_(sentences|laptop)\.json:gpt\.", text)]
    assert told and min(told) > asked


def test_copied_share_is_the_packages(lesson):
    text = "the quick brown fox jumps over the lazy dog while nobody at all is looking at it. " * 3
    training = text[20:140] + "#" + text[100:180]
    finder = language_models.CopyFinder(training, 30)
    for length, step in ((30, 7), (50, 10)):
        assert lesson.copied_share([text], training, length, step) == finder.copied_share(
            [text], length, step
        )


def test_a_text_shorter_than_a_piece_counts_as_one(lesson):
    assert lesson.copied_share(["short", "other"], "a short text") == 0.5
    assert lesson.copied_share(["x" * 49 + "y"], "x" * 49 + "y") == 1


def test_settings_are_those_of_the_command_line():
    picked = {}
    for node in ast.walk(ast.parse(SOURCE.read_text(encoding="utf-8"))):
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.Call(func=ast.Attribute(attr="pick"), args=values),
            ):
                picked.setdefault(name, [ast.literal_eval(value) for value in values])
    names = {"steps": "steps", "batch_size": "batch_size", "n_texts": "documents"} | {
        k: k for k in SIZES
    }
    for tier, column in {"smoke": 0, "laptop": 1, "gpu": 2}.items():
        assert {n: picked[n][column] for n in names} == {
            n: SETTINGS["gpt"][tier][k] for n, k in names.items()
        }
