"""Corpora and tokens of lesson 05: exact round trips, documents apart, nothing held out that was trained on."""

import os

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


# ---- people's own texts

BOOK = "".join(
    f"Chapter {n}: the hero’s café. It was — as always — {n} o’clock… And so he left, déjà vu!\n\n"
    for n in range(400)
)
BAD = (
    set("\ufffd")
    | {chr(n) for n in range(32) if chr(n) not in "\n\t"}
    | set(map(chr, range(127, 160)))
)


def all_of(corpus):
    return "".join(corpus.train + corpus.held_out)


def letters(*texts):
    """All but white space, in a fixed order."""
    return sorted("".join("".join(texts).split()))


@pytest.fixture(autouse=True)
def said_again():
    """Sentences are said once a process; here each test hears them."""
    texts.text_files.say_once.cache_clear()


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_a_book_in_any_common_encoding_and_with_any_line_ends_is_the_same_corpus(
    tmp_path, encoding, ends, capsys
):
    book = tmp_path / "book.txt"
    book.write_bytes(BOOK.replace("\n", ends).encode(encoding))
    corpus = texts.load_texts(book)
    (tmp_path / "plain.txt").write_text(BOOK, encoding="utf-8", newline="")
    plain = texts.load_texts(tmp_path / "plain.txt")
    assert (corpus.train, corpus.held_out) == (plain.train, plain.held_out)
    assert letters(all_of(corpus)) == letters(BOOK) and len(corpus.train) > 10
    assert not set(all_of(corpus)) & BAD
    judged = {"cp1252": "Windows-1252", "utf-16-le": "UTF-16-LE", "utf-16-be": "UTF-16-BE"}
    judged["utf-32-be"] = "UTF-32-BE"
    assert ("by the look" in capsys.readouterr().out) == (encoding in judged)


def test_a_book_in_latin_1_keeps_its_letters(tmp_path):
    text = BOOK.replace("’", "'").replace("—", "-").replace("…", "...")
    (tmp_path / "book.txt").write_bytes(text.encode("latin-1"))
    found = all_of(texts.load_texts(tmp_path / "book.txt"))
    assert found.count("é") == text.count("é") and "\ufffd" not in found


RUSSIAN = (
    "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива.\n\n" * 90
)


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r"])
def test_a_book_in_an_unknown_encoding_is_refused_by_name_and_the_fix_reads_it(tmp_path, encoding):
    book = tmp_path / "война и мир.txt"
    book.write_bytes(RUSSIAN.encode(encoding))
    with pytest.raises(CourseError, match=r"UTF-8.*UTF-16.*UTF-32.*Windows-1252") as caught:
        texts.load_texts(book)
    error = caught.value
    assert error.code == "text-encoding" and "война и мир.txt" in error.what
    names = {}
    exec(error.fix.partition(": ")[2], names)
    assert all_of(texts.load_texts(names["source"])).count("семьи") == 90


def test_a_book_that_lost_characters_before_has_spaces_there_and_it_is_said(tmp_path, capsys):
    (tmp_path / "book.txt").write_text(BOOK.replace("é", "\ufffd"), encoding="utf-8")
    assert "\ufffd" not in all_of(texts.load_texts(tmp_path / "book.txt"))
    assert "lost characters" in capsys.readouterr().out


FORMS = {
    "single line feeds": BOOK.replace("\n\n", "\n"),
    "one line": BOOK.replace("\n\n", " "),
    "blanks in empty lines": BOOK.replace("\n\n", "\n \t \n"),
    "one word": "x" * 30_000,
    "no blanks": "他说这本书很好看。" * 2_000,
    "paragraphs as long as a book": (BOOK.replace("\n", " ") + "\n\n") * 2,
    "short": BOOK[:4_000],
    "very short": BOOK[:2_100],
}


@pytest.mark.parametrize("form", FORMS)
def test_a_text_of_any_form_is_cut_at_the_best_places_and_nothing_is_lost(tmp_path, form):
    (tmp_path / "book.txt").write_text(FORMS[form], encoding="utf-8")
    corpus = texts.load_texts(tmp_path / "book.txt")
    pieces = [text for part in (corpus.train, corpus.held_out) for text in part]
    assert len(pieces) >= 10 and max(map(len, pieces)) <= 2_000
    assert letters(*pieces) == letters(FORMS[form])
    assert len(corpus.train) >= 5 * len(corpus.held_out) > 0
    if form in ("single line feeds", "blanks in empty lines"):
        assert all(text.startswith("Chapter") and text.endswith("vu!") for text in pieces)
    if form in ("one line", "no blanks"):
        assert all(text.endswith((".", "vu!", "…", "。")) for text in pieces)


def test_a_folder_counts_documents_of_any_case_and_leaves_hidden_ones_out(tmp_path, capsys):
    for name in (
        *(f"{n:02}.txt" for n in range(30)),
        *(f"{n:02}.TXT" for n in range(30, 40)),
        *(f"{n:02}.md" for n in range(40, 50)),
        *(f"._{n:02}.txt" for n in range(30)),
        "photo.jpg",
    ):
        (tmp_path / name).write_text(f"document {name}", encoding="utf-8")
    corpus = texts.load_texts(tmp_path)
    assert len(corpus.train) + len(corpus.held_out) == 50 and "._" not in all_of(corpus)
    said = capsys.readouterr().out
    assert (
        "50 documents." in said
        and "30 left out: hidden or a system's own (._" in said
        and "photo.jpg" in said
    )
    texts.load_texts(tmp_path)
    assert capsys.readouterr().out == ""  # once


def test_what_is_no_text_in_a_folder_is_left_out_by_name_and_copies_count_once(tmp_path, capsys):
    for n in range(12):
        (tmp_path / f"{n:02}.txt").write_text(f"document {n}", encoding="utf-8")
    (tmp_path / "20.txt").write_text("document 3\n", encoding="utf-8")
    (tmp_path / "30.txt").write_bytes(b"%PDF-1.4\n" + bytes(300))
    (tmp_path / "40.txt").write_bytes(RUSSIAN.encode("cp1251"))
    (tmp_path / "50.txt").write_text(" \n", encoding="utf-8")
    if os.name != "nt":
        (tmp_path / "60.txt").symlink_to(tmp_path / "gone")
    corpus = texts.load_texts(tmp_path)
    assert sorted(corpus.train + corpus.held_out) == sorted(f"document {n}" for n in range(12))
    said = capsys.readouterr().out
    for name, why in {
        "20.txt": "an exact copy of another",
        "30.txt": "it is a PDF",
        "40.txt": "Windows-1252",
        "50.txt": "empty",
        **({} if os.name == "nt" else {"60.txt": "no such file"}),
    }.items():
        assert any(why in line and name in line for line in said.splitlines()), (name, said)


def test_a_folder_of_few_books_is_cut_into_pieces(tmp_path):
    for n in range(3):
        (tmp_path / f"{n}.md").write_text(BOOK.replace("hero", f"hero {n}"), encoding="utf-8")
    corpus = texts.load_texts(tmp_path)
    assert len(corpus.train) > 30 and max(map(len, corpus.train)) <= 2_000
    assert not set(corpus.train) & set(corpus.held_out)


@pytest.mark.parametrize("around", ["", "dataset/"])
@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("Train", "TEST")])
def test_a_folder_with_train_and_test_is_never_mixed(tmp_path, around, train, test, capsys):
    for part in (train, test):
        (tmp_path / around / part / "sub").mkdir(parents=True)
        for n in range(12):
            file = tmp_path / around / part / "sub" / f"{n}.txt"
            file.write_text(f"{part.lower()} {n}", encoding="utf-8")
    (tmp_path / around / "README.md").write_text("beside", encoding="utf-8")
    (tmp_path / around / train / "copy.txt").write_text("test 3", encoding="utf-8")
    corpus = texts.load_texts(tmp_path)
    assert set(corpus.train) == {f"train {n}" for n in range(12)} - {"test 3"}
    assert set(corpus.held_out) == {f"test {n}" for n in range(12)}
    assert "README.md" in capsys.readouterr().out


@pytest.mark.parametrize(
    "names", ["train/pos train/neg test/pos test/neg", "Train/Pos Train/Neg Test/Pos Test/Neg"]
)
@pytest.mark.parametrize("around", ["", "reviews/"])
def test_reviews_keep_their_own_parts_whatever_lies_around_them(tmp_path, names, around):
    for folder in names.split():
        (tmp_path / around / folder).mkdir(parents=True)
        for n in range(8):
            file = tmp_path / around / folder / f"{n}_9.txt"
            file.write_text(f"{folder.lower()} {n}", encoding="utf-8")
            file.with_name(f"._{file.name}").write_text("hidden", encoding="utf-8")
    corpus = texts.load_texts(tmp_path)
    assert len(corpus.held_out) == 16 and all(t.startswith("test") for t in corpus.held_out)
    assert all(text.startswith("train") for text in corpus.train)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"%PDF-1.7 text", "a PDF"),
        (b"PK\x03\x04 text", "a zip archive"),
        (b"PK\x03\x04" + bytes(50), "a zip archive"),
        (b"\x1f\x8b\x08", "an archive"),
        (bytes(5_000), "control characters"),
        (b"", "0 characters, fewer than ten"),
        (b"too short", "9 characters, fewer than ten"),
    ],
)
def test_a_file_that_is_no_book_is_refused_with_another_call_than_the_learners(
    tmp_path, content, word
):
    book = tmp_path / "book.txt"
    book.write_bytes(content)
    with pytest.raises(CourseError, match=word) as caught:
        texts.load_texts(book)
    assert caught.value.code == "texts-none" and "book.txt" in caught.value.what
    assert 'load_texts("manual")' in caught.value.fix and "book.txt" not in caught.value.fix


def test_a_web_page_is_called_one(tmp_path, capsys):
    (tmp_path / "book.txt").write_text("\n<!DOCTYPE html>\n<p>" + BOOK, encoding="utf-8")
    assert len(texts.load_texts(tmp_path / "book.txt").train) > 10
    assert "a web page, whose marks are read as they stand" in capsys.readouterr().out


def test_a_folder_without_enough_text_says_what_was_left_out(tmp_path):
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4")
    (tmp_path / "b.txt").write_bytes(b"%PDF-1.4")
    with pytest.raises(CourseError, match="fewer than ten") as caught:
        texts.load_texts(tmp_path)
    assert "a.pdf" in caught.value.what and "it is a PDF" in caught.value.what
    for n in range(12):
        (tmp_path / f"{n}.txt").write_bytes(RUSSIAN.encode("cp1251"))
    with pytest.raises(CourseError) as caught:
        texts.load_texts(tmp_path)
    assert caught.value.code == "text-encoding" and "cp1251" in caught.value.fix


def test_a_text_for_fewer_windows_than_a_step_needs_says_how_much_more():
    with pytest.raises(CourseError, match=r"10 tokens, fewer than 4 windows of 5") as caught:
        texts.windows([[0] * 10], 5, at_least=4)
    assert "20 tokens, which is about 2.0 times this text" in caught.value.why
    assert len(texts.windows([[0] * 20], 5, at_least=4)) == 4


def test_what_is_decoded_has_a_line_for_each_document(tokenizer):
    documents = ["The first one.", "Two  lines\nin it", "last"]
    stream = [token for ids in texts.encode(tokenizer, documents) for token in ids]
    assert texts.decode(tokenizer, stream) == "\n".join(documents)
    assert texts.decode(tokenizer, [*stream, 0, 0]) == "\n".join(documents)
    assert texts.decode(tokenizer, []) == ""


@pytest.mark.parametrize(
    ("name", "has", "other"),
    [
        ("critics' sentences", "every installation", 'assets.fetch("imdb")'),
        ("IMDB (copy)", "longer reviews", 'source = "sentences"'),
        ("Python's manual", "recorded numbers below", 'source = "sentences"'),
        ("novels", "recorded numbers below", 'assets.fetch("imdb")'),
    ],
)
def test_the_page_says_which_text_it_is_and_how_to_get_the_other(name, has, other):
    told = texts.which(texts.Corpus(name, ("a",), ("b",)))
    assert told.startswith(f"**You have {'the ' if 'critics' in name else ''}{name}")
    assert has in told and other in told and "\n" not in told
