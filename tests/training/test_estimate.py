"""The estimate of a training's bar, by a clock that the test sets: right within 20 % from ten seconds on."""

import io
import re

import pytest
import torch
import tqdm.std

from course_utils import progress_bars
from course_utils.training.run import TrainingRun

LEFT = re.compile(r"<(?:(\d+):)?(\d\d):(\d\d),")
STEPS = 1_000


class Clock:
    """Seconds that pass only when the test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(tqdm.std, "time", clock)
    return clock


def first_is_slow(step, now):
    return 8.0 if step == 0 else 0.1


def redrawn(step, now):
    return 0.1 if step % 45 else 0.6


def slowly(step, now):
    return 2.5


def cold(step, now):
    return 0.5 if step < 6 else 0.1


def quick(step, now):
    return 0.02


CASES = {
    "a first step of 8 s": (first_is_slow, {}),
    "saves of 1 s": (lambda step, now: 0.1, {"save": 1.0}),
    "a figure redrawn every 5 s": (redrawn, {}),
    "steps of 2.5 s": (slowly, {}),
    "a cold start": (cold, {}),
    "steps of 20 ms, with saves": (quick, {"save": 0.2}),
    "a run that goes on": (first_is_slow, {"done": 400}),
}


def watch(clock, monkeypatch, folder, seconds, save=0.0, done=0):
    """Train; returns [(seconds since the start, what the bar says is left, seconds when it was said)], and the end."""
    told, shown = io.StringIO(), []
    monkeypatch.setattr(progress_bars, "stream", lambda: told)
    network = torch.nn.Linear(1, 1)
    state = {"network": network, "optimizer": torch.optim.SGD(network.parameters(), lr=0.1)}
    training = TrainingRun(folder, state=state, config={}, steps=STEPS, examples=1, batch_size=1)
    training.step = done
    monkeypatch.setattr(training, "_save", lambda copy: setattr(clock, "now", clock.now + save))
    start = clock.now
    for _ in training.batches():
        clock.now += seconds(training.step - done, clock.now - start)
        if found := LEFT.findall(told.getvalue()):
            hours, minutes, rest = (int(part or 0) for part in found[-1])
            shown.append((clock.now - start, 3600 * hours + 60 * minutes + rest))
    return shown, clock.now - start


@pytest.mark.parametrize("case", CASES)
def test_it_is_right_after_ten_seconds(case, clock, monkeypatch, tmp_path):
    seconds, more = CASES[case]
    shown, end = watch(clock, monkeypatch, tmp_path, seconds, **more)
    judged = [(at, left, end - at) for at, left in shown if at > 10 and end - at > 10]
    assert judged
    wrong = [
        row for row in judged if abs(row[1] - row[2]) > 0.2 * row[2] + 1
    ]  # told in whole seconds
    assert not wrong, wrong[:3]


def test_it_is_right_again_soon_after_the_machine_became_busy(clock, monkeypatch, tmp_path):
    def busy(step, now):
        return 0.02 if now < 10 else 1.0

    shown, end = watch(clock, monkeypatch, tmp_path, busy)
    wrong = [
        at
        for at, left in shown
        if at > 11 + progress_bars.WINDOW and abs(left - (end - at)) > 0.2 * (end - at) + 1
    ]
    assert not wrong, wrong[:3]


def test_a_bar_that_is_switched_off_stays_off(monkeypatch, tmp_path):
    monkeypatch.setattr(tqdm.std.tqdm, "__init__", _disabled(tqdm.std.tqdm.__init__))
    bar = progress_bars.TrainingBar(3)
    assert bar.update() is None and bar.disable


def _disabled(init):
    return lambda self, *args, **options: init(self, *args, **options, disable=True)
