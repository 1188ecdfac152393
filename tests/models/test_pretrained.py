"""The pre-trained encoder: the published weights, loaded as the library loads them, and nothing else called so."""

import logging
import random
import socket
import zipfile

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, BertForSequenceClassification, BertModel

from course_utils import assets
from course_utils.datasets.reviews import load_reviews
from course_utils.errors import CourseError
from course_utils.models import bert, pretrained
from course_utils.models.pretrained import load_encoder, train_wordpiece

TEXTS = (
    "A film that is better than it has any right to be!",
    "Unwatchable: na\u00efve, over-long & <i>dull</i>.",
    "\u6b66\u4fa0 \U0001f600 don't",
    "the " * 600,
    "Says nothing [SEP] new, [MASK] or not.",
)


@pytest.fixture
def wheel(encoder_wheel, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(encoder_wheel.parent))
    return encoder_wheel


@pytest.fixture(scope="module")
def files(encoder_wheel, tmp_path_factory):
    """The wheel's own files in a folder, for the library to load."""
    folder = tmp_path_factory.mktemp("model")
    with zipfile.ZipFile(encoder_wheel) as archive:
        for name in archive.namelist():
            if (
                name.startswith(pretrained._FOLDER)
                and name.count("/") == 2
                and not name.endswith("/")
            ):
                (folder / name.split("/")[-1]).write_bytes(archive.read(name))
    return folder


@pytest.fixture
def no_network(monkeypatch):
    """Whoever opens a connection or asks for a name is found out."""
    asked = []

    def refuse(*arguments, **options):
        asked.append(arguments)
        raise OSError("no network in this test")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(OSError, match="no network"):  # the trap works
        socket.create_connection(("127.0.0.1", 9))
    asked.clear()
    return asked


@pytest.fixture
def nothing_cached(monkeypatch):
    fetched = []

    def fetch(name):
        fetched.append(name)
        raise CourseError("asset-not-fetched", "no network", "none", "none")

    monkeypatch.setattr(assets, "cached", lambda name: None)
    monkeypatch.setattr(assets, "fetch", fetch)
    return fetched


def generators():
    return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()


def equal_weights(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


# ---- the real encoder


@torch.no_grad()
def test_hidden_states_are_those_of_the_librarys_own_loading(wheel, files, no_network):
    encoder = load_encoder(tier="laptop", texts=[])
    assert encoder.pretrained and encoder.name == "MiniLM, 6 layers" and not encoder.model.training
    assert no_network == []
    library = BertModel.from_pretrained(
        files, local_files_only=True, attn_implementation="eager"
    ).eval()
    tokenizer = AutoTokenizer.from_pretrained(files, local_files_only=True)
    sequences = encoder.encode(TEXTS, 64)
    assert sequences == tokenizer(list(TEXTS), truncation=True, max_length=64)["input_ids"]
    ids, mask = bert.pad_batch(sequences, encoder.tokenizer.pad_token_id)
    ours = encoder.model.bert(input_ids=ids, attention_mask=mask)
    theirs = library(input_ids=ids, attention_mask=mask)
    assert torch.equal(ours.last_hidden_state, theirs.last_hidden_state)
    assert torch.equal(ours.pooler_output, theirs.pooler_output)
    assert sum(p.numel() for p in encoder.model.bert.parameters()) == 22_713_216


@torch.no_grad()
def test_the_encoder_knows_which_sentences_are_alike(wheel):
    """What it was trained for: a random network, or weights in the wrong place, would not."""
    encoder = load_encoder("small", tier="laptop", texts=[])
    pairs = ["The acting is superb.", "The actors play very well.", "Stock prices fell on Monday."]
    ids, mask = bert.pad_batch(encoder.encode(pairs, 32), encoder.tokenizer.pad_token_id)
    states = encoder.model.bert(input_ids=ids, attention_mask=mask).last_hidden_state
    means = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    a, b, c = torch.nn.functional.normalize(means)
    assert a @ b > 0.6 and a @ c < 0.3 and b @ c < 0.3


def test_tokens_are_cut_and_have_both_ends(wheel):
    encoder = load_encoder("small", tier="laptop", texts=[])
    tokenizer = encoder.tokenizer
    assert tokenizer.convert_ids_to_tokens(range(100, 104)) == ["[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert (tokenizer.pad_token_id, len(tokenizer)) == (0, encoder.model.config.vocab_size)
    for length in (8, 16, 512):
        for sequence in encoder.encode(TEXTS, length):
            assert 2 < len(sequence) <= length and sequence[0] == 101 and sequence[-1] == 102
    assert len(encoder.encode(["the " * 100_000], 512)[0]) == 512
    assert encoder.encode([], 16) == []
    assert encoder.encode(TEXTS[:2], 16) == [encoder.encode([text], 16)[0] for text in TEXTS[:2]]
    words = tokenizer.convert_ids_to_tokens(encoder.encode(["Unwatchable film"], 16)[0])
    assert words == ["[CLS]", "un", "##watch", "##able", "film", "[SEP]"]


def test_strange_reviews_give_finite_losses(wheel):
    encoder = load_encoder("small", tier="laptop", texts=[])
    optimizer = bert.make_optimizer(encoder.model, 1e-4)
    sequences = encoder.encode(
        ["\u200b", "<script>alert('x')</script>", "\ufffd" * 50, "x" * 100_000, "!"], 128
    )
    ids, mask = bert.pad_batch(sequences, encoder.tokenizer.pad_token_id)
    found = bert.bert_step(encoder.model, optimizer, ids, mask, torch.tensor([0, 1, 0, 1, 0]), 1.0)
    assert np.isfinite(found["loss"]) and all(
        p.isfinite().all() for p in encoder.model.parameters()
    )


def test_a_seed_makes_the_head_and_no_global_generator_moves(wheel):
    before, level = generators(), logging.getLogger("transformers").level
    first, again, other = (
        load_encoder("small", tier="laptop", texts=[], seed=seed).model for seed in (0, 0, 1)
    )
    assert generators() == before
    assert equal_weights(first, again) and equal_weights(first.bert, other.bert)
    assert not torch.equal(first.classifier.weight, other.classifier.weight)
    torch.manual_seed(7)
    assert equal_weights(load_encoder("small", tier="laptop", texts=[]).model, first)
    assert logging.getLogger("transformers").level == level


def test_gpus_generators_are_put_back_as_well(monkeypatch, nothing_cached):
    """There is none here: what is asked for is the devices that are protected."""
    protected = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    real = torch.random.fork_rng

    def fork_rng(devices=None, **options):
        protected.append(list(devices))
        return real(devices=[])

    monkeypatch.setattr(torch.random, "fork_rng", fork_rng)
    load_encoder("standin", tier="smoke", texts=TEXTS)
    assert protected == [[0, 1]]


def test_other_weights_are_refused(wheel, monkeypatch):
    real = pretrained.members

    def flipped(*names):
        content = dict(zip(names, real(*names), strict=True))
        weights = content["model.safetensors"]
        content["model.safetensors"] = weights[:-1] + bytes([weights[-1] ^ 1])
        return list(content.values())

    monkeypatch.setattr(pretrained, "members", flipped)
    with pytest.raises(CourseError, match="not the file that its authors published") as caught:
        load_encoder("small", tier="laptop", texts=[])
    assert (
        caught.value.code == "pretrained-weights" and 'assets.fetch("encoder")' in caught.value.fix
    )


@pytest.mark.parametrize("damage", ["no wheel", "no member", "flipped"])
def test_a_damaged_wheel_is_named(tmp_path, monkeypatch, damage):
    """As if its digest were right: the zip archive is read with care all the same."""
    path = tmp_path / "a.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "other" if damage == "no member" else pretrained._FOLDER + "config.json", b"{}" * 500
        )
    if damage == "no wheel":
        path.write_bytes(b"no zip archive")
    if damage == "flipped":
        content = bytearray(path.read_bytes())
        content[90] ^= 0xFF
        path.write_bytes(content)
    monkeypatch.setattr(assets, "cached", lambda name: path)
    with pytest.raises(CourseError, match=r"a\.whl has no readable config\.json"):
        pretrained.members("config.json")


def test_a_flipped_bit_in_the_cache_means_no_encoder(wheel, tmp_path, monkeypatch, capsys):
    cache = tmp_path / "cache"
    cache.mkdir()
    content = bytearray(wheel.read_bytes())
    content[len(content) // 2] ^= 1
    (cache / wheel.name).write_bytes(content)
    monkeypatch.setenv("COURSE_CACHE", str(cache))
    encoder = load_encoder(tier="laptop", texts=TEXTS)
    assert not encoder.pretrained and "damaged" in capsys.readouterr().out


# ---- the stand-in


def test_without_the_file_a_standin_is_made_aloud_and_never_called_pretrained(
    nothing_cached, capsys, no_network
):
    for tier in ("smoke", "laptop"):
        encoder = load_encoder(tier=tier, texts=TEXTS)
        printed = capsys.readouterr().out
        assert printed.startswith("STAND-IN") and 'assets.fetch("encoder")' in printed
        compile(
            next(line.strip() for line in printed.splitlines() if "import assets" in line),
            "pasted",
            "exec",
        )
        assert not encoder.pretrained and "stand-in, not pre-trained" in encoder.name
        assert encoder.title("Loss") == f"Loss [{encoder.name}]"
    assert nothing_cached == [] and no_network == []
    load_encoder("standin", tier="laptop", texts=TEXTS)
    assert capsys.readouterr().out == ""  # asked for by name


def test_the_standin_is_taken_by_name_even_where_the_real_one_is(wheel):
    encoder = load_encoder("standin", tier="laptop", texts=TEXTS)
    assert not encoder.pretrained and encoder.model.config.num_hidden_layers == 2


def test_the_small_one_by_name_is_fetched_or_an_error(nothing_cached):
    with pytest.raises(CourseError, match="no network"):
        load_encoder("small", tier="laptop", texts=TEXTS)
    assert nothing_cached == ["encoder"]


@pytest.mark.parametrize("source", ["bert", "BASE", "bert-base-uncased"])
def test_an_unknown_source(source):
    with pytest.raises(CourseError, match="It knows 'base', 'small', 'standin'"):
        load_encoder(source, tier="laptop", texts=[])


def test_the_standin_is_a_function_of_texts_and_seed(nothing_cached):
    texts = load_reviews("standin", limit=500).texts
    before = generators()
    first, again, other = (
        load_encoder("standin", tier="smoke", texts=texts, seed=seed) for seed in (0, 0, 1)
    )
    assert generators() == before
    assert first.tokenizer.get_vocab() == again.tokenizer.get_vocab() == other.tokenizer.get_vocab()
    assert equal_weights(first.model, again.model) and not equal_weights(first.model, other.model)
    assert first.encode(texts, 32) == again.encode(texts, 32)


def test_a_vocabulary_is_the_same_each_time():
    """The library's own trainer numbers pieces in the order of a random hash: each time another tokenizer."""
    texts = [f"{a}{b} {b}{a}{a}" for a in "abcdefgh" for b in "ijklmnop"] + list(TEXTS)
    vocabularies = [train_wordpiece(texts, 120).get_vocab() for _ in range(6)]
    assert all(vocabulary == vocabularies[0] for vocabulary in vocabularies)


def test_a_made_vocabulary_reads_like_berts():
    texts = load_reviews("standin").texts
    tokenizer = train_wordpiece(texts, 120)
    vocabulary = tokenizer.get_vocab()
    assert [tokenizer.id_to_token(i) for i in range(5)] == list(pretrained.SPECIAL)
    assert sorted(vocabulary.values()) == list(range(len(vocabulary))) and len(vocabulary) == 120
    tokens = tokenizer.encode("The ACTING is wonderful.").tokens
    assert tokens[0] == "[CLS]" and tokens[-1] == "[SEP]" and "the" in tokens and "is" in tokens
    assert "".join(token.removeprefix("##") for token in tokens[1:-1]) == "theactingiswonderful."
    assert "[UNK]" not in tokens and "[UNK]" in tokenizer.encode("\u6b66").tokens
    pair = tokenizer.encode("The acting", "is dull")
    assert pair.tokens.count("[SEP]") == 2 and pair.type_ids[-1] == 1 and pair.type_ids[0] == 0
    assert not any(
        token in ("##.", "##,") for token in vocabulary
    )  # what can never come inside a word


def test_a_standin_without_texts_still_runs(nothing_cached):
    encoder = load_encoder("standin", tier="smoke", texts=[])
    assert encoder.encode(["good film"], 8) == [[2, 1, 1, 3]]
    assert bert.predict(encoder.model, encoder.encode(["a", "b c"], 8), 0).shape == (2, 2)


# ---- tier gpu


def test_tier_gpu_without_the_hub_is_an_error_with_a_way_out(tmp_path, monkeypatch, no_network):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        CourseError, match="bert-base-uncased could not be loaded from the hub"
    ) as caught:
        load_encoder(tier="gpu", texts=[])
    assert (
        caught.value.code == "pretrained-hub"
        and 'load_encoder("small"' in caught.value.fix
        and no_network == []
    )
    assert len(caught.value.what) < 300


def test_tier_gpu_asks_for_the_pinned_revision(monkeypatch, files):
    asked = []
    tokenizer_of, model_of = (
        AutoTokenizer.from_pretrained,
        BertForSequenceClassification.from_pretrained,
    )

    def tokenizer(name, revision, **options):
        asked.append((name, revision))
        return tokenizer_of(files, local_files_only=True, **options)

    def model(name, revision, **options):
        asked.append((name, revision))
        return model_of(files, local_files_only=True, **options)

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", tokenizer)
    monkeypatch.setattr(BertForSequenceClassification, "from_pretrained", model)
    encoder = load_encoder(tier="gpu", texts=[])
    assert asked == [(pretrained.BASE, pretrained.BASE_REVISION)] * 2
    assert encoder.pretrained and encoder.name == "bert-base-uncased" and not encoder.model.training


def test_of_a_long_text_the_head_or_both_ends_are_kept(encoder_of_texts):
    encoder, text = encoder_of_texts
    whole = encoder.encode([text], 10_000)[0]
    assert len(whole) > 20
    assert encoder.encode([text], 10, keep="head")[0] == [*whole[:9], whole[-1]]
    assert encoder.encode([text], 10, keep="ends")[0] == whole[:5] + whole[-5:]
    assert encoder.encode([text], 11, keep="ends")[0] == whole[:5] + whole[-6:]
    assert encoder.encode([text], len(whole), keep="ends")[0] == whole
    assert encoder.encode([], 11, keep="ends") == []
    with pytest.raises(CourseError, match="keep='tail'"):
        encoder.encode([text], 11, keep="tail")


@pytest.fixture
def encoder_of_texts():
    text = " ".join(TEXTS) + " and so on until the end of this long review"
    return load_encoder("standin", tier="smoke", texts=[text] * 3), text
