"""Finding a network's weights, or fetching them from where they are published: a server on the loopback interface."""

import dataclasses
import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from jaxcircuits.errors import InputError
from jaxcircuits.zoo import ZOO
from jaxcircuits.zoo.entry import Remote, Source
from support.data import SHARED
from weights_convert import find_or_fetch, read_weights
from weights_convert.fetching import fetch

WEIGHTS = SHARED / "weights"
GRAPH, CAFFEMODEL, LABELS = (
    WEIGHTS / name
    for name in ("inceptionv1_google2015.pb", "bvlc_googlenet.caffemodel", "inceptionv1_google2015.labels.txt")
)

needs_weights = pytest.mark.skipif(not WEIGHTS.is_dir(), reason=f"no weights in {WEIGHTS}")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home folder of its own, and no weights folder."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home" / "cache"))
    monkeypatch.delenv("JAXCIRCUITS_WEIGHTS", raising=False)
    return tmp_path / "home"


def caffe_source(server):
    labels = server.remote("synsets.txt", LABELS.read_bytes(), needed=False)
    files = (server.remote("bvlc_googlenet.caffemodel", CAFFEMODEL.read_bytes(), "sha1"), labels)
    return Source(files, weights="bvlc_googlenet.caffemodel", labels="synsets.txt")


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
    assert "weights-convert FILE --out FOLDER/googlenet.safetensors" in line and "JAXCIRCUITS_WEIGHTS" in line


def test_networks_without_a_pinned_source_say_where_theirs_is(home):
    with pytest.raises(InputError) as error:
        find_or_fetch("squeezenet")
    (line,) = str(error.value).splitlines()
    assert (
        "get squeezenet_v1.1.caffemodel" in line and "weights-convert FILE --out FOLDER/squeezenet.safetensors" in line
    )


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


@needs_weights
def test_a_damaged_cached_file_is_fetched_again(server, monkeypatch, home, capsys):
    publish_at(monkeypatch, caffe_source(server))
    path = home / "cache" / "jaxcircuits" / "googlenet.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"cut")
    assert read_weights(find_or_fetch("googlenet")).network == "googlenet"
    assert "it is fetched again" in capsys.readouterr().err
