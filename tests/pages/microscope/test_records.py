"""The microscope from records: of one small network, made by the jobs that the command runs."""

import itertools
import json
import re
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from jaxcircuits import bulk
from jaxcircuits.bulk.arguments_kept import KeptArgument, KeptArguments, read_arguments, write_arguments
from jaxcircuits.bulk.crops_file import HEAT, Crop, CropBand, crops_bytes, read_crops
from jaxcircuits.bulk.findings import FILE as FINDINGS
from jaxcircuits.bulk.findings import Findings, find_matches, find_monosemanticity, find_tuning, read_tunings
from jaxcircuits.circuits import strongest_inputs
from jaxcircuits.cli.app import app
from jaxcircuits.errors import InputError
from jaxcircuits.evidence import grid
from jaxcircuits.evidence.bands import bands
from jaxcircuits.evidence.crops import views
from jaxcircuits.images import open_pictures
from jaxcircuits.network import Network
from jaxcircuits.pages.microscope import read_networks, write_site
from jaxcircuits.pages.microscope.facts import FILE, Facts
from jaxcircuits.vis import Recipe
from jaxcircuits.zoo import InputConvention
from support.command import command

LABELS = ("apple", "pear, fruit", "plum")
RECIPE = Recipe(size=16, steps=2, transforms=())
TOLD = {"count": 24, "draws": 9, "examples": 3}
"""Of meanings: pictures that are told apart, null distributions, crops of each."""


def classified(params, x):
    for kernel in params[:-1]:
        x = jax.lax.conv_general_dilated(x, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        x = jax.nn.relu(x)
    return x.mean((1, 2)) @ params[-1]


@pytest.fixture(scope="module")
def network():
    rng = np.random.default_rng(0)
    shapes = ((3, 3, 3, 8), (3, 3, 8, 10), (10, 3))
    params = [jnp.asarray(rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1])), jnp.float32) for shape in shapes]
    convention = InputConvention(size=(16, 16), mean=0.5, std=0.25)
    return Network.from_function(classified, params, convention, name="classified", labels=LABELS)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Four classes of twelve pictures, as files."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(1)
    for name in ("a", "b", "c", "d"):
        (folder / name).mkdir()
        color = rng.integers(0, 200, 3)
        for i in range(12):
            picture = np.uint8(np.clip(color + rng.normal(0, 50, (20, 24, 3)), 0, 255))
            Image.fromarray(picture).save(folder / name / f"{i}.png")
    return open_pictures(folder)


@pytest.fixture(scope="module")
def layers(network):
    return {name: list(range(network.layers[name].channels)) for name in bulk.feature_layers(network)}


@pytest.fixture(scope="module")
def records(network, pictures, layers, tmp_path_factory):
    """The folder, with everything but the drawings of the second layer's last units."""
    out = tmp_path_factory.mktemp("records")
    first, second = layers
    for opened in (
        bulk.wiring(network, list(layers), out),
        bulk.examples(network, pictures, list(layers), out),
    ):
        with opened as job:
            job.run(progress=False)
    with bulk.crops(network, pictures, layers, out, strongest=4, each=2) as job:
        job.run(progress=False)
    series = [bulk.Series(first, tuple(layers[first])), bulk.Series(second, tuple(layers[second][:6]))]
    with bulk.drawings(network, series, RECIPE, out) as job:
        job.run(progress=False)
    with bulk.meanings(network, pictures, {second: layers[second]}, out, recipe=RECIPE, **TOLD) as job:
        job.run(progress=False)
    Facts.of(network, "models:classified").write(out / "classified")
    return out


@pytest.fixture(scope="module")
def site(records, tmp_path_factory):
    root = tmp_path_factory.mktemp("site")
    write_site(root, read_networks(records, root))
    return root


def test_bands_are_of_every_octave(network, pictures, layers, records):
    """Against a pass of all pictures by hand."""
    layer = next(iter(layers))
    examples = bulk.Records(records)["classified"][layer].examples
    shown = pictures.at((16, 16))
    images = np.stack([picture.image for picture in shown])
    peaks = np.asarray(network.activations(images, layer)[layer]).max((1, 2))
    ends = grid.bounds()
    for unit in range(8):
        found = bands(examples, unit, 4, 2)
        order = np.argsort(-peaks[:, unit], kind="stable")
        assert found[0].chosen.pictures.tolist() == order[:4].tolist()
        seen = set(order[:4].tolist())
        for band in found[1:]:
            assert band.low in ends and band.high <= 2.01 * band.low
            inside = (peaks[:, unit] >= band.low) & (peaks[:, unit] <= band.high * (1 + 1e-6))
            assert band.share == pytest.approx(inside.mean())
            assert 0 < len(band.chosen.pictures) <= 2 and not seen & set(band.chosen.pictures.tolist())
            np.testing.assert_allclose(band.chosen.values, peaks[band.chosen.pictures, unit], rtol=1e-5)
            assert inside[band.chosen.pictures].all()
            seen |= set(band.chosen.pictures.tolist())


def test_crops_are_what_each_unit_saw(network, pictures, layers, records):
    for layer in layers:
        own = bulk.Records(records)["classified"][layer]
        examples = own.examples
        for unit in (0, 5):
            found, chosen = own.crops(unit), bands(examples, unit, 4, 2)
            assert [len(band.crops) for band in found] == [len(band.chosen.values) for band in chosen]
            for band, expected in zip(found, chosen):
                numbers, places = expected.chosen.pictures, expected.chosen.places
                seen = views(network, pictures, layer, unit, numbers, places, examples_size(own))
                for crop, view, number in zip(band.crops, seen, numbers):
                    assert crop.picture == pictures.name(int(number)) and crop.label == crop.picture[0]
                    assert crop.value == pytest.approx(view.value, rel=1e-5)
                    assert np.abs(crop.image / 255 - view.image).mean() < 0.06  # the quality of WebP
                    small = Image.fromarray(view.heat * np.float32(view.value)).resize((HEAT, HEAT), 2)
                    np.testing.assert_allclose(crop.heat, np.asarray(small), atol=0.01 * max(view.value, 1))


def examples_size(layer):
    return layer.seen.size


def test_pages_show_meanings(layers, records, site):
    second = list(layers)[1]
    own = bulk.Records(records)["classified"][second]
    for unit in layers[second]:
        kept, page = own.meanings(unit), (site / "classified" / second / f"{unit}.html").read_text()
        part = page[page.index('id="h-meanings"') :]
        part = part[: part.index("</section>")]
        assert part.count('class="meaning"') == len(kept.meanings)
        assert (kept.why or f"p = {kept.p_value:.3g}") in part
        numbers = json.loads((site / "classified" / second / f"{unit}.json").read_text())
        assert len(numbers["meanings"]) == len(kept.meanings)
    assert 'id="h-meanings"' not in (site / "classified" / next(iter(layers)) / "0.html").read_text()


def test_pages_show_the_records(network, layers, records, site):
    second = list(layers)[1]
    html = (site / "classified" / second / "3.html").read_text()
    wires = strongest_inputs(network, f"{second}:3", next(iter(layers)), 8)
    inputs = html[html.index(">Inputs<") : html.index(">Outputs<")]
    named = [int(n) for n in re.findall(rf'class="name">{re.escape(next(iter(layers)))}:(\d+)<', inputs)]
    assert named == [c.source.index for c in (*wires.excitatory, *wires.inhibitory)]
    numbers = json.loads((site / "classified" / second / "3.json").read_text())
    np.testing.assert_allclose(numbers["inputs"][0]["weights"], wires.excitatory[0].weights, rtol=6e-3)
    examples = bulk.Records(records)["classified"][second].examples
    assert sum(numbers["histogram"]["counts"]) == examples.histogram[3].sum()
    assert numbers["facts"]["density"] == pytest.approx(examples.density[3], rel=6e-3)
    assert set(numbers["classes"]) == set(LABELS)
    effect = np.asarray(network.params[-1])[3]
    np.testing.assert_allclose([numbers["classes"][label] for label in LABELS], effect, rtol=6e-3)
    profile = examples.class_means - examples.class_means.mean(1, keepdims=True)
    assert numbers["similar"] and profile.shape == (10, 4)
    assert "jaxcircuits microscope models:classified" in (site / "classified" / second / "8.html").read_text()
    layer_page = (site / "classified" / second / "index.html").read_text()
    assert "6 are drawn so far" in layer_page


def test_pages_are_the_same_again(records, site, tmp_path):
    write_site(tmp_path, read_networks(records, tmp_path))
    files = sorted(path.relative_to(site) for path in site.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert all((site / file).read_bytes() == (tmp_path / file).read_bytes() for file in files)


@pytest.fixture
def copied(records, tmp_path):
    shutil.copytree(records, tmp_path / "records")
    return tmp_path / "records"


@pytest.mark.parametrize("what", ["drawing", "crops", "meanings", "examples", "wiring", "plan"])
@pytest.mark.parametrize("how", ["shorter", "garbage"])
def test_damaged_records_are_named_and_the_rest_is_shown(what, how, layers, copied, tmp_path):
    first, second = layers
    folder = copied / "classified"
    file = {
        "drawing": folder / first / "0002.png",
        "crops": next((folder / first / "crops").iterdir()),
        "meanings": next((folder / second / "meanings").iterdir()),
        "examples": folder / first / "examples.safetensors",
        "wiring": folder / first / "wiring.safetensors",
        "plan": folder / "plan.wiring.json",
    }[what]
    data = file.read_bytes()
    file.write_bytes(data[:-7] if how == "shorter" else bytes(len(data)))
    write_site(tmp_path / "site", read_networks(copied, tmp_path / "site"))
    pages = sorted((tmp_path / "site" / "classified" / first).glob("[0-9]*.html"))
    assert len(pages) == 8
    network_page = (tmp_path / "site" / "classified" / "index.html").read_text()
    assert file.name in network_page, network_page[-2000:]


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "[" * 10_000, '{"name": 1}', '{"shapes": {"a": [0]}}', '{"shapes": {"a": [1e9]}}']
)
def test_descriptions_of_others_are_checked(text, copied, network, tmp_path):
    (copied / "classified" / FILE).write_text(text)
    with pytest.raises(InputError, match=r"network\.json: ") as error:
        read_networks(copied, tmp_path)
    assert "\n" not in str(error.value)
    Facts.of(network, "x").write(copied / "classified")
    assert Facts.read(copied / "classified") == Facts.of(network, "x")


def test_records_of_another_network(network, pictures, layers, copied):
    other = Network.from_function(
        classified, [2 * p for p in network.params], network.convention, name="classified", labels=LABELS
    )
    with (
        pytest.raises(InputError, match="holds wiring read otherwise"),
        bulk.wiring(other, list(layers), copied),
    ):
        pass
    with pytest.raises(InputError, match="crops cut otherwise"), bulk.crops(network, pictures, layers, copied):
        pass


@pytest.mark.parametrize("count", [1, 7, 146, 147, 300])
def test_crops_of_any_number_come_back_in_order(count, tmp_path):
    """More than fit beside each other into one file of WebP, too."""
    shades = np.linspace(0, 255, count).round().astype(np.uint8)
    heat = np.zeros((HEAT, HEAT), np.float32)
    crops = [Crop(np.full((112, 90, 3), shade), heat, float(i), f"{i}.png", "") for i, shade in enumerate(shades)]
    (tmp_path / "crops").write_bytes(crops_bytes("relu", {4: [CropBand(0.0, 1.0, None, tuple(crops))]}))
    (band,) = read_crops(tmp_path / "crops", 4)
    assert [crop.picture for crop in band.crops] == [crop.picture for crop in crops]
    for crop, shade in zip(band.crops, shades):
        assert crop.image.shape == (112, 90, 3) and np.abs(crop.image.astype(int) - int(shade)).max() <= 4


def test_crops_of_a_damaged_file(records, layers, tmp_path):
    file = next((records / "classified" / next(iter(layers)) / "crops").iterdir())
    with pytest.raises(InputError, match="crops of unit 99"):
        read_crops(file, 99)
    data = bytearray(file.read_bytes())
    rng = np.random.default_rng(0)
    for i in range(60):
        changed = bytearray(data)
        for place in rng.integers(0, min(len(data), 4000), 3):
            changed[place] = rng.integers(256)
        (tmp_path / "crops").write_bytes(changed[: rng.integers(1, len(data))] if i % 2 else changed)
        try:
            read_crops(tmp_path / "crops", 0)
        except InputError as error:
            assert "\n" not in str(error)


def test_negative_drawings_and_other_seeds(network, layers, copied, tmp_path):
    from jaxcircuits.pages.microscope.loader import NEGATIVE

    first = next(iter(layers))
    opposite = bulk.Directions(NEGATIVE, -np.eye(8, dtype=np.float32))
    with bulk.drawings(network, [bulk.Series(first, (0, 1), opposite)], RECIPE, copied) as job:
        job.run(progress=False)
    with bulk.drawings(network, [bulk.Series(first, (0, 1))], RECIPE, copied, seed=1) as job:
        job.run(progress=False)
    (view,) = read_networks(copied, tmp_path)
    assert list(view.layers[0].unit(1).drawings) == ["strongest", "another 1", "negative: what silences it"]
    assert list(view.layers[0].unit(2).drawings) == ["strongest"]
    rendered = [np.asarray(Image.open(copied / "classified" / p)) for p in (f"{first}.{NEGATIVE}/0001.png",)]
    np.testing.assert_array_equal(view.layers[0].unit(1).drawings["negative: what silences it"], rendered[0])


def test_counterparts_are_found_and_linked(network, pictures, layers, copied, tmp_path):
    """A network whose second layer's units are in another order: each one's counterpart is itself."""
    first, second = layers
    order = np.random.default_rng(2).permutation(10)
    one, two, three = network.params
    other = Network.from_function(
        classified, [one, two[..., order], three[order]], network.convention, name="other/way", labels=LABELS
    )
    folder = copied / "classified"
    find_matches(network, other, [second], pictures, folder)
    written = (folder / FINDINGS).stat().st_mtime_ns
    find_matches(network, other, [second], pictures, folder)  # it is there: nothing is looked for
    assert (folder / FINDINGS).stat().st_mtime_ns == written
    best = Findings.read(folder).matches["other/way"][second].best
    for unit, (layer, number, value) in best.items():
        assert (layer, order[number]) == (second, unit) and value == pytest.approx(1, abs=1e-3)
    assert len(best) > 5
    (view,) = read_networks(copied, tmp_path)
    unit = next(iter(best))
    (found,) = view.layers[1].unit(unit).counterparts
    assert (found.network, found.layer, found.unit) == ("other/way", *best[unit][:2])
    assert view.maps[0].columns == (first, second) and view.maps[0].values[0][1] == pytest.approx(1, abs=1e-3)
    other = Network.from_function(classified, [2 * one, two, three], network.convention, name="classified")
    with pytest.raises(InputError, match="of other weights"):
        find_matches(other, network, [second], pictures, folder)


def test_tuning_is_plotted(network, layers, copied, tmp_path):
    second = list(layers)[1]
    find_tuning(network, [second], copied / "classified")
    tunings = read_tunings(copied / "classified")
    (view,) = read_networks(copied, tmp_path)
    curves = view.layers[1].unit(3).tuning
    assert [curve.title for curve in curves] == [
        "orientation of a curve", "radius of a curve", "orientation of a line", "orientation of a grating",
        "wavelength of a grating", "hue",
    ]  # fmt: skip
    expected = tunings["curve"].answers[second][3].mean(1)
    np.testing.assert_allclose(curves[0].y, expected, rtol=1e-5)
    np.testing.assert_allclose(curves[0].x, np.arange(24) * 15, atol=1e-9)
    np.testing.assert_allclose(curves[2].y[:12], curves[2].y[12:])  # a line is the same after half a turn
    assert view.layers[0].unit(3).tuning is None


def test_arguments_of_an_earlier_version_are_refused(network, layers, tmp_path):
    second = list(layers)[1]
    unmade = KeptArgument("joint", "Who takes over", *[None] * 3, "", {}, "one unit alone", *[None] * 4)
    write_arguments(tmp_path, KeptArguments(network.identity, second, "curve", "orientation", (3,), (unmade,), ""))
    with pytest.raises(InputError, match=r"of this version; expected 'jaxcircuits arguments 2'.*measured again"):
        read_arguments(tmp_path, second)


def test_arguments_are_told_of_the_units_of_their_family(network, layers, copied, tmp_path):
    second = list(layers)[1]
    judged = "other pictures", {f"{second}:3": 0.8}, "", True, (0.6, 0.9), 0.004, 0.028
    made = KeptArgument("examples", "How many are <curves>", 0.75, 0.25, 0.5, *judged)
    unmade = KeptArgument("joint", "Who takes over", *[None] * 3, "", {}, "one unit alone", *[None] * 4)
    kept = KeptArguments(network.identity, second, "curve", "orientation", (3, 5), (made, unmade))
    write_arguments(copied / "classified", kept)
    assert read_arguments(copied / "classified", second) == kept
    write_site(tmp_path, read_networks(copied, tmp_path))
    page = (tmp_path / "classified" / second / "3.html").read_text()
    assert "How many are &lt;curves&gt;. This unit 0.8; 2 units of its family 0.75" in page
    assert "0.25: p = 0.004, and 0.028 when corrected for the arguments that were made." in page
    assert 'class="holds"' in page and 'class="open"' in page and "Not measured: one unit alone." in page
    assert "This unit" not in (tmp_path / "classified" / second / "5.html").read_text()
    assert "Seven arguments" not in (tmp_path / "classified" / second / "4.html").read_text()
    write_arguments(copied / "classified", KeptArguments("other", second, "curve", "orientation", (3,), (made,)))
    write_site(tmp_path, read_networks(copied, tmp_path))
    assert f"arguments for {second} of other weights" in (tmp_path / "classified" / "index.html").read_text()
    assert "Seven arguments" not in (tmp_path / "classified" / second / "3.html").read_text()


def test_monosemanticity_is_what_a_loop_over_pairs_says(network, pictures, layers, copied, tmp_path):
    first, second = layers
    folder = copied / "classified"
    find_monosemanticity(network, network, [first], pictures, folder)
    images = np.stack([picture.image for picture in pictures.at((16, 16))])
    seen = {name: np.asarray(v, np.float64) for name, v in network.activations(images, [first, second]).items()}
    answers, embeddings = seen[first].max((1, 2)), seen[second].mean((1, 2))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    answers -= answers.min(0)
    answers /= answers.max(0)
    (view,) = read_networks(copied, tmp_path)
    found = view.layers[0].measures["monosemanticity by classified"]
    for unit in (0, 5):
        above = below = 0.0
        for i, j in itertools.combinations(range(len(images)), 2):
            weight = answers[i, unit] * answers[j, unit]
            above, below = above + weight * (embeddings[i] @ embeddings[j]), below + weight
        assert found[unit] == pytest.approx(above / below, abs=2e-4)
    assert view.layers[0].unit(5).facts["monosemanticity by classified"] == pytest.approx(found[5])


def findings(**fields):
    return json.dumps({"weights": "x", "families": {}, "matches": {}, "measures": {}} | fields)


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}",
        findings(families={"a": {"b": [-1]}}), findings(families={"a": {"b": [1e9]}}),
        findings(matches={"o": {"l": {"layers": ["a"], "hard": [], "best": {}}}}),
        findings(matches={"o": {"l": {"layers": [], "hard": [], "best": {"a": 1}}}}),
        findings(measures={"a": {"b": ["c"]}}), findings(weights="other"),
    ],
)  # fmt: skip
def test_findings_of_others_are_checked(text, copied, tmp_path):
    (copied / "classified" / FINDINGS).write_text(text)
    (view,) = read_networks(copied, tmp_path)
    assert "findings" in view.about["Damaged"] and "\n" not in view.about["Damaged"]


def test_families_are_shown(network, layers, records, copied, tmp_path):
    first = next(iter(layers))
    families = {first: {"curves": (0, 3), "lines": (5,)}}
    Findings(network.identity, families).write(copied / "classified")
    write_site(tmp_path, read_networks(copied, tmp_path))
    assert ">curves</a>" in (tmp_path / "classified" / first / "3.html").read_text()
    page = (tmp_path / "classified" / first / "index.html").read_text()
    assert "<option>curves</option><option>lines</option>" in page
    assert f'["{first}","curves",[0,3]]' in (tmp_path / "classified" / "names.js").read_text()


@pytest.mark.slow
def test_the_command(tmp_path):
    """slide, one layer and two units, at its smallest: twice, the second time nothing is made again."""
    arguments = [
        "microscope",
        "slide",
        "conv2d1:0-1",
        "--images",
        "scenes:32",
        "--steps",
        "2",
        "--size",
        "32",
        "--circuits",
        "--meanings",
    ]
    done = command(*arguments, "--out", tmp_path / "site")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == str(tmp_path / "site" / "index.html")
    page = tmp_path / "site" / "slide" / "conv2d1" / "1.html"
    html = page.read_text()
    assert 'href="1-circuit.html"' in html and "Strongest" in html and "absent" not in html
    assert "By what excites it in conv2d0" in html
    drawn = tmp_path / "site" / "records" / "slide" / "conv2d1" / "0001.png"
    before = drawn.stat().st_mtime_ns
    again = command(*arguments, "--out", tmp_path / "site")
    assert again.returncode == 0 and drawn.stat().st_mtime_ns == before and page.read_text() == html
    wrong = command("microscope", "slide", "conv2d1", "--images", "scenes:none", "--out", tmp_path / "other")
    assert wrong.returncode == 2 and "expected scenes:COUNT" in wrong.stderr and not (tmp_path / "other").exists()
    for option in ("--meanings", "--arguments"):
        wrong = CliRunner().invoke(app, ["microscope", "slide", "conv2d1", option, "--out", str(tmp_path / "other")])
        assert isinstance(wrong.exception, InputError) and f"{option} needs --images" in str(wrong.exception)
        assert not (tmp_path / "other").exists()
