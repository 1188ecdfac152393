"""Lesson 06's generators are those that go with the pictures."""

from types import SimpleNamespace

import torch

from course_utils.datasets.images import load_images
from course_utils.training.recipes import earlier_generators

CPU = torch.device("cpu")


def test_other_pictures_get_a_small_vae_that_is_trained_at_once():
    found = earlier_generators.samplers(load_images("standin", limit=64), CPU, steps=2)
    assert list(found) == ["small VAE, trained here"]
    (sample,) = found.values()
    images = sample(3)
    assert images.shape == (3, 3, 32, 32) and images.dtype == torch.uint8


def test_cifar_10_gets_the_shipped_generators_the_gan_first():
    found = earlier_generators.samplers(SimpleNamespace(name="CIFAR-10 (a copy)"), CPU, steps=0)
    assert list(found) == ["DCGAN of lesson 2", "VAE of lesson 3"]
    for sample in found.values():
        images = sample(2)
        assert images.shape == (2, 3, 32, 32) and images.dtype == torch.uint8
