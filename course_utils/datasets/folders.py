"""What counts in a folder that somebody gave: one rule for hidden names, and a walk that says what it left out."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HIDDEN = "hidden or a system's own"
LINKED = "link to a folder that is read already"
SPECIAL = "neither file nor folder"

_SYSTEM = {
    *("@eadir", "@recycle", "#recycle", "#snapshot", "@tmp"),  # network drives
    *("__macosx", "icon\r", "network trash folder", "temporary items"),  # macOS, also inside a zip
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),
    *("lost+found", "__pycache__"),
}


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden (``.name``, ``name~``) or made by a system for itself (``@eaDir``)."""
    return name.startswith((".", "~$")) or name.endswith("~") or name.casefold() in _SYSTEM


@dataclass
class Found:
    """What a folder holds. Paths are relative to it, with "/".

    Attributes:
        files: what was wanted, sorted.
        folders: the folders directly in it, sorted.
        left_out: why -> paths of what was not taken.
        unreadable: folders that may not be read, sorted; ``""`` is the folder itself.
    """

    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    def leave_out(self, why: str, path: str) -> None:
        """Note one path that is not taken."""
        self.left_out.setdefault(why, []).append(path)


def search(root: Path, why_not: Callable[[str], str | None]) -> Found:
    """Walk through a folder and all below it. Linked folders are followed, each folder is read once.

    Args:
        root: where.
        why_not: of a file's path: why it is left out, or None where it is wanted. Links that lead nowhere are asked
            about as well.
    """
    found = Found()
    seen, links = {os.path.realpath(root)}, []

    def read(folder: str, prefix: str) -> None:
        try:
            entries = list(os.scandir(folder))
        except OSError:
            found.unreadable.append(prefix.rstrip("/"))
            return
        for entry in sorted(entries, key=lambda entry: entry.name):
            path = prefix + entry.name
            if is_hidden(entry.name):
                # Of a system's own files only what looks wanted is worth a word: ._a.jpg, not .DS_Store.
                if entry.is_dir() or (entry.is_file() and why_not(entry.path) is None):
                    found.leave_out(HIDDEN, path)
            elif entry.is_dir():
                links.append((entry.path, path)) if entry.is_symlink() else enter(entry.path, path)
            elif not (entry.is_file() or entry.is_symlink()):
                found.leave_out(SPECIAL, path)
            elif why := why_not(entry.path):
                found.leave_out(why, path)
            else:
                found.files.append(path)

    def enter(folder: str, path: str) -> None:
        real = os.path.realpath(folder)
        if real in seen:
            found.leave_out(LINKED, path)
            return
        seen.add(real)
        if "/" not in path:
            found.folders.append(path)
        read(folder, path + "/")

    read(str(root), "")
    while links:  # after all real folders, so that a link never takes the place of what it leads to
        enter(*links.pop(0))
    for paths in (found.files, found.folders, found.unreadable):
        paths.sort()
    return found


def folders_in(folder: Path) -> list[str]:
    """The names of the folders directly in a folder, sorted, without hidden ones; none where it may not be read."""
    try:
        return sorted(e.name for e in os.scandir(folder) if e.is_dir() and not is_hidden(e.name))
    except OSError:
        return []
