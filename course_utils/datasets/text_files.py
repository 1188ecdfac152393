"""Text files from anywhere, by one rule: which files are documents, and which characters their bytes mean.

What is read is right, or it is refused with a reason. No replacement character and no control character gets into a
text that a model learns from.
"""

import codecs
import io
import os
import re
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from course_utils.datasets import folders
from course_utils.errors import CourseError
from course_utils.paths import atomic_write, resolve, say_once

SUFFIXES = frozenset({".txt", ".text", ".md", ".markdown", ".rst", ".utf8", ".utf-8"})
"""What the name of a document ends with, in any case."""
LARGEST = 1 << 28
"""Bytes of one document at most; the longest novels have ten million."""

_LISTED, _NAMED = 10, 3  # lines of a report, and the names in each
_MARKS = (  # UTF-32's before UTF-16's, with which it begins
    (codecs.BOM_UTF32_LE, "UTF-32-LE"),
    (codecs.BOM_UTF32_BE, "UTF-32-BE"),
    (codecs.BOM_UTF8, "UTF-8"),
    (codecs.BOM_UTF16_LE, "UTF-16-LE"),
    (codecs.BOM_UTF16_BE, "UTF-16-BE"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_LOST = re.compile("[\ufffd-\uffff]")  # what a program wrote where it could not read


class NotText(ValueError):
    """Bytes that are not text, or text in an encoding that is not known for sure; the message says which and why.

    Attributes:
        encoding: which encoding it may be, where it is text; else None.
    """

    def __init__(self, why: str, encoding: str | None = None) -> None:
        super().__init__(why)
        self.encoding = encoding


@dataclass(frozen=True)
class Decoded:
    """A file's characters.

    Attributes:
        text: as it stands, but for lost characters, which are spaces; `tidy` takes the control characters out.
        judged: the encoding, where it was judged by how the bytes look; None for UTF-8 and for one with a mark.
        lost: how many characters an earlier program had lost (U+FFFD).
    """

    text: str
    judged: str | None = None
    lost: int = 0


# Bytes to characters


def decode(content: bytes) -> Decoded:
    """The characters that a file's bytes mean.

    The rule, in this order: a byte order mark is believed; valid UTF-8 that is not full of control characters is
    UTF-8; what is text when read as UTF-16 or UTF-32 is that; the rest is Windows-1252, which contains Latin-1, where
    that gives words of western Europe. Nothing else is guessed.

    Raises:
        NotText: none of these fits, or the first bytes tell that it is something else (a PDF, an archive).
    """
    for mark, marked in _MARKS:
        if content.startswith(mark):
            return _marked(content[len(mark) :], marked)
    if kind := kind_of(content):
        raise NotText(f"it is {kind}, not plain text")
    if _ISO_2022.search(content):
        raise NotText("it has the escape sequences of ISO-2022", "iso2022_jp")
    text = _strictly(content, "utf-8")
    encoding: str | None = None
    if text is None or 8 * len(_LOW.findall(content)) > len(content):
        text, encoding = _wide(content) or (text, None)
    if text is None:
        _refuse_damaged_utf8(content)
        text, encoding = _western(content), "Windows-1252"
    return _decoded(text, encoding)


def tidy(text: str) -> str:
    r"""A text whose lines end with ``\n``, with a space for every control character but the tab."""
    return _CONTROL.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))


def kind_of(content: bytes) -> str | None:
    """What a file is that is known not to be plain text, from its first bytes: ``"a PDF"``; else None."""
    found = _FIRST_BYTES.match(content)
    if found is None or found.lastindex is None:
        return None
    kind = list(_KINDS)[found.lastindex - 1]
    return _kind_of_zip(content) if kind == "a zip archive" else kind


_KINDS = {
    "a PDF": rb"\s{0,8}%PDF-",
    "PostScript": rb"%!PS-Adobe",
    "rich text (RTF)": rb"{\\rtf",
    "a document of an old Word or Excel (.doc, .xls)": rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "an e-book (MOBI, LIT)": rb".{60}BOOKMOBI|ITOLITLS",
    "scanned pages (DjVu)": rb"AT&TFORM",
    "a zip archive": rb"PK(?:\x03\x04|\x05\x06)",
    "an archive (gzip)": rb"\x1f\x8b",
    "an archive (bzip2)": rb"BZh\d1AY&SY",
    "an archive (xz)": rb"\xfd7zXZ\x00",
    "an archive (Zstandard)": rb"\x28\xb5\x2f\xfd",
    "an archive (7-Zip, RAR)": rb"7z\xbc\xaf\x27\x1c|Rar!\x1a\x07",
    "an archive (tar)": rb".{257}ustar[\x00 ]",
    "a picture": rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a|II\*\x00|MM\x00\*|RIFF.{4}WEBP",
    "a sound": rb"RIFF.{4}WAVE|OggS\x00|ID3[\x02-\x04]\x00|fLaC\x00",
    "a film or a picture (MP4, HEIC)": rb"\x00\x00..ftyp|\x1aE\xdf\xa3|RIFF.{4}AVI ",
    "a program": rb"\x7fELF|MZ.{60,1000}PE\x00\x00",
    "a database (SQLite)": rb"SQLite format 3\x00",
    "a property list of macOS": rb"bplist0",
    "what macOS keeps beside a file (AppleDouble)": rb"\x00\x05\x16\x07",
    "an array or a table (NumPy, Parquet)": rb"\x93NUMPY|PAR1[\x00-\x1f]",
}
_FIRST_BYTES = re.compile(b"|".join(b"(%s)" % pattern for pattern in _KINDS.values()), re.DOTALL)
_IN_ZIP = {
    "word/document.xml": "a Word document (.docx)",
    "xl/workbook.xml": "an Excel table (.xlsx)",
    "ppt/presentation.xml": "slides (.pptx)",
    "META-INF/container.xml": "an e-book (EPUB)",
    "content.xml": "an OpenDocument file (.odt, .ods)",
}
_ISO_2022 = re.compile(rb"\x1b[$(][@-J)]")


def _kind_of_zip(content: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = set(archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile):
        names = set()
    return next((kind for name, kind in _IN_ZIP.items() if name in names), "a zip archive")


def _marked(content: bytes, encoding: str) -> Decoded:
    text = _strictly(content, encoding)
    if text is None:
        raise NotText(
            f"it begins with the mark of {encoding}, but {_misfit(content, encoding)}", encoding
        )
    return _decoded(text, None)


def _decoded(text: str, judged: str | None) -> Decoded:
    if len(text) > 64 and 4 * _controls(text) > len(text):
        share = _controls(text) / len(text)
        raise NotText(f"it is not text: {share:.0%} of it are control characters")
    found, lost = _LOST.subn(" ", text)
    return Decoded(found, judged, lost)


def _strictly(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return None


def _misfit(content: bytes, encoding: str) -> str:
    """Which byte of content is wrong in an encoding in which it cannot be read."""
    try:
        content.decode(encoding)
    except UnicodeDecodeError as error:
        return f"byte {error.start:,} (0x{content[error.start]:02X}) does not fit ({error.reason})"
    raise AssertionError("asked only after decoding failed")


def _controls(text: str) -> int:
    return len(_CONTROL.findall(text.replace("\r", "\n")))


# UTF-16 and UTF-32 without a mark

_LOW = re.compile(rb"[\x00-\x1f\x7f]")  # half of the bytes of many alphabets, but not of Chinese
_SEPARATORS = " \n\r\t\u3000、。，！？：،۔।"
_LOOKED_AT = 20_000  # characters


def _wide(content: bytes) -> tuple[str, str] | None:
    """The text and its encoding, where it is UTF-32 or UTF-16; else None."""
    for encoding in ("UTF-32-LE", "UTF-32-BE", "UTF-16-LE", "UTF-16-BE"):
        text = _strictly(content, encoding)
        if text and _is_wide_text(text[:_LOOKED_AT]):
            return text, encoding
    return None


def _is_wide_text(text: str) -> bool:
    """Whether what was read in units of 2 or 4 bytes is text: hardly a character unassigned, and Latin or with blanks.

    In the wrong width or order, Latin letters and blanks become rare or unassigned characters; and two bytes of another
    encoding make a blank only where one of them is 0.
    """
    counts = Counter(text)
    odd = sum(n for c, n in counts.items() if unicodedata.category(c) in ("Cc", "Cn", "Co", "Cs"))
    odd -= sum(counts[character] for character in "\n\r\t\f")
    latin = sum(n for c, n in counts.items() if c < "\u0180")
    blanks = sum(counts[character] for character in _SEPARATORS)
    return 50 * odd <= len(text) and (10 * latin >= 7 * len(text) or 20 * blanks >= len(text))


# UTF-8 with damaged places

_SEQUENCE = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)


def _refuse_damaged_utf8(content: bytes) -> None:
    """Refuse UTF-8 with a few wrong bytes: as Windows-1252 each letter would be two or three odd ones."""
    whole = _SEQUENCE.findall(content)
    beyond = sum(map(len, re.findall(rb"[\x80-\xff]+", content)))
    if len(whole) > 1 and 5 * sum(map(len, whole)) > 4 * beyond:
        raise NotText(f"it is UTF-8 with damage: {_misfit(content, 'utf-8')}", "utf-8")


# Windows-1252, or another encoding of 8 bits

_ALPHABETS = tuple(
    frozenset(letters)
    for letters in (
        "àâçéèêëîïôùûüÿœæñå",  # French, Walloon, Breton
        "äöüßéëèêàåñ",  # German, Luxembourgish, Rhaeto-Romance
        "áéíóúüñçïàèòìù",  # Spanish, Galician, Catalan, Occitan
        "áâãàçéêíóôõúü",  # Portuguese
        "àèéìíîòóùúâêôûëöç",  # Italian and its neighbours
        "åäöæøéèêòôóüáà",  # Danish, Norwegian, Swedish
        "áæðéíóöúýþø",  # Icelandic, Faroese
        "äöõüåšž",  # Finnish, Estonian
        "éëïöüèêàóâôûú",  # Dutch, Frisian, Afrikaans
        "áéíóúàèìòùâêîôû",  # Irish, Gaelic, Welsh
    )
)
"""Letters beyond ASCII that stand together in texts of one language or a few like ones."""
_SMALL = "[a-zß-öø-ÿšžœ]"
_MISPLACED = (
    re.compile(  # no word has such a sign inside or at its end, nor a capital after a small letter
        rf"(?<={_SMALL})(?![’‘\xad·–—])(?:[^\w\s\x00-\x7f]|[ª²³¹º¼½¾])(?={_SMALL})"
        rf"|(?<={_SMALL})[À-ÖØ-ÞŠŽŒŸ‚„•]"
    )
)
_LATIN_9 = re.compile(rf"(?<={_SMALL})[½¼¾¨¸¦¤](?={_SMALL})")  # there œ Œ Ÿ ž š Š €
_UNDEFINED = re.compile("[\x80-\x9f]")
_OTHERS = ("cp850", "mac_roman", "iso8859_15")


def _western(content: bytes) -> str:
    """Text in Windows-1252; its five undefined bytes become control characters.

    Raises:
        NotText: so read, the words are not those of a language of western Europe.
    """
    text = _in_8_bits(content, "cp1252")
    if is_western(text):
        return text
    odd = _MISPLACED.search(text) or re.search(r"[^\W\d_]*[À-ÿŠŽŒŸšžœ]", text)
    around = text[max(0, odd.start() - 12) : odd.end() + 12] if odd else text[:24]
    shown = " ".join(tidy(around).split())
    raise NotText(
        f"it is not UTF-8 ({_misfit(content, 'utf-8')}), UTF-16 or UTF-32, and in Windows-1252 (Latin-1) it would "
        f"read {shown!r}",
        _other_encoding(content),
    )


def is_western(text: str) -> bool:
    """Whether a text that was read in 8 bits a character looks right.

    It does not where signs stand inside words or capitals inside small letters; where more than a third of many
    letters are beyond ASCII; or where those letters do not belong to one alphabet of western Europe. Texts with few of
    them always pass: they tell nothing.
    """
    beyond = [character for character in text if character > "\x7f"]
    undefined = len(_UNDEFINED.findall(text))
    misplaced = len(_MISPLACED.findall(text)) + undefined
    if misplaced > 1 and (20 * misplaced > len(beyond) or undefined > 1):
        return False
    if len(_LATIN_9.findall(text)) > 1:
        return False
    letters = [c.lower() for c in beyond if c.isalpha() and c not in "ªºƒˆ"]
    share = len(letters) / max(1, sum(map(str.isalpha, text)))
    if len(letters) < 8 or share < 0.01:
        return len(letters) < 6 or share < 0.4
    inside = max(sum(map(alphabet.__contains__, letters)) for alphabet in _ALPHABETS)
    return share < 0.4 and inside >= 0.95 * len(letters)


def _in_8_bits(content: bytes, encoding: str) -> str:
    """Text in an encoding of one byte a character; a byte that it does not define stays the number that it is."""
    table = "".join(bytes([b]).decode(encoding, "ignore") or chr(b) for b in range(256))
    return codecs.charmap_decode(content, "strict", table)[0]


def _other_encoding(content: bytes) -> str:
    """Which encoding a text may have that is none of ours; a suggestion, no more."""
    found = next((e for e in _OTHERS if is_western(_in_8_bits(content, e))), None)
    if found:
        return found
    from charset_normalizer import from_bytes  # a tenth of a second that only this needs

    best = from_bytes(content[:_LOOKED_AT]).best()
    return best.encoding if best else "cp1252"


# Files and folders


@dataclass
class Report:
    """What was not read as it stands, and why.

    Attributes:
        notes: for each reason the names of the files.
        encoding: which one the first file of an unknown encoding may have.
    """

    notes: dict[str, list[str]] = field(default_factory=dict)
    encoding: str | None = None

    def note(self, reason: str, name: str) -> None:
        """One more file for a reason: a phrase such as ``"hidden"``."""
        self.notes.setdefault(reason, []).append(name)

    def left_out(self, name: str) -> None:
        """One more file that is no document by its name; of hidden ones only what looks like one is worth a word."""
        if not is_hidden(name):
            self.note(f"left out: {why_not(name)}", name)
        elif is_document(name):
            self.note(f"left out: {folders.HIDDEN}", name)

    def read(self, name: str, content: Callable[[], bytes]) -> str:
        """A file's characters, as `decode` gives them, after noting what is to be said of them.

        Raises:
            NotText: it is refused.
        """
        found = decode(content())
        if found.judged:
            self.note(f"read as {found.judged}, by the look of the bytes", name)
        if found.lost:
            self.note("had lost characters before (U+FFFD), which are spaces now", name)
        return found.text

    def read_if_text(self, name: str, content: Callable[[], bytes]) -> str | None:
        """The same; None, and a note, where it is refused."""
        try:
            return self.read(name, content)
        except NotText as error:
            self.note(f"left out: {error}", name)
            self.encoding = self.encoding or error.encoding
            return None

    def lines(self) -> str:
        """One line for each reason, with the number of files and the first names; empty without any."""
        found = []
        for reason, names in self.notes.items():
            shown = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
            found.append(f"\n    {len(names):,} {reason} ({shown})")
        more = f"\n    and {len(found) - _LISTED} more reasons" if len(found) > _LISTED else ""
        return "".join(found[:_LISTED]) + more

    def say(self, place: Path, used: str) -> None:
        """Print once what there is to say of a place, after what was used of it: ``"50 documents"``."""
        if self.notes:
            say_once(f"{place}: {used}.{self.lines()}")


def is_hidden(path: str) -> bool:
    """Whether a path with ``/`` is a system's and no one's text, or lies in such a folder: ``__MACOSX/a.txt``."""
    return any(folders.is_hidden(part) for part in path.split("/") if part not in ("", ".", ".."))


def is_document(path: str) -> bool:
    """Whether a file's name is one of a document: its suffix is in `SUFFIXES`, in any case."""
    return why_not(path) is None


def why_not(path: str) -> str | None:
    """Why a file is no document by its name; None where it is one."""
    suffix = os.path.splitext(path)[1].lower()
    return None if suffix in SUFFIXES else f"no text by its name ({suffix or 'no suffix'})"


def find_documents(folder: Path, report: Report) -> list[str]:
    """The documents in a folder and in those below it, links followed: paths below it with ``/``, in sorted order.

    Hidden files and folders and a system's own are no documents; they and files of other kinds are noted.
    """
    found = folders.search(folder, why_not)
    for why, paths in found.left_out.items():
        for path in paths:
            report.note(f"left out: {why}", path)
    for path in found.unreadable:
        report.note("left out: a folder that may not be read", path or ".")
    return found.files


def read_bytes(file: Path, largest: int = LARGEST) -> bytes:
    """What a file holds.

    Raises:
        NotText: it cannot be read, or has more bytes than a text of its kind.
    """
    try:
        if not file.is_file():
            raise NotText("it is not a file" if file.exists() else "there is no such file")
        with open(file, "rb") as stream:
            content = stream.read(largest + 1)
    except OSError as error:
        raise NotText(f"it cannot be read ({error.strerror})") from None
    if len(content) > largest:
        raise NotText(f"it has more than {largest:,} bytes")
    return content


def unknown_encoding(place: Path, why: str, encoding: str) -> CourseError:
    """The error for texts whose encoding is not known for sure, with the one that they may have."""
    return CourseError(
        "text-encoding",
        f"{place} cannot be read for sure: {why}",
        "A guess would put wrong characters into the text that a model learns from.",
        f"If it is {encoding} (look at the copy): from course_utils.datasets import text_files; "
        f"source = text_files.copy_as_utf8({str(place)!r}, {encoding!r})",
    )


def copy_as_utf8(source: str | Path, encoding: str) -> Path:
    """A copy in UTF-8 of texts whose encoding the course does not know for sure, but you do.

    What is read without doubt (UTF-8, or with a byte order mark) is copied as it is, all else is read in ``encoding``;
    a byte that does not fit becomes a space, and is counted.

    Args:
        source: a text file, or a folder of them.
        encoding: a name that Python knows, such as ``"cp1251"``, ``"shift_jis"`` or ``"mac_roman"``.

    Returns:
        The file or folder beside the source, for example ``book-from-cp1251.txt``.

    Raises:
        CourseError: there is no such file or encoding, or more than one byte in a hundred does not fit it.
    """
    source = resolve(source)
    report = Report()
    try:
        codecs.lookup(encoding)
        files = find_documents(source, report) if source.is_dir() else [""]
        contents = {path: read_bytes(source / path) for path in files}
    except (LookupError, NotText) as error:
        raise _no_copy(source, encoding, str(error)) from None
    kinds = {path: kind for path in files if (kind := kind_of(contents[path]))}
    if len(kinds) == len(files):
        raise _no_copy(source, encoding, f"it is {kinds.get('', 'none that is text')}")
    texts = {p: _read_in(content, encoding) for p, content in contents.items() if p not in kinds}
    lost, total = sum(t.count("\ufffd") for t in texts.values()), sum(map(len, texts.values()))
    if 100 * lost > total:
        raise _no_copy(source, encoding, f"{lost:,} of {total:,} characters do not fit")
    copy = source.with_name(f"{source.stem}-from-{encoding}{source.suffix}")
    for path, text in texts.items():
        atomic_write(copy / path if path else copy, text.replace("\ufffd", " ").encode())
    print(f"{copy}: {len(texts):,} texts in UTF-8, {lost:,} characters that did not fit are spaces")
    return copy


def _read_in(content: bytes, encoding: str) -> str:
    """The characters of a text that is in ``encoding`` where it is not known for sure; U+FFFD for what does not fit."""
    try:
        found = decode(content)
        if found.judged != "Windows-1252":
            return found.text
    except NotText:
        pass
    return content.decode(encoding, "replace").removeprefix("\ufeff")


def _no_copy(source: Path, encoding: str, why: str) -> CourseError:
    another = "cp1252" if encoding != "cp1252" else "utf-8"
    return CourseError(
        "text-no-copy",
        f"{source} cannot be copied from {encoding!r}: {why}.",
        "A copy must hold the characters that the author wrote.",
        "Take another encoding, or another file: from course_utils.datasets import text_files; "
        f"source = text_files.copy_as_utf8({str(source)!r}, {another!r})",
    )
