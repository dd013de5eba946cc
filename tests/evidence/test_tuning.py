"""Tuning, against a plain loop over the grid in float64 and against curves whose statistics are known."""

import functools
import itertools
import json
import os
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from jaxcircuits import InputError, evidence
from jaxcircuits.evidence import stimuli
from jaxcircuits.evidence.tuning_result import Tuning
from jaxcircuits.network import Network
from jaxcircuits.zoo import InputConvention

AROUND = np.arange(8) * 2 * np.pi / 8
SIZE = 16


def ramp(slope, tint=(1.0, 1.0, 1.0), level=0.5, size=SIZE):
    """One's own stimulus: a shade that grows to the right, tinted."""
    x = (jnp.arange(size) - (size - 1) / 2) / size
    return jnp.broadcast_to((level + slope * x)[None, :, None], (size, size, 3)) * jnp.asarray(tint)


def dimmed(picture, factor, shift=0):
    """One's own transform of a picture."""
    return factor * jnp.roll(picture, jnp.int32(shift), axis=1)


def answers_in_numpy(network, pictures, layer):
    """The tiny network by loops in float64: (N, h, w, units)."""
    kernel = np.asarray(network.params, np.float64)
    x = (np.asarray(pictures, np.float64) - 0.5) / 0.25
    # SAME with stride 2 on an even size pads one cell below and to the right.
    x = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
    side = SIZE // 2
    y = np.zeros((len(x), side, side, kernel.shape[-1]))
    for row, column in itertools.product(range(side), repeat=2):
        part = x[:, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
        y[:, row, column] = np.einsum("nhwc,hwco->no", part, kernel)
    return np.maximum(y, 0) if layer == "relu" else y


GRID = {"slope": [-0.6, 0.0, 0.7], "tint": [[1, 1, 1], [0.2, 0.9, 0.4]], "level": [0.4, 0.5]}


@pytest.mark.parametrize("place", ["maximum", "center"])
@pytest.mark.parametrize("batch_size", [None, 5])
def test_equals_a_plain_loop(tiny, place, batch_size):
    found = evidence.tuning(tiny, ramp, GRID, ["conv", "relu"], place=place, batch_size=batch_size, progress=False)
    assert list(found.grid) == list(GRID) and list(found) == ["conv", "relu"]
    for layer in found:
        for i, j, k in itertools.product(range(3), range(2), range(2)):
            picture = ramp(GRID["slope"][i], GRID["tint"][j], GRID["level"][k])
            maps = answers_in_numpy(tiny, picture[None], layer)[0]
            expected = (maps if place == "maximum" else maps[3:5, 3:5]).max((0, 1))
            np.testing.assert_allclose(found[layer][:, i, j, k], expected, rtol=1e-5, atol=1e-4)


def test_pictures_are_transformed(tiny):
    pictures = np.random.default_rng(1).uniform(size=(3, SIZE, SIZE, 3)).astype(np.float32)
    grid = {"factor": [1.0, 0.5], "shift": [0, 4]}
    found = evidence.tuning(tiny, dimmed, grid, "relu", pictures=pictures, progress=False)
    assert list(found.grid) == ["picture", "factor", "shift"] and found["relu"].shape == (12, 3, 2, 2)
    for i, j, k in itertools.product(range(3), range(2), range(2)):
        picture = grid["factor"][j] * np.roll(pictures[i], grid["shift"][k], 1)
        expected = answers_in_numpy(tiny, picture[None], "relu").max((0, 1, 2))
        np.testing.assert_allclose(found["relu"][:, i, j, k], expected, rtol=1e-5, atol=1e-4)


def test_layers_without_positions_and_the_center_of_odd_maps():
    def forward(params, x):
        return {"map": x[:, ::3, ::3] * params, "vector": x.mean((1, 2))}

    network = Network.from_function(forward, jnp.float32(2), InputConvention(size=(9, 9), mean=0.0, std=1.0))
    own = functools.partial(ramp, slope=0.9)
    found = evidence.tuning(network, own, {"level": [0.5, 0.4]}, ["map", "vector"], place="center", progress=False)
    # Every third of nine pixels: three cells, the middle one of pixel 3, a pixel left of the middle.
    np.testing.assert_allclose(found["map"], np.tile([[2 * (0.5 - 0.1), 2 * (0.4 - 0.1)]], (3, 1)), rtol=1e-5)
    np.testing.assert_allclose(found["vector"], np.tile([[0.5, 0.4]], (3, 1)), rtol=1e-5)
    assert found.fixed == {"slope": 0.9, "size": 9} and found.size == (9, 9)


def test_one_compilation_for_all_numbers(tiny):
    traced = []

    def counted(slope, level=0.5, size=SIZE):
        traced.append(1)
        return ramp(slope, level=level, size=size)

    for level, slopes in ((0.4, [0.1, 0.2]), (0.45, [0.3] * 3), (0.5, [0.0])):
        fixed = functools.partial(counted, level=level)
        found = evidence.tuning(tiny, fixed, {"slope": slopes}, "relu", progress=False)
        expected = answers_in_numpy(tiny, ramp(slopes[0], level=level)[None], "relu").max((0, 1, 2))
        np.testing.assert_allclose(found["relu"][:, 0], expected, rtol=1e-5, atol=1e-4)
    assert len(traced) == 1


WORLD = {
    "curve": {"orientation": AROUND, "radius": [4.0, 6.0]},
    "line": {"orientation": AROUND / 2},
    "corner": {"orientation": AROUND, "opening": [0.6, 1.6]},
    "circle": {"radius": [3.0, 5.0]},
    "grating": {"orientation": AROUND / 2, "wavelength": [4.0, 8.0]},
    "high_low_frequency": {"orientation": AROUND},
    "hue": {"hue": AROUND, "radius": [3.0, 99.0]},
    "color_contrast": {"orientation": AROUND, "hue": AROUND},
    "head": {"facing": [stimuli.LEFT, stimuli.RIGHT], "radius": [3.0]},
    "car": {"wheels": [stimuli.ABOVE, stimuli.BELOW], "length": [10.0]},
}


@pytest.mark.parametrize("name", WORLD)
def test_every_stimulus(tiny, name):
    grid = WORLD[name]
    found = evidence.tuning(tiny, getattr(stimuli, name), grid, ["relu"], progress=False)
    assert found["relu"].shape == (12, *(len(values) for values in grid.values()))
    first = {parameter: values[0] for parameter, values in grid.items()}
    picture = getattr(stimuli, name)(**first, size=SIZE)
    expected = answers_in_numpy(tiny, np.clip(picture, 0, 1)[None], "relu").max((0, 1, 2))
    np.testing.assert_allclose(found["relu"].reshape(12, -1)[:, 0], expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"stimulus": stimuli.curve, "grid": {"orientaton": [0.0]}}, "unknown parameter 'orientaton'.*orientation"),
        ({"grid": {"level": [0.5]}}, "needs slope"),
        ({"grid": {"slope": []}}, "one or more"),
        ({"grid": {"slope": 1.0}}, "expected a sequence"),
        ({"grid": {"slope": ["a"]}}, "expected a sequence of numbers"),
        ({"grid": {"slope": [np.nan]}}, "not finite"),
        ({"grid": {"slope": [9.0]}}, r"picture values from .* in \[0, 1\]"),
        ({"grid": {"slope": np.zeros(10**5), "level": np.zeros(10**5)}}, "GiB; ask for fewer"),
        ({"layers": []}, "no layers"),
        ({"layers": ["rleu"]}, "did you mean relu"),
        ({"place": "middle"}, "unknown place 'middle'"),
        ({"size": 0}, "size 0"),
        ({"batch_size": 0}, "batch_size 0"),
        ({"stimulus": "curve"}, "expected a function"),
        ({"stimulus": lambda slope: jnp.zeros((16, 16))}, r"returns \(16, 16\); expected a picture"),
        ({"stimulus": lambda slope: jnp.zeros((16, 16, 3)) + jnp.zeros(7)}, "cannot be drawn from slope"),
        ({"stimulus": lambda *slope: slope}, "without a name"),
        (
            {"stimulus": lambda slope, picture: picture, "pictures": np.zeros((1, 16, 16, 3), np.float32)},
            "unknown|needs",
        ),
        ({"stimulus": lambda: 0, "pictures": np.zeros((1, 16, 16, 3), np.float32)}, "takes no picture"),
        ({"stimulus": dimmed, "grid": {"factor": [1.0]}, "pictures": np.zeros((0, 16, 16, 3), np.float32)}, "pictures"),
        (
            {"stimulus": dimmed, "grid": {"factor": [1.0]}, "pictures": np.zeros((16, 16, 3), np.float32)},
            "leading axis",
        ),
    ],
)
def test_bad_input_is_one_clear_line(tiny, change, said):
    arguments = {"stimulus": ramp, "grid": {"slope": [0.1]}, "layers": "relu"} | change
    with pytest.raises(InputError, match=said) as caught:
        evidence.tuning(tiny, progress=False, **arguments)
    assert "\n" not in str(caught.value)


def test_answers_that_are_not_finite_are_said():
    network = Network.from_function(lambda p, x: {"log": jnp.log(x - p)}, jnp.float32(0.6), InputConvention((16, 16)))
    with pytest.raises(InputError, match="log answers with numbers that are not finite"):
        evidence.tuning(network, ramp, {"slope": [0.1]}, "log", progress=False)


@pytest.fixture(scope="module")
def known():
    """Raised cosines to a power round the circle, times a Gaussian of the radius; one silent unit."""
    angles, radii = np.arange(72) * 2 * np.pi / 72, np.array([10.0, 20.0, 30.0])
    peaks, powers, best = np.radians([40.0, 355.0, 180.0]), np.array([1, 4, 20]), np.array([10.0, 20.0, 30.0])
    round_ = (0.5 + 0.5 * np.cos(angles - peaks[:, None])) ** powers[:, None]
    over = np.exp(-(((radii - best[:, None]) / 9) ** 2))
    values = np.concatenate([round_[:, :, None] * over[:, None], np.zeros((1, 72, 3))]).astype(np.float32)
    grid = {"orientation": angles, "radius": radii}
    return Tuning("known", "cosine", {"width": 4.0}, (96, 96), "maximum", grid, {"layer": values}), peaks, powers


def test_statistics_of_known_curves(known):
    tuning, peaks, powers = known
    preferred, ratio = tuning.preference("layer", "orientation")
    np.testing.assert_allclose(preferred[:3], peaks, atol=1e-5)
    assert (ratio[:3] > 100).all() and ratio[3] == 0
    widths = 2 * np.arccos(2 * 0.5 ** (1 / powers) - 1)
    found = tuning.half_width("layer", "orientation")
    # By straight lines between grid points, 5 degrees apart, the narrowest a little wrong.
    np.testing.assert_allclose(found[:3], widths, rtol=0.02)
    assert found[3] == pytest.approx(2 * np.pi)
    # The mean of exp(i t) under (1 + cos t)^n is n / (n + 1).
    concentration = tuning.concentration("layer", "orientation")
    np.testing.assert_allclose(concentration, [*powers / (powers + 1), 0], atol=1e-6)
    assert tuning.preferred("layer", "radius").tolist() == [10, 20, 30, 10]
    best = tuning.best("layer")
    np.testing.assert_allclose(best["orientation"][:3], peaks, atol=1e-6)
    assert best["radius"].tolist() == [10, 20, 30, 10]
    # exp(-(10 / 9)^2) is 0.29.
    assert tuning.tolerated("layer", "radius").tolist() == np.eye(4, 3, dtype=bool).tolist()
    assert tuning.tolerated("layer", "radius", 0.25)[1].all()
    assert tuning.tolerated("layer", "orientation")[0].sum() == 37


def test_periods_other_than_a_turn():
    angles = np.arange(12) * np.pi / 12
    values = np.exp(np.cos(2 * (angles - np.radians(160)))).astype(np.float32)[None]
    tuning = Tuning("n", "line", {}, (96, 96), "maximum", {"orientation": angles}, {"l": values})
    preferred, ratio = tuning.preference("l", "orientation", np.pi)
    # The grid of 15 degrees misses the peak and its opposite by 5.
    assert np.degrees(preferred[0]) == pytest.approx(160, abs=1e-3)
    assert ratio[0] == pytest.approx(np.exp(2 * np.cos(np.radians(10))), rel=1e-5)
    with pytest.raises(InputError, match="do not go evenly round a circle"):
        tuning.preference("l", "orientation")


def test_selection_names_and_errors(known):
    tuning, *_ = known
    one = tuning.at(radius=22)
    assert list(one.grid) == ["orientation"] and one.fixed == {"width": 4.0, "radius": 20.0}
    np.testing.assert_array_equal(one["layer"], tuning["layer"][:, :, 1])
    assert tuning.at(radius=22, orientation=3.1)["layer"].shape == (4,)
    np.testing.assert_allclose(tuning.along("layer", "radius"), tuning["layer"].mean(1, dtype=np.float64))
    assert repr(tuning) == "Tuning(known to cosine: 72 orientation x 3 radius; layer (4 units))"
    with pytest.raises(InputError, match="did you mean radius"):
        tuning.along("layer", "radiu")
    with pytest.raises(InputError, match="unknown layer 'mixed3b'"):
        tuning["mixed3b"]


def test_saves_and_reads(known, tmp_path):
    tuning, *_ = known
    path = tuning.save(tmp_path / "tuning" / "known.safetensors")
    again = Tuning.read(path)
    assert (again.network, again.stimulus, again.fixed, again.size) == ("known", "cosine", {"width": 4.0}, (96, 96))
    assert again.place == "maximum" and list(again.grid) == ["orientation", "radius"] and list(again) == ["layer"]
    np.testing.assert_array_equal(again["layer"], tuning["layer"])
    np.testing.assert_array_equal(again.grid["orientation"], tuning.grid["orientation"])
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("damage", ["bytes", "format", "axes", "shape", "size", "place", "more"])
def test_damaged_files_are_refused(known, tmp_path, damage):
    tuning, *_ = known
    path = tuning.save(tmp_path / "known.safetensors")
    if damage == "bytes":
        path.write_bytes(path.read_bytes()[:200])
    else:
        from safetensors import safe_open

        with safe_open(path, "numpy") as file:
            metadata = dict(file.metadata())
        tensors = load_file(path)
        said = json.loads(metadata["tuning"])
        said |= {"axes": {"axes": ["radius", "orientation"]}, "size": {"size": [1]}, "place": {"place": 3}}.get(
            damage, {}
        )
        metadata = {"format": "else" if damage == "format" else metadata["format"], "tuning": json.dumps(said)}
        tensors |= {
            "shape": {"grid/radius": np.zeros(5)},
            "more": {"answers/other": np.zeros((1, 72, 3), np.float32)},
        }.get(damage, {})
        save_file(tensors, path, metadata)
    with pytest.raises(InputError, match=r"known\.safetensors"):
        Tuning.read(path)


SHARED = """
import sys
import jax, numpy as np
import jaxcircuits as jc
from jaxcircuits.evidence import poses, stimuli, tuning

network, around = jc.load("slide"), np.arange(5) * 2 * np.pi / 5
drawn = tuning(network, stimuli.curve, {"orientation": around}, "conv2d2", size=32, progress=False)
pictures = np.random.default_rng(0).uniform(size=(3, 32, 32, 3)).astype(np.float32)
turned = tuning(network, poses.turned, {"angle": around}, "conv2d2", pictures=pictures, size=32, progress=False)
np.savez(sys.argv[1], drawn=drawn["conv2d2"], turned=turned["conv2d2"], devices=len(jax.local_devices()))
"""


@pytest.mark.slow
def test_answers_do_not_depend_on_the_number_of_devices(tmp_path):
    found = {}
    for count in (1, 2, 8):
        environment = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={count}"}
        path = tmp_path / f"{count}.npz"
        done = subprocess.run([sys.executable, "-c", SHARED, path], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        found[count] = np.load(path)
        assert found[count]["devices"] == count
    for name, count in itertools.product(("drawn", "turned"), (2, 8)):
        np.testing.assert_allclose(found[count][name], found[1][name], rtol=1e-4, atol=1e-4)


def test_progress_is_told(tiny):
    told = []
    evidence.tuning(
        tiny, ramp, {"slope": np.linspace(0, 0.5, 7)}, "relu", batch_size=3, progress=lambda *a: told.append(a)
    )
    assert told == [(3, 7), (6, 7), (7, 7)]
