"""The microscope's pages in a real browser: every link, no request elsewhere, search, keys, walls, accessibility."""

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from PIL import Image

from jaxcircuits.errors import InputError
from jaxcircuits.pages.colors import heat
from jaxcircuits.pages.microscope import addresses, charts, write_site
from jaxcircuits.pages.microscope.pictures import MASK, THUMB, masks_url, strip, weights_url
from jaxcircuits.pages.microscope.views import Histogram
from support.data import ROOT
from support.microscope_views import LABELS, Layer, network, ripples

HOSTILE = "</script><script>document.title='gone'</script>\"'><img src=x onerror=alert(1)>"
AXE = "axe-core@4"
DEMO = ROOT / "docs" / "demo"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Two networks: one with everything and a layer of which only names are known, one that is only linked to."""
    root = tmp_path_factory.mktemp("microscope")
    write_site(root, [network("one", (8, 12, 8), bare=("third",), others=("two/x",)), network("two/x", (8,))])
    return root


@pytest.fixture(scope="module")
def chromium():
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    binary = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if binary is None:
        pytest.skip("needs a browser: no chromium, chromium-browser or google-chrome on the PATH")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium):
    """A tab in which nothing may go wrong, and which may fetch nothing but files."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    problems, requests = [], []
    page.on("console", lambda said: problems.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.on(
        "requestfailed",
        # What a click on the way to another page cuts off is no failure.
        lambda request: None if request.failure == "net::ERR_ABORTED" else problems.append(f"{request.url} failed"),
    )
    yield page
    context.close()
    assert not problems
    assert all(url.startswith(("file:", "data:")) for url in requests)


class Links(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.ids = [], set()
        self.feed(text)
        self.found += re.findall(r"url\(([^)]*)\)", text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("href", "src"):
                self.found.append(value)
            if name == "id":
                self.ids.add(value)


def resolved(site):
    """The pages of a site, of which every link resolves and leads within it."""
    pages = sorted(site.rglob("*.html"))
    links = {path: Links(path.read_text()) for path in pages}
    for path, found in links.items():
        assert len(path.read_bytes()) < 60_000
        for url in found.found:
            parts = urlsplit(url)
            if url.startswith("data:"):
                continue
            assert not parts.scheme and not parts.netloc, (path, url)
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert there.is_file() and there.is_relative_to(site.resolve()), (path, url)
            if parts.fragment and "=" not in parts.fragment and there in links:
                assert parts.fragment in links[there].ids, (path, url)
    for script in site.rglob("*.js"):
        assert len(script.read_bytes()) < 50_000
    return {str(path.relative_to(site)) for path in pages}


def test_every_link_resolves_and_leads_within_the_site(site):
    assert {
        "index.html",
        "one/index.html",
        "one/second/index.html",
        "one/second/11.html",
        "two%2Fx/first/7.html",
    } < resolved(site)


def test_the_demonstration_of_the_documentation(tab):
    """It is small, whole, and walked from a class down to what its units read."""
    assert len(resolved(DEMO)) == 1 + 1 + 1 + 4 + 28  # the site's, the network's, the classes', layers, units
    assert sum(path.stat().st_size for path in DEMO.rglob("*") if path.is_file()) < 3_000_000
    tab.goto((DEMO / "slide" / "softmax2_pre_activation" / "27.html").as_uri())
    for below in ("mixed5b", "mixed5a", "mixed4e"):
        tab.click(f".side a[href*='{below}/']:not([href*='index'])")
        assert tab.locator("h1").inner_text().startswith(f"{below}:")
    assert tab.locator(".drawings .picture").count() and tab.locator(".meaning").count()


def test_scripts_of_a_large_network_stay_small(tmp_path):
    """The names of 1,000 classes and 2,048 units in each of many layers."""
    from jaxcircuits.pages.microscope.network_page import write_network
    from jaxcircuits.pages.microscope.site import Site

    layers = tuple(Layer(f"blocks/{i}/relu", 2048, 1, bare=True) for i in range(40))
    labels = tuple(f"a class with a name, number {i}" for i in range(1000))
    view = network("large", (8,))
    view = type(view)("large", "", (224, 224), (("a", (7, 7, 2048)),), layers, labels, load="large")
    write_network(Site(tmp_path, view, {}), {label: [] for label in labels})
    assert (tmp_path / "large" / "names.js").stat().st_size < 50_000


def test_pictures_are_what_they_should_be(site):
    """Thumbnails at their places, drawings on the unit's sheet, weights and masks pixel by pixel."""
    sheet = np.asarray(Image.open(site / "one" / "second" / "drawings0.webp"))
    for unit in range(12):
        own = sheet[:THUMB, unit * THUMB : (unit + 1) * THUMB].astype(float)
        errors = [
            np.abs(own - np.asarray(Image.fromarray(ripples(i)).resize((THUMB, THUMB)))).mean() for i in range(12)
        ]
        assert np.argmin(errors) == unit
    html = (site / "one" / "second" / "4.html").read_text()
    strip_ = np.asarray(Image.open(site / "one" / "second" / "4.webp")).astype(float)
    assert np.abs(strip_[2:66, 2:66] - ripples(4)).mean() < 25  # the quality of WebP
    assert html.count('class="example"') == 12 + 6

    weights = np.random.default_rng(0).normal(size=(4, 3, 5))
    picture = np.asarray(_decoded(weights_url(list(weights), 2.0)).convert("RGB"))
    np.testing.assert_array_equal(np.stack(np.split(picture, 5, axis=1)[:4]), heat(weights, 2.0))
    url, places = masks_url([np.array([[0.0, 4.0]]), None, np.array([[1.0, 1.0], [0.25, 0.25]])])
    assert places == [0, None, 1]
    alpha = np.asarray(_decoded(url).convert("RGBA"))[..., 3].astype(int)
    assert alpha.shape == (MASK, 3 * MASK)
    assert alpha[5, 1] > 140 and alpha[5, MASK - 2] < 20  # dark where it is silent, clear where it fires
    assert alpha[1, MASK + 14] < 20  # of its own largest activation
    assert abs(alpha[-2, MASK + 14] - alpha[5, 1] / 2) < 12  # a quarter of it: half as dark


def _decoded(url):
    import base64

    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))


def test_sprites_show_their_own_part():
    """Percentages of CSS, by their definition: the part shown begins at position * (sheet - box)."""
    images = [
        Image.new("RGB", size, color) for size, color in [((64, 48), "red"), ((30, 80), "lime"), ((100, 20), "blue")]
    ]
    sheet, sprites = strip(images, width=110)
    for image, sprite in zip(images, sprites):
        x, y = (float(v) / 100 for v in re.search(r"position:([\d.]+)% ([\d.]+)%", sprite.style).groups())
        wide, high = (float(v) / 100 for v in re.search(r"size:([\d.]+)% ([\d.]+)%", sprite.style).groups())
        left, top = x * (wide - 1) * image.width, y * (high - 1) * image.height
        assert (round(left), round(top)) == (sprite.left, sprite.top)
        assert (round(wide * image.width), round(high * image.height)) == sheet.size
        part = sheet.crop((sprite.left, sprite.top, sprite.left + sprite.width, sprite.top + sprite.height))
        assert np.array_equal(np.asarray(part), np.asarray(image))


@pytest.mark.parametrize(
    "name", ["../up", "/abs", "..", "a/../../b", "", "a//b", ".hidden", "nul\0", "a b%", "index.html", "é", "x" * 300]
)
def test_names_do_not_lead_out_of_the_site(name, tmp_path):
    for address in (addresses.folder_of_network(name), addresses.layer("net", name), addresses.unit(name, name, 3)):
        there = (tmp_path / address).resolve()
        assert there.is_relative_to(tmp_path.resolve()) and there != tmp_path.resolve()
        assert all(len(part.encode()) <= 110 and not part.startswith(".") for part in address.split("/"))
        assert unquote(addresses.link("a/b", address)) == os.path.relpath(address, "a/b")
    others = {"../up", "up", "a/b", "a%2Fb", "index%2Ehtml", "x" * 299}
    assert addresses.folder(name) not in {addresses.folder(other) for other in others - {name}}


def test_numbers_are_downloaded_as_they_are(site):
    numbers = json.loads((site / "one" / "second" / "4.json").read_text())
    view = network("one", (8, 12, 8)).layers[1].unit(4)
    wire, expected = numbers["inputs"][0], view.inputs[0].excitatory[0]
    np.testing.assert_allclose(wire["weights"], expected.weights, rtol=6e-3)
    assert (wire["layer"], wire["unit"], wire["kind"]) == (expected.layer, expected.unit, "excites")
    assert numbers["histogram"]["counts"] == view.histogram.counts.tolist()
    rows = (site / "one" / "first" / "units.csv").read_text().splitlines()
    assert rows[0] == "unit,density,selectivity,monosemanticity,families"
    assert rows[4].startswith("3,") and rows[4].split(",")[2] == "nan" and rows[4].endswith("lines & <edges>")


def test_histograms_are_to_scale():
    plot = charts.histogram(Histogram(np.array([0.0, 1, 2, 4]), np.array([99, 0, 9]), "places"), [(1.0, 3.0)])
    (first, second) = plot["bars"]
    assert first[3] / second[3] == pytest.approx(np.log1p(99) / np.log1p(9), rel=1e-2)
    ((x, width, number),) = plot["marks"]
    assert number == 1 and x == pytest.approx(640 / 3, abs=0.1) and width == pytest.approx(640 / 2, abs=0.1)
    assert [charts.short(v) for v in (0, 0.03126, 12345.6, 1e-7, -2e9, float("nan"))] == [
        "0", "0.0313", "12300", "1e-7", "-2e9", "?",
    ]  # fmt: skip


def test_pages_say_what_is_missing(site, tab):
    tab.goto((site / "one" / "third" / "2.html").as_uri())
    absent = tab.locator(".absent").all_inner_texts()
    assert [text.split(".")[0] for text in absent[:4]] == [
        "No drawing yet",
        "No numbers before examples are looked for",
        "No examples yet",
        "Its weights have not been read yet",
    ]
    assert "jaxcircuits microscope one third:2 --out SITE --images FOLDER" in absent[2]


def test_names_cannot_become_markup(tab, tmp_path):
    view = network(HOSTILE, (8,))
    layer = Layer(HOSTILE, 6, 1, damaged=(HOSTILE,), likeness_of=HOSTILE)
    view = type(view)(HOSTILE, HOSTILE, (24, 24), ((HOSTILE, (9, 9, 6)),), (layer,), (HOSTILE,), {HOSTILE: HOSTILE})
    write_site(tmp_path, [view])
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) == 3 + 6 + 1
    for path in (*pages[:4], pages[-1]):
        tab.goto(path.as_uri())
        assert tab.title() != "gone"
        assert tab.locator("img").count() == 0
    tab.goto((tmp_path / addresses.unit(HOSTILE, HOSTILE, 2)).as_uri())
    assert tab.locator("h1").inner_text() == f"{HOSTILE}:2"


def test_walking_by_keys_and_wires(site, tab):
    tab.goto((site / "one" / "second" / "4.html").as_uri())
    tab.keyboard.press("ArrowRight")
    tab.wait_for_url("**/second/5.html")
    tab.keyboard.press("ArrowLeft")
    tab.wait_for_url("**/second/4.html")
    tab.keyboard.press("u")
    tab.wait_for_url("**/second/index.html")
    tab.keyboard.press("ArrowRight")
    tab.wait_for_url("**/third/index.html")
    tab.keyboard.press("?")
    assert tab.locator("#keys").is_visible()
    tab.keyboard.press("Escape")
    tab.locator("#keys").wait_for(state="hidden")
    tab.keyboard.press("r")
    tab.wait_for_url(re.compile(r"/\d+\.html$"))
    # Down by inputs and up by outputs, five units deep.
    tab.goto((site / "one" / "second" / "4.html").as_uri())
    seen = []
    for side in (0, 1, 0, 1, 0):
        tab.locator(".side").nth(side).locator("a:has(.weights)").first.click()
        tab.wait_for_load_state()
        seen.append(tab.locator("h1").inner_text())
    assert [name.split(":")[0] for name in seen] == ["first", "second"] * 2 + ["first"]


def test_weights_are_shown_beside_their_units(site, tab):
    """Each square's cells, read back from the screen."""
    tab.goto((site / "one" / "second" / "4.html").as_uri())
    wiring = network("one", (8, 12, 8)).layers[1].unit(4).outputs[0]
    squares = tab.locator(".side").nth(1).locator(".weights")
    assert squares.count() == 16
    for place, wires in ((0, wiring.excitatory), (9, wiring.inhibitory)):
        expected = heat(wires[place % 8].weights, wiring.scale).astype(int)
        pixels = np.asarray(Image.open(io.BytesIO(squares.nth(place).screenshot())).convert("RGB")).astype(int)
        centers = 1 + (np.arange(5) + 0.5) * (len(pixels) - 2) / 5
        shown_ = pixels[np.ix_(centers.astype(int), centers.astype(int))]
        assert np.abs(shown_ - expected).max() < 3


def test_where_it_fires_is_shown_and_hidden(site, tab):
    tab.goto((site / "one" / "first" / "0.html").as_uri())
    mask = tab.locator(".mask").first
    assert mask.is_visible()
    tab.keyboard.press("h")
    assert not mask.is_visible()
    tab.reload()
    assert not mask.is_visible()
    tab.locator("#heat").check()
    assert mask.is_visible()


def test_light_and_dark(site, tab):
    def ground():
        return tab.evaluate("getComputedStyle(document.body).backgroundColor")

    tab.goto((site / "index.html").as_uri())
    light = ground()
    tab.emulate_media(color_scheme="dark")
    dark = ground()
    assert light == "rgb(255, 255, 255)" and dark == "rgb(20, 23, 26)"
    tab.locator("#theme").click()
    assert ground() == light
    tab.goto((site / "one" / "index.html").as_uri())
    assert ground() == light


SEARCHES = {
    "sec 4": ("second:4", "one/second/4.html"),
    "second:11": ("second:11", "one/second/11.html"),
    "7": ("first:7", "one/first/7.html"),
    "third": ("third", "one/third/index.html"),
    "curv": ("curves", "one/first/index.html#family=curves"),
    "CLASS 3": ("class 3", "one/classes.html#class"),
}


def test_search_as_one_types(site, tab):
    tab.goto((site / "one" / "second" / "4.html").as_uri())
    for text, (name, address) in SEARCHES.items():
        tab.keyboard.press("/")
        tab.locator("#search").fill(text)
        first = tab.locator("#found [role=option]").first
        assert first.inner_text().startswith(name)
        assert tab.locator("#search").get_attribute("aria-activedescendant") == "found0"
        tab.keyboard.press("Enter")
        tab.wait_for_url(f"**/{address}*")
    tab.locator("#search").fill("no such thing")
    assert tab.locator("#found").inner_text() == "nothing of that name"
    tab.keyboard.press("Escape")
    assert not tab.locator("#found").is_visible()


def shown(tab):
    return [int(text) for text in tab.locator("#wall li:visible b").all_text_contents()]


def test_a_wall_is_sorted_and_filtered(site, tab):
    layer = network("one", (8, 12, 8)).layers[1]
    tab.goto((site / "one" / "second" / "index.html").as_uri())
    assert shown(tab) == list(range(12))
    tab.locator("#sort").select_option("selectivity")
    values = layer.measures["selectivity"]
    assert shown(tab) == sorted(range(12), key=lambda u: (np.isnan(values[u]), -values[u]))
    tab.locator("#measure").select_option("density")
    tab.locator("#least").fill("0.5")
    dense = {u for u in range(12) if round(layer.measures["density"][u], 3) >= 0.5}
    assert set(shown(tab)) == dense and tab.locator("#count").inner_text() == f"{len(dense)} of 12 units"
    tab.reload()  # what is chosen is in the address
    assert set(shown(tab)) == dense
    tab.locator("button[type=reset]").click()
    tab.locator("#sort").select_option("likeness")
    tab.locator("#to").fill("5")
    vectors = layer.likeness / np.linalg.norm(layer.likeness, axis=1, keepdims=True)
    cosines = vectors @ vectors[5]
    order = shown(tab)
    assert order[0] == 5
    # In 16 of 12 dimensions nothing is lost but the rounding to 8 bits.
    assert np.all(np.diff(cosines[order]) < 0.02)
    tab.locator("button[type=reset]").click()
    tab.locator("#family").select_option("curves")
    assert shown(tab) == [0, 2, 5, 7]
    tab.locator("#family").select_option("")
    tab.locator("#rows").check()
    rows = tab.locator("#family-rows ul")
    assert [rows.nth(i).locator("b").all_inner_texts() for i in range(2)] == [["0", "2", "5", "7"], ["1", "3"]]
    tab.locator("button[type=reset]").click()
    tab.locator("#numbers").fill("2-4, 9")
    assert shown(tab) == [2, 3, 4, 9]


def test_a_wall_of_2048_units(tab, tmp_path):
    """The page of the layer alone; each tile shows its own part of its own sheet."""
    from jaxcircuits.pages.microscope.layer_page import write_layer
    from jaxcircuits.pages.microscope.site import Site, write_shared, write_text

    layer = Layer("wide", 2048, 1)
    view = network("large", (8,))
    view = type(view)("large", "", (24, 24), (("wide", layer.shape),), (layer,), load="large")
    made = Site(tmp_path, view, {})
    known = made.layers["wide"]
    colors = np.random.default_rng(0).integers(0, 256, (2048, 3), np.uint8)
    known.thumbs.write(tmp_path / known.folder, lambda u: np.broadcast_to(colors[u], (THUMB, THUMB, 3)).copy())
    write_shared(tmp_path)
    write_layer(made, known, ("", ""))
    write_text(tmp_path / "large" / "names.js", 'window.names = {"layers": [], "families": [], "classes": []};')
    tab.goto((tmp_path / known.folder / "index.html").as_uri())
    assert tab.locator("#wall li").count() == 2048
    tab.locator("#sort").select_option("density")
    tab.evaluate("document.querySelector('#wall li:nth-child(1500)').scrollIntoView({block: 'center'})")
    tab.wait_for_timeout(300)
    tile = tab.locator("#wall li:nth-child(1500) a")
    unit = int(tile.inner_text())
    density = [float(f"{value:.3g}") for value in layer.measures["density"]]
    assert unit == np.lexsort((np.arange(2048), -np.array(density)))[1499]
    box = tile.bounding_box()
    pixels = np.asarray(Image.open(io.BytesIO(tab.screenshot())).convert("RGB"))
    middle = pixels[int(box["y"]) + 36, int(box["x"] + box["width"] / 2)]
    assert np.abs(middle.astype(int) - colors[unit]).max() < 12


def test_nothing_overflows_a_phone(site, tab):
    tab.set_viewport_size({"width": 390, "height": 844})
    for page in ("index.html", "one/index.html", "one/classes.html", "one/second/index.html", "one/second/4.html"):
        tab.goto((site / page).as_uri())
        assert tab.evaluate("document.documentElement.scrollWidth") == 390


@pytest.fixture(scope="module")
def axe():
    """The rules of axe-core, from npm, kept beside the test programs."""
    kept = ROOT / ".pytest_cache" / "axe.min.js"
    if not kept.exists():
        if shutil.which("npm") is None:
            pytest.skip("needs axe-core: no npm on the PATH")
        kept.parent.mkdir(exist_ok=True)
        packed = subprocess.run(
            ["npm", "pack", AXE, "--silent"], cwd=kept.parent, capture_output=True, text=True, timeout=120, check=False
        )
        if packed.returncode:
            pytest.skip(f"needs axe-core: npm pack failed ({packed.stderr.strip()[:200]})")
        with tarfile.open(kept.parent / packed.stdout.split()[-1]) as archive:
            kept.write_bytes(archive.extractfile("package/axe.min.js").read())
    return kept.read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(site, axe, tab, scheme):
    tab.emulate_media(color_scheme=scheme)
    pages = ["index.html", "one/index.html", "one/classes.html", "one/second/index.html", "one/second/4.html"]
    pages = [site / page for page in (*pages, "one/third/2.html")]
    for page in (*pages, DEMO / "slide" / "index.html", DEMO / "slide" / "mixed5b" / "24.html"):
        tab.goto(page.as_uri())
        tab.evaluate(axe)
        found = tab.evaluate(
            "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice'], preload: false})"
        )
        assert [(v["id"], [n["html"][:200] for n in v["nodes"][:3]]) for v in found["violations"]] == []


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written") as error:
        write_site(tmp_path / "file", [network("one", (8,))])
    assert "\n" not in str(error.value)


def test_labels_stand_for_classes(site):
    html = (site / "one" / "classes.html").read_text()
    views = [layer.unit(u) for layer in network("one", (8, 12, 8)).layers[:2] for u in layer.units]
    best = {max(view.classes, key=view.classes.get) for view in views}
    assert [label for label in LABELS if f">{label}</h2>" in html] == [label for label in LABELS if label in best]
