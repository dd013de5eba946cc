"""The server: what it serves and what it refuses, by requests as sockets send them; what a page shows of a picture."""

import dataclasses
import http.client
import io
import json
import shutil
import socket
import struct
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.pages.microscope import write_site
from jaxcircuits.pages.microscope.looking import KEPT, Looking
from jaxcircuits.pages.microscope.server import LARGEST_UPLOAD, Server
from jaxcircuits.zoo import InputConvention
from support.command import command
from support.microscope_views import Layer
from support.microscope_views import network as views


def png(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


CLASSES = ("apple", "pear", "plum")


def classified(params, x):
    y = jax.nn.relu(
        jax.lax.conv_general_dilated(x, params[0], (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    )
    return y.mean((1, 2)) @ params[1]


@pytest.fixture(scope="module")
def network():
    """A convolution, its mean and three classes."""
    rng = np.random.default_rng(0)
    params = [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((3, 3, 3, 12), (12, 3))]
    return Network.from_function(
        classified, params, InputConvention(size=(16, 16), mean=0.5, std=0.25), name="classified", labels=CLASSES
    )


@pytest.fixture(scope="module")
def looking(network):
    return Looking(network, {"relu": range(12), "conv": (1, 3)}, {"relu": np.full(12, 10.0, np.float32)})


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)


@pytest.fixture(scope="module")
def server(looking, tmp_path_factory):
    root = tmp_path_factory.mktemp("served") / "site"
    view = dataclasses.replace(views("classified", (4,)), layers=(Layer("relu", 12, 1),))
    write_site(root, [view])
    (root / "records").mkdir()
    (root / "records" / "plan.json").write_text("kept")
    (root / ".hidden").write_text("kept")
    (root.parent / "secret.html").write_text("kept")
    (root / "climbs.html").symlink_to(root.parent / "secret.html")
    with Server(root, port=0, looking={"classified": looking}) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def asked(server, method, path, body=None, **headers):
    """Status, headers and body of an answer."""
    host, port = server.server_address[:2]
    connection = http.client.HTTPConnection(host, port, timeout=20)
    own = {"Host": f"127.0.0.1:{port}"} | ({"Origin": f"http://127.0.0.1:{port}"} if method == "POST" else {})
    connection.putrequest(method, path, skip_host=True)
    given = own | {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None and "Content-Length" not in given:
        given["Content-Length"] = str(len(body))
    for name, value in given.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    found = answer.status, dict(answer.headers), answer.read()
    connection.close()
    return found


def test_files_of_the_site(server):
    status, headers, body = asked(server, "GET", "/")
    assert status == 200 and headers["Content-Type"].startswith("text/html") and b"/-/live.js" in body
    page = asked(server, "GET", "/classified/relu/2.html")[2]
    assert page.replace(b'<link rel="stylesheet" href="/-/live.css"><script src="/-/live.js" defer></script>', b"") == (
        (server.root / "classified/relu/2.html").read_bytes()
    )
    status, headers, body = asked(server, "GET", "/classified/relu/2.webp")
    assert headers["Content-Type"] == "image/webp" and body == (server.root / "classified/relu/2.webp").read_bytes()
    status, headers, body = asked(server, "HEAD", "/index.html")
    assert status == 200 and body == b"" and headers["X-Content-Type-Options"] == "nosniff"
    assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.html",
        "/classified/../../secret.html",
        "/%2e%2e/secret.html",
        "/..%2fsecret.html",
        "/classified/..%5c..%5csecret.html",
        "//etc/passwd",
        "/climbs.html",
        "/.hidden",
        "/records/plan.json",
        "/records%2fplan.json",
        "/%00",
        "/classified/relu",
        "/nothing.html",
        "/" + "a" * 5000,
        "/-/../index.html",
    ],
)
def test_nothing_else_is_served(path, server):
    status, _, body = asked(server, "GET", path)
    assert status in (404, 414) and b"kept" not in body and b"root:" not in body


@pytest.mark.parametrize("sent", [b"", b"GET /index", b"GET / HTTP/1.1\r\nHost: 127"])
def test_a_dropped_connection_is_no_error(sent, server, capfd):
    """Reset, as browsers do, at whatever moment of a request."""
    for _ in range(5):
        connection = socket.create_connection(server.server_address[:2])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(sent)
        time.sleep(0.02)
        connection.close()
    assert asked(server, "GET", "/index.html")[0] == 200
    time.sleep(0.2)
    assert capfd.readouterr().err == ""


def test_other_sites_cannot_ask(server, picture):
    data = png(picture)
    port = server.server_address[1]
    assert asked(server, "GET", "/", Host="evil.example")[0] == 421
    for name in ("[", "[::1", "a]b"):  # no address, and no traceback on the terminal
        assert asked(server, "GET", "/", Host=name)[0] in (400, 421)
    assert asked(server, "GET", "http://[/index.html")[0] == 400
    assert asked(server, "GET", "/", Host=f"evil.example:{port}")[0] == 421
    assert asked(server, "GET", "/", Host=f"localhost:{port}")[0] == 200
    assert asked(server, "POST", "/-/look/classified", data, Origin=None)[0] == 403
    assert asked(server, "POST", "/-/look/classified", data, Origin="https://evil.example")[0] == 403
    assert asked(server, "POST", "/-/look/classified", data, Origin="null")[0] == 403
    assert asked(server, "POST", "/-/look/other", data)[0] == 404
    assert asked(server, "DELETE", "/index.html")[0] == 501


def test_uploads_are_bounded(server):
    assert asked(server, "POST", "/-/look/classified", b"", Content_Length=str(LARGEST_UPLOAD + 1))[0] == 413
    assert asked(server, "POST", "/-/look/classified", b"", Content_Length="-1")[0] == 411
    assert asked(server, "POST", "/-/look/classified", None, Transfer_Encoding="chunked")[0] == 411
    assert asked(server, "POST", "/-/unit/classified", b"", Content_Length="5000")[0] == 413
    bomb = io.BytesIO()
    Image.new("1", (30000, 30000)).save(bomb, "PNG")
    for data in (b"", b"no picture", b"\x89PNG\r\n\x1a\n" + bytes(100), bomb.getvalue()):
        status, _, body = asked(server, "POST", "/-/look/classified", data)
        assert status == 400 and "\n" not in json.loads(body)["error"]
    for body in (
        b"[]",
        b"{}",
        b"[" * 4000,
        b'{"look":"x","layer":"relu","unit":1e9}',
        b'{"look":1,"layer":2,"unit":3}',
    ):
        assert asked(server, "POST", "/-/unit/classified", body)[0] == 400
    # A connection that says nothing keeps no other one waiting.
    with socket.create_connection(server.server_address[:2]):
        assert asked(server, "GET", "/")[0] == 200


def test_a_picture_is_looked_at(server, network, picture):
    status, _, body = asked(server, "POST", "/-/look/classified", png(picture))
    assert status == 200
    found = json.loads(body)
    maps = np.asarray(network.activations(picture[None] / np.float32(255), "relu")["relu"])[0]
    best = np.argsort(-maps.max((0, 1)), kind="stable")
    assert [row[0] for row in found["layers"]["relu"]] == best.tolist()[: len(found["layers"]["relu"])]
    for unit, value, share in found["layers"]["relu"]:
        assert value == pytest.approx(maps[..., unit].max(), rel=5e-3) and share == pytest.approx(value / 10, rel=5e-3)
    question = {"look": found["look"], "layer": "relu", "unit": int(best[0])}
    status, _, body = asked(server, "POST", "/-/unit/classified", json.dumps(question).encode())
    heat = np.array(json.loads(body)["heat"])
    np.testing.assert_allclose(heat, maps[..., best[0]], rtol=5e-3, atol=1e-6)
    status, _, body = asked(server, "POST", "/-/unit/classified", json.dumps(question | {"look": "gone"}).encode())
    assert status == 400 and "drop it again" in json.loads(body)["error"]
    status, _, body = asked(server, "POST", "/-/unit/classified", json.dumps(question | {"unit": 99}).encode())
    assert status == 400 and "99" in json.loads(body)["error"]


def test_few_pictures_are_remembered(looking, picture):
    first = looking.look(png(picture))["look"]
    for _ in range(KEPT):
        looking.look(png(picture))
    with pytest.raises(InputError, match="drop it again"):
        looking.unit(first, "relu", 0)


def test_an_edit_changes_the_logits_as_it_should(looking, network, picture):
    """By hand: the mean of the unit's map, scaled, times its weights; 0 silences, 1 changes nothing."""
    look = looking.look(png(picture))["look"]
    image = picture[None] / np.float32(255)
    seen = network.activations(image, ["relu", "output"])
    answer = float(np.asarray(seen["relu"])[..., 3].mean())
    logits, weights = np.asarray(seen["output"])[0], np.asarray(network.params[1])[3]
    for factor in (0, 2.5):
        changes = looking.edit(look, "relu", 3, factor)["changes"]
        order = np.argsort(-np.abs(weights))
        assert [name for name, *_ in changes] == [CLASSES[i] for i in order]
        for name, was, becomes in changes:
            i = CLASSES.index(name)
            assert was == pytest.approx(logits[i], rel=1e-3)
            assert becomes == pytest.approx(logits[i] + (factor - 1) * answer * weights[i], rel=1e-3, abs=1e-4)
    assert looking.edit(look, "relu", 3, 1)["changes"] == []
    for factor in (float("nan"), 1e9, "two", True, None):
        with pytest.raises(InputError, match="factor"):
            looking.edit(look, "relu", 3, factor)


def test_a_port_that_is_taken(server, tmp_path):
    with pytest.raises(InputError, match=f"cannot listen at 127.0.0.1:{server.server_address[1]}"):
        Server(tmp_path, port=server.server_address[1])


def test_a_dropped_picture_on_a_page(server, network, picture, tmp_path):
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    binary = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if binary is None:
        pytest.skip("needs a browser: no chromium, chromium-browser or google-chrome on the PATH")
    path = tmp_path / "picture.png"
    path.write_bytes(png(picture))
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        page = browser.new_page()
        problems, requests = [], []
        page.on("console", lambda said: problems.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(f"{server.url}classified/index.html")
        page.locator("#own-file").set_input_files(path)
        page.locator("#own .unit").first.click()
        page.wait_for_url("**/relu/*.html")
        unit = int(page.locator("h1").inner_text().partition(":")[2])
        maps = np.asarray(network.activations(picture[None] / np.float32(255), "relu")["relu"])[0]
        assert unit == maps.max((0, 1)).argmax()
        # What was dropped is remembered from page to page: where the unit fires, and what silencing it does.
        page.locator("canvas.own-heat").wait_for()
        alpha = np.array(
            page.evaluate("""(() => { const c = document.querySelector("canvas.own-heat");
            return [...c.getContext("2d").getImageData(0, 0, c.width, c.height).data]; })()""")
        ).reshape(8, 8, 4)[..., 3]
        expected = 200 * (1 - np.sqrt(np.clip(maps[..., unit] / maps[..., unit].max(), 0, 1)))
        np.testing.assert_allclose(alpha, expected, atol=2)
        page.get_by_role("button", name="Silence it").click()
        page.locator(".own-edit tr").first.wait_for()
        assert set(page.locator(".own-edit th").all_inner_texts()) == set(CLASSES)
        path.write_bytes(b"no picture")
        page.locator("#own-file").set_input_files(path)
        page.get_by_text("no picture").wait_for()
        browser.close()
    assert len(problems) == 1 and "400" in problems[0]  # the browser's own line on the last answer
    assert all(url.startswith((server.url, "data:")) for url in requests)


def test_a_site_that_grows(tmp_path):
    from jaxcircuits.pages.microscope.growing import Growing

    (tmp_path / "records").mkdir()
    growing = Growing(tmp_path / "records", tmp_path / "site")
    assert not growing.step() and growing.version == 0
    index = tmp_path / "records" / "net" / ".records" / "drawings"
    index.mkdir(parents=True)
    (index / "00000.json").write_text("{}")
    assert growing.step() and growing.version == 1
    assert "no records there" in growing.problem  # nothing describes them yet; said, and tried again with the next
    assert not growing.step()


def test_commands_say_what_is_wrong(tmp_path):
    cases = {
        ("serve", str(tmp_path / "gone")): "no such folder",
        ("serve", str(tmp_path), "--port", "70000"): "--port 70000",
    }
    for arguments, said in cases.items():
        done = command(*arguments)
        assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_the_command_serves_and_ends(server, tmp_path):
    """As a person starts it; Ctrl-C ends it with one line."""
    import os
    import signal
    import subprocess
    import sys

    process = subprocess.Popen(
        [sys.executable, "-m", "jaxcircuits", "serve", str(server.root), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"COLUMNS": "300", "PYTHONUNBUFFERED": "1"},
    )
    line = process.stdout.readline()
    url = line.split(" at ")[1].split(";")[0]
    port = int(url.rstrip("/").rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/")
    assert connection.getresponse().status == 200
    connection.close()
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130 and said.count("\n") == 1
