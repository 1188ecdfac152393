"""The code of lesson 04, taken from its source, against the package and against independent oracles."""

import ast
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    Trainer,
    TrainingArguments,
)
from transformers import trainer as trainer_module

from course_utils import checks
from course_utils.authoring.lessons import load_definitions
from course_utils.datasets import contrast_pairs
from course_utils.evaluation import occlusion
from course_utils.models import bert, lora
from course_utils.models.pretrained import Encoder
from course_utils.training.settings import SETTINGS
from measuring.measure_bert import difference

SOURCE = Path(__file__).resolve().parents[2] / "notebooks" / "source" / "04_bert_imdb.py"


@pytest.fixture(scope="module")
def lesson():
    module = load_definitions("04_bert_imdb")
    return module


def tiny(seed=0, dropout=0.1):
    torch.manual_seed(seed)
    sizes = {
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": dropout,
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
    for length, limit in ((5, 8), (9, 8), (30, 7)):
        ids = [2, *range(10, 10 + length - 2), 3]
        cut = lesson.keep_ends(ids, limit)
        assert len(cut) == min(length, limit) and cut[0] == 2 and cut[-1] == 3


def test_what_lora_linear_makes_is_the_packages(lesson):
    torch.manual_seed(0)
    linear, x = nn.Linear(6, 4), torch.randn(3, 6)
    ours, theirs = lesson.lora_linear(linear, 2, 3.0), lora.LoRALinear(linear, 2, 3.0)
    with torch.no_grad():
        for a, b in ((ours.A, theirs.down), (ours.B, theirs.up)):
            a.copy_(b.normal_())
    assert torch.allclose(ours(x), theirs(x), atol=1e-6)


def test_lora_with_the_lessons_layer_trains_as_many_weights(lesson):
    counts = []
    for layer in (lesson.lora_linear, lora.LoRALinear):
        network = tiny()
        lora.add(network, 2, 4.0, layer)
        counts.append(lora.trainable(network))
    assert counts[0] == counts[1]


def test_what_stands_in_for_merged_takes_every_way_to_write_the_layer(lesson):
    """The learner's own class comes to it while `merged` is open: it may not look inside."""
    layer, x = lesson.lora_linear(nn.Linear(6, 4), 2, 3.0), torch.randn(3, 6)
    nn.init.normal_(layer.B)
    for merged in (lesson.merged, checks.bert.merged.reference):
        plain = merged(layer, 6)
        assert type(plain) is nn.Linear and torch.allclose(plain(x), layer(x), atol=1e-5)


def test_the_cut_of_the_lesson_is_the_encoders(lesson):
    """What is trained on is cut by the learner's function, what is asked later by the encoder."""
    texts = [[2, *range(10, 10 + length - 2), 3] for length in (3, 8, 9, 30)]
    encoder = Encoder(None, lambda _: {"input_ids": texts}, "made up", False)
    for limit in (4, 7, 8):
        cut = [lesson.keep_ends(ids, limit) for ids in texts]
        assert cut == encoder.encode(["a"] * 4, limit, "ends")


def test_no_text_comes_whole_to_a_network():
    """BERT has 512 positions, and many reviews are longer: each call that makes a batch of texts has to cut."""
    calls = [
        node
        for node in ast.walk(ast.parse(SOURCE.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and any(k.arg == "return_tensors" for k in node.keywords)
    ]
    assert calls
    for call in calls:
        given = {k.arg for k in call.keywords}
        assert {"truncation", "max_length"} <= given, ast.unparse(call)


def test_the_lessons_step_and_the_packages_are_the_same(lesson):
    ids, mask = bert.pad_batch([[2, 7, 8, 3], [2, 9, 3]], 0)
    labels, results = torch.tensor([1, 0]), []
    for step in (lesson.train_step, bert.bert_step):
        network = tiny()
        optimizer = bert.make_optimizer(network, 1e-2)
        torch.manual_seed(1)
        told = [
            step(network, optimizer, ids, mask, labels, factor, nullcontext)
            for factor in (0.5, 1.0, 0.2)
        ]
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


def test_the_interval_of_a_difference_is_the_measuring_programs(lesson):
    first, second = torch.rand(200) < 0.8, torch.rand(200) < 0.7
    ours, theirs = lesson.paired_gap(first, second), difference(first, second)
    assert ours == pytest.approx([theirs[name] for name in ("value", "low", "high")])


def test_a_trainer_with_the_lessons_settings_takes_the_lessons_steps(lesson, tmp_path, monkeypatch):
    """In the same order, without dropout, and for its schedule, which begins one step earlier, at 0."""
    # the tests' own folder of that name is no library
    monkeypatch.setattr(trainer_module, "is_datasets_available", lambda: False)
    texts = [[2, 7, 8, 3], [2, 9, 3], [2, 5, 3], [2, 6, 7, 3], [2, 8, 3], [2, 5, 6, 7, 3]]
    labels, rate, warmup = torch.tensor([1, 0, 1, 0, 1, 0]), 1e-2, 2
    ours, theirs = tiny(dropout=0.0), tiny(dropout=0.0)
    arguments = TrainingArguments(
        str(tmp_path),
        num_train_epochs=2,
        per_device_train_batch_size=2,
        learning_rate=rate,
        warmup_steps=warmup,
        weight_decay=0.01,
        max_grad_norm=1.0,
        use_cpu=True,
        train_sampling_strategy="sequential",
        **{"save_strategy": "no", "logging_strategy": "no", "report_to": "none"},
        disable_tqdm=True,
    )

    def padded(rows):
        ids, mask = bert.pad_batch([row["input_ids"] for row in rows], 0)
        chosen = torch.tensor([row["labels"] for row in rows])
        return {"input_ids": ids, "attention_mask": mask, "labels": chosen}

    rows = [{"input_ids": i, "labels": y} for i, y in zip(texts, labels.tolist(), strict=True)]
    trainer = Trainer(theirs, arguments, padded, rows)
    trainer.train()
    optimizer = bert.make_optimizer(ours, rate)
    for step, index in enumerate(torch.arange(6).repeat(2).split(2)):
        ids, mask = lesson.pad_batch([texts[i] for i in index.tolist()], 0)
        factor = bert.warmup_linear(step, warmup, trainer.state.max_steps)
        lesson.train_step(ours, optimizer, ids, mask, labels[index], factor, nullcontext)
    assert trainer.state.global_step == 6
    start = tiny(dropout=0.0)
    moved = [
        not torch.equal(a, b) for a, b in zip(start.parameters(), ours.parameters(), strict=True)
    ]
    assert sum(moved) > 10
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_settings_are_those_of_the_command_line():
    picked = {}
    for node in ast.walk(ast.parse(SOURCE.read_text(encoding="utf-8"))):
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


def test_a_pair_is_right_where_both_of_its_answers_are(lesson):
    answers = torch.tensor([1, 0, 1, 1, 0, 1])
    assert torch.equal(lesson.pairs_right(answers), contrast_pairs.score(answers).both)


def test_training_on_copies_does_as_the_package_and_leaves_the_start(lesson):
    lesson.run = SimpleNamespace(autocast=nullcontext, device=torch.device("cpu"))
    lesson.pad, texts = 0, [[2, 7, 8, 3], [2, 9, 3], [2, 5, 3], [2, 6, 7, 3]]
    labels, batches = torch.tensor([1, 0, 1, 0]), [torch.tensor([0, 1]), torch.tensor([2, 3])] * 10
    start, other = tiny(), tiny()
    kept = [p.clone() for p in start.parameters()]
    torch.manual_seed(3)
    trained, losses = lesson.train_on(start, texts, labels, batches, 1e-2)
    assert all(torch.equal(a, b) for a, b in zip(start.parameters(), kept, strict=True))
    torch.manual_seed(3)
    assert losses == bert.train_on(other, texts, labels, batches, 1e-2, 0)
    for a, b in zip(trained.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
