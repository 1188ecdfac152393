"""What a reader who cannot see, or cannot tell colours apart, needs: checked in a lesson's text and code by the build.

Markdown and code are given as text; each finding is (line of the text from 0, what is wrong, what to write instead).
"""

import ast
import re
from collections.abc import Iterator

Finding = tuple[int, str, str]

_SHOWN = ("plots.show", "plots.LiveFigure")
_VAGUE = {
    "",
    "click here",
    "here",
    "link",
    "more",
    "page",
    "read more",
    "see",
    "source",
    "that",
    "this",
    "this link",
}
_LINK = re.compile(r"(?<!!)\[(?P<text>(?:[^\[\]]|!\[[^\]]*\]\([^)]*\))*)\]\(")
_DIVIDER = re.compile(r"\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*")
_DESCRIBED = re.compile(
    r"<title>\s*[^\s<]|<svg\b[^>]*\b(aria-label|aria-hidden)=[\"'][^\"']", re.IGNORECASE
)
_TAG = {
    name: re.compile(rf"<{name}\b.*?(</{name}>|\Z)", re.IGNORECASE | re.DOTALL)
    for name in ("table", "svg")
}


def in_markdown(text: str) -> Iterator[Finding]:
    """Links that do not say where they go, tables without names of columns, drawings without a description.

    Args:
        text: Markdown with its code blanked out (`rules.prose`).
    """
    for found in _LINK.finditer(text):
        words = re.sub(r"!\[([^\]]*)\]\([^)]*\)", r"\1", found["text"])
        if "`" not in words and re.sub(r"[^\w ]", "", words).strip().lower() in _VAGUE:
            fix = "where the link goes, in words that also make sense alone: `[lesson 2](...)`."
            yield _line(text, found.start()), f"A link that says {words!r}.", fix
    yield from _pipe_tables(text)
    yield from in_html(text)
    for found in re.finditer(r"<h[1-6]\b", text, re.IGNORECASE):
        yield (
            _line(text, found.start()),
            "A heading in HTML.",
            "`## ` and so on, so that the build sees its level.",
        )


def in_html(text: str) -> Iterator[Finding]:
    """The same for HTML, in a text or in a string of the code."""
    for found in _TAG["table"].finditer(text):
        heads = re.findall(r"<th\b[^>]*>", found[0], re.IGNORECASE)
        if not heads or not all(re.search(r"\bscope=", head, re.IGNORECASE) for head in heads):
            fix = '`<th scope="col">` for the name of a column, `scope="row"` for that of a row.'
            yield (
                _line(text, found.start()),
                "A table without headers that say what they belong to.",
                fix,
            )
    for found in _TAG["svg"].finditer(text):
        if not _DESCRIBED.search(found[0]):
            fix = '`<svg role="img"><title>what is to be seen</title>`.'
            yield _line(text, found.start()), "A drawing without alt text.", fix


def in_code(node: ast.AST) -> Iterator[Finding]:
    """Figures that are shown without alt text, and HTML in strings; lines count from 1, as in the syntax tree."""
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        if name in ("plt.show", "pyplot.show", "figure.show"):
            yield node.lineno, "A figure without alt text.", "`plots.show(figure, alt=...)`."
        if name in _SHOWN and not _has_alt(node):
            yield (
                node.lineno,
                "A figure without alt text.",
                f"`{name}(..., alt=...)`, what is to be seen in a sentence.",
            )
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and "<" in node.value:
        for _, what, fix in in_html(node.value):
            yield node.lineno, what, fix
        for found in re.finditer(r"<img\b[^>]*>", node.value, re.IGNORECASE):
            if not re.search(r"\balt\s*=\s*([\"'])\s*[^\s\"']", found[0], re.IGNORECASE):
                yield (
                    node.lineno,
                    "A picture without alt text.",
                    '`<img alt="what is to be seen" ...>`.',
                )


def _has_alt(call: ast.Call) -> bool:
    """Whether a call of `plots.show` has a sentence; an empty one, or None, is none."""
    given = [keyword.value for keyword in call.keywords if keyword.arg == "alt"] + call.args[1:2]
    return any(
        not isinstance(value, ast.Constant) or str(value.value or "").strip() for value in given
    )


def _pipe_tables(text: str) -> Iterator[Finding]:
    lines = text.split("\n")
    for number, line in enumerate(lines[1:]):
        if "|" not in lines[number] or "-" not in line or not _DIVIDER.fullmatch(line):
            continue
        names = lines[number].strip().strip("|").split("|")
        if not all(name.strip() for name in names):
            yield (
                number,
                "A table with a column that has no name.",
                "a name for every column in the first row.",
            )


def _line(text: str, position: int) -> int:
    return text[:position].count("\n")
