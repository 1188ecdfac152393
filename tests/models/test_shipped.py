"""The shipped weights: what is written is read, and what is not as it was shipped is refused by name."""

import json

import pytest
import torch

from course_utils import paths
from course_utils.errors import CourseError
from course_utils.models import shipped

TENSORS = {"a.weight": torch.randn(3, 4), "a.count": torch.tensor(7)}


def test_what_is_written_is_read_in_half_precision_with_its_facts(own_data):
    path = shipped.write("b", TENSORS, {"steps": 3, "data": "drawn ü"})
    assert path == own_data / "checkpoints" / "b.safetensors"
    tensors, facts = shipped.read("b")
    assert facts == {"steps": 3, "data": "drawn ü"} and set(tensors) == set(TENSORS)
    assert tensors["a.count"] == 7 and tensors["a.count"].dtype == torch.int64
    assert torch.equal(tensors["a.weight"], TENSORS["a.weight"].half().float())


def test_the_catalogue_keeps_the_rest_and_is_in_order(own_data):
    (own_data / "catalogue.json").write_text('{"lessons": ["x"], "checkpoints": {}}')
    for name in ("b", "a"):
        shipped.write(name, TENSORS, {})
    assert json.loads((own_data / "catalogue.json").read_text())["lessons"] == ["x"]
    assert list(shipped.digests()) == ["a", "b"] and shipped.damage() == {}


@pytest.mark.parametrize(
    "damage", ["missing", "cut", "empty", "pickle", "one bit", "another network"]
)
def test_a_file_that_is_not_what_was_shipped_is_one_error(own_data, damage):
    path = shipped.write("b", TENSORS, {})
    content = path.read_bytes()
    path.unlink()
    if damage == "pickle":
        torch.save({"a": 1}, path)
    elif damage == "another network":  # a whole file, but not this one
        (own_data / "checkpoints" / "b.safetensors").write_bytes(
            shipped.write("c", {"a": torch.zeros(2)}, {}).read_bytes()
        )
    elif damage != "missing":
        bit = bytes([content[-1] ^ 1])
        path.write_bytes({"cut": content[:-9], "empty": b"", "one bit": content[:-1] + bit}[damage])
    with pytest.raises(CourseError, match=r"data/checkpoints/b\.safetensors is") as caught:
        shipped.read("b")
    assert caught.value.code == "weights-damaged" and "git checkout" in caught.value.fix
    assert list(shipped.damage()) == ["b"]


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"{}", b'{"checkpoints": 3}'])
def test_a_damaged_catalogue_is_the_same_error(own_data, content):
    shipped.write("b", TENSORS, {})
    catalogue = own_data / "catalogue.json"
    catalogue.unlink() if content is None else catalogue.write_bytes(content)
    with pytest.raises(CourseError, match=r"catalogue\.json cannot be read") as caught:
        shipped.read("b")
    assert caught.value.code == "weights-damaged"


def test_weights_that_were_never_shipped_are_named_with_those_that_are(own_data):
    shipped.write("b", TENSORS, {})
    with pytest.raises(CourseError, match="It ships b") as caught:
        shipped.read("none")
    assert caught.value.code == "weights-unknown"


def test_what_ships_is_whole_and_nothing_lies_beside_it():
    assert shipped.damage() == {}
    assert set(shipped.digests()) == {p.stem for p in paths.checkpoints_dir().glob("*.safetensors")}
    for name in shipped.digests():
        tensors, facts = shipped.read(name)
        assert facts["data"] and all(
            v.dtype in (torch.float32, torch.int64) for v in tensors.values()
        )


def test_nothing_else_opens_the_folder_of_weights():
    root = paths.data_dir().parent
    sources = [p for part in ("course_utils", "measuring") for p in (root / part).rglob("*.py")]
    found = [p.name for p in sources if "checkpoints_dir" in p.read_text(encoding="utf-8")]
    assert sorted(found) == ["folders.py", "paths.py", "shipped.py"]
