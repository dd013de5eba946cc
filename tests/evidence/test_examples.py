"""Dataset examples against a plain loop in float64: ties, batches, devices, shares, damaged pictures and files."""

import dataclasses
import fractions
import functools
import itertools
import json
import math
import os
import re
import subprocess
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

import jaxcircuits as jc
from jaxcircuits import evidence, progress
from jaxcircuits.errors import InputError
from jaxcircuits.evidence import crops, exact, grid, tally
from jaxcircuits.images import sources
from jaxcircuits.network import stream
from support.data import ROOT
from support.exact import CLASSES, COUNT, LAYERS, assert_same, exact_network, plain_activations, world


def plain_order(activations, unit, sign):
    """(value, picture, row, column) of every picture, strongest first, by loops and Python's sort."""
    found = []
    for number, maps in enumerate(activations):
        best = None
        for row in range(maps.shape[0]):
            for column in range(maps.shape[1]):
                value = sign * maps[row, column, unit]
                if best is None or value > best[0]:
                    best = (value, number, row, column)
        found.append(best)
    return sorted(found, key=lambda entry: (-entry[0], entry[1]))


@functools.cache
def plain_interval(value):
    bounds = grid.bounds()
    inside = [
        i
        for i, (low, high) in enumerate(bounds)
        if (value == 0 and low == high) or (value > 0 and low <= value < high) or (value < 0 and low < value <= high)
    ]
    assert len(inside) == 1
    return inside[0]


def plain_lot(picture):
    x = picture ^ 0x9E3779B9
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return x ^ (x >> 16)


def assert_plain(examples, activations, labels=None, seen=None):
    """That examples are those of a plain loop over activations (N, h, w, units); `seen` are the pictures' numbers."""
    numbers = list(range(len(activations))) if seen is None else seen
    for unit in range(activations.shape[-1]):
        for chosen, sign in ((examples.strongest, 1), (examples.weakest, -1)):
            order = plain_order(activations, unit, sign)[: chosen.values.shape[1]]
            np.testing.assert_array_equal(chosen.values[unit, : len(order)], [sign * entry[0] for entry in order])
            assert chosen.pictures[unit, : len(order)].tolist() == [numbers[entry[1]] for entry in order]
            assert chosen.places[unit, : len(order)].tolist() == [[*entry[2:]] for entry in order]
            assert (chosen.pictures[unit, len(order) :] == -1).all()
            assert np.isnan(chosen.values[unit, len(order) :]).all()
        histogram, peaks, slots = np.zeros(grid.INTERVALS, int), np.zeros(grid.INTERVALS, int), {}
        for value in activations[..., unit].ravel():
            histogram[plain_interval(value)] += 1
        for value, picture, row, column in plain_order(activations, unit, 1):
            number = numbers[picture]
            peaks[plain_interval(value)] += 1
            cell = plain_interval(value), plain_lot(number) % tally.SLOTS
            slots[cell] = min(slots.get(cell, (1 << 40,)), (plain_lot(number), number, value, row, column))
        np.testing.assert_array_equal(examples.histogram[unit], histogram)
        np.testing.assert_array_equal(examples.peaks[unit], peaks)
        assert (examples.spread.pictures[unit] >= 0).sum() == len(slots)
        for cell, (_, number, value, row, column) in slots.items():
            assert examples.spread.pictures[unit][cell] == number
            assert examples.spread.values[unit][cell] == value
            assert examples.spread.places[unit][cell].tolist() == [row, column]
    flat = activations.reshape(-1, activations.shape[-1])
    np.testing.assert_allclose(examples.mean, flat.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(examples.variance, flat.var(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(examples.density, (flat > 0).mean(0), rtol=1e-12)
    if labels is not None:
        for label in range(CLASSES):
            mean = activations[labels == label].mean((0, 1, 2))
            np.testing.assert_allclose(examples.class_means[:, label], mean, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch_size", [None, 1, 7])
def test_examples_are_those_of_a_plain_loop(batch_size):
    pictures, labels = world()
    examples = evidence.examples(exact_network(), (pictures, labels), LAYERS, COUNT, batch_size=batch_size)
    activations = plain_activations(pictures)
    assert list(examples) == list(LAYERS)
    for layer in LAYERS:
        assert_plain(examples[layer], activations[layer], labels)
    # Equal pictures are equally strong: the ties that the order is about are there.
    values = examples["fires"].values
    assert (values[:, 1:] == values[:, :-1]).sum() > 5
    # What does not vary does not vary by rounding.
    assert examples["signed"].variance[3] == examples["signed"].variance[4] == 0


def test_fewer_pictures_than_asked_for():
    pictures, _ = world(3)
    examples = evidence.examples(exact_network(), pictures, "fires", COUNT)
    assert_plain(examples["fires"], plain_activations(pictures)["fires"])
    assert examples["fires"].pictures[0, -1] == -1 and examples["fires"].class_means.shape == (5, 0)
    assert np.isnan(examples["fires"].selectivity).all()


def test_shares_of_a_pass_are_put_together_exactly():
    source, network = world(), exact_network()
    whole = evidence.examples(network, source, LAYERS, COUNT)
    ends = [0, 1, 20, 33, 41]
    shares = [
        evidence.examples(network, source, LAYERS, COUNT, start=start, stop=stop, batch_size=7)
        for start, stop in itertools.pairwise(ends)
    ]
    left = shares[0].merged(shares[1]).merged(shares[2]).merged(shares[3])
    right = shares[0].merged(shares[1].merged(shares[2].merged(shares[3])))
    assert_same(left, whole)
    assert_same(right, whole)
    with pytest.raises(InputError, match="do not go on"):
        shares[0].merged(shares[2])
    with pytest.raises(InputError, match="do not go on"):
        shares[0].merged(evidence.examples(network, source, LAYERS, COUNT + 1, start=1))
    with pytest.raises(InputError, match="pictures 3 to 99; expected a part of 0 to 41"):
        evidence.examples(network, source, LAYERS, start=3, stop=99)


ON_DEVICES = """
import sys, jax
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/tests"]
from support.exact import COUNT, LAYERS, exact_network, world
from jaxcircuits import evidence, progress
assert jax.local_device_count() == int(sys.argv[3])
for name, options in (("even", {"batch_size": 16}), ("odd", {"batch_size": 3})):
    evidence.examples(exact_network(), world(), LAYERS, COUNT, **options).save(sys.argv[2] + "/" + name)
"""


@pytest.mark.parametrize("count", [2, 8])
def test_several_devices_see_what_one_sees(tmp_path, count):
    environment = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={count}", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", ON_DEVICES, str(ROOT), str(tmp_path), str(count)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    one = evidence.examples(exact_network(), world(), LAYERS, COUNT)
    for name in ("even", "odd"):
        several = evidence.Examples.read(*(tmp_path / name / f"{layer}.safetensors" for layer in LAYERS))
        assert_same(several, one)


def test_pictures_that_cannot_be_read_are_left_out_and_said(tmp_path):
    pictures, _ = world(12)
    bytes_ = np.round(pictures * 4).astype(np.uint8) * 51
    for number, picture in enumerate(bytes_):
        Image.fromarray(picture).save(tmp_path / f"{number:02d}.png")
    (tmp_path / "00.png").write_text("no picture")
    (tmp_path / "07.png").write_bytes((tmp_path / "07.png").read_bytes()[:60])
    network = exact_network()
    with pytest.warns(evidence.UnreadablePictures, match=r"^2 of 12 pictures could not be read: 00.png: no picture"):
        examples = evidence.examples(network, tmp_path, LAYERS, COUNT, batch_size=7)
    assert examples.seen.skipped == 2 and [line[:7] for line in examples.unreadable] == ["00.png:", "07.png:"]
    assert examples["fires"].pictures_seen == 10 and examples.seen.fit == "crop" and examples.seen.size == (6, 7)
    kept = [number for number in range(12) if number not in (0, 7)]
    # The others keep their numbers, and bytes are the very floats that division makes of them.
    same = evidence.examples(network, bytes_[kept].astype(np.float32) / np.float32(255), LAYERS, COUNT)
    for layer in LAYERS:
        np.testing.assert_array_equal(examples[layer].pictures, np.array(kept)[same[layer].pictures])
        np.testing.assert_array_equal(examples[layer].values, same[layer].values)
    for path in tmp_path.iterdir():
        path.write_text("no picture")
    with pytest.raises(InputError, match=r"none of 12 pictures can be read \(00.png: no picture\)"):
        evidence.examples(network, tmp_path, LAYERS)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_activations_that_are_not_finite_are_said(bad):
    def forward(params, x):
        return {"good": 2 * x, "bad": jnp.where(x > 0.9, bad, x)}

    network = jc.Network.from_function(forward, {}, jc.InputConvention(size=(4, 4)), name="broken")
    pictures = np.full((9, 4, 4, 3), 0.5, np.float32)
    evidence.examples(network, pictures, ["good", "bad"])
    pictures[6, 2, 1, 0] = pictures[7] = 1
    with pytest.raises(InputError, match="broken: bad answers 6 with numbers that are not finite"):
        evidence.examples(network, pictures, ["good", "bad"], batch_size=4)


def test_bad_requests_are_one_line():
    network, (pictures, _) = exact_network(), world(4)
    cases = [
        (("fire",), {}, "unknown layer 'fire' of exact; did you mean fires"),
        ((), {}, "no layers of exact"),
        (("fires",), {"count": 0}, "count"),
    ]
    for layers, options, message in cases:
        with pytest.raises(InputError, match=message):
            evidence.examples(network, pictures, layers, **options)
    with pytest.raises(InputError, match="pictures with 1 channels"):
        evidence.examples(network, pictures[..., :1], "fires")
    examples = evidence.examples(network, pictures, "fires")
    with pytest.raises(InputError, match="unknown layer 'signed' of examples of exact"):
        examples["signed"]


def test_class_selectivity_is_its_definition():
    """A unit of one class, one of none, one between, one silent, one that is negative somewhere."""
    means = np.array([[0, 0, 6, 0], [2, 2, 2, 2], [1, 2, 5, 3], [0, 0, 0, 0], [-1, 2, 2, 2]], np.float32)
    labels = np.repeat(np.arange(4), 3)

    def forward(params, x):
        # A cell for each class, 1 where the picture's brightness is the class's.
        cells = jnp.maximum(1 - jnp.abs(4 * x[:, 0, 0, :1] - jnp.arange(4)), 0)
        return {"units": cells @ params}

    network = jc.Network.from_function(forward, jnp.asarray(means.T), jc.InputConvention(size=(2, 2)), name="classes")
    pictures = np.broadcast_to(labels[:, None, None, None] / 4, (12, 2, 2, 3)).astype(np.float32)
    examples = evidence.examples(network, (pictures, labels), "units")["units"]
    np.testing.assert_allclose(examples.class_means, means, atol=1e-6)
    np.testing.assert_allclose(examples.selectivity, [1, 0, (5 - 2) / (5 + 2), np.nan, np.nan], atol=1e-6)
    assert examples.class_sizes.tolist() == [3, 3, 3, 3]


def test_a_trained_network():
    """The network in the box, whose activations are not exact: the same up to float32's rounding."""
    network, layers = jc.load("slide"), ("conv2d1_pre_relu", "conv2d2")
    images = np.random.default_rng(0).uniform(size=(40, 48, 48, 3)).astype(np.float32)
    examples = evidence.examples(network, images, layers, 8)
    seen = {layer: np.asarray(values, np.float64) for layer, values in network.activations(images, layers).items()}
    for layer in layers:
        maps = seen[layer]
        one, units = examples[layer], np.arange(maps.shape[-1])[:, None]
        scale = np.abs(maps).max()
        np.testing.assert_allclose(one.values, -np.sort(-maps.max((1, 2)), axis=0)[:8].T, atol=1e-5 * scale)
        np.testing.assert_allclose(one.weakest.values, np.sort(maps.min((1, 2)), axis=0)[:8].T, atol=1e-5 * scale)
        for chosen in (one.strongest, one.weakest):
            there = maps[chosen.pictures, chosen.places[..., 0], chosen.places[..., 1], units]
            np.testing.assert_allclose(there, chosen.values, atol=1e-5 * scale)
        np.testing.assert_allclose(one.mean, maps.mean((0, 1, 2)), atol=1e-5 * scale)
        np.testing.assert_allclose(one.variance, maps.var((0, 1, 2)), rtol=1e-3, atol=1e-6 * scale**2)
        assert one.histogram.sum(1).tolist() == [maps[..., 0].size] * maps.shape[-1]


def test_other_pictures_and_other_weights_compile_nothing():
    network, (pictures, labels) = exact_network(), world()
    evidence.examples(network, (pictures, labels), LAYERS, COUNT, batch_size=7)
    other = dataclasses.replace(network, params=jax.tree.map(lambda leaf: leaf + 1, network.params))
    compiled = []

    def listen(event, duration, **about):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(about.get("fun_name"))

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        evidence.examples(other, (pictures[::-1], labels), LAYERS, COUNT, batch_size=7, start=3, stop=30)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert compiled == []


@dataclasses.dataclass(frozen=True, eq=False)
class Counted(sources.Arrays):
    """An array that knows which of its pictures have been asked for."""

    asked: list = dataclasses.field(default_factory=list)

    def read(self, index, size, fit, channels):
        self.asked.append(index)
        return super().read(index, size, fit, channels)


def test_reading_stays_a_few_batches_ahead_of_seeing():
    """However fast pictures are read, only so many are held: each is asked for once, in order, and not too early."""
    pictures = np.zeros((2000, 6, 7, 3), np.float32)
    source = Counted(pictures, np.zeros(0, np.int32), "counted")
    ahead = []
    told = evidence.examples(
        exact_network(),
        jc.Pictures(source),
        LAYERS,
        COUNT,
        batch_size=7,
        progress=lambda seen, total: ahead.append(len(source.asked) - seen),
    )
    assert told["fires"].pictures_seen == 2000 and sorted(source.asked) == list(range(2000))
    # Batches: those under way, the one that is handed over, and two that are read.
    threads = os.cpu_count() or 1
    assert len(ahead) == 286 and max(ahead) <= (stream.AHEAD + 1) * 7 + 7 + max(14, threads)


def test_files_are_read_back_and_damage_is_said(tmp_path):
    pictures, labels = world()
    examples = evidence.examples(exact_network(), (pictures, labels), LAYERS, COUNT)
    paths = examples.save(tmp_path)
    assert [path.name for path in paths] == [f"{layer}.safetensors" for layer in LAYERS]
    assert_same(evidence.Examples.read(*paths), examples, sums=False)
    path = paths[1]
    tensors, whole = load_file(path), path.read_bytes()
    header = json.loads(whole[8 : 8 + int.from_bytes(whole[:8], "little")])["__metadata__"]
    damaged = tmp_path / "damaged.safetensors"

    def said(message):
        with pytest.raises(InputError, match=message) as caught:
            evidence.Examples.read(damaged)
        assert "\n" not in str(caught.value) and str(damaged) in str(caught.value)

    said("cannot be read as examples")
    for content in (b"", b"text", whole[:-7], whole[: len(whole) // 2]):
        damaged.write_bytes(content)
        said("cannot be read as examples")
    save_file(tensors, damaged, {"format": "else"})
    said("not a file of examples")
    save_file(tensors | {"mean": tensors["mean"].astype(np.float32)}, damaged, header)
    said(r"mean is float32 \(5,\); expected float64 \(5,\)")
    save_file({name: array for name, array in tensors.items() if name != "spread/places"}, damaged, header)
    said("spread/places is nothing; expected int32")
    save_file(tensors | {"more": tensors["mean"]}, damaged, header)
    said(r"more is float64 \(5,\); expected nothing")
    for name, value in (
        ("shape", "[6, 7, 0]"),
        ("shape", "[]"),
        ("seen", "{}"),
        ("seen", "{"),
        ("seen", json.dumps(json.loads(header["seen"]) | {"size": "big"})),
        ("seen", json.dumps(json.loads(header["seen"]) | {"size": [1, 2, 3]})),
        ("seen", json.dumps(json.loads(header["seen"]) | {"classes": [1, 2, 3, 4]})),
        ("pictures_seen", "many"),
    ):
        save_file(tensors, damaged, header | {name: value})
        said("the description of what was seen is damaged")
    save_file(tensors, damaged, header | {"first_interval": "380"})
    said("there are 385")
    other = evidence.examples(exact_network("another"), pictures, "logits").save(tmp_path / "other")
    with pytest.raises(InputError, match="expected those of one pass"):
        evidence.Examples.read(paths[0], *other)


def test_intervals_hold_every_float():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**32, 200_000, dtype=np.uint32).view(np.float32)
    ends = grid.bounds().ravel()
    ends = ends[np.isfinite(ends)].astype(np.float32)
    values = np.concatenate(
        [values[np.isfinite(values)], ends, np.nextafter(ends, np.inf), np.nextafter(ends, -np.inf)]
    )
    number = np.asarray(jax.jit(grid.interval)(values))
    low, high = grid.bounds()[number].T
    # XLA takes numbers below the smallest normal one for 0.
    small = np.abs(values) < np.finfo(np.float32).tiny
    assert ((low <= values) & (values <= high))[~small].all()
    inner = ~small & (number > 0) & (number < grid.INTERVALS - 1)
    assert (np.where(values > 0, values < high, values > low) | (number == grid.ZERO))[inner].all()
    assert ((number == grid.ZERO) == (values == 0))[~small].all()
    assert (np.diff(number[np.argsort(values, kind="stable")])[~small[np.argsort(values)][1:]] >= -1).all()


def test_every_picture_draws_another_lot():
    """The hash is undone step by step, as only one that loses nothing can be."""
    pictures = np.random.default_rng(0).integers(0, 2**31, 100_000)
    x = np.asarray(tally.lot(pictures), np.uint64)
    mask = np.uint64(0xFFFFFFFF)
    x = x ^ (x >> np.uint64(16))
    x = (x * np.uint64(pow(0xC2B2AE35, -1, 2**32))) & mask
    x = x ^ (x >> np.uint64(13)) ^ (x >> np.uint64(26))
    x = (x * np.uint64(pow(0x85EBCA6B, -1, 2**32))) & mask
    x = x ^ (x >> np.uint64(16))
    np.testing.assert_array_equal(x ^ np.uint64(0x9E3779B9), pictures)


def test_counts_and_sums_go_on_where_32_bits_end():
    counts = np.array([2**31 - 1, 12345, 0])
    step = jax.jit(lambda count: count.add(jnp.asarray(counts, jnp.int32)))
    count = exact.Count.zero((3,))
    for _ in range(50):
        count = step(count)
    assert count.value().tolist() == (50 * counts).tolist() and count.value()[0] > 2**36
    numbers = np.random.default_rng(0).normal(1, 10, 20_000).astype(np.float32)
    total, _ = jax.lax.scan(lambda sum_, number: (sum_.add(number), None), exact.Sum.zero(()), numbers)
    wanted = float(sum(map(fractions.Fraction, numbers.tolist())))
    assert math.isclose(float(total.value()), wanted, rel_tol=1e-10)
    assert abs(float(np.cumsum(numbers, dtype=np.float32)[-1]) - wanted) > 1e-7 * wanted


def test_nothing_is_said_where_all_is_well(capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evidence.examples(exact_network(), world()[0], "fires")
    assert capfd.readouterr() == ("", "")


def test_a_crop_is_what_the_unit_reads_at_the_files_own_resolution(tmp_path):
    """A file twice as large as it is shown, with one bright cell; the strongest crop is that of its surroundings."""
    network = exact_network()
    picture = np.full((12, 20, 3), 40, np.uint8)
    picture[4:6, 9:11] = 250
    Image.fromarray(picture).save(tmp_path / "one.png")
    pictures = jc.open_pictures(tmp_path)
    # 12 x 20 is cropped to 12 x 14 for 6 x 7 cells, from column 3 on; the bright square is cell (2, 3).
    examples = evidence.examples(network, pictures, "signed", 1)
    assert crops.field(network, "signed", (2, 3), (6, 7)) == (1, 2, 4, 5)
    shown = crops.crop(pictures, 0, (1, 2, 4, 5), (6, 7))
    np.testing.assert_array_equal(shown, picture[2:8, 7:13] / np.float32(255))
    # At a corner it is moved inside, and a layer without positions reads all.
    assert crops.field(network, "signed", (0, 6), (6, 7)) == (0, 4, 3, 7)
    assert crops.field(network, "logits", (0, 0), (6, 7)) == (0, 0, 6, 7)
    sheet = np.asarray(crops.sheet(network, examples, pictures, "signed", 0))
    row, column = examples["signed"].places[0, 0]
    part = crops.field(network, "signed", (row, column), (6, 7))
    cut = Image.fromarray((crops.crop(pictures, 0, part, (6, 7)) * 255).astype(np.uint8))
    resized = np.asarray(cut.resize((112, 112), Image.Resampling.BICUBIC), int)
    # Alike but for the line around where it fires, and what is dark beside it.
    marked = (np.abs(sheet[6:118, 6:118] - resized) > 1).any(-1)
    assert 0 < marked.mean() < 0.2
    array = np.linspace(0, 1, 6 * 7 * 3).reshape(1, 6, 7, 3).astype(np.float32)
    np.testing.assert_array_equal(crops.crop(jc.open_pictures(array), 0, (1, 2, 4, 5), (6, 7)), array[0, 1:4, 2:5])
    with pytest.raises(InputError, match="not those that were shown"):
        crops.sheet(network, evidence.examples(network, array.repeat(2, 0), "signed"), pictures, "signed", 0)


@pytest.mark.parametrize("layer", ["signed", "fires"])
def test_where_a_unit_fires_is_its_map_in_the_pictures_pixels(layer):
    """At the centers of the cells' windows the heat is the map over the value of the cell that is shown."""
    network, (pictures, _) = exact_network(), world()
    found = evidence.examples(network, pictures, layer, 3)[layer].strongest
    maps = plain_activations(pictures)[layer]
    views = crops.views(network, jc.open_pictures(pictures), layer, 1, found.pictures[1], found.places[1], (6, 7))
    for view, number, (row, column) in zip(views, found.pictures[1], found.places[1]):
        top, left, bottom, right = crops.field(network, layer, (row, column), (6, 7))
        assert view.value == maps[number, row, column, 1] > 0
        pixels = view.heat.shape[0] / (bottom - top), view.heat.shape[1] / (right - left)
        for i, j in itertools.product(range(top, bottom), range(left, right)):
            # A cell of this layer is a pixel of the picture; between two pixels of the view lies its center.
            y, x = ((i - top + 0.5) * pixels[0], (j - left + 0.5) * pixels[1])
            around = view.heat[int(y - 0.5) : int(y + 1), int(x - 0.5) : int(x + 1)].mean()
            assert around == pytest.approx(max(maps[number, i, j, 1] / view.value, 0), abs=0.1)
        outlined = crops.outlined(view)
        inside = view.heat >= crops.LEVEL
        drawn = (outlined == np.float32(crops.LINE)).all(-1)
        assert not drawn[~inside].any() and (drawn.any() or inside.all())
    (whole,) = crops.views(network, jc.open_pictures(pictures), "logits", 0, [3], np.zeros((1, 2), int), (6, 7))
    assert not whole.heat.any()


def command(*arguments):
    environment = dict(os.environ, JAX_PLATFORMS="cpu", COLUMNS="200")
    code = "from jaxcircuits.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "examples", *arguments], capture_output=True, text=True, env=environment
    )


def test_the_command_writes_a_file_and_sheets(tmp_path):
    for label in ("a", "b"):
        (tmp_path / "set" / label).mkdir(parents=True)
        for number in range(3):
            pixels = np.random.default_rng(number).integers(0, 256, (60, 50, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / label / f"{number}.png")
    (tmp_path / "set" / "a" / "text.jpg").write_text("no picture")
    out = tmp_path / "out"
    arguments = ["slide", "conv2d0:3,5", "--images", str(tmp_path / "set"), "--out", str(out), "--count", "2"]
    done = command(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "" and "left out, as they cannot be read: a/text.jpg: no picture" in done.stdout
    found = evidence.Examples.read(out / "slide" / "conv2d0" / "examples.safetensors")
    assert found.seen.classes == ("a", "b") and found.seen.skipped == 1 and found.seen.size == (96, 96)
    assert found["conv2d0"].pictures.shape == (16, 2) and found["conv2d0"].pictures_seen == 6
    sheets = out / "slide" / "conv2d0" / "examples"
    assert sorted(path.name for path in sheets.iterdir()) == ["0003.png", "0005.png"]
    assert np.asarray(Image.open(sheets / "0003.png")).std() > 10
    # Again: nothing is to be seen; another count would be other examples.
    assert command(*arguments).stdout == done.stdout
    done = command(*arguments[:-1], "3")
    assert done.returncode == 2 and "holds examples taken otherwise (count: theirs 2, ours 3)" in done.stderr
    done = command("slide", "conv2d0", "--images", str(tmp_path / "nothing"))
    assert done.returncode == 2 and done.stderr.startswith("jaxcircuits: ") and done.stderr.count("\n") == 1


def test_a_long_pass_says_how_far_it_is(capsys, monkeypatch):
    """Into a file: thousands are spelled out."""
    monkeypatch.setattr(progress, "FILE_PERIODS", (0.0, 0.0))
    pictures = np.zeros((1200, 6, 7, 3), np.float32)
    evidence.examples(exact_network(), pictures, LAYERS, COUNT, batch_size=7)
    lines = capsys.readouterr().err.splitlines()
    assert any(re.fullmatch(r"exact  \d+/1200 pictures  \d[\d.]* pictures/s  \d+ s left", line) for line in lines)
    assert re.fullmatch(r"exact  1200 pictures in \d+ s", lines[-1])
