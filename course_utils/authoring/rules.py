"""What a lesson's source must not contain, each with the line and what to write instead."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from course_utils.authoring import accessible
from course_utils.authoring.source import Cell, Problem, Source

_ABSOLUTE = re.compile(
    r"^(/[\w.-]+/[\w.-]|/(home|Users|tmp|content|mnt|root)\b|[A-Za-z]:[\\/]\w|~[\\/]|\\\\\w)"
)
IMAGE = re.compile(r"!\[(?P<alt>[^\]]*)\](?:\((?P<target>[^)\s]*)[^)]*\))?")
_HTML_IMAGE = re.compile(r"<img\b[^>]*>", re.IGNORECASE)
_FENCE = re.compile(r"^ {0,3}(```|~~~)")
_LINK = re.compile(r"(\]\(|\bsrc=[\"'])(?![a-z][\w+.-]*:|[#/]|\d\d_\w+\.ipynb)(?=[^)\"'\s])")


def find_problems(source: Source, root: Path) -> list[Problem]:
    """Everything in a source that the course does not allow: in its code, its headings, its pictures, its tables."""
    problems = [p for node in ast.walk(source.tree) for p in _code(node)]
    problems += [
        Problem(*found) for node in ast.walk(source.tree) for found in accessible.in_code(node)
    ]
    problems += [p for cell in source.cells if cell.kind == "code" for p in _commands(cell)]
    problems += _headings(source)
    for cell in [cell for cell in source.cells if cell.kind == "markdown"]:
        problems += [
            Problem(cell.lines[n][0], what, fix)
            for n, what, fix in accessible.in_markdown(prose(cell.text))
        ]
        problems += _pictures(cell, root)
    return problems


def prose(text: str, inline: bool = True) -> str:
    """Markdown with its code blanked out (fences, and with ``inline`` what `is quoted`); every line stays."""
    lines, fence = [], ""
    for line in text.split("\n"):
        found = _FENCE.match(line)
        lines.append("" if fence or found else line)
        if found and (not fence or fence == found[1]):
            fence = "" if fence else found[1]
    blanked = "\n".join(lines)
    return (
        re.sub(r"`([^`\n]*)`", lambda code: f"`{' ' * len(code[1])}`", blanked)
        if inline
        else blanked
    )


def links_one_folder_down(text: str) -> str:
    """Markdown with relative links and pictures as ``notebooks/solutions`` needs them; lessons stay side by side."""
    plain = prose(text, inline=False).split("\n")
    pairs = zip(text.split("\n"), plain, strict=True)
    return "\n".join(_LINK.sub(r"\1../", line) if line == kept else line for line, kept in pairs)


def _code(node: ast.AST) -> Iterator[Problem]:
    match node:
        case ast.ImportFrom(names=[ast.alias(name="*")]):
            yield Problem(
                node.lineno, "`import *` hides where names come from.", "the names that are used."
            )
        case ast.ImportFrom(module="os", names=names) if any(n.name == "chdir" for n in names):
            yield Problem(
                node.lineno,
                "`chdir` moves the notebook away from its folder.",
                "full `Path` objects.",
            )
        case ast.ImportFrom(module="sys", names=names) if any(n.name == "path" for n in names):
            yield Problem(
                node.lineno, "`sys.path` must not be needed.", "an import from `course_utils`."
            )
        case ast.Attribute(value=ast.Name(id="os"), attr="chdir"):
            yield Problem(
                node.lineno,
                "`os.chdir` moves the notebook away from its folder.",
                "full `Path` objects.",
            )
        case ast.Attribute(value=ast.Name(id="sys"), attr="path"):
            yield Problem(
                node.lineno, "`sys.path` must not be needed.", "an import from `course_utils`."
            )
        case ast.Call(func=func, args=[ast.Constant(value="ignore")], keywords=keywords) if (
            re.search(r"\b(filterwarnings|simplefilter)$", ast.unparse(func))
            and not {k.arg for k in keywords} & {"category", "message", "module"}
        ):
            fix = 'the one warning: `warnings.filterwarnings("ignore", message=..., category=...)`, with the reason.'
            yield Problem(node.lineno, "A filter that hides all warnings.", fix)
        case ast.Constant(value=str(text)) if _ABSOLUTE.match(text):
            fix = "a path from `course_utils.paths`, or a setting such as COURSE_IMAGES."
            yield Problem(node.lineno, f"An absolute path: {text!r}.", fix)


def _commands(cell: Cell) -> Iterator[Problem]:
    for line, text in cell.lines:
        if re.match(r"\s*(#\s*)?(!\s*\w|%%?(pip|conda|mamba|uv|bash|sh|cmd|system|sx|cd)\b)", text):
            fix = "nothing: run.py installs, and on Colab the cell that the build puts in."
            yield Problem(line, f"A command in a lesson: `{text.strip()}`.", fix)
        if re.match(r"\s*#+\s*NBVAL_\w+\s*$", text):
            yield Problem(
                line, "A comment that steers nbval.", '`# %% tags=["nbval-check-output"]`.'
            )


def _headings(source: Source) -> Iterator[Problem]:
    level = 0
    for cell in source.cells:
        if cell.kind != "markdown":
            continue
        for (line, _), text in zip(cell.lines, prose(cell.text).split("\n"), strict=False):
            found = re.match(r"(#{1,6})\s+\S", text)
            if found and len(found[1]) > level + 1:
                yield Problem(
                    line,
                    f"Heading of level {len(found[1])} under level {level}.",
                    f"`{'#' * (level + 1)} `.",
                )
            level = len(found[1]) if found else level


def _pictures(cell: Cell, root: Path) -> Iterator[Problem]:
    text = prose(cell.text)
    for found in IMAGE.finditer(text):
        yield from _picture(_line(cell, text, found.start()), found["alt"], found["target"], root)
    for found in _HTML_IMAGE.finditer(text):
        alt, target = (_attribute(found[0], name) for name in ("alt", "src"))
        yield from _picture(_line(cell, text, found.start()), alt or "", target, root)


def _picture(line: int, alt: str, target: str | None, root: Path) -> Iterator[Problem]:
    if not alt.strip():
        yield Problem(
            line, "A picture without alt text.", "`![what is to be seen](figures/name.svg)`."
        )
    if not target:
        yield Problem(
            line, "A picture without its file.", "`![what is to be seen](figures/name.svg)`."
        )
    elif re.match(r"[a-z][\w+.-]+:|//", target, re.IGNORECASE):
        yield Problem(
            line, f"A picture from elsewhere: {target[:60]}.", "a file below notebooks/figures."
        )
    else:
        path = (root / "notebooks" / target).resolve()
        if not path.is_file() or not path.is_relative_to(root.resolve()):
            yield Problem(
                line, f"There is no picture {target}.", "`figures/name.svg`, seen from notebooks."
            )


def _attribute(tag: str, name: str) -> str | None:
    found = re.search(rf"\b{name}\s*=\s*([\"'])(.*?)\1", tag, re.IGNORECASE | re.DOTALL)
    return found[2] if found else None


def _line(cell: Cell, text: str, position: int) -> int:
    return cell.lines[text[:position].count("\n")][0]
