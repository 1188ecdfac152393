"""Make outputs fit to be published: no folders of the machine that made them, no secrets, no widgets, no bars."""

import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

_WIDGET = "application/vnd.jupyter.widget-view+json"
_ROOTS = (
    "home|Users|root|tmp|var|mnt|media|opt|usr|etc|srv|private|content|kaggle|workspaces?|dev|proc"
)
_SECRETS = re.compile(
    r"\bhf_[A-Za-z0-9]{20,}|\bgh[pousr]_\w{30,}|\bgithub_pat_\w{20,}|\bsk-[\w-]{20,}|\bAKIA[0-9A-Z]{16}\b"
    r"|\bxox[abprs]-[\w-]{10,}|\beyJ[\w-]{10,}\.[\w-]{10,}\.|PRIVATE KEY-----|://[^/\s:@]+:[^/\s@]+@|[?&]token=\w{8,}"
)
_BINARY = re.compile(r"(image|video|audio)/(?!svg)|application/pdf")
_CELL_FILE = re.compile(
    r"[^\s\"'<>]*ipykernel_\d+[/\\]+\d+\.py"
)  # how warnings name the cell that they come from
_EMBEDDED = re.compile(r"data:[\w/+.-]+;base64,[^\"')]*")
_MOMENTARY = re.compile(  # bars, escape codes, and how long a lesson takes on the machine that ran it
    r"^.*?\d+%\|.*\|.*\[.*\].*$\n?|^This lesson (?:takes|took) .*$\n?|^\s*\x1b\[A\s*$\n?|\x1b\[[0-9;]*[A-Za-z]",
    re.MULTILINE,
)


def scrub_outputs(notebook: NotebookNode, folders: Mapping[Path, str]) -> list[str]:
    """Replace folders in all text outputs, drop widget state and the views that are blank without it.

    Args:
        notebook: changed in place.
        folders: what to write instead of each folder.

    Returns:
        What still must not be published, in words (empty when all is well).
    """
    notebook.metadata.pop("widgets", None)
    patterns = [
        (text, folders[folder]) for folder in _longest_first(folders) for text in _spellings(folder)
    ]
    left: list[str] = []

    def replace(text: str) -> str:
        return _replace(text, patterns)

    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        kept = (without_bars(o) for o in cell.outputs if not _is_view(o))
        cell.outputs = [_map_text(o, replace) for o in kept if o is not None]
        for output in cell.outputs:
            left += [
                f"cell {cell.id}: {unfit}" for text in _texts(output) for unfit in _unfit(text)
            ]
    return left


def without_bars(output: NotebookNode) -> NotebookNode | None:
    """A printed output without what only a learner at a running kernel wants to see; None where nothing is left."""
    if output.output_type != "stream":
        return output
    text = output.text if isinstance(output.text, str) else "".join(output.text)
    output.text = _MOMENTARY.sub("", text)
    return output if output.text.strip() else None


def _is_view(output: NotebookNode) -> bool:
    return _WIDGET in output.get("data", {})


def _map_text(value: Any, change: Callable[[str], str]) -> Any:
    """``value`` with every text in it changed; pictures in base64 stay as they are."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_map_text(item, change) for item in value]
    if isinstance(value, dict):
        return type(value)(
            {k: v if _BINARY.match(k) else _map_text(v, change) for k, v in value.items()}
        )
    return value


def _texts(value: Any) -> Iterator[str]:
    """Every text that `_map_text` changes."""
    found: list[str] = []

    def note(text: str) -> str:
        found.append(text)
        return text

    _map_text(value, note)
    yield from found


def _replace(text: str, patterns: list[tuple[str, str]]) -> str:
    for old, new in patterns:
        text = text.replace(old, new)
    return _CELL_FILE.sub("cell", text)


def _spellings(folder: Path) -> list[str]:
    """A folder as it may stand in text: plain, with links resolved, with forward or doubled backslashes."""
    paths = dict.fromkeys([folder, folder.resolve()])
    spelled = [s for p in paths for s in (str(p), p.as_posix(), str(p).replace("\\", "\\\\"))]
    return list(dict.fromkeys(spelled))


def _longest_first(folders: Mapping[Path, str]) -> list[Path]:
    usable = [folder for folder in folders if len(folder.parts) > 1]  # never the root of the disk
    return sorted(usable, key=lambda folder: len(str(folder)), reverse=True)


def _unfit(text: str) -> list[str]:
    here = {
        Path(p).resolve().parts[1]
        for p in (sys.prefix, sys.base_prefix, tempfile.gettempdir(), Path.cwd())
    }
    roots = "|".join([_ROOTS, *map(re.escape, here)])
    path = re.compile(
        rf"(?<![\w.:/~<)\]+=-])/(?:{roots})/[\w.@+-]+|\b[A-Za-z]:\\{{1,2}}(?:Users|\w+\\)"
    )
    plain = _EMBEDDED.sub("", text)
    paths = [f"the path {found[0]}" for found in path.finditer(plain)]
    return paths + ["something that looks like a secret" for _ in _SECRETS.finditer(plain)]
