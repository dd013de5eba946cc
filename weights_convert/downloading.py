"""One file from a server: bounded in time and size, resumed where a connection is cut, checked against its pin.

What several processes download at once, one downloads: the others wait, and find it there. Nothing is trusted but the
pinned hash: a server may redirect, trickle, repeat itself, send more than there is, or send something else.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

from jaxcircuits.errors import InputError
from jaxcircuits.files.writing import make_folder
from jaxcircuits.printing import tell
from jaxcircuits.zoo.entry import Remote
from weights_convert.files import MOST_BYTES, digest

TRIES = 5
"""Connections for one file: each goes on where the last one was cut, or comes after a pause where the server failed."""

AGAIN = (
    http.HTTPStatus.REQUEST_TIMEOUT,
    http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    http.HTTPStatus.TOO_MANY_REQUESTS,
)
"""Answers (request timeout, range not satisfiable, too many requests), beside those from 500 on, after which a server
may answer otherwise."""

CHUNK = 2**16
TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as cut."""

LEAST_RATE = 4096
"""Bytes a second over `PERIOD` below which a server is given up: 50 MB would take hours."""
PERIOD = 60.0

PAUSE = 0.5
"""Seconds before another try, twice as long after each; with a random part, so that many do not come at once."""
LONGEST_PAUSE = 20.0

WAIT = 3600.0
"""Seconds for which a process waits for another's download."""

SCHEMES = ("http", "https")

Progress = Callable[[int, int | None], None]
"""Is told how many bytes are there, and of how many, where the server says so."""


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[Path]:
    """Lets one process at a time into a folder, until the block or the process ends; the others wait, with a word.

    Yields:
      The lock's file, to be removed when what the others wait for is there.

    Raises:
      InputError: where the folder cannot be made or written, or the other process takes longer than `WAIT`.
    """
    import fasteners

    try:
        make_folder(folder.parent)
        path = folder.with_name(f".{folder.name}.lock")
        lock = fasteners.InterProcessLock(path)
        if not lock.acquire(blocking=False):
            tell(f"another process downloads into {folder}; waiting for it")
            if not lock.acquire(timeout=WAIT, delay=0.1, max_delay=1.0):
                raise InputError(f"{folder}: another process has downloaded into it for {WAIT:.0f} s; stop that one")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror or error})") from None
    try:
        yield path
    finally:
        lock.release()


def download(remote: Remote, folder: Path, progress: Progress) -> Path:
    """Downloads one file, going on after the bytes that a cut connection or an earlier call left in NAME.part.

    Args:
      remote: the file.
      folder: where it goes; one process at a time, see `alone`.
      progress: called after every piece.

    Returns:
      The file; its hash is the pinned one.

    Raises:
      InputError: where the server cannot be reached, refuses, or is too slow, or the file is another one: then it is
        deleted.
    """
    path, part = folder / remote.name, folder / f"{remote.name}.part"
    if path.is_file() and _is_pinned(path, remote.pin):
        return path
    path.unlink(missing_ok=True)
    connection = _Connection(remote, part, progress)
    for attempt in range(TRIES):
        before = _size(part)
        try:
            if connection.receive():
                break
            reason = "the connection was cut; call again to go on"
        except urllib.error.HTTPError as error:
            error.close()  # it holds the connection
            reason = f"the server answers {error.code} {' '.join(str(error.reason).split())}"
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and before:
                part.unlink()
                continue
            if error.code < 500 and error.code not in AGAIN:
                raise InputError(f"{remote.url}: {reason}") from None
            time.sleep(min(PAUSE * 2**attempt, LONGEST_PAUSE) * (0.5 + random.random() / 2))
            continue
        except InputError:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = " ".join(str(getattr(error, "reason", error)).split()) or type(error).__name__
        if _size(part) == before:
            raise InputError(f"{remote.url}: {reason}")
    else:
        raise InputError(f"{remote.url}: {reason}")
    found = digest(part, _algorithm(remote.pin))
    if f"{_algorithm(remote.pin)}:{found}" != remote.pin:
        part.unlink()
        raise _wrong(remote.url, remote.pin, found)
    part.rename(path)
    return path


def check_pin(path: Path, pin: str, what: str) -> None:
    """Deletes a file that is not the pinned one; raises `InputError` then."""
    found = digest(path, _algorithm(pin))
    if f"{_algorithm(pin)}:{found}" != pin:
        path.unlink()
        raise _wrong(what, pin, found)


def _wrong(what: str, pin: str, found: str) -> InputError:
    algorithm, _, expected = pin.partition(":")
    return InputError(f"{what}: its {algorithm.upper()} is {found}, expected {expected}; the download was deleted")


def _algorithm(pin: str) -> str:
    return pin.partition(":")[0]


def _is_pinned(path: Path, pin: str) -> bool:
    """Whether a file is the one; what has no business under its name, such as a far larger one, is not."""
    with contextlib.suppress(InputError):
        return f"{_algorithm(pin)}:{digest(path, _algorithm(pin))}" == pin
    return False


class _Connection:
    """What one file is received by."""

    def __init__(self, remote: Remote, part: Path, progress: Progress):
        self._remote, self._part, self._progress = remote, part, progress
        self._clock = _Clock()

    def receive(self) -> bool:
        """Appends what a connection gives to the part; whether that was all."""
        url, have = self._remote.url, _size(self._part)
        _check_scheme(url)
        request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
        with self._answer(request) as response:
            resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
            own = f"bytes {have}-"
            if resumed and not response.headers.get("Content-Range", own).startswith(own):
                self._part.unlink(missing_ok=True)  # another range than was asked for
                return False
            done = have if resumed else 0
            total = None if response.length is None else done + response.length
            if total is not None and total > MOST_BYTES:
                raise InputError(f"{url}: {total:,} bytes; expected a weight file of at most {MOST_BYTES:,}")
            with self._part.open("ab" if resumed else "wb") as file:
                while chunk := response.read1(CHUNK):
                    file.write(chunk)
                    done += len(chunk)
                    self._progress(done, total)
                    if done > min(total or MOST_BYTES, MOST_BYTES):
                        raise InputError(f"{url}: more than {total or MOST_BYTES:,} bytes; expected a weight file")
                    if self._clock.too_slow(len(chunk)):
                        raise InputError(f"{url}: less than {LEAST_RATE:,} bytes a second; call again to go on")
        return total is None or done == total

    def _answer(self, request: urllib.request.Request) -> Any:
        """The server's answer; its head may come byte by byte too, so all of it has a deadline."""
        answer: futures.Future = futures.Future()

        def ask() -> None:
            try:
                answer.set_result(urllib.request.build_opener(_Redirects).open(request, timeout=TIMEOUT))
            except BaseException as error:
                answer.set_exception(error)

        threading.Thread(target=ask, daemon=True).start()
        if not futures.wait([answer], PERIOD).done:
            answer.add_done_callback(_hang_up)
            raise InputError(f"{request.full_url}: no answer for {PERIOD:.0f} s")
        return answer.result()


def _hang_up(answer: futures.Future) -> None:
    """Closes an answer that came when nobody waited for it any more."""
    came = answer.exception() or answer.result()
    if isinstance(came, (http.client.HTTPResponse, urllib.error.HTTPError)):
        came.close()


class _Clock:
    """Whether bytes come at `LEAST_RATE`, over all connections for a file."""

    def __init__(self):
        self._since, self._bytes = time.monotonic(), 0

    def too_slow(self, received: int) -> bool:
        """Counts bytes; whether those of the last period were too few."""
        self._bytes += received
        passed = time.monotonic() - self._since
        if passed < PERIOD:
            return False
        slow = self._bytes < LEAST_RATE * passed
        self._since, self._bytes = time.monotonic(), 0
        return slow


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to web servers only; urllib goes to FTP servers too, and round in circles ten times."""

    max_redirections = 5

    def http_error_302(self, req, fp, code, msg, headers):
        with contextlib.closing(fp):  # also where it leads nowhere, of which urllib keeps the connection
            return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        _check_scheme(newurl)
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise InputError(f"{req.full_url}: redirects to {newurl}, which is not encrypted; refused")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_scheme(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise InputError(f"{url}: refused; expected an address that begins with {' or '.join(SCHEMES)}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
