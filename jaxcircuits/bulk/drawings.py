"""Drawings as a product: units in shards that are drawn together, the next layer's programs compiled meanwhile."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.util
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from pathlib import Path

import jax
import numpy as np
from etils import epath

from jaxcircuits.bulk import place
from jaxcircuits.bulk.ahead import Ahead
from jaxcircuits.bulk.dataset import SPLIT, DataSet
from jaxcircuits.bulk.drawing_plan import DrawingPlan, DrawingShard
from jaxcircuits.bulk.hosts import ALONE, Hosts
from jaxcircuits.bulk.index import is_inside
from jaxcircuits.bulk.job import Job, opened
from jaxcircuits.bulk.memory import pictures_at_once
from jaxcircuits.bulk.pictures import Pictures
from jaxcircuits.bulk.plan import shortened
from jaxcircuits.bulk.product import PLAN, Product
from jaxcircuits.bulk.series import Series, folder
from jaxcircuits.errors import InputError, whole
from jaxcircuits.files import below
from jaxcircuits.network import Network
from jaxcircuits.vis import Objective, Recipe, Rendering, compile_ahead, render_batches
from jaxcircuits.vis.arguments import as_recipe
from jaxcircuits.vis.progress import RenderProgress
from jaxcircuits.vis.rendering import joined

Tell = Callable[[int, int, int], None]
"""What `RenderProgress.update` is told."""


@contextlib.contextmanager
def drawings(
    network: Network,
    series: Sequence[Series],
    recipe: Recipe,
    out: str | Path,
    *,
    seed: int = 0,
    format: str = "png",
    batch_size: int | None = None,
    hosts: Hosts = ALONE,
) -> Iterator[Job[Drawings]]:
    """Opens a job of drawings in a folder: resumes the plan that is there, or makes one.

    >>> with drawings(network, [Series("mixed4b", tuple(range(512)))], Recipe(), "pictures") as job:
    ...     job.run()

    Args:
      network: whose units.
      series: which, one entry a layer.
      recipe: how.
      out: a folder, or the URL of one that `etils.epath` knows; the pictures go to OUT/NETWORK.
      seed: of the random starts and views.
      format: `png`, `webp`, or `tfds` for a data set.
      batch_size: pictures drawn at once, for shards that the plan does not have yet; by default what memory allows.
      hosts: which of several processes this one is, see `meet`.

    Yields:
      The `Job`; other commands are kept from the folder's drawings meanwhile.

    Raises:
      InputError: for bad input, or where the folder holds pictures that were drawn otherwise.
    """
    recipe = as_recipe(network, recipe)
    plan = DrawingPlan(network.name, network.identity, recipe, seed, format)
    if batch_size is not None:
        batch_size = whole(batch_size, "batch_size", 1)
    if format == "tfds" and importlib.util.find_spec("array_record") is None:
        raise InputError("format tfds needs the package array_record, which there is for Linux only; use png or webp")
    if recipe.parametrization.group > 1:
        raise InputError(f"{type(recipe.parametrization).__name__} draws groups that share a picture; use render")
    for one in series:
        one.objective(one.units).check(network, recipe)
    root = below(place.root(out), network.name)
    ours = Drawings(network=network, folder=root, plan=plan, wanted=tuple(series), batch_size=batch_size)
    with opened(ours, hosts) as job:
        yield job


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Drawings(Product):
    """Drawings, see `Product`.

    A second recipe or seed in a network's folder is a variant: a folder of its own in each layer's, and a plan of its
    own; a data set, which is a folder, is another one below.

    Attributes:
      wanted: what is asked for.
      batch_size: pictures drawn at once, for new shards; None for what memory allows.
      silent: units that this process has drawn and not activated: `LAYER:UNIT`.
    """

    plan: DrawingPlan
    wanted: tuple[Series, ...]
    batch_size: int | None = None
    silent: list[str] = dataclasses.field(default_factory=list, init=False)

    NAME, RECORDS, MADE = "drawings", "pictures", "drawn"

    @property
    def root(self) -> epath.Path:
        """See `Product`."""
        return self.folder / self.variant if self.variant and self.plan.format == "tfds" else self.folder

    @property
    def plan_name(self) -> str:
        """See `Product`; that of the first drawings in a folder has no further name."""
        return f"plan.{self.variant}.json" if self._own_folder else PLAN

    @property
    def index_name(self) -> str:
        """See `Product`."""
        return f"{self.NAME}.{self.variant}" if self._own_folder else self.NAME

    @property
    def _own_folder(self) -> str:
        """Of the variant, in each layer's folder; empty where it has none, as the first drawings and data sets."""
        return "" if self.plan.format == "tfds" else self.variant

    @functools.cached_property
    def series(self) -> tuple[Series, ...]:
        """What is asked for, in its place."""
        return tuple(dataclasses.replace(one, variant=self._own_folder) for one in self.wanted)

    @functools.cached_property
    def store(self) -> Pictures | DataSet:
        """How pictures are written."""
        if self.plan.format != "tfds":
            return Pictures(self.root, self.plan, self.index, self.network)
        given = self.network.convention.channels
        channels = self.plan.recipe.parametrization.channels(given)
        return DataSet(self.root, self.plan, self.index, channels, channels > given)

    def beside(self, kept: DrawingPlan) -> Drawings:
        """See `Product`."""
        variant = kept.variant(self.plan)
        return dataclasses.replace(self, variant=variant) if variant else self

    def check(self) -> None:
        """See `Product`."""
        seen: set[tuple[str, int]] = set()
        for shard in self.plan.shards:
            channels = self.network.layer(shard.layer).channels
            if not self._is_folder_of(shard):
                raise InputError(f"folder {shortened(shard.folder)!r}; expected one of {shard.layer}")
            if not shard.directions and max(shard.units) >= channels:
                raise InputError(f"unknown unit {max(shard.units)} of {shard.layer}; it has units 0 to {channels - 1}")
            units = {(shard.folder, unit) for unit in shard.units}
            if units & seen:
                raise InputError(f"units of {shard.layer} are in several shards; expected each in one")
            seen |= units

    def _is_folder_of(self, shard: DrawingShard) -> bool:
        """Whether a shard's folder is its layer's; of directions not asked for now their name is not known."""
        if not shard.directions:
            return shard.folder == folder(shard.layer, variant=self._own_folder)
        own = shard.folder.removesuffix(f"/{self._own_folder}") if self._own_folder else shard.folder
        prefix = f"{folder(shard.layer)}."
        return own.startswith(prefix) and "/" not in own.removeprefix(prefix) and is_inside(own)

    def extended(self) -> DrawingPlan:
        """See `Product`."""
        plan = self.plan
        for one in self.series:
            most = self.batch_size or pictures_at_once(self.network, one.layer, plan.recipe)
            plan = plan.extended(one, most)
        return plan

    def asked(self) -> tuple[int, ...]:
        """See `Product`."""
        return self.plan.having(self.series)

    def occupied(self, shards: Sequence[int]) -> epath.Path | None:
        """See `Product`."""
        return self.store.occupied(shards)

    def prepare(self) -> None:
        """See `Product`."""
        self.store.prepare()

    def make(
        self, shards: Sequence[int], check: Callable[[], None], progress: bool = True
    ) -> Generator[tuple[int, Rendering], None, None]:
        """See `Product`. A compilation of the next layer cannot be stopped: it runs on until the process ends."""
        before, steps = self.count(sorted(self.finished().intersection(self.asked()))), self.plan.recipe.steps
        done, sizes = 0, {}
        with (
            Ahead(self._compile, [self.plan.shards[i] for i in shards]) as ahead,
            RenderProgress(self.network.name, before + self.count(shards), steps, progress, before) as bar,
        ):

            def tell(finished: int, drawing: int, taken: int) -> None:
                check()
                # A CPU compiles with the cores that draw: the first sheet is there a quarter sooner if they only draw.
                if done or jax.default_backend() != "cpu":
                    ahead.begin_after(shard)
                # Those that fill up the last batch are not counted.
                bar.update(before + done + min(finished, len(shard.units)), drawing, taken)

            for index in shards:
                shard = self.plan.shards[index]
                ahead.wait(shard)
                drawn = self._drawn(shard, sizes, tell)
                yield index, drawn
                done += len(drawn)
                bar.update(before + done, 0, 0)

    def write(self, shard: int, made: Rendering) -> None:
        """See `Product`."""
        self.store.write(shard, made)

    def complete(self) -> list[epath.Path]:
        """See `Product`: the contact sheets, or the data set's folder."""
        return self.store.complete()

    def count(self, shards: Iterable[int]) -> int:
        """See `Product`: pictures."""
        return sum(len(self.plan.shards[i].units) for i in shards)

    def summary(self, written: Sequence[epath.Path], finished: int, total: int) -> str:
        """See `Product`."""
        several = "s" if total != 1 else ""
        pictures = f"{finished} picture{several}" if finished == total else f"{finished} of {total} picture{several}"
        failed = self.store.failed()
        if failed:
            said = f"{len(failed)} of the pictures are not finite and were left out: {_first(failed)}"
            pictures = f"{said} ({next(iter(failed.values()))})\n{pictures}"
        if self.silent:
            said = f"{len(self.silent)} of the pictures found nothing that activates the unit: {_first(self.silent)}"
            pictures = f"{said} (another --seed or more --steps may)\n{pictures}"
        if isinstance(self.store, DataSet):
            opened = f"tfds.builder_from_directory({str(self.root)!r}).as_data_source({SPLIT!r})"
            return f"{pictures} in {self.root}\nto open them: {opened}"
        if len(written) == 1:
            return f"{pictures} in {written[0].parent}\nthe sheet: {written[0]}"
        return "\n".join([f"{pictures} in {self.root}\nthe sheets:", *(str(sheet) for sheet in written)])

    def _drawn(self, shard: DrawingShard, sizes: dict[str, int], tell: Tell) -> Rendering:
        """The pictures of a shard, in smaller batches where the device has no room for the planned ones.

        `sizes` remembers for each folder what there was room for.
        """
        objective, least = self._objective(shard), len(jax.local_devices())
        while True:
            size = min(shard.batch_size, sizes.get(shard.folder, shard.batch_size))
            with _out_of_memory() as failure:
                options = {"seed": self.plan.seed, "batch_size": size, "progress": tell}
                rendering = joined(render_batches(self.network, objective, self.plan.recipe, **options))
                rendering = rendering[: len(shard.units)]
                silent = np.flatnonzero(rendering.scores == 0)
                self.silent.extend(f"{shard.folder}:{shard.units[i]}" for i in silent.tolist())
                return rendering
            if size <= least:
                raise InputError(f"one picture a device of {shard.layer} does not fit in memory ({failure[0]})")
            sizes[shard.folder] = max(size // 2, least)

    def _compile(self, shard: DrawingShard) -> None:
        compile_ahead(self.network, self._objective(shard), self.plan.recipe, batch_size=shard.batch_size)

    def _objective(self, shard: DrawingShard) -> Objective:
        series = next(one for one in self.series if one.folder == shard.folder)
        return series.objective(shard.drawn)


def _first(names: Collection[str]) -> str:
    """The first of some names, and how many more there are."""
    return next(iter(names)) + (f" and {len(names) - 1} more" if len(names) > 1 else "")


@contextlib.contextmanager
def _out_of_memory() -> Iterator[list[str]]:
    """Catches a device's lack of memory, and lets go of what was computed; the list holds what it said."""
    said: list[str] = []
    try:
        yield said
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        said.append(str(error).splitlines()[0])
