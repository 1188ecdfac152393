"""What may be wrong with the software: Python, packages, the front end, another copy of the course."""

import importlib
import os
import platform
import signal
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import course_utils
from course_utils.machine.finding import Finding

NAME = "generative-ai-course"
_LESSONS = {
    "transformers": "lessons 4, 5 and 7",
    "accelerate": "lesson 4, and training by several processes",
    "scikit-learn": "lessons 4 and 7",
    "ipywidgets": "every widget",
}
_IMPORTED_AS = {"pillow": "PIL", "scikit-learn": "sklearn", "ipython": "IPython"}
_ROOT = Path(course_utils.__file__).resolve().parents[1]


def python() -> Iterator[Finding]:
    """A Python outside the range of the course."""
    from packaging.specifiers import SpecifierSet

    wanted, _ = _requirements()
    version = ".".join(map(str, sys.version_info[:3]))
    if not SpecifierSet(wanted).contains(version):
        yield Finding(
            "python-version",
            f"This kernel runs Python {version}; the course needs {wanted}.",
            "PyTorch has no build for other ones, and the lessons use what older ones do not have.",
            "install Python 3.12 from https://www.python.org/downloads/, then: python3 run.py lab",
        )


def packages() -> Iterator[Finding]:
    """Packages that are missing, too old or too new; what only JupyterLab needs is asked only where that is here."""
    from packaging.requirements import Requirement

    for line in _requirements()[1]:
        wanted = Requirement(line)
        extra = "extra" in str(wanted.marker)
        if wanted.marker and not any(
            wanted.marker.evaluate({"extra": name}) for name in ("", "lab")
        ):
            continue
        version = _version(wanted.name)
        if version is None and extra:
            continue
        if version is None or not wanted.specifier.contains(version, prereleases=True):
            has = (
                f"{wanted.name} {version} is installed"
                if version
                else f"{wanted.name} is not installed"
            )
            yield Finding(
                "package-version" if version else "package-missing",
                f"{has}; the course needs {wanted.name}{wanted.specifier}.",
                f"It is used by {_LESSONS.get(wanted.name, 'JupyterLab itself' if extra else 'every lesson')}.",
                _install(f"{wanted.name}{wanted.specifier}"),
            )


def torch_lives() -> Iterator[Finding]:
    """A PyTorch that ends Python itself; tried in a process of its own, whose end tells what this one's would not.

    A processor without an instruction that PyTorch was built for ends it without a word, which a notebook shows as a
    kernel that died, and so as a lack of memory.
    """
    if _version("torch") is None or "torch" in sys.modules:  # missing, or alive and well here
        return
    died = _ends_by(_FIRST_WORK)
    if not died:
        return
    old = died == "an illegal instruction"
    yield Finding(
        TORCH_DIES,
        f"torch {_version('torch')} ends Python with {died} on this processor ({platform.machine()}).",
        "Every lesson would say that the kernel died, which is not for want of memory. Nothing else was examined.",
        _OLD_PROCESSOR
        if old
        else "start the course with: python3 run.py lab (its environment was tested); if that "
        "does not help: conda env create -f environment.yml",
    )


TORCH_DIES = "torch-dies"
_OLD_PROCESSOR = (
    "conda env create -f environment.yml (conda-forge's build runs on older processors), or Google Colab; in a "
    "virtual machine: let it have the host's own processor type"
)
_FIRST_WORK = (
    "import torch; torch.ones(64, 64) @ torch.ones(64, 64); "
    "torch.nn.functional.conv2d(torch.ones(2, 3, 16, 16), torch.ones(8, 3, 4, 4))"
)
_DEATHS = {
    -signal.SIGILL: "an illegal instruction",
    -signal.SIGSEGV: "a forbidden access to memory",
    -signal.SIGABRT: "an abort",
    0xC000001D: "an illegal instruction",  # Windows tells it as a number of its own
    0xC0000005: "a forbidden access to memory",
}


def _ends_by(code: str) -> str:
    """What ends a Python that runs this code, ``""`` where it ends by itself, with an error or without."""
    command = [sys.executable, "-c", code]
    try:
        done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired):  # a slow machine: the lesson will show
        return ""
    return _DEATHS.get(done.returncode, "")


def torch_starts() -> Iterator[Finding]:
    """A PyTorch that is installed and does not start, or a torchvision that was made for another one."""
    if _version("torch") is None:
        return  # `packages` has said so
    fix = "start the course with: python3 run.py lab (its environment holds a pair that was tested)"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # a driver that is too old is told by `preflight_machine.gpu`
            importlib.import_module("torch")
    except Exception as error:  # a missing system library, say
        words = " ".join(str(error).split())[:160]
        windows = "install https://aka.ms/vs/17/release/vc_redist.x64.exe, then restart the kernel"
        yield Finding(
            "torch-broken",
            f"torch {_version('torch')} does not start ({type(error).__name__}: {words}).",
            "No lesson runs without it.",
            windows if sys.platform == "win32" and isinstance(error, OSError) else fix,
        )
    torch, vision = _version("torch"), _version("torchvision")
    if torch is not None and vision is not None and not _made_for_each_other(torch, vision):
        yield Finding(
            "torch-pair",
            f"torchvision {vision} was made for another PyTorch than {torch}.",
            "Lesson 6 stops when it blurs pictures, and BERT may not load in lessons 4 and 7.",
            fix,
        )


def front_end() -> Iterator[Finding]:
    """Widgets that this JupyterLab cannot draw, since their other half is missing or of another generation."""
    lab, ours, theirs = map(_version, ("jupyterlab", "ipywidgets", "jupyterlab_widgets"))
    if lab is None or ours is None:
        return  # the front end is elsewhere: Colab, a hub, an editor. Lesson 00's widget shows whether it draws.
    wanted = "3" if ours.split(".")[0] == "8" else "1"
    if theirs is None or theirs.split(".")[0] != wanted:
        yield Finding(
            "widgets-front-end",
            f"ipywidgets {ours} has no front end in this JupyterLab (jupyterlab_widgets: {theirs or 'not installed'}).",
            "Widgets of lessons 0 to 6 show as text such as `HBox(children=...)`; their printed twins remain.",
            f"{_install(f'jupyterlab_widgets=={wanted}.*')}, stop JupyterLab, start it again and reload the page",
            stops=False,
        )


def which_copy() -> Iterator[Finding]:
    """A notebook of one copy of the course that runs on the package of another one."""
    for folder in (Path.cwd(), *Path.cwd().parents):
        beside = folder / "course_utils" / "__init__.py"
        if beside.is_file():
            if not beside.samefile(course_utils.__file__):
                yield Finding(
                    "other-copy",
                    f"This notebook belongs to {folder}, and its kernel uses the course in {_ROOT}.",
                    "Text and checks of two versions do not fit together, and data is looked for in the other one.",
                    f"stop JupyterLab, then start it from this copy: python3 {_quoted(folder / 'run.py')} lab",
                )
            return


def shadows() -> Iterator[Finding]:
    """Files of the learner's that are named like a library, and are imported in its place."""
    libraries = {*sys.stdlib_module_names, "course_utils"}
    for line in _requirements()[1]:
        name = line.split(";")[0].split(">")[0].split("[")[0].strip()
        libraries.add(_IMPORTED_AS.get(name, name))
    here = Path.cwd()
    for path in sorted([*here.glob("*.py"), *here.glob("*/__init__.py")]):
        name = path.stem if path.name != "__init__.py" else path.parent.name
        if name in libraries and not path.resolve().is_relative_to(_ROOT / "course_utils"):
            shown = path if path.name != "__init__.py" else path.parent
            yield Finding(
                "shadowed-library",
                f"{shown.name} in this folder has the name of a library.",
                f"`import {name}` reads it instead of the library, in every notebook of this folder.",
                f"rename it, delete __pycache__ beside it, and restart the kernel: {shown.stem} -> my_{shown.stem}",
            )


def _requirements() -> tuple[str, list[str]]:
    """The range of Python and the requirements, from ``pyproject.toml`` or, installed, from the package's metadata."""
    file = _ROOT / "pyproject.toml"
    if file.is_file():
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        lab = [f'{line} ; extra == "lab"' for line in project["optional-dependencies"]["lab"]]
        return project["requires-python"], [*project["dependencies"], *lab]
    told = metadata.metadata(NAME)
    return told["Requires-Python"], told.get_all("Requires-Dist") or []


def _made_for_each_other(torch: str, vision: str) -> bool:
    """Whether torchvision's own metadata accepts this PyTorch, and both have the same build (``cpu``, ``cu128``)."""
    from packaging.requirements import Requirement

    asked = [Requirement(line) for line in metadata.requires("torchvision") or []]
    builds = {version.partition("+")[2] for version in (torch, vision)} - {""}
    fits = all(
        wanted.specifier.contains(torch, prereleases=True)
        for wanted in asked
        if wanted.name == "torch"
    )
    return fits and len(builds) < 2


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _install(requirement: str) -> str:
    """How to install something: by run.py where its environment is there and not in use, else by pip."""
    environment = _ROOT / ".venv"
    if environment.is_dir() and Path(sys.prefix).resolve() != environment.resolve():
        return f"this kernel is not the course's own ({sys.prefix}); stop JupyterLab, then: python3 run.py lab"
    return f'%pip install "{requirement}" in a cell of its own, then restart the kernel'


def _quoted(path: Path) -> str:
    return f'"{path}"' if " " in str(path) else os.fspath(path)
