"""A person's own folder: what counts as a picture, what is said of the rest, and that every kind has its colours."""

import io
import os
import struct
import sys
import tarfile
import types
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from course_utils.datasets import folders, image_files, image_folders
from course_utils.datasets.images import ImageSet, load_images
from course_utils.errors import CourseError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("COURSE_CACHE", str(folder))
    monkeypatch.delenv("COURSE_IMAGES", raising=False)
    monkeypatch.setattr(image_folders, "_said", {})
    return folder


def picture(seed=0, width=40, height=40):
    """A smooth coloured picture, different for every seed."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def put(path, seed=0, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed).save(path, **options)
    return path


def flat(root, count=6, suffix="png"):
    for k in range(count):
        put(root / f"{k}.{suffix}", k)
    return root


def everything(root, **options):
    """How many pictures train and test have together."""
    return sum(len(load_images(root, split=split, **options)) for split in ("train", "test"))


# ---- which files count


NAMES = ["a.jpg", "b.jfif", "c.JPEG", "d.jpe", "e.tga", "f.WebP", "g.bmp", "h.tiff", "i.gif"]
NAMES += ["j.ppm", "k.jp2"]


def test_what_pillow_reads_is_read_whatever_the_suffix_and_its_capitals(tmp_path, capsys):
    names = NAMES + (["l.avif"] if ".avif" in image_files.kinds().by_suffix else [])
    for seed, name in enumerate(names):
        put(tmp_path / "p" / name, seed)
    assert everything(tmp_path / "p") == len(names)
    assert capsys.readouterr().out == ""


def test_a_file_without_a_suffix_is_known_by_its_content(tmp_path, capsys):
    root = flat(tmp_path / "p")
    for name, kind in (("IMG_0001", "JPEG"), ("3.05.2021", "PNG"), ("photo.jpg_large", "WEBP")):
        put(root / name, 9, format=kind)
    (root / "notes").write_text("no picture")
    (root / "numbers").write_bytes(bytes(range(256)) * 8)
    assert everything(root) == 9
    assert capsys.readouterr().out == "Left out of p: 2 × no picture (notes, numbers).\n"


def test_what_is_left_out_is_counted_with_the_reason_in_one_line_and_once(tmp_path, capsys):
    root = flat(tmp_path / "p")
    for name in ("a.txt", "b.TXT", "table.csv", "IMG_1.HEIC", "IMG_2.heif", "raw.NEF", "more.zip"):
        (root / name).write_bytes(b"x" * 99)
    for split in ("train", "test"):
        load_images(root, split=split)
    printed = capsys.readouterr().out
    assert printed.count("Left out of p") == printed.count("\n") == 1
    for part in (
        "3 × no picture (.txt, .TXT, .csv)",
        "2 × HEIC, which needs: pip install pillow-heif, then a new start of the kernel (IMG_1.HEIC, IMG_2.heif)",
        "1 × a kind of picture that Pillow cannot read, to be saved as JPEG or PNG (raw.NEF)",
        "1 × archive, to be unpacked (more.zip)",
    ):
        assert part in printed
    load_images(root)  # the cell is run again, and says it again
    assert capsys.readouterr().out == printed


def test_a_folder_of_heic_alone_names_the_package_that_reads_them(tmp_path):
    (tmp_path / "p").mkdir()
    for k in range(3):
        (tmp_path / "p" / f"{k}.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    with pytest.raises(
        CourseError, match="3 × HEIC, which needs: pip install pillow-heif"
    ) as caught:
        load_images(tmp_path / "p")
    assert caught.value.code == "images-none"


def test_heic_is_read_where_pillow_heif_is_installed(tmp_path, monkeypatch):
    def register_heif_opener():  # here a HEIC file is a PNG behind twelve bytes
        from PIL.PngImagePlugin import PngImageFile

        class HeifFile(PngImageFile):
            format = "HEIF"

            def _open(self):
                self.fp = io.BytesIO(self.fp.read()[12:])
                super()._open()

        Image.register_open("HEIF", HeifFile, lambda head: head[4:12] == b"ftypheic")
        Image.register_extensions("HEIF", [".heic"])

    plugin = types.ModuleType("pillow_heif")
    plugin.register_heif_opener = register_heif_opener
    monkeypatch.setitem(sys.modules, "pillow_heif", plugin)
    image_files.kinds.cache_clear()
    try:
        for k in range(2):
            png = io.BytesIO()
            picture(k).save(png, "PNG")
            (tmp_path / f"{k}.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + png.getvalue())
        (tmp_path / "renamed.jpg").write_bytes((tmp_path / "1.HEIC").read_bytes())
        assert image_files.why_not(str(tmp_path / "0.HEIC")) is None
        for name in ("0.HEIC", "renamed.jpg"):
            assert image_files.decode(tmp_path / name, 32).kind == "HEIF 40x40"
    finally:
        Image.OPEN.pop("HEIF", None), Image.ID.remove("HEIF"), Image.EXTENSION.pop(".heic", None)
        image_files.kinds.cache_clear()


def test_heic_under_a_jpegs_name_is_called_what_it_is(tmp_path):
    root = flat(tmp_path / "p" / "train")
    (root / "phone.jpg").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    with pytest.raises(CourseError, match=r"phone\.jpg: a HEIC picture.*pip install pillow-heif"):
        load_images(root.parent)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_neither_file_nor_folder_is_never_opened(tmp_path, capsys):
    root = flat(tmp_path / "p")
    for name in ("pipe.jpg", ".pipe", "pipe"):
        os.mkfifo(root / name)  # opening one would wait for ever
    assert everything(root) == 6
    assert "2 × neither file nor folder (pipe, pipe.jpg)" in capsys.readouterr().out


def test_pictures_that_start_another_program_are_not_opened(tmp_path, capsys):
    root = flat(tmp_path / "p")
    put(root / "page.eps", 9)
    assert everything(root) == 6
    assert "1 × no picture (.eps)" in capsys.readouterr().out


# ---- hidden, locked and linked


def test_hidden_and_system_names_are_one_list(capsys):
    hidden = ["@eaDir", ".thumbnails", "__MACOSX", ".ipynb_checkpoints", "Thumbs.db", "._a.jpg"]
    hidden += ["lost+found", "#recycle", "$RECYCLE.BIN", "desktop.ini", ".DS_Store", "a.jpg~"]
    assert all(map(folders.is_hidden, hidden))
    shown = ["a.jpg", "$5", "@home", "#1", "_a", "lost", "thumbs", "~", "Train"]
    assert [name for name in shown if folders.is_hidden(name)] == ["~"]


@pytest.mark.parametrize("classes", [False, True])
def test_thumbnails_of_systems_are_no_pictures(tmp_path, capsys, classes):
    root = tmp_path / "p"
    for k in range(6):
        put(root / ("ab"[k % 2] if classes else "") / f"{k}.jpg", k)
    for place in (root, *(root / name for name in "ab" if classes)):
        for name in ("@eaDir", ".thumbnails", "__MACOSX", ".ipynb_checkpoints", "lost+found"):
            put(place / name / "0.jpg" / "SYNOPHOTO_THUMB_M.jpg", 9)
        put(place / "._0.jpg", 9)
        for name in ("Thumbs.db", ".DS_Store"):
            (place / name).write_bytes(b"not worth a word")
    images = load_images(root)
    assert images.classes == (("a", "b") if classes else ("p",))
    assert everything(root) == 6
    printed = capsys.readouterr().out
    assert f"{18 if classes else 6} × hidden or a system's own (" in printed
    assert "DS_Store" not in printed


def test_a_locked_folder_does_not_end_the_scan(tmp_path, monkeypatch, capsys):
    root = tmp_path / "p"
    for k in range(6):
        put(root / "a" / f"{k}.jpg", k)
    for name in ("lost+found", "b", "a/private"):
        (root / name).mkdir()
    listed = os.scandir

    def scandir(path):  # as it is for everybody but root
        if os.path.basename(path) in ("lost+found", "b", "private"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert everything(root, on_bad="skip") == 6
    printed = capsys.readouterr().out
    assert "a/private/: a folder that may not be read" in printed and "b/: a folder" in printed
    with pytest.raises(
        CourseError, match=r"2 of the files.*\n.*a/private/: a folder that may not"
    ) as caught:
        load_images(root)
    assert caught.value.code == "images-bad-files" and "lost+found" not in caught.value.what


def test_a_locked_file_is_named(tmp_path, monkeypatch):
    root = flat(tmp_path / "p" / "train")
    opened = open

    def locked(path, *rest, **options):
        if str(path).endswith("3.png"):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *rest, **options)

    monkeypatch.setattr("builtins.open", locked)
    with pytest.raises(CourseError, match=r"3\.png: a file that may not be read"):
        load_images(root.parent)


def test_linked_folders_are_followed_once(tmp_path, capsys):
    away = tmp_path / "away"
    for k in range(4):
        put(away / "deep" / f"{k}.jpg", k)
        put(tmp_path / "p" / "a" / f"{k}.jpg", k + 4)
    root = tmp_path / "p"
    (root / "b").symlink_to(away)  # a class that lies elsewhere
    (away / "back").symlink_to(root)  # a circle
    (root / "a" / "self").symlink_to(root / "a")
    (root / "a" / "up").symlink_to("..")
    (root / "again").symlink_to(root / "a")
    images = load_images(root, "train"), load_images(root, "test")
    assert sum(map(len, images)) == 8
    assert torch.bincount(torch.cat([part.labels for part in images])).tolist()[:3] == [4, 0, 4]
    assert images[0].classes == ("a", "again", "b")
    assert (
        "4 × link to a folder that is read already (a/self, a/up, again, ...)"
        in capsys.readouterr().out
    )


def test_a_linked_picture_is_read_and_a_link_that_leads_nowhere_is_named(tmp_path):
    root = flat(tmp_path / "p", 5)
    put(tmp_path / "elsewhere.jpg", 9)
    (root / "linked.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    assert everything(root) == 6
    (root / "lost.jpg").symlink_to(tmp_path / "nowhere.jpg")
    with pytest.raises(CourseError, match=r"lost\.jpg: a link to a file that does not exist"):
        everything(root)


# ---- layouts


@pytest.mark.parametrize(
    "names", [("train", "test"), ("Train", "Test"), ("TRAINING", "Val"), ("train", "valid")]
)
@pytest.mark.parametrize("around", ["", "dataset", "photos/dataset v2"])
def test_splits_are_known_in_any_case_and_in_a_folder_around_them(tmp_path, names, around, capsys):
    root = tmp_path / "mine"
    for name, count in zip(names, (5, 3), strict=True):
        for k in range(count):
            put(root / around / name / "ab"[k % 2] / f"{k}.jpg", k + count)
    put(root / "__MACOSX" / "a.jpg")
    (root / "readme.txt").write_text("hello")
    train, test = load_images(root), load_images(root, "test")
    assert (len(train), len(test)) == (5, 3)
    assert train.classes == test.classes == ("a", "b") and train.name == "mine"
    told = f"{names[1]} is the test set, since there is no folder test." in capsys.readouterr().out
    assert told == (names[1] != "test" and names[1] != "Test")


def test_what_lies_beside_train_and_test_is_named(tmp_path, capsys):
    root = tmp_path / "p"
    for k in range(4):
        for name in ("train", "Test", "val", "extra"):
            put(root / name / f"{k}.jpg", k)
    put(root / "sample.jpg")
    (root / "docs").mkdir()
    assert (len(load_images(root)), len(load_images(root, "test"))) == (4, 4)
    assert (
        "3 × beside the folders of train and test (extra, sample.jpg, val)"
        in capsys.readouterr().out
    )


def test_a_train_among_buses_is_a_class(tmp_path, capsys):
    for k in range(6):
        for name in ("train", "bus"):
            put(tmp_path / "p" / name / f"{k}.jpg", k)
    assert (
        load_images(tmp_path / "p").classes == ("bus", "train") and everything(tmp_path / "p") == 12
    )
    assert "train is taken for a class, like bus beside it" in capsys.readouterr().out


def test_two_folders_for_one_split_are_asked_about(tmp_path):
    for name in ("train", "Training", "test"):
        put(tmp_path / "p" / name / "a.jpg")
    with pytest.raises(CourseError, match="two folders for train: Training and train") as caught:
        load_images(tmp_path / "p")
    assert caught.value.code == "images-two-splits"


def test_classes_have_one_number_in_both_splits(tmp_path):
    root = tmp_path / "p"
    for path in ("train/a", "train/b", "train/c", "test/b", "test/C", "test/new"):
        for k in range(2):
            put(root / path / f"{k}.jpg", k)
    train, test = load_images(root), load_images(root, "test")
    assert train.classes == test.classes == ("a", "b", "c", "new")
    assert sorted(train.labels.tolist()) == [0, 0, 1, 1, 2, 2]
    assert sorted(test.labels.tolist()) == [1, 1, 2, 2, 3, 3]


def test_classes_in_one_split_alone_are_asked_about(tmp_path):
    root = tmp_path / "p"
    for k in range(4):
        put(root / "train" / "ab"[k % 2] / f"{k}.jpg", k)
        put(root / "test" / f"{k}.jpg", k)
    with pytest.raises(
        CourseError, match=r"class folders, and the pictures in .*test lie in none"
    ) as caught:
        load_images(root, "test")
    assert caught.value.code == "images-classes-in-one-split"
    assert len(load_images(root / "train")) == 3


def test_a_single_folder_around_classes_is_no_class(tmp_path):
    for k in range(6):
        put(tmp_path / "p" / "inner" / "ab"[k % 2] / f"{k}.jpg", k)
        put(tmp_path / "one" / "cat" / f"{k}.jpg", k)
    assert load_images(tmp_path / "p").classes == ("a", "b")
    assert load_images(tmp_path / "one").classes == ("cat",)


def test_a_folder_is_not_cifar10_because_it_is_called_so(tmp_path):
    own = load_images(flat(tmp_path / "CIFAR-10"))
    assert own.name == "folder CIFAR-10" and own.is_own
    assert not load_images("standin", limit=2).is_own


@pytest.mark.parametrize("name", ["my $5 and $6", "$x$", "$\\frac$ 1", "datasets", "_^{"])
def test_a_folder_of_any_name_is_loaded(tmp_path, name):
    images = load_images(flat(tmp_path / name))
    assert images.name == name and images.classes == (name,)


# ---- damage that decoders do not mind


def jpeg(size=64, **options):
    content = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    Image.fromarray(noise).save(content, "JPEG", **options)
    return content.getvalue()


def broken(content, how):
    half = len(content) // 2
    return {
        "cut": content[:half],
        "zeros": content[:half] + bytes(len(content) - half),
        "zeros to the mark": content[:half] + bytes(len(content) - half - 2) + b"\xff\xd9",
        "a block of zeros": content[:half] + bytes(512) + content[half + 512 :],
        "no end": content[:-2],
    }[how]


DAMAGE = ["cut", "zeros", "no end"]
HIDDEN_DAMAGE = ["zeros to the mark", "a block of zeros"]  # not to be told in a progressive file
PLAIN = [{}, {"optimize": True}, {"quality": 95, "subsampling": 0}]


@pytest.mark.parametrize(
    ("options", "how"),
    [
        *((options, how) for options in PLAIN for how in DAMAGE + HIDDEN_DAMAGE),
        *(({"progressive": True}, how) for how in DAMAGE),
    ],
)
def test_a_jpeg_with_a_grey_part_is_refused(tmp_path, monkeypatch, how, options):
    root = flat(tmp_path / "train")
    (root / "half.jpg").write_bytes(broken(jpeg(**options), how))
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # as some libraries leave it
    with pytest.raises(CourseError, match=r"half\.jpg: damaged or cut short"):
        load_images(tmp_path)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True
    assert len(load_images(tmp_path, on_bad="skip")) == 6


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "BMP", "TIFF", "JPEG2000", "PPM", "TGA"])
def test_half_a_file_of_any_kind_is_refused(tmp_path, kind):
    root = flat(tmp_path / "train")
    whole = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole, kind)
    suffix = next(s for s, k in Image.registered_extensions().items() if k == kind)
    (root / f"half{suffix}").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    with pytest.raises(CourseError, match=r"half\.\w+: "):
        load_images(tmp_path)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "JPEG2000"])
def test_compressed_pictures_that_end_in_zeros_are_refused(tmp_path, kind):
    root = flat(tmp_path / "train")
    whole = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole, kind)
    content = whole.getvalue()
    suffix = next(s for s, k in Image.registered_extensions().items() if k == kind)
    (root / f"half{suffix}").write_bytes(broken(content, "zeros"))
    with pytest.raises(CourseError, match=r"half\.\w+: "):
        load_images(tmp_path)


@pytest.mark.parametrize(
    "options", [{}, {"optimize": True}, {"progressive": True}, {"quality": 30, "optimize": True}]
)
def test_a_whole_jpeg_is_never_called_cut(tmp_path, options):
    """White pictures, padding behind the end, a thumbnail in front, and fill bytes are all sound."""
    white, noise = Image.new("RGB", (1200, 900), "white"), Image.open(io.BytesIO(jpeg(96)))
    white.paste(noise, (500, 400))
    content = io.BytesIO()
    exif = Image.Exif()
    exif[0x927C] = bytes(4000)  # a maker's note full of zeros
    white.save(content, "JPEG", exif=exif, comment=jpeg(16), icc_profile=bytes(300), **options)
    whole = content.getvalue()
    filled = whole[:2] + b"\xff\xff" + whole[2:]
    for k, variant in enumerate((whole, whole + bytes(1000), whole + whole, filled)):
        file = tmp_path / f"{k}.jpg"
        file.write_bytes(variant)
        assert image_files.decode(file, 32).kind == "JPEG 1200x900"


# ---- right colours


def decoded(tmp_path, image, name="a.png", **options):
    """What the course makes of a picture of 32 x 32: (32, 32, 3) as numbers."""
    image.save(tmp_path / name, **options)
    return image_files.decode(tmp_path / name, 32).pixels.transpose(1, 2, 0).astype(int)


def png_16(path, array):
    """A PNG of 16 bits a channel, which Pillow does not write in colour: uint16 (H, W, C)."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    height, width, channels = array.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bits_a_channel(tmp_path, channels):
    levels = np.random.default_rng(0).integers(0, 65536, (32, 32, channels)).astype(np.uint16)
    if channels in (2, 4):
        levels[..., -1] = 65535
    png_16(tmp_path / "a.png", levels)
    found = image_files.decode(tmp_path / "a.png", 32).pixels.transpose(1, 2, 0).astype(int)
    expected = levels[..., : 3 if channels > 2 else 1].astype(int) >> 8
    assert np.abs(found - expected).max() <= 1


def tiff_12(path, levels):
    """A grey TIFF of 12 bits: two levels in three bytes."""
    height, width = levels.shape
    even, odd = levels[:, ::2].astype(int), levels[:, 1::2].astype(int)
    packed = np.stack([even >> 4, (even & 15) << 4 | odd >> 8, odd & 255], axis=2).astype(np.uint8)
    data = packed.tobytes()
    tags = {256: width, 257: height, 258: 12, 259: 1, 262: 1, 273: 200, 277: 1, 278: height}
    tags[279] = len(data)
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0)
    path.write_bytes(head.ljust(200, b"\0") + data)


def test_12_bits_are_scaled_where_the_file_says_so(tmp_path):
    levels = np.random.default_rng(0).integers(0, 4096, (32, 32))
    tiff_12(tmp_path / "a.tif", levels)
    grey = (tmp_path / "b.pgm").open("wb")
    grey.write(b"P5 32 32 4095\n" + levels.astype(">u2").tobytes())
    grey.close()
    for name in ("a.tif", "b.pgm"):
        found = image_files.decode(tmp_path / name, 32).pixels.astype(int)
        assert np.abs(found - (levels >> 4)).max() <= 1


def test_12_bits_in_a_file_of_16_are_asked_about_and_not_shown_black(tmp_path):
    root = flat(tmp_path / "train")
    levels = np.random.default_rng(0).integers(0, 4096, (32, 32)).astype(np.uint16)
    for name in ("microscope.png", "microscope.tif"):
        Image.fromarray(levels).save(root / name)
    with pytest.raises(
        CourseError, match=r"microscope\.png: 16-bit pixels that end at 4,0\d\d of 65,535"
    ):
        load_images(tmp_path)
    black = np.zeros((32, 32), np.uint16)
    assert decoded(tmp_path, Image.fromarray(black)).max() == 0  # which is black in any reading


def test_a_jpeg_of_12_bits_is_named(tmp_path):
    root = flat(tmp_path / "train")
    content = bytearray(jpeg())
    content[content.index(b"\xff\xc0") + 4] = 12  # bits a sample
    (root / "xray.jpg").write_bytes(content)
    with pytest.raises(
        CourseError, match=r"xray\.jpg: begins like JPEG, but is damaged or of a kind"
    ):
        load_images(tmp_path)


@pytest.mark.parametrize("kind", ["a.jpg", "a.tif"])
def test_cmyk(tmp_path, kind):
    colour = picture(3, 32, 32)
    inks = colour.convert("CMYK")
    found = decoded(
        tmp_path, inks, kind, **({"quality": 100, "subsampling": 0} if kind == "a.jpg" else {})
    )
    assert np.abs(found - np.asarray(inks.convert("RGB")).astype(int)).mean() < 3
    assert np.abs(found - np.asarray(colour).astype(int)).mean() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp"])
def test_pictures_turned_by_the_camera_stand_upright(tmp_path, kind, orientation):
    upright = np.zeros((32, 32, 3), np.uint8)
    upright[:16, :16], upright[:16, 16:], upright[16:, :16] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Image.Transpose that the camera did
    stored = Image.fromarray(upright)
    if orientation > 1:
        stored = stored.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = (
        {"quality": 95, "subsampling": 0}
        if kind == "jpg"
        else {"lossless": True}
        if kind == "webp"
        else {}
    )
    found = decoded(tmp_path, stored, f"a.{kind}", exif=exif, **options)
    assert np.abs(found - upright.astype(int)).mean() < 8


def test_palettes_and_alpha_lie_on_white(tmp_path):
    index = np.tile(np.array([0, 1, 2, 3], np.uint8), (32, 8))
    palette = Image.fromarray(index, mode="P")
    colours = [200, 0, 0, 0, 200, 0, 0, 0, 200, 10, 20, 30]
    palette.putpalette(colours)
    plain = np.array(colours).reshape(4, 3)
    assert (decoded(tmp_path, palette)[0, :4] == plain).all()
    alphas = bytes([255, 128, 0, 255])
    found = decoded(tmp_path, palette, transparency=alphas)[0, :4]
    expected = plain + (255 - plain) * (1 - np.array(list(alphas))[:, None] / 255)
    assert np.abs(found - expected).max() <= 1
    assert (
        decoded(tmp_path, palette, "a.gif", transparency=2)[0, :4]
        == [*plain[:2], [255] * 3, plain[3]]
    ).all()
    keyed = palette.convert("RGB")
    assert (
        decoded(tmp_path, keyed, transparency=(0, 200, 0))[0, :4]
        == [plain[0], [255] * 3, *plain[2:]]
    ).all()
    half = Image.merge("RGBA", [*picture(1, 32, 32).split(), Image.new("L", (32, 32), 100)])
    for name in ("a.png", "a.tga", "a.tif"):
        over = np.asarray(half)[..., :3] * (100 / 255) + 255 * (1 - 100 / 255)
        assert np.abs(decoded(tmp_path, half, name) - over).max() <= 1


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_of_several_pictures_in_a_file_the_first_is_taken_with_a_word(tmp_path, capsys, suffix):
    root = flat(tmp_path / "p")
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue", "green")]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(root / f"film.{suffix}", save_all=True, append_images=frames[1:], **options)
    assert (image_files.decode(root / f"film.{suffix}", 32).pixels[:, 5, 5] == [255, 0, 0]).all()
    assert everything(root) == 7
    assert capsys.readouterr().out == (
        "1 of the files in p hold several pictures, an animation or pages; the first of each is used "
        f"(film.{suffix}).\n"
    )


def test_notes_are_kept_in_the_cache(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(image_folders, "_CACHE_FROM", 2)
    root = flat(tmp_path / "train")
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    frames[0].save(root / "film.gif", save_all=True, append_images=frames[1:])
    for _ in range(2):
        load_images(tmp_path)
        assert "(film.gif)" in capsys.readouterr().out


# ---- sources that are no folder


def answer(source):
    with pytest.raises(CourseError) as caught:
        load_images(source)
    for word in ("emove", "elete"):
        assert word not in caught.value.fix
    return caught.value


def pasted(fix):
    """What the line of Python at the end of a fix gives."""
    names = {"load_images": load_images}
    exec(fix[fix.index("import ") :] if "import " in fix else fix[fix.index("images = ") :], names)
    return names["images"]


@pytest.mark.parametrize(
    "name", ["photos.zip", "photos.tar.gz", "photos.tar", "photos.tgz", "photos"]
)
def test_an_archive_of_pictures_is_answered_with_the_line_that_unpacks_it(tmp_path, name):
    flat(tmp_path / "in" / "photos")
    path = tmp_path / name
    if name == "photos.zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in (tmp_path / "in" / "photos").iterdir():
                archive.write(file, f"photos/{file.name}")
    else:
        with tarfile.open(path, "w" if name.endswith("tar") else "w:gz") as archive:
            archive.add(tmp_path / "in" / "photos", "photos")
    content = path.read_bytes()
    error = answer(path)
    assert error.code == "images-one-file" and "is an archive" in error.what
    assert len(pasted(error.fix)) == 5 and path.read_bytes() == content
    assert len(pasted(answer(str(path)).fix)) == 5  # again: into another new folder


def test_a_picture_a_list_and_another_file_are_answered_with_what_to_give(tmp_path):
    picture_file = flat(tmp_path / "p") / "0.png"
    error = answer(picture_file)
    assert "is a single picture" in error.what and len(pasted(error.fix)) == 5
    (tmp_path / "list.txt").write_text("a.jpg\nb.jpg\n")
    assert "is a list or a table" in answer(tmp_path / "list.txt").what
    (tmp_path / "weights.pt").write_bytes(b"PK\3\4" + bytes(99))
    assert "holds no pictures" in answer(tmp_path / "weights.pt").what
    (tmp_path / "a.rar").write_bytes(b"Rar!" + bytes(99))
    assert "system's own program" in answer(tmp_path / "a.rar").fix
    assert {answer(p).code for p in (tmp_path / "list.txt", tmp_path / "a.rar")} == {
        "images-one-file"
    }


@pytest.mark.parametrize(
    "source", [["a.jpg", "b.jpg"], torch.zeros(2, 3, 8, 8), np.zeros(3), Image.new("L", (8, 8)), 7]
)
def test_what_is_no_path_at_all_is_named(source):
    error = answer(source)
    assert error.code == "images-source" and type(source).__name__ in error.what


@pytest.mark.parametrize(
    ("source", "fix"),
    [
        ("CIFAR-10", '"cifar10"'),
        ("Stand-in", '"standin"'),
        ("https://example.org/a.zip", "Download it"),
    ],
)
def test_near_names_and_addresses_are_asked_about(source, fix, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = answer(source)
    assert error.code == "images-not-found" and fix.replace('"', "'") in error.fix.replace('"', "'")


def test_the_usual_python_archive_of_cifar10_is_answered_with_both_ways(
    tmp_path, cache, capsys, monkeypatch
):
    path = tmp_path / "cifar-10-python.tar.gz"
    batches = tmp_path / "x" / "cifar-10-batches-py"
    batches.mkdir(parents=True)
    (batches / "data_batch_1").write_bytes(b"x")
    with tarfile.open(path, "w:gz") as archive:
        archive.add(batches, "cifar-10-batches-py")
    for source in (path, tmp_path):
        error = answer(source)
        assert error.code == "images-cifar10-python"
        assert "cifar-10-binary.tar.gz" in error.why and "cifar-10-batches-py" in error.why
    with pytest.raises(CourseError) as caught:  # the line unpacks it, and the folder is then proved
        pasted(error.fix)
    assert caught.value.code == "images-not-cifar10" and "elete" not in caught.value.fix
    path.rename(cache / path.name)
    monkeypatch.setenv("COURSE_TIER", "laptop")
    assert load_images(limit=2).is_standin
    assert (
        "cifar-10-python.tar.gz is there, but packed. Unpack it: import tarfile"
        in capsys.readouterr().out
    )


def test_another_file_of_the_binary_archives_name_is_left_where_it_is(tmp_path):
    path = tmp_path / "cifar-10-binary.tar.gz"
    path.write_bytes(b"mine")
    error = answer(path)
    assert error.code == "asset-wrong-file" and path.read_bytes() == b"mine"


# ---- one digest


def test_a_set_has_one_digest_of_pixels_and_labels():
    images = torch.arange(2 * 3 * 4 * 4).reshape(2, 3, 4, 4).to(torch.uint8)
    one = ImageSet(images, torch.tensor([0, 1]), "a", False, ("x", "y"))
    same = ImageSet(images.clone(), torch.tensor([0, 1]), "b", False, ("x", "z"))
    assert one.sha256 == same.sha256 and len(one.sha256) == 64
    changed = images.clone()
    changed[1, 2, 3, 3] += 1
    others = [
        ImageSet(changed, torch.tensor([0, 1]), "a", False, ("x", "y")),
        ImageSet(images, torch.tensor([1, 0]), "a", False, ("x", "y")),
        ImageSet(images.flip(0), torch.tensor([0, 1]), "a", False, ("x", "y")),
    ]
    assert len({one.sha256, *(other.sha256 for other in others)}) == 4


def test_pictures_changed_in_the_folder_change_the_digest(tmp_path):
    root = flat(tmp_path / "train")
    before = load_images(tmp_path).sha256
    assert load_images(tmp_path).sha256 == before
    put(root / "3.png", 99)
    assert load_images(tmp_path).sha256 != before
    assert Path(root / "3.png").is_file()
