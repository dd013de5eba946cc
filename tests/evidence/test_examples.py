"""Dataset examples against a plain loop in float64: ties, batches, devices, shares, damaged pictures and files."""

import dataclasses
import functools
import itertools
import json
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
from jaxcircuits.evidence import grid, tally
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


@pytest.mark.slow
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
    bytes_ = np.round(pictures).astype(np.uint8) * 255  # black and white, so that arithmetic stays exact
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
    # The others keep their numbers.
    same = evidence.examples(network, bytes_[kept].astype(np.float32) / np.float32(255), LAYERS, COUNT)
    for layer in LAYERS:
        np.testing.assert_array_equal(examples[layer].pictures, np.array(kept)[same[layer].pictures])
        np.testing.assert_array_equal(examples[layer].values, same[layer].values)
    for path in tmp_path.iterdir():
        path.write_text("no picture")
    with pytest.raises(InputError, match=r"none of 12 pictures can be read \(00.png: no picture\)"):
        evidence.examples(network, tmp_path, LAYERS)


def test_bytes_are_the_very_floats_that_division_makes_of_them():
    bytes_ = np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None, None, None], (256, 2, 2, 3))
    network = jc.Network.from_function(lambda params, x: {"pixels": x}, {}, jc.InputConvention(size=(2, 2)), name="eye")
    examples = evidence.examples(network, bytes_, ["pixels"], 256)["pixels"]
    np.testing.assert_array_equal(examples.values[0], np.arange(255, -1, -1, dtype=np.float32) / np.float32(255))
    np.testing.assert_array_equal(examples.pictures[0], np.arange(255, -1, -1))


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


def test_a_class_that_leaves_a_unit_silent_has_a_mean_of_zero():
    """Means are summed about the first activation that is seen, so zeros come out of a difference of others."""

    def above(params, x):
        return {"above": jnp.maximum(x - params, 0)}

    convention = jc.InputConvention(size=(6, 6), mean=0.0, std=1.0)
    network = jc.Network.from_function(above, jnp.float32(0.3), convention)
    rng = np.random.default_rng(3)
    for _ in range(20):
        loud = rng.uniform(0.4, 1, (5, 6, 6, 3)).astype(np.float32)
        quiet = rng.uniform(0, 0.3, (9, 6, 6, 3)).astype(np.float32)
        pictures = np.concatenate([loud, quiet]), np.repeat([0, 1], [5, 9])
        found = evidence.examples(network, pictures, "above", 2, progress=False)["above"]
        np.testing.assert_array_equal(found.class_means[:, 1], 0)
        np.testing.assert_array_equal(found.selectivity, 1)


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

    said("there is no such file")
    for content in (b"", b"text", whole[:-7], whole[: len(whole) // 2]):
        damaged.write_bytes(content)
        said("expected a file of examples")
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


def test_nothing_is_said_where_all_is_well(capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evidence.examples(exact_network(), world()[0], "fires")
    assert capfd.readouterr() == ("", "")


def test_a_long_pass_says_how_far_it_is(capsys, monkeypatch):
    """Into a file: thousands are spelled out."""
    monkeypatch.setattr(progress, "FILE_PERIODS", (0.0, 0.0))
    pictures = np.zeros((1200, 6, 7, 3), np.float32)
    evidence.examples(exact_network(), pictures, LAYERS, COUNT, batch_size=7)
    lines = capsys.readouterr().err.splitlines()
    assert any(re.fullmatch(r"exact  \d+/1200 pictures  \d[\d.]* pictures/s  \d+ s left", line) for line in lines)
    assert re.fullmatch(r"exact  1200 pictures in \d+ s", lines[-1])
