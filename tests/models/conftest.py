"""Fixtures of the networks' tests."""

import json

import pytest

from course_utils import paths


@pytest.fixture
def own_data(tmp_path, monkeypatch):
    """A data folder of the test's own, with a catalogue and no weights: what is shipped goes there."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "catalogue.json").write_text(json.dumps({"lessons": [], "checkpoints": {}}))
    monkeypatch.setattr(paths, "data_dir", lambda: folder)
    return folder
