"""The class-conditional GAN: shapes, where the class comes in, the step against formulas of its own, sampling."""

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils.errors import CourseError
from course_utils.models import cgan, dcgan, gan_steady, shipped

CLASSES = 5


def players(method=cgan.DEFAULT, size=32, seed=0):
    torch.manual_seed(seed)
    generator, discriminator = cgan.make_players(method, 6, 4, size, CLASSES)
    with torch.no_grad():  # far from the start, where all classes are alike and the logits nearly 0
        for norm in generator.norms:
            norm.weight.weight.add_(0.5 * torch.randn_like(norm.weight.weight))
            norm.bias.weight.add_(0.5 * torch.randn_like(norm.bias.weight))
        for name, parameter in discriminator.named_parameters():
            if "norms" not in name:
                parameter.mul_(3.0)
    return generator, discriminator


def batch(count=7, size=32, seed=5):
    random = torch.Generator().manual_seed(seed)
    real = torch.rand(count, 3, size, size, generator=random) * 2 - 1
    label = torch.randint(CLASSES, (count,), generator=random)
    return real, label, torch.randn(count, 6, 1, 1, generator=random)


# Networks


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("method", cgan.METHODS)
def test_shapes(method, size):
    generator, discriminator = players(method, size)
    real, label, noise = batch(3, size)
    images = generator(noise, label)
    assert images.shape == real.shape and images.abs().max() <= 1
    assert discriminator(images, label).shape == discriminator(real, label).shape == (3,)


def test_another_size_is_refused():
    with pytest.raises(CourseError, match="32 and 64"):
        cgan.make_players(size=48)


def test_without_its_classes_it_is_lesson_02s_pair():
    """The same maps and, but for what a class adds, as many weights."""
    generator, discriminator = cgan.make_players()
    plain = dcgan.make_generator(), dcgan.make_discriminator()
    count = [sum(p.numel() for p in n.parameters()) for n in (generator, discriminator, *plain)]
    channels, features = 256 + 128 + 64, 256 * 4 * 4
    assert count[0] - count[2] == 10 * 32 + 32 * 256 * 16 + 2 * 10 * channels
    assert count[1] - count[3] == 10 * features + 1  # and the last layer's bias


def test_class_and_noise_both_change_the_picture():
    generator, _ = players()
    _, label, noise = batch(4)
    made = generator(noise, label)
    assert (made - generator(noise, (label + 1) % CLASSES)).abs().amax(dim=(1, 2, 3)).min() > 1e-3
    assert (made - generator(-noise, label)).abs().amax(dim=(1, 2, 3)).min() > 1e-3


def test_conditional_batch_norm_by_hand():
    torch.manual_seed(0)
    layer, x = cgan.ConditionalBatchNorm(3, CLASSES), torch.randn(6, 3, 4, 4)
    label = torch.tensor([0, 1, 2, 3, 4, 1])
    torch.testing.assert_close(layer(x, label), nn.BatchNorm2d(3)(x))  # at the start: no class
    nn.init.normal_(layer.weight.weight)
    nn.init.normal_(layer.bias.weight)
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
    made = layer(x, label)
    for row, k in enumerate(label.tolist()):
        for c in range(3):
            plain = (x[row, c] - mean[c]) / (var[c] + 1e-5).sqrt()
            expected = layer.weight.weight[k, c] * plain + layer.bias.weight[k, c]
            torch.testing.assert_close(made[row, c], expected)


def test_projection_by_hand():
    torch.manual_seed(0)
    features, labels = torch.randn(4, 6), torch.tensor([2, 0, 2, 1])
    embedding, linear = nn.Embedding(3, 6), nn.Linear(6, 1)
    expected = [
        linear.bias.item()
        + sum(h[i].item() * (linear.weight[0, i] + embedding.weight[k, i]).item() for i in range(6))
        for h, k in zip(features, labels.tolist(), strict=True)
    ]
    made = cgan.projection_logit(features, labels, embedding, linear)
    torch.testing.assert_close(made, torch.tensor(expected))


def test_the_discriminators_answer_is_a_projection_of_its_features():
    _, discriminator = players()
    real, label, _ = batch()
    discriminator.eval()
    features = discriminator.features(real)
    assert features.shape == (7, 16 * 16)
    weights = discriminator.linear.weight[0] + discriminator.embedding.weight[label]
    expected = (features * weights).sum(1) + discriminator.linear.bias
    torch.testing.assert_close(discriminator(real, label), expected)


def test_spectral_norm_holds_every_layer_below_one():
    _, discriminator = cgan.make_players("hinge + spectral", 6, 8, classes=CLASSES)
    real, label, _ = batch()
    with torch.no_grad():
        for _ in range(100):
            discriminator(real, label)
    layers = [*discriminator.halvings, discriminator.linear, discriminator.embedding]
    for layer in layers:
        largest = torch.linalg.svdvals(layer.weight.flatten(1))[0].item()
        assert largest == pytest.approx(1, abs=1e-2)


# The step


def losses_by_hand(method, real, fake):
    """(d_loss, g_loss) of logits, by other formulas than the package's."""
    if method == "non-saturating + R1":
        ones, zeros = torch.ones_like(real), torch.zeros_like(fake)
        bce = F.binary_cross_entropy_with_logits
        return bce(real, ones) + bce(fake, zeros), bce(fake, torch.ones_like(fake))
    if method == "hinge + spectral":
        return (1 - real).clamp_min(0).mean() + (1 + fake).clamp_min(0).mean(), -fake.mean()
    return (1 + (fake - real).exp()).log().mean(), (1 + (real - fake).exp()).log().mean()


@pytest.mark.parametrize("method", cgan.METHODS)
def test_a_step_is_the_game_of_its_method(method):
    """Against a plain loop with SGD: both players' weights, and what is reported."""
    ours, theirs = players(method), players(method)
    theirs = tuple(deepcopy(network) for network in ours)
    optimizers = [torch.optim.SGD(n.parameters(), 0.05) for n in (*ours, *theirs)]
    for seed in range(3):
        real, label, noise = batch(seed=seed)
        came = cgan.cgan_step(*ours, *optimizers[:2], real, label, noise, method)
        g, d = theirs
        fake = g(noise, label)
        logits = d(real, label), d(fake.detach(), label)
        d_loss = losses_by_hand(method, *logits)[0]
        for optimizer in optimizers[2:]:
            optimizer.zero_grad()
        d_loss.backward()
        optimizers[3].step()
        again = d(real, label) if method.startswith("relativistic") else logits[0]
        g_loss = losses_by_hand(method, again.detach(), d(fake, label))[1]
        gradients = torch.autograd.grad(g_loss, list(g.parameters()))
        for parameter, gradient in zip(g.parameters(), gradients, strict=True):
            parameter.grad = gradient
        optimizers[2].step()
        assert came["d_loss"] == pytest.approx(d_loss.item(), rel=1e-4)
        assert came["g_loss"] == pytest.approx(g_loss.item(), rel=1e-4)
        assert came["d_real"] == pytest.approx(logits[0].sigmoid().mean().item(), rel=1e-4)
        assert came["d_fake"] == pytest.approx(logits[1].sigmoid().mean().item(), rel=1e-4)
    for one, other in zip(ours, theirs, strict=True):
        for name, value in one.state_dict().items():
            torch.testing.assert_close(value, other.state_dict()[name], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("method", cgan.METHODS)
def test_a_penalty_step_counts_the_slopes_of_its_method(method):
    _, judge = players(method)
    real, label, _ = batch()
    fake, twin = -real, deepcopy(judge)
    came = cgan.cgan_penalty_step(
        judge, torch.optim.SGD(judge.parameters(), 0.1), real, fake, label, 0.3, method
    )
    if method == "hinge + spectral":
        assert came == 0
        for name, value in judge.state_dict().items():
            assert torch.equal(value, twin.state_dict()[name])
        return
    modes = [layer.training for layer in judge.modules()]
    assert all(modes)  # all is in training mode again
    twin.eval()
    total = torch.zeros(())
    for images in (real, fake) if "R2" in method else (real,):
        for picture, k in zip(images.split(1), label.split(1), strict=True):
            picture = picture.clone().requires_grad_(True)
            logit = twin(picture, k).sum()
            (gradient,) = torch.autograd.grad(logit, picture, create_graph=True)
            total = total + gradient.square().sum() / len(images)
    assert came == pytest.approx(total.item(), rel=1e-3)
    loss = 0.3 / 2 * gan_steady.PENALTY_EVERY * total
    gradients = torch.autograd.grad(loss, list(twin.parameters()), allow_unused=True)
    for moved, start, gradient in zip(
        judge.parameters(), twin.parameters(), gradients, strict=True
    ):
        expected = start if gradient is None else start - 0.1 * gradient
        torch.testing.assert_close(moved, expected, rtol=1e-3, atol=1e-5)


# Pictures


def test_samples_are_bytes_and_each_depends_on_its_own_class_and_noise():
    generator, _ = players()
    generator.norms[0].norm.momentum = 0.5
    for seed in range(4):
        _, label, noise = batch(seed=seed)
        generator(noise, label)  # statistics that are not those of the start
    before = deepcopy(generator.state_dict())
    _, label, noise = batch(9)
    whole = cgan.sample(generator, label, noise, batch_size=4)
    assert whole.shape == (9, 3, 32, 32) and whole.dtype == torch.uint8
    alone = torch.cat(
        [
            cgan.sample(generator, k, z)
            for k, z in zip(label.split(1), noise.flatten(1).split(1), strict=True)
        ]
    )
    assert (whole.int() - alone.int()).abs().max() <= 1  # rounding
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())
    assert all(module.training for module in generator.modules())


def test_shares_of_classes_lead_from_one_to_the_other():
    generator, _ = players()
    generator.eval()
    _, _, noise = batch(1)
    shares = torch.zeros(3, CLASSES)
    shares[0, 1] = shares[2, 4] = 1
    shares[1, [1, 4]] = 0.5
    walk = generator(noise.repeat(3, 1, 1, 1), shares)
    ends = generator(noise.repeat(2, 1, 1, 1), torch.tensor([1, 4]))
    torch.testing.assert_close(walk[[0, 2]], ends)
    way = (ends[0] - ends[1]).abs().mean()
    assert way > 1e-5 and max((walk[1] - end).abs().mean() for end in ends) < way
    assert cgan.sample(generator, shares, noise.repeat(3, 1, 1, 1)).shape == (3, 3, 32, 32)


def test_samples_of_an_average_and_of_a_generator_of_random_numbers():
    generator, _ = players()
    average, label = gan_steady.make_average(generator, 0.9), torch.arange(CLASSES)
    made = [
        cgan.sample(average, label, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)
    ]
    assert torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])
    assert cgan.latent_dim_of(average) == cgan.latent_dim_of(generator) == 6


def test_shipped_weights_come_back_with_their_facts(own_data):
    torch.manual_seed(0)
    network = cgan.Generator(6, 4, 32, CLASSES)
    facts = {"latent_dim": 6, "width": 4, "classes": list("abcde"), "steps": 3}
    shipped.write(cgan.SHIPPED, network.state_dict(), facts)
    came, told = cgan.load_shipped()
    assert told == facts and not came.training
    label, noise = torch.arange(CLASSES), torch.randn(CLASSES, 6)
    difference = cgan.sample(came, label, noise).int() - cgan.sample(network, label, noise).int()
    assert difference.abs().max() <= 1  # half precision
