"""Finding and downloading weights, from a real server on the loopback interface."""

import contextlib
import dataclasses
import hashlib
import http.server
import io
import os
import socket
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from jaxcircuits.errors import InputError
from jaxcircuits.zoo import ZOO
from jaxcircuits.zoo.entry import Remote, Source
from support.data import ROOT, SHARED
from weights_convert import downloading, find_or_fetch, read_weights
from weights_convert.fetching import download, fetch

WEIGHTS = SHARED / "weights"
GRAPH, CAFFEMODEL, LABELS = (
    WEIGHTS / name
    for name in ("inceptionv1_google2015.pb", "bvlc_googlenet.caffemodel", "inceptionv1_google2015.labels.txt")
)

needs_weights = pytest.mark.skipif(not WEIGHTS.is_dir(), reason=f"no weights in {WEIGHTS}")


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` and answers Range requests.

    Attributes:
      files: path -> content.
      cuts: path -> how many bytes each of the next connections gets before it is cut.
      ranges: whether Range is honoured.
      answers: path -> what to do in place of serving it, for each of the next requests.
      log: (path, Range header) of every request.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.cuts, self.answers, self.ranges, self.log = {}, {}, {}, True, []
        self.stopped = threading.Event()

    def url(self, name):
        return f"http://127.0.0.1:{self.server_port}/{name}"

    def remote(self, name, content, algorithm="sha256", **options):
        """Serves a file and says what the program would be told of it."""
        self.files[f"/{name}"] = content
        return Remote(self.url(name), f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}", **options)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.log.append((self.path, asked))
        if answers := self.server.answers.get(self.path):
            with contextlib.suppress(OSError):  # the client may have hung up
                (answers.pop(0) if len(answers) > 1 else answers[0])(self)
            return
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.server.ranges else 0
        if start and start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        cuts = self.server.cuts.get(self.path, [])
        self.wfile.write(content[start : start + cuts.pop(0)] if cuts else content[start:])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.stopped.set()
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home folder of its own, and no weights folder."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home" / "cache"))
    monkeypatch.delenv("JAXCIRCUITS_WEIGHTS", raising=False)
    return tmp_path / "home"


CONTENT = bytes(range(256)) * 2000


def ignore(done, total):
    """A progress callback."""


def caffe_source(server):
    labels = server.remote("synsets.txt", LABELS.read_bytes(), needed=False)
    files = (server.remote("bvlc_googlenet.caffemodel", CAFFEMODEL.read_bytes(), "sha1"), labels)
    return Source(files, weights="bvlc_googlenet.caffemodel", labels="synsets.txt")


# One file.


def test_download_gives_the_file(server, tmp_path):
    seen = []
    remote = server.remote("weights", CONTENT)
    path = download(remote, tmp_path, lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT and path.parent == tmp_path
    assert seen[-1] == (len(CONTENT), len(CONTENT)) and seen == sorted(seen)
    assert download(remote, tmp_path, ignore) == path
    assert server.log == [("/weights", None)]


def test_cut_connections_are_resumed(server, tmp_path):
    remote = server.remote("weights", CONTENT)
    server.cuts["/weights"] = [100_000, 150_000]
    assert download(remote, tmp_path, ignore).read_bytes() == CONTENT
    assert server.log == [("/weights", None), ("/weights", "bytes=100000-"), ("/weights", "bytes=250000-")]


def test_a_later_call_goes_on_where_an_earlier_one_stopped(server, tmp_path):
    remote = server.remote("weights", CONTENT)
    server.cuts["/weights"] = [1000, 0]
    with pytest.raises(InputError, match="cut"):
        download(remote, tmp_path, ignore)
    assert [path.name for path in tmp_path.glob("weights*")] == ["weights.part"]
    assert download(remote, tmp_path, ignore).read_bytes() == CONTENT
    assert server.log[-1] == ("/weights", "bytes=1000-")


def test_servers_without_ranges_start_again(server, tmp_path):
    remote = server.remote("weights", CONTENT)
    server.cuts["/weights"], server.ranges = [100_000], False
    assert download(remote, tmp_path, ignore).read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_dropped(server, tmp_path):
    remote = server.remote("weights", CONTENT)
    (tmp_path / "weights.part").write_bytes(CONTENT + b"more")
    assert download(remote, tmp_path, ignore).read_bytes() == CONTENT
    assert server.log == [("/weights", f"bytes={len(CONTENT) + 4}-"), ("/weights", None)]


@pytest.mark.parametrize("cuts", [[], [1000]], ids=["whole", "resumed"])
def test_another_file_is_deleted(cuts, server, tmp_path):
    remote = server.remote("weights", CONTENT)
    server.files["/weights"] = CONTENT[::-1]
    server.cuts["/weights"] = cuts
    with pytest.raises(InputError, match=f"{remote.url}.*SHA256.*expected {remote.pin.split(':')[1]}"):
        download(remote, tmp_path, ignore)
    assert not list(tmp_path.glob("weights*"))


def test_missing_file_and_missing_server(server, tmp_path):
    with pytest.raises(InputError, match="nothing: the server answers 404"):
        download(Remote(server.url("nothing"), "sha256:0"), tmp_path, ignore)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/weights"
        with pytest.raises(InputError, match="refused"):
            download(Remote(url, "sha256:0"), tmp_path, ignore)
    assert not list(tmp_path.glob("[nw]*"))


# Servers that mean no good.


def status(code, **headers):
    """Answers with a status, such as a redirect."""

    def answer(handler):
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def trickle(handler):
    """A byte now and then, for ever."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    while not handler.server.stopped.wait(0.05):
        handler.wfile.write(b"x")
        handler.wfile.flush()


def silent_head(handler):
    """The head of an answer, byte by byte."""
    while not handler.server.stopped.wait(0.05):
        handler.wfile.write(b"H")
        handler.wfile.flush()


def endless(handler):
    """Pieces of no stated number."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while not handler.server.stopped.is_set():
        handler.wfile.write(b"10000\r\n" + bytes(2**16) + b"\r\n")


def another_range(handler):
    """A range that nobody asked for."""
    handler.send_response(206)
    handler.send_header("Content-Range", "bytes 7-99/100")
    handler.send_header("Content-Length", "93")
    handler.end_headers()
    handler.wfile.write(bytes(93))


@pytest.mark.parametrize("codes", [[503, 500], [429], [416, 502], [408]], ids=str)
def test_servers_that_fail_are_asked_again_after_a_pause(codes, server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloading, "PAUSE", 0.02)
    remote = server.remote("weights", CONTENT)
    server.answers["/weights"] = [status(code) for code in codes] + [serve]
    assert download(remote, tmp_path, ignore).read_bytes() == CONTENT
    assert len(server.log) == len(codes) + 1


def serve(handler):
    """The file, once."""
    handler.server.answers.clear()
    handler.server.log.pop()
    handler.do_GET()


def test_servers_that_go_on_failing_are_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloading, "PAUSE", 0.01)
    remote = server.remote("weights", CONTENT)
    server.answers["/weights"] = [status(503)]
    with pytest.raises(InputError, match="the server answers 503"):
        download(remote, tmp_path, ignore)
    assert len(server.log) == downloading.TRIES


REDIRECTS = {
    "ftp": ("ftp://127.0.0.1/weights", "ftp://127.0.0.1/weights: refused"),
    "file": ("file:///etc/passwd", "is not allowed"),
    "nonsense": ("http://[::1", "Invalid IPv6"),
    "nowhere": ("http:///weights", "302"),
    "itself": ("/weights", "302"),
}


@pytest.mark.parametrize("case", REDIRECTS)
def test_odd_redirects_are_refused(case, server, tmp_path):
    location, message = REDIRECTS[case]
    remote = server.remote("weights", CONTENT)
    server.answers["/weights"] = [status(302, Location=location)]
    with pytest.raises(InputError, match=message) as error:
        download(remote, tmp_path, ignore)
    assert len(str(error.value).splitlines()) == 1 and not list(tmp_path.iterdir())


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/weights", "file:///etc/passwd", "weights"])
def test_only_web_servers_are_asked(url, tmp_path):
    with pytest.raises(InputError, match="refused; expected an address that begins with http or https"):
        download(Remote(url, "sha256:0"), tmp_path, ignore)


@pytest.mark.parametrize("answer", [trickle, silent_head])
def test_a_trickle_ends(answer, server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloading, "PERIOD", 0.4)
    remote = server.remote("weights", CONTENT)
    server.answers["/weights"] = [answer]
    with pytest.raises(InputError, match=r"bytes a second|no answer for"):
        download(remote, tmp_path, ignore)


def test_files_without_an_end_are_cut_off(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloading, "MOST_BYTES", 2**20)
    remote = server.remote("weights", CONTENT)
    server.answers["/weights"] = [endless]
    with pytest.raises(InputError, match="more than 1,048,576 bytes"):
        download(remote, tmp_path, ignore)
    assert (tmp_path / "weights.part").stat().st_size <= 2**20 + 2**16


def test_another_range_is_not_appended(server, tmp_path):
    remote = server.remote("weights", CONTENT)
    (tmp_path / "weights.part").write_bytes(CONTENT[:1000])
    server.answers["/weights"] = [another_range, serve]
    with contextlib.suppress(InputError):
        download(remote, tmp_path, ignore)
    assert download(remote, tmp_path, ignore).read_bytes() == CONTENT


@pytest.mark.parametrize("there", [b"", b"something else", CONTENT[:-1]], ids=len)
def test_a_wrong_file_under_the_final_name_is_fetched_again(there, server, tmp_path):
    (tmp_path / "weights").write_bytes(there)
    assert download(server.remote("weights", CONTENT), tmp_path, ignore).read_bytes() == CONTENT


# A network.


def publish_at(monkeypatch, source):
    """GoogLeNet with another source."""
    monkeypatch.setitem(ZOO, "googlenet", dataclasses.replace(ZOO["googlenet"], source=source))


@needs_weights
def test_find_downloads_once_and_then_uses_the_cache(server, monkeypatch, home, capsys):
    publish_at(monkeypatch, caffe_source(server))
    path = find_or_fetch("googlenet")
    assert path.is_relative_to(home)
    weights = read_weights(path)
    assert (weights.network, weights.source) == ("googlenet", "bvlc_googlenet.caffemodel")
    assert weights.labels[0] == "n01440764 tench, Tinca tinca" and len(weights.labels) == 1000
    requests = list(server.log)
    assert find_or_fetch("googlenet") == path
    assert server.log == requests and len(requests) == 2
    assert [file for file in home.rglob("*") if file.is_file()] == [path]
    captured = capsys.readouterr()
    assert captured.out == "" and "synsets.txt (2/2)" in captured.err


def test_the_weights_folder_comes_first(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXCIRCUITS_WEIGHTS", str(tmp_path))
    (tmp_path / "googlenet.safetensors").write_bytes(b"found, and not read here")
    assert find_or_fetch("googlenet") == tmp_path / "googlenet.safetensors"


def test_the_error_names_every_place_and_what_to_do(server, monkeypatch, tmp_path, home):
    source = Source((Remote(server.url("gone.caffemodel"), "sha256:0"),), weights="gone.caffemodel", labels="")
    publish_at(monkeypatch, source)
    monkeypatch.setenv("JAXCIRCUITS_WEIGHTS", str(tmp_path / "mine"))
    with pytest.raises(InputError) as error:
        find_or_fetch("googlenet")
    (line,) = str(error.value).splitlines()
    for place in (tmp_path / "mine" / "googlenet.safetensors", home / "cache", server.url("gone.caffemodel"), "404"):
        assert str(place) in line
    assert "weights-convert FILE --out googlenet.safetensors" in line and "JAXCIRCUITS_WEIGHTS" in line


def test_networks_without_a_pinned_source_say_where_theirs_is(home):
    with pytest.raises(InputError) as error:
        find_or_fetch("squeezenet")
    (line,) = str(error.value).splitlines()
    assert "get squeezenet_v1.1.caffemodel" in line and "weights-convert FILE --out squeezenet.safetensors" in line


def test_unknown_network():
    with pytest.raises(InputError, match="unknown network 'inception'; did you mean inceptionv1"):
        find_or_fetch("inception")


@needs_weights
def test_labels_can_be_done_without(server, tmp_path, capsys):
    source = caffe_source(server)
    del server.files["/synsets.txt"]
    assert read_weights(fetch(source, tmp_path / "googlenet.safetensors")).labels == ()
    assert "going on without synsets.txt" in capsys.readouterr().err


# An archive.


def archive_source(server, members, pinned):
    """A source that is a zip archive with `members`, (path, content) each, of which those in `pinned` are wanted."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in members:
            archive.writestr(path, content)
    pins = {name: f"sha256:{hashlib.sha256(content).hexdigest()}" for name, content in pinned.items()}
    return Source((server.remote("archive.zip", buffer.getvalue()),), "graph.pb", "labels.txt", pins)


@needs_weights
def test_pinned_members_are_taken_out_of_an_archive_and_nothing_else(server, tmp_path):
    graph, labels = GRAPH.read_bytes(), LABELS.read_bytes()
    wanted = {"graph.pb": graph, "labels.txt": labels}
    members = [("../../climbed", b"!"), ("/climbed", b"!"), *wanted.items(), ("extra", b"!")]
    source = archive_source(server, members, wanted)
    out = tmp_path / "deep" / "down" / "inceptionv1.safetensors"
    weights = read_weights(fetch(source, out))
    assert weights.source == "graph.pb" and len(weights.labels) == 1008
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [out]
    assert not Path("/climbed").exists()


def test_archives_that_are_not_what_was_pinned(server, tmp_path):
    climbing = archive_source(server, [("../graph.pb", b"graph")], {"graph.pb": b"graph"})
    with pytest.raises(InputError, match=r"lacks graph.pb; it holds \['../graph.pb'\]"):
        fetch(climbing, tmp_path / "climbing.safetensors")
    other = archive_source(server, [("graph.pb", b"another graph")], {"graph.pb": b"graph"})
    with pytest.raises(InputError, match=r"archive.zip: graph.pb: its SHA256 is .*expected"):
        fetch(other, tmp_path / "other.safetensors")
    broken = Source((server.remote("archive.zip", b"PK\x03\x04 cut"),), "graph.pb", "", {"graph.pb": "sha256:0"})
    with pytest.raises(InputError, match="damaged or cut short"):
        fetch(broken, tmp_path / "broken.safetensors")
    assert not list(tmp_path.rglob("graph.pb")) and not list(tmp_path.rglob("*.safetensors"))


def test_every_source_is_pinned():
    for source in filter(None, (entry.source for entry in ZOO.values())):
        pins = [remote.pin for remote in source.files] + list(source.members.values())
        for algorithm, pin in (pin.split(":") for pin in pins):
            assert len(bytes.fromhex(pin)) == hashlib.new(algorithm).digest_size
        assert len({remote.name for remote in source.files}) == len(source.files)


@needs_weights
def test_pins_of_the_2015_release_are_those_of_its_files():
    pins = {remote.name: remote.pin for remote in ZOO["inceptionv1-2015"].source.files}
    for path in (WEIGHTS / "inceptionv1_2015_h5").iterdir():
        assert pins.pop(path.name) == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert pins == {"synsets.txt": f"sha256:{hashlib.sha256(LABELS.read_bytes()).hexdigest()}"}


# Several processes.

FETCH = """
import sys
from pathlib import Path
from jaxcircuits.zoo.entry import Remote
from weights_convert.downloading import alone, download
url, pin, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
with alone(folder):
    folder.mkdir(exist_ok=True)
    print(len(download(Remote(url, pin), folder, lambda done, total: None).read_bytes()))
"""


def test_many_at_once_download_once_and_the_others_wait_with_a_word(server, tmp_path):
    def slowly(handler):
        handler.server.answers.clear()
        time.sleep(3)
        handler.server.log.pop()
        handler.do_GET()

    remote = server.remote("weights", CONTENT)
    server.answers["/weights"] = [slowly]
    words = [sys.executable, "-c", FETCH, remote.url, remote.pin, str(tmp_path / "folder")]
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(words, env=environment, **pipes) for _ in range(4)]
    ended = [(*process.communicate(timeout=120), process.returncode) for process in started]
    assert [(out, code) for out, _, code in ended] == [(f"{len(CONTENT)}\n", 0)] * 4, ended
    waited = [error for _, error, _ in ended if "another process downloads" in error]
    assert waited and all(len(error.splitlines()) == 1 for error in waited)
    assert server.log == [("/weights", None)]


def test_a_killed_download_leaves_no_lock(tmp_path):
    hold = FETCH.split("    folder.mkdir")[0] + "    print('held', flush=True); import time; time.sleep(60)"
    words = [sys.executable, "-c", hold, "url", "pin", str(tmp_path / "folder")]
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    holder = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    holder.kill()
    holder.wait()
    with downloading.alone(tmp_path / "folder"):
        pass


@needs_weights
def test_a_damaged_cached_file_is_fetched_again(server, monkeypatch, home, capsys):
    publish_at(monkeypatch, caffe_source(server))
    path = home / "cache" / "jaxcircuits" / "googlenet.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"cut")
    assert read_weights(find_or_fetch("googlenet")).network == "googlenet"
    assert "it is fetched again" in capsys.readouterr().err
