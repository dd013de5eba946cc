"""A job: the plan of a product found or made, shared by hosts, and what is missing made and written, shard by shard."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

from etils import epath

from jaxcircuits.bulk import place
from jaxcircuits.bulk.hosts import ALONE, Hosts, agree
from jaxcircuits.bulk.plan import Plan
from jaxcircuits.bulk.product import Product
from jaxcircuits.bulk.writer import Writer
from jaxcircuits.errors import InputError

NAMED = 6
"""Differences between plans that a message names."""

SIGHT = 15
"""Seconds after which what one host wrote should be seen by the others."""


P = TypeVar("P", bound=Product)


@dataclasses.dataclass(frozen=True, eq=False)
class Job(Generic[P]):
    """Work that is ready to be started or resumed; see `opened`.

    Attributes:
      product: of the plan that is kept with the records.
      asked: the shards that hold what was asked for.
      todo: those of them that this process makes.
      damaged: files of finished shards that are not what was written; what was asked for of them is made again.
    """

    product: P
    asked: tuple[int, ...]
    todo: tuple[int, ...]
    damaged: tuple[str, ...] = ()

    @property
    def plan(self) -> Plan:
        """As it is kept with the records."""
        return self.product.plan

    @property
    def total(self) -> int:
        """How much was asked for, such as pictures."""
        return self.product.count(self.asked)

    @property
    def finished(self) -> int:
        """How much of that is there."""
        return self.product.count(sorted(self.product.finished().intersection(self.asked)))

    def run(self, progress: bool = True) -> list[epath.Path]:
        """Makes what is missing.

        Whatever ends it, finished shards stay, and nothing else; the same job opened again makes the rest. Ctrl-C lets
        the shard that is being written finish.

        Args:
          progress: show a bar over all of this process's work.

        Returns:
          What somebody may want to open, such as contact sheets.

        Raises:
          InputError: where the folder cannot be written or is gone, or what a device needs does not fit in memory.
        """
        try:
            with Writer() as writer, contextlib.closing(self.product.make(self.todo, writer.check, progress)) as made:
                for shard, what in made:
                    writer.submit(self._write, shard, what)
        except KeyboardInterrupt:
            self.product.complete()
            raise
        return self.product.complete()

    def summary(self, written: Sequence[epath.Path]) -> str:
        """What there is, where, in a few lines; `written` is what `run` returned."""
        return self.product.summary(written, self.finished, self.total)

    def _write(self, shard: int, made: Any) -> None:
        # Without the plan nothing that is written would be found again.
        self._check_place()
        try:
            self.product.write(shard, made)
        except InputError:
            self._check_place()
            raise

    def _check_place(self) -> None:
        if self.product.plan_name not in place.names(self.product.root):
            raise InputError(f"{self.product.root}: the folder is gone, or was emptied, while it was written into")


@contextlib.contextmanager
def opened(ours: P, hosts: Hosts = ALONE) -> Iterator[Job[P]]:
    """Opens a product's records in a folder: takes up the plan that is there, or makes one.

    Args:
      ours: what is asked for, with an empty plan.
      hosts: which of several processes this one is, see `meet`.

    Yields:
      The `Job`; other commands are kept from these records meanwhile.

    Raises:
      InputError: where the folder cannot be written, or holds records that were made otherwise.
    """

    def decide() -> dict[str, Any]:
        place.make(ours.lock)
        with place.claimed(ours.lock, alone=True):
            here, kept = _found(ours)
            damaged = here.index.check()
            plan = here.with_plan(kept or here.plan).extended()
            here = here.with_plan(plan)
            finished, asked = here.finished(), here.asked()
            missing = [shard for shard in asked if shard not in finished]
            if plan != kept:
                _refuse_foreign(here, range(len(kept.shards) if kept else 0, len(plan.shards)))
                place.make(here.root)
                place.write(here.root / here.plan_name, plan.to_json().encode())
            place.prepare([here.index.folder])
            place.prepare([here.root], lambda name: name == here.plan_name)
            here.prepare()
        said = {"plan": plan.to_json(), "variant": here.variant}
        return said | {"asked": asked, "missing": missing, "damaged": damaged}

    decided = agree(hosts, decide)
    plan = type(ours.plan).from_json(decided["plan"])
    here = dataclasses.replace(ours, plan=plan, variant=decided["variant"])
    _wait_for_plan(here, hosts)
    _refuse(here, plan, ours.plan)
    with place.claimed(here.lock, alone=False):
        todo = hosts.share(decided["missing"])
        yield Job(here, tuple(decided["asked"]), tuple(todo), tuple(decided["damaged"]))


def _found(ours: P) -> tuple[P, Plan | None]:
    """Ours in its place, and the plan kept there, which makes records as ours does; None where there is none."""
    here, kept = ours, _kept(ours)
    if kept and (beside := ours.beside(kept)) is not ours:
        here, kept = beside, _kept(beside)
    if kept:
        _refuse(here, kept, ours.plan)
    return here, kept


def _kept(product: Product) -> Plan | None:
    """The plan that is kept; none where it is another, of which nothing was ever made."""
    kept = product.read_plan()
    if kept and kept.differences(product.plan):
        theirs = product.with_plan(kept)
        return kept if theirs.occupied(range(len(kept.shards))) else None
    return kept


def _refuse(here: Product, theirs: Plan, ours: Plan) -> None:
    if differences := theirs.differences(ours):
        more = [f"{len(differences) - NAMED} more"] if len(differences) > NAMED else []
        said = "; ".join(differences[:NAMED] + more)
        raise InputError(f"{here.root} holds {here.RECORDS} {here.MADE} otherwise ({said}); choose another --out")


def _refuse_foreign(here: Product, shards: Sequence[int]) -> None:
    if here.occupied(shards):
        raise InputError(f"{here.root} holds {here.RECORDS} of which no {here.plan_name} tells; choose another --out")


def _wait_for_plan(here: Product, hosts: Hosts) -> None:
    """On another host a file that was just written may take a moment to be seen."""
    until = time.monotonic() + (SIGHT if hosts.index else 0)
    while here.plan_name not in place.names(here.root):
        if time.monotonic() >= until:
            raise InputError(
                f"{here.root}: process {hosts.index} does not see the plan; all hosts need one shared folder"
            )
        time.sleep(0.5)
