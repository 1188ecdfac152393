"""A runtime like Colab's, for tests: a Python with torch and the rest preinstalled, where the course is not installed.

What this environment has is linked into a folder that stands for Colab's; each runtime is a new environment on top of
it, so that pip could shadow the preinstalled packages but never touch the real ones.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import nbformat
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
COURSE = re.compile(r"_?(__editable__.*)?generative_ai_course.*|course_utils")
FAKE_DRIVE = '''
from pathlib import Path


def mount(place):
    """As google.colab.drive.mount: the user's files are then in the folder MyDrive."""
    (Path(place) / "MyDrive").mkdir(parents=True, exist_ok=True)
'''


def preinstall(folder: Path) -> Path:
    """Link all packages of this environment into a folder, without the course."""
    folder.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if COURSE.fullmatch(path.name) or path.name == "__pycache__":
            continue
        if path.is_file():
            shutil.copy2(path, folder)
        elif os.name == "nt":
            import _winapi

            _winapi.CreateJunction(str(path), str(folder / path.name))
        else:
            (folder / path.name).symlink_to(path, target_is_directory=True)
    return folder


def make_wheel(folder: Path) -> Path:
    """The course as a wheel, which stands for its public address."""
    try:
        import hatchling  # noqa: F401

        isolation = ["--no-build-isolation"]
    except ImportError:
        isolation = []
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        *isolation,
        "--wheel-dir",
        str(folder),
    ]
    subprocess.run([*command, str(ROOT)], check=True)
    (wheel,) = folder.glob("generative_ai_course-*.whl")
    return wheel


class Runtime:
    """One runtime: a bare working folder, a Python, and what Colab has in it before a notebook starts."""

    def __init__(self, folder: Path, preinstalled: Path) -> None:
        self.content = folder / "content"
        self.content.mkdir(parents=True)
        venv.create(folder / "python", with_pip=False, symlinks=os.name != "nt")
        names = {"base": str(folder / "python"), "platbase": str(folder / "python")}
        self.packages = Path(sysconfig.get_path("purelib", "venv", names))
        self.python = Path(sysconfig.get_path("scripts", "venv", names)) / Path(sys.executable).name
        colab = self.packages / "google" / "colab"
        colab.mkdir(parents=True)
        (colab / "__init__.py").touch()
        (colab / "drive.py").write_text(FAKE_DRIVE)
        (self.packages / "colab.pth").write_text(f"{preinstalled}\nimport google.colab\n")

    def environment(self) -> dict[str, str]:
        """The caller's environment without what belongs to the course or to another Python; without an index."""
        env = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("COURSE_", "PYTHON", "PIP_", "MPL"))
        }
        quiet = {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "HF_HUB_OFFLINE": "1"}
        return env | quiet | {"COURSE_TIER": "smoke"}

    def pip_freeze(self) -> list[str]:
        """What pip lists, the course excepted."""
        command = [str(self.python), "-m", "pip", "list", "--format=freeze"]
        told = subprocess.run(
            command, env=self.environment(), check=True, capture_output=True, text=True
        )
        return [
            line
            for line in told.stdout.splitlines()
            if not line.startswith("generative-ai-course==")
        ]

    def run(self, notebook: nbformat.NotebookNode, **environment: str) -> nbformat.NotebookNode:
        """Execute all cells in the bare folder, as Colab's *Run all* does."""
        spec = KernelSpec(**get_kernel_dict())
        spec.argv[0] = str(self.python)

        class Manager(AsyncKernelManager):
            kernel_spec = spec

        client = NotebookClient(
            notebook, kernel_manager_class=Manager, timeout=300, store_widget_state=False
        )
        with client.setup_kernel(env=self.environment() | environment, cwd=str(self.content)):
            for number, cell in enumerate(notebook.cells):
                client.execute_cell(cell, number)
        return notebook


def inventory(folder: Path) -> dict[str, list[int]]:
    """Size and time of every file below a folder and what it links to; without the caches that Python writes."""
    found = {}
    for place, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in files:
            status = os.stat(os.path.join(place, name))
            path = os.path.relpath(os.path.join(place, name), folder)
            found[path] = [status.st_size, status.st_mtime_ns]
    return found
