"""Figures read back pixel by pixel, and the page in a real browser."""

import io
import itertools
import re

import numpy as np
import pytest
from PIL import Image

from jaxcircuits import circuits
from jaxcircuits.circuits import Circuit, Connection, Unit
from jaxcircuits.errors import InputError
from jaxcircuits.network import load
from jaxcircuits.pages import (
    circuit_diagram,
    circuit_page,
    prediction_plot,
    report_circuit,
    weight_grid,
    weight_grids,
    write_circuit,
)
from jaxcircuits.pages.colors import heat, number
from jaxcircuits.pages.diagram import SCALE
from jaxcircuits.pages.layout import bezier, lay_out
from support.browser import Browser
from support.command import command

RDBU = [(5, 113, 176), (146, 197, 222), (247, 247, 247), (244, 165, 130), (202, 0, 32)]


def expected_color(weight, scale):
    """The five stops at -1, -0.5, 0, 0.5 and 1 of the scale, linear between them, by hand."""
    place = 2 * (min(max(weight / scale, -1), 1) + 1)
    low = min(int(place), 3)
    return [a + (place - low) * (b - a) for a, b in zip(RDBU[low], RDBU[low + 1])]


@pytest.fixture(scope="module")
def slide():
    return load("slide")


@pytest.fixture(scope="module")
def circuit(slide):
    return circuits.extract_circuit(slide, "mixed4b:18")


def patterns(circuit, leave_out=()):
    """A picture of its own for every unit: smooth, so that resizing keeps its colors."""
    pictures = {}
    for i, unit in enumerate(circuit.units):
        if unit not in leave_out:
            ramp = np.linspace(0.2, 0.9, 24)
            planes = [ramp[:, None] * np.ones(24), np.ones((24, 1)) * ramp, np.full((24, 24), (i % 10) / 10)]
            pictures[unit] = np.stack(planes, -1).astype(np.float32)
    return pictures


def test_colors():
    weights = np.linspace(-1.5, 1.5, 301)
    colors = heat(weights, 1.0)
    assert colors.dtype == np.uint8
    expected = [expected_color(weight, 1.0) for weight in weights]
    np.testing.assert_allclose(colors, expected, atol=0.5001)
    assert [heat(np.array(w), 2.0).tolist() for w in (-2, -1, 0, 1, 2)] == [list(stop) for stop in RDBU]
    assert [number(v) for v in (0.32, -0.019, 12.3, 0, -1.5e-7)] == ["+0.32", "-0.019", "+12", "0", "-1.5e-07"]
    with pytest.raises(InputError, match="scale 0"):
        heat(weights, 0)


def squares(picture, color):
    """(left, top) of every rectangle outlined in a color: its corner is there, and what is left and above is not."""
    same = (np.asarray(picture) == color).all(-1)
    corner = same[1:-1, 1:-1] & same[1:-1, 2:] & same[2:, 1:-1] & ~same[:-2, 1:-1] & ~same[1:-1, :-2] & ~same[2:, 2:]
    return [(x + 1, y + 1) for y, x in np.argwhere(corner)]


@pytest.mark.parametrize("row", [1, 2])
@pytest.mark.parametrize("scale", [None, 0.01])
def test_grid_shows_the_weights(circuit, row, scale, tmp_path):
    pictures = patterns(circuit, leave_out=circuit.rows[1][:2])
    path = tmp_path / "grid.png"
    weight_grid(circuit, pictures, row, scale).save(path)
    picture = np.asarray(Image.open(path))
    level = circuit.level(row)
    largest = scale or max(np.abs(c.weights).max() for c in level)
    frames = sorted(squares(picture, (0xDD, 0xDD, 0xDD)), key=lambda place: (place[1], place[0]))
    *frames, bar = frames
    assert len(frames) == len(circuit.rows[row]) * len(circuit.rows[row - 1]) == len(level)
    by_place = itertools.product(circuit.rows[row], circuit.rows[row - 1])
    weights = {(c.source, c.target): c.weights for c in level}
    for (left, top), pair in zip(frames, by_place):
        count = len(weights[pair])
        end = next(x for x in range(left + 1, left + 200) if (picture[top + 5, x] == 0xDD).all())
        cell, rest = divmod(end - left - 1, count)
        assert rest == 0 and cell >= 8
        for i, j in np.ndindex(weights[pair].shape):
            block = picture[
                top + 1 + i * cell : top + 1 + (i + 1) * cell, left + 1 + j * cell : left + 1 + (j + 1) * cell
            ]
            assert (block == block[0, 0]).all(), "cells are crisp"
            np.testing.assert_allclose(block[0, 0], expected_color(weights[pair][i, j], largest), atol=0.5001)
    # The bar begins with what inhibits most.
    assert tuple(picture[bar[1] + 2, bar[0] + 1]) == RDBU[0]


def test_grid_of_families(slide):
    """Any lists of units, in the order given; the pictures stand beside their weights."""
    targets = [f"mixed4b:{i}" for i in (16, 107, 11, 59, 75)]
    sources = [f"mixed4a:{i}" for i in (106, 121, 49)]
    family = circuits.circuit_between(slide, [targets, sources])
    grid = weight_grid(family, patterns(family))
    assert grid.mode == "RGB" and grid.size == (2 * 28 + 52 + 6 * 120, 2 * 28 + 44 + 26 + 4 * 120 + 70)
    blues = [round((i % 10) / 10 * 255) for i in range(8)]
    tops = [grid.getpixel((28 + 52 + (j + 1) * 120 + 56, 28 + 44 + 26 + 56))[2] for j in range(5)]
    sides = [grid.getpixel((28 + 52 + 56, 28 + 44 + 26 + (i + 1) * 120 + 56))[2] for i in range(3)]
    assert tops == blues[:5] and sides == blues[5:]
    with pytest.raises(InputError, match="no row 2 of sources: 5 units of mixed4b of slide has 2 rows"):
        weight_grid(family, {}, row=2)
    with pytest.raises(InputError, match="no row 1 of sources"):
        weight_grids(circuits.circuit_between(slide, ["mixed4b:3"]), {})


CIRCUITS = {
    "usual": ("mixed4b:18", {}),
    "one each": ("mixed5b:9", {"depth": 4, "top": 1}),
    "wide": ("mixed4b:11", {"depth": 2, "top": 20}),
    "deep": ("mixed4a:3", {"depth": 5, "top": 5}),
    "family": (["mixed4b:11", "mixed4b:16", "mixed4b:49"], {"depth": 1, "top": 3}),
    "expanded": ("mixed4a:3", {"layers": ["mixed3a"], "top": 4}),
}


@pytest.mark.parametrize("case", CIRCUITS)
def test_nothing_overlaps(slide, case):
    targets, options = CIRCUITS[case]
    circuit = circuits.extract_circuit(slide, targets, **options)
    layout = lay_out(circuit)
    boxes = [(box.left, box.top, box.left + box.side, box.bottom + 24) for box in layout.units.values()]
    heatmaps = [(h.left, h.top, h.left + h.side, h.bottom) for h in (line.heatmap for line in layout.lines) if h]
    assert len(boxes) == len(circuit.units) and len(heatmaps) >= 0.8 * (len(boxes) - len(circuit.rows[0]))
    for a, b in itertools.combinations([*boxes, *heatmaps], 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], (a, b)
    names = 24 + 8 * max(map(len, circuit.layers))
    for left, top, right, bottom in [*boxes, *heatmaps]:
        assert names < left and right < layout.width - 84 and top > 85 and bottom < layout.height
    along = np.linspace(0, 1, 50)
    for line in layout.lines:
        _, y = bezier(line.points, along).T
        assert (
            layout.units[line.connection.target].bottom
            <= y.min()
            <= y.max()
            <= layout.units[line.connection.source].top
        )
    strongest = max(circuit.level(1), key=lambda c: c.norm)
    assert max(layout.lines, key=lambda line: (line.strength, line.connection is strongest)).strength == 1


def test_diagram_shows_units_lines_and_weights(circuit):
    layout, picture = lay_out(circuit), circuit_diagram(circuit, patterns(circuit))
    assert picture.mode == "RGB" and picture.size == (round(layout.width * SCALE), round(layout.height * SCALE))
    for i, unit in enumerate(circuit.units):
        box = layout.units[unit]
        middle = picture.getpixel((round(box.x * SCALE), round(box.y * SCALE)))
        np.testing.assert_allclose(middle, [140, 140, (i % 10) / 10 * 255], atol=4)
    for line in layout.lines:
        if not line.heatmap:
            continue
        weights, cell = line.connection.weights, line.cell * SCALE
        scale = layout.scales[circuit.layers.index(line.connection.source.layer) - 1]
        left, top = line.heatmap.left * SCALE, line.heatmap.top * SCALE
        for i, j in np.ndindex(weights.shape):
            found = picture.getpixel((round(left + (j + 0.5) * cell), round(top + (i + 0.5) * cell)))
            np.testing.assert_allclose(found, expected_color(weights[i, j], scale), atol=0.5001)
    # The strongest line is the color of its sign where nothing lies on it, close to its end.
    for line in layout.lines:
        if line.strength == 1:
            x, y = bezier(line.points, np.array([0.97]))[0] * SCALE
            red, _, blue = picture.getpixel((round(x), round(y)))
            assert (red > blue + 50) == line.excitatory and abs(red - blue) > 50


def test_a_circuit_too_large_for_a_diagram(slide):
    circuit = circuits.extract_circuit(slide, "mixed5b:9", depth=3, top=200)
    with pytest.raises(InputError, match="4 rows of up to 200 units are too many for a diagram; keep fewer"):
        circuit_diagram(circuit, {})


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    tab = Browser(tmp_path_factory.mktemp("browser") / "profile")
    yield tab
    tab.close()


@pytest.fixture
def page(browser, circuit, tmp_path):
    """The circuit's page, open; and nothing may have gone wrong or been fetched by the end."""
    path = tmp_path / "circuit.html"
    path.write_text(circuit_page(circuit, patterns(circuit), "Patterns."))
    yield from watched(browser, path)


def watched(browser, path):
    browser.problems.clear()
    browser.requests.clear()
    browser.open(path)
    yield browser
    fetched = [url for url in browser.requests if not url.startswith("data:")]
    assert (browser.problems, fetched) == ([], [path.as_uri()])


CENTER = """(() => {{
  const box = document.querySelector({!r}).getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
}})()"""


def center(page, selector):
    return page.evaluate(CENTER.format(selector))


def zoom(page):
    """Zoom, x and y of the diagram."""
    transform = page.evaluate("document.getElementById('view').getAttribute('transform')")
    x, y, factor = map(float, re.findall(r"-?[\d.]+(?:e-?\d+)?", transform)) if transform else (0.0, 0.0, 1.0)
    return factor, x, y


def test_page_shows_the_circuit(page, circuit):
    assert page.evaluate("document.title") == "mixed4b:18 of slide"
    assert page.evaluate("document.querySelector('h1').textContent") == "mixed4b:18 of slide"
    assert page.evaluate("document.querySelectorAll('.unit').length") == len(circuit.units)
    layout = lay_out(circuit)
    assert page.evaluate("document.querySelectorAll('.line').length") == len(layout.lines)
    assert page.evaluate("document.querySelectorAll('.weights').length") == sum(bool(x.heatmap) for x in layout.lines)
    said = " ".join(page.evaluate("document.body.textContent").split())
    assert "Percentages: share of the target's weights, by their norms, that passes through a unit." in said
    assert "max-pools as the mean of their window" in said
    labels = page.evaluate("[...document.querySelectorAll('.bar text')].map((t) => t.textContent)")
    largest = [max(np.abs(c.weights).max() for c in circuit.level(row)) for row in (1, 2)]
    assert labels == [text for w in largest for text in ("weight", number(-w), "0", number(w))]
    loaded = "[...document.querySelectorAll('image, img')].every((i) => (i.href?.baseVal ?? i.src).startsWith('data:'))"
    assert page.evaluate(loaded)
    # The diagram fits into the window.
    width, height = page.evaluate("[innerWidth, innerHeight]")
    for node in ("[data-unit='0']", ".unit:last-of-type", ".bar"):
        x, y = center(page, node)
        assert 0 < x < width and 0 < y < height


def test_pointing_shows_weights_with_numbers(page, circuit):
    target = circuit.rows[1][3]
    node = f".unit[data-unit='{circuit.units.index(target)}']"
    page.mouse("mouseMoved", *center(page, node))
    lit = page.evaluate("[...document.querySelectorAll('.line.on')].map((n) => Number(n.dataset.connection))")
    own = {i for i, c in enumerate(circuit.connections) if target in (c.source, c.target)}
    drawn = {(line.connection.source, line.connection.target) for line in lay_out(circuit).lines}
    assert set(lit) == {i for i in own if (circuit.connections[i].source, circuit.connections[i].target) in drawn}
    strongest = max(circuit.level(2), key=lambda c: (c.target == target, c.norm))
    assert page.evaluate("document.querySelector('#slice h2').textContent") == f"{strongest.source} → {target}"
    colors = page.evaluate("[...document.querySelectorAll('#cells rect')].map((r) => r.getAttribute('fill'))")
    exact = page.evaluate("[...document.querySelectorAll('#cells title')].map((t) => Number(t.textContent))")
    np.testing.assert_allclose(exact, strongest.weights.ravel(), rtol=1e-5)
    scale = max(np.abs(c.weights).max() for c in circuit.level(2))
    expected = [expected_color(weight, scale) for weight in strongest.weights.ravel()]
    np.testing.assert_allclose([[int(n) for n in re.findall(r"\d+", c)] for c in colors], expected, atol=0.51)
    # What is written in the cells are the weights, rounded.
    written = page.evaluate("[...document.querySelectorAll('#cells text')].map((t) => t.textContent)")
    numbers = [float(text.replace("\N{MINUS SIGN}", "-")) for text in written]
    np.testing.assert_allclose(numbers, [w for w in strongest.weights.ravel() if w], atol=0.51e-3)
    assert page.evaluate("document.querySelector('#unit h2').textContent") == str(target)
    # Elsewhere everything is as before; a click keeps the unit until Escape.
    page.mouse("mouseMoved", *center(page, "h1"))
    assert not page.evaluate("document.querySelector('#diagram').classList.contains('focused')")
    page.click(*center(page, node))
    page.mouse("mouseMoved", *center(page, "h1"))
    assert page.evaluate("document.querySelector('#diagram').classList.contains('focused')")
    page.key("Escape")
    assert not page.evaluate("document.querySelector('#diagram').classList.contains('focused')")
    # A line shows its weights and the unit that it acts on.
    line = next(line for line in lay_out(circuit).lines if line.connection in circuit.level(1) and line.heatmap)
    node = f".weights[data-connection='{circuit.connections.index(line.connection)}']"
    page.mouse("mouseMoved", *center(page, node))
    shown = f"{line.connection.source} → {line.connection.target}"
    assert page.evaluate("document.querySelector('#slice h2').textContent") == shown
    assert page.evaluate("document.querySelector('#unit h2').textContent") == str(line.connection.target)
    page.mouse("mouseMoved", *center(page, f".unit[data-unit='{circuit.units.index(target)}']"))
    # A row of the list shows that connection.
    page.mouse("mouseMoved", *center(page, "#wired li:nth-of-type(2) button"))
    second = sorted((c for c in circuit.level(2) if c.target == target), key=lambda c: -c.norm)[1]
    assert page.evaluate("document.querySelector('#slice h2').textContent") == f"{second.source} → {target}"


def test_zoom_and_pan(page):
    x, y = center(page, ".unit:last-of-type image")
    page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-500)
    factor, *_ = zoom(page)
    assert factor == pytest.approx(np.exp(0.8))
    np.testing.assert_allclose(center(page, ".unit:last-of-type image"), (x, y), atol=3, err_msg="zooms at the pointer")
    # Dragging moves what is dragged along, and is no click.
    page.mouse("mouseMoved", x, y)
    page.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
    for step in (20, 40, 60):
        page.mouse("mouseMoved", x - step, y - step, button="left", buttons=1)
    page.mouse("mouseReleased", x - 60, y - 60, button="left", clickCount=1)
    np.testing.assert_allclose(center(page, ".unit:last-of-type image"), (x - 60, y - 60), atol=3)
    page.mouse("mouseMoved", *center(page, "h1"))
    assert not page.evaluate("document.querySelector('#diagram').classList.contains('focused')")
    page.click(*center(page, "#fit"))
    assert zoom(page) == (1, 0, 0)
    page.key("+")
    assert zoom(page)[0] == pytest.approx(1.4)
    page.key("ArrowLeft")
    page.key("-")
    assert zoom(page)[0] == pytest.approx(1) and zoom(page)[1] > 0
    page.key("0")
    assert zoom(page) == (1, 0, 0)
    # Two fingers that part.
    for kind, apart in (("touchStart", 40), ("touchMove", 60), ("touchMove", 80), ("touchEnd", None)):
        fingers = [] if apart is None else [{"x": x + side * apart, "y": y, "id": i} for i, side in enumerate((-1, 1))]
        page.send("Input.dispatchTouchEvent", type=kind, touchPoints=fingers)
    assert zoom(page)[0] == pytest.approx(2, rel=0.05)
    page.key("0")


def test_light_and_dark(page):
    def ground():
        picture = Image.open(io.BytesIO(page.screenshot())).convert("L")
        return picture.getpixel((6, picture.height // 2))

    assert ground() == 255
    page.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert ground() < 40
    page.click(*center(page, "#theme"))
    assert ground() == 255
    page.send("Emulation.setEmulatedMedia", features=[])
    page.click(*center(page, "#theme"))
    assert ground() < 40


def test_names_cannot_become_markup(browser, tmp_path):
    """A circuit from an untrusted file."""
    name = "</script><script>document.title='gone'</script>\"'><img src=x onerror=alert(1)>"
    layers = [f"<b>{i}</b>{{{{ 7 * 7 }}}}" for i in range(2)]
    top, low = Unit(layers[0], 3), Unit(layers[1], 4)
    circuit = Circuit(
        name, ((top,), (low,)), {top: 1.0, low: 0.5}, (Connection(low, top, np.ones((1, 1), np.float32)),)
    )
    path = tmp_path / "page.html"
    path.write_text(circuit_page(Circuit.from_json(circuit.to_json()), {}, about="<i>about</i>"))
    for page in watched(browser, path):
        assert page.evaluate("document.title") == f"{top} of {name}"
        assert page.evaluate("document.querySelectorAll('b, i:not(#legend i), img[onerror]').length") == 0
        assert page.evaluate("document.querySelector('#unit h2').textContent") == str(top)


def test_extreme_weights(browser, tmp_path):
    """The smallest and largest that a file may hold."""
    rows = tuple((Unit(layer, 0),) for layer in "abc")
    weights = [np.array([[value]], np.float32) for value in (1e-45, -3.4e38)]
    connections = tuple(Connection(low, top, w) for (top,), (low,), w in zip(rows, rows[1:], weights))
    circuit = Circuit("extreme", rows, {row[0]: 1.0 for row in rows}, connections)
    path = write_circuit(tmp_path, Circuit.from_json(circuit.to_json()), {})[-1]
    for page in watched(browser, path):
        page.mouse("mouseMoved", *center(page, "[data-unit='1']"))
        assert page.evaluate("document.querySelector('#cells rect').getAttribute('fill')") == "rgb(5,113,176)"
        widths = page.evaluate("[...document.querySelectorAll('.stroke')].map((n) => n.getAttribute('stroke-width'))")
        assert widths == ["6.00", "6.00"]
    wide = [(Unit("a", i), Unit("b", i)) for i in range(120)]
    rows = tuple(zip(*wide))
    circuit = Circuit("wide", rows, dict.fromkeys(itertools.chain(*rows), 0.0), ())
    with pytest.raises(InputError, match="120 x 120 units are too many for a grid"):
        weight_grid(circuit, {})


def test_files_of_a_circuit(circuit, tmp_path):
    files = write_circuit(tmp_path / "a" / "b", circuit, patterns(circuit))
    assert [file.name for file in files] == ["circuit.json", "weights.png", "circuit.png", "circuit.html"]
    assert sorted(tmp_path.glob("a/b/*")) == sorted(files)
    assert Circuit.from_json(files[0].read_text()).to_json() == circuit.to_json()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        write_circuit(tmp_path / "file", circuit, {})


@pytest.mark.slow
def test_command(tmp_path):
    """Two small rows of the stem, drawn for two steps: everything that the command does, at its cheapest."""
    arguments = ["circuit", "slide", "conv2d2:3", "--depth", "1", "--top", "2", "--steps", "2", "--size", "32"]
    done = command(*arguments, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "slide" / "conv2d2-3"
    names = ["circuit.json", "weights.png", "circuit.png", "circuit.html"]
    assert done.stdout.split() == [str(folder / name) for name in names]
    circuit = Circuit.from_json((folder / "circuit.json").read_text())
    assert circuit.layers == ("conv2d2", "conv2d1") and len(circuit.rows[1]) == 2
    assert "Pictures of units: 2 steps at 32 px, seed 0." in (folder / "circuit.html").read_text()
    with Image.open(folder / "circuit.png") as picture:
        assert picture.width > 1000
    done = command("circuit", "slide", "conv2d2", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("jaxcircuits: unit 'conv2d2'; expected LAYER:NUMBER") and done.stderr.count("\n") == 1


BAD = {
    "unit": (["mixed4b:999"], {}, "unknown unit 999 of mixed4b"),
    "too many": (["mixed5b:1"], {"top": 200, "depth": 5}, "too many for a diagram"),
    "steps": (["mixed4b:1"], {"steps": -1}, "steps -1"),
    "size": (["mixed4b:1"], {"size": 1}, "size 1"),
    "seed": (["conv2d2:1"], {"seed": -1, "depth": 1}, "seed -1"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_writes_nothing(case, slide, tmp_path):
    arguments, options, message = BAD[case]
    with pytest.raises(InputError, match=message) as error:
        report_circuit(slide, *arguments, tmp_path / "out", **options)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_plot_of_prediction_against_outcome():
    """A prediction that is right lies on the line, one of the wrong sign across it."""
    outcome = np.random.default_rng(0).normal(size=(4, 10, 10, 3)).astype(np.float32)
    units = tuple(Unit("mixed3a", i) for i in range(3))
    for sign in (1, -1):
        found = circuits.Prediction(units, outcome * 10, sign * outcome, outcome)
        plot = np.asarray(prediction_plot(found, "a plot"), np.float64)
        # Where there are cells it is blue: far less red than blue.
        side = plot[52 : 52 + 320, 64 : 64 + 320]
        rows, columns = np.nonzero(side[..., 2] - side[..., 0] > 60)
        assert np.sign(np.corrcoef(-rows, columns)[0, 1]) == sign
        assert np.abs(-(rows - 160) - sign * (columns - 160)).max() < 12
