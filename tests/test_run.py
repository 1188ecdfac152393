"""run.py: the whole life of an environment, on a tiny project of its own with a package index of its own."""

import ast
import contextlib
import http.server
import importlib.util
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
import tomllib
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from course_utils import paths
from course_utils.learner import progress

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
POSIX = os.name == "posix"
on_posix = pytest.mark.skipif(not POSIX, reason="signals and mounts of POSIX")

# A project that run.py can install in seconds: a build backend of its own instead of a fetched one, one dependency.
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "tiny"
version = "1"
[tool.ruff]
include = ["course_utils/authoring/*.py"]
lint.select = ["F"]
[tool.mypy]
files = ["course_utils/authoring"]
"""
BACKEND = """
import os, zipfile
META = "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\nRequires-Dist: torch\\n"
META += "Provides-Extra: lab\\nProvides-Extra: test\\n"
def build_editable(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(os.path.join(folder, "tiny-1-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("tiny.pth", os.getcwd())
        wheel.writestr("tiny-1.dist-info/METADATA", META)
        wheel.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("tiny-1.dist-info/RECORD", "")
    return "tiny-1-py3-none-any.whl"
build_wheel = build_editable
"""
NOTEBOOK = {
    "cells": [{"cell_type": "code", "id": "a", "source": "assert 1 + 1 == 2", "metadata": {}, "outputs": [],
               "execution_count": None}],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "nbformat": 4, "nbformat_minor": 5,
}  # fmt: skip


TESTS = """
import pytest


def test_one():
    assert False


@pytest.mark.slow
def test_slow():
    pass


@pytest.mark.skip(reason="no moon")
def test_two():
    pass
"""


def load_run():
    """run.py of this repository as a module."""
    spec = importlib.util.spec_from_file_location("course_run", ROOT / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def wheel(version, payload=0):
    """A wheel of an empty package that is called torch, with ``payload`` zero bytes that compress to nothing."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("torch/__init__.py", "")
        file.writestr("torch/payload", bytes(payload))
        info = f"torch-{version}.dist-info"
        file.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n"
        )
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", "")
    return buffer.getvalue()


WHEELS = {
    "torch-1.0": wheel("1.0"),
    "torch-1.1": wheel("1.1"),
    "torch-9.0": wheel("9.0", 80_000_000),
    "torch-1.0+cpu": wheel("1.0+cpu"),
}


class Index(http.server.BaseHTTPRequestHandler):
    """A package index: /simple has torch 1.0, 1.1 and a fat 9.0; /cpu has 1.0+cpu. It stalls in a wheel on demand."""

    def do_GET(self):
        self.server.seen.append(self.path)
        name = (
            urllib.request.unquote(self.path).rsplit("/", 1)[-1].removesuffix("-py3-none-any.whl")
        )
        if self.path in ("/simple/torch/", "/cpu/torch/"):
            names = [name for name in WHEELS if ("+cpu" in name) == self.path.startswith("/cpu")]
            links = "".join(f'<a href="/files/{n.replace("+", "%2B")}-py3-none-any.whl">{n}-py3-none-any.whl</a>\n'
                            for n in names)  # fmt: skip
            self.answer(f"<!DOCTYPE html><html><body>{links}</body></html>".encode(), "text/html")
        elif name in WHEELS:
            self.answer(WHEELS[name], "application/octet-stream", stall=self.server.stall)
        else:
            self.send_error(404)

    def answer(self, body, kind, stall=None):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            if stall:
                self.wfile.write(body[:100])
                self.wfile.flush()
                self.server.stalled.set()
                stall.wait(600)
                body = body[100:]
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def index():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index)
    server.seen, server.stall, server.stalled = [], None, threading.Event()
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


class Project:
    """A copy of run.py with a tiny project around it, in a folder with spaces and an accent."""

    def __init__(self, folder, url):
        self.folder = folder / "a course é"
        for name in ("course_utils/authoring", "course_utils/learner", "tests", "notebooks/source"):
            (self.folder / name).mkdir(parents=True)
        shutil.copy(ROOT / "run.py", self.folder)
        self.write("pyproject.toml", PYPROJECT)
        self.write("backend.py", BACKEND)
        self.write("constraints.txt", "torch==1.0\n")
        self.write("course_utils/__init__.py", "")
        self.write(
            "course_utils/assets.py",
            "import os, sys\nsys.exit(int(os.environ.get('ASSETS_EXIT', 0)))\n",
        )
        self.write(
            "course_utils/authoring/build.py",
            'import sys\n\nprint("built", sys.argv[1:], sys.prefix)\n',
        )
        self.write(
            "course_utils/learner/progress.py",
            "from pathlib import Path\n\n\ndef path():\n    return Path('nothing recorded')\n",
        )
        self.write("tests/test_tiny.py", "def test_one():\n    pass\n")
        self.write("notebooks/01_first.ipynb", json.dumps(NOTEBOOK))
        shutil.copy(ROOT / "notebooks" / "conftest.py", self.folder / "notebooks")
        keep = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PIP_", "COURSE_", "PYTHONPATH"))
        }
        self.env = dict(keep, PIP_CONFIG_FILE=os.devnull, PIP_INDEX_URL=f"{url}/simple", PIP_RETRIES="0",
                        PIP_CACHE_DIR=str(folder / "cache"), COURSE_TORCH="default", PYTHONUTF8="1")  # fmt: skip

    def write(self, name, text):
        (self.folder / name).write_text(text, encoding="utf-8")

    def start(self, *arguments, cwd=None, **env):
        """Start run.py as a terminal does: in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, str(self.folder / "run.py"), *arguments], cwd=cwd or self.folder.parent,
            env=dict(self.env, **env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
            start_new_session=POSIX,
        )  # fmt: skip

    def run(self, *arguments, **options):
        process = self.start(*arguments, **options)
        output = process.communicate(timeout=600)[0]
        return process.returncode, output

    def python(self, code):
        python = self.folder / ".venv" / ("bin/python" if POSIX else "Scripts/python.exe")
        return subprocess.run(
            [python, "-c", code], capture_output=True, text=True, check=True, cwd="/", env=self.env
        ).stdout.strip()

    def torch_version(self):
        return self.python("import importlib.metadata as m; print(m.version('torch'))")

    def stamped(self):
        return (self.folder / ".venv/course-ready.json").is_file()


@pytest.fixture(scope="module")
def shared(tmp_path_factory, index):
    """A project that was started once, in a folder that is not its own."""
    project = Project(tmp_path_factory.mktemp("shared"), index.url)
    project.first = project.run("build", "--check", cwd="/")
    return project


@pytest.fixture
def ready(shared):
    """The shared project after a start (which does nothing where an earlier test left it ready)."""
    code, output = shared.run("build")
    assert code == 0, output
    return shared


@pytest.fixture
def project(tmp_path, index):
    """A project of the test's own, without an environment yet."""
    return Project(tmp_path, index.url)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 MB, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user cannot mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def listens(address, port):
    with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=5):
        return True
    return False


def site_packages_state(project):
    site = Path(project.python("import sysconfig; print(sysconfig.get_paths()['purelib'])"))
    return sorted((str(path), path.stat().st_mtime_ns) for path in site.iterdir())


# The life of an environment


def test_first_start_installs_and_second_start_does_nothing(shared, index):
    code, output = shared.first
    assert code == 0 and "Making .venv" in output and "Installing" in output
    assert f"built ['--check'] {shared.folder / '.venv'}" in output
    assert (
        shared.torch_version() == "1.0"
        and shared.stamped()
        and not (shared.folder / ".venv/tmp").exists()
    )
    before, requests = site_packages_state(shared), len(index.seen)
    code, output = shared.run("build", PIP_INDEX_URL="http://127.0.0.1:9/")
    assert (code, output) == (0, f"built [] {shared.folder / '.venv'}\n")
    assert site_packages_state(shared) == before and len(index.seen) == requests
    # the Python that started it has got nothing
    assert not list(Path(sysconfig.get_paths()["purelib"]).glob("tiny-1*"))


def test_changed_constraints_are_installed_into_the_same_environment(ready):
    ready.write("constraints.txt", "torch==1.1\n")
    code, output = ready.run("build")
    assert code == 0 and "constraints.txt changed" in output and "Making .venv" not in output
    assert ready.torch_version() == "1.1"


def test_newest_releases_are_taken_only_where_they_are_asked_for(ready, index):
    pinned = ready.torch_version()
    code, output = ready.run("build", COURSE_CONSTRAINTS="none")
    assert code == 0 and "Making .venv" not in output and ready.torch_version() == "9.0"
    requests = len(index.seen)
    code, output = ready.run("build", COURSE_CONSTRAINTS="none")
    assert code == 0 and "Preparing" not in output and len(index.seen) == requests
    code, output = ready.run("build")  # and back to what was tested
    assert code == 0 and "Preparing" in output and ready.torch_version() == pinned
    code, output = ready.run("build", COURSE_CONSTRAINTS="newest")
    assert (
        code == 1
        and "Fix: COURSE_CONSTRAINTS=none, or unset it." in output
        and "Traceback" not in output
    )


def test_a_class_without_a_network_installs_from_a_folder_of_wheels(project):
    wheels = project.folder / "wheels"
    wheels.mkdir()
    (wheels / "torch-1.0-py3-none-any.whl").write_bytes(WHEELS["torch-1.0"])
    nowhere = {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": "wheels",
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    }
    code, output = project.run("build", ASSETS_EXIT="1", **nowhere)
    assert code == 0 and project.torch_version() == "1.0" and "They could not be fetched" in output


@on_posix
def test_interrupted_then_killed_installation_is_repeated(ready, index):
    ready.write("constraints.txt", "torch==1.0\n")
    index.stall, index.stalled = threading.Event(), threading.Event()
    try:
        process = ready.start("build")
        assert index.stalled.wait(600)
        os.killpg(
            process.pid, signal.SIGINT
        )  # what Ctrl-C does: everyone in the terminal's group gets it
        output = process.communicate(timeout=600)[0]
        assert (
            process.returncode == 130
            and "The same command again goes on" in output
            and "Traceback" not in output
        )
        assert not ready.stamped()

        index.stalled.clear()
        process = ready.start("build")
        assert index.stalled.wait(600)
        process.kill()  # run.py only: its pip stays behind, in the middle of a download
        assert process.wait() == -signal.SIGKILL and not ready.stamped()
        second = ready.start("build")
        assert "waiting for it" in second.stdout.readline()
    finally:
        index.stall.set()
        index.stall = None
    output = second.communicate(timeout=600)[0]
    assert second.returncode == 0 and "did not finish" in output and ready.torch_version() == "1.0"


def test_moved_folder_is_noticed_and_its_environment_remade(ready):
    there = ready.folder.with_name("elsewhere")
    ready.folder.rename(there)
    ready.folder = there
    code, output = ready.run("build")
    assert code == 0 and "moved or copied" in output and f"built [] {there / '.venv'}" in output
    assert (
        Path(ready.python("import course_utils; print(*course_utils.__path__)"))
        == there / "course_utils"
    )


def test_environment_of_another_python_or_without_one_is_not_ready(ready):
    run, stamp = (
        load_run(),
        json.loads((ready.folder / ".venv/course-ready.json").read_text(encoding="utf-8")),
    )
    run.PYTHON = ready.folder / ".venv" / run.PYTHON.relative_to(run.VENV)
    run.VENV = ready.folder / ".venv"
    assert run.why_not_ready(stamp, stamp) == ""
    assert run.why_not_ready(dict(stamp, python="3.10"), stamp) == "it was made with Python 3.10"
    run.PYTHON.rename(run.PYTHON.with_name("away"))
    assert run.why_not_ready(stamp, stamp) == "its Python does not start any more"
    run.PYTHON.with_name("away").rename(run.PYTHON)


# The commands


@pytest.fixture
def borrowed(ready):
    """The ready project with this Python's packages: real ruff, pytest, nbval and JupyterLab without a download."""
    site = Path(ready.python("import sysconfig; print(sysconfig.get_paths()['purelib'])"))
    (site / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"], encoding="utf-8")
    yield ready
    (site / "borrowed.pth").unlink()


def test_test_runs_every_stage_even_after_a_failure(borrowed):
    borrowed.write("course_utils/authoring/unused.py", "import os\n")
    borrowed.write("tests/test_tiny.py", TESTS)
    code, output = borrowed.run("test")
    assert code == 1 and re.findall(r"^(\w+) +(passed|FAILED) ", output, re.M) == [
        ("style", "FAILED"), ("types", "passed"), ("drift", "passed"), ("tests", "FAILED"),
        ("notebooks", "passed")]  # fmt: skip
    assert (
        "The longest of 4 tests and cells:" in output and "tests/test_tiny.py::test_one" in output
    )
    assert "Skipped: 1\n      1    no moon (tests/test_tiny.py)\n" in output
    borrowed.write("course_utils/authoring/unused.py", "import  os\n\nprint(os)\n")
    borrowed.write("tests/test_tiny.py", TESTS.replace("assert False", "pass"))
    code, output = borrowed.run("test", "--quick")
    assert code == 1 and re.findall(r"^(\w+) +(passed|FAILED) ", output, re.M) == [
        ("style", "FAILED"), ("types", "passed"), ("drift", "passed"), ("tests", "passed")]  # fmt: skip
    assert "2 tests and cells" in output and "test_slow" not in output
    (borrowed.folder / "course_utils/authoring/unused.py").unlink()
    assert borrowed.run("test", "--quick")[0] == 0
    borrowed.write(
        "tests/test_tiny.py", "def test_one():\n    pass\ndef test_two():\n    assert False\n"
    )
    code, output = borrowed.run("test", "tests/test_tiny.py", "-k", "one")
    assert code == 0 and "1 passed, 1 deselected" in output and "notebooks" not in output


@on_posix
def test_lab_serves_the_course_on_this_machine_only_and_with_a_token(borrowed):
    pytest.importorskip("jupyterlab")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = borrowed.folder.parent / "home"
    process = borrowed.start("lab", "--no-browser", "--port", str(port), "--allow-root", HOME=str(home),
                             JUPYTERLAB_DIR=str(Path(sys.prefix) / "share/jupyter/lab"))  # fmt: skip
    lines, found = [], None
    try:
        while not found:
            lines.append(process.stdout.readline())
            assert lines[-1], "".join(lines)
            found = re.search(
                rf"http://127\.0\.0\.1:{port}/lab/tree/notebooks/01_first\.ipynb\?token=(\w+)",
                lines[-1],
            )
        url = f"http://127.0.0.1:{port}/api/contents/notebooks"
        while not listens("127.0.0.1", port):  # it names its address a moment before it listens
            assert process.poll() is None
            time.sleep(0.05)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(url, timeout=10)
        with urllib.request.urlopen(f"{url}?token={found[1]}", timeout=10) as reply:
            assert "01_first.ipynb" in [entry["name"] for entry in json.load(reply)["content"]]
        assert not listens("127.0.0.2", port)  # this machine too: a server on 0.0.0.0 would answer
    finally:
        process.terminate()  # run.py has become JupyterLab: the signal reaches it and nothing stays behind
        process.communicate(timeout=600)
    assert not listens("127.0.0.1", port)


def test_lab_opens_the_first_lesson_until_there_is_progress(tmp_path, monkeypatch):
    run = load_run()
    for variable in ("COURSE_RUNS", "COURSE_RUNS_COPY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(paths, "data_dir", lambda: tmp_path / "data")
    monkeypatch.setattr(paths, "course_dir", lambda: tmp_path)
    progress._folder.cache_clear()
    run.ROOT = tmp_path
    assert run.start_page() == "/lab"  # without lessons
    (tmp_path / "notebooks").mkdir()
    for name in ("01_second.ipynb", "00_first é.ipynb", "scratch.ipynb"):
        (tmp_path / "notebooks" / name).touch()
    first = "/lab/tree/notebooks/00_first%20%C3%A9.ipynb"
    assert run.start_page() == first
    for runs in (tmp_path / "data" / "runs", tmp_path / "elsewhere"):
        runs.mkdir(parents=True, exist_ok=True)
        (runs / "progress.jsonl").touch()
        assert run.start_page() == "/lab"
        monkeypatch.setenv("COURSE_RUNS", str(runs / "not yet"))
        assert run.start_page() == first
        monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("COURSE_RUNS", "runs")  # in the course's folder, wherever one is
    assert run.start_page() == first
    (tmp_path / "runs" / "progress.jsonl").touch()
    assert run.start_page() == "/lab"
    monkeypatch.setenv("COURSE_RUNS_COPY", "drive")  # the place that lasts has the last word
    assert run.start_page() == first
    (tmp_path / "drive").mkdir()
    (tmp_path / "drive" / "progress.jsonl").touch()
    assert run.start_page() == "/lab"
    progress._folder.cache_clear()


def test_the_start_page_needs_no_package(tmp_path):
    """Whatever Python starts run.py finds the progress: it may have nothing but the standard library."""
    (tmp_path / "progress.jsonl").touch()
    program = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('run', {str(ROOT / 'run.py')!r})\n"
        "run = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(run)\n"
        "print(run.start_page())"
    )
    environment = {**os.environ, "COURSE_RUNS": str(tmp_path)}
    for name in ("PYTHONPATH", "COURSE_RUNS_COPY"):
        environment.pop(name, None)
    command = [sys.executable, "-S", "-P", "-c", program]
    said = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert said.stdout == "/lab\n", said.stderr


def test_progress_is_shown_and_moved_from_the_folder_where_the_user_is(borrowed, tmp_path):
    ready = borrowed
    for path in (ROOT / "course_utils").rglob("*.py"):
        there = ready.folder / path.relative_to(ROOT)
        if there.parent.name == "learner" or not there.exists():  # its own build and assets stay
            there.parent.mkdir(exist_ok=True)
            shutil.copy(path, there)
    (ready.folder / "data").mkdir(exist_ok=True)
    for name in ("catalogue.json", "manifest.toml"):
        shutil.copy(ROOT / "data" / name, ready.folder / "data")
    (tmp_path / "course_utils").mkdir()  # another thing of that name where the user is
    (tmp_path / "course_utils" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    line = {
        "exercise": "start.to_unit_range",
        "outcome": "correct",
        "when": "2026-01-01T00:00:00.000Z",
    }
    line |= {"tier": "", "hint": "", "value": ""}
    (tmp_path / "mine.jsonl").write_text(json.dumps(line))
    code, output = ready.run("progress", "--import", "mine.jsonl", cwd=tmp_path)
    assert code == 0, output
    assert "1 new records" in output and re.search(r"0\. Start here +1 of 1", output)
    assert (
        "Kept in data/runs/progress.jsonl" in output
        and (ready.folder / "data/runs/progress.jsonl").is_file()
    )
    code, output = ready.run("progress", "--export", "copy.jsonl", cwd=tmp_path)
    assert code == 0 and json.loads((tmp_path / "copy.jsonl").read_text()) == line
    code, output = ready.run("progress", "--reset", cwd=tmp_path)
    assert code == 0 and "To go back" in output
    code, output = ready.run("progress", "--import", "nothing", cwd=tmp_path)
    assert code == 1 and "There is no file nothing" in output and "Traceback" not in output


def test_usage():
    for arguments, code in (([], 0), (["--help"], 0), (["nonsense"], 2)):
        done = subprocess.run(
            [sys.executable, ROOT / "run.py", *arguments], capture_output=True, text=True
        )
        assert done.returncode == code and done.stdout.startswith("usage: python3 run.py")


# What can be wrong


def test_old_python_says_so():
    source = (ROOT / "run.py").read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 6))
    pretend = f"""import runpy, sys; sys.version_info = (3, 9, 18, "final", 0); sys.argv = ["run.py", "lab"]
runpy.run_path({str(ROOT / "run.py")!r}, run_name="__main__")"""
    commands = [[sys.executable, "-c", pretend]]
    for name in (f"python3.{minor}" for minor in (6, 7, 8, 9, 10, 14, 15)):
        if (
            shutil.which(name)
            and subprocess.run([name, "-c", ""], capture_output=True).returncode == 0
        ):
            commands.append([name, str(ROOT / "run.py"), "lab"])
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert re.search(
            r"This is Python 3\.\d+\.\d+ .*the course needs 3\.11 to 3\.13\.\nFix: ", done.stderr
        )
        suggested = re.search(r"Fix: (python3\.1[123]) .*run\.py'? lab", done.stderr)
        assert suggested or "python.org" in done.stderr
        if suggested:  # the fix can be pasted
            assert (
                subprocess.run([suggested[1], str(ROOT / "run.py")], capture_output=True).returncode
                == 0
            )


@pytest.mark.parametrize("command", ["lab", "progress"])
@pytest.mark.parametrize(
    "arguments", [[], ["--no-browser"], ["--allow-root"], ["--ServerApp.allow_root=True"]]
)
def test_root_is_told_how_to_go_on_and_nobody_else_is(command, arguments, monkeypatch):
    run = load_run()
    started = []
    monkeypatch.setattr(run.signal, "signal", lambda *_: None)
    monkeypatch.setattr(run, "prepare", lambda: started.append("prepare"))
    monkeypatch.setattr(run, command, lambda given: started.append(given) or 0)
    getattr(run, command).__name__ = command
    monkeypatch.setattr(sys, "argv", ["a course/run.py", command, *arguments])
    for user in (0, 1000):
        monkeypatch.setattr(run.os, "geteuid", lambda user=user: user, raising=False)
        started.clear()
        if command == "lab" and user == 0 and not any("root" in each for each in arguments):
            with pytest.raises(run.Problem) as told:
                run.main(sys.argv[1:])
            shown = " ".join([command, *arguments, "--allow-root"])
            assert f"Fix: python3 'a course/run.py' {shown}" in str(told.value)
            assert "root" in str(told.value) and started == []  # before anything is installed
        else:
            assert run.main(sys.argv[1:]) == 0
            assert started == ["prepare", arguments]  # the guard is never switched off in silence


def test_missing_venv_module_says_what_to_install(project, tmp_path):
    (tmp_path / "ensurepip.py").write_text("raise ImportError('not installed')")
    code, output = project.run("lab", "--allow-root", PYTHONPATH=str(tmp_path))
    assert code == 1 and f"sudo apt install python3.{sys.version_info[1]}-venv" in output
    assert "Traceback" not in output and not (project.folder / ".venv").exists()


def test_too_small_disk_is_refused_before_anything_is_fetched(project, index):
    sizes = "".join(
        f"# {build}: 1.0 GB to download, 900000.0 GB on disk\n" for build in ("CPU", "CUDA")
    )
    project.write("constraints.txt", sizes + "torch==1.0\n")
    requests = len(index.seen)
    code, output = project.run("lab", "--allow-root")
    assert code == 1 and re.search(
        r"has [\d.]+ GB free; the installation needs 90000\d\.0 GB\.\nFix: ", output
    )
    assert "Traceback" not in output and len(index.seen) == requests


@on_posix
def test_disk_that_fills_up_says_so(small_disk, index):
    project = Project(small_disk, index.url)
    project.write("constraints.txt", "torch==9.0\n")  # unpacks to 80 MB
    code, output = project.run("lab", "--allow-root")
    assert code == 1 and f"The disk of {project.folder} is full.\nFix: free some GB" in output
    assert "Traceback" not in output and not project.stamped()


@on_posix
def test_folder_that_cannot_be_written_to(small_disk, index):
    project = Project(small_disk, index.url)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    code, output = project.run("lab", "--allow-root")
    assert code == 1 and f"{project.folder / '.venv'} cannot be written to" in output
    assert "Fix: " in output and "Traceback" not in output


def test_unreachable_package_index(ready):
    other = "1.0" if ready.torch_version() == "1.1" else "1.1"
    ready.write("constraints.txt", f"torch=={other}\n")
    code, output = ready.run("build", PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="1")
    assert code == 1 and "The package index cannot be reached" in output and "HTTPS_PROXY" in output
    assert "Traceback" not in output and not ready.stamped()


# PyTorch's build


def test_choice_of_the_torch_build(index, monkeypatch, capsys):
    run = load_run()
    monkeypatch.delenv("COURSE_TORCH", raising=False)
    monkeypatch.setattr(run.sys, "platform", "linux")
    monkeypatch.setattr(run, "has_nvidia_driver", lambda: False)
    monkeypatch.setattr(run, "CPU_INDEX", f"{index.url}/cpu")
    assert run.choose_index() == f"{index.url}/cpu" and "CPU build" in capsys.readouterr().out
    monkeypatch.setattr(run, "has_nvidia_driver", lambda: True)
    assert run.choose_index() == ""
    monkeypatch.setenv("COURSE_TORCH", "cpu")
    assert run.choose_index() == f"{index.url}/cpu"
    monkeypatch.setattr(run, "CPU_INDEX", "http://127.0.0.1:9/cpu")
    with pytest.raises(run.Problem, match="does not answer"):
        run.choose_index()
    monkeypatch.delenv("COURSE_TORCH")
    monkeypatch.setattr(run, "has_nvidia_driver", lambda: False)
    assert run.choose_index() == "" and "does not answer" in capsys.readouterr().out
    monkeypatch.setenv("COURSE_TORCH", "cuda")
    with pytest.raises(run.Problem, match="none of: cpu, default"):
        run.choose_index()


def test_forced_torch_build_is_installed(shared, index):
    shared.write("constraints.txt", "torch==1.0\n")
    code, output = shared.run("build", COURSE_TORCH=f"{index.url}/cpu")
    assert code == 0 and "Making .venv" in output and shared.torch_version() == "1.0+cpu"
    code, output = shared.run("build", COURSE_TORCH="")  # nothing is asked: what is there stays
    assert code == 0 and "Preparing" not in output


# What the environment files say


@pytest.fixture(scope="module")
def requirements():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    return [
        Requirement(line) for line in [*project["dependencies"], *extras["lab"], *extras["test"]]
    ]


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_constraints_pin_every_requirement_and_nothing_of_one_platform(requirements):
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pins = dict(line.split("==") for line in text.splitlines() if not line.startswith("#"))
    for requirement in requirements:
        assert requirement.specifier.contains(pins[canonical(requirement.name)]), requirement
    assert not [name for name in pins if name.startswith(("nvidia", "cuda", "triton"))]
    assert SpecifierSet(f"=={pins['torch']}").contains(pins["torch"] + "+cpu")
    for build in ("CPU", "CUDA"):
        assert re.search(rf"^# {build}: [\d.]+ GB to download, [\d.]+ GB on disk$", text, re.M)


def test_environment_yml_meets_every_requirement_so_that_pip_fetches_none(requirements):
    parsed = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert parsed["channels"] == ["conda-forge", "nodefaults"]
    conda = {
        re.split(r"[>=<]", line)[0]: line
        for line in parsed["dependencies"]
        if isinstance(line, str)
    }
    assert [line for line in parsed["dependencies"] if not isinstance(line, str)] == [
        {"pip": ["-e ."]}
    ]
    names = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
    for requirement in requirements:
        name = names.get(requirement.name, requirement.name)
        assert conda[name] == f"{name}{requirement.specifier}"
    python = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "requires-python"
    ]
    assert SpecifierSet(python).contains(conda["python"].removeprefix("python="))
    run = load_run()
    allowed = [(3, minor) for minor in range(6, 20) if SpecifierSet(python).contains(f"3.{minor}")]
    assert (allowed[0], allowed[-1]) == (run.OLDEST, run.NEWEST)
