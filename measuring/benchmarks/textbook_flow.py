"""The flow-matching loop as tutorials write it; the baseline of ``python3 run.py bench``.

PIL images through transforms and a DataLoader, float32, the schedule as a LambdaLR, an average that a Python loop
updates tensor by tensor. The network is lesson 09's own, which is not what is compared; so are batch, rates and times.
"""

import copy
from collections.abc import Iterator

import torch
from torch import nn
from torch.utils.data import DataLoader

from course_utils.datasets.images import ImageSet
from course_utils.models.flow import DROPPED, PEAK, Velocity, learning_rate
from measuring.benchmarks.textbook_dcgan import Images


class Labelled(Images):
    """Pictures as PIL images with their classes, as torchvision's data sets keep them."""

    def __init__(self, pictures, labels) -> None:
        super().__init__(pictures)
        self.labels = labels

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return super().__getitem__(index), self.labels[index]


class EMA:
    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.shadow = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        for s, p in zip(self.shadow.parameters(), model.parameters(), strict=True):
            s.mul_(self.decay).add_(p, alpha=1 - self.decay)


class ConditionalFlowMatcher:
    def sample_location_and_conditional_flow(self, x0: torch.Tensor, x1: torch.Tensor):
        t = torch.sigmoid(torch.randn(x1.shape[0]))
        t_ = t.view(-1, 1, 1, 1)
        xt = t_ * x1 + (1 - t_) * x0
        ut = x1 - x0
        return t, xt, ut


def train(images: ImageSet, settings: dict, state: dict) -> Iterator[dict[str, float]]:
    """Train for ever; after each step yields its loss and the number of images that it used.

    Args:
        images: 32 x 32 pictures with their classes.
        settings: ``batch_size``, ``width``, ``average`` and ``steps``, over which the rate falls.
        state: gets the ``network`` and its average, ``averaged``.
    """
    dataset = Labelled(
        images.images.permute(0, 2, 3, 1).contiguous().numpy(), images.labels.tolist()
    )
    dataloader = DataLoader(
        dataset, batch_size=settings["batch_size"], shuffle=True, num_workers=settings["workers"]
    )
    classes = len(images.classes)
    model = Velocity(images.images.shape[-1], settings["width"], classes)
    ema = EMA(model, settings["average"])
    state["network"], state["averaged"] = model, ema.shadow
    FM = ConditionalFlowMatcher()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0, betas=(0.9, 0.99), weight_decay=0.01)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate(step, settings["steps"], PEAK)
    )
    while True:
        for x1, y in dataloader:
            optimizer.zero_grad()
            x0 = torch.randn_like(x1)
            t, xt, ut = FM.sample_location_and_conditional_flow(x0, x1)
            y[torch.rand(len(y)) < DROPPED] = classes
            vt = model(xt, t, y)
            loss = torch.mean((vt - ut) ** 2)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            ema.update(model)
            yield {"loss": loss.item(), "examples": len(x1)}
