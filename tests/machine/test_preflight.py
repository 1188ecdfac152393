"""Each trouble that the preflight names is made here, for real where a machine can do that, and mended by its fix."""

import datetime
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from course_utils import paths, runtime
from course_utils.errors import CourseError
from course_utils.learner import progress
from course_utils.machine import folders as places
from course_utils.machine import free_memory, lesson_costs, overview, preflight, software
from course_utils.machine import hardware as machine

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    """No settings, own folders, a notebook's folder."""
    for name in [name for name in os.environ if name.startswith("COURSE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COURSE_TIER", "smoke")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(ROOT / "notebooks")
    progress._folder.cache_clear()


def codes(probe):
    return [finding.code for finding in probe()]


def paste(fix):
    """Run the part of a fix that can be pasted."""
    exec(fix[fix.index("import os") :].split("   #")[0], {"os": os})


def packages(folder, **versions):
    """A folder with the metadata of packages and nothing else, for sys.path."""
    for name, version in versions.items():
        info = folder / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return str(folder)


# ---- the whole


def test_this_environment_is_fit_and_nobody_else_is_asked(capsys, monkeypatch):
    asked = []
    monkeypatch.setattr(places.urllib.request, "urlopen", lambda *_, **__: asked.append(1))
    found, failed = preflight.findings()
    assert failed == [] and asked == []
    assert [one.code for one in found if one.stops] == []
    preflight.report()
    assert "Fix this first" not in capsys.readouterr().out


def test_a_probe_that_fails_is_told_and_the_others_go_on(monkeypatch, capsys):
    def broken():
        raise RuntimeError("no such luck")

    monkeypatch.setattr(preflight, "PROBES", (broken, places.variables))
    monkeypatch.setenv("COURSE_TIER", "Laptop ")
    preflight.report()
    said = capsys.readouterr().out
    assert (
        "Not examined: broken. RuntimeError: no such luck" in said
        and "COURSE_TIER is 'Laptop '" in said
    )


def test_the_report_says_what_why_and_fix_and_what_stops_first(monkeypatch):
    monkeypatch.setenv("COURSE_TEIR", "gpu")
    monkeypatch.setenv("COURSE_STRICT", "1")
    monkeypatch.delenv("COURSE_TIER")
    monkeypatch.setattr(preflight, "PROBES", (places.variables,))
    said = "\n".join(preflight.lines(*preflight.findings()))
    assert re.search(
        r"Fix this first:\n- COURSE_STRICT.*\n  Why it matters: .+\n  Fix: .+\nGood to know", said
    )
    assert said.index("COURSE_STRICT is") < said.index("COURSE_TEIR")


def test_without_torch_it_reports_instead_of_raising(tmp_path):
    """In a Python whose torch cannot be imported, as on a machine where it is not installed."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(
        "raise OSError('libgomp.so.1: cannot open shared object file')"
    )
    done = report_with(tmp_path)
    assert (
        "does not start (OSError: libgomp.so.1" in done.stdout
        and "python3 run.py lab" in done.stdout
    )


@pytest.mark.parametrize("library", ["psutil", "httpx", "filelock", "certifi", "scipy"])
def test_without_a_library_it_reports_instead_of_raising(tmp_path, library):
    (tmp_path / f"{library}.py").write_text(f"raise ImportError('no {library} here')")
    done = report_with(tmp_path)
    assert ("Not examined: memory for lessons" in done.stdout) == (library == "psutil")


def report_with(folder):
    """Of a Python that finds what lies in the folder before anything else."""
    program = "from course_utils.machine import preflight\npreflight.report()"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done


# ---- software


def test_python_outside_the_range(monkeypatch):
    assert codes(software.python) == []
    for version in ((3, 10, 4, "final", 0), (3, 14, 0, "final", 0)):
        monkeypatch.setattr(sys, "version_info", version)
        assert codes(software.python) == ["python-version"]


def test_packages_that_are_missing_or_too_old(tmp_path, monkeypatch):
    assert codes(software.packages) == []
    monkeypatch.syspath_prepend(
        packages(tmp_path / "a", numpy="1.26.4", jupyterlab="4.2.0", ipython="7.34.0")
    )
    found = {finding.what: finding for finding in software.packages()}
    assert any("numpy 1.26.4 is installed; the course needs numpy>=2.0" in what for what in found)
    assert any(
        "jupyterlab 4.2.0" in what and one.why.startswith("It is used by JupyterLab")
        for what, one in found.items()
    )
    assert len(found) == 2  # Colab's IPython 7.34 is allowed
    monkeypatch.setattr(sys, "path", [packages(tmp_path / "b", torch="2.12.0"), str(ROOT)])
    missing = [finding.what for finding in software.packages()]
    assert any(what.startswith("transformers is not installed") for what in missing)
    assert not any("jupyterlab" in what for what in missing)  # the front end may be elsewhere


def test_an_installed_package_knows_its_requirements_without_the_repository(monkeypatch):
    before = software._requirements()
    monkeypatch.setattr(software, "_ROOT", Path("nowhere"))
    told = {"Requires-Python": before[0]}
    lines = [line.replace(" ; extra ==", "; extra ==") for line in before[1]]
    fake = SimpleNamespace(__getitem__=told.get, get_all=lambda name: lines)
    monkeypatch.setattr(software.metadata, "metadata", lambda name: type("M", (), {
        "__getitem__": lambda self, key: told[key], "get_all": lambda self, key: fake.get_all(key)})())  # fmt: skip
    assert codes(software.packages) == [] and codes(software.python) == []


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("signal", "word"), [("SIGILL", "illegal instruction"), ("SIGSEGV", "forbidden")]
)
def test_a_torch_that_ends_python_is_blamed_and_ends_only_a_child(
    signal, word, tmp_path, monkeypatch
):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(
        f"import os, signal\nos.kill(os.getpid(), signal.{signal})\n"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    code = "import course_utils.machine.preflight as p; p.report(); print('alive')"
    said = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "Fix this first" in said and word in said and said.endswith("alive\n")
    assert "not for want of memory" in said and "conda env create -f environment.yml" in said


def test_a_torch_that_works_or_merely_fails_is_no_death():
    assert codes(software.torch_lives) == []  # it is loaded here
    assert software._ends_by(software._FIRST_WORK) == ""
    assert software._ends_by("raise OSError('no libgomp')") == ""
    assert software._ends_by("import os; os.abort()") == ("an abort" if os.name != "nt" else "")


def test_a_pair_of_torch_and_torchvision_that_does_not_fit(tmp_path, monkeypatch):
    assert codes(software.torch_starts) == []
    info = (
        Path(packages(tmp_path, torchvision="0.20.0")) / "torchvision-0.20.0.dist-info" / "METADATA"
    )
    info.write_text(info.read_text() + "Requires-Dist: torch==2.5.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert codes(software.torch_starts) == ["torch-pair"]
    assert not software._made_for_each_other("2.5.0+cpu", "0.20.0+cu124")
    assert software._made_for_each_other("2.5.0+cpu", "0.20.0+cpu")


def test_widgets_without_their_other_half(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(
        packages(tmp_path, ipywidgets="8.1.5", jupyterlab="4.6.3", jupyterlab_widgets="1.1.0")
    )
    assert codes(software.front_end) == ["widgets-front-end"]
    monkeypatch.setattr(sys, "path", [packages(tmp_path / "x", ipywidgets="7.7.1"), str(ROOT)])
    assert codes(software.front_end) == []  # Colab: no JupyterLab here


def test_a_notebook_of_another_copy(tmp_path, monkeypatch):
    assert codes(software.which_copy) == []
    other = tmp_path / "another copy"
    for folder in ("course_utils", "notebooks"):
        (other / folder).mkdir(parents=True)
    (other / "course_utils" / "__init__.py").touch()
    monkeypatch.chdir(other / "notebooks")
    (finding,) = software.which_copy()
    assert finding.code == "other-copy" and f'python3 "{other / "run.py"}" lab' in finding.fix
    monkeypatch.chdir(tmp_path)
    assert codes(software.which_copy) == []  # a notebook somewhere else, as on Colab


def test_a_file_named_like_a_library(tmp_path, monkeypatch):
    assert codes(software.shadows) == []
    monkeypatch.chdir(tmp_path)
    (tmp_path / "random.py").touch()
    (tmp_path / "sklearn").mkdir()
    (tmp_path / "sklearn" / "__init__.py").touch()
    (tmp_path / "mine.py").touch()
    found = list(software.shadows())
    assert [finding.code for finding in found] == ["shadowed-library"] * 2
    assert {"random.py" in found[0].what, "sklearn" in found[1].what} == {True}


# ---- settings and places


@pytest.mark.parametrize(
    ("value", "meant"),
    [("GPU", "gpu"), ("labtop", "laptop"), ("cuda", "laptop"), (" smoke", "smoke")],
)
def test_an_unknown_tier_and_its_fix(value, meant, monkeypatch):
    monkeypatch.setenv("COURSE_TIER", value)
    with pytest.raises(CourseError):
        runtime.tier()
    (finding,) = places.variables()
    paste(finding.fix)
    assert runtime.tier() == meant and codes(places.variables) == []


def test_strict_and_misspelt_settings_and_their_fixes(monkeypatch):
    monkeypatch.setenv("COURSE_STRICT", "1")
    monkeypatch.setenv("COURSE_IMAGE", "here")
    monkeypatch.setenv("COURSE_IMAGES", "")  # so that it is put back whatever the fix below leaves
    monkeypatch.delenv("COURSE_IMAGES")
    monkeypatch.setenv("COURSE_NAME", "a course of someone else's")
    found = list(places.variables())
    assert [finding.code for finding in found] == ["strict", "variable-unknown"]
    for finding in found:
        paste(finding.fix)
    assert codes(places.variables) == [] and os.environ["COURSE_IMAGES"] == "here"
    monkeypatch.delenv("COURSE_IMAGES")


def test_the_list_of_settings_is_the_one_that_the_code_reads():
    text = "".join(
        path.read_text(encoding="utf-8")
        for path in [*ROOT.glob("course_utils/**/*.py"), ROOT / "run.py"]
    )
    read = set(re.findall(r"environ(?:\.get\(|\[)\"(COURSE_\w+)\"", text)) | set(
        re.findall(r"_folder\(\"(COURSE_\w+)\"", text)
    )
    assert read <= set(places.VARIABLES)


@pytest.mark.parametrize(("variable", "name"), [("COURSE_CACHE", "cache"), ("COURSE_RUNS", "runs")])
def test_a_folder_that_cannot_be_written_to(variable, name, tmp_path, monkeypatch):
    assert codes(places.folders) == []
    (tmp_path / "a file").write_text("in the way")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.setenv(variable, str(tmp_path / "a file" / name))
    (finding,) = places.folders()
    assert finding.code == f"{name}-not-writable"
    paste(finding.fix)
    assert codes(places.folders) == [] and os.environ[variable] == str(
        tmp_path / "home" / f"course-{name}"
    )


def test_a_shared_cache_that_can_only_be_read_is_no_trouble(tmp_path, monkeypatch):
    (tmp_path / "cache").mkdir()
    monkeypatch.setattr(paths, "can_write", lambda folder: folder != tmp_path / "cache")
    assert codes(places.folders) == ["cache-not-writable"]  # empty: nothing to share
    (tmp_path / "cache" / "aclImdb").mkdir()
    assert codes(places.folders) == []


def test_a_small_disk(tmp_path, monkeypatch):
    assert codes(places.disk) == []
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user cannot mount a small disk")
    try:
        monkeypatch.setenv("COURSE_RUNS", str(folder / "not" / "there yet"))
        (finding,) = places.disk()
        assert finding.code == "disk-small" and "0.1 GB free" in finding.what
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_at_tier_gpu_the_disk_must_hold_what_is_fetched(monkeypatch):
    monkeypatch.setenv("COURSE_TIER", "gpu")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=100e6))
    assert codes(places.disk) == ["disk-small", "disk-small"]


@pytest.mark.parametrize("trouble", ["folder", "no record"])
def test_a_progress_file_that_cannot_be_used(trouble, tmp_path):
    file = tmp_path / "runs" / progress.FILE
    file.parent.mkdir()
    assert codes(places.progress_file) == []
    file.mkdir() if trouble == "folder" else file.write_text("<<<<<<< HEAD\n")
    (finding,) = places.progress_file()
    assert finding.code == "progress-broken" and not finding.stops
    paste(finding.fix) if trouble == "folder" else progress.reset()
    assert codes(places.progress_file) == []


@pytest.mark.parametrize("trouble", ["missing", "cut", "one bit", "a pointer of git lfs"])
def test_damaged_weights(trouble, tmp_path, monkeypatch):
    assert codes(places.shipped_weights) == []
    copy = shutil.copytree(paths.checkpoints_dir(), tmp_path / "checkpoints")
    monkeypatch.setattr(paths, "checkpoints_dir", lambda: copy)
    file = copy / "vae_plane_10.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 4
    changed = {
        "cut": content[:-100],
        "one bit": content,
        "a pointer of git lfs": b"version https://git-lfs",
    }
    file.write_bytes(changed[trouble]) if trouble in changed else file.unlink()
    (finding,) = places.shipped_weights()
    assert "vae_plane_10" in finding.what and "git checkout -- data/checkpoints" in finding.fix


@pytest.mark.parametrize("variable", ["COURSE_IMAGES", "COURSE_REVIEWS"])
def test_own_data_that_is_not_there(variable, tmp_path, monkeypatch):
    for fine in ("standin", str(ROOT)):
        monkeypatch.setenv(variable, fine)
        assert codes(places.own_data) == []
    (tmp_path / "empty").mkdir()
    for wrong, words in (
        (tmp_path / "nowhere", "there is nothing"),
        (tmp_path / "empty", "folder is empty"),
    ):
        monkeypatch.setenv(variable, str(wrong))
        (finding,) = places.own_data()
        assert words in finding.what
    paste(finding.fix)
    assert variable not in os.environ and codes(places.own_data) == []


def test_data_that_another_user_owns(tmp_path, monkeypatch):
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("as another user, which needs root")
    (tmp_path / "cache" / "cifar10").mkdir(parents=True, mode=0o700)
    (tmp_path / "cache").chmod(0o777)
    monkeypatch.setattr(places.assets, "manifest", dict)
    for parent in (tmp_path, *list(tmp_path.parents)[:3]):
        parent.chmod(parent.stat().st_mode | 0o055)
    os.seteuid(54321)
    try:
        (finding,) = places.fetched_data()
    finally:
        os.seteuid(0)
    assert finding.code == "data-unreadable" and "Permission denied" in finding.what


def test_a_damaged_download_and_a_missing_one(tmp_path, capsys):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "aclImdb_v1.tar.gz").write_bytes(b"<html>login</html>")
    found = {finding.code: finding for finding in places.fetched_data()}
    assert (
        set(found) == {"data-damaged", "data-missing"}
        and 'assets.fetch("imdb")' in found["data-damaged"].fix
    )
    assert (
        tmp_path / "cache" / "quarantine" / "aclImdb_v1.tar.gz"
    ).is_file() and "damaged" in capsys.readouterr().out


def test_addresses_that_do_not_answer(monkeypatch):
    monkeypatch.setattr(places, "HUB", "http://127.0.0.1:9/")
    assert codes(places.network) == []  # only tier gpu fetches
    monkeypatch.setenv("COURSE_TIER", "gpu")
    monkeypatch.setattr(places, "_missing", list)
    (finding,) = places.network()
    assert "127.0.0.1:9" in finding.what and "lesson 4" in finding.why
    paste(finding.fix)
    assert codes(places.network) == []


def test_an_address_that_answers_with_an_error_is_there(monkeypatch):
    import http.server

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    monkeypatch.setattr(http.server.BaseHTTPRequestHandler, "log_message", lambda *_: None)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    assert (
        places._silent([f"http://127.0.0.1:{server.server_port}/"]) == []
    )  # 501, since it knows no HEAD
    server.shutdown()


def test_a_network_that_swallows_everything_is_not_waited_for(monkeypatch):
    asked, ended, answer = [], [], threading.Event()

    def swallow(request, **_):
        asked.append(request.full_url)
        answer.wait(600)
        ended.append(request.full_url)
        raise OSError

    monkeypatch.setattr(places, "ANSWER", 0.2)
    monkeypatch.setattr(places.urllib.request, "urlopen", swallow)
    assert places._silent(["http://a/", "http://b/"]) == ["http://a/", "http://b/"]
    assert sorted(asked) == ["http://a/", "http://b/"] and not ended
    answer.set()


# ---- the machine


def test_a_gpu_that_is_asked_for_and_absent(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(machine, "_has_nvidia", lambda: False)
    assert codes(machine.gpu) == []
    monkeypatch.setenv("COURSE_TIER", "gpu")
    (finding,) = machine.gpu()
    assert finding.code == "gpu-absent" and finding.stops
    paste(finding.fix)
    assert runtime.tier() == "laptop" and codes(machine.gpu) == []


def test_a_gpu_that_this_build_or_this_driver_cannot_use(monkeypatch):
    import warnings

    def too_old():
        warnings.warn(
            "The NVIDIA driver on your system is too old (found version 11040).", stacklevel=1
        )
        return False

    monkeypatch.setattr(machine, "_has_nvidia", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", too_old)
    monkeypatch.setattr(torch.version, "cuda", None)
    (finding,) = machine.gpu()
    assert finding.code == "gpu-unused" and "COURSE_TORCH=default python3 run.py lab" in finding.fix
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    (finding,) = machine.gpu()
    assert (
        finding.code == "gpu-driver"
        and "too old (found version 11040)" in finding.what
        and not finding.stops
    )


def test_a_gpu_that_does_not_compute(monkeypatch):
    if torch.cuda.is_available():
        assert codes(machine.gpu) == []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "Old card")
    monkeypatch.setattr(
        torch, "ones", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("no kernel image"))
    )
    (finding,) = machine.gpu()
    assert (
        finding.code == "gpu-broken"
        and "Old card" in finding.what
        and "no kernel image" in finding.what
    )


def test_threads_against_what_a_container_may_use(monkeypatch):
    monkeypatch.setattr(machine, "_cores", lambda: set(range(16)))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 16)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for share, expected in (
        (None, []),
        (16.0, []),
        (2.0, ["threads-many"]),
        (0.5, ["threads-many"]),
    ):
        monkeypatch.setattr(machine, "_share", lambda share=share: share)
        assert codes(machine.threads) == expected
    monkeypatch.setattr(machine, "_share", lambda: None)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert codes(machine.threads) == []  # the learner's own choice inside the notebook
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert codes(machine.threads) == ["threads-few"]


def test_memory_less_than_a_lesson_was_measured_to_need(monkeypatch):
    assert free_memory.here() is None or free_memory.here() > 1 << 20
    monkeypatch.setattr(free_memory, "on_machine", lambda: None)
    assert codes(machine.memory_for_lessons) == []
    monkeypatch.setattr(free_memory, "here", lambda: 2 << 30)
    monkeypatch.setenv("COURSE_TIER", "laptop")
    (finding,) = machine.memory_for_lessons()
    assert "lesson 4 (" in finding.what and "lesson 1 (" not in finding.what
    rows = {row[0].split(".")[0]: row for row in overview.lessons(runtime.setup(quiet=True))}
    assert rows["4"][-1] == "too little memory" and rows["1"][-1] == "yes"


def test_a_clock_that_stands_in_the_past(monkeypatch):
    assert codes(machine.clock) == []
    later = datetime.date.today() + datetime.timedelta(days=30)
    monkeypatch.setattr(lesson_costs, "newest_day", lambda: later)
    assert codes(machine.clock) == ["clock-behind"]


# ---- the tables of lesson 00


def test_the_tables_say_what_is_here(tmp_path, monkeypatch, capsys):
    run = runtime.setup(quiet=True)
    overview.show_machine(run)
    overview.show_lessons(run)
    said = capsys.readouterr().out
    assert f"torch {torch.__version__.split('+')[0]}" in said and str(run.threads) in said
    assert overview.data_here("smoke")["images"] == "stand-in"
    (tmp_path / "cache" / "cifar10").mkdir(parents=True)
    assert overview.data_here("laptop") == {
        "images": "CIFAR-10",
        "reviews": "stand-in",
        "encoder": "stand-in encoder",
    }
    assert [row[-1] for row in overview.lessons(run)].count("yes, on a stand-in") >= 4
