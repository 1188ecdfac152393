"""Exercise `merge_pair`: one merge of byte-pair encoding, everywhere in a text."""

from collections.abc import Callable

from course_utils.checks.core import Answer, call, exercise, require

Pieces = list[str]
Pair = tuple[str, str]


def _merge_from_the_end(pieces: Pieces, pair: Pair) -> Pieces:
    """Pieces are taken from the left; what is done grows at the end."""
    todo, done = pieces[::-1], []
    while todo:
        piece = todo.pop()
        done.append(piece + todo.pop() if todo and (piece, todo[-1]) == pair else piece)
    return done


def _overlapping(pieces: Pieces, pair: Pair) -> Pieces:
    both, after = list(zip(pieces, [*pieces[1:], ""], strict=True)), 0
    done = []
    for place, (left, right) in enumerate(both):
        if (left, right) == pair:
            done.append(left + right)
            after = place + 1
        elif place != after or place == 0:
            done.append(left)
    return done


def _keeping_the_second(pieces: Pieces, pair: Pair) -> Pieces:
    both = zip(pieces, [*pieces[1:], ""], strict=True)
    return [left + right if (left, right) == pair else left for left, right in both]


def _first_only(pieces: Pieces, pair: Pair) -> Pieces:
    for place in range(len(pieces) - 1):
        if (pieces[place], pieces[place + 1]) == pair:
            return [*pieces[:place], "".join(pair), *pieces[place + 2 :]]
    return pieces


def _same_letters(pieces: Pieces, pair: Pair) -> Pieces:
    todo, done = pieces[::-1], []
    while todo:
        piece = todo.pop()
        done.append(piece + todo.pop() if todo and piece + todo[-1] == "".join(pair) else piece)
    return done


def _in_a_joined_text(pieces: Pieces, pair: Pair) -> Pieces:
    return " ".join(pieces).replace(" ".join(pair), "".join(pair)).split(" ")


def _last_lost(pieces: Pieces, pair: Pair) -> Pieces:
    place, done = 0, []
    while place < len(pieces) - 1:
        found = (pieces[place], pieces[place + 1]) == pair
        done.append("".join(pair) if found else pieces[place])
        place += 2 if found else 1
    return done


_MISTAKES: list[tuple[Callable[[Pieces, Pair], object], str]] = [
    (
        lambda pieces, pair: pieces,
        "Nothing was merged. Does the comparison look at two neighbours, in this order?",
    ),
    (
        lambda pieces, pair: "".join(_merge_from_the_end(pieces, pair)),
        "This is the text itself. Asked for is the list of its pieces.",
    ),
    (
        _last_lost,
        "The last piece is gone: where no pair is left to look at, it still has to be kept.",
    ),
    (_first_only, "Only the first place was merged; a merge happens everywhere in the text."),
    (
        _keeping_the_second,
        "The second half of the pair is in the result twice: after a merge go on two places further.",
    ),
    (
        lambda pieces, pair: _merge_from_the_end(pieces, pair[::-1]),
        "The pair was looked for in reverse order.",
    ),
    (
        _overlapping,
        "A piece was used twice: in a a a the middle one belongs to the first pair, and the last stays alone.",
    ),
    (
        _in_a_joined_text,
        "Joined to one text, pieces lose their ends: in 'ba n' the text 'a n' is found, but ba is not a. Compare "
        "pieces.",
    ),
    (
        _same_letters,
        "Other pieces with the same letters were merged: ab + c is not the pair a + bc.",
    ),
    (
        lambda pieces, pair: [
            *[piece for piece in pieces if piece not in pair],
            "".join(pair),
        ],
        "The order of the text is lost: the merged piece stands where its two halves stood.",
    ),
]

_CASES: list[tuple[str, Pair]] = [
    ("t h e t h e m e", ("t", "h")),
    ("b a n a n a", ("a", "n")),
    ("th e th e m e", ("th", "e")),
    ("a a a b a a", ("a", "a")),
    ("a bc ab c d", ("ab", "c")),
    ("ba n a nd a n", ("a", "n")),
    ("x y z", ("z", "x")),
    ("x", ("x", "x")),
]


_WORKED = (
    "By hand, a b a b b with the pair a b: at place 0 add ab and go on at 2, there add ab and go on at 4, there add b. "
    "That gives ab ab b."
)


@exercise(_merge_from_the_end)
def merge_pair(fn: Answer) -> None:
    """Check ``merge_pair(pieces, pair)``: list of str, two str -> list of str, merged from the left."""
    cases = [(text.split(), pair) for text, pair in _CASES]
    told = [call(fn, pieces, pair) for pieces, pair in cases]
    for (pieces, pair), got in zip(cases, told, strict=True):
        bare = "Return the pieces as a list, and nothing around it."
        require(type(got) in (list, str), "a list of pieces", got, bare)
        expected = _merge_from_the_end(pieces, pair)
        if got != expected:
            require(False, f"merge_pair({pieces}, {pair}) = {expected}", got, _named(cases, told))


def _named(cases: list[tuple[Pieces, Pair]], told: list[object]) -> str:
    """The mistake that gives what the answer gives, in all cases."""
    for wrong, hint in _MISTAKES:
        if [wrong(*case) for case in cases] == told:
            return hint
    return _WORKED
