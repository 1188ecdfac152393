"""Group C of the table: training that is killed, flipped bits, and a resume that is exact."""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

from course_utils.train import LESSONS
from course_utils.training.checkpoints import newest_generation, save_generation

pytestmark = pytest.mark.slow

KILLS = Path(__file__).parent / "kills.py"
NAMES = ("dcgan", "vae", "gpt", "bert")
SHARE = 0.5  # of the operations that are killed at, unless --full-faults asks for all
EVERY = 2
posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="each trial is a forked process")


def trials(name, folder, environment, kind, value):
    if name not in LESSONS:
        pytest.skip(f"course_utils.train does not know the lesson {name} yet")
    command = [sys.executable, str(KILLS), name, str(folder), kind, str(value)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@posix
@pytest.mark.fault("C1")
@pytest.mark.parametrize("name", NAMES)
def test_killed_at_any_operation_of_a_save_the_run_ends_bit_equal(
    name, tmp_path, environment, full, figure
):
    report = trials(name, tmp_path, environment, "sweep", 1 if full else SHARE)
    kills = report["kills"]
    lost = 0
    for number, operation, step, code, after, found, left in kills:
        case = f"{name}: killed at operation {number} ({operation}, step {step}): {found}"
        assert code == -9, case  # it was killed
        assert after == 0, case
        lost += found["digest"] != report["whole"]
        assert found["digest"] == report["whole"], case
        assert step - EVERY <= found["resumed"] <= step, case  # at most one interval is done again
        assert left == 0, case  # and nothing half-written stays
    assert {"write", "replace", "unlink", "rmdir", "fsync", "open", "mkdir"} <= {
        kill[1] for kill in kills
    }
    assert len(kills) >= 50
    figure(f"C1.kills_{name}", len(kills))
    figure(f"C1.lost_{name}", lost)
    figure(f"C1.operations_{name}", report["operations"])
    figure(f"C1.by_operation_{name}", dict(sorted(Counter(kill[1] for kill in kills).items())))


@posix
@pytest.mark.fault("C2")
def test_twenty_kills_in_one_run_end_bit_equal(tmp_path, environment, figure):
    report = trials("dcgan", tmp_path, environment, "random", 20)
    assert [code for code, _, _ in report["kills"]] == [-9] * 20
    steps = [step for _, step, _ in report["kills"]]
    assert steps == sorted(steps)  # nothing that was saved is lost
    assert steps[0] < steps[10] < steps[-1]
    assert report["end"] == {
        "resumed": report["end"]["resumed"],
        "step": 100,
        "digest": report["whole"],
    }
    assert 0 <= steps[-1] - report["end"]["resumed"] <= EVERY
    figure("C2.kills_in_one_run", 20)


@pytest.mark.fault("C5")
def test_a_thousand_flipped_bits_are_found(tmp_path, capsys, figure):
    torch.manual_seed(0)
    for step in (1, 2):
        tensors = {
            "net.weight": torch.randn(40, 30),
            "net.bias": torch.randn(30),
            "rng.cpu": torch.get_rng_state(),
        }
        newest = save_generation(tmp_path, step, tensors, {"history": {"loss": [0.1 * step] * 50}})
    parts = {
        name: (newest / name).read_bytes()
        for name in ("tensors.safetensors", "record.json", "manifest.json")
    }
    rng, found, flipped = random.Random(0), Counter(), Counter()
    for name, count in zip(parts, (600, 200, 200), strict=True):
        for bit in rng.sample(range(8 * len(parts[name])), count):
            bad = bytearray(parts[name])
            bad[bit // 8] ^= 1 << bit % 8
            assert bad != parts[name]
            (newest / name).write_bytes(bad)
            flipped[name] += 1
            generation = newest_generation(tmp_path)
            told = (
                len(generation.skipped) == 1
                and "step-000000002 is damaged" in generation.skipped[0]
            )
            found[name] += generation.step == 1 and told
        (newest / name).write_bytes(parts[name])
    assert newest_generation(tmp_path).step == 2
    assert flipped.total() == 1_000
    assert found == flipped
    figure("C5.bits_flipped", flipped.total())
    figure("C5.bits_found", found.total())
