"""Slides from a lesson's notebook: ``python3 run.py slides NN``.

The notebook stays as it is; what belongs on which slide follows from its structure. A heading ``##`` begins a slide,
``###`` one below it, and what does not fit goes on below. ``build/slides/NN_name.html`` is one file with everything in
it (reveal.js, MathJax, pictures), so it opens without a network.
"""

import argparse
import base64
import re
import struct
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course_utils import assets
from course_utils.authoring import notebook as nb
from course_utils.authoring.source import find_source
from course_utils.errors import CourseError
from course_utils.paths import atomic_write

ROOM = 24.0
"""Lines of text on a slide of 760 pixels; what is longer can be scrolled."""

_LINE, _LETTERS, _CODE = (
    31,
    92,
    0.82,
)  # pixels of a line, letters in one, height of a line of code in such lines

_FILES = {
    "reveal_css": ("reveal", "sphinx_revealjs/_static/revealjs/dist/reveal.css"),
    "theme_css": ("reveal", "sphinx_revealjs/_static/revealjs/dist/theme/white.css"),
    "reveal_js": ("reveal", "sphinx_revealjs/_static/revealjs/dist/reveal.js"),
    "mathjax_js": ("mathjax", "sphinx-mathjax-offline/static/mathjax/tex-svg-full.js"),
}
_OUTPUT = "output-only"
_PAGE = (Path(__file__).parent / "slides.html.j2").read_text(encoding="utf-8")
_WHOLE = re.compile(r"<details>.*?</details>|\$\$.*?\$\$|^```.*?^```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Piece:
    """A part of a notebook that stays together: a cell, its height in lines, and the level of its heading (0: none)."""

    cell: NotebookNode
    height: float
    level: int = 0


def make(root: Path, lesson: str, folder: Path) -> Path:
    """Write a lesson's slides.

    Args:
        root: the repository.
        lesson: the lesson's number or name, for example ``"02"``.
        folder: where to write.

    Returns:
        The file written.

    Raises:
        CourseError: no such lesson, or reveal.js and MathJax are neither there nor to be had.
    """
    from nbconvert.exporters import SlidesExporter
    from nbconvert.preprocessors import TagRemovePreprocessor

    path = (
        root / "notebooks" / f"{find_source(root, lesson, 'python3 run.py slides 02').stem}.ipynb"
    )
    notebook = nb.read_notebook(path)
    if notebook is None:
        raise CourseError(
            "slides-no-notebook",
            f"There is no {path.name}.",
            "Slides are made from the notebooks that the build writes.",
            "python3 run.py build",
        )
    exporter = SlidesExporter(raw_template=_PAGE, embed_images=True)
    exporter.register_preprocessor(
        TagRemovePreprocessor(remove_input_tags={_OUTPUT}, enabled=True), enabled=True
    )
    resources = {"metadata": {"name": path.stem, "path": str(path.parent)}, "course": _libraries()}
    html, _ = exporter.from_notebook_node(on_slides(notebook), resources)
    return atomic_write(folder / f"{path.stem}.html", html.encode())


def on_slides(notebook: NotebookNode) -> NotebookNode:
    """A copy of a notebook, cut into pieces that fit, each with the ``slideshow`` metadata that nbconvert reads."""
    result = nbformat.v4.new_notebook(metadata=notebook.metadata)
    filled = ROOM  # of the slide so far; the first piece finds no room and begins one
    for piece in (piece for cell in notebook.cells for piece in pieces(cell)):
        if piece.level in (1, 2):
            kind, filled = "slide", 0.0
        elif piece.level or filled + piece.height > ROOM:
            kind, filled = "subslide", 0.0
        else:
            kind = "-"
        filled += piece.height
        piece.cell["id"] = f"piece-{len(result.cells)}"  # the same page each time
        piece.cell.metadata["slideshow"] = {"slide_type": kind}
        result.cells.append(piece.cell)
    return result


def pieces(cell: NotebookNode) -> list[Piece]:
    """A cell as pieces: Markdown by headings and paragraphs, code as it is and its outputs one by one."""
    if cell.cell_type == "markdown":
        return [_markdown(text) for text in _paragraphs(cell.source)]
    code = nbformat.v4.new_code_cell(cell.source, execution_count=cell.execution_count)
    found = [Piece(code, 0.5 + _code(cell.source))] if cell.source.strip() else []
    for output in cell.outputs:
        shown = nbformat.v4.new_code_cell(
            "", outputs=[output], execution_count=cell.execution_count
        )
        shown.metadata["tags"] = [_OUTPUT]
        found.append(Piece(shown, _height(output)))
    return found


def _paragraphs(text: str) -> list[str]:
    """Markdown cut at blank lines, but not within formulas, fences and folded text; a heading keeps its first one."""
    kept: list[str] = []

    def put_away(found: re.Match[str]) -> str:
        kept.append(found[0])
        return f"\0{len(kept) - 1}\0"

    parts = re.split(r"\n\s*\n", _WHOLE.sub(put_away, text.strip()))
    parts = [re.sub("\0(\\d+)\0", lambda found: kept[int(found[1])], part) for part in parts]
    merged: list[str] = []
    for part in parts:
        if merged and re.fullmatch(r"#+ [^\n]*", merged[-1]) and not part.startswith("#"):
            merged[-1] += "\n\n" + part
        else:
            merged.append(part)
    return merged


def _markdown(text: str) -> Piece:
    found = re.match(r"(#+) ", text)
    level = len(found[1]) if found else 0
    seen = re.sub(r"<details>(<summary>.*?</summary>).*?</details>", r"\1", text, flags=re.DOTALL)
    height = (2.0 if level else 0.4) + 2.5 * (seen.count("$$") // 2) + 12.0 * seen.count("![")
    for line in re.sub(r"\$\$.*?\$\$|!\[.*?\]\(.*?\)", "", seen, flags=re.DOTALL).split("\n"):
        row = line.startswith("|")
        height += 1.3 * row or (
            len(line) / _LETTERS if not line.startswith(("- ", "<summary>")) else 1.3 * _rows(line)
        )
    return Piece(nbformat.v4.new_markdown_cell(text), height, level)


def _height(output: NotebookNode) -> float:
    """Height of one output in lines."""
    data = output.get("data", {})
    if "image/png" in data:
        width, height = struct.unpack(">II", base64.b64decode(data["image/png"][:64])[16:24])
        return 0.5 + min(height * min(1, 1250 / width), 560) / _LINE
    if "text/markdown" in data:
        return _markdown(data["text/markdown"]).height
    if "text/html" in data:
        page = data["text/html"]
        letters = len(re.sub(r"<(style|script).*?</\1>|<[^>]+>", "", page, flags=re.DOTALL))
        return (
            2.0
            + 1.3 * page.count("<tr")
            + letters / _LETTERS
            + 12.0 * len(re.findall("<(?:img|svg|iframe)", page))
        )
    return 0.4 + _code(
        output.get("text") or data.get("text/plain") or "\n".join(output.get("traceback", ()))
    )


def _code(text: str) -> float:
    return _CODE * sum(_rows(line, 108) for line in text.rstrip("\n").split("\n"))


def _rows(line: str, letters: int = _LETTERS) -> int:
    return 1 + max(0, len(line) - 1) // letters


def _libraries() -> dict[str, str]:
    """The text of reveal.js and MathJax; fetched once, as the wheels that hold them."""
    texts = {}
    for name, (asset, member) in _FILES.items():
        with zipfile.ZipFile(assets.fetch(asset)) as wheel:
            texts[name] = wheel.read(member).decode("utf-8")
    texts["theme_css"] = re.sub(
        r"@import [^;]*;", "", texts["theme_css"]
    )  # its font files; the system's font will do
    return texts


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python3 run.py slides", description=__doc__.splitlines()[0]
    )
    parser.add_argument("lessons", nargs="+", metavar="NN", help="numbers of lessons")
    parser.add_argument("--to", type=Path, help="folder to write to (build/slides)")
    parser.add_argument(
        "--root", type=Path, default=Path(__file__).parents[2], help="the repository"
    )
    options = parser.parse_args(argv)
    try:
        for lesson in options.lessons:
            print(
                make(options.root, lesson, options.to or options.root / "build" / "slides"),
                flush=True,
            )
    except CourseError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
