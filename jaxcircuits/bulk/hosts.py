"""Several processes that share one drawing, by JAX's own runtime.

The processes meet once, through `jax.distributed`, for two things: to learn how many they are, and to hear from process
0 what the plan is. Then they part, before anything is drawn. Nothing is exchanged between pictures, so a process that
dies later takes nobody with it, and none waits for another at the end: JAX would end every process when one is lost,
and a barrier at exit would wait in vain.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxcircuits.errors import InputError

PATIENCE = 300
"""Seconds for which a process waits for the others at the beginning."""

GOODBYE = 60
"""Seconds for which a process that met the others waits for them to part."""


@dataclasses.dataclass(frozen=True)
class Hosts:
    """Which of how many processes this one is.

    Attributes:
      index: from 0 on.
      count: how many there are.
    """

    index: int = 0
    count: int = 1

    def share(self, work: list[int]) -> list[int]:
        """This process's part of a list that all have alike."""
        return work[self.index :: self.count]


ALONE = Hosts()
"""One process, which does everything."""


def meet(coordinator: str | None = None, processes: int | None = None, process: int | None = None) -> Hosts:
    """Joins the other processes; call it before anything else of JAX.

    Args:
      coordinator: HOST:PORT at which process 0 listens; None where JAX finds it out (TPU pods, SLURM, Open MPI).
      processes: how many there are; None likewise.
      process: which this one is, from 0 on; None likewise.

    Raises:
      InputError: for numbers that make no sense, or where JAX finds no cluster.
    """
    given = (coordinator, processes, process)
    if any(part is not None for part in given):
        if any(part is None for part in given):
            raise InputError("--coordinator, --processes and --process go together")
        host, _, port = coordinator.rpartition(":")
        if not host or not port.isdecimal():
            raise InputError(f"coordinator {coordinator!r}; expected HOST:PORT")
        if not 0 <= process < processes:
            raise InputError(f"process {process} of {processes}; expected a number from 0 to {processes - 1}")
        print(f"process {process} of {processes}: meets the others at {coordinator}", file=sys.stderr, flush=True)
    try:
        jax.distributed.initialize(
            *given, initialization_timeout=PATIENCE, shutdown_timeout_seconds=GOODBYE, cluster_detection_method=None
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
