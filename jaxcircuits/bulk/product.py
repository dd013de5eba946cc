"""A product: one kind of record of units, such as drawings; what it says so that bulk plans, shares and resumes it.

Bulk asks for nothing else: whether two plans agree, which shards a plan lacks, how a shard is made and how it is
written. What is finished it knows from the index, which is the same for all.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
from collections.abc import Callable, Generator, Sequence
from typing import Any, ClassVar, Self

from etils import epath

from jaxcircuits.brief import Brief
from jaxcircuits.bulk import place
from jaxcircuits.bulk.index import FOLDER, Index
from jaxcircuits.bulk.plan import LARGEST_PLAN, Plan
from jaxcircuits.errors import InputError
from jaxcircuits.network import Network

PLAN = "plan.json"


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Product(Brief, abc.ABC):
    """One kind of record of a network's units, asked for and placed.

    Attributes:
      network: whose units.
      folder: the network's, OUT/NETWORK.
      plan: what belongs there. Before the plan that is kept was read, ours without shards.
      variant: names the place of the records, where that of the first ones in the folder is another's.
    """

    network: Network
    folder: epath.Path
    plan: Plan
    variant: str = ""

    NAME: ClassVar[str]
    """Names the plan and the index."""
    RECORDS: ClassVar[str]
    """What the records are called in messages, such as `pictures`."""
    MADE: ClassVar[str]
    """How they come about, such as `drawn`."""

    @property
    def root(self) -> epath.Path:
        """Where the plan and the records are; the network's folder, unless a product says otherwise."""
        return self.folder

    @property
    def plan_name(self) -> str:
        """Of the plan's file below the root."""
        return f"plan.{self.NAME}.json"

    @property
    def index_name(self) -> str:
        """Of the index's folder below `.records`."""
        return self.NAME

    @functools.cached_property
    def index(self) -> Index:
        """Of what is finished."""
        return Index(self.root, self.index_name)

    @property
    def lock(self) -> epath.Path:
        """The folder that is claimed while one command is at work."""
        return self.folder / FOLDER / self.NAME

    def with_plan(self, plan: Plan) -> Self:
        """The same product of another plan."""
        return dataclasses.replace(self, plan=plan)

    def beside(self, kept: Plan) -> Self:
        """The product in the place that it has beside records of a plan that is there; by default the same place."""
        return self

    def finished(self) -> set[int]:
        """The shards that need not be made: by the index, so whole when they were written."""
        entries = self.index.entries()
        names = {i: entry_name(i) for i in range(len(self.plan.shards))}
        return {i for i, name in names.items() if name in entries and entries[name].of == self.plan.of(i)}

    def read_plan(self) -> Plan | None:
        """The plan that is there.

        Raises:
          InputError: for a file that is no plan of this product, or one of other units than the network has.
        """
        if self.plan_name not in place.names(self.root):
            return None
        path = self.root / self.plan_name
        text = place.read(path, "a plan", LARGEST_PLAN)
        try:
            plan = type(self.plan).from_json(text)
            self.with_plan(plan).check()
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        return plan

    @abc.abstractmethod
    def check(self) -> None:
        """That the plan, which may come from somebody else, names nothing but the network's own layers and units.

        Raises:
          InputError: where it does not.
        """

    @abc.abstractmethod
    def extended(self) -> Plan:
        """The plan, with shards for what is asked for and lacks."""

    @abc.abstractmethod
    def asked(self) -> tuple[int, ...]:
        """The shards of the plan that hold what is asked for."""

    @abc.abstractmethod
    def occupied(self, shards: Sequence[int]) -> epath.Path | None:
        """A file that is where one of some shards would be written; None where there is none."""

    @abc.abstractmethod
    def prepare(self) -> None:
        """Makes the folders, and removes what killed commands left in them."""

    @abc.abstractmethod
    def make(
        self, shards: Sequence[int], check: Callable[[], None], progress: bool
    ) -> Generator[tuple[int, Any], None, None]:
        """Makes shards, one by one.

        Args:
          shards: which, in this order.
          check: to be called now and then; raises what went wrong in writing.
          progress: show it.

        Yields:
          A shard's number, and what was made.
        """

    @abc.abstractmethod
    def write(self, shard: int, made: Any) -> None:
        """Writes what was made, and enters it in the index."""

    @abc.abstractmethod
    def complete(self) -> list[epath.Path]:
        """Writes what is made of several shards, as far as they are there; returns what somebody may want to open."""

    @abc.abstractmethod
    def count(self, shards: Sequence[int]) -> int:
        """How much shards hold, in what progress is told in, such as pictures."""

    @abc.abstractmethod
    def summary(self, written: Sequence[epath.Path], finished: int, total: int) -> str:
        """What there is, where, in a few lines.

        Args:
          written: what `complete` returned.
          finished: what is there, as `count` tells.
          total: how much was asked for.
        """


def entry_name(shard: int) -> str:
    """A shard's name in the index."""
    return f"{shard:05d}"
