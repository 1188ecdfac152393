"""Mutants of the solutions: what a check takes stands in the table with its reason, and no more is taken than that."""

import json

import pytest
from mutants import TABLE, sweep
from test_every_exercise import EXERCISES, definitions, source_of

KNOWN = json.loads(TABLE.read_text(encoding="utf-8"))
TRAINED = {"clinic.mystery"}
"""Judged by an accuracy that a training reaches: near its bound, another processor may decide otherwise."""
EVERY = 5
"""So many mutants pass between two that are tried here; the program `mutants.py` tries all."""


def test_the_table_has_every_exercise_and_a_reason_for_each_mutant_that_is_taken():
    assert set(KNOWN) == set(EXERCISES)
    without = [
        (name, w) for name, row in KNOWN.items() for w, why in row["taken"].items() if not why
    ]
    assert not without


def test_nearly_all_mutants_are_refused():
    made = sum(row["mutants"] for row in KNOWN.values())
    taken = sum(len(row["taken"]) for row in KNOWN.values())
    assert made > 500 and taken / made < 0.15


HINTS = {name: row for name, row in KNOWN.items() if "generic" in row}
"""The exercises whose table counts the kinds of hints."""


def refused(row):
    return row["named"] + row["worked"] + row["stopped"] + len(row["generic"])


def test_each_refused_mutant_has_its_kind_of_hint():
    assert set(KNOWN) - set(HINTS) <= TRAINED
    for name, row in HINTS.items():
        left = row["mutants"] - refused(row)  # two that read alike share a line of the table
        assert left >= len(row["taken"]) and bool(left) == bool(row["taken"]), name


def test_nine_of_ten_refused_mutants_get_a_hint_that_fits():
    every = sum(refused(row) for row in HINTS.values())
    generic = {name: len(row["generic"]) / max(1, refused(row)) for name, row in HINTS.items()}
    assert sum(len(row["generic"]) for row in HINTS.values()) / every < 0.02
    assert max(generic.values()) <= 0.2, max(generic, key=generic.get)


@pytest.mark.parametrize("name", sorted(set(EXERCISES) - TRAINED))
def test_no_mutant_is_taken_that_the_table_does_not_excuse(name, monkeypatch):
    monkeypatch.setenv("COURSE_STRICT", "1")
    found = sweep(name, definitions(source_of(name)), EXERCISES[name], EVERY)
    assert found["made"] == KNOWN[name]["made"], (
        "the solution is another: run tests/checks/mutants.py"
    )
    assert set(found["taken"]) <= set(KNOWN[name]["taken"])
    if name in HINTS:
        assert set(found["generic"]) <= set(HINTS[name]["generic"])
