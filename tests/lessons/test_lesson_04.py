"""The code of lesson 04, taken from its source, against the package and against independent oracles."""

import ast
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from course_utils.authoring.lessons import load_definitions
from course_utils.evaluation import intervals, occlusion
from course_utils.models import bert
from course_utils.training.settings import SETTINGS


@pytest.fixture(scope="module")
def lesson():
    module = load_definitions("04_bert_imdb")
    module.run = SimpleNamespace(autocast=nullcontext)
    return module


def tiny(seed=0):
    torch.manual_seed(seed)
    sizes = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
    }
    return BertForSequenceClassification(BertConfig(vocab_size=50, num_labels=2, **sizes))


def test_the_lessons_functions_and_the_packages_agree(lesson):
    texts = [[5, 6, 7], [8], [0, 9]]
    for ours, theirs in zip(lesson.pad_batch(texts, 0), bert.pad_batch(texts, 0), strict=True):
        assert torch.equal(ours, theirs) and ours.dtype == theirs.dtype
    ids, special = torch.randint(5, 100, (50, 20)), torch.rand(50, 20) < 0.1
    ours = lesson.mask_tokens(ids, special, 4, 100, torch.Generator().manual_seed(3))
    theirs = bert.mask_tokens(ids, special, 4, 100, torch.Generator().manual_seed(3))
    assert torch.equal(ours[1] != -100, theirs[1] != -100)
    for step in (0, 1, 5, 10, 55, 100, 120):
        assert lesson.warmup_linear(step, 10, 100) == pytest.approx(
            bert.warmup_linear(step, 10, 100)
        )
    for correct, total in ((0, 10), (7, 10), (10, 10), (899, 1000)):
        assert lesson.wilson_interval(correct, total, 1.96) == pytest.approx(
            intervals.wilson_interval(correct, total), abs=1e-9
        )
    network = tiny()
    ours, theirs = lesson.parameter_groups(network, 0.1), bert.parameter_groups(network, 0.1)
    for a, b in zip(ours, theirs, strict=True):
        assert {id(p) for p in a["params"]} == {id(p) for p in b["params"]} and a[
            "weight_decay"
        ] == b["weight_decay"]


def test_the_lessons_step_and_the_packages_are_the_same(lesson):
    ids, mask = bert.pad_batch([[2, 7, 8, 3], [2, 9, 3]], 0)
    labels, results = torch.tensor([1, 0]), []
    for step in (lesson.train_step, bert.bert_step):
        network = tiny()
        optimizer = bert.make_optimizer(network, 1e-2)
        torch.manual_seed(1)
        told = [step(network, optimizer, ids, mask, labels, factor) for factor in (0.5, 1.0, 0.2)]
        results.append((told, [p.detach().clone() for p in network.parameters()]))
    assert results[0][0] == results[1][0]
    assert all(torch.equal(a, b) for a, b in zip(results[0][1], results[1][1], strict=True))


def test_occlusion_is_the_packages_and_exact_for_a_linear_model(lesson):
    weights = {"good": 1.5, "bad": -2.0}

    def margin(texts):
        return torch.tensor(
            [sum(weights.get(word, 0.0) for word in text.split()) for text in texts]
        )

    words, effects = lesson.occlusion(margin, "a good film not bad")
    assert words == ["a", "good", "film", "not", "bad"]
    assert torch.allclose(effects, torch.tensor([0.0, 1.5, 0.0, 0.0, -2.0]))
    assert torch.equal(effects, occlusion.occlusion(margin, "a good film not bad")[1])
    assert occlusion.occlusion(margin, " ")[0] == []


def test_pairs_hold_both_halves_and_say_which_second_half_is_anothers(lesson):
    lesson.random = torch.Generator().manual_seed(0)
    lesson.tokenizer = SimpleNamespace(cls_token_id=2, sep_token_id=3, pad_token_id=0)
    texts = [[2, *range(10 * i, 10 * i + 8), 3] for i in range(1, 5)]
    seen = set()
    for _ in range(20):
        ids, mask, segments, swapped = lesson.pair_batch(texts)
        for row, keep, segment, other, text in zip(
            ids, mask, segments, swapped, texts, strict=True
        ):
            row, segment = row[keep.bool()].tolist(), segment[keep.bool()].tolist()
            first = [i for i, s in zip(row, segment, strict=True) if s == 0]
            second = [i for i, s in zip(row, segment, strict=True) if s == 1]
            assert first == [2, *text[1:5], 3] and second[-1] == 3
            assert (second[:-1] == text[5:-1]) == (not other)
            seen.add(bool(other))
    assert seen == {True, False}


def test_settings_are_those_of_the_command_line():
    source = Path(__file__).resolve().parents[2] / "notebooks" / "source" / "04_bert_imdb.py"
    picked = {}
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.Call(func=ast.Attribute(attr="pick"), args=values),
            ):
                picked[name] = [ast.literal_eval(value) for value in values]
    names = {
        "n_train": "reviews",
        "n_test": "test",
        "max_tokens": "max_tokens",
        "batch_size": "batch_size",
        "epochs": "epochs",
        "peak_rate": "learning_rate",
    }
    for tier, column in {"smoke": 0, "laptop": 1, "gpu": 2}.items():
        assert {n: picked[n][column] for n in names} == {
            n: SETTINGS["bert"][tier][k] for n, k in names.items()
        }
