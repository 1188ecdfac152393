"""The course's commands: ``python3 run.py lab | progress | test | build | slides | bench``.

The first start makes ``.venv`` beside this file and installs the course into it; later starts find it ready.
Standard library only. The syntax stays that of Python 3.6, so that an older Python can say that it is too old.
"""

import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen
from xml.etree import ElementTree

OLDEST, NEWEST = (3, 11), (3, 13)  # as in pyproject.toml
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "course-ready.json"  # written last: without it the installation did not finish
RECORDS = ROOT / "build" / "test"  # what the last `run.py test` ran, for its summary
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
USAGE = """usage: python3 run.py COMMAND [ARGUMENTS]
  lab    open the course in JupyterLab; arguments go to it: --no-browser --port 9999
  progress  show what is solved, open and next; --export FILE, --import FILE (another machine's), --reset
  test   run everything that CI runs; --quick: what takes two minutes, for while you work;
         with other arguments only pytest: tests/datasets/test_images.py -k grey
  build  write the notebooks from notebooks/source; --check only compares
  slides make slides of lessons in build/slides: slides 01 02
  bench  time the course's training beside textbook loops (10 minutes): dcgan vae --sweep --quality --busy
The first start makes .venv and installs the course into it.
COURSE_TORCH=cpu, default or the address of a package index chooses PyTorch's build.
COURSE_CONSTRAINTS=none takes the newest releases of all packages instead of the tested ones."""
OTHER_PYTHON = """install Python 3.12 from https://www.python.org/downloads/ and start run.py with it,
or use conda: conda env create -f environment.yml"""


class Problem(Exception):
    """Something the user can mend: what is wrong, and what to do."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__("{}\nFix: {}".format(what, fix.replace("\n", "\n     ")))


def starts(python: str, code: str) -> bool:
    """Whether a Python starts and runs a line of code."""
    try:
        command = [python, "-c", code]
        return not subprocess.call(command, env=environment(), stderr=subprocess.DEVNULL)
    except OSError:
        return False


def check_python() -> None:
    """Refuse a Python that the course cannot run on, and name one on this machine that it can."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return
    names = [f"python3.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
    found = [name for name in names if shutil.which(name) and starts(name, "")]
    raise Problem(
        "This is Python {}.{}.{} ({}); the course needs 3.11 to 3.13.".format(
            *sys.version_info[:3], sys.executable
        ),
        " ".join(map(shlex.quote, [found[0], *sys.argv])) if found else OTHER_PYTHON,
    )


def environment() -> dict:
    """The caller's environment with .venv first, and without what would mix other packages into it."""
    foreign = ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET")
    env = {name: value for name, value in os.environ.items() if name not in foreign}
    path = os.pathsep.join([str(PYTHON.parent), env.get("PATH", "")])
    if (
        "OMP_WAIT_POLICY" not in env
    ):  # as course_utils says, here for notebooks that import torch first
        env["OMP_WAIT_POLICY"] = "passive"
        env.setdefault("GOMP_SPINCOUNT", "10000")
    return dict(env, VIRTUAL_ENV=str(VENV), PATH=path, PYTHONNOUSERSITE="1", PIP_USER="0")


def call(command: list, **options: object) -> "tuple[int, str]":
    """Run a command in the course's folder. Returns its exit code and, where it is piped, its stderr."""
    process = subprocess.Popen(command, **dict({"env": environment(), "cwd": str(ROOT)}, **options))
    errors = []
    try:
        for line in process.stderr or ():
            sys.stderr.write(line)
            errors.append(line)
        return process.wait(), "".join(errors)
    except KeyboardInterrupt:  # the terminal interrupts the command too: let it clean up
        for stop in (process.terminate, process.kill):
            try:
                process.wait(timeout=5)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                stop()
        raise


def answers(index: str) -> bool:
    """Whether a package index has PyTorch and says so within seconds."""
    try:
        with urlopen(index + "/torch/", timeout=5) as reply:
            return reply.status == 200
    except (OSError, ValueError):
        return False


def has_nvidia_driver() -> bool:
    """Whether a build of PyTorch with CUDA could find a GPU here."""
    return bool(shutil.which("nvidia-smi")) or Path("/proc/driver/nvidia/version").exists()


def forced_index() -> "str | None":
    """The package index that COURSE_TORCH asks for: '' is pip's own one, None leaves the choice to this file."""
    forced = os.environ.get("COURSE_TORCH", "").rstrip("/")
    index = {"": None, "default": "", "cpu": CPU_INDEX}.get(forced, forced)
    if index and "://" not in index:
        raise Problem(
            f"COURSE_TORCH={forced} is none of: cpu, default, the address of a package index.",
            "unset it.",
        )
    return index


def newest() -> bool:
    """Whether COURSE_CONSTRAINTS asks for the newest releases instead of those of constraints.txt."""
    asked = os.environ.get("COURSE_CONSTRAINTS", "")
    if asked not in ("", "none"):
        raise Problem(
            f"COURSE_CONSTRAINTS={asked} is not known.", "COURSE_CONSTRAINTS=none, or unset it."
        )
    return asked == "none"


def choose_index() -> str:
    """The extra package index for PyTorch; on Linux without an NVIDIA driver it is the one of the small CPU build."""
    index = forced_index()
    if index and not answers(index):
        raise Problem(
            f"COURSE_TORCH asks for {index}, which does not answer.", "mend or unset COURSE_TORCH."
        )
    if index is not None:
        return index
    if not sys.platform.startswith("linux") or has_nvidia_driver():
        return ""
    if answers(CPU_INDEX):
        print(f"No NVIDIA driver here: taking PyTorch's CPU build from {CPU_INDEX}.")
        return CPU_INDEX
    print(
        f"{CPU_INDEX} does not answer: taking PyTorch from pip's own index, a larger build that runs on a CPU too."
    )
    return ""


def check_disk(index: str) -> str:
    """Refuse a disk that is too full for the sizes that constraints.txt records; returns them as a sentence."""
    build = "CUDA" if sys.platform.startswith("linux") and "cpu" not in index else "CPU"
    pattern = rf"^# {build}: ([\d.]+) GB to download, ([\d.]+) GB on disk"
    sizes = re.search(pattern, (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    download, installed = map(float, sizes.groups()) if sizes else (0.0, 0.0)
    # pip keeps every download until the end, and a copy in its cache under HOME
    with contextlib.suppress(OSError):
        same_disk = os.stat(os.path.expanduser("~")).st_dev == os.stat(str(VENV)).st_dev
        need = installed + download * (2 if same_disk else 1)
        free = shutil.disk_usage(str(VENV)).free / 1e9
        if free < need:
            raise Problem(
                f"The disk of {ROOT} has {free:.1f} GB free; the installation needs {need:.1f} GB.",
                "delete something there (`pip cache purge` often frees much), or move the course's folder.",
            )
    return (
        f"up to {download:.1f} GB to download ({download * 8000 / 50 / 60:.0f} min at 50 Mbit/s, "
        f"then up to 4 min to unpack), {installed:.1f} GB on disk"
    )


def explain(errors: str) -> Problem:
    """What stands behind pip's words."""
    again = "then start the same command again; what is downloaded already is kept."
    if re.search(r"No space left|Errno 28|WinError 112", errors):
        return Problem(
            f"The disk of {ROOT} is full.",
            "free some GB (`pip cache purge` often frees much), " + again,
        )
    if re.search(
        r"[Cc]onnection|Connect|Timeout|timed out|ProxyError|SSLError|IncompleteRead", errors
    ):
        return Problem(
            "The package index cannot be reached, or the connection broke (see pip's lines above).",
            "check the network (behind a proxy: set HTTPS_PROXY), " + again,
        )
    if "No matching distribution" in errors:
        return Problem(
            "A package has no build for this machine (see pip's lines above).",
            "PyTorch needs a 64-bit Python on Linux, Windows, or a Mac with an Apple chip.",
        )
    return Problem(
        "The installation failed (see the lines above).",
        "start the same command again; if that fails too: conda env create -f environment.yml",
    )


def install(fresh: bool, index: str) -> None:
    """Make .venv when ``fresh``, and install the course into it."""
    piped = {
        "stderr": subprocess.PIPE,
        "universal_newlines": True,
        "errors": "replace",
        "close_fds": False,
    }
    temporary = VENV / "tmp"  # not /tmp, which may be small: pip keeps gigabytes there
    try:
        VENV.mkdir(exist_ok=True)
        for entry in VENV.iterdir() if fresh else [STAMP]:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(str(entry))
            else:
                entry.unlink()
        temporary.mkdir(exist_ok=True)
    except OSError as error:
        raise Problem(
            f"{VENV} cannot be written to ({error}).",
            "close programs that use it, or copy the course's folder to where you may write.",
        ) from None
    sizes = "what changed"
    if fresh:
        sizes = check_disk(index)
        print("[1/2] Making .venv with Python {}.{}.{}".format(*sys.version_info[:3]))
        base = getattr(sys, "_base_executable", None) or sys.executable
        code, errors = call([base, "-m", "venv", str(VENV)], **piped)
        if code:
            raise explain(errors)
    print(f"[2/2] Installing the course: {sizes}")
    extra = ["--extra-index-url", index] if index else []
    piped["env"] = dict(
        environment(), TMPDIR=str(temporary), TEMP=str(temporary), TMP=str(temporary)
    )
    pip = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    chosen = (
        ["--upgrade", "--upgrade-strategy", "eager"]
        if newest()
        else ["--constraint", "constraints.txt"]
    )
    code, errors = call([*pip, *extra, *chosen, "--editable", ".[lab,test]"], **piped)
    if code:
        raise explain(errors)
    shutil.rmtree(str(temporary), ignore_errors=True)


def fetch_texts() -> None:
    """Fetch the real text and the pre-trained encoder with the environment, so that a class needs no network later."""
    print("Fetching 90 MB of film reviews and a pre-trained encoder for the lessons on text.")
    if call([str(PYTHON), "-m", "course_utils.assets", "--setup"])[0]:
        print(
            "They could not be fetched: these lessons say so and use stand-ins. To try again later:\n"
            f"  {shlex.quote(str(PYTHON))} -m course_utils.assets --setup"
        )


@contextlib.contextmanager
def alone() -> "object":
    """One installation at a time: a second start waits for the first one, or for a pip that it left behind."""
    with open(__file__) as file:
        with contextlib.suppress(ImportError, OSError):  # Windows, and network drives without locks
            import fcntl

            os.set_inheritable(file.fileno(), True)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print("Another start is installing at this moment: waiting for it.")
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def why_not_ready(stamp: dict, wanted: dict) -> str:
    """Why .venv has to be made (again); '' when it can stay."""
    if not VENV.exists():
        return "there is none yet"
    if not stamp:
        return "the last installation did not finish"
    if stamp.get("folder") != wanted["folder"]:
        return "the course's folder was moved or copied"
    if stamp["python"] != wanted["python"]:
        return "it was made with Python " + stamp["python"]
    if forced_index() not in (None, stamp["torch"]):
        return "COURSE_TORCH asks for another build of PyTorch"
    return "" if starts(str(PYTHON), "import pip") else "its Python does not start any more"


def prepare() -> None:
    """Make .venv ready, or see at once that it is."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        raise Problem(
            "This Python cannot make environments: its venv module is missing or not complete.",
            f"on Debian or Ubuntu: sudo apt install python3.{sys.version_info[1]}-venv\nelse {OTHER_PYTHON}",
        ) from None
    pins = b"newest" if newest() else (ROOT / "constraints.txt").read_bytes()
    packages = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + pins)
    wanted = {
        "python": "{}.{}".format(*sys.version_info),
        "folder": str(ROOT),
        "packages": packages.hexdigest(),
    }
    with alone():
        try:
            stamp = json.loads(STAMP.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            stamp = {}
        why = why_not_ready(stamp, wanted)
        if why or stamp["packages"] != wanted["packages"]:
            print(
                f"Preparing {VENV}: {why or 'pyproject.toml, COURSE_CONSTRAINTS or constraints.txt changed'}."
            )
            wanted["torch"] = choose_index() if why else stamp["torch"]
            install(bool(why), wanted["torch"])
            fetch_texts()
            STAMP.write_text(json.dumps(wanted), encoding="utf-8")
            print("Ready.")


def start_page() -> str:
    """Where JupyterLab opens: the first lesson, until a check has recorded progress; then where it was left."""
    sys.path.insert(0, str(ROOT))  # which Python leaves out when it is told to (PYTHONSAFEPATH)
    from course_utils.learner.progress import path  # standard library only, like this file

    lessons = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    begun = path().exists() or not lessons
    return "/lab" if begun else "/lab/tree/notebooks/" + quote(lessons[0].name)


def check_root(arguments: list) -> None:
    """Refuse to start JupyterLab as root before minutes go into installing: JupyterLab itself would refuse then."""
    root = getattr(os, "geteuid", lambda: 1)() == 0
    if root and not any("allow-root" in each or "allow_root" in each for each in arguments):
        again = " ".join(shlex.quote(each) for each in [*sys.argv, "--allow-root"])
        raise Problem(
            "You are root, the user that may do everything, and so may every cell of a notebook: JupyterLab "
            "does not start like this unless it is asked to.",
            f"python3 {again}   # fine in a container or on a machine for this course alone\n"
            "elsewhere: start it as your usual user, who has to own the course's folder",
        )


def lab(arguments: list) -> int:
    """Open JupyterLab on the course, on this machine only and with its token."""
    own = ["--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={ROOT}"]
    own.append(f"--LabApp.default_url={start_page()}")
    command = [str(PYTHON), "-m", "jupyterlab", *own, *arguments]
    if os.name == "nt":
        return call(command)[0]
    os.chdir(str(ROOT))
    # JupyterLab takes this process's place, and its Ctrl-C
    return os.execve(str(PYTHON), command, environment())


def workers() -> int:
    """How many tests run at once: one on each core, as far as 2 GB of memory for each go."""
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    with contextlib.suppress(AttributeError, OSError, ValueError):  # Windows has no sysconf
        cores = min(cores, int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2e9))
    return max(1, cores)


def stages(quick: bool) -> "dict[str, list]":
    """What CI runs: each stage's commands. Quick is what fits into two minutes of one's work."""
    pytest = ["pytest", "-n", str(workers()), "--no-loadscope-reorder", "-o", "junit_family=xunit1"]
    tests = [*pytest, "--dist", "loadgroup", "--junitxml", str(RECORDS / "tests.xml")]
    notebooks = [*pytest, "--dist", "loadfile", "--junitxml", str(RECORDS / "notebooks.xml")]
    notebooks += ["-p", "no:cacheprovider", "--nbval-lax", "--nbval-current-env"]
    notebooks += ["--without-network", "notebooks"]
    found = {
        "style": [["ruff", "check"], ["ruff", "format", "--check"]],
        "types": [["mypy"]],
        "drift": [["course_utils.authoring.build", "--check"]],
        "tests": [[*tests, "-m", "not slow"] if quick else tests],
    }
    return found if quick else dict(found, notebooks=[notebooks])


def test(arguments: list) -> int:
    """Run everything that CI runs, every stage even when one failed; with arguments only pytest."""
    if arguments not in ([], ["--quick"]):
        return call([str(PYTHON), "-m", "pytest", *arguments])[0]
    shutil.rmtree(str(RECORDS), ignore_errors=True)
    summary, failed = [], False
    for name, commands in stages(quick=bool(arguments)).items():
        codes, start = [], time.monotonic()
        for command in commands:
            print(f"\n== {name}: python -m {' '.join(command)}")
            codes.append(call([str(PYTHON), "-m", *command])[0])
        failed = failed or any(codes)
        result, seconds = "FAILED" if any(codes) else "passed", time.monotonic() - start
        summary.append(f"{name:10} {result} {seconds:7.1f} s")
    print("\n".join(["", *told_of_tests(), "", *summary]))
    return int(failed)


def told_of_tests() -> list:
    """The lines that say which tests took longest, and which were skipped and why."""
    seconds, skipped = [], {}
    for record in sorted(RECORDS.glob("*.xml")):
        for case in ElementTree.parse(str(record)).iter("testcase"):
            seconds.append((float(case.get("time")), f"{case.get('file')}::{case.get('name')}"))
            for skip in case.iter("skipped"):
                skipped.setdefault(skip.get("message"), []).append(case.get("file"))
    lines = [f"The longest of {len(seconds)} tests and cells:"]
    lines += [f"{time:7.1f} s  {name}" for time, name in sorted(seconds, reverse=True)[:10]]
    lines.append(f"Skipped: {sum(map(len, skipped.values())) or 'none'}")
    for why, files in sorted(skipped.items()):
        lines.append(f"{len(files):7}    {why} ({', '.join(sorted(set(files)))})")
    return lines


def build(arguments: list) -> int:
    """Write the notebooks from their sources."""
    return call([str(PYTHON), "-m", "course_utils.authoring.build", *arguments])[0]


def bench(arguments: list) -> int:
    """Time the course's training beside textbook loops, in turn on this machine."""
    return call([str(PYTHON), "-m", "measuring.benchmarks.bench", *arguments])[0]


def slides(arguments: list) -> int:
    """Make slides of lessons."""
    return call([str(PYTHON), "-m", "course_utils.authoring.slides", *arguments])[0]


def progress(arguments: list) -> int:
    """Show a learner's progress, move it, or begin anew; files are named from the folder where the user is."""
    command = [str(PYTHON), "-P", "-m", "course_utils.learner.progress_report", *arguments]
    return call(command, cwd=os.getcwd())[0]


def main(arguments: list) -> int:
    """Run the command that the arguments name."""
    check_python()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace", line_buffering=True)
    named = (lab, progress, test, build, slides, bench)
    commands = {command.__name__: command for command in named}
    if not arguments or arguments[0] not in commands:
        print(USAGE)
        return 0 if not arguments or arguments[0] in ("-h", "--help") else 2
    # the same clean end for Ctrl-C and for a plain kill
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if arguments[0] == "lab":
        check_root(arguments)
    prepare()
    return commands[arguments[0]](arguments[1:])


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Problem as problem:
        sys.exit(f"\n{problem}")
    except KeyboardInterrupt:
        print("\nStopped. The same command again goes on; what is downloaded already is kept.")
        sys.exit(130)
