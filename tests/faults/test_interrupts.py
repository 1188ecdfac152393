"""Row C3 in a real kernel of a notebook: the stop button mid-epoch, twice, and during a save."""

import os
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PREPARE = """
import os, signal, time, threading
from course_utils.training.run import TrainingRun
from course_utils.training.checkpoints import newest_generation
from pathlib import Path
folder = Path({folder!r})
def open_run(name, steps=10_000, **options):
    return TrainingRun(folder / name, state={{}}, config={{}}, steps=steps, examples=50, batch_size=8, **options)
"""
LOOP = """
run = open_run("polite", save_every=10_000)
for _ in run.batches():
    time.sleep(0.01)
    run.log(loss=0.5)
    print("." * (run.step == 20), end="", flush=True)
print("SAVED", run.step, newest_generation(folder / "polite").step, len(run.history["loss"]))
"""
TWICE = """
run, told = open_run("stubborn", save_every=1), None
for _ in run.batches():
    while run.step == 2:  # a sign when the loop has begun, and one when the first interrupt was noticed
        asked = signal.getsignal(signal.SIGINT).__self__.asked
        if asked != told:
            print(".", end="", flush=True)
        told = asked
"""
SAVE = """
from course_utils.training import checkpoints
real = checkpoints.atomic_write
def slow(path, content):
    print(".", end="", flush=True)
    time.sleep(0.4)
    return real(path, content)
checkpoints.atomic_write = slow
run = open_run("in-save", steps=3, save_every=100)
for _ in run.batches():
    pass
checkpoints.atomic_write = real
print("SAVED", run.step, newest_generation(folder / "in-save").step)
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client import KernelManager
    from jupyter_client.kernelspec import KernelSpec

    manager = KernelManager()
    manager._kernel_spec = KernelSpec(**get_kernel_dict())
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    manager.start_kernel(env={**os.environ, "PYTHONPATH": path}, stderr=-3)
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=600)
    folder = tmp_path_factory.mktemp("runs")
    yield manager, client, folder
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def run_cell(kernel, code, interrupts=0):
    """Execute a cell, interrupt it so often once it prints; its output, its status, and the seconds it took to end."""
    manager, client, folder = kernel
    request = client.execute(code.format(folder=str(folder)) if code is PREPARE else code)
    said, sent, last = "", 0, None
    while True:
        message = client.get_iopub_msg(timeout=600)
        if message["parent_header"].get("msg_id") != request:
            continue
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            said += content["text"]
            if sent < interrupts and "." in content["text"]:
                manager.interrupt_kernel()
                sent, last = sent + 1, time.monotonic()
        elif kind == "error":
            said += content["ename"]
        elif kind == "status" and content["execution_state"] == "idle":
            reply = client.get_shell_msg(timeout=600)
            while reply["parent_header"].get("msg_id") != request:  # of what was asked at the start
                reply = client.get_shell_msg(timeout=600)
            status = reply["content"]["status"]
            assert sent == interrupts  # it was interrupted
            return said, status, time.monotonic() - (last or time.monotonic())


def children(pid):
    """Processes whose parent is ``pid``."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(entry.parent.name))
    return found


@pytest.mark.fault("C3")
@pytest.mark.skipif(os.name == "nt", reason="Windows interrupts a kernel in another way")
def test_the_stop_button_of_a_notebook(kernel, figure):
    assert run_cell(kernel, PREPARE)[1] == "ok"
    said, status, seconds = run_cell(kernel, LOOP, interrupts=1)
    assert status == "ok" and "Interrupted and saved at step" in said
    step, saved, rows = map(int, said.split("SAVED")[1].split())
    assert 20 <= step < 10_000 and step == saved == rows
    said, status, _ = run_cell(kernel, "run = open_run('polite'); print(run.step)")
    assert status == "ok" and f"goes on at step {step} of 10000" in said
    said, status, _ = run_cell(kernel, TWICE, interrupts=2)
    assert status == "error" and "KeyboardInterrupt" in said
    said, _, _ = run_cell(kernel, "print('AT', newest_generation(folder / 'stubborn').step)")
    assert "AT 2" in said
    said, status, _ = run_cell(kernel, SAVE, interrupts=1)
    assert status == "ok" and "SAVED 3 3" in said
    figure("C3.seconds_until_saved", round(seconds, 2))
    if Path("/proc").is_dir():
        assert children(kernel[0].provisioner.process.pid) == []  # no orphan workers
