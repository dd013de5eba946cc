"""Processes that meet: all or nobody, in one line, within a minute; over real connections."""

import os
import re
import socket
import subprocess
import sys
import threading
import time

import pytest

from jaxcircuits.bulk import Hosts, meeting
from jaxcircuits.bulk.hosts import agree
from jaxcircuits.bulk.meeting import Meeting
from jaxcircuits.errors import InputError
from support.data import ROOT

PROCESS = """
import sys
from jaxcircuits.bulk.hosts import agree, meet
from jaxcircuits.cli.app import InputError, tell
from jaxcircuits.bulk import meeting
meeting.PATIENCE = 30
try:
    hosts = meet(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    print("met", flush=True)
    if "wait" in sys.argv and hosts.index == 0:
        sys.stdin.read()
    print(agree(hosts, lambda: {"plan": "ours"}), flush=True)
except InputError as error:
    tell(error)
    sys.exit(2)
"""


@pytest.fixture
def address():
    """One that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setattr(meeting, "PATIENCE", 2.0)


def together(*members):
    """Runs functions in threads; what each returned or raised."""
    results = [None] * len(members)

    def run(i, member):
        try:
            results[i] = member()
        except InputError as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(members)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return results


def member(address, count, index, decide=lambda: {"plan": [1, 2]}):
    return lambda: agree(Hosts(index, count, Meeting(address, count, index)), decide)


@pytest.mark.parametrize("count", [2, 5])
def test_all_hear_what_process_0_decides(count, address):
    assert together(*(member(address, count, i) for i in reversed(range(count)))) == [{"plan": [1, 2]}] * count


def test_large_plans_arrive(address):
    plan = {"units": list(range(300_000))}
    assert together(*(member(address, 2, i, lambda: plan) for i in range(2))) == [plan] * 2


def test_what_process_0_refuses_all_are_told(address):
    def refuse():
        raise InputError("no such folder")

    assert [str(error) for error in together(*(member(address, 3, i, refuse) for i in range(3)))] == [
        "no such folder"
    ] * 3


BAD = {
    "the same number twice": ([(3, 0), (3, 1), (3, 1)], "process 1 is there twice"),
    "other counts": ([(2, 0), (3, 1)], "process 1 was told of 3 processes, process 0 of 2"),
    "one is missing": ([(3, 0), (3, 2)], "process 1 of 3 did not come in 2 s"),
    "a number too high": ([(2, 0), (2, 7)], "process 7 is there twice|expected --process 0 to 1"),
}


@pytest.mark.parametrize("case", BAD)
def test_who_does_not_fit_ends_all_in_one_line(case, address):
    members, message = BAD[case]
    for error in together(*(member(address, count, index) for count, index in members)):
        assert isinstance(error, InputError) and len(str(error).splitlines()) == 1
        assert re.search(message, str(error)), error


def test_two_zeros(address):
    first, second = together(member(address, 2, 0), member(address, 2, 0))
    said = sorted([str(first), str(second)])
    assert "cannot listen at port" in said[0] and said[1] == "process 1 of 2 did not come in 2 s"


def test_nobody_there(address):
    (error,) = together(member(address, 2, 1))
    assert str(error).startswith(f"process 0 cannot be reached at {address}")
    (error,) = together(member("no.such.host.invalid:1234", 2, 1))
    assert "cannot be reached" in str(error)


def test_strangers_are_dropped(address):
    """A port may be scanned; what does not say what the others say does not count."""
    host, port = address.split(":")

    def stranger():
        for data in (b"", b"GET / HTTP/1.0\r\n\r\n", b"\xff\n", b"[" * 900 + b"\n", b'{"greeting": "jaxcircuits"}\n'):
            for _ in range(20):
                try:
                    with socket.create_connection((host, int(port)), timeout=1) as connection:
                        connection.sendall(data)
                    break
                except OSError:
                    time.sleep(0.05)

    found = together(member(address, 2, 0), stranger, lambda: (time.sleep(0.5), member(address, 2, 1)())[1])
    assert found[0] == found[2] == {"plan": [1, 2]}


def test_another_program_at_the_address(address):
    host, port = address.split(":")
    with socket.create_server((host, int(port))) as server:

        def talk():
            connection, _ = server.accept()
            connection.sendall(b"220 smtp.example ESMTP\r\n")
            connection.close()

        _, error = together(talk, member(address, 2, 1))
    assert "is another program" in str(error)


# Processes that are killed.


@pytest.fixture
def start(address):
    environment = dict(os.environ, PYTHONPATH=str(ROOT), JAX_PLATFORMS="cpu")
    started = []

    def start(count, index, *words):
        command = [sys.executable, "-c", PROCESS, address, str(count), str(index), *words]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        started.append(subprocess.Popen(command, env=environment, text=True, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_a_killed_process_is_told_of_at_once(start):
    """A worker before all have met, then process 0 while it decides: those that are left end in a line, with 2."""
    zero, worker = start(3, 0), start(3, 1)
    assert "meets the others" in zero.stderr.readline() + worker.stderr.readline()
    time.sleep(2)
    worker.kill()
    _, error = zero.communicate(timeout=50)
    assert zero.returncode == 2
    assert error == "jaxcircuits: process 1 was lost before all had come; see what it said\n"
    zero, worker = start(2, 0, "wait"), start(2, 1)
    assert zero.stdout.readline() == worker.stdout.readline() == "met\n"
    zero.kill()
    _, error = worker.communicate(timeout=20)
    assert worker.returncode == 2
    assert error.splitlines()[-1] == "jaxcircuits: process 0 was lost before the work began; see what it said"
