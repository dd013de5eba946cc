"""Several processes that share one job: they meet once, hear from process 0 what the plan is, and part.

Nothing is exchanged between records, so a process that dies later takes nobody with it, and none waits for another at
the end. Where an address is named they meet there (`meeting`). Where JAX finds the others out (TPU pods, SLURM, Open
MPI) they meet through `jax.distributed`, whose runtime ends every process with a stack of its own when one is lost
before they have parted; what can be said in a line is said.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxcircuits.bulk.meeting import Meeting
from jaxcircuits.errors import InputError, shown, whole
from jaxcircuits.printing import plain

PATIENCE = 50
"""Seconds for which a process waits for the others that JAX has found."""

HEARTBEAT = 30
"""Seconds without a sign of life after which JAX counts one of those as lost."""

GOODBYE = 30
"""Seconds for which a process that met the others waits for them to part."""

MOST_PROCESSES = 2**16


@dataclasses.dataclass(frozen=True)
class Hosts:
    """Which of how many processes this one is.

    Attributes:
      index: from 0 on.
      count: how many there are.
      meeting: where they meet; None where JAX has found them.
    """

    index: int = 0
    count: int = 1
    meeting: Meeting | None = dataclasses.field(default=None, compare=False, repr=False)

    def share(self, work: list[int]) -> list[int]:
        """This process's part of a list that all have alike."""
        return work[self.index :: self.count]


ALONE = Hosts()
"""One process, which does everything."""


def meet(coordinator: str | None = None, processes: int | None = None, process: int | None = None) -> Hosts:
    """Joins the other processes; call it before anything else of JAX where JAX is to find them.

    Args:
      coordinator: HOST:PORT at which process 0 listens; None where JAX finds it out (TPU pods, SLURM, Open MPI).
      processes: how many there are; None likewise.
      process: which this one is, from 0 on; None likewise.

    Raises:
      InputError: for numbers that make no sense, for processes that do not come, or where JAX finds no cluster.
    """
    if coordinator is not None and processes is not None and process is not None:
        host, _, port = coordinator.rpartition(":")
        if not host or not (port.isascii() and port.isdecimal() and len(port) < 6 and 0 < int(port) < 2**16):
            raise InputError(f"coordinator {shown(coordinator)}; expected HOST:PORT, the port from 1 to 65535")
        processes = whole(processes, "processes", 1, MOST_PROCESSES)
        if not 0 <= process < processes:
            raise InputError(f"process {process} of {processes}; expected a number from 0 to {processes - 1}")
        said = f"process {process} of {processes}: meets the others at {coordinator}"
        print(plain(said), file=sys.stderr, flush=True)
        return Hosts(process, processes, Meeting(coordinator, processes, process) if processes > 1 else None)
    if any(part is not None for part in (coordinator, processes, process)):
        raise InputError("--coordinator, --processes and --process go together")
    try:
        jax.distributed.initialize(
            initialization_timeout=PATIENCE,
            heartbeat_timeout_seconds=HEARTBEAT,
            shutdown_timeout_seconds=GOODBYE,
            cluster_detection_method=None,
        )
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"no cluster to join ({str(error).splitlines()[0]}); "
            "name it with --coordinator HOST:PORT --processes N --process I"
        ) from None
    return Hosts(jax.process_index(), jax.process_count())


def agree(hosts: Hosts, decide: Callable[[], Any]) -> Any:
    """What process 0 decides, told to all; the processes part afterwards.

    Args:
      hosts: from `meet`.
      decide: called by process 0 only; returns what JSON can hold.

    Raises:
      InputError: everywhere, where `decide` raises it; where a process was lost on the way here.
    """
    if hosts.count == 1:
        return decide()
    if hosts.meeting:
        return hosts.meeting.told(decide)
    said = {}
    if hosts.index == 0:
        try:
            said = {"decided": decide()}
        except InputError as error:
            said = {"error": str(error)}
    try:
        said = json.loads(_told(json.dumps(said).encode()))
        jax.distributed.shutdown()
    except jax.errors.JaxRuntimeError as error:
        lost = str(error).splitlines()[0]
        raise InputError(f"another process was lost before the drawing began; see what it said ({lost})") from None
    if "error" in said:
        raise InputError(said["error"])
    return said["decided"]


def _told(text: bytes) -> bytes:
    """The text of process 0."""
    from jax.experimental.multihost_utils import broadcast_one_to_all

    length = int(broadcast_one_to_all(np.asarray(len(text), np.int32)))
    padded = np.frombuffer(text.ljust(length, b"\0")[:length], np.uint8)
    return bytes(np.asarray(broadcast_one_to_all(padded), np.uint8))
