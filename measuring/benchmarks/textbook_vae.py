"""The VAE loop as tutorials write it; the baseline of ``python3 run.py bench``.

PIL images through transforms and a DataLoader, float32. Network, likelihood, batch and optimiser are lesson 03's.
"""

import math
from collections.abc import Iterator

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms

from measuring.benchmarks.textbook_dcgan import Generator, Images


class VAE(nn.Module):
    def __init__(self, latent_dim: int, width: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 4 * width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(4 * width),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
        )
        self.fc_mu = nn.Linear(64 * width, latent_dim)
        self.fc_logvar = nn.Linear(64 * width, latent_dim)
        self.decoder = Generator(latent_dim, width)
        self.log_var = nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        h = self.encoder(x)
        mu, logvar = self.fc_mu(h), self.fc_logvar(h)
        std = torch.exp(0.5 * logvar)
        z = mu + std * torch.randn_like(std)
        return self.decoder(z[:, :, None, None]), mu, logvar


def loss_function(
    recon: torch.Tensor,
    x: torch.Tensor,
    mu: torch.Tensor,
    logvar: torch.Tensor,
    log_var: torch.Tensor,
):
    squares = (x - recon) ** 2 / log_var.exp() + log_var + math.log(2 * math.pi)
    nll = 0.5 * squares.sum() / len(x)
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp()) / len(x)
    return nll, kld


class Dequantised(Images):
    """Noise of one grey level, then [-1, 1]: a density of whole numbers would grow without bound."""

    def __init__(self, pictures) -> None:
        super().__init__(pictures)
        self.transform = transforms.Compose(
            [
                transforms.PILToTensor(),
                lambda x: (x + torch.rand(x.shape) - 0.5) / 127.5 - 1,
            ]
        )


def train(pictures: torch.Tensor, settings: dict, state: dict) -> Iterator[dict[str, float]]:
    """Train for ever; after each step yields its loss in nats an image and the number of images that it used.

    Args:
        pictures: (N, 3, 32, 32) uint8.
        settings: ``batch_size``, ``latent_dim`` and ``width``.
        state: gets the ``vae``.
    """
    dataset = Dequantised(pictures.permute(0, 2, 3, 1).contiguous().numpy())
    dataloader = DataLoader(
        dataset, batch_size=settings["batch_size"], shuffle=True, num_workers=settings["workers"]
    )
    model = VAE(settings["latent_dim"], settings["width"])
    state["vae"] = model
    networks = [p for name, p in model.named_parameters() if name != "log_var"]
    optimizer = torch.optim.Adam(
        [{"params": networks}, {"params": [model.log_var], "lr": 2e-2}], lr=1e-3
    )
    while True:
        for x in dataloader:
            optimizer.zero_grad()
            recon, mu, logvar = model(x)
            nll, kld = loss_function(recon, x, mu, logvar, model.log_var)
            loss = nll + kld
            loss.backward()
            optimizer.step()
            yield {"loss": loss.item(), "examples": len(x)}
