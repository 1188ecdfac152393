"""Lesson 10's figures and tables hold what the measured results hold, also what is measured later."""

import copy

import matplotlib.pyplot as plt
import pytest
import torch

from course_utils import results
from course_utils.display import world_plots


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def gain(low, high):
    return {"value": (low + high) / 2, "low": low, "high": high}


def measured():
    seeds = {"value": 0.4, "low": 0.3, "high": 0.5, "seeds": [0.35, 0.45]}
    about = {"data": "pictures", "few": 5, "seeds": 2}
    return {**about, "moved": seeds, "dcgan_4": {**seeds, "gain": gain(-0.05, -0.01)}}


def test_an_interval_helps_harms_or_says_nothing():
    intervals = gain(0.01, 0.02), gain(-0.02, -0.01), gain(-0.01, 0.02)
    assert [world_plots.verdict(g) for g in intervals] == ["helps", "harms", "not told apart"]


def test_arms_have_rows_as_far_as_they_were_measured():
    few = measured()
    more = {**few, "flow_4": {**few["dcgan_4"], "gain": gain(0.01, 0.03)}}
    for recorded, arms in ((few, 1), (more, 2)):
        ax = world_plots.gains(recorded).axes[0]
        assert len(ax.get_yticks()) == arms
        assert str(world_plots.worth(recorded).data).count("<tr>") == arms + 2
    assert "+2.0 (+1.0 to +3.0)" in world_plots.worth(more).data


def test_a_dot_is_a_seed_beside_its_own_moved():
    recorded = measured()
    recorded["dcgan_4"]["seeds"] = [0.36, 0.43]
    dots = world_plots.gains(recorded).axes[0].lines[1]
    assert dots.get_xdata() == pytest.approx([1.0, -2.0])


@pytest.mark.parametrize("more", [{}, {"student_distilled": {"mb": 3.6, **gain(0.1, 0.2)}}])
def test_smaller_networks_have_a_row_each(more):
    recorded = {"data": "texts", "documents": 9, "bits_8": {"mb": 3.1, **gain(0.0, 0.1)}, **more}
    found = world_plots.smaller(recorded).data
    assert found.count("<tr>") == 2 + len(more) and "3.1" in found


def test_the_recorded_results_fit_their_tables():
    privacy = results.read("world_privacy.json")
    assert "never planted" in world_plots.canaries(privacy["canary"]).data
    assert world_plots.private_words(privacy["dp"]).data.count("<tr>") == 6
    assert world_plots.fooled(results.read("world_robust.json")).data.count("<tr>") == 4
    world_plots.worth(results.read("world_worth.json"))
    world_plots.smaller(results.read("world_small.json"))


def test_private_fine_tuning_has_rows_once_it_was_measured():
    recorded = copy.deepcopy(results.read("world_privacy.json"))
    recorded["dp"].pop("gpt", None)
    assert world_plots.private_gpt(recorded).data.count("<tr>") == 3
    row = {"exposure": recorded["canary"], "auc": gain(0.5, 0.6), "nats": gain(4.1, 4.3)}
    recorded["dp"]["gpt"] = {"clip": {**row, "epsilon": None}, "noise": {**row, "epsilon": 3.21}}
    found = world_plots.private_gpt(recorded).data
    assert found.count("<tr>") == 5 and "∞" in found and "3.2" in found


def test_figures_hold_what_they_are_given():
    pictures = torch.zeros(12, 3, 4, 4, dtype=torch.uint8)
    figure = world_plots.named(pictures, [str(n) for n in range(12)])
    assert [ax.get_title("left") for ax in figure.axes[:12]] == [str(n) for n in range(12)]
    counts = {"one": torch.tensor([1, 3]), "two": torch.tensor([2, 2])}
    heights = [bar.get_height() for bar in world_plots.balance(counts, ["a", "b"]).axes[0].patches]
    assert heights == [25, 75, 50, 50]
    signs, curves = torch.ones(3, 4, 4), {"attack": [0, 0.5], "coin": [0, 0.1]}
    *shown, ax = world_plots.attack(pictures[:2], signs, 2, ("cat", "dog"), [0, 1], curves).axes
    assert [one.get_title("left") for one in shown] == ["“cat”", "the change × 50", "“dog”"]
    assert [line.get_label() for line in ax.lines[:2]] == list(curves) and ax.get_ylim() == (0, 1)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (217_391.0, "220,000"),
        (0.0291, "0.029"),
        (0.0000912, "0.000091"),
        (5.8e-8, "5.8 · 10⁻⁸"),
        (3.14e23, "3.1 · 10²³"),
        (0.999, "1.0"),
        (9.96, "10"),
        (112.0, "110"),
    ],
)
def test_numbers_are_written_as_they_are_said(number, said):
    assert world_plots.two_digits(number) == said
    assert said in world_plots.numbers(["what", "kWh"], {"one": [number]}, "costs").data


def test_the_alarm_crosses_the_bands():
    z = {"marked": torch.tensor([[1.0, 5.0], [3.0, 7.0], [2.0, 6.0]]), "people": torch.zeros(3, 2)}
    ax = world_plots.evidence([10, 20], z).axes[0]
    assert ax.lines[0].get_ydata().tolist() == [2, 6] and set(ax.lines[2].get_ydata()) == {4}
