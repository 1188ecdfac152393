"""The exercise `commons_folder`: its reference, the mistakes that learners make in it, and its check."""

import hashlib
from collections.abc import Callable

from course_utils.checks.core import Answer, call, exercise, require


def folder_by_digest(name: str) -> str:
    """The reference."""
    digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return f"{digest[0]}/{digest[:2]}"


_WRONG_FOLDER: list[tuple[Callable[[str], str], str]] = [
    (
        lambda n: folder_by_digest(n.removesuffix("." + n.rpartition(".")[2])),
        "The ending belongs to the name.",
    ),
    (lambda n: folder_by_digest(n.replace("_", " ")), "The underscores are part of the name."),
    (lambda n: folder_by_digest(n.lower()), "Capitals count: the name goes in as it is."),
    (
        lambda n: folder_by_digest(n)[2:],
        "Two levels: the first digit, a slash, the first two digits.",
    ),
    (
        lambda n: folder_by_digest(n)[:2] + folder_by_digest(n)[3:],
        "The second level has the first *two* digits.",
    ),
    (
        lambda n: _of(hashlib.sha256(n.encode()).hexdigest()),
        "SHA-256 is another digest: these folders come from MD5.",
    ),
    (
        lambda n: _of(hashlib.sha1(n.encode(), usedforsecurity=False).hexdigest()),
        "SHA-1 is another digest; MD5 it is.",
    ),
    (lambda n: folder_by_digest(n).upper(), "Lower-case digits, as `hexdigest` gives them."),
]


def _of(digest: str) -> str:
    return f"{digest[0]}/{digest[:2]}"


def inspect_folder(fn: Answer) -> None:
    """Genuine names, whose folders anybody can look up, and one with other letters."""
    for name, expected in (
        ("Example.jpg", "a/a9"),
        ("Lenna_(test_image).png", "7/7d"),
        ("Été.png", folder_by_digest("Été.png")),
    ):
        came = call(fn, name)
        require(
            type(came) is str,
            f"{expected} for {name}",
            came,
            "Return a text, and nothing around it.",
        )
        hint = next(
            (h for f, h in _WRONG_FOLDER if came == f(name)),
            "Digest of the name's UTF-8 bytes, as hexadecimal.",
        )
        require(came == expected, f"{expected} for {name}", repr(came), hint)


@exercise(folder_by_digest)
def commons_folder(fn: Answer) -> None:
    """Check ``commons_folder(name)``: a file's name -> "a/a9"."""
    inspect_folder(fn)
