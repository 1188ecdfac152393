"""Fixtures shared by the tests, and their order where several processes run them."""

import os
import tarfile
from pathlib import Path
from typing import NoReturn

import pytest
from sharing import once

pytest_plugins = ["fault_record"]

# Networks in tests are tiny: one thread is faster than several, and never waits for a busy core. Children inherit it.
for name, value in {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}.items():
    os.environ.setdefault(name, value)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what is slow, so that no core waits long for the last test; a file's tests stay in one process.

    Within a process fixtures of a module are made once. A test that shares none with its neighbours may say so with a
    group of its own: ``@pytest.mark.xdist_group("name")``.
    """
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def no_real_data(reason: str) -> NoReturn:
    """Skip the test, or fail it where COURSE_REQUIRE_REAL_DATA=1 promises real data (as .ci/run does)."""
    if os.environ.get("COURSE_REQUIRE_REAL_DATA") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with the real data sets (COURSE_REAL_DATA), or a skip that says what is missing."""
    folder = os.environ.get("COURSE_REAL_DATA")
    if not folder or not Path(folder).is_dir():
        no_real_data("COURSE_REAL_DATA is not set, or is not a folder: no real data to test with")
    return Path(folder)


@pytest.fixture(scope="session")
def real_cifar10(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CIFAR-10 as a folder of class folders (train/<class>/*.jpg, test/<class>/*.jpg)."""
    archive = real_data / "cifar10-images.tar.xz"
    if not archive.is_file():
        no_real_data(f"{archive} is missing: no real CIFAR-10 to test with")

    def unpack(folder: Path) -> None:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")

    return once(tmp_path_factory, "real-cifar10", unpack) / "cifar10"


@pytest.fixture(scope="session")
def real_imdb(real_data: Path) -> Path:
    """IMDB's labelled reviews as one archive in their authors' layout; 50,000 files are not unpacked."""
    archive = real_data / "aclImdb-labelled.tar.xz"
    if not archive.is_file():
        no_real_data(f"{archive} is missing: no real IMDB to test with")
    return archive


@pytest.fixture(scope="session")
def sentences() -> Path:
    """The wheel with the critics' sentences that set-up fetched."""
    return _fetched("sentences")


@pytest.fixture(scope="session")
def encoder_wheel() -> Path:
    """The wheel with the pre-trained encoder that set-up fetched."""
    return _fetched("encoder")


def _fetched(name: str) -> Path:
    from course_utils import assets

    path = assets.cached(name)
    if path is None:
        no_real_data(
            f"{assets.manifest()[name].file} is not in the cache: python -m course_utils.assets --setup"
        )
    return path
