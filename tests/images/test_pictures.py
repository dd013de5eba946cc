"""Reading pictures: every mode right, every source in order, every damaged file named."""

import io
import os
import shutil
import struct
import threading
import zlib

import jax
import numpy as np
import pytest
from PIL import Image

import jaxcircuits as jc
from jaxcircuits.errors import InputError
from jaxcircuits.images import decode
from support.data import data

RNG = np.random.default_rng(0)
PHOTOGRAPH = np.asarray(
    Image.fromarray(RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)).resize((90, 60), Image.BICUBIC)
)
"""Smooth, of no symmetry, 60 rows by 90 columns."""


def png(pixels: np.ndarray, mode: str | None = None, **save) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(buffer, save.pop("format", "PNG"), **save)
    return buffer.getvalue()


def png_by_hand(pixels: np.ndarray, color_type: int) -> bytes:
    """A 16-bit PNG of (height, width, samples), written chunk by chunk: Pillow writes 16 bits of gray only."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_modes_become_the_rgb_that_they_mean():
    gray = PHOTOGRAPH[..., 0]
    np.testing.assert_array_equal(decode.decode(png(PHOTOGRAPH)), PHOTOGRAPH)
    np.testing.assert_array_equal(decode.decode(png(gray)), np.repeat(gray[..., None], 3, -1))
    np.testing.assert_array_equal(decode.decode(png(gray), channels=1), gray[..., None])
    bits = gray > 127
    np.testing.assert_array_equal(decode.decode(png(bits))[..., 1], bits * np.uint8(255))
    # A palette of many grays whose numbers say nothing about their lightness.
    palette = RNG.permutation(256).astype(np.uint8)
    image = Image.fromarray(np.argsort(palette).astype(np.uint8)[gray])
    image.putpalette(np.repeat(palette, 3).tolist(), "RGB")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    np.testing.assert_array_equal(decode.decode(buffer.getvalue())[..., 2], gray)
    # Codes of neighbors must not be mixed: resized, it is what the gray picture is resized.
    resized = decode.decode(buffer.getvalue(), (30, 45))
    np.testing.assert_allclose(resized[..., 0], decode.decode(png(gray), (30, 45))[..., 0].astype(int), atol=1)


def test_alpha_lies_on_white_before_and_after_resizing():
    alpha = np.linspace(0, 255, 90).astype(np.uint8)[None].repeat(60, 0)
    expected = 255 + alpha[..., None] / 255 * (PHOTOGRAPH.astype(float) - 255)
    seen = decode.decode(png(np.dstack([PHOTOGRAPH, alpha])))
    np.testing.assert_allclose(seen, expected, atol=1)
    small = decode.decode(png(np.dstack([PHOTOGRAPH, alpha])), (30, 45))
    # The picture on white, resized: what is invisible has no color to give to its neighbors.
    laid = decode.decode(png(np.round(expected).astype(np.uint8)), (30, 45))
    np.testing.assert_allclose(small, laid.astype(int), atol=3)
    two = Image.merge("LA", [Image.fromarray(PHOTOGRAPH[..., 0]), Image.fromarray(alpha)])
    buffer = io.BytesIO()
    two.save(buffer, "PNG")
    np.testing.assert_allclose(decode.decode(buffer.getvalue())[..., 0], expected[..., 0], atol=1)
    # One color named as transparent, in a palette and without one.
    halves = np.zeros((8, 8), np.uint8)
    halves[:, 4:] = 200
    for image in (Image.fromarray(halves), Image.fromarray(halves).convert("P")):
        buffer = io.BytesIO()
        image.save(buffer, "PNG", transparency=0)
        seen = decode.decode(buffer.getvalue())
        assert (seen[:, :4] == 255).all() and (seen[:, 4:] == 200).all()


def test_sixteen_bits_keep_their_upper_eight():
    deep = PHOTOGRAPH[..., 0].astype(np.uint16) * 257
    np.testing.assert_array_equal(decode.decode(png(deep))[..., 0], PHOTOGRAPH[..., 0])
    np.testing.assert_array_equal(decode.decode(png(deep, format="TIFF"))[..., 0], PHOTOGRAPH[..., 0])
    small = decode.decode(png(deep), (30, 45))[..., 0].astype(int)
    np.testing.assert_allclose(small, decode.decode(png(PHOTOGRAPH[..., 0]), (30, 45))[..., 0], atol=1)
    colors = decode.decode(png_by_hand(PHOTOGRAPH.astype(np.uint16) * 257, color_type=2))
    np.testing.assert_array_equal(colors, PHOTOGRAPH)
    maxval = b"P5 90 60 65535\n" + deep.astype(">u2").tobytes()
    np.testing.assert_array_equal(decode.decode(maxval)[..., 0], PHOTOGRAPH[..., 0])
    with pytest.raises(InputError, match="range is not stated"):
        decode.decode(png(PHOTOGRAPH[..., 0].astype(np.float32), format="TIFF"))


def test_cmyk_is_ink_on_white():
    inks = RNG.integers(0, 256, (4, 4, 4), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    buffer = io.BytesIO()
    Image.fromarray(inks, "CMYK").save(buffer, "JPEG", quality=100, subsampling=0)
    ink = inks.astype(float) / 255
    expected = 255 * (1 - ink[..., :3]) * (1 - ink[..., 3:])
    np.testing.assert_allclose(decode.decode(buffer.getvalue()), expected, atol=6)


@pytest.mark.parametrize("size, fit", [(None, "crop"), ((30, 45), "crop"), ((40, 40), "crop"), ((50, 20), "whole")])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright(orientation, size, fit):
    """Stored lying as each orientation says, the picture is the one that was never turned."""
    stored = {
        1: PHOTOGRAPH,
        2: PHOTOGRAPH[:, ::-1],
        3: PHOTOGRAPH[::-1, ::-1],
        4: PHOTOGRAPH[::-1],
        5: PHOTOGRAPH.transpose(1, 0, 2),
        6: PHOTOGRAPH.transpose(1, 0, 2)[::-1],
        7: PHOTOGRAPH.transpose(1, 0, 2)[::-1, ::-1],
        8: PHOTOGRAPH.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    seen = decode.decode(png(np.ascontiguousarray(stored), exif=exif), size, fit)
    upright = decode.decode(png(PHOTOGRAPH), size, fit)
    assert seen.shape == upright.shape == (*(size or (60, 90)), 3)
    np.testing.assert_allclose(seen, upright.astype(int), atol=1)


def test_the_crop_is_central_and_whole_is_whole():
    ramp = np.tile(np.arange(90, dtype=np.uint8) * 2, (60, 1))
    crop = decode.decode(png(ramp), (30, 30), channels=1)[..., 0]
    # Columns 15 to 74 of 90, two to one.
    np.testing.assert_allclose(crop[10], 2 * (15.5 + 2 * np.arange(30)), atol=1.5)
    whole = decode.decode(png(ramp), (30, 30), "whole", channels=1)[..., 0]
    np.testing.assert_allclose(whole[10, 1:-1], 2 * (1 + 3 * np.arange(30))[1:-1], atol=1.5)


def test_resizing_averages_whether_or_not_jpeg_helps():
    """A large JPEG is decoded at a fraction of its size; a fine checkerboard must become gray, not a pattern."""
    board = (np.indices((1024, 1536)).sum(0) % 2 * 255).astype(np.uint8)
    assert np.abs(decode.decode(png(board), (32, 32)).astype(int) - 127.5).max() < 2
    large = np.asarray(Image.fromarray(PHOTOGRAPH).resize((1440, 960), Image.BICUBIC))
    jpeg = png(large, format="JPEG", quality=98, subsampling=0)
    small = decode.decode(jpeg, (32, 48)).astype(int)
    np.testing.assert_allclose(small, decode.decode(png(large), (32, 48)), atol=8)
    assert np.abs(small - decode.decode(png(large), (32, 48))).mean() < 1


def test_huge_pictures_are_refused_before_they_are_allocated():
    header = png(np.zeros((1, 1), bool))
    # The size in the header, 100,000 by 100,000 of bits, and its checksum.
    body = b"IHDR" + struct.pack(">II", 100_000, 100_000) + header[24:29]
    bomb = header[:12] + body + struct.pack(">I", zlib.crc32(body)) + header[33:]
    with pytest.raises(InputError, match=r"pixels|decompression bomb"):
        decode.decode(bomb, (32, 32))
    body = b"IHDR" + struct.pack(">II", 10_000, 10_000) + header[24:29]
    bomb = header[:12] + body + struct.pack(">I", zlib.crc32(body)) + header[33:]
    with pytest.warns(Image.DecompressionBombWarning), pytest.raises(InputError, match="10000 x 10000 pixels"):
        decode.decode(bomb, (32, 32))


@pytest.fixture
def folder(tmp_path):
    """Two classes, three pictures each, each of one gray, beside files that are none."""
    for number in range(6):
        place = tmp_path / "set" / ("cat", "dog")[number // 3]
        place.mkdir(parents=True, exist_ok=True)
        ending = ("png", "JPEG", "webp")[number % 3]
        Image.new("RGB", (20 + number, 30), (40 * number,) * 3).save(place / f"p{number}.{ending}", quality=95)
    (tmp_path / "set" / "README.txt").write_text("these are pictures")
    (tmp_path / "set" / ".hidden.png").write_text("not shown")
    return tmp_path / "set"


def grays(pictures: jc.Pictures) -> list[int]:
    return [round(float(picture.image.mean()) * 255) for picture in pictures]


def test_a_folder_in_order_with_the_classes_of_its_folders(folder):
    pictures = jc.open_pictures(folder, size=8)
    assert pictures.classes == ("cat", "dog") and len(pictures) == 6
    assert [pictures.name(i) for i in range(6)] == [
        "cat/p0.png",
        "cat/p1.JPEG",
        "cat/p2.webp",
        "dog/p3.png",
        "dog/p4.JPEG",
        "dog/p5.webp",
    ]
    np.testing.assert_allclose(grays(pictures), 40 * np.arange(6), atol=2)
    assert [pictures[i].label for i in range(6)] == [0, 0, 0, 1, 1, 1]
    assert pictures[-1].name == "dog/p5.webp" and pictures[2].image.dtype == np.float32
    with pytest.raises(IndexError):
        pictures[6]


def test_splits_are_folders_above_the_classes(folder):
    shutil.copytree(folder, folder.parent / "both" / "train")
    shutil.copytree(folder / "dog", folder.parent / "both" / "test" / "dog")
    test = jc.open_pictures(folder.parent / "both", "test", size=8)
    assert test.classes == ("dog",) and len(test) == 3
    everything = jc.open_pictures(folder.parent / "both", size=8)
    assert everything.classes == ("cat", "dog") and len(everything) == 9
    with pytest.raises(InputError, match=r"unknown split 'tests' .*did you mean test"):
        jc.open_pictures(folder.parent / "both", "tests")


def test_a_flat_folder_a_list_and_one_file(folder):
    flat = jc.open_pictures(folder / "dog", size=8)
    assert flat.classes == () and flat[0].label == -1
    listed = jc.open_pictures([folder / "dog" / "p4.JPEG", str(folder / "cat" / "p1.JPEG")], size=8)
    np.testing.assert_allclose(grays(listed), [160, 40], atol=2)
    np.testing.assert_allclose(grays(jc.open_pictures(folder / "dog" / "p4.JPEG", size=8)), [160], atol=2)


def test_links_are_followed_once(folder):
    os.symlink(folder / "dog", folder / "wolf")
    os.symlink(folder, folder / "dog" / "around")
    pictures = jc.open_pictures(folder)
    assert len(pictures) == 6 and pictures.classes == ("cat", "dog")


def test_arrays_are_taken_as_they_are(tmp_path):
    bytes_ = RNG.integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(jc.open_pictures(bytes_)[3].image, bytes_[3] / np.float32(255))
    floats = bytes_ / np.float32(255)
    np.save(tmp_path / "array.npy", floats)
    mapped = jc.open_pictures(np.load(tmp_path / "array.npy", mmap_mode="r"))
    np.testing.assert_array_equal(mapped[4].image, floats[4])
    labeled = jc.open_pictures((jax.numpy.asarray(floats), np.array([2, 0, 1, 1, 0])))
    assert labeled.classes == ("0", "1", "2") and labeled[0].label == 2
    np.testing.assert_array_equal(next(labeled.batches(4)).images, floats[:4])


def draw(key):
    return jax.random.uniform(key, (4, 5, 3)), jax.random.randint(key, (), 0, 3)


def test_scenes_are_drawn_from_their_own_keys():
    pictures = jc.open_pictures(jc.Scenes(draw, 50_000, seed=3, classes=("a", "b", "c")))
    for index in (0, 7, 49_999):
        image, label = draw(jax.random.fold_in(jax.random.key(3), index))
        np.testing.assert_array_equal(pictures[index].image, image)
        assert pictures[index].label == label
    assert len(pictures) == 50_000 and pictures.classes[2] == "c"


@pytest.mark.parametrize("size, start, stop", [(4, 0, None), (4, 3, 9), (16, 0, None), (1, 9, 10), (3, 8, 400)])
def test_batches_are_the_pictures_whatever_their_size(size, start, stop):
    array = RNG.integers(0, 256, (10, 4, 4, 3), dtype=np.uint8)
    seen, numbers = [], []
    for batch in jc.open_pictures(array).batches(size, start, stop):
        assert batch.images.shape == (size, 4, 4, 3) and batch.images.dtype == np.uint8
        assert not batch.images[~batch.read].any()
        seen.append(batch.images[batch.read])
        numbers += batch.numbers[batch.read].tolist()
    assert numbers == list(range(start, min(stop or 10, 10)))
    np.testing.assert_array_equal(np.concatenate(seen), array[start:stop])


def test_damaged_files_are_named_counted_and_left_out(folder):
    good = (folder / "cat" / "p1.JPEG").read_bytes()
    large = png(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8), format="JPEG")
    (folder / "cat" / "truncated.jpg").write_bytes(large[: len(large) // 2])
    (folder / "cat" / "empty.png").write_bytes(b"")
    (folder / "dog" / "text.jpg").write_text("I am not a picture")
    (folder / "dog" / "vector.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    broken = bytearray((folder / "dog" / "p3.png").read_bytes())
    broken[45:60] = b"\xff" * 15
    (folder / "dog" / "broken.png").write_bytes(broken)
    (folder / "dog" / "zz.jpg").write_bytes(good)
    pictures = jc.open_pictures(folder, size=8)
    batches = list(pictures.batches(4))
    read = np.concatenate([batch.read for batch in batches])
    skipped = [line for batch in batches for line in batch.skipped]
    assert read.sum() == 7 and len(skipped) == 5
    names = [line.partition(": ")[0] for line in skipped]
    assert names == ["cat/empty.png", "cat/truncated.jpg", "dog/broken.png", "dog/text.jpg", "dog/vector.png"]
    assert all(line.partition(": ")[2] and "\n" not in line for line in skipped)
    # Each picture keeps its number and its label: skipping shifts nothing.
    labels = np.concatenate([batch.labels for batch in batches])
    assert pictures.name(11) == "dog/zz.jpg" and read[11] and labels[11] == 1
    with pytest.raises(InputError, match=r"dog/text.jpg: cannot be read"):
        pictures[[pictures.name(i) for i in range(12)].index("dog/text.jpg")]


def test_a_folder_that_goes_away_stops_the_pass_with_one_line(folder):
    pictures = jc.open_pictures(folder, size=8)
    (folder / "cat" / "p0.png").unlink()
    first = next(pictures.batches(2))
    assert first.read.tolist() == [False, True] and "not there any more" in first.skipped[0]
    shutil.rmtree(folder)
    with pytest.raises(InputError, match="the folder is not there any more"):
        list(pictures.batches(2))


def test_reading_ends_with_the_one_who_reads():
    array = np.zeros((500, 4, 4, 3), np.uint8)
    before = threading.active_count()
    for _ in range(20):
        batches = jc.open_pictures(array).batches(4)
        next(batches)
        batches.close()
    for thread in threading.enumerate():
        if thread.name.startswith("grain"):
            thread.join(10)
    assert threading.active_count() <= before + 1


@pytest.fixture(scope="module")
def data_set(tmp_path_factory):
    """A TFDS data set of two splits, prepared as ArrayRecord; its third picture is damaged."""
    import tensorflow_datasets as tfds

    class TinyWorld(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        url_infos = None  # nothing is downloaded: no checksums are looked for beside this file

        def _info(self):
            features = {
                "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
                "label": tfds.features.ClassLabel(names=["cat", "dog"]),
                "file_name": tfds.features.Text(),
            }
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features), disable_shuffling=True
            )

        def _split_generators(self, dl_manager):
            return {"train": self._examples(5), "test": self._examples(3)}

        def _examples(self, count):
            for i in range(count):
                picture = b"\x89PNG" if (count, i) == (5, 2) else png(np.full((9 + i, 10, 3), 40 * i, np.uint8))
                yield i, {"image": io.BytesIO(picture), "label": i % 2, "file_name": f"{i}.png"}

        def _generate_examples(self):
            raise NotImplementedError

    folder = tmp_path_factory.mktemp("tfds")
    TinyWorld(data_dir=folder, file_format="array_record").download_and_prepare()
    return folder


def test_a_prepared_data_set_by_name(data_set, monkeypatch):
    import sys

    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(data_set))
    pictures = jc.open_pictures("tfds:tiny_world", "train", size=8)
    assert len(pictures) == 5 and pictures.classes == ("cat", "dog")
    (batch,) = pictures.batches(5)
    assert batch.read.tolist() == [True, True, False, True, True] and batch.skipped[0].startswith("2: ")
    np.testing.assert_array_equal(batch.images[:, 0, 0, 0], [0, 40, 0, 120, 160])
    assert batch.labels[batch.read].tolist() == [0, 1, 1, 0]
    assert len(jc.open_pictures("tfds:tiny_world")) == 8
    assert len(jc.open_pictures("tfds:tiny_world", "test+train[:2]")) == 5
    assert "tensorflow" not in sys.modules
    with pytest.raises(InputError, match="unknown split 'tests' of tfds:tiny_world; did you mean test"):
        jc.open_pictures("tfds:tiny_world", "tests")
    with pytest.raises(InputError, match="cannot be opened"):
        jc.open_pictures("tfds:tiny_world", "train[:")
    with pytest.raises(InputError, match=r"tfds:tiny_wrld: no such data set is prepared in .*tfds build"):
        jc.open_pictures("tfds:tiny_wrld")


def test_a_prepared_data_set_by_its_folder(data_set, tmp_path):
    folder = data_set / "tiny_world" / "1.0.0"
    pictures = jc.open_pictures(folder, "test", size=8)
    np.testing.assert_allclose(grays(pictures), [0, 40, 80], atol=1)
    shutil.copytree(folder, tmp_path / "damaged")
    (tmp_path / "damaged" / "dataset_info.json").write_text("{")
    with pytest.raises(InputError, match=r"dataset_info.json cannot be read"):
        jc.open_pictures(tmp_path / "damaged")


def test_bad_sources_are_one_line(tmp_path, folder):
    (tmp_path / "nothing").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("a")
    floats = np.zeros((2, 4, 4, 3), np.float32)
    cases = [
        (tmp_path / "nothing", {}, "no pictures there"),
        (tmp_path / "texts", {}, "1 other files"),
        (tmp_path / "missing", {}, "no such file or folder"),
        ([tmp_path / "missing.png"], {}, "missing.png: no such file"),
        ([], {}, "an empty list"),
        ([1, 2], {}, "a list of int"),
        (iter([floats[0]]), {}, "read once only.*Scenes"),
        (3, {}, "pictures from int"),
        (floats[0], {}, r"pictures\[None\]"),
        (floats.astype(np.int64), {}, "of type int64"),
        ((floats, np.array([0.5, 1])), {}, "labels"),
        ((floats, np.array([0])), {}, "labels"),
        (floats, {"split": "train"}, "only data sets and folders have splits"),
        (floats, {"size": 8}, "taken at their own"),
        (folder, {"size": 0}, "size of pictures 0"),
        (folder, {"size": (8, 8, 3)}, r"or \(height, width\)"),
        (folder, {"size": 2.5}, "size of pictures 2.5; expected a number of pixels"),
        (folder, {"fit": "stretch"}, "fit 'stretch'"),
    ]
    for source, options, message in cases:
        with pytest.raises(InputError, match=message) as caught:
            jc.open_pictures(source, **options)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="count 0"):
        jc.Scenes(draw, 0)
    for wrong in (2 * np.ones((2, 4, 4, 3), np.float32), np.full((2, 4, 4, 3), np.nan, np.float32)):
        with pytest.raises(InputError, match=r"picture 0: values from"):
            list(jc.open_pictures(wrong).batches(2))
    with pytest.raises(InputError, match="expected one shape: state a size"):
        list(jc.open_pictures(folder).batches(6))


def test_photographs_are_those_of_a_plain_reader():
    folder = data("images")
    pictures = jc.open_pictures(folder, "train", size=224)
    assert len(pictures) == len(pictures.classes) == 800
    batch = next(pictures.batches(8, 400))
    for i in range(8):
        path = folder / "train" / pictures.name(400 + i)
        assert pictures.classes[batch.labels[i]] == path.parent.name
        plain = np.asarray(Image.open(path).convert("RGB").resize((224, 224), Image.BILINEAR))
        np.testing.assert_array_equal(batch.images[i], plain)
