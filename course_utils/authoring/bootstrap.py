"""What a notebook needs on Google Colab: the cell that installs the course there, and the badge that opens it there.

The build puts both in; a source has neither. The address that they are made from is ``repository`` in the table
``[tool.course]`` of pyproject.toml, and the version there names the tag: ``0.1.0`` is installed from ``v0.1.0``.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course_utils.errors import CourseError

TAG = "colab"
"""The tag of the two cells: their code makes none of the outputs that a notebook keeps."""
BADGE = "figures/open_in_colab.svg"
BADGE_ALT = "Open this notebook in Google Colab"

_TEXT = "**Only for Google Colab.** The next cell installs the course there; anywhere else it does nothing."
_CODE = """import sys

if "google.colab" in sys.modules:
    course = "{address}"{hint}
    use_drive = False  # True: training goes on after a disconnect, from copies on your Google Drive
    from importlib.metadata import distributions
    if "{version}" not in [found.version for found in distributions(name="{name}")]:
{demand}        %pip install -q --no-deps "{{course}}"
    from course_utils import colab
    colab.start(use_drive)"""
_HINT = "  # what pip installs: the course's address, or the name of its wheel"
_DEMAND = """        assert course, "Upload the course's wheel (README.md, Google Colab) and name it behind `course =`."
"""


@dataclass(frozen=True)
class Release:
    """What pip calls the course and where it lies: name, version, the repository's address ("" while there is none)."""

    name: str
    version: str
    repository: str

    @property
    def address(self) -> str:
        """What pip installs, "" without a repository."""
        return f"git+{self.repository}@v{self.version}" if self.repository else ""

    def in_colab(self, path: str) -> str | None:
        """The address that opens a notebook in Colab (which reads GitHub only); ``path`` from the repository's root."""
        owner_and_name = self.repository.removeprefix("https://github.com/")
        if owner_and_name == self.repository:
            return None
        return (
            f"https://colab.research.google.com/github/{owner_and_name}/blob/v{self.version}/{path}"
        )


def read_release(root: Path) -> Release | None:
    """The release that a repository's pyproject.toml describes, None where there is no such file.

    Raises:
        CourseError: the repository's address is none.
    """
    path = root / "pyproject.toml"
    if not path.is_file():
        return None
    settings = tomllib.loads(path.read_text(encoding="utf-8"))
    address = (
        settings.get("tool", {})
        .get("course", {})
        .get("repository", "")
        .removesuffix("/")
        .removesuffix(".git")
    )
    if address and not re.fullmatch(r"(https://[\w.-]+(/[\w.-]+){2,}|file:///\S+)", address):
        raise CourseError(
            "authoring-repository",
            f"pyproject.toml has repository = {address!r}, which is no address of a repository.",
            "Colab installs the course from there, and the badges of the notebooks open it there.",
            'Write under [tool.course]: repository = "https://github.com/OWNER/NAME", or "" while there is none.',
        )
    return Release(settings["project"]["name"], settings["project"]["version"], address)


def add(notebook: NotebookNode, release: Release, path: str | None = None) -> None:
    """Put the cell for Colab in front of the notebook's first section with code; with ``path`` the badge as well.

    Args:
        notebook: a notebook that the build has just made; it is changed.
        release: where the course is installed from.
        path: the notebook's place, from the repository's root.
    """
    address = release.in_colab(path) if path else None
    if address:
        title, _, rest = notebook.cells[0].source.partition("\n")
        notebook.cells[
            0
        ].source = f"{title}\n\n[![{BADGE_ALT}]({BADGE})]({address})\n{rest}".rstrip("\n")
    text = nbformat.v4.new_markdown_cell(_TEXT, id="colab-text", metadata={"tags": [TAG]})
    code = nbformat.v4.new_code_cell(_code(release), id="colab-code", metadata={"tags": [TAG]})
    place = _place(notebook)
    notebook.cells[place:place] = [text, code]


def is_bootstrap(cell: NotebookNode) -> bool:
    """Whether the build put this cell in for Colab."""
    return TAG in cell.metadata.get("tags", ())


def _code(release: Release) -> str:
    empty = not release.address
    parts = {"hint": _HINT if empty else "", "demand": _DEMAND if empty else ""}
    return _CODE.format(
        address=release.address, version=release.version, name=release.name, **parts
    )


def _place(notebook: NotebookNode) -> int:
    """The heading above the first code cell, or that cell where only the title is above it."""
    first = next(
        (n for n, cell in enumerate(notebook.cells) if cell.cell_type == "code"),
        len(notebook.cells),
    )
    headings = [
        n for n, cell in enumerate(notebook.cells[:first]) if n and cell.source.startswith("#")
    ]
    return headings[-1] if headings else first
