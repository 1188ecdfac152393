"""The tiers stand in one table, and nothing else decides by their names."""

import ast
from pathlib import Path

import pytest
import torch

from course_utils import runtime
from course_utils.tiers import TIERS
from course_utils.training.settings import SETTINGS

ROOT = Path(__file__).parents[1]


def sources():
    for folder in ("course_utils", "measuring"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def tiers_among(nodes):
    return {n.value for n in nodes if isinstance(n, ast.Constant) and n.value in tuple(TIERS)}


def test_no_other_module_lists_the_tiers():
    literals = ast.Tuple | ast.List | ast.Set | ast.Dict
    found = {
        name
        for name, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, literals) and len(tiers_among(ast.iter_child_nodes(node))) > 1
    }
    assert found == set()


def test_no_module_compares_a_tier_with_a_name():
    found = {
        f"{name}:{node.lineno}"
        for name, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and tiers_among([node.left, *node.comparators])
    }
    assert found == set()


def test_each_kind_of_device_has_one_default_and_every_tier_its_purpose():
    assert sorted(tier.default_on for tier in TIERS.values() if tier.default_on) == ["cpu", "cuda"]
    assert all(name == tier.name and tier.purpose for name, tier in TIERS.items())
    assert all(tier.takes_real for tier in TIERS.values() if tier.fetches)


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_the_default_goes_by_the_device(kind, monkeypatch):
    monkeypatch.delenv("COURSE_TIER", raising=False)
    monkeypatch.setattr(runtime, "default_device", lambda: torch.device(kind))
    assert TIERS[runtime.tier()].default_on == kind


def test_every_recipe_has_settings_at_every_tier():
    for lesson, settings in SETTINGS.items():
        assert list(settings) == list(TIERS)
        assert len({frozenset(rows) for rows in settings.values()}) == 1, lesson


def test_a_pick_has_a_value_for_every_tier():
    run = runtime.Runtime("laptop", torch.device("cpu"), 0, 1, None, "")
    assert run.pick("a", "b", "c") == "b"
    for values in (("a", "b"), ("a", "b", "c", "d")):
        with pytest.raises(ValueError, match="zip"):
            run.pick(*values)
