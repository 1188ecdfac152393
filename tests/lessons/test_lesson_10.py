"""The code of lesson 10, taken from its source, against independent oracles; and each of its parts names its limit."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sklearn.metrics import roc_auc_score, roc_curve
from torch import nn

from course_utils.authoring.lessons import load_definitions
from course_utils.models.watermark import Watermark

SOURCE = Path(__file__).parents[2] / "notebooks" / "source" / "10_in_the_world.py"
PARTS = (
    "Is it worth it?",
    "Making it small",
    "Robustness",
    "Bias",
    "Privacy",
    "Provenance",
    "Several machines",
)


@pytest.fixture(scope="module")
def lesson():
    return load_definitions("10_in_the_world")


@pytest.fixture(scope="module")
def sections():
    text = SOURCE.read_text(encoding="utf-8")
    return dict(re.findall(r"^# ## ([^\n:]+?)(?::[^\n]*)?\n(.*?)(?=^# ## |\Z)", text, re.M | re.S))


@pytest.mark.parametrize("part", PARTS)
def test_each_part_asks_measures_and_says_its_limit_with_a_source(sections, part):
    text = sections[part]
    assert "**Question.**" in text
    limits = re.findall(r"^# \*\*Limit\.\*\*(.*?)(?=^# %%|^#\n|\Z)", text, re.M | re.S)
    assert limits and all("https://" in limit for limit in limits)
    measured = "{{result:" in text or "assert " in text
    assert measured and "print(" in text


def test_the_predictions_stand_before_what_measures_them(sections):
    whole = SOURCE.read_text(encoding="utf-8")
    asked = re.findall(r"^(\w+) = \.\.\.$", whole, re.M)
    assert len(asked) >= 5
    for name in asked:
        assert whole.index(f"checks.world.{name}") < whole.index(f"{name}.beside(")


def test_rounding_keeps_whole_steps_and_the_largest_entry(lesson):
    matrix = torch.randn(5, 40, generator=torch.Generator().manual_seed(0))
    for bits in (2, 4, 8):
        found = lesson.rounded(matrix, bits)
        most = 2 ** (bits - 1) - 1
        steps = found / (matrix.abs().max(1, keepdim=True).values / most)
        assert torch.allclose(steps, steps.round(), atol=1e-4) and steps.abs().max() <= most + 1e-4
        half_a_step = matrix.abs().max(1, keepdim=True).values / most / 2
        assert ((found - matrix).abs() <= half_a_step * 1.0001).all()
    assert torch.allclose(lesson.rounded(matrix, 24), matrix, atol=1e-5)


def test_uphill_raises_the_loss_of_the_networks_own_answer(lesson):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4))
    images = torch.randint(60, 190, (6, 3, 32, 32), dtype=torch.uint8)
    uphill = lesson.worst_direction(network, images)
    assert set(uphill.unique().tolist()) <= {-1.0, 0.0, 1.0}

    def loss(sign):
        x = images / 127.5 - 1
        own = network(x).argmax(1)
        return nn.functional.cross_entropy(network(x + sign * 0.01 * uphill), own)

    assert loss(1) > loss(0) > loss(-1)


def test_what_flips_is_what_the_network_answers_to_moved_pictures(lesson):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4))
    images = torch.randint(0, 256, (40, 3, 32, 32), dtype=torch.uint8)
    uphill = lesson.worst_direction(network, images)
    for size in (0, 1, 16):
        moved = (images.int() + size * uphill.int()).clamp(0, 255) / 127.5 - 1
        changed = network(moved).argmax(1) != network(images / 127.5 - 1).argmax(1)
        assert torch.equal(lesson.flips(network, images, uphill, size), changed)
    assert changed.any() and not lesson.flips(network, images, uphill, 0).any()


def test_exposure_and_the_colleagues_differ_where_it_matters(lesson):
    others = torch.arange(1_000).double()
    assert lesson.exposure(-1.0, others) == pytest.approx(math.log2(1_001))
    assert lesson.exposure(1e9, others) == 0
    assert lesson.exposure(5.0, torch.full((20,), 5.0)) == 0
    with pytest.raises(ValueError):
        lesson.exposure_of_a_colleague(-1.0, others)


def test_the_area_is_scikit_learns(lesson):
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        members, others = (
            torch.randint(0, 9, (n,), generator=generator).double() for n in (30, 41)
        )
        truth = np.r_[np.ones(30), np.zeros(41)]
        expected = roc_auc_score(truth, -torch.cat([members, others]).numpy())
        assert lesson.membership_auc(members, others) == pytest.approx(expected)


def test_the_members_found_are_scikit_learns_point_of_the_curve(lesson):
    generator = torch.Generator().manual_seed(0)
    for alarms in (0.0, 0.1, 0.5, 1.0):
        members, others = (
            torch.randint(0, 30, (n,), generator=generator).double() for n in (30, 40)
        )
        truth, scores = np.r_[np.ones(30), np.zeros(40)], -torch.cat([members, others]).numpy()
        rings, found, _ = roc_curve(truth, scores, drop_intermediate=False)
        expected = found[rings <= alarms + 1e-9].max()
        assert lesson.members_found(members, others, alarms) == pytest.approx(expected)


def test_without_clipping_and_noise_a_private_step_is_gradient_descent(lesson):
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(12, 5, generator=generator), torch.randint(2, (12,)).float()
    weights = torch.randn(5, generator=generator, requires_grad=True)
    loss = nn.functional.binary_cross_entropy_with_logits(x @ weights, y)
    expected = weights - 3 * torch.autograd.grad(loss, weights)[0]
    found = lesson.private_step(weights.detach(), x, y, 1e6, 0.0, 3, generator)
    assert torch.allclose(found, expected, atol=1e-5)
    moved = lesson.private_step(weights.detach(), x, y, 0.5, 0.0, 3, generator) - weights
    assert moved.norm() <= 3 * 0.5 + 1e-5


def test_each_key_and_token_has_its_own_list(lesson):
    lists = {
        tuple(lesson.green_list(previous, 40, 0.25, key).tolist())
        for key in range(3)
        for previous in range(40)
    }
    assert len(lists) == 120 and {sum(one) for one in lists} == {10}


def test_a_private_step_is_bounded_and_its_noise_has_the_stated_size(lesson):
    generator = torch.Generator().manual_seed(0)
    gradients = 100 * torch.randn(8, 20_000, generator=generator)
    quiet = lesson.clip_and_noise(gradients, 0.5, 0.0, generator)
    assert quiet.norm() <= 0.5 + 1e-5
    noisy = lesson.clip_and_noise(gradients, 0.5, 3.0, generator)
    assert (noisy - quiet).std().item() * 8 == pytest.approx(1.5, rel=0.03)


def test_z_is_that_of_the_binomial_distribution(lesson):
    mark = Watermark(50, gamma=0.3)
    tokens = torch.randint(50, (60,), generator=torch.Generator().manual_seed(1)).tolist()
    green = int(mark.hits(tokens).sum())
    expected = (green - 59 * mark.gamma) / math.sqrt(59 * mark.gamma * (1 - mark.gamma))
    assert lesson.watermark_z(tokens, mark.is_green, mark.gamma) == pytest.approx(expected)


def test_a_signature_holds_for_the_picture_its_papers_and_its_key_alone(lesson):
    secret, stranger = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    public, picture = secret.public_key(), torch.arange(48, dtype=torch.uint8).view(3, 4, 4)
    papers = lesson.papers_of(picture, "somebody")
    signature = secret.sign(papers)
    assert lesson.holds(picture, papers, signature, public)
    other = picture.clone()
    other[0, 0, 0] ^= 1
    assert not lesson.holds(other, papers, signature, public)
    assert not lesson.holds(picture, papers.replace(b"some", b"no"), signature, public)
    assert not lesson.holds(picture, papers, stranger.sign(papers), public)
    for place in (0, 31, 63):
        cut = bytearray(signature)
        cut[place] ^= 1
        assert not lesson.holds(picture, papers, bytes(cut), public)
    assert lesson.holds(picture, papers, stranger.sign(papers), stranger.public_key())


def test_costs_are_the_cross_entropy(lesson):
    x, weights = torch.randn(7, 3), torch.randn(3)
    y = torch.tensor([0.0, 1, 1, 0, 1, 0, 0])
    expected = nn.functional.binary_cross_entropy_with_logits(x @ weights, y, reduction="none")
    assert torch.allclose(lesson.costs(x, y, weights), expected, atol=1e-6)
