"""What lesson 10's program does: a smaller network imitates, pictures are made once."""

import copy

import pytest
import torch

from course_utils.models import smaller
from course_utils.models.attention import GPT
from measuring import measure_world


def test_the_imitator_comes_nearer_to_its_teacher(monkeypatch):
    torch.manual_seed(0)
    teacher = GPT(20, 16, 4, 2, 16).eval()
    with torch.no_grad():
        for weight in teacher.blocks.parameters():
            weight *= 20  # as a trained one, whose layers matter
    student, windows = smaller.every_other_block(teacher), torch.randint(20, (40, 9))
    monkeypatch.setitem(measure_world.STUDENT, "steps", 60)

    def far(network):
        with torch.no_grad():
            wanted, said = (x(windows).log_softmax(-1) for x in (teacher, network))
        return float((wanted.exp() * (wanted - said)).sum(-1).mean())

    before = copy.deepcopy(student)
    measure_world.imitate(student, teacher, windows)
    assert far(student.eval()) < 0.8 * far(before.eval())


@pytest.mark.parametrize("name", measure_world.MAKERS)
def test_pictures_are_made_once_for_each_seed(name, monkeypatch, tmp_path):
    made = []

    def maker(random, _):
        made.append(random.initial_seed())
        shape = 3, 3, 4, 4
        return torch.randint(256, shape, dtype=torch.uint8, generator=random), torch.arange(3)

    monkeypatch.setattr(measure_world.paths, "runs_dir", lambda: tmp_path)
    monkeypatch.setitem(measure_world.MAKERS, name, maker)
    first, again, other = (
        measure_world.generated(name, seed, torch.nn.Identity()) for seed in (0, 0, 1)
    )
    assert made == [0, 1] and first[0].equal(again[0]) and first[1].equal(again[1])
    assert not other[0].equal(first[0])


def test_generators_that_were_asked_for_classes_make_each_equally_often(monkeypatch):
    monkeypatch.setattr(measure_world, "FEW", 5)
    monkeypatch.setattr(measure_world, "WALK", 1)
    for maker in (measure_world.MAKERS["cgan"], measure_world.MAKERS["flow"]):
        pictures, labels = maker(torch.Generator().manual_seed(0), torch.nn.Identity())
        assert pictures.shape == (20, 3, 32, 32) and pictures.dtype == torch.uint8
        assert labels.bincount().tolist() == [2] * 10
