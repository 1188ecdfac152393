"""One rule for text files: bytes are read rightly or refused by name, and documents are told from all else."""

import codecs
import io
import json
import os
import random
import sqlite3
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from course_utils.datasets import text_files
from course_utils.datasets.text_files import NotText, Report, decode, find_documents, tidy
from course_utils.errors import CourseError

ENGLISH = "“It’s a naïve café,” she said — and smiled… He had paid 20 € for £5’s worth.\n"
FRENCH = (
    "Où êtes-vous né ? L’été dernier, à Évreux, près d’une forêt où l’on a déjà brûlé des chênes.\n"
)
GERMAN = "Der größte Bär aß früh süße Äpfel, „schön“ fürs Gemüt, und hörte über Öfen Märchen.\n"
SPANISH = "¿Qué años? ¡Mañana! El niño comió jamón, según él, y más tarde habló de la canción.\n"
ICELANDIC = "Það er því miður rétt að þú hefur ekki séð þessa ágætu bók fyrr en núna í öðru húsi.\n"
FINNISH = "Hän näki yöllä tähtiä ja äiti söi hyvää leipää, mikä ei ollut hänestä lähelläkään.\n"
WESTERN = {
    name: text * 6
    for name, text in {
        "English": ENGLISH,
        "French": FRENCH,
        "German": GERMAN,
        "Spanish": SPANISH,
        "Icelandic": ICELANDIC,
        "Finnish": FINNISH,
    }.items()
}
RUSSIAN = "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива.\n"
GREEK = "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια.\n"
CZECH = "Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti; ťuká příliš žluťoučký kůň.\n"
HUNGARIAN = "Minden emberi lény szabadon születik, és egyenlő méltósága és joga van őfelé űzve.\n"
TURKISH = "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar; akıl ve vicdana sahiptirler.\n"
JAPANESE = "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。\n"
CHINESE = "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心。\n"
HINDI = "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।\n"
ELSEWHERE = [
    (RUSSIAN, "cp1251"),
    (RUSSIAN, "koi8_r"),
    (RUSSIAN, "cp866"),
    (RUSSIAN, "iso8859_5"),
    (GREEK, "cp1253"),
    (CZECH, "cp1250"),
    (CZECH, "iso8859_2"),
    (HUNGARIAN, "cp1250"),
    (TURKISH, "cp1254"),
    (JAPANESE, "shift_jis"),
    (JAPANESE, "euc_jp"),
    (JAPANESE, "iso2022_jp"),
    (CHINESE, "gb18030"),
    (FRENCH, "mac_roman"),
    (ENGLISH, "mac_roman"),
    (SPANISH, "cp850"),
]
WIDE = ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]
MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


def in_code(text, encoding):
    return "".join(c for c in text if c.encode(encoding, "ignore"))


# ---- bytes to characters


@pytest.mark.parametrize("text", [*WESTERN.values(), RUSSIAN, CHINESE, HINDI, "Good.", ""])
@pytest.mark.parametrize("encoding", ["utf-8", *WIDE])
def test_unicode_is_read_with_and_without_a_mark(text, encoding):
    assert decode(MARKS[encoding] + text.encode(encoding)).text == text
    found = decode(text.encode(encoding))
    assert found.text == text and found.lost == 0
    assert found.judged == (None if encoding == "utf-8" or not text else encoding.upper())


@pytest.mark.parametrize("name", WESTERN)
def test_windows_1252_and_latin_1_are_read_and_said(name):
    text = WESTERN[name]
    assert decode(text.encode("cp1252")) == text_files.Decoded(text, "Windows-1252")
    plain = in_code(text, "latin-1")
    assert decode(plain.encode("latin-1")).text == plain


@pytest.mark.parametrize("text", ["Été", "Là !", "«Gut»", "50 £", "naïve", "it’s", "…", "É"])
def test_a_short_text_of_windows_1252_is_read(text):
    assert decode(text.encode("cp1252")).text == text


@pytest.mark.parametrize(("text", "encoding"), ELSEWHERE)
def test_another_encoding_is_refused_with_what_was_tried_and_what_it_may_be(text, encoding):
    text = in_code(text * 6, encoding)
    with pytest.raises(NotText) as caught:
        decode(text.encode(encoding))
    why = str(caught.value)
    assert "ISO-2022" in why or all(
        tried in why for tried in ("UTF-8", "UTF-16", "UTF-32", "Windows-1252", "Latin-1")
    )
    assert caught.value.encoding


@pytest.mark.parametrize(
    ("text", "encoding", "same"),
    [
        (RUSSIAN, "cp1251", {"cp1251"}),
        (JAPANESE, "shift_jis", {"shift_jis", "cp932", "shift_jis_2004"}),
        (FRENCH, "mac_roman", {"mac_roman"}),
        (GERMAN, "cp850", {"cp850"}),
        (
            "Le cœur d’une sœur est un bœuf. 5 €, déjà ! Œuvre à l’œil.\n",
            "iso8859_15",
            {"iso8859_15"},
        ),
    ],
)
def test_the_suggestion_is_right_where_it_can_be(text, encoding, same):
    with pytest.raises(NotText) as caught:
        decode(in_code(text * 8, encoding).encode(encoding))
    assert caught.value.encoding in same


def test_utf_8_with_damage_is_not_taken_for_windows_1252():
    whole = ENGLISH.encode() * 3
    for damaged in (
        whole[:-2] + b"\x92" + whole[-2:],  # one letter of another encoding
        whole[: whole.rindex(b"\xe2") + 1],  # cut in a character
        RUSSIAN.encode()[:-3],
    ):
        with pytest.raises(NotText) as caught:
            decode(damaged)
        assert "it is UTF-8 with damage: byte" in str(caught.value)


@pytest.mark.parametrize("encoding", [e for e in MARKS if e != "utf-8"])
def test_a_marked_text_that_is_cut_is_refused(encoding):
    with pytest.raises(NotText, match=f"mark of {encoding.upper()}") as caught:
        decode(MARKS[encoding] + ENGLISH.encode(encoding)[:-1])
    assert caught.value.encoding == encoding.upper()


def test_utf_8_with_a_mark_and_another_encoding_after_it_is_refused():
    with pytest.raises(NotText, match="mark of UTF-8"):
        decode(codecs.BOM_UTF8 + FRENCH.encode("cp1252"))


@pytest.mark.parametrize(
    "content", [b"a\x00b\x00c d e f g h", b"one\x00two\x00three\x00four", b"nul\x00s!", b"\x00\x00"]
)
def test_a_few_zeros_in_plain_text_are_control_characters_and_not_utf_16(content):
    assert decode(content).text == content.decode()
    assert not set(tidy(decode(content).text)) & {"\x00"}


def test_no_control_and_no_replacement_character_is_left():
    every = "".join(map(chr, [*range(0x300), 0x2028, 0x2029]))
    found = tidy(decode((every + "word " * 400).encode()).text)
    assert {c for c in found if unicodedata.category(c) in ("Cc", "Zl", "Zp")} == {"\n", "\t"}
    assert tidy("a\r\nb\rc\nd\te\x0cf") == "a\nb\nc\nd\te f"
    found = decode("caf\ufffd and \ufffd\uffff".encode())
    assert found.text == "caf  and   " and found.lost == 3


# ---- bytes that are no text


def zipped(*names):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, "<xml/>" * 50)
    return content.getvalue()


def picture(kind):
    content = io.BytesIO()
    Image.new("RGB", (40, 40), "red").save(content, kind)
    return content.getvalue()


def array():
    content = io.BytesIO()
    np.save(content, np.arange(500))
    return content.getvalue()


BINARY = {
    "a PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n" + b"words " * 50,
    "RTF": rb"{\rtf1\ansi Hello}" * 20,
    ".docx": zipped("[Content_Types].xml", "word/document.xml"),
    ".xlsx": zipped("xl/workbook.xml"),
    "EPUB": zipped("mimetype", "META-INF/container.xml"),
    ".odt": zipped("mimetype", "content.xml"),
    "a zip archive": zipped("a.txt"),
    ".doc": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500),
    "gzip": b"\x1f\x8b\x08\x00" + bytes(range(256)),
    "tar": b"a.txt".ljust(257, b"\0") + b"ustar\x0000" + bytes(248),
    "a picture": picture("PNG"),
    "picture": picture("JPEG"),
    "AppleDouble": b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X" + bytes(200),
    "NumPy": array(),
    "control characters": bytes(4096),
    "not text": bytes(range(32)) * 40,
}


@pytest.mark.parametrize("kind", BINARY)
def test_what_is_no_text_is_called_by_its_kind(kind):
    with pytest.raises(NotText, match=kind.replace(".", r"\.")) as caught:
        decode(BINARY[kind])
    assert caught.value.encoding is None


def test_a_database_and_random_bytes_are_refused(tmp_path):
    with sqlite3.connect(tmp_path / "a.db") as base:
        base.execute("create table t (x)")
    base.close()
    with pytest.raises(NotText, match="SQLite"):
        decode((tmp_path / "a.db").read_bytes())
    for seed in range(20):
        with pytest.raises(NotText):
            decode(random.Random(seed).randbytes(3_000))


@pytest.mark.parametrize(
    "text",
    ["The ftyp box of a film", "PK is a name", "BZh is one too", "x" * 255 + "mustard", "GIF"],
)
def test_text_that_speaks_of_other_kinds_is_text(text):
    assert decode(text.encode()).text == text


# ---- names


def write(folder, *names, content="text"):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{content} of {name}", encoding="utf-8")


def test_documents_are_known_by_their_suffix_in_any_case_and_hidden_ones_are_none(tmp_path):
    taken = [
        "a.txt",
        "B.TXT",
        "c.md",
        "d.Text",
        "sub/e.rst",
        "sub/deep/f.MARKDOWN",
        "pg1.txt.utf-8",
    ]
    hidden = [
        "._a.txt",
        ".hidden.txt",
        "__MACOSX/a.txt",
        "sub/.git/x.txt",
        "@eaDir/a.txt",
        "~$c.txt",
    ]
    write(tmp_path, *taken, *hidden, "photo.pdf", "notes.docx", "LICENSE", ".DS_Store", "Thumbs.db")
    report = Report()
    assert find_documents(tmp_path, report) == sorted(taken)
    said = report.lines()
    for part in (
        "6 left out: hidden",
        "@eaDir",
        "(.pdf) (photo.pdf)",
        ".docx",
        "no suffix",
        "LICENSE",
    ):
        assert part in said
    assert "DS_Store" not in said and "Thumbs" not in said


def test_a_report_names_three_files_for_each_of_ten_reasons(tmp_path):
    report = Report()
    for number in range(40):
        report.note(f"reason {number % 12}", f"{number}.txt")
    lines = report.lines().strip().split("\n")
    assert len(lines) == 11 and lines[0] == "4 reason 0 (0.txt, 12.txt, 24.txt, ...)"
    assert lines[-1].strip() == "and 2 more reasons"


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_links_are_followed_once_and_broken_ones_and_pipes_are_said(tmp_path):
    write(tmp_path / "books", "a.txt")
    write(tmp_path / "elsewhere", "b.txt")
    (tmp_path / "books" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "round").symlink_to(tmp_path / "books")
    (tmp_path / "books" / "gone.txt").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "books" / "pipe.txt")
    report = Report()
    found = find_documents(tmp_path / "books", report)
    assert found == ["a.txt", "gone.txt", "more/b.txt"] and "pipe.txt" in report.lines()
    for name, why in (("gone.txt", "no such file"), ("pipe.txt", "not a file")):
        with pytest.raises(NotText, match=why):
            text_files.read_bytes(tmp_path / "books" / name)


def test_a_file_that_is_too_large_or_may_not_be_read_is_refused(tmp_path, monkeypatch):
    write(tmp_path, "a.txt")
    with pytest.raises(NotText, match="more than 5 bytes"):
        text_files.read_bytes(tmp_path / "a.txt", largest=5)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(NotText, match="Permission denied"):
        text_files.read_bytes(tmp_path / "a.txt")


# ---- the way out


def test_a_copy_in_utf_8_of_a_book_and_the_book_stays(tmp_path, capsys):
    book = tmp_path / "война.txt"
    content = RUSSIAN.encode("cp1251") * 9
    book.write_bytes(content)
    for _ in range(2):  # a cell may be run twice
        copy = text_files.copy_as_utf8(book, "cp1251")
        assert copy.name == "война-from-cp1251.txt" and copy.read_text("utf-8") == RUSSIAN * 9
    assert (
        book.read_bytes() == content and "1 texts in UTF-8, 0 characters" in capsys.readouterr().out
    )


def test_a_copy_of_a_folder_keeps_what_is_known_for_sure(tmp_path):
    folder = tmp_path / "own"
    write(folder, "train/pos/1_9.txt")
    (folder / "train" / "neg").mkdir()
    (folder / "train" / "neg" / "1_2.txt").write_bytes(RUSSIAN.encode("koi8_r"))
    (folder / "train" / "neg" / "2_2.txt").write_bytes(RUSSIAN.encode("utf-16"))
    (folder / "train" / "neg" / "3_2.txt").write_bytes(BINARY["a PDF"])
    copy = text_files.copy_as_utf8(str(folder), "koi8_r")
    texts = {p.name: p.read_text("utf-8") for p in copy.rglob("*.txt")}
    assert texts.pop("1_9.txt") == "text of train/pos/1_9.txt"
    assert texts == {"1_2.txt": RUSSIAN, "2_2.txt": RUSSIAN}


def test_a_copy_with_a_few_damaged_places_counts_them_and_a_wrong_name_is_refused(tmp_path, capsys):
    book = tmp_path / "book.txt"
    book.write_bytes(ENGLISH.encode() * 20 + b"\x92" + ENGLISH.encode())
    copy = text_files.copy_as_utf8(book, "utf-8")
    assert "1 characters that did not fit" in capsys.readouterr().out
    assert copy.read_text("utf-8") == ENGLISH * 20 + " " + ENGLISH
    for name, why in (("no-such", "unknown encoding"), ("ascii", "do not fit")):
        with pytest.raises(CourseError, match=why) as caught:
            text_files.copy_as_utf8(book, name)
        assert caught.value.code == "text-no-copy"
    with pytest.raises(CourseError, match="no such file"):
        text_files.copy_as_utf8(tmp_path / "none.txt", "utf-8")
    (tmp_path / "a.txt").write_bytes(BINARY["a PDF"])
    with pytest.raises(CourseError, match="it is a PDF"):
        text_files.copy_as_utf8(tmp_path / "a.txt", "cp1252")


def test_what_the_course_ships_is_utf_8():
    """The rule agrees with what is known: every text of this repository is UTF-8 without doubt."""
    root = Path(__file__).parents[2]
    files = [
        root / "README.md",
        root / "data" / "README.md",
        *sorted((root / "tests").rglob("*.py")),
    ]
    assert all(decode(file.read_bytes()).judged is None for file in files)
    assert json.loads(decode((root / "data" / "catalogue.json").read_bytes()).text)
