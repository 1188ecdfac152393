"""Lesson 08's class-conditional GAN: lesson 02's networks, told which class to make and which class to judge."""

import copy
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from course_utils.models import shipped
from course_utils.models.dcgan import blocks_of, frozen, init_dcgan_weights, to_bytes
from course_utils.models.dcgan import make_optimizers as make_optimizers  # lesson 08's, too
from course_utils.models.gan_losses import GAMES
from course_utils.models.gan_steady import PENALTY_EVERY, slope
from course_utils.models.modes import evaluation_mode

SHIPPED = "cgan_cifar10"
DEFAULT = "non-saturating + R1"
"""The method where none is named."""


@dataclass(frozen=True)
class Method:
    """One way to play the game.

    Attributes:
        loss: its name in `course_utils.models.gan_losses.GAMES`.
        norm: what stands between the discriminator's layers: ``batch``, ``spectral`` or ``none``.
        real_penalty: whether the slope at photographs is penalised (R1).
        fake_penalty: whether the slope at generated pictures is (R2).
        paired: whether the generator's loss looks at photographs, too.
    """

    loss: str
    norm: str = "batch"
    real_penalty: bool = False
    fake_penalty: bool = False
    paired: bool = False


METHODS: Mapping[str, Method] = {
    "non-saturating + R1": Method("non-saturating", real_penalty=True),
    "hinge + spectral": Method("hinge", norm="spectral"),
    "relativistic + R1 + R2": Method(
        "relativistic", real_penalty=True, fake_penalty=True, paired=True
    ),
}
"""Lesson 08's three ways with pictures. Sources: arXiv 1801.04406 (R1), 1802.05957 (hinge and spectral norm),
2501.05441 (pairs, R1 and R2)."""


class ConditionalBatchNorm(nn.Module):
    """BatchNorm, after which each class has a weight and a bias of its own for every channel.

    Args:
        channels: of the maps.
        classes: number of classes.

    Source: Dumoulin et al. 2017, arXiv 1610.07629, section 2.2, for styles; for classes arXiv 1802.05637, section 5.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.weight, self.bias = nn.Embedding(classes, channels), nn.Embedding(classes, channels)
        nn.init.ones_(self.weight.weight)
        nn.init.zeros_(self.bias.weight)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """Maps (B, channels, H, W) and classes (B,), or mixtures of them -> maps of the same shape."""
        weight, bias = (row_of(table, label).to(x.dtype) for table in (self.weight, self.bias))
        return torch.addcmul(bias[:, :, None, None], self.norm(x), weight[:, :, None, None])


def row_of(table: nn.Embedding, label: Tensor) -> Tensor:
    """Each class's row, or for shares of all classes the mean of the rows: (B,) int64 or (B, classes) -> (B, D)."""
    return table(label) if label.dim() == 1 else label.to(table.weight.dtype) @ table.weight


class Generator(nn.Module):
    """Lesson 02's generator with a class: (noise (B, latent_dim, 1, 1), label (B,)) -> images in [-1, 1].

    The class comes in twice: a vector that is learned for it stands beside the noise, so that each class can begin
    with a 4×4 map of its own, and every BatchNorm has its weights.

    Args:
        latent_dim: length of the latent vector.
        width: channels of the last hidden map; each earlier map has twice as many.
        size: 32 or 64 pixels.
        classes: number of classes.
        embedding: length of a class's vector.
        norm: (channels, classes) -> a layer that is told the class, such as a `ConditionalBatchNorm`.

    Raises:
        CourseError: another size.
    """

    def __init__(
        self,
        latent_dim: int = 100,
        width: int = 64,
        size: int = 32,
        classes: int = 10,
        embedding: int = 32,
        norm: Callable[[int, int], nn.Module] = ConditionalBatchNorm,
    ) -> None:
        super().__init__()
        self.latent_dim, self.classes = latent_dim, classes
        maps = [width * 2**i for i in reversed(range(blocks_of(size)))]
        self.embedding = nn.Embedding(classes, embedding)
        self.first = nn.ConvTranspose2d(latent_dim + embedding, maps[0], 4, 1, 0, bias=False)
        self.norms = nn.ModuleList([norm(channels, classes) for channels in maps])
        self.doublings = nn.ModuleList(
            [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False) for a, b in pairwise([*maps, 3])]
        )
        self.apply(init_dcgan_weights)

    def forward(self, noise: Tensor, label: Tensor) -> Tensor:
        """(B, latent_dim, 1, 1), (B,) int64 -> (B, 3, size, size) in [-1, 1].

        In the place of a class, a row may hold shares of all classes: ``label`` is (B, classes) then.
        """
        told = row_of(self.embedding, label)[:, :, None, None]
        x = self.first(torch.cat([noise, told], dim=1))
        for norm, doubling in zip(self.norms, self.doublings, strict=True):
            x = doubling(norm(x, label).relu())
        return x.tanh()


class Discriminator(nn.Module):
    """Lesson 02's discriminator with a class: (images (B, 3, H, W) in [-1, 1], label (B,)) -> logits (B,).

    Its last convolution, a linear map of the last features, gets a companion for each class (`projection_logit`).

    Args:
        width: channels of the first hidden map; each later map has twice as many.
        size: 32 or 64 pixels.
        classes: number of classes.
        norm: ``batch`` for BatchNorm as in lesson 02, ``spectral`` for spectral normalisation of each layer, ``none``.

    Raises:
        CourseError: another size.
    """

    def __init__(
        self, width: int = 64, size: int = 32, classes: int = 10, norm: str = "batch"
    ) -> None:
        super().__init__()
        maps = [3] + [width * 2**i for i in range(blocks_of(size))]
        self.halvings = nn.ModuleList(
            [nn.Conv2d(a, b, 4, 2, 1, bias=norm != "batch") for a, b in pairwise(maps)]
        )
        self.norms = nn.ModuleList(
            [
                nn.BatchNorm2d(channels) if norm == "batch" and number else nn.Identity()
                for number, channels in enumerate(maps[1:])
            ]
        )
        features = maps[-1] * 4 * 4
        self.linear, self.embedding = nn.Linear(features, 1), nn.Embedding(classes, features)
        self.apply(init_dcgan_weights)
        nn.init.normal_(self.linear.weight, 0.0, 0.02)
        nn.init.normal_(self.embedding.weight, 0.0, 0.02)
        if norm == "spectral":
            for layer in (*self.halvings, self.linear, self.embedding):
                spectral_norm(layer)

    def features(self, images: Tensor) -> Tensor:
        """What is known of each picture before its class matters: (B, 3, H, W) -> (B, F)."""
        x = images
        for halving, norm in zip(self.halvings, self.norms, strict=True):
            x = nn.functional.leaky_relu(norm(halving(x)), 0.2)
        return x.flatten(1)

    def forward(self, images: Tensor, label: Tensor) -> Tensor:
        """(B, 3, H, W), (B,) int64 -> (B,)."""
        return projection_logit(self.features(images), label, self.embedding, self.linear)


class Judging(nn.Module):
    """A discriminator that has been told the classes of a batch: images (B, 3, H, W) -> logits (B,).

    It is what functions ask that know of pictures only, such as `course_utils.models.gan_steady.slope`.
    """

    def __init__(self, discriminator: nn.Module, label: Tensor) -> None:
        super().__init__()
        self.discriminator, self.label = discriminator, label
        self.training = discriminator.training

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B,)."""
        return self.discriminator(images, self.label)


def projection_logit(
    features: Tensor, labels: Tensor, embedding: nn.Module, linear: nn.Module
) -> Tensor:
    """The logit of each picture for its class: ``linear(h) + embedding(y) · h``.

    Args:
        features: h, (B, F).
        labels: y, (B,) int64.
        embedding: (B,) -> (B, F), a row for each class.
        linear: (B, F) -> (B, 1).

    Returns:
        (B,).

    Source: Miyato and Koyama 2018, arXiv 1802.05637, eq. 3.
    """
    return linear(features).squeeze(1) + (embedding(labels) * features).sum(dim=1)


def make_players(
    method: str = DEFAULT,
    latent_dim: int = 100,
    width: int = 64,
    size: int = 32,
    classes: int = 10,
    device: torch.device | str = "cpu",
) -> tuple[Generator, Discriminator]:
    """Both networks of a method (a name of `METHODS`), channels last."""
    generator = Generator(latent_dim, width, size, classes).to(device)
    discriminator = Discriminator(width, size, classes, METHODS[method].norm).to(device)
    layout = torch.channels_last
    return generator.to(memory_format=layout), discriminator.to(memory_format=layout)


def cgan_step(
    generator: nn.Module,
    discriminator: nn.Module,
    g_optimizer: torch.optim.Optimizer,
    d_optimizer: torch.optim.Optimizer,
    real: Tensor,
    label: Tensor,
    noise: Tensor,
    method: str = DEFAULT,
    autocast: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> dict[str, float]:
    """One step of both players; the generated pictures get the classes of the photographs.

    Args:
        generator: (noise, label) -> images (B, 3, H, W) in [-1, 1].
        discriminator: (images, label) -> logits (B,).
        g_optimizer: holds the generator's parameters.
        d_optimizer: holds the discriminator's parameters.
        real: photographs (B, 3, H, W) in [-1, 1].
        label: their classes (B,).
        noise: (B, latent_dim, 1, 1).
        method: a name of `METHODS`. The penalties come apart, in `cgan_penalty_step`.
        autocast: context for the networks' passes, for example ``Runtime.autocast``.

    Returns:
        ``d_loss`` and ``g_loss``, and the mean ``d_real`` = D(x) and ``d_fake`` = D(G(z)) in [0, 1], both before the
        discriminator's step. (For hinge and relativistic losses those two are the sigmoid of the logits, no more.)
    """
    way = METHODS[method]
    losses = GAMES[way.loss]
    with autocast():
        fake = generator(noise, label)
        real_logits = discriminator(real, label).float()
        fake_logits = discriminator(fake.detach(), label).float()
    d_loss = losses(real_logits, fake_logits)[0]
    d_optimizer.zero_grad()
    d_loss.backward()
    d_optimizer.step()

    with frozen(discriminator):  # the generator's step needs gradients through D, not of D
        with autocast():
            again = discriminator(real, label).float() if way.paired else real_logits.detach()
            logits = discriminator(fake, label).float()
        g_loss = losses(again, logits)[1]
        g_optimizer.zero_grad()
        g_loss.backward()
    g_optimizer.step()
    return {
        "d_loss": d_loss.item(),
        "g_loss": g_loss.item(),
        "d_real": real_logits.sigmoid().mean().item(),
        "d_fake": fake_logits.sigmoid().mean().item(),
    }


def cgan_penalty_step(
    discriminator: nn.Module,
    d_optimizer: torch.optim.Optimizer,
    real: Tensor,
    fake: Tensor | None,
    label: Tensor,
    gamma: float,
    method: str = DEFAULT,
) -> float:
    """One step of the discriminator against its slopes; call it every `PENALTY_EVERY` steps. Returns their sum.

    Args:
        discriminator: (images, label) -> logits (B,).
        d_optimizer: holds its parameters.
        real: photographs (B, 3, H, W) in [-1, 1].
        fake: generated pictures of the same classes; None where the method does not ask for them.
        label: the classes (B,).
        gamma: weight of each penalty, as if it were taken in every step.
        method: a name of `METHODS`, which says at which pictures the slope counts; where it counts at none, no step.
    """
    way, judge = METHODS[method], Judging(discriminator, label)
    asked = (real, way.real_penalty), (fake, way.fake_penalty)
    counted = [x for x, counts in asked if counts and x is not None]
    if not counted:
        return 0.0
    steepness = torch.stack([slope(judge, x) for x in counted]).sum()
    d_optimizer.zero_grad()
    (gamma / 2 * PENALTY_EVERY * steepness).backward()
    d_optimizer.step()
    return steepness.item()


@torch.no_grad()
def sample(
    network: nn.Module,
    labels: Tensor,
    noise: Tensor | None = None,
    generator: torch.Generator | None = None,
    batch_size: int = 500,
) -> Tensor:
    """A picture of each class asked for, with the network in evaluation mode: uint8 (N, 3, H, W).

    Args:
        network: a `Generator`, or an average of one.
        labels: the classes (N,) int64, or shares of all classes (N, classes), for what lies between two of them.
        noise: latent vectors (N, latent_dim) or (N, latent_dim, 1, 1); drawn where there are none.
        generator: what they are drawn from, on the CPU; by default the global one.
        batch_size: pictures made at a time.

    In evaluation mode BatchNorm uses its running statistics, so a picture depends on its own class and latent vector.
    The mode of each layer is given back as it was.
    """
    first = next(network.parameters())
    if noise is None:
        noise = torch.randn(len(labels), latent_dim_of(network), generator=generator)
    noise = noise.reshape(len(labels), -1, 1, 1).to(first.device, first.dtype)
    labels = labels.to(first.device)
    with evaluation_mode(network):
        parts = zip(noise.split(batch_size), labels.split(batch_size), strict=True)
        return torch.cat([to_bytes(network(*part)).cpu() for part in parts])


def with_averages_of(network: Generator, labels: Tensor, noise: Tensor) -> Generator:
    """A copy in evaluation mode whose BatchNorms have the means and variances of one batch.

    Args:
        network: a generator, in either mode.
        labels: classes (N,).
        noise: latent vectors (N, latent_dim, 1, 1).

    Layer by layer, so that each is measured on what comes out of the layers before it with their new averages.
    """
    twin = copy.deepcopy(network).eval()

    def measure(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        maps = inputs[0].float()
        layer.running_mean, layer.running_var = maps.mean((0, 2, 3)), maps.var((0, 2, 3))

    norms = [layer for layer in twin.modules() if isinstance(layer, nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(measure) for norm in norms]
    with torch.no_grad():
        twin(noise, labels)
    for hook in hooks:
        hook.remove()
    return twin


def nearer(network: Generator, scale: float = 0.5) -> Generator:
    """A copy that draws nearer to the middle: it shortens latent vectors, and has averages that suit them.

    It takes the same latent vectors as before. The factor is in the weights of its first layer, and its BatchNorms
    have averages that were measured anew, on pictures of all classes, as in lesson 08, which shows what this buys and
    what it costs.

    Args:
        network: a generator, in evaluation mode.
        scale: what latent vectors are multiplied by.
    """
    twin = copy.deepcopy(network)
    with torch.no_grad():
        twin.first.weight[: network.latent_dim] *= scale
    labels = torch.arange(network.classes).repeat(100)
    dice = torch.Generator().manual_seed(5)
    noise = torch.randn(len(labels), network.latent_dim, 1, 1, generator=dice)
    device = next(network.parameters()).device
    return with_averages_of(twin, labels.to(device), noise.to(device))


def latent_dim_of(network: nn.Module) -> int:
    """The length of a generator's latent vectors, also of an average's."""
    inner: Any = getattr(network, "module", network)
    return int(inner.latent_dim)


def load_shipped(device: torch.device | str = "cpu") -> tuple[Generator, dict[str, Any]]:
    """The class-conditional generator that ships, in evaluation mode, and the facts of the run that made it.

    Returns:
        The network, and ``data``, ``classes`` (their names), ``steps``, ``epochs``, ``seed``, ``latent_dim``,
        ``width``, ``method``.

    Raises:
        CourseError: the file is missing or damaged.
    """
    weights, facts = shipped.read(SHIPPED)
    network = Generator(
        int(facts["latent_dim"]),
        int(facts["width"]),
        int(facts.get("size", 32)),
        len(facts["classes"]),
        weights["embedding.weight"].shape[1],
    )
    network.load_state_dict(weights, assign=True)  # in float32, whatever the default is
    return network.to(device).eval(), facts
