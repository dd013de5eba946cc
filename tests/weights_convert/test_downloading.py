"""One file from a real server: resumed, checked, shared by processes; and servers that mean no good."""

import contextlib
import os
import socket
import subprocess
import sys
import time

import pytest

from jaxcircuits.errors import InputError
from jaxcircuits.zoo.entry import Remote
from support.data import ROOT
from support.server import CONTENT, ignore
from weights_convert import downloading
from weights_convert.fetching import download


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


@pytest.mark.parametrize("status", [200, 503])
def test_an_answer_that_comes_too_late_is_hung_up_on(status, server, tmp_path, monkeypatch):
    said = []

    def late(handler):
        handler.server.stopped.wait(0.5)
        handler.send_response(status)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        said.append(handler.rfile.read(1))  # nothing, once the other end is closed

    monkeypatch.setattr(downloading, "PERIOD", 0.2)
    remote = server.remote("weights", CONTENT)
    server.answers["/weights"] = [late]
    with pytest.raises(InputError, match="no answer for"):
        download(remote, tmp_path, ignore)
    end = time.monotonic() + 20
    while not said and time.monotonic() < end:
        time.sleep(0.02)
    assert said == [b""]


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
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        holder.kill()
    with downloading.alone(tmp_path / "folder"):
        pass
