"""The small picture classifier: it learns what can be learned, moves pictures and nothing else, and repeats itself."""

import torch

from course_utils.models import small_classifier


def striped(count):
    """Pictures of two classes, bright above or below, and their labels."""
    labels = torch.arange(count) % 2
    images = torch.randint(0, 60, (count, 3, 32, 32), dtype=torch.uint8)
    for image, label in zip(images, labels.tolist(), strict=True):
        image[:, 16 * label : 16 * label + 16] += 150
    return images, labels


def test_it_learns_what_pictures_show_and_not_labels_by_chance():
    torch.manual_seed(0)
    images, labels = striped(120)
    fresh, answers = striped(100)
    network = small_classifier.fit(images, labels, steps=40)
    assert (small_classifier.classes_of(network, fresh) == answers).float().mean() > 0.95
    shuffled = small_classifier.fit(images, labels[torch.randperm(120)], steps=40)
    assert (small_classifier.classes_of(shuffled, fresh) == answers).float().mean() < 0.9


def test_a_seed_gives_the_same_network_and_leaves_the_global_stream_alone():
    images, labels = striped(40)
    torch.manual_seed(5)
    one = small_classifier.fit(images, labels, steps=3, seed=1)
    following = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(following, torch.rand(1))
    two = small_classifier.fit(images, labels, steps=3, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_moved_pictures_keep_their_shape_and_every_inner_pixel():
    image = torch.zeros(1, 3, 32, 32)
    image[:, :, 16, 16] = 1.0
    places = set()
    for seed in range(200):
        found = small_classifier.moved(image, torch.Generator().manual_seed(seed))
        assert found.shape == image.shape and found.sum() == 3
        places.add(tuple(found[0, 0].nonzero()[0].tolist()))
    rows, columns = ({place[i] for place in places} for i in (0, 1))
    assert rows == set(range(12, 21)) and columns == set(range(11, 21))


def test_as_many_steps_as_asked_whatever_the_number_of_pictures():
    images, labels = striped(6)
    network = small_classifier.fit(images, labels, steps=1, batch_size=4)
    assert not network.training
