"""Exercises of a source: numbers from the order of the cards, and cards and checks that do not belong together."""

import json
from pathlib import Path

import nbformat
import pytest

from course_utils.authoring.build import build
from course_utils.authoring.exercises import cards, find_cards, numbers
from course_utils.authoring.lessons import load_definitions
from course_utils.authoring.source import BadSource, find_sources

ROOT = Path(__file__).resolve().parents[2]
HEAD = "# %% [markdown]\n# # {number}. Tiny\n#\n# **Time** about {{{{minutes}}}} minutes\n#\n# ## Work\n"


def card(title, level="Easy", minutes=5):
    return (
        f"\n# %% [markdown]\n# ### Exercise: {title}\n#\n# *{level}, {minutes} minutes.* Do it.\n"
    )


def check(name, lesson="tiny"):
    solution = "    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION\n"
    return f"\n# %%\ndef {name}():\n{solution}\n\n{name} = checks.{lesson}.{name}({name})\n"


def markdown(text):
    return f"\n# %% [markdown]\n# {text}\n"


def course(folder, **lessons):
    """A repository with these lessons: ``number_name=text``."""
    (folder / "notebooks/source").mkdir(parents=True)
    (folder / "data/checkpoints").mkdir(parents=True)
    (folder / "data/catalogue.json").write_text("{}")
    for name, text in lessons.items():
        number = int(name[1:3])
        path = folder / f"notebooks/source/{name[1:]}.py"
        path.write_text(HEAD.format(number=number) + text, encoding="utf-8")
    return folder


def text_of(root, name, part="notebooks"):
    notebook = nbformat.read(root / part / f"{name}.ipynb", as_version=4)
    return "\n".join(cell.source for cell in notebook.cells)


# ---- numbers


def test_the_number_of_a_card_is_its_place():
    first, second = card("a") + check("a"), card("b") + check("b")
    for text, expected in ((first + second, ["a", "b"]), (second + first, ["b", "a"])):
        found, problems = find_cards(HEAD.format(number=4) + text)
        assert problems == []
        assert [(x.number, x.title) for x in found] == [
            ("4.1", expected[0]),
            ("4.2", expected[1]),
        ]
        assert [x.names for x in found] == [(f"tiny.{name}",) for name in expected]


def test_a_card_is_read_whole():
    text = HEAD.format(number=4) + card("split and merge", "Hard", 25) + check("split")
    ((one,), _) = find_cards(text + check("merge"))
    assert (one.title, one.level, one.minutes) == ("split and merge", "hard", 25)
    assert one.names == ("tiny.split", "tiny.merge")  # two functions, one number
    assert text.splitlines()[one.line - 1] == "# ### Exercise: split and merge"


def test_the_number_stands_in_heading_stub_catalogue_and_nowhere_in_the_source(tmp_path):
    root = course(tmp_path, l04_a=card("a") + check("a") + card("b") + check("b"))
    build(root)
    said = text_of(root, "04_a")
    assert "### Exercise 4.1: a" in said and "### Exercise 4.2: b" in said
    assert 'NotImplementedError("Exercise 4.2")' in said
    assert "### Exercise 4.2: b" in text_of(root, "04_a", "notebooks/solutions")
    (lesson,) = json.loads((root / "data/catalogue.json").read_text())["lessons"]
    assert [(x["number"], x["names"]) for x in lesson["exercises"]] == [
        ("4.1", ["tiny.a"]),
        ("4.2", ["tiny.b"]),
    ]
    with pytest.raises(NotImplementedError, match=r"^Exercise 4\.2$"):
        load_definitions("04_a", solved=False, root=root).b()


def test_placeholders_become_numbers_of_this_lesson_and_of_others(tmp_path):
    root = course(
        tmp_path,
        l04_a=markdown("See {{exercise:b}}, {{exercise:other.b}}.") + card("b") + check("b"),
        l05_b=card("a") + check("a", "other") + card("b") + check("b", "other"),
    )
    build(root)
    assert "See 4.1, 5.2." in text_of(root, "04_a")


def test_a_card_more_moves_the_numbers_behind_it_in_one_build(tmp_path):
    root = course(
        tmp_path,
        l04_a=markdown("See {{exercise:other.b}}."),
        l05_b=card("b") + check("b", "other"),
    )
    build(root)
    path = root / "notebooks/source/05_b.py"
    text = path.read_text()
    path.write_text(text.replace(card("b"), card("a") + check("a", "other") + card("b")))
    changed = {p.name for p in build(root).changed}
    assert {"04_a.ipynb", "05_b.ipynb", "catalogue.json"} <= changed
    assert "See 5.2." in text_of(root, "04_a")
    assert build(root).changed == ()


@pytest.mark.parametrize("path", find_sources(ROOT), ids=lambda path: path.stem)
def test_the_courses_cards_are_numbered_without_a_gap(path):
    found = cards(path)
    assert [one.number for one in found] == [
        f"{int(path.stem[:2])}.{place}" for place in range(1, len(found) + 1)
    ]
    assert len(numbers(path)) == 2 * sum(len(one.names) for one in found)


# ---- what does not belong together: the line to mend is marked with §

SOUND = card("a") + check("a")
REFUSED = {
    "a card without a check": (card("b").replace("b\n", "b§\n", 1) + SOUND, "without a check"),
    "the last card without a check": (
        SOUND + card("b").replace("b\n", "b§\n", 1),
        "without a check",
    ),
    "a check without a card": (
        check("b").replace("(b)\n", "(b)§\n") + SOUND,
        "`tiny.b` is checked without a card",
    ),
    "a check and no card at all": (check("b").replace("(b)\n", "(b)§\n"), "without a card"),
    "a heading without its line": (
        SOUND + "\n# %% [markdown]\n# ### Exercise: b§\n#\n# Do it.\n",
        "that is no card",
    ),
    "a heading with a number": (
        SOUND + "\n# %% [markdown]\n# ### Exercise 4.2: b§\n#\n# *Easy, 5 minutes.*\n",
        "that is no card",
    ),
    "a level that there is not": (
        SOUND + card("b", level="Simple").replace("b\n", "b§\n", 1),
        "that is no card",
    ),
    "one function under two cards": (
        SOUND + card("b") + check("b") + "\n\na = checks.tiny.a(a)§\n",
        "`tiny.a` is checked under two cards",
    ),
    "a check of another function": (
        SOUND + card("b") + check("b") + "\n\nb = checks.tiny.a(b)§\n",
        "in another form",
    ),
    "two functions in one check": (
        SOUND + card("b") + check("b") + "\n\nb, a = checks.tiny.b(b, a)§\n",
        "in another form",
    ),
}


@pytest.mark.parametrize(("text", "what"), REFUSED.values(), ids=REFUSED)
def test_cards_and_checks_that_do_not_belong_together_are_refused(text, what, tmp_path):
    marked = HEAD.format(number=4) + text
    root = course(tmp_path, l04_a=text.replace("§", ""))
    with pytest.raises(BadSource) as refused:
        build(root)
    (name,) = refused.value.problems
    said = [(p.line, p.what) for p in refused.value.problems[name] if what in p.what]
    lines = [n for n, line in enumerate(marked.splitlines(), start=1) if "§" in line]
    assert name == "notebooks/source/04_a.py" and [line for line, _ in said] == lines
    assert f"{name}:{lines[0]}: " in str(refused.value) and "Write: " in str(refused.value)
    assert not list(root.rglob("*.ipynb"))


def test_whoever_reads_the_cards_alone_is_told_too(tmp_path):
    root = course(tmp_path, l04_a=card("b"))
    with pytest.raises(BadSource, match=r"notebooks/source/04_a\.py:9: A card without a check"):
        cards(root / "notebooks/source/04_a.py")
