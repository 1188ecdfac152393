"""ReviewSet and load_reviews: every layout, every broken or hostile file, and that no film is on two sides."""

import bz2
import dataclasses
import hashlib
import io
import json
import os
import pickle
import re
import sys
import tarfile
import time
import tracemalloc
import types
import zipfile
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
import torch
from at_tier import at

from course_utils import assets
from course_utils.datasets import archives, review_readers, reviews, standin_reviews
from course_utils.datasets.review_readers import clean
from course_utils.datasets.reviews import ReviewSet, load_reviews
from course_utils.errors import CourseError
from measuring.measure_bert import all_training

KINDS = ("neg", "pos")
COMPRESSIONS = {"tar": "w", "gz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("COURSE_CACHE", str(folder))
    monkeypatch.delenv("COURSE_REVIEWS", raising=False)
    reviews.say_once.cache_clear()  # said in this process before, by another test
    return folder


def tree(root, count=20, test=10, text="{part} {kind} {number} \u00fc"):
    """Reviews in the authors' layout, ``count`` (``test``) of each verdict; returns the folder."""
    for part, many in (("train", count), ("test", test)):
        for kind in KINDS:
            folder = root / part / kind
            folder.mkdir(parents=True)
            for number in range(many):
                name = f"{number}_{7 + number % 4 if kind == 'pos' else 1 + number % 4}.txt"
                (folder / name).write_text(
                    text.format(part=part, kind=kind, number=number), encoding="utf-8"
                )
    return root


def packed(path, members, mode="w:gz"):
    """A tar archive of (name or TarInfo, content); returns its path."""
    with tarfile.open(path, mode) as archive:
        for name, content in members:
            member = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            content = content.encode() if isinstance(content, str) else content
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def good(part="train", count=10, root="aclImdb"):
    """Names and contents of some right members."""
    return [
        (f"{root}/{part}/{k}/{n}_{1 + 8 * (k == 'pos')}.txt", f"{k} {n}")
        for k in KINDS
        for n in range(count)
    ]


def every_file(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def as_set(reviews):
    return set(zip(reviews.texts, reviews.labels.tolist(), strict=True))


# ---- ReviewSet


def make_set(texts=("Dull.", "Fine.", "Superb!"), labels=(0, 1, 1), **changes):
    labels = torch.tensor(labels) if isinstance(labels, tuple) else labels
    return ReviewSet(texts, labels, **{"name": "a", "is_standin": False, **changes})


def test_a_review_set_has_a_length_parts_and_a_title():
    found = make_set(films=("x", "y", "z"))
    assert len(found) == 3 and repr(found) == "ReviewSet(a, train: 3 reviews, 67% positive)"
    part = found.take(2)
    assert (
        part.texts == ("Dull.", "Fine.")
        and part.labels.tolist() == [0, 1]
        and part.films == ("x", "y")
    )
    assert len(found.take(100)) == 3
    assert found.title("Reviews") == "Reviews [a]"
    assert make_set(is_standin=True).title("Reviews") == "Reviews [stand-in, a]"
    named = make_set(is_standin=True, name=standin_reviews.NAME).title("Reviews")
    assert named.count("stand-in") == 1


@pytest.mark.parametrize(
    "indices",
    [
        [2, 0],
        (2, 0),
        torch.tensor([2, 0]),
        torch.tensor([2, 0], dtype=torch.int32),
        torch.tensor([-1, -3]),
    ],
)
def test_a_subset_keeps_order_labels_and_films(indices):
    part = make_set(films=("x", "y", "z")).subset(indices)
    assert (part.texts, part.labels.tolist(), part.films) == (
        ("Superb!", "Dull."),
        [1, 0],
        ("z", "x"),
    )


def test_a_subset_by_a_mask_is_what_the_mask_says():
    found = make_set()
    part = found.subset(found.labels == 0)
    assert (part.texts, part.labels.tolist()) == (("Dull.",), [0])
    assert found.subset([True, False, True]).texts == ("Dull.", "Superb!")
    assert len(found.subset([])) == len(found.subset(torch.zeros(3, dtype=torch.bool))) == 0
    for wrong in (torch.tensor([True, False]), torch.tensor([0, 3])):
        with pytest.raises(IndexError):
            found.subset(wrong)


def test_a_set_without_a_class_is_refused_before_anything_is_trained_on_it():
    found = make_set()
    found.require(each=1)
    for part, each in ((found, 2), (found.subset([0]), 1), (found.subset([]), 1)):
        with pytest.raises(CourseError, match=f"at least {each} of each class") as caught:
            part.require(each)
        assert caught.value.code == "reviews-one-sided"


def test_the_digest_knows_every_letter_label_and_the_order():
    same = make_set().sha256
    others = [
        make_set(labels=(0, 0, 1)),
        make_set(texts=("Dull.", "Fine.", "Superb")),
        make_set().subset([1, 0, 2]),
        make_set().take(2),
        make_set(texts=("Dull.Fine.", "Superb", "!")),
    ]
    assert make_set(name="b").sha256 == same
    assert len({same, *(other.sha256 for other in others)}) == 6


@pytest.mark.fault("B2")
@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            {"labels": torch.tensor([0.0, 1.0, 1.0])},
            r"labels are torch.float32 of shape \(3,\), not int64",
        ),
        ({"labels": torch.tensor([0.0, 1.0, float("nan")])}, "labels are torch.float32"),
        ({"labels": torch.tensor([True, False, True])}, "labels are torch.bool"),
        ({"labels": torch.tensor([0, 1, 1], dtype=torch.int32)}, "labels are torch.int32"),
        ({"labels": torch.tensor([[0], [1], [1]])}, r"shape \(3, 1\), not int64 of shape \(3,\)"),
        ({"labels": torch.tensor(1)}, r"shape \(\)"),
        ({"labels": torch.tensor([0, 1])}, r"shape \(2,\)"),
        ({"labels": [0, 1, 1]}, "labels are list"),
        ({"labels": torch.tensor([0, 2, 1])}, "label at index 1 is 2"),
        ({"labels": torch.tensor([0, 1, -1])}, "label at index 2 is -1"),
        (
            {"texts": ("Dull.", "", "Superb!")},
            "review at index 1 is not a text with visible characters",
        ),
        ({"texts": ("Dull.", "Fine.", " \n\t\u3000")}, "review at index 2"),
        ({"texts": ("Dull.", "Fine.", None)}, "review at index 2"),
        ({"texts": (b"Dull.", "Fine.", "Superb!")}, "review at index 0"),
        (
            {"texts": ("Dull.", "Fine \ud83d", "Superb!")},
            "review at index 1 holds half a character",
        ),
        ({"texts": "abc"}, "one text, not a tuple"),
        ({"films": ("x", "y")}, "2 films for 3 reviews"),
    ],
)
def test_wrong_texts_and_labels_are_named_at_once(part, message):
    with pytest.raises(CourseError, match=message) as caught:
        make_set(**part)
    assert caught.value.code == "reviews-bad-set"


# ---- clean


@pytest.mark.fault("B3")
@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"\xef\xbb\xbfGood.", "Good."),
        ("\ufeffGood.", "Good."),
        ("Caf\u00e9".encode(), "Caf\u00e9"),
        ("Caf\u00e9".encode("latin-1"), "Caf\u00e9"),
        (b"a\x00b\x07c\x7fd", "a b c d"),
        ("a\u0085b\u2028c\u2029d\x9be", "a b c d e"),
        ("half \ud83d and \ude00 half", "half \ufffd and \ufffd half"),
        (b"half \xed\xa0\xbd", "half \u00ed\u00a0\u00bd"),  # not UTF-8, so Latin-1
        ("\U0001f600 fine", "\U0001f600 fine"),
        ("one<br />two<br>three<BR/>four<br\n/>five", "one\ntwo\nthree\nfour\nfive"),
        ("one<br /><br />two", "one\n\ntwo"),
        ("one <br /> \n <br /> two", "one\n\ntwo"),
        ("one\r\ntwo\rthree\tfour", "one\ntwo\nthree\tfour"),
        (
            "<i>so</i> & <script>alert('x')</script> <bra>",
            "<i>so</i> & <script>alert('x')</script> <bra>",
        ),
        ("&lt;br /&gt; stays", "&lt;br /&gt; stays"),
        ("  \n in  between \u00a0", "in  between"),
        ("", ""),
        (b"\x00\xef\xbb\xbf \r\n<br />", "\ufeff"),
        (b"<br /> \x00 <br>", ""),
    ],
)
def test_the_rule_for_one_review(content, text):
    assert clean(content) == text
    if text != "\ufeff":
        assert clean(clean(content)) == text


@pytest.mark.parametrize(
    "piece", [" ", "\n", "<br", "<br ", "<br />", " <br", "\x00", "\ud800", "\ufeff"]
)
def test_a_megabyte_of_one_thing_is_cleaned_in_moments(piece):
    """0.1 s of this process's own time; when each space was looked at from each one before it: 20 minutes."""
    start = time.process_time()
    clean("x" + piece * (review_readers._LARGEST // len(piece)) + "x")
    assert time.process_time() - start < 60  # it only catches the 20 minutes


# ---- folders and archives


def test_folder_and_archive_give_the_same_reviews_in_the_same_order(tmp_path):
    root = tree(tmp_path / "aclImdb", 30)
    (root / "train" / "pos" / "3_7.txt").write_text(
        "another with the number 3"
    )  # numbers may come twice
    (root / "train" / "unsup").mkdir()
    for name in (
        "train/unsup/0_0.txt",
        "train/pos/readme.txt",
        "train/pos/7.txt",
        "train/pos/a_1.txt",
        "imdb.vocab",
    ):
        (root / name).write_text("not a labelled review")
    for kind, mode in COMPRESSIONS.items():
        with tarfile.open(tmp_path / f"aclImdb.{kind}", mode) as archive:
            archive.add(root, "aclImdb")
    for split in review_readers.SPLITS:
        found = load_reviews(root, split)
        assert len(found) == {"train": 55, "validation": 6, "test": 20}[split]
        assert (
            found.name == "IMDB (copy)"
            and found.split == split
            and not found.is_standin
            and found.films is None
        )
        assert not any("not a labelled" in text for text in found.texts)
        for text, label in zip(found.texts, found.labels.tolist(), strict=True):
            assert KINDS[label] in text or text == "another with the number 3"
        for place in (tmp_path, *(tmp_path / f"aclImdb.{kind}" for kind in COMPRESSIONS)):
            other = load_reviews(str(place), split)
            assert other.texts == found.texts and other.labels.equal(found.labels)


def test_train_and_validation_are_blocks_and_the_test_part_is_whole(tmp_path):
    root = tree(tmp_path / "own", 50)
    parts = {split: load_reviews(root, split) for split in review_readers.SPLITS}
    numbers = {
        split: {(text.split()[1], int(text.split()[2])) for text in part.texts}
        for split, part in parts.items()
    }
    assert numbers["validation"] == {(kind, number) for kind in KINDS for number in range(45, 50)}
    assert numbers["train"] == {(kind, number) for kind in KINDS for number in range(45)}
    assert numbers["test"] == {(kind, number) for kind in KINDS for number in range(10)}
    assert {text.split()[0] for text in parts["test"].texts} == {"test"}
    assert parts["train"].name == "own"
    whole = all_training(str(root))
    assert (
        as_set(whole) == as_set(parts["train"]) | as_set(parts["validation"]) and len(whole) == 100
    )


def test_the_order_is_shuffled_and_the_same_each_time(tmp_path):
    root = tree(tmp_path / "own", 50)
    first = load_reviews(root)
    torch.manual_seed(1234)
    state = torch.get_rng_state()
    assert load_reviews(root).texts == first.texts
    assert torch.equal(torch.get_rng_state(), state)
    half = first.labels[:45].float().mean()
    assert 0.25 < half < 0.75  # by label it would be 0
    assert first.sha256[:8] == load_reviews(root).sha256[:8]


def test_a_limit_gives_the_head_of_the_full_order_and_opens_nothing_else(tmp_path, monkeypatch):
    root = tree(tmp_path / "own", 50)
    with tarfile.open(tmp_path / "own.tar", "w") as archive:
        archive.add(root, "own")
    full = load_reviews(root)
    opened, real = [], review_readers._limited
    monkeypatch.setattr(review_readers, "_limited", lambda file: opened.append(file) or real(file))
    head = load_reviews(root, limit=7)
    assert head.texts == full.texts[:7] and head.labels.equal(full.labels[:7]) and len(opened) == 7
    assert load_reviews(tmp_path / "own.tar", limit=7).texts == full.texts[:7]
    assert load_reviews(root, limit=1_000).texts == full.texts


def films_of(root, part="train", kinds=KINDS, film=lambda kind, number: number // 4):
    """The authors' lists of addresses; four reviews a film."""
    for kind in kinds:
        count = len(list((root / part / kind).glob("*_*.txt")))
        lines = [
            f"http://www.imdb.com/title/tt{film(kind, n):07}/usercomments\n" for n in range(count)
        ]
        (root / part / f"urls_{kind}.txt").write_text("".join(lines))


@pytest.mark.parametrize("shared", [False, True])
def test_no_film_is_in_training_and_in_validation(tmp_path, shared):
    root = tree(tmp_path / "aclImdb", 50)
    films_of(
        root,
        film=lambda kind, number: number // 4 if shared else 100 * (kind == "pos") + number // 4,
    )
    train, held = load_reviews(root), load_reviews(root, "validation")
    assert len(train) + len(held) == 100 and not as_set(train) & as_set(held)
    assert not set(train.films) & set(held.films)
    # Reviews 45 to 49 are held, so film 11 (44 to 47) and film 12 (48, 49), and therefore review 44 as well.
    assert sorted({int(text.split()[2]) for text in held.texts}) == [44, 45, 46, 47, 48, 49]
    for found in (train, held):
        for text, film in zip(found.texts, found.films, strict=True):
            _, kind, number, _ = text.split()
            assert film == f"tt{int(number) // 4 + (0 if shared else 100 * (kind == 'pos')):07}"
    assert load_reviews(root, "test").films is None
    assert load_reviews(root, limit=5).films == train.films[:5]


@pytest.mark.parametrize("damage", ["one side", "short", "not addresses"])
def test_lists_of_films_that_do_not_fit_are_not_believed(tmp_path, damage):
    root = tree(tmp_path / "aclImdb", 20)
    films_of(root)
    if damage == "one side":
        (root / "train" / "urls_pos.txt").unlink()
    elif damage == "short":
        (root / "train" / "urls_pos.txt").write_text("http://www.imdb.com/title/tt0000001/\n" * 19)
    else:
        (root / "train" / "urls_neg.txt").write_text("hello\n" * 20)
    found = load_reviews(root)
    assert found.films is None and len(found) == 36


@pytest.mark.fault("B3")
def test_empty_reviews_are_left_out_and_counted(tmp_path, capsys):
    root = tree(tmp_path / "own", 20)
    for number, content in enumerate([b"", b" \n", b"\x00\x00", b"\xef\xbb\xbf", b"<br /><br />"]):
        next((root / "train" / "neg").glob(f"{number}_*")).write_bytes(content)
    found = load_reviews(root)
    assert "Left out 5 empty reviews of own, train." in capsys.readouterr().out
    assert len(found) == 31 and found.labels.sum() == 18
    for limit in (1, 10, 30):
        assert (
            load_reviews(root, limit=limit).texts
            == found.texts[: len(load_reviews(root, limit=limit))]
        )
    assert len(load_reviews(root, "test")) == 20


def test_a_set_of_empty_reviews_only_is_an_error(tmp_path):
    root = tree(tmp_path / "own", 4, text=" ")
    with pytest.raises(CourseError, match="No review of own, train, has a visible character"):
        load_reviews(root)


@pytest.mark.fault("B3")
def test_strange_reviews_are_read_by_the_rule(tmp_path):
    root = tree(tmp_path / "own", 20)
    strange = {
        0: (b"\xef\xbb\xbfwith a mark", "with a mark"),
        1: ("d\u00e9j\u00e0 vu".encode("latin-1"), "d\u00e9j\u00e0 vu"),
        2: (b"nul\x00s", "nul s"),
        3: (
            b"<script>alert(1)</script><br /><b>bold</b>",
            "<script>alert(1)</script>\n<b>bold</b>",
        ),
        4: (b"word " * 100_000, "word " * 99_999 + "word"),
        5: (pickle.dumps({"a": 1}), None),
    }
    for number, (content, _) in strange.items():
        next((root / "train" / "pos").glob(f"{number}_*")).write_bytes(content)
    found = load_reviews(root)
    for _, text in strange.values():
        assert text is None or found.texts.count(text) == 1
    assert len(found) == 36 and len(found.sha256) == 64


@pytest.mark.fault("B3")
def test_a_file_of_two_megabytes_is_refused_by_name(tmp_path):
    root = tree(tmp_path / "own", 20)
    (root / "train" / "pos" / "0_7.txt").write_bytes(b"x" * (2 << 20))
    with pytest.raises(
        CourseError, match=r"0_7\.txt has more than 1,048,576 bytes, which is not a review"
    ):
        load_reviews(root)
    with tarfile.open(tmp_path / "own.tgz", "w:gz") as archive:
        archive.add(root, "own")
    with pytest.raises(CourseError, match=r"0_7\.txt claims 2,097,152 bytes; at most 1,048,576"):
        load_reviews(tmp_path / "own.tgz")
    assert len(load_reviews(tmp_path / "own.tgz", "test")) == 20


def test_folders_links_and_pipes_with_the_name_of_a_review(tmp_path):
    root = tree(tmp_path / "own", 20)
    folder = root / "train" / "pos"
    (folder / "90_7.txt").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "91_7.txt")
        (folder / "92_7.txt").symlink_to(tmp_path / "nothing")
    assert len(load_reviews(root)) == 36


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: None, "is not a folder with train/pos"),
        (
            lambda root: (root / "train" / "pos").mkdir(parents=True),
            "holds no files train/neg/NUMBER_RATING.txt",
        ),
        (
            lambda root: [f.unlink() for f in (tree(root) / "train/pos").iterdir()],
            "holds no files train/pos",
        ),
        (lambda root: (tree(root) / "train/neg").rename(root / "n"), "holds no files train/neg"),
        (lambda root: root.write_text("just a file"), "cannot be read as an archive"),
        (lambda root: root.touch(), "cannot be read as an archive"),
        (lambda root: packed(root, []), "holds no files train/neg"),
        (lambda root: packed(root, good("test")), "holds no files train/neg"),
        (lambda root: packed(root, good()[10:]), "holds no files train/neg"),
        (lambda root: zipfile.ZipFile(root, "w").close(), "cannot be read as an archive"),
    ],
)
def test_what_is_not_reviews_is_an_error_that_names_the_way_out(tmp_path, spoil, message):
    spoil(tmp_path / "thing")
    with pytest.raises(CourseError, match=message) as caught:
        load_reviews(tmp_path / "thing")
    assert caught.value.code == "reviews-not-found"
    assert "COURSE_REVIEWS" in caught.value.fix and 'load_reviews("sentences")' in caught.value.fix
    assert str(tmp_path / "thing") in caught.value.what


@pytest.mark.parametrize(
    "options", [{"split": "dev"}, {"limit": 0}, {"limit": -1}, {"limit": True}, {"limit": 2.0}]
)
def test_unknown_options(options):
    with pytest.raises(CourseError, match=r"split='dev'|number of reviews asked for"):
        load_reviews("standin", **options)


# ---- people's own reviews

QUOTED = "It’s “superb” — {part} {kind} {number}, déjà vu… for 5 €"
HUNGARIAN = "Minden emberi lény szabadon születik, és egyenlő méltósága van {part} {kind} {number} őfelé űzve"


def recoded(root, encoding, mark=b""):
    for file in root.rglob("*_*.txt"):
        file.write_bytes(mark + file.read_text("utf-8").encode(encoding))
    return root


def zipped_tar(root, name="own.tar.gz"):
    with tarfile.open(root.parent / name, "w:gz") as archive:
        archive.add(root, root.name)
    return root.parent / name


@pytest.mark.fault("B3")
@pytest.mark.parametrize(
    "encoding", ["cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"]
)
def test_reviews_in_any_common_encoding_are_the_same_in_a_folder_and_an_archive(tmp_path, encoding):
    plain = load_reviews(tree(tmp_path / "plain", 12, 6, QUOTED))
    root = recoded(tree(tmp_path / "own", 12, 6, QUOTED), encoding)
    for place in (root, zipped_tar(root)):
        assert load_reviews(place).texts == plain.texts
        assert "’" in plain.texts[0] and "“" in plain.texts[0]
        assert as_set(load_reviews(place, "test")) == as_set(
            load_reviews(tmp_path / "plain", "test")
        )


def test_one_review_of_another_encoding_is_left_out_by_name_and_the_others_keep_their_order(
    tmp_path, capsys
):
    root = tree(tmp_path / "own", 20)
    full = load_reviews(root).texts
    victim = root / "train" / "pos" / "0_7.txt"
    lost = victim.read_text("utf-8")
    for content, why in {
        b"%PDF-1.4 text": "it is a PDF",
        ("Очень хороший фильм, смотрите все! " * 5).encode("cp1251"): "Windows-1252",
        HUNGARIAN.encode("cp1250") * 3: "Windows-1252",
    }.items():
        victim.write_bytes(content)
        assert load_reviews(root).texts == tuple(text for text in full if text != lost)
        assert load_reviews(root, limit=30).texts == tuple(t for t in full[:30] if t != lost)
        said = capsys.readouterr().out
        assert "train/pos/0_7.txt" in said and why in said


def test_reviews_of_an_unknown_encoding_only_are_refused_and_the_fix_reads_them(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    text = "Замечательный фильм, {part} {kind} {number}: смотрите обязательно, не пожалеете!"
    root = recoded(tree(tmp_path / "own", 12, 6, text), "koi8_r")
    with pytest.raises(CourseError, match="Windows-1252") as caught:
        load_reviews(root)
    assert caught.value.code == "text-encoding"
    names = {}
    exec(caught.value.fix.partition(": ")[2], names)
    assert "Замечательный" in load_reviews(names["source"]).texts[0]


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_hidden_files_count_nowhere(tmp_path, kind, capsys):
    root = tree(tmp_path / "own")
    expected = load_reviews(root), load_reviews(root, "test")
    for file in list(root.rglob("*_*.txt")):
        file.with_name(f"._{file.name}").write_bytes(b"\x00\x05\x16\x07" + bytes(60))
        for hidden in ("__MACOSX", ".backup", "test/.old/train/pos"):
            copy = root / hidden / file.relative_to(root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text("hidden")
    (root / "train" / "pos" / ".DS_Store").write_bytes(bytes(10))
    place = root if kind == "folder" else zipped_tar(root)
    found = load_reviews(place), load_reviews(place, "test")
    assert [part.texts for part in found] == [part.texts for part in expected]
    assert "left out: hidden or" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_a_copy_of_the_set_inside_it_is_left_out_and_two_side_by_side_are_questioned(
    tmp_path, kind, capsys
):
    root = tree(tmp_path / "own")
    expected = load_reviews(root).texts
    tree(root / "test" / "backup", text="copy {part} {kind} {number}")
    assert load_reviews(root if kind == "folder" else zipped_tar(root)).texts == expected
    assert kind == "folder" or "beside or below the set" in capsys.readouterr().out
    both = tmp_path / "both"
    tree(both / "one"), tree(both / "two")
    with pytest.raises(CourseError, match=r"several sets of reviews: .*one, .*two"):
        load_reviews(both if kind == "folder" else zipped_tar(both, "both.tar.gz"))


@pytest.mark.parametrize(
    "names", [("Train", "Test", "Pos", "Neg"), ("TRAIN", "test", "positive", "Negative")]
)
@pytest.mark.parametrize("around", ["", "dataset"])
def test_capital_letters_other_words_and_a_folder_around_are_read(tmp_path, names, around):
    expected = {split: as_set(load_reviews(tree(tmp_path / "plain"), split)) for split in ["train"]}
    expected["test"] = as_set(load_reviews(tmp_path / "plain", "test"))
    root = tree(tmp_path / "own" / around)
    for old, new in zip(("train", "test"), names, strict=False):
        (root / old).rename(root / f"x{old}")
        (root / f"x{old}").rename(root / new)
        for kind, other in (("pos", names[2]), ("neg", names[3])):
            (root / new / kind).rename(root / new / f"x{kind}")
            (root / new / f"x{kind}").rename(root / new / other)
    for place in (tmp_path / "own", zipped_tar(tmp_path / "own")):
        for split, found in expected.items():
            assert as_set(load_reviews(place, split)) == found


@pytest.mark.parametrize(
    ("gone", "split", "message"),
    [
        ("train/neg", "train", r"holds no files train/neg/.*it holds test/neg \(10\), test/pos"),
        ("train/pos", "train", r"holds no files train/pos/.*train/neg \(20\)"),
        ("test/pos", "test", "holds no files test/pos/"),
        ("test", "test", r"holds no files test/neg/.*train/neg \(20\), train/pos \(20\)"),
        ("train", "train", "holds no files train/neg/"),
    ],
)
def test_a_half_of_the_folders_is_questioned_with_what_is_there(tmp_path, gone, split, message):
    root = tree(tmp_path / "own")
    (root / gone).rename(tmp_path / "gone")
    for place in (root, zipped_tar(root)):
        with pytest.raises(CourseError, match=message) as caught:
            load_reviews(place, split)
        assert caught.value.code == "reviews-not-found"


def test_a_zip_is_told_to_be_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "own.zip", "w") as archive:
        archive.writestr("train/pos/1_9.txt", "Fine.")
    with pytest.raises(CourseError, match="a zip archive, and only folders and tar archives"):
        load_reviews(tmp_path / "own.zip")


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_what_lies_beside_train_and_test_is_left_out_with_a_word(tmp_path, kind, capsys):
    root = tree(tmp_path / "own")
    expected = load_reviews(root).texts
    for folder in ("dev/pos", "dev/neg", "pos"):
        (root / folder).mkdir(parents=True)
        (root / folder / "1_9.txt").write_text("beside")
    assert load_reviews(root if kind == "folder" else zipped_tar(root)).texts == expected
    assert "3 left out: beside or below the set" in capsys.readouterr().out


def test_files_with_names_of_two_kinds_are_not_lost_without_a_word(tmp_path, capsys):
    root = tree(tmp_path / "own")
    for number in range(20, 40):
        (root / "train" / "pos" / f"review {number}.txt").write_text("other")
    assert len(load_reviews(root)) == 36
    said = capsys.readouterr().out
    assert "20 left out: its name is not NUMBER_RATING.txt (train/pos/review 20.txt" in said


def test_files_without_numbers_all_count_where_none_has_one(tmp_path):
    root = tree(tmp_path / "own")
    for number, file in enumerate(sorted(root.rglob("*_*.txt"))):
        file.rename(file.with_name(f"my review {number}{'.TXT' if number % 2 else '.md'}"))
    for place in (root, zipped_tar(root)):
        assert len(all_training(str(place))) == 40 and len(load_reviews(place, "test")) == 20


def test_pos_and_neg_alone_are_divided_and_it_is_said(tmp_path, capsys):
    root = (tree(tmp_path / "own", 24) / "train").rename(tmp_path / "mine")
    for place in (root, zipped_tar(root)):
        parts = {split: load_reviews(place, split) for split in review_readers.SPLITS}
        assert {split: len(part) for split, part in parts.items()} == {
            "train": 36,
            "validation": 4,
            "test": 8,
        }
        assert len(set.union(*map(as_set, parts.values()))) == 48
        assert "the last sixth of each class is for testing" in capsys.readouterr().out
    few = (tree(tmp_path / "few", 3) / "train").rename(tmp_path / "three")
    assert [len(load_reviews(few, split)) for split in review_readers.SPLITS] == [2, 2, 2]
    with pytest.raises(CourseError, match=r"is the part train of a set: give .*few instead"):
        load_reviews((tmp_path / "three").rename(tmp_path / "few" / "train"))


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 15])
def test_each_class_has_a_review_for_validation(tmp_path, count):
    root = tree(tmp_path / "own", count, 1)
    parts = {split: load_reviews(root, split) for split in review_readers.SPLITS}
    held = max(1, round(0.1 * count))
    assert [len(part) for part in parts.values()] == [2 * (count - held), 2 * held, 2]
    assert all(part.labels.float().mean() == 0.5 for part in parts.values())


def test_too_few_reviews_for_validation_are_called_that_and_not_empty(tmp_path):
    root = tree(tmp_path / "own", 1, 1)
    assert len(load_reviews(root)) == 2
    with pytest.raises(CourseError, match=r"no review for validation.*1 in neg and 1 in pos") as e:
        load_reviews(root, "validation")
    assert e.value.code == "reviews-too-few" and "two reviews" in e.value.why
    films = tree(tmp_path / "films", 4)
    films_of(films, film=lambda kind, number: 7)
    with pytest.raises(CourseError, match=r"no review for train.*4 in neg and 4 in pos") as e:
        load_reviews(films)
    assert "more than one film" in e.value.why


# ---- hostile archives


def special(name, kind, target=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def refused(path, message, split="train"):
    before = every_file(path.parent)
    with pytest.raises(CourseError, match=message) as caught:
        load_reviews(path, split)
    assert caught.value.code == "reviews-not-found" and "COURSE_REVIEWS" in caught.value.fix
    assert every_file(path.parent) == before


def limit(monkeypatch, **limits):
    monkeypatch.setattr(
        review_readers, "_LIMITS", dataclasses.replace(review_readers._LIMITS, **limits)
    )


@pytest.mark.fault("A7")
def test_names_that_lead_outside_links_and_devices_are_passed_over(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    hostile = [
        ("../../train/pos/100_9.txt", "outside"),
        ("aclImdb/../train/pos/101_9.txt", "outside"),
        ("/train/pos/102_9.txt", "outside"),
        (str(tmp_path / "train/pos/103_9.txt"), "outside"),
        (special("aclImdb/train/pos/104_9.txt", tarfile.SYMTYPE, str(secret)), ""),
        (special("aclImdb/train/pos/105_9.txt", tarfile.SYMTYPE, "../../../secret.txt"), ""),
        (special("aclImdb/train/pos/106_9.txt", tarfile.LNKTYPE, "aclImdb/train/pos/0_9.txt"), ""),
        (special("aclImdb/train/pos/107_9.txt", tarfile.CHRTYPE), ""),
        (special("aclImdb/train/pos/108_9.txt", tarfile.BLKTYPE), ""),
        (special("aclImdb/train/pos/109_9.txt", tarfile.FIFOTYPE), ""),
        (special("aclImdb/train/pos/110_9.txt", tarfile.DIRTYPE), ""),
        ("aclImdb/train/pos/111_9.txt\n", "a name with a new line"),
        ("aclImdb/train/pos/\u0661_9.txt", "an Arabic digit"),
        (f"aclImdb/train/pos/{'9' * 5_000}_9.txt", "a number that int() refuses"),
        ("aclImdb/train/pos/x.pkl", pickle.dumps(Bomb(str(tmp_path / "exploded")))),
    ]
    path = packed(tmp_path / "own.tgz", [*hostile, *good(), *hostile])
    before = every_file(tmp_path)
    found = load_reviews(path)
    assert sorted(found.texts) == sorted(f"{kind} {n}" for kind in KINDS for n in range(9))
    assert every_file(tmp_path) == before


class Bomb:
    """A pickle of it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.fault("A8")
def test_a_pickle_with_the_name_of_a_review_is_only_text(tmp_path):
    bomb = pickle.dumps(Bomb(str(tmp_path / "exploded")))
    path = packed(tmp_path / "own.tgz", [("a/train/pos/77_9.txt", bomb), *good(root="a")])
    root = tree(tmp_path / "own", 20)
    (root / "train" / "pos" / "0_7.txt").write_bytes(bomb)
    for place in (path, root):
        assert any("exploded" in text for text in all_training(str(place)).texts)
    assert not (tmp_path / "exploded").exists()
    pickle.loads(bomb).close()
    assert (tmp_path / "exploded").exists()  # it would have


def test_a_name_that_comes_twice_counts_once_and_the_last_one(tmp_path):
    path = packed(tmp_path / "own.tgz", [*good(), (good()[0][0], "the second")])
    texts = all_training(str(path)).texts
    assert len(texts) == 20 and "the second" in texts and "neg 0" not in texts


@pytest.mark.fault("A7")
def test_too_many_members_are_refused(tmp_path, monkeypatch):
    assert review_readers._LIMITS.members < 1_000_000
    limit(monkeypatch, members=25)
    assert len(load_reviews(packed(tmp_path / "few.tgz", good() + good("test", 2)))) == 18
    refused(packed(tmp_path / "many.tgz", good() + good("test", 3)), "more than 25 members")


@pytest.mark.fault("A7")
def test_a_thousand_times_smaller_than_its_content_is_refused(tmp_path, monkeypatch):
    path = packed(tmp_path / "bomb.tgz", [*good(), ("zeros.bin", bytes(40 << 20))])
    assert path.stat().st_size * 900 < 40 << 20
    assert len(load_reviews(path)) == 18
    limit(monkeypatch, unpacked=30 << 20)
    refused(path, r"zeros.bin claims 41,943,040 bytes; at most 31,457,280")
    parts = [*good(), *((f"{n}.bin", bytes(4 << 20)) for n in range(10))]
    refused(packed(tmp_path / "parts.tgz", parts), "more than 31,457,280 bytes unpacked")


def block(name, size, kind=tarfile.REGTYPE):
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.fault("A7")
@pytest.mark.parametrize("size", [1 << 31, 8**11 - 1, 1 << 60, -5_000])
@pytest.mark.parametrize("name", ["aclImdb/train/pos/0_9.txt", "other.bin"])
def test_a_huge_or_negative_declared_size_is_refused_unread(tmp_path, size, name):
    path = tmp_path / "own.tar"
    path.write_bytes(block(name, size) + bytes(4 * 512))
    tracemalloc.start()
    refused(path, r"claims -?[\d,]+ bytes|cannot be read as an archive")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000  # nothing of that size was made ready


@pytest.mark.parametrize(
    "kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK]
)
def test_a_header_that_claims_gigabytes_is_not_read_into_memory(tmp_path, kind, monkeypatch):
    path = tmp_path / "own.tar"
    path.write_bytes(block("note", 6 << 30, kind) + bytes(1 << 20))
    asked = []
    real = archives._Stream.read
    monkeypatch.setattr(
        archives._Stream, "read", lambda self, size: asked.append(size) or real(self, size)
    )
    refused(path, "a header claims 6,442,450,944 bytes")
    assert sum(asked) < 1 << 17


@pytest.mark.fault("A7")
def test_headers_without_end_and_files_with_holes_are_refused(tmp_path):
    nested = tmp_path / "nested.tar"
    nested.write_bytes(
        b"".join(block("note", 4, tarfile.GNUTYPE_LONGNAME) + bytes(512) for _ in range(5_000))
    )
    refused(nested, "cannot be read as an archive")
    holes = tmp_path / "holes.tar"
    holes.write_bytes(block("aclImdb/train/pos/0_9.txt", 512, tarfile.GNUTYPE_SPARSE) + bytes(2048))
    refused(holes, "files with holes")


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_an_archive_cut_anywhere_is_an_error_and_never_a_smaller_set(tmp_path, kind):
    """Cut in a member, in a header, between two members, and in what comes after the last one that is wanted."""
    path = packed(tmp_path / "whole", [*good(), *good("test")], COMPRESSIONS[kind])
    content, ends = path.read_bytes(), 40 * 1024  # 40 members of a header and one block
    if kind == "tar":
        cuts = [512, 1_024, 1_500, 20 * 1024, 20 * 1024 + 512, 30 * 1024, 39 * 1024, ends]
    else:
        cuts = [1, 10, len(content) // 4, len(content) // 2, len(content) - 20, len(content) - 1]
    for cut in cuts:
        path.write_bytes(content[:cut])
        refused(path, "cannot be read as an archive")
    path.write_bytes(content)
    assert len(load_reviews(path)) == 18


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_flipped_bits_in_an_archive_are_found(tmp_path, kind):
    path = packed(tmp_path / "whole", good(count=40), COMPRESSIONS[kind])
    content, found = path.read_bytes(), load_reviews(path).texts
    start = 12 if kind == "gz" else 0  # gzip's head has a time and a name that nothing depends on
    places = range(start, len(content) * 8 // 10, max(1, len(content) // 60))
    for place in places:
        path.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
        try:
            again = load_reviews(path).texts
        except CourseError as error:
            assert error.code == "reviews-not-found"
        else:
            assert again == found  # a bit that means nothing


# ---- critics' sentences


def sentences_wheel(path, content, member=review_readers._MEMBER):
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(member, content)
    return path


def test_critics_sentences_are_complete_and_no_film_is_in_two_parts(sentences):
    raw = {
        split: review_readers.read_sentences(sentences, split) for split in review_readers.SPLITS
    }
    assert sum(len(part.texts) for part in raw.values()) == 12_808
    assert sum(sum(part.labels) for part in raw.values()) == 7_403
    films = {split: set(part.films) for split, part in raw.items()}
    assert not films["train"] & films["validation"] and not films["train"] & films["test"]
    assert not films["validation"] & films["test"]
    shares = {split: len(part.texts) / 12_808 for split, part in raw.items()}
    assert shares["test"] == pytest.approx(0.2, abs=0.04) and shares["validation"] == pytest.approx(
        0.08, abs=0.03
    )
    with zipfile.ZipFile(sentences) as wheel:  # a second reading, line by line
        lines = bz2.decompress(wheel.read(review_readers._MEMBER)).decode().splitlines()
    verdicts = {}
    for kind in ("fresh", "rotten"):
        verdicts |= {
            line.split(",")[1]: kind
            for line in lines
            if line.startswith(f"{kind},") and '"' not in line
        }
    pairs = [pair for part in raw.values() for pair in zip(part.texts, part.labels, strict=True)]
    checked = [(verdicts[text], label) for text, label in pairs if text in verdicts]
    assert len(checked) > 2_000
    wrong = sum((kind == "fresh") != label for kind, label in checked)
    assert wrong <= 5  # the same sentence stands there with both verdicts


def test_critics_sentences_as_a_set(sentences, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(sentences.parent))
    found = load_reviews("sentences", "test")
    assert (
        found.name == "critics' sentences"
        and not found.is_standin
        and len(found.films) == len(found)
    )
    head = load_reviews("sentences", "test", limit=50)
    assert head.texts == found.texts[:50] and head.films == found.films[:50]
    assert 0.3 < head.labels.float().mean() < 0.8
    raw = review_readers.read_sentences(sentences, "test")
    assert sorted(zip(found.texts, found.labels.tolist(), found.films, strict=True)) == sorted(
        zip(raw.texts, raw.labels, raw.films, strict=True)
    )


HEAD = "category,text,movie_name,has_plot_and_reviews\n"


@pytest.mark.parametrize(
    "content",
    [
        b"not compressed",
        bz2.compress(b"x" * 100)[:-10],
        bz2.compress(b"\xff\xfe not text"),
        bz2.compress(b"some,other\ncolumns,here\n"),
        bz2.compress((HEAD + "fresh," + "x" * 200_000 + ",film,no\n").encode()),
    ],
)
def test_a_wheel_with_other_content_is_an_error(tmp_path, content):
    wheel = sentences_wheel(tmp_path / "a.whl", content)
    with pytest.raises(CourseError, match="does not hold") as caught:
        review_readers.read_sentences(wheel, "train")
    assert "COURSE_REVIEWS" in caught.value.fix


def test_a_wheel_without_the_member_and_a_broken_one(tmp_path):
    for wheel in (
        sentences_wheel(tmp_path / "a.whl", b"", "other"),
        packed(tmp_path / "b.whl", good()),
    ):
        with pytest.raises(CourseError, match=f"does not hold {re.escape(review_readers._MEMBER)}"):
            review_readers.read_sentences(wheel, "train")


def test_plot_summaries_are_no_reviews(tmp_path):
    lines = [
        f"{kind},{kind} {n},film {n},1\n" for n in range(40) for kind in ("fresh", "rotten", "plot")
    ]
    wheel = sentences_wheel(tmp_path / "a.whl", bz2.compress((HEAD + "".join(lines)).encode()))
    raw = [review_readers.read_sentences(wheel, split) for split in review_readers.SPLITS]
    texts = [text for part in raw for text in part.texts]
    assert len(texts) == 80 and not any("plot" in text for text in texts)
    for part in raw:
        assert [text.startswith("fresh") for text in part.texts] == [
            label == 1 for label in part.labels
        ]


# ---- the stand-in


def test_the_standin_is_loud_and_always_the_same():
    train, test = load_reviews("standin"), load_reviews("standin", "test")
    assert train.is_standin and "stand-in" in train.name and "stand-in" in train.title("Reviews")
    assert (len(train), len(test)) == (3_000, 1_000) and train.labels.sum() == 1_500
    assert load_reviews("standin").sha256 == train.sha256
    digest = hashlib.sha256(json.dumps(standin_reviews.make("test").texts).encode()).hexdigest()
    assert (
        digest
        == hashlib.sha256(json.dumps(standin_reviews.make("test").texts).encode()).hexdigest()
    )
    things = [set(standin_reviews._THINGS[part]) for part in ("train", "test")]
    assert not things[0] & things[1]
    assert not {text for text in test.texts if any(thing in text.lower() for thing in things[0])}


# ---- where reviews come from when nobody says


def no_asset(monkeypatch, *present):
    """Only these assets are in the cache, and fetching is noted."""
    fetched = []
    monkeypatch.setattr(assets, "cached", lambda name: present[0] if name in present[1:] else None)

    def fetch(name):
        fetched.append(name)
        raise CourseError("asset-not-fetched", "no network", "none", "none")

    monkeypatch.setattr(assets, "fetch", fetch)
    return fetched


@pytest.mark.parametrize("tier", ["smoke", "laptop"])
def test_without_anything_the_standin_is_named_loudly(tier, monkeypatch, capsys):
    fetched = no_asset(monkeypatch)
    found = at(tier, load_reviews, limit=10)
    printed = capsys.readouterr().out
    assert (
        found.is_standin
        and "STAND-IN" in printed
        and "stand-in, not real reviews" in printed
        and fetched == []
    )
    compile(
        next(line.strip() for line in printed.splitlines() if "assets.fetch" in line),
        "pasted",
        "exec",
    )
    assert reviews.on_this_machine() is None


@pytest.mark.parametrize("tier", ["smoke", "laptop"])
def test_with_the_critics_sentences_they_are_taken_and_said(tier, sentences, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_CACHE", str(sentences.parent))
    monkeypatch.setattr(reviews, "_imdb_path", lambda: None)
    found = at(tier, load_reviews, limit=10)
    printed = capsys.readouterr().out
    assert found.name == "critics' sentences" and not found.is_standin and "STAND-IN" not in printed
    assert ('assets.fetch("imdb")' in printed) == (tier == "laptop")
    assert reviews.on_this_machine() == "sentences"


def test_imdb_in_the_cache_is_taken_but_not_at_smoke(cache, monkeypatch, capsys):
    no_asset(monkeypatch)
    tree(cache / "aclImdb")
    assert at("smoke", load_reviews, limit=5).is_standin
    capsys.readouterr()
    for tier in ("laptop", "gpu"):
        assert at(tier, load_reviews).name == "IMDB (copy)" and capsys.readouterr().out == ""
    assert at("smoke", load_reviews, "imdb").name == "IMDB (copy)"
    assert reviews.on_this_machine() == "imdb"


def test_the_authors_archive_in_the_cache_is_called_imdb(cache, monkeypatch):
    path = packed(cache / "aclImdb_v1.tar.gz", good() + good("test"))
    entry, real = assets.manifest()["imdb"], assets.manifest()
    assert assets.cached("imdb") is None  # another digest: moved away, never read
    path = packed(cache / "aclImdb_v1.tar.gz", good() + good("test"))
    content = path.read_bytes()
    changed = {**vars(entry), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    monkeypatch.setattr(assets, "manifest", lambda: {**real, "imdb": assets.Asset(**changed)})
    assert at("laptop", load_reviews).name == "IMDB"
    assert load_reviews(path.rename(cache / "elsewhere.tar.gz")).name == "elsewhere.tar.gz"


def test_course_reviews_names_the_place_at_every_tier(tmp_path, monkeypatch):
    fetched = no_asset(monkeypatch)
    root = tree(tmp_path / "my own reviews \u00fc")
    monkeypatch.setenv("COURSE_REVIEWS", str(root))
    for tier in ("smoke", "laptop", "gpu"):
        assert at(tier, load_reviews).name == "my own reviews \u00fc"
    assert at("laptop", load_reviews, "standin").is_standin  # what is asked for by name comes first
    assert load_reviews(reviews.on_this_machine()).name == "my own reviews \u00fc"
    monkeypatch.setenv("COURSE_REVIEWS", "standin")
    assert at("gpu", load_reviews).is_standin and reviews.on_this_machine() == "standin"
    monkeypatch.setenv("COURSE_REVIEWS", str(tmp_path / "nowhere"))
    with pytest.raises(CourseError, match="nowhere is not a folder"):
        at("laptop", load_reviews)
    assert fetched == []


class Hub(types.ModuleType):
    """Stands for the library ``datasets``."""

    def __init__(self, error=None):
        super().__init__("datasets")
        self.__spec__, self.error, self.asked = ModuleSpec("datasets", None), error, []

    def load_dataset(self, name, revision, split):
        self.asked.append((name, revision, split))
        if self.error:
            raise self.error
        labels = [0] * 20 + [1] * 20
        return {"text": [f"{split} {n} <br />x" for n in range(40)], "label": labels}


def test_tier_gpu_takes_the_hubs_copy_at_its_pinned_revision(monkeypatch):
    fetched, hub = no_asset(monkeypatch), Hub()
    monkeypatch.setitem(sys.modules, "datasets", hub)
    parts = {split: at("gpu", load_reviews, split=split) for split in review_readers.SPLITS}
    assert (
        hub.asked == [(*review_readers.HUB, part) for part in ("train", "train", "test")]
        and fetched == []
    )
    assert {split: len(part) for split, part in parts.items()} == {
        "train": 36,
        "validation": 4,
        "test": 40,
    }
    assert set(parts["validation"].texts) == {f"train {n}\nx" for n in (18, 19, 38, 39)}
    assert all(part.name == "IMDB" for part in parts.values()) and not as_set(
        parts["train"]
    ) & as_set(parts["test"])
    for text, label in as_set(parts["test"]):
        assert (int(text.split()[1]) >= 20) == label


@pytest.mark.parametrize(
    "error", [OSError("no route"), ConnectionError(), ValueError("x" * 1_000), RuntimeError("?")]
)
def test_a_hub_that_fails_is_an_error_with_two_ways_out(monkeypatch, error):
    no_asset(monkeypatch)
    monkeypatch.setitem(sys.modules, "datasets", Hub(error))
    with pytest.raises(CourseError, match=type(error).__name__) as caught:
        at("gpu", load_reviews)
    assert caught.value.code == "reviews-hub" and len(caught.value.what) < 300
    assert (
        'load_reviews("imdb")' in caught.value.fix
        and 'load_reviews("sentences")' in caught.value.fix
    )


def test_a_library_that_cannot_be_imported_is_the_same_error(monkeypatch, tmp_path):
    no_asset(monkeypatch)
    monkeypatch.delitem(sys.modules, "datasets", raising=False)
    (tmp_path / "datasets.py").write_text("raise ImportError('pyarrow is too old')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CourseError, match="pyarrow is too old"):
        at("gpu", load_reviews)


def test_tier_gpu_without_the_library_fetches_the_authors_archive(monkeypatch):
    fetched = no_asset(monkeypatch)
    monkeypatch.setattr(review_readers, "hub_is_there", lambda: False)
    with pytest.raises(CourseError, match="no network"):
        at("gpu", load_reviews)
    assert fetched == ["imdb"]


# ---- the real reviews


@pytest.fixture(scope="module")
def imdb_parts(real_imdb):
    return {split: load_reviews(real_imdb, split) for split in review_readers.SPLITS}


@pytest.mark.slow
def test_imdb_has_the_authors_counts(imdb_parts):
    counts = {split: (len(part), int(part.labels.sum())) for split, part in imdb_parts.items()}
    assert counts == {
        "train": (22_500, 11_250),
        "validation": (2_500, 1_250),
        "test": (25_000, 12_500),
    }
    assert all(part.name == "IMDB (copy)" and not part.is_standin for part in imdb_parts.values())
    assert all("<br" not in text and text == text.strip() for text in imdb_parts["test"].texts)
    heads = [part.labels[:500].float().mean() for part in imdb_parts.values()]
    assert all(0.4 < head < 0.6 for head in heads)


@pytest.mark.slow
def test_imdbs_parts_together_are_its_archive(imdb_parts, real_imdb: Path):
    """The same members, read in the plainest way."""
    expected = {"train": [], "test": []}
    with tarfile.open(real_imdb) as archive:
        for member in archive:
            part, kind, name = ["", "", "", *member.name.split("/")][-3:]
            if member.isreg() and kind in KINDS and name.endswith(".txt"):
                text = archive.extractfile(member).read().decode()
                expected[part].append(
                    (kind == "pos", hashlib.sha256(clean(text).encode()).digest())
                )
    for part, splits in (("train", ("train", "validation")), ("test", ("test",))):
        found = [
            pair
            for s in splits
            for pair in zip(imdb_parts[s].labels, imdb_parts[s].texts, strict=True)
        ]
        digests = [(bool(label), hashlib.sha256(text.encode()).digest()) for label, text in found]
        assert sorted(digests) == sorted(expected[part]) and len(digests) == 25_000


@pytest.mark.parametrize(
    ("name", "standin", "words", "way"),
    [
        ("critics' sentences", False, "You have the critics' sentences", 'assets.fetch("imdb")'),
        ("IMDB (copy)", False, "You have IMDB (copy)", 'source = "sentences"'),
        ("my reviews", False, "You have my reviews", 'source = "sentences"'),
        ("made", True, "You have a stand-in", 'assets.fetch("imdb")'),
    ],
)
def test_which_reviews_one_has_and_how_to_get_the_others_is_said(name, standin, words, way):
    said = reviews.which(ReviewSet(("good",), torch.tensor([1]), name, standin))
    assert words in said and way in said and "recorded" in said
