"""Meanings on record: those of the library, of a unit that has two and of others; more units later; refusals."""

import numpy as np
import pytest

import jaxcircuits as jc
from jaxcircuits import bulk
from jaxcircuits.bulk.meanings_file import read_meanings
from jaxcircuits.errors import InputError
from jaxcircuits.evidence import meanings
from jaxcircuits.evidence.crops import views
from jaxcircuits.evidence.meanings import TooFewPictures
from support import colors

SIZE = 32
RECIPE = jc.Recipe(size=SIZE, steps=2, transforms=())
TOLD = {"count": 40, "draws": 19}
UNITS = {"units": [0, 1, 2]}


@pytest.fixture(scope="module")
def network():
    return colors.network(SIZE)


@pytest.fixture(scope="module")
def pictures():
    images, _ = colors.red_blue_and_green(np.random.default_rng(5), SIZE)
    return jc.open_pictures(images)


def kept(network, pictures, units, out, **options):
    with bulk.meanings(network, pictures, units, out, recipe=RECIPE, **TOLD | options) as job:
        todo = job.todo
        job.run(progress=False)
    return todo


@pytest.fixture(scope="module")
def records(network, pictures, tmp_path_factory):
    out = tmp_path_factory.mktemp("records")
    kept(network, pictures, UNITS, out, examples=3)
    return out


@pytest.mark.parametrize("unit", UNITS["units"])
def test_they_are_those_of_the_library(unit, network, pictures, records):
    own = bulk.Records(records)["colors"]["units"].meanings(unit)
    try:
        found = meanings(network, f"units:{unit}", pictures, **TOLD)
    except TooFewPictures as error:
        assert own.p_value is None and not own.meanings and own.why == str(error)
        return
    assert own.layer == "parts" and own.p_value == pytest.approx(found.p_value) and not own.why
    assert len(own.meanings) == found.count
    assert [one.share for one in own.meanings] == pytest.approx(np.bincount(found.labels) / len(found.labels))
    for k, one in enumerate(own.meanings):
        chosen = np.flatnonzero(found.labels == k)[:3]
        numbers, places = found.chosen.pictures[chosen], found.chosen.places[chosen]
        seen = views(network, pictures, "units", unit, numbers, places, (SIZE, SIZE))
        assert [crop.picture for crop in one.crops] == [pictures.name(int(number)) for number in numbers]
        for crop, view in zip(one.crops, seen):
            assert crop.value == pytest.approx(view.value, rel=1e-5)
            assert np.abs(crop.image / 255 - view.image).mean() < 0.06  # the quality of WebP
        assert list(one.inputs) == np.argsort(-found.probes[k], kind="stable")[:4].tolist()


def test_a_unit_of_two_meanings_has_a_drawing_of_each(network, pictures, records):
    layer = bulk.Records(records)["colors"]["units"]
    two = layer.meanings(0)
    assert len(two.meanings) == 2 and [one.inputs[0] for one in two.meanings] == [0, 2]  # red, and blue
    found = meanings(network, "units:0", pictures, **TOLD)
    each = jc.facet(jc.channel("units", [0, 0]), "parts", 4 * found.probes)
    drawn = jc.render(network, each, RECIPE, progress=False).images
    shown = np.stack([one.drawing for one in two.meanings]) / 255
    assert np.abs(shown - drawn).mean() < 0.06
    reds, blues = shown.mean((1, 2))[:, [0, 2]].T
    assert reds[0] > blues[0] and blues[1] > reds[1]
    assert layer.meanings(1).meanings[0].drawing is None


def test_units_are_added_and_nothing_is_found_twice(network, pictures, tmp_path):
    assert len(kept(network, pictures, {"units": [1]}, tmp_path)) == 1
    (file,) = (tmp_path / "colors" / "units" / "meanings").iterdir()
    before = file.read_bytes()
    assert kept(network, pictures, {"units": [1]}, tmp_path) == ()
    assert len(kept(network, pictures, UNITS, tmp_path)) == 1
    assert file.read_bytes() == before
    layer = bulk.Records(tmp_path)["colors"]["units"]
    assert all(layer.meanings(unit) is not None for unit in UNITS["units"])


def test_what_was_found_otherwise_is_refused(network, pictures, records):
    fewer = jc.open_pictures(np.stack([pictures[i].image for i in range(50)]))
    with pytest.raises(InputError, match=r"meanings found otherwise \(.*count: theirs 40, ours 20"):
        kept(network, pictures, UNITS, records, count=20, examples=3)
    with pytest.raises(InputError, match="meanings found otherwise"):
        kept(network, fewer, UNITS, records, examples=3)
    with pytest.raises(InputError, match="parts of colors has no layer below it"):
        kept(network, pictures, {"parts": [0]}, records)
    with pytest.raises(InputError, match="unknown unit 3 of units"):
        kept(network, pictures, {"units": [3]}, records)
    with pytest.raises(InputError, match="count 4"):
        kept(network, pictures, UNITS, records, count=4)


def test_a_unit_that_a_file_does_not_have(records):
    (file,) = (records / "colors" / "units" / "meanings").iterdir()
    with pytest.raises(InputError, match=r"meanings of unit 9 .*not there"):
        read_meanings(file, 9)
