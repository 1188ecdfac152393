"""Exercise `commons_folder`: the folder of a picture in Wikimedia Commons, which follows from its name."""

import hashlib

from course_utils.checks.core import Answer, Wrong, call, exercise, require


def _folder_by_digest(name: str) -> str:
    return _first_two(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest())


_MISTAKES: list[Wrong] = [
    (
        lambda n: _folder_by_digest(n.removesuffix("." + n.rpartition(".")[2])),
        "The ending belongs to the name.",
    ),
    (lambda n: _folder_by_digest(n.replace("_", " ")), "The underscores are part of the name."),
    (lambda n: _folder_by_digest(n.lower()), "Capitals count: the name goes in as it is."),
    (
        lambda n: _folder_by_digest(n)[2:],
        "Two levels: the first digit, a slash, the first two digits.",
    ),
    (
        lambda n: _folder_by_digest(n)[:2] + _folder_by_digest(n)[3:],
        "The second level has the first *two* digits.",
    ),
    (
        lambda n: _first_two(hashlib.sha256(n.encode()).hexdigest()),
        "SHA-256 is another digest: these folders come from MD5.",
    ),
    (
        lambda n: _first_two(hashlib.sha1(n.encode(), usedforsecurity=False).hexdigest()),
        "SHA-1 is another digest; MD5 it is.",
    ),
    (lambda n: _folder_by_digest(n).upper(), "Lower-case digits, as `hexdigest` gives them."),
]


def _first_two(digest: str) -> str:
    return f"{digest[0]}/{digest[:2]}"


@exercise(_folder_by_digest)
def commons_folder(fn: Answer) -> None:
    """Check ``commons_folder(name)``: a file's name -> "a/a9".

    Genuine names, whose folders anybody can look up, and one with other letters.
    """
    for name, expected in (
        ("Example.jpg", "a/a9"),
        ("Lenna_(test_image).png", "7/7d"),
        ("Été.png", _folder_by_digest("Été.png")),
    ):
        came = call(fn, name)
        what = f"{expected} for {name}"
        require(type(came) is str, what, came, "Return a text, and nothing around it.")
        named = (hint for mistake, hint in _MISTAKES if came == mistake(name))
        hint = next(named, "Digest of the name's UTF-8 bytes, as hexadecimal.")
        require(came == expected, what, repr(came), hint)
