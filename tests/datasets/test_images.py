"""ImageSet and load_images: every layout, every broken file, and that nothing is silent."""

import hashlib
import io
import os
import pickle
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import CIFAR10

from course_utils import assets
from course_utils.datasets import cifar10, image_folders, standin_images
from course_utils.datasets.images import ImageSet, load_images
from course_utils.errors import CourseError

BATCH = 40  # images in a batch of the small archives below


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("COURSE_CACHE", str(folder))
    monkeypatch.delenv("COURSE_IMAGES", raising=False)
    return folder


def pictures(count, seed=1, size=32):
    images, factors = standin_images.render(count, seed, size)
    return images, factors["class"]


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(array.transpose(1, 2, 0))).save(path, **options)


def class_folders(root, count=20, suffix="png", classes=cifar10.CLASSES):
    """Folders of pictures; returns what the reader should find by (class, file name)."""
    images, labels = pictures(count)
    for k, (image, label) in enumerate(zip(images, labels, strict=True)):
        save(root / classes[label] / f"{k:04}.{suffix}", image)
    return root


# ---- ImageSet


def make_set(images=None, labels=None, **changes):
    images = torch.zeros(3, 3, 8, 8, dtype=torch.uint8) if images is None else images
    labels = torch.tensor([0, 1, 1]) if labels is None else labels
    return ImageSet(
        images, labels, **{"name": "a", "is_standin": False, "classes": ("x", "y"), **changes}
    )


def test_an_image_set_has_a_length_parts_and_a_title():
    images = make_set(factors={"hue": torch.tensor([0.1, 0.2, 0.3])})
    assert len(images) == 3 and "3 images of 8×8, 2 classes" in repr(images)
    part = images.take(2)
    assert len(part) == 2 and part.factors["hue"].tolist() == pytest.approx([0.1, 0.2])
    chosen = images.subset(images.labels == 1)
    assert chosen.labels.tolist() == [1, 1] and len(images.take(100)) == 3
    assert images.title("Real images") == "Real images [a]"
    assert "stand-in" in make_set(is_standin=True).title("Real images")


@pytest.mark.fault("B2")
@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"images": torch.zeros(3, 3, 8, 8)}, "images are float32, not uint8"),
        ({"images": np.zeros((3, 3, 8, 8), np.uint8)}, "images are a ndarray"),
        ({"images": torch.zeros(3, 8, 8, 3, dtype=torch.uint8)}, r"shape \(3, 8, 8, 3\)"),
        ({"images": torch.zeros(0, 3, 8, 8, dtype=torch.uint8)}, r"shape \(0, 3, 8, 8\)"),
        ({"labels": torch.tensor([0.0, 1.0, float("nan")])}, "label at index 2 is NaN"),
        ({"labels": torch.tensor([0.0, 1.0, 1.0])}, "labels are float32, not int64"),
        ({"labels": torch.tensor([0, 1, 2])}, "label at index 2 is 2; 2 classes"),
        ({"labels": torch.tensor([0, -1, 1])}, "label at index 1 is -1"),
        ({"labels": torch.tensor([0, 1])}, r"labels have shape \(2,\)"),
        ({"labels": [0, 1, 1]}, "labels are a list"),
        ({"factors": {"hue": torch.zeros(2)}}, "'hue' has 2 values for 3 images"),
    ],
)
def test_wrong_images_and_labels_are_named_at_once(part, message):
    with pytest.raises(CourseError, match=message):
        make_set(**part)


# ---- the default source


def test_smoke_is_always_the_stand_in(cache, capsys):
    class_folders(cache / "cifar10" / "train")
    images = load_images(tier="smoke", limit=200)
    assert images.is_standin and images.name == "drawn stand-in (not CIFAR-10)"
    assert "stand-in" in capsys.readouterr().out
    assert images.classes == standin_images.CLASSES and images.factors["class"].equal(images.labels)
    assert torch.equal(
        images.images,
        torch.from_numpy(standin_images.render(200, standin_images.SEEDS["train"])[0]),
    )
    assert not torch.equal(load_images(tier="smoke", split="test", limit=200).images, images.images)
    assert load_images("standin", size=64, limit=5).images.shape == (5, 3, 64, 64)
    assert len(load_images("standin", split="test")) == 2000


def test_laptop_takes_cifar10_from_the_cache_and_else_says_how_to_get_it(cache, capsys):
    assert load_images(tier="laptop", limit=10).is_standin
    printed = capsys.readouterr().out
    line = next(line.strip() for line in printed.splitlines() if "assets.fetch" in line)
    assert "STAND-IN" in printed
    compile(line, "pasted", "exec")
    class_folders(cache / "cifar10" / "train", suffix="jpg")
    images = load_images(tier="laptop")
    assert (
        images.name == "CIFAR-10 (JPEG copy)"
        and not images.is_standin
        and capsys.readouterr().out == ""
    )


def test_gpu_falls_back_to_the_stand_in_aloud_when_nothing_can_be_fetched(monkeypatch, capsys):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    entry = assets.manifest()["cifar10"]
    gone = assets.Asset(
        **{**vars(entry), "urls": ("https://127.0.0.1:9/cifar-10-binary.tar.gz",)}
    )  # nobody listens
    monkeypatch.setattr(assets, "manifest", lambda: {"cifar10": gone})
    assert load_images(tier="gpu", limit=10).is_standin
    printed = capsys.readouterr().out
    assert "could not be fetched" in printed and "STAND-IN" in printed
    with pytest.raises(
        CourseError, match="could not be fetched"
    ):  # who asks for CIFAR-10 by name gets it or an error
        load_images("cifar10", tier="gpu")


@pytest.mark.fault("A9")
def test_a_damaged_archive_in_the_cache_is_told_and_not_used(cache, capsys):
    (cache / "cifar-10-binary.tar.gz").write_bytes(b"\x1f\x8b" + bytes(1000))
    assert load_images(tier="laptop", limit=10).is_standin
    assert "damaged: only 1,002 of 170,052,171 bytes" in capsys.readouterr().out
    assert (cache / "quarantine" / "cifar-10-binary.tar.gz").is_file()


def test_course_images_names_the_source(tmp_path, monkeypatch):
    monkeypatch.setenv(
        "COURSE_IMAGES", str(class_folders(tmp_path / "my pictures ö", classes=tuple("abcdefghij")))
    )
    images = load_images(tier="smoke")
    assert images.name == "my pictures ö" and images.classes == tuple("abcdefghij")


# ---- folders


def test_a_flat_folder_and_the_split_of_a_folder_without_one(tmp_path):
    images, _ = pictures(60)
    for k, image in enumerate(images):
        save(tmp_path / "flat" / f"{k}.png", image)
    train, test = load_images(tmp_path / "flat"), load_images(tmp_path / "flat", split="test")
    assert (len(train), len(test), train.classes) == (50, 10, ("flat",))
    seen = {image.tobytes() for image in torch.cat([train.images, test.images]).numpy()}
    assert seen == {image.tobytes() for image in images}


def test_class_folders_with_train_and_test(tmp_path):
    class_folders(tmp_path / "set" / "train", 30)
    class_folders(tmp_path / "set" / "test", 10)
    train, test = load_images(tmp_path / "set"), load_images(tmp_path / "set", split="test")
    assert (len(train), len(test), train.name) == (30, 10, "CIFAR-10 (PNG copy)")
    images, labels = pictures(30)
    truth = {image.tobytes(): int(label) for image, label in zip(images, labels, strict=True)}
    assert all(
        truth[i.tobytes()] == int(k)
        for i, k in zip(train.images.numpy(), train.labels, strict=True)
    )


def test_limit_is_the_start_of_one_fixed_order_whatever_the_file_system_says(tmp_path, monkeypatch):
    root = class_folders(tmp_path / "set", 60)
    whole = load_images(root)
    assert torch.equal(load_images(root, limit=17).images, whole.images[:17])
    assert len(set(whole.labels[:17].tolist())) >= 6
    listed = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: reversed(list(listed(path))))
    assert torch.equal(load_images(root).images, whole.images)


def test_only_the_other_split_there(tmp_path):
    class_folders(tmp_path / "set" / "train", 10)
    with pytest.raises(CourseError, match="no folder 'test'") as caught:
        load_images(tmp_path / "set", split="test")
    assert "split='train'" in caught.value.fix


@pytest.mark.parametrize("shape", [(178, 218), (218, 178), (40, 300)])
@pytest.mark.parametrize("size", [32, 64])
def test_nothing_is_stretched(tmp_path, shape, size):
    height, width = max(shape[1], 64), max(shape[0], 64)
    y, x = np.mgrid[:height, :width] + 0.5
    radius = min(height, width) * 0.35
    disc = ((x - width / 2) ** 2 + (y - height / 2) ** 2 < radius**2).astype(np.uint8) * 255
    for k in range(2):
        save(tmp_path / "discs" / f"{k}.png", np.stack([disc] * 3))
    image = load_images(tmp_path / "discs", size=size, limit=1).images[0, 0].float() / 255
    assert image.shape == (size, size)
    tall, wide = image.amax(1).sum(), image.amax(0).sum()
    assert abs(tall - wide) < 1 and abs(wide - 0.7 * size) < 1.5
    assert image.sum() == pytest.approx(np.pi * (0.35 * size) ** 2, rel=0.03)


def one(tmp_path, image, name="a.png", **options):
    """What the course makes of one picture (and not of the plain one that the test split takes)."""
    folder = tmp_path / "one"
    folder.mkdir(exist_ok=True)
    image.save(folder / name, **options)
    return image_folders.decode(folder / name, 32)[0]


@pytest.mark.fault("B1")
def test_every_kind_of_pixel_becomes_rgb(tmp_path):
    level = np.tile(np.arange(32, dtype=np.uint8) * 8, (32, 1))
    grey = Image.fromarray(level)
    expected = np.stack([level] * 3)
    assert np.array_equal(one(tmp_path, grey), expected)
    assert np.array_equal(
        one(tmp_path, Image.fromarray(level.astype(np.uint16) * 256 + 255)), expected
    )
    assert np.array_equal(
        one(tmp_path, Image.fromarray(level.astype(np.uint16) * 256), "a.tif"), expected
    )
    assert np.array_equal(one(tmp_path, grey.convert("P")), expected)
    assert np.array_equal(
        one(tmp_path, Image.fromarray(level > 100)), np.where(expected > 100, 255, 0)
    )
    colour = Image.fromarray(np.stack([level, level[::-1], level.T], axis=2))
    assert np.array_equal(one(tmp_path, colour), np.asarray(colour).transpose(2, 0, 1))
    printed = one(tmp_path, colour.convert("CMYK"), "a.jpg", quality=95).astype(int)
    assert np.abs(printed - np.asarray(colour).transpose(2, 0, 1)).mean() < 12


@pytest.mark.fault("B1")
def test_transparency_becomes_white(tmp_path):
    rgba = np.zeros((32, 32, 4), dtype=np.uint8)
    rgba[:16] = (200, 10, 10, 255)
    rgba[16:] = (0, 0, 255, 0)  # what hides under full transparency must not appear
    pixels = one(tmp_path, Image.fromarray(rgba))
    assert pixels[:, 0, 0].tolist() == [200, 10, 10] and pixels[:, 31, 0].tolist() == [
        255,
        255,
        255,
    ]
    pixels = one(tmp_path, Image.fromarray(rgba).convert("LA"))
    assert 60 < pixels[0, 0, 0] < 75 and pixels[:, 31, 0].tolist() == [255, 255, 255]
    palette = Image.fromarray(np.tile(np.array([[0, 1]], np.uint8), (32, 16)), mode="P")
    palette.putpalette([250, 0, 0, 0, 0, 250])
    pixels = one(tmp_path, palette, transparency=1)
    assert pixels[:, 0, 0].tolist() == [250, 0, 0] and pixels[:, 0, 1].tolist() == [255, 255, 255]


def test_the_cameras_orientation_is_followed(tmp_path):
    array = np.zeros((32, 48, 3), dtype=np.uint8)
    array[:, :24] = (255, 0, 0)  # red on the left; a quarter turn clockwise brings it to the top
    image = Image.fromarray(array)
    exif = image.getexif()
    exif[0x0112] = 6
    for name in ("a.jpg", "b.png"):
        pixels = one(tmp_path, image, name, exif=exif)
        assert pixels[0, 2].mean() > 240 and pixels[0, -3].mean() < 15


def broken_folder(root):
    """A class folder with every kind of broken file, and good ones; returns the names of the broken."""
    images, _ = pictures(6)
    for k, image in enumerate(images):
        save(root / "good" / f"{k}.jpg", image)
    bad = root / "bad"
    bad.mkdir(parents=True)
    (bad / "empty.png").write_bytes(b"")
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(
        whole, "JPEG"
    )
    (bad / "cut.jpg").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    (bad / "header.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(20))
    (bad / "text.jpg").write_text("not an image")
    Image.new("RGB", (1, 1)).save(bad / "tiny.png")
    Image.new("L", (9000, 8000)).save(bad / "bomb.png")
    Image.fromarray(np.ones((32, 32), np.float32)).save(bad / "float.tif")
    (bad / "gone.png").symlink_to(root / "nowhere.png")
    (root / "hollow").mkdir()
    (root / "hollow" / "notes.txt").write_text("no image here")
    (root / ".ipynb_checkpoints").mkdir()
    (root / "good" / ".ipynb_checkpoints").mkdir()
    save(root / "good" / ".ipynb_checkpoints" / "0-checkpoint.jpg", images[0])
    (root / "good" / "._0.jpg").write_bytes(b"resource fork")
    save(root / "stray.png", images[0])
    return [
        "empty.png",
        "cut.jpg",
        "header.png",
        "text.jpg",
        "tiny.png",
        "bomb.png",
        "float.tif",
        "gone.png",
    ]


def both(root, **options):
    """Train and test of a folder together, so that no file escapes into the other split."""
    return [load_images(root, split=split, **options) for split in ("train", "test")]


@pytest.mark.fault("B1")
def test_broken_files_are_listed_by_path_and_reason(tmp_path, monkeypatch):
    names = broken_folder(tmp_path / "set")
    os.rename(tmp_path / "set", tmp_path / "train")
    with pytest.raises(CourseError) as caught:
        load_images(tmp_path)
    what = caught.value.what
    assert caught.value.code == "images-bad-files" and what.startswith("10 of the files")
    for name in names:
        assert f"bad/{name}: " in what
    for reason in (
        "empty.png: an empty file",
        "text.jpg: not an image that can be read",
        "tiny.png: 1 x 1 pixels are too few",
        "bomb.png: 9000 x 8000 pixels are more than 64 million",
        "float.tif: floating-point",
        "cut.jpg: damaged or cut short",
        "gone.png: a link to a file that does not exist",
        "hollow/: a class folder without images",
        "stray.png: lies beside the class folders",
    ):
        assert reason in what
    assert "checkpoint" not in what and "._0" not in what
    assert 'on_bad="skip"' in caught.value.fix
    monkeypatch.setattr(image_folders, "_LISTED", 4)
    with pytest.raises(CourseError, match="and 6 more"):
        load_images(tmp_path)


@pytest.mark.fault("B1")
def test_broken_files_are_left_out_aloud_when_asked(tmp_path, capsys):
    broken_folder(tmp_path / "train")
    images = load_images(tmp_path, on_bad="skip")
    assert (
        len(images) == 6
        and images.classes == ("bad", "good", "hollow")
        and set(images.labels.tolist()) == {1}
    )
    printed = capsys.readouterr().out
    assert printed.startswith("10 of the files in") and "bad/cut.jpg" in printed
    good = [
        np.asarray(Image.open(file)) for file in (tmp_path / "train" / "good").glob("[0-9].jpg")
    ]
    assert {i.tobytes() for i in images.images.numpy()} == {
        array.transpose(2, 0, 1).tobytes() for array in good
    }


@pytest.mark.fault("B1")
def test_a_renamed_image_is_read_by_its_content(tmp_path):
    images, _ = pictures(2)
    for k, image in enumerate(images):
        save(tmp_path / "set" / "train" / f"{k}.jpg", image, format="PNG")
    assert {i.tobytes() for i in load_images(tmp_path / "set").images.numpy()} == {
        i.tobytes() for i in images
    }


@pytest.mark.parametrize("split", ["train", "test"])
def test_nothing_usable(tmp_path, split):
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "readme.txt").write_text("nothing")
    with pytest.raises(CourseError, match="No usable image"):
        load_images(tmp_path / "none", split=split)
    (tmp_path / "none" / split).mkdir()
    (tmp_path / "none" / split / "a.png").write_bytes(b"")
    with pytest.raises(CourseError, match="No usable image"):
        load_images(tmp_path / "none", split=split, on_bad="skip")


@pytest.mark.parametrize(
    "options",
    [{"split": "val"}, {"size": 48}, {"limit": 0}, {"limit": 2.5}, {"on_bad": "ignore"}],
)
def test_wrong_options_are_answered_with_the_right_ones(options):
    with pytest.raises(CourseError) as caught:
        load_images("standin", **options)
    compile(caught.value.fix, "pasted", "exec")


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(CourseError, match="no file or folder"):
        load_images(tmp_path / "nowhere")


# ---- the cache of decoded pixels


@pytest.fixture
def cached_set(tmp_path, monkeypatch):
    monkeypatch.setattr(image_folders, "_CACHE_FROM", 10)
    return class_folders(tmp_path / "set" / "train", 30).parent


def test_the_second_time_no_file_is_decoded(cached_set, cache, monkeypatch):
    first = load_images(cached_set)
    assert len(list((cache / "decoded").glob("*.safetensors"))) == 1
    monkeypatch.setattr(image_folders, "decode", lambda *_: pytest.fail("decoded again"))
    second = load_images(cached_set)
    assert torch.equal(first.images, second.images) and first.name == second.name


@pytest.mark.fault("A9")
def test_a_damaged_cache_is_not_believed(cached_set, cache):
    first = load_images(cached_set)
    file = next((cache / "decoded").glob("*.safetensors"))
    content = bytearray(file.read_bytes())
    for damage in (-1, len(content) // 2, 40, 3):
        content[damage] ^= 1
        file.write_bytes(content)
        assert torch.equal(load_images(cached_set).images, first.images)
        assert file.read_bytes() != bytes(content)  # written anew
        content = bytearray(file.read_bytes())
    file.write_bytes(b"")
    assert torch.equal(load_images(cached_set).images, first.images)


def test_a_changed_file_is_read_again_and_faults_are_remembered(cached_set):
    first = load_images(cached_set)
    victim = next((cached_set / "train" / "cat").glob("*.png"))
    save(victim, np.full((3, 32, 32), 7, np.uint8))
    os.utime(victim, (time.time() + 5, time.time() + 5))
    changed = (load_images(cached_set).images != first.images).any(3).any(2).any(1)
    assert changed.sum() == 1
    victim.write_bytes(b"")
    for _ in range(2):
        with pytest.raises(CourseError, match=f"cat/{victim.name}: an empty file"):
            load_images(cached_set)


def test_only_a_few_caches_are_kept(cached_set, cache):
    for limit in range(11, 18):
        load_images(cached_set, limit=limit)
    assert len(list((cache / "decoded").iterdir())) == 4


# ---- CIFAR-10's own layouts, made small from drawn (or real) pictures


def records(images, labels):
    rows = np.concatenate(
        [labels.astype(np.uint8)[:, None], images.reshape(len(images), -1)], axis=1
    )
    return [rows[k : k + BATCH].tobytes() for k in range(0, len(rows), BATCH)]


def binary_members(images, labels):
    names = [*cifar10.MEMBERS["train"], *cifar10.MEMBERS["test"]]
    return dict(zip(names, records(images, labels), strict=True))


def write_tar(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def pin(monkeypatch, path):
    """Make the file at ``path`` the one whose digest is expected."""
    content = path.read_bytes()
    known = vars(
        assets.Asset(
            "cifar10", path.name, (), len(content), hashlib.sha256(content).hexdigest(), "", ""
        )
    )
    monkeypatch.setattr(assets, "manifest", lambda: {"cifar10": assets.Asset(**known)})


@pytest.fixture
def small(monkeypatch):
    """Six batches of 40 pictures, expected in place of CIFAR-10's; images, labels and members."""
    images, labels = pictures(6 * BATCH)
    return expect(monkeypatch, images, labels)


def expect(monkeypatch, images, labels):
    members = binary_members(images, labels)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    monkeypatch.setattr(cifar10, "IMAGES_PER_MEMBER", BATCH)
    monkeypatch.setattr(cifar10, "MEMBER_SHA256", digests)
    return images, labels, members


def same_pictures(found, images, labels):
    truth = sorted(
        (image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)
    )
    return truth == sorted(
        (i.tobytes(), int(k)) for i, k in zip(found.images.numpy(), found.labels, strict=True)
    )


def in_archive(members):
    members = {"readme.html": b"hello", **members}
    return {f"cifar-10-batches-bin/{name}": content for name, content in members.items()}


def test_the_authors_archive(small, tmp_path, cache, monkeypatch):
    images, labels, members = small
    path = write_tar(cache / "cifar-10-binary.tar.gz", in_archive(members))
    pin(monkeypatch, path)
    for source in (path, cache, "cifar10", None):
        train, test = (
            load_images(source, split=split, tier="laptop") for split in ("train", "test")
        )
        assert (
            train.name == "CIFAR-10" and train.classes == CIFAR10_CLASSES and not train.is_standin
        )
        assert same_pictures(train, images[: 5 * BATCH], labels[: 5 * BATCH])
        assert same_pictures(test, images[5 * BATCH :], labels[5 * BATCH :])
    assert torch.equal(load_images(path, limit=13).images, train.images[:13])
    with pytest.raises(CourseError, match="asked for at 64 pixels"):
        load_images(path, size=64)
    assert sorted(p.name for p in cache.iterdir()) == [
        "cifar-10-binary.tar.gz"
    ]  # nothing was unpacked


CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)


def test_the_authors_batches_unpacked(small, cache):
    images, labels, members = small
    folder = cache / "cifar-10-batches-bin"
    folder.mkdir()
    for name, content in members.items():
        (folder / name).write_bytes(content)
    for source in (folder, cache, "cifar10"):
        assert same_pictures(load_images(source), images[: 5 * BATCH], labels[: 5 * BATCH])
    (folder / "data_batch_3.bin").write_bytes(members["data_batch_4.bin"])
    with pytest.raises(CourseError, match=r"data_batch_3.bin has another SHA-256"):
        load_images(folder)
    (folder / "data_batch_3.bin").write_bytes(b"short")
    with pytest.raises(CourseError, match=r"data_batch_3.bin has 5 bytes"):
        load_images(folder)
    (folder / "data_batch_3.bin").unlink()
    with pytest.raises(CourseError, match=r"data_batch_3.bin is missing"):
        load_images(folder)


@pytest.mark.fault("A7")
def test_an_archive_with_a_wrong_digest_is_not_opened(small, tmp_path, monkeypatch):
    path = write_tar(tmp_path / "cifar-10-binary.tar.gz", in_archive(small[2]))
    monkeypatch.setattr(tarfile, "open", lambda *_, **__: pytest.fail("opened"))
    with pytest.raises(CourseError, match=r"is not cifar-10-binary\.tar\.gz") as caught:
        load_images(path)
    assert caught.value.code == "asset-wrong-file" and path.is_file()


@pytest.mark.fault("A7")
def test_hostile_archives_are_refused_even_with_the_right_digest(small, tmp_path, monkeypatch):
    outside, path = tmp_path / "evil.bin", tmp_path / "cifar-10-binary.tar.gz"
    members = small[2]
    wanted = "cifar-10-batches-bin/test_batch.bin"

    def attempt(message):
        pin(monkeypatch, path)
        with pytest.raises(CourseError, match=message) as caught:
            load_images(path, split="test")
        assert caught.value.code == "images-not-cifar10" and not outside.exists()

    record = members["test_batch.bin"]
    write_tar(path, {"../evil.bin": record, str(outside): record})
    attempt("test_batch.bin is missing")
    write_tar(path, {wanted: record[:-1]})
    attempt("test_batch.bin has 122,919 bytes")
    write_tar(path, {wanted: record[::-1]})
    attempt("another SHA-256")
    write_tar(path, {"cifar-10-batches-bin/zeros": bytes(5_000_000)})
    attempt("cifar-10-batches-bin/zeros claims 5,000,000 bytes")
    write_tar(path, {wanted: record, **{f"f{k}": record for k in range(7)}})
    attempt("more than 860,440 bytes unpacked")
    write_tar(path, {**{f"f{k}": b"" for k in range(200)}, wanted: record})
    attempt("more than 100 members")
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        with tarfile.open(path, "w:gz") as tar:
            info = tarfile.TarInfo(wanted)
            info.type, info.linkname = kind, str(tmp_path / "secret")
            info.size = len(record)
            tar.addfile(info)
        attempt("not a regular file")
    path.write_bytes(write_tar(path, in_archive(members)).read_bytes()[:30_000])
    attempt("cannot be read to the end")


def torchvision_layout(folder, images, labels, monkeypatch):
    """Torchvision's pickles, with their sums published in place of the real ones."""
    folder.mkdir(parents=True)
    names = [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]
    parts = zip(
        names, np.split(images.reshape(len(images), -1), 6), np.split(labels, 6), strict=True
    )
    contents = {
        name: pickle.dumps({"data": rows, "labels": part.tolist()}) for name, rows, part in parts
    }
    contents["batches.meta"] = pickle.dumps({"label_names": list(CIFAR10_CLASSES)})
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    sums = {name: hashlib.md5(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(CIFAR10, "train_list", [[name, sums[name]] for name in names[:5]])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": sums["batches.meta"]})
    return folder


def test_torchvisions_layout(tmp_path, monkeypatch):
    images, labels = pictures(6 * BATCH)
    folder = torchvision_layout(tmp_path / "cifar-10-batches-py", images, labels, monkeypatch)
    for source in (folder, tmp_path):
        found = load_images(source)
        assert found.name == "CIFAR-10" and same_pictures(
            found, images[: 5 * BATCH], labels[: 5 * BATCH]
        )
    assert same_pictures(
        load_images(folder, split="test"), images[5 * BATCH :], labels[5 * BATCH :]
    )


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.fault("A8")
def test_a_pickle_bomb_is_never_opened(tmp_path):
    folder, sign = tmp_path / "cifar-10-batches-py", tmp_path / "went off"
    folder.mkdir()
    bomb = pickle.dumps(Bomb(sign))
    pickle.loads(bomb)
    assert sign.exists()  # it is a real one
    sign.unlink()
    for name in [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch", "batches.meta"]:
        (folder / name).write_bytes(bomb)
    with pytest.raises(CourseError, match="another MD5 sum") as caught:
        load_images(folder)
    assert caught.value.code == "images-not-cifar10"
    for name in ("a.png", "b.jpg"):
        (tmp_path / "flat").mkdir(exist_ok=True)
        (tmp_path / "flat" / name).write_bytes(bomb)
    with pytest.raises(CourseError, match="not an image"):
        load_images(tmp_path / "flat")
    assert not sign.exists()


# ---- the real photographs


@pytest.mark.slow
def test_the_real_photographs_as_a_folder(real_cifar10):
    test = load_images(real_cifar10, split="test")
    assert test.name == "CIFAR-10 (JPEG copy)" and test.classes == CIFAR10_CLASSES
    assert (
        test.images.shape == (10_000, 3, 32, 32)
        and torch.bincount(test.labels).tolist() == [1000] * 10
    )
    mean = test.images.float().mean((0, 2, 3)) / 255
    assert mean.tolist() == pytest.approx([0.494, 0.485, 0.450], abs=0.01)
    assert torch.equal(load_images(real_cifar10, split="test").images, test.images)
    part = load_images(real_cifar10, limit=500)
    assert len(part) == 500 and torch.bincount(part.labels).min() > 25


@pytest.mark.slow
def test_the_real_photographs_in_the_authors_and_torchvisions_layouts(
    real_cifar10, tmp_path, monkeypatch
):
    photographs = load_images(real_cifar10, split="test", limit=6 * BATCH)
    images, labels, members = expect(
        monkeypatch, photographs.images.numpy(), photographs.labels.numpy()
    )
    path = write_tar(tmp_path / "cifar-10-binary.tar.gz", in_archive(members))
    pin(monkeypatch, path)
    folder = torchvision_layout(
        tmp_path / "other" / "cifar-10-batches-py", images, labels, monkeypatch
    )
    for split, part in (("train", slice(0, 5 * BATCH)), ("test", slice(5 * BATCH, None))):
        first, second = load_images(path, split=split), load_images(folder, split=split)
        assert same_pictures(first, images[part], labels[part])
        assert torch.equal(first.images, second.images) and torch.equal(first.labels, second.labels)
