"""Processes meet at an address: all say who they are, hear whether all is well, and then what process 0 has decided.

A line of JSON a message, over TCP to process 0. Whoever is lost is noticed as soon as its connection ends, before the
meeting is over; whoever does not come is given up after `PATIENCE`. What comes from a stranger, who does not say what
the others say, is dropped.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import selectors
import socket
import time
from collections.abc import Callable
from typing import Any, NoReturn

from jaxcircuits.errors import InputError
from jaxcircuits.files import parse_json

PATIENCE = 45.0
"""Seconds for which a process waits for the others to come."""

PAUSE = 0.2
"""Seconds before another try to reach process 0, which may start later."""

GREETING = "jaxcircuits"
LONGEST_HELLO = 1000
LONGEST = 2**28
"""Bytes of a message: a plan of a million shards has 150 MB."""


class Meeting:
    """The connections of one process to the others, until they part.

    Args:
      coordinator: HOST:PORT of process 0.
      count: how many processes there are.
      index: which this one is.

    Raises:
      InputError: where the others do not come, are others than expected, or the address cannot be used; every process
        that came is told the same.
    """

    def __init__(self, coordinator: str, count: int, index: int):
        self.coordinator, self.count, self.index = coordinator, count, index
        host, _, port = coordinator.rpartition(":")
        self._address = host.strip("[]"), int(port)
        self._until = time.monotonic() + PATIENCE
        self._others: dict[int, socket.socket] = {}
        try:
            self._listen() if index == 0 else self._join()
        except BaseException:
            self.close()
            raise

    def told(self, decide: Callable[[], Any]) -> Any:
        """What process 0 decides, in all processes; they part afterwards.

        Args:
          decide: called by process 0 only; returns what JSON can hold.

        Raises:
          InputError: everywhere, where `decide` raises it; where process 0 is lost before it has decided.
        """
        with contextlib.closing(self):
            if self.index:
                return _heard(self._others[0], None, "process 0 was lost before the work began; see what it said")
            try:
                decided = decide()
            except InputError as error:
                self._tell_all({"error": str(error)})
                raise
            except BaseException:
                self._tell_all({"error": "process 0 was stopped before the work began; see what it said"})
                raise
            # One that is lost meanwhile takes nobody with it: its share is done by the next call.
            self._tell_all({"said": decided})
            return decided

    def close(self) -> None:
        """Ends the connections."""
        for other in self._others.values():
            other.close()

    def _listen(self) -> None:
        try:
            family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
            server = socket.create_server(
                ("", self._address[1]), family=family, backlog=self.count, dualstack_ipv6=family == socket.AF_INET6
            )
        except OSError as error:
            raise InputError(
                f"process 0 cannot listen at port {self._address[1]} ({os.strerror(error.errno or 0)}); "
                "is there another process 0, or another program?"
            ) from None
        with server, selectors.DefaultSelector() as waiting:
            waiting.register(server, selectors.EVENT_READ)
            while len(self._others) < self.count - 1:
                left = self._until - time.monotonic()
                if left <= 0:
                    missing = [str(i) for i in range(1, self.count) if i not in self._others]
                    self._refuse(
                        f"process {' and '.join(missing[:8])} of {self.count} did not come in {PATIENCE:.0f} s"
                    )
                for key, _ in waiting.select(min(left, 1.0)):
                    if key.fileobj is server:
                        self._greet(server.accept()[0], waiting)
                    else:  # nobody says anything more now: the connection has ended
                        self._refuse(f"process {key.data} was lost before all had come; see what it said")
            self._tell_all({"said": None})

    def _greet(self, connection: socket.socket, waiting: selectors.BaseSelector) -> None:
        try:
            hello = _read(connection, min(5.0, max(self._until - time.monotonic(), 0.1)), LONGEST_HELLO)
            sound = isinstance(hello, dict) and hello.get("greeting") == GREETING
            count, index = hello.get("count"), hello.get("index")
        except (OSError, InputError):
            sound = False
        if not sound or type(count) is not int or type(index) is not int:
            connection.close()
            return
        if index in self._others or not 0 < index < self.count or count != self.count:
            if count != self.count:
                said = f"process {index} was told of {count} processes, process 0 of {self.count}"
            else:
                said = f"process {index} is there twice"
            self._others[-1] = connection  # to be told as well
            self._refuse(f"{said}; expected --process 0 to {self.count - 1}, each once, of --processes {self.count}")
        self._others[index] = connection
        waiting.register(connection, selectors.EVENT_READ, index)

    def _join(self) -> None:
        while True:
            try:
                connection = socket.create_connection(self._address, timeout=max(self._until - time.monotonic(), 0.1))
                if connection.getsockname() == connection.getpeername():
                    connection.close()  # TCP lets one meet oneself where nobody listens yet
                    raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
                break
            except (OSError, UnicodeError) as error:
                if time.monotonic() + PAUSE > self._until or isinstance(error, UnicodeError):
                    raise InputError(
                        f"process 0 cannot be reached at {self.coordinator} "
                        f"({getattr(error, 'strerror', None) or error}) in {PATIENCE:.0f} s"
                    ) from None
                time.sleep(PAUSE)
        self._others[0] = connection
        lost = f"process 0 at {self.coordinator} was lost before all had come, or is another program"
        try:
            _write(connection, {"greeting": GREETING, "count": self.count, "index": self.index})
        except OSError:
            raise InputError(lost) from None
        # Process 0 is the one that gives up; it may have come later than this one.
        _heard(connection, 2 * PATIENCE, lost)

    def _refuse(self, said: str) -> NoReturn:
        self._tell_all({"error": said})
        raise InputError(said)

    def _tell_all(self, said: dict[str, Any]) -> None:
        for other in self._others.values():
            with contextlib.suppress(OSError):
                other.settimeout(30)
                _write(other, said)


def _heard(connection: socket.socket, seconds: float | None, lost: str) -> Any:
    """What process 0 says; raises `InputError` for what it refuses, or where it is lost."""
    try:
        said = _read(connection, seconds, LONGEST)
    except (OSError, InputError):
        raise InputError(lost) from None
    if not isinstance(said, dict) or not ("said" in said or isinstance(said.get("error"), str)):
        raise InputError(lost)
    if "error" in said:
        raise InputError(said["error"])
    return said["said"]


def _write(connection: socket.socket, said: Any) -> None:
    connection.sendall(json.dumps(said).encode() + b"\n")


def _read(connection: socket.socket, seconds: float | None, most: int) -> Any:
    """One message; raises `OSError` where none comes in time, `InputError` for one that is none."""
    until = None if seconds is None else time.monotonic() + seconds
    received = bytearray()
    while not received.endswith(b"\n"):
        if until is not None and time.monotonic() >= until:
            raise TimeoutError
        connection.settimeout(None if until is None else max(until - time.monotonic(), 0.01))
        # As far as the end of the line: the next message may be there already.
        part = connection.recv(2**16, socket.MSG_PEEK)
        if not part or len(received) > most:
            raise ConnectionError("the connection has ended")
        received += connection.recv(part.find(b"\n") + 1 or len(part))
    try:
        return parse_json(received.decode(), "a message", most)
    except UnicodeDecodeError:
        raise InputError("a message that is no text") from None
