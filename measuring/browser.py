"""A lesson in a real browser, as a learner has it: JupyterLab on a copy of the notebooks, every cell run.

Needs the extra ``browser`` (Playwright) and an installed Chromium, Chrome or Edge; COURSE_BROWSER names another one.
"""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import nbformat

from course_utils.authoring import notebook as nb
from course_utils.authoring.source import find_sources

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
BUSY = '.jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook-ExecutionIndicator[data-status="busy"]'
"""Is on a page of JupyterLab while the open notebook's kernel works."""
_QUEUED = '.jp-NotebookPanel:not(.lm-mod-hidden) .jp-InputPrompt:text-is("[*]:")'
_FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def copy_lessons(root: Path, folder: Path) -> list[str]:
    """Write the learner notebooks of all sources, without outputs, below ``folder``; returns the lessons' names."""
    (folder / "notebooks").mkdir(parents=True)
    shutil.copytree(root / "notebooks" / "figures", folder / "notebooks" / "figures")
    names = []
    for source in find_sources(root):
        learner, _ = nb.assemble(source, root)
        (folder / "notebooks" / f"{source.stem}.ipynb").write_bytes(nb.to_bytes(learner))
        names.append(source.stem)
    return names


@contextlib.contextmanager
def jupyter_lab(folder: Path) -> Iterator[str]:
    """JupyterLab of this Python on ``folder``, with settings, workspaces and runs of its own; yields its address."""
    own, port, token = folder / ".lab", _free_port(), secrets.token_hex(16)
    places = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "COURSE_RUNS": "runs",
    }
    places |= {
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "IPYTHONDIR": "ipython",
    }
    environment = {k: v for k, v in os.environ.items() if k not in ("MPLBACKEND", "COURSE_STRICT")}
    environment |= {name: str(own / place) for name, place in places.items()} | {
        "JUPYTER_TOKEN": token
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ServerApp.ip=127.0.0.1"]
    command += [
        f"--ServerApp.root_dir={folder}",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
    ]
    command += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    own.mkdir()
    with open(own / "log.txt", "wb") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            _wait_for(f"http://127.0.0.1:{port}/api?token={token}", server, own / "log.txt")
            yield f"http://127.0.0.1:{port}/lab/tree/notebooks/{{}}.ipynb?token={token}&reset"  # only this one open
        finally:
            server.terminate()  # the server ends its kernels
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError), urlopen(address, timeout=5):
            return
        time.sleep(0.3)
    raise RuntimeError(
        "JupyterLab did not start:\n" + log.read_text(encoding="utf-8", errors="replace")[-2000:]
    )


def launch(playwright: Any) -> Any:
    """Start a browser without a screen: COURSE_BROWSER, an installed one, or Playwright's own.

    Raises:
        LookupError: there is none on this machine, or none that starts.
    """
    named = os.environ.get("COURSE_BROWSER")
    programs = [named] if named else [path for name in _PROGRAMS if (path := shutil.which(name))]
    ways = [{"executable_path": path} for path in programs]
    ways += [] if named else [{}, {"channel": "chrome"}, {"channel": "msedge"}]
    failures = []
    for way in ways:
        try:
            return playwright.chromium.launch(args=list(_FLAGS), **way)
        except Exception as error:  # Playwright's own class would have to be imported
            failures.append(f"{way or 'its own browser'}: {str(error).splitlines()[0][:200]}")
    raise LookupError("No Chromium, Chrome or Edge starts here. " + "; ".join(failures))


def open_window(browser: Any, size: tuple[int, int] = (1400, 1000)) -> Any:
    """A window (Playwright's context) for one notebook after the other: JupyterLab itself is loaded once."""
    window = browser.new_context(viewport={"width": size[0], "height": size[1]})
    window.set_default_timeout(120_000)
    return window


class Page:
    """One open notebook, and everything that went wrong on its page.

    Args:
        window: from `open_window`.
        address: from `lesson_address`.

    Attributes:
        page: Playwright's page.
        troubles: dialogs, errors of the console and of scripts, in order.
    """

    def __init__(self, window: Any, address: str) -> None:
        self.troubles: list[str] = []
        self.page = window.new_page()
        self.page.on("dialog", self._dialog)
        self.page.on(
            "console",
            lambda m: self.troubles.append(f"console: {m.text[:300]}") if m.type == "error" else 0,
        )
        self.page.on("pageerror", lambda error: self.troubles.append(f"script: {str(error)[:300]}"))
        self.page.goto(address)
        self.page.wait_for_selector(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-Cell")
        self.page.get_by_text(
            "(ipykernel) | Idle"
        ).wait_for()  # earlier the kernel is not connected, and drops cells

    def run_all(self) -> None:
        """Run > Run All Cells, and wait until no cell is queued and the kernel has been idle for a second.

        Raises:
            TimeoutError: the kernel was still busy after a quarter of an hour.
        """
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        idle_since, end = None, time.monotonic() + 15 * 60
        self.page.wait_for_selector(BUSY, state="attached")
        while idle_since is None or time.monotonic() - idle_since < 1:
            if time.monotonic() > end:
                raise TimeoutError("still busy after a quarter of an hour")
            self.page.wait_for_timeout(200)
            busy = self.page.locator(f"{BUSY}, {_QUEUED}").count() > 0
            idle_since = None if busy else idle_since or time.monotonic()
        self.troubles += [
            f"dialog: {text}" for text in self.page.locator(".jp-Dialog-content").all_inner_texts()
        ]

    def saved(self, path: Path) -> nbformat.NotebookNode:
        """Save the notebook from the page and read it from the disk."""
        before = path.stat().st_mtime_ns
        self.page.keyboard.press("Control+s")
        for _ in range(120):
            if path.stat().st_mtime_ns != before:
                break
            self.page.wait_for_timeout(250)
        self.page.wait_for_timeout(500)
        return nbformat.read(path, as_version=4)

    def close(self) -> None:
        """End the notebook's kernel and close the page."""
        self.page.evaluate("""async () => { const at = document.querySelector('#jupyter-config-data');
          const told = JSON.parse(at.textContent), headers = {Authorization: 'token ' + told.token};
          for (const {id} of await (await fetch(told.baseUrl + 'api/sessions', {headers})).json())
            await fetch(told.baseUrl + 'api/sessions/' + id, {headers, method: 'DELETE'}); }""")
        self.page.close()

    def _dialog(self, dialog: Any) -> None:
        self.troubles.append(f"dialog: {dialog.message[:300]}")
        dialog.dismiss()


def lesson_address(template: str, lesson: str) -> str:
    """The address of a lesson's notebook in the JupyterLab that `jupyter_lab` started."""
    return template.format(quote(lesson))


def errors_of(notebook: nbformat.NotebookNode) -> list[str]:
    """What cells of a run notebook say on stderr or as an error, and cells that did not run; [] where all is well."""
    found = []
    for number, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), 1):
        if cell.source.strip() and cell.execution_count is None:
            found.append(f"code cell {number} did not run")
        for output in cell.outputs:
            if output.output_type == "error" and "raises-exception" not in cell.metadata.get(
                "tags", ()
            ):
                found.append(f"code cell {number}: {output.ename}: {output.evalue[:200]}")
    return found
