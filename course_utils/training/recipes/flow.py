"""Lesson 09's training without a notebook; `course_utils.train` calls it, and so do the measuring programs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from course_utils import runtime
from course_utils.datasets.images import ImageSet
from course_utils.models import dcgan, flow, gan_steady
from course_utils.training import batch_memory
from course_utils.training.run import TrainingRun, last_means


def train_flow(
    run: runtime.Runtime,
    images: ImageSet,
    folder: Path,
    settings: Mapping[str, Any],
    fresh: bool = False,
    watch: Callable[[TrainingRun], object] = lambda training: None,
    make_network: Callable[[int, int, int], flow.Velocity] = flow.Velocity,
) -> tuple[TrainingRun, dict[str, float]]:
    """Train lesson 09's network.

    Args:
        run: the machine's settings.
        images: training images of 32 or 64 pixels, with their classes.
        folder: where checkpoints live.
        settings: ``steps``, ``batch_size``, ``width`` and ``average``, the decay of the weights' average.
        fresh: start again.
        watch: is shown the run after each step.
        make_network: size, width, classes -> the network.

    Returns:
        The run, whose state has the ``network`` and its average ``averaged``; its last mean loss (over the last 100
        steps).
    """
    size, classes = images.images.shape[-1], len(images.classes)
    network = make_network(size, settings["width"], classes)
    network.to(run.device).to(memory_format=network.layout)
    light = batch_memory.without_memory(network)

    def forward(n: int) -> Tensor:
        x = torch.empty(n, 3, size, size, device="meta")
        return light(
            x,
            torch.empty(n, device="meta"),
            torch.zeros(n, dtype=torch.int64, device="meta"),
        )

    batch_memory.require_batch(min(settings["batch_size"], len(images)), forward, run.device)
    averaged = gan_steady.make_average(network, settings["average"])
    optimizer = flow.make_optimizer(network)
    training = TrainingRun(
        folder,
        state={"network": network, "averaged": averaged, "optimizer": optimizer},
        config={
            "lesson": "flow",
            "data": images.name,
            "size": size,
            "classes": classes,
            **{k: settings[k] for k in ("width", "average")},
        },
        steps=settings["steps"],
        examples=len(images),
        batch_size=settings["batch_size"],
        seed=run.seed,
        fresh=fresh,
        data_sha256=images.sha256,
    )
    pixels, labels = images.images.to(run.device), images.labels.to(run.device)
    for index in training.batches():
        index = index.to(run.device)
        x = dcgan.to_tanh_range(pixels[index])
        noise = training.draw(torch.randn, 3, size, size).to(run.device)
        t = flow.sample_times(training.draw(torch.randn).to(run.device))
        dropped = training.draw(torch.rand).to(run.device) < flow.DROPPED
        label = torch.where(dropped, classes, labels[index])
        lr = flow.learning_rate(training.step, training.steps)
        losses = flow.flow_step(network, optimizer, x, label, noise, t, lr, run.autocast)
        averaged.update_parameters(network)
        training.log(**losses)
        watch(training)
    return training, last_means(training.history)
