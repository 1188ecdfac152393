"""Corpora and tokens of lesson 05: exact round trips, documents apart, nothing held out that was trained on."""

import pytest
import torch

from course_utils.datasets import texts
from course_utils.errors import CourseError


@pytest.fixture(scope="module")
def manual():
    return texts.load_texts("manual")


@pytest.fixture(scope="module")
def tokenizer(manual):
    return texts.train_tokenizer(manual.train, 400)


def test_smoke_takes_the_manual_whatever_the_machine_has(manual, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_TIER", "smoke")
    monkeypatch.setenv("COURSE_REVIEWS", str(tmp_path))
    assert texts.load_texts().name == manual.name == "Python's manual"
    assert not manual.is_standin and manual.title("loss") == "loss [Python's manual]"
    assert sum(map(len, manual.train)) > 200_000 and len(manual.held_out) >= 5


def test_laptop_takes_the_manual_where_no_reviews_are(monkeypatch):
    monkeypatch.setenv("COURSE_TIER", "laptop")
    monkeypatch.setattr(texts.reviews, "on_this_machine", lambda: None)
    assert (
        texts.load_texts(limit=5).name == "Python's manual"
        and len(texts.load_texts(limit=5).train) == 5
    )


def test_held_out_pages_share_no_paragraph_with_training(manual):
    known = {p for text in manual.train for p in text.split("\n\n") if len(p) > 40}
    assert not [p for text in manual.held_out for p in text.split("\n\n") if p in known]


STRANGE = ["plain", " two  spaces\n\n", "Ça 電影 🎬", "\x00\x07", texts.END + "x" + texts.END, ""]


@pytest.mark.parametrize("text", STRANGE)
def test_every_text_comes_back_exactly(tokenizer, text):
    ids = texts.encode(tokenizer, [text])[0]
    assert ids[0] == 0 and tokenizer.decode(ids[1:]) == text and 0 not in ids[1:]


def test_all_of_the_corpus_comes_back_and_tokens_are_learned_the_same_way_twice(manual, tokenizer):
    assert [tokenizer.decode(ids[1:]) for ids in texts.encode(tokenizer, manual.held_out)] == list(
        manual.held_out
    )
    again = texts.train_tokenizer(manual.train, 400)
    assert again.to_str() == tokenizer.to_str() and tokenizer.get_vocab_size() == 400
    assert tokenizer.token_to_id(texts.END) == 0


def test_windows_are_the_stream_cut_into_pieces():
    cut = texts.windows([[0, 1, 2], [0, 3], [0, 4, 5, 6]], 4)
    assert cut.tolist() == [[0, 1, 2, 0], [3, 0, 4, 5]] and cut.dtype == torch.int64
    assert texts.digest(cut) != texts.digest(cut.flip(0))
    with pytest.raises(CourseError, match="fewer than one window"):
        texts.windows([[0, 1]], 4)


def test_own_text_file_and_folder(tmp_path):
    book = tmp_path / "book.txt"
    book.write_text(
        "\n\n".join(f"paragraph {i} " + "word " * 60 for i in range(200)), encoding="utf-8"
    )
    corpus = texts.load_texts(book)
    assert corpus.name == "book.txt" and len(corpus.train) > 5 * len(corpus.held_out) > 0
    assert not set(corpus.train) & set(corpus.held_out)
    for i in range(12):
        (tmp_path / f"{i:02}.txt").write_text(f"text {i}", encoding="utf-8")
    book.unlink()
    folder = texts.load_texts(tmp_path, limit=3)
    assert folder.held_out == ("text 0", "text 10") and folder.train == (
        "text 1",
        "text 2",
        "text 3",
    )


def test_too_little_text_is_refused(tmp_path):
    (tmp_path / "one.txt").write_text("short", encoding="utf-8")
    with pytest.raises(CourseError, match="fewer than ten"):
        texts.load_texts(tmp_path / "one.txt")
    with pytest.raises(CourseError, match="No text"):
        texts.load_texts(tmp_path / "missing.txt")


def test_the_stand_in_is_called_one(monkeypatch):
    monkeypatch.setenv("COURSE_TIER", "smoke")
    corpus = texts.load_texts("standin", 20)
    assert corpus.is_standin and "stand-in" in corpus.title("loss") and len(corpus.train) == 20


def test_an_imdb_folder_is_read_with_its_own_split(tmp_path):
    for part in ("train", "test"):
        for kind in ("pos", "neg"):
            folder = tmp_path / "aclImdb" / part / kind
            folder.mkdir(parents=True)
            for i in range(30):
                (folder / f"{i}_8.txt").write_text(
                    f"{part} {kind} {i}.<br /><br />More.", encoding="utf-8"
                )
    corpus = texts.load_texts(tmp_path / "aclImdb", 10)
    assert len(corpus.train) == 10 and all(text.startswith("train") for text in corpus.train)
    assert len(corpus.held_out) == 60 and all(text.startswith("test") for text in corpus.held_out)
    assert "<br" not in corpus.train[0] and "(copy)" in corpus.name
