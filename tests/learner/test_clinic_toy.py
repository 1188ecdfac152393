"""The toy of lesson 07: the same players at every call, a step that is lesson 01's, a game that says how it ended."""

import torch
from torch import nn

from course_utils.learner import clinic_toy
from course_utils.models import gan


def weights(players):
    return nn.utils.parameters_to_vector([p for net in players[:2] for p in net.parameters()])


def losses(real_logits, fake_logits):
    return -gan.value_function(real_logits, fake_logits), gan.generator_loss(fake_logits)


def test_players_are_the_same_at_every_call():
    assert torch.equal(weights(clinic_toy.make_players()), weights(clinic_toy.make_players()))


def test_a_step_with_the_losses_of_lesson_01_is_its_step():
    ends = []
    for step in (clinic_toy.step_with(losses), gan.gan_step):
        players = clinic_toy.make_players()
        for _ in range(3):
            told = step(*players, 3 + torch.randn(5, 1), torch.randn(4, 2))
        ends.append((weights(players), told))
    (first, said), (second, expected) = ends
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(torch.tensor(said), torch.tensor(expected))


def test_a_game_plays_its_steps_and_tells_its_end(capsys):
    seen = []

    def step(*arguments):
        seen.append([tuple(part.shape) for part in arguments[-2:]])
        return 0.25, 0.5

    clinic_toy.play(step, steps=3)
    assert seen == [[(64, 1), (64, 2)]] * 3
    told = capsys.readouterr().out
    assert "discriminator 0.250, generator 0.500 (nats)" in told and "samples: mean" in told
