"""A small server for one's own machine: the site as files, and what a page asks of a network that is loaded.

Only whole paths within the folder are served, hidden ones and records not. Requests that a page of another site makes
are refused by their `Origin`, and names of other hosts by `Host`, so that no page elsewhere reaches it by way of the
browser (DNS rebinding).
"""

from __future__ import annotations

import functools
import ipaddress
import json
import mimetypes
import sys
import urllib.parse
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any

from jaxcircuits.errors import InputError
from jaxcircuits.files import parse_json, read_bytes
from jaxcircuits.pages.microscope.looking import Looking
from jaxcircuits.pages.microscope.site import HERE

LARGEST_UPLOAD = 16 * 2**20
"""Bytes of a picture."""
LARGEST_QUESTION = 4096
"""Bytes of any other request."""
LARGEST_FILE = 2**28
"""Bytes of a file of the site."""
PATIENCE = 20
"""Seconds for which a connection may be silent."""
OWN = "/-/"
"""Begins the addresses that are no files of the site."""
LIVE = ("live.js", "live.css")

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cache-Control": "no-cache",
}

mimetypes.add_type("image/webp", ".webp")


class Refused(Exception):
    """A request that is answered by a status and a line."""

    def __init__(self, status: HTTPStatus, said: str):
        super().__init__(said)
        self.status = status


class Server(ThreadingHTTPServer):
    """Listens when it is made; `serve_forever` answers.

    Args:
      root: the site's folder.
      host: to listen at: 127.0.0.1 unless others are meant to reach it.
      port: 0 for any that is free.
      looking: network's name -> what looks with it.
      version: a number that grows with the site.

    Raises:
      InputError: where the port is taken or the address is none of this machine.
    """

    daemon_threads = True

    def __init__(
        self,
        root: Path,
        host: str = "127.0.0.1",
        port: int = 0,
        looking: Mapping[str, Looking] | None = None,
        version: Callable[[], int] = lambda: 0,
    ):
        self.root, self.looking, self.version = root.resolve(), dict(looking or {}), version
        self.host = host
        try:
            super().__init__((host, port), Handler)
        except (OSError, OverflowError) as error:
            said = getattr(error, "strerror", None) or error
            raise InputError(f"cannot listen at {host}:{port} ({said}); choose another --port") from None

    @property
    def url(self) -> str:
        """Where it can be reached from this machine."""
        host = "127.0.0.1" if self.host in ("", "0.0.0.0") else self.host
        return f"http://{host}:{self.server_address[1]}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says what went wrong, but for a connection that the other side dropped: browsers do, and nothing is wrong."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)

    def is_own(self, name: str) -> bool:
        """Whether a `Host` header names this machine as it is meant to be reached."""
        host = _parts(f"//{name}").hostname or ""
        if host in ("localhost", self.host):
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        # An address, unlike a name, cannot be made to mean another machine.
        return address.is_loopback or not ipaddress.ip_address(str(self.server_address[0])).is_loopback


class Handler(BaseHTTPRequestHandler):
    """One request after another of one connection."""

    server: Server
    server_version, sys_version = "jaxcircuits", ""
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE

    def do_GET(self) -> None:
        self._answered(self._get)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self._answered(self._post)

    def log_message(self, *_: Any) -> None:
        """Nothing is said of requests: what they ask for is not ours to print."""

    def _answered(self, answer: Callable[[], tuple[str, bytes]]) -> None:
        try:
            if not self.server.is_own(self.headers.get("Host", "")):
                raise Refused(HTTPStatus.MISDIRECTED_REQUEST, "this name is not of this machine")
            kind, body, status = *answer(), HTTPStatus.OK
        except Refused as refused:
            kind, body, status = "application/json", _json({"error": str(refused)}), refused.status
        except InputError as error:
            kind, body, status = "application/json", _json({"error": str(error)}), HTTPStatus.BAD_REQUEST
        except (TimeoutError, ConnectionError):
            self.close_connection = True
            return
        if status != HTTPStatus.OK:
            # What was not read of the request would be taken for the next one.
            self.close_connection = True
        try:
            self.send_response(status)
            for name, value in (HEADERS | {"Content-Type": kind, "Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def _get(self) -> tuple[str, bytes]:
        parts = _parts(self.path)
        if not parts.path.startswith(OWN):
            return self._file(urllib.parse.unquote(parts.path, errors="replace"))
        name = parts.path.removeprefix(OWN)
        if name in LIVE:
            kind = "text/javascript" if name.endswith(".js") else "text/css"
            return f"{kind}; charset=utf-8", _live(name)
        if name == "state":
            return "application/json", _json({"version": self.server.version(), "networks": list(self.server.looking)})
        raise Refused(HTTPStatus.NOT_FOUND, "there is no such page")

    def _post(self) -> tuple[str, bytes]:
        if self.headers.get("Origin", "") != f"http://{self.headers['Host']}":
            raise Refused(HTTPStatus.FORBIDDEN, "only pages of this site may ask")
        name = _parts(self.path).path.removeprefix(OWN)
        question, _, network = name.partition("/")
        looking = self.server.looking.get(urllib.parse.unquote(network))
        if question not in ("look", "unit", "edit") or looking is None:
            raise Refused(HTTPStatus.NOT_FOUND, "no such network is loaded; start with `jaxcircuits serve DIR NETWORK`")
        body = self._body(LARGEST_UPLOAD if question == "look" else LARGEST_QUESTION)
        if question == "look":
            return "application/json", _json(looking.look(body))
        asked = _asked(body)
        if question == "unit":
            return "application/json", _json(looking.unit(asked["look"], asked["layer"], asked["unit"]))
        return "application/json", _json(looking.edit(asked["look"], asked["layer"], asked["unit"], asked["factor"]))

    def _body(self, most: int) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or len(length) > 12 or "Transfer-Encoding" in self.headers:
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "expected a Content-Length")
        if int(length) > most:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{length} bytes; at most {most} are taken")
        data = self.rfile.read(int(length))
        if len(data) < int(length):
            raise Refused(HTTPStatus.BAD_REQUEST, "the request ended early")
        return data

    def _file(self, path: str) -> tuple[str, bytes]:
        parts = [part for part in path.split("/") if part]
        missing = Refused(HTTPStatus.NOT_FOUND, "there is no such page")
        if any(part.startswith(".") or "\0" in part or "\\" in part for part in parts) or parts[:1] == ["records"]:
            raise missing
        try:
            file = self.server.root.joinpath(*parts).resolve()
            if path.endswith("/") or not parts:
                file /= "index.html"
            if not file.is_relative_to(self.server.root) or not file.is_file():
                raise missing
            data = read_bytes(file, "a file of the site", LARGEST_FILE)
        except (OSError, ValueError):
            raise missing from None
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        if kind == "text/html":
            # The pages themselves know nothing of a server; a circuit's page, one file by itself, stays as it is.
            added = b'<link rel="stylesheet" href="/-/live.css"><script src="/-/live.js" defer></script></head>'
            data = data if b"script-src 'unsafe-inline'" in data else data.replace(b"</head>", added, 1)
        return (f"{kind}; charset=utf-8" if kind.startswith("text/") else kind), data


def _parts(address: str) -> urllib.parse.SplitResult:
    try:
        return urllib.parse.urlsplit(address)
    except ValueError:  # of brackets without an address of IPv6 in them
        raise Refused(HTTPStatus.BAD_REQUEST, "this is no address") from None


def _asked(body: bytes) -> dict[str, Any]:
    """A question of a page: `look`, `layer`, `unit` and `factor`, each of its type."""
    try:
        asked = parse_json(body.decode(), "a question", LARGEST_QUESTION)
        found = {
            "look": asked["look"],
            "layer": asked["layer"],
            "unit": asked["unit"],
            "factor": asked.get("factor", 1),
        }
        sound = isinstance(found["look"], str) and isinstance(found["layer"], str) and type(found["unit"]) is int
        sound = sound and 0 <= found["unit"] < 2**31
    except (ValueError, KeyError, TypeError, AttributeError):
        sound = False
    if not sound:
        raise Refused(HTTPStatus.BAD_REQUEST, "expected look, layer, unit and factor as JSON")
    return found


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


@functools.cache
def _live(name: str) -> bytes:
    return resources.files(HERE).joinpath("templates", name).read_bytes()
