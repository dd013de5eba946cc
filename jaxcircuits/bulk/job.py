"""A bulk drawing: the plan found or made, what is missing drawn, shard by shard."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.util
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import jax
from etils import epath

from jaxcircuits.bulk import place
from jaxcircuits.bulk.ahead import Ahead
from jaxcircuits.bulk.dataset import SPLIT, DataSet
from jaxcircuits.bulk.hosts import ALONE, Hosts, agree
from jaxcircuits.bulk.memory import pictures_at_once
from jaxcircuits.bulk.pictures import Pictures
from jaxcircuits.bulk.plan import Plan, Shard
from jaxcircuits.bulk.series import Series
from jaxcircuits.bulk.writer import Writer
from jaxcircuits.errors import InputError, whole
from jaxcircuits.network import Network
from jaxcircuits.vis import Objective, Recipe, Rendering, compile_ahead, render_batches
from jaxcircuits.vis.arguments import as_recipe
from jaxcircuits.vis.progress import RenderProgress
from jaxcircuits.vis.rendering import joined

Tell = Callable[[int, int, int], None]
"""What `RenderProgress.update` is told."""

PLAN = "plan.json"

SIGHT = 15
"""Seconds after which what one host wrote should be seen by the others."""


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """A drawing that is ready to be begun or taken up again; see `job`.

    Attributes:
      network: whose units.
      series: what was asked for.
      plan: as it is kept with the pictures.
      store: where they go.
      shards: those of the plan that hold what was asked for.
      todo: those of them that this process draws.
      plan_name: of the plan's file.
    """

    network: Network
    series: tuple[Series, ...]
    plan: Plan
    store: Pictures | DataSet
    shards: tuple[int, ...]
    todo: tuple[int, ...]
    plan_name: str = PLAN

    @property
    def total(self) -> int:
        """How many pictures the asked-for shards hold."""
        return self._count(self.shards)

    @property
    def finished(self) -> int:
        """How many of them are there."""
        return self._count(self.store.finished().intersection(self.shards))

    def draw(self, progress: bool = True) -> list[epath.Path]:
        """Draws what is missing.

        Whatever ends it, finished shards stay, and nothing else; the same job opened again draws the rest. Ctrl-C
        lets the shard that is being written finish; a compilation of the next layer, which cannot be stopped, runs on
        until the process ends.

        Args:
          progress: show a bar over all of this process's pictures.

        Returns:
          The contact sheets, or the data set's folder.

        Raises:
          InputError: where the folder cannot be written or is gone, or one picture does not fit in memory.
        """
        mine, steps = self._count(self.todo), self.plan.recipe.steps
        before = self.finished
        done, sizes = 0, {}
        try:
            with (
                Writer() as writer,
                Ahead(self._compile, [self.plan.shards[i] for i in self.todo]) as ahead,
                RenderProgress(self.network.name, before + mine, steps, progress, before) as bar,
            ):

                def tell(finished: int, drawing: int, taken: int) -> None:
                    writer.check()
                    ahead.begin_after(shard)
                    # Those that fill up the last batch are not counted.
                    bar.update(before + done + min(finished, len(shard.units)), drawing, taken)

                for index in self.todo:
                    shard = self.plan.shards[index]
                    ahead.wait(shard)
                    drawn = self._drawn(shard, sizes, tell)
                    writer.submit(self._write, index, drawn)
                    done += len(drawn)
                    bar.update(before + done, 0, 0)
        except KeyboardInterrupt:
            self.store.complete()
            raise
        return self.store.complete()

    def summary(self, written: Sequence[epath.Path]) -> str:
        """What there is, where, in a few lines; `written` is what `draw` returned."""
        finished, root = self.finished, self.store.root
        pictures = f"{finished} pictures" if finished == self.total else f"{finished} of {self.total} pictures"
        failed = self.store.failed()
        if failed:
            (first, why), *others = failed.items()
            more = f" and {len(others)} more" if others else ""
            pictures = (
                f"{len(failed)} of the pictures are not finite and were left out: {first}{more} ({why})\n{pictures}"
            )
        if isinstance(self.store, DataSet):
            opened = f"tfds.builder_from_directory({str(root)!r}).as_data_source({SPLIT!r})"
            return f"{pictures} in {root}\nto open them: {opened}"
        if len(written) == 1:
            return f"{pictures} in {written[0].parent}\nthe sheet: {written[0]}"
        return "\n".join([f"{pictures} in {root}\nthe sheets:", *(str(sheet) for sheet in written)])

    def _drawn(self, shard: Shard, sizes: dict[str, int], tell: Tell) -> Rendering:
        """The pictures of a shard, in smaller batches where the device has no room for the planned ones.

        `sizes` remembers for each folder what there was room for.
        """
        objective, least = self._objective(shard), len(jax.local_devices())
        while True:
            size = min(shard.batch_size, sizes.get(shard.folder, shard.batch_size))
            with _out_of_memory() as failure:
                options = {"seed": self.plan.seed, "batch_size": size, "progress": tell}
                rendering = joined(render_batches(self.network, objective, self.plan.recipe, **options))
                return rendering[: len(shard.units)]
            if size <= least:
                raise InputError(f"one picture a device of {shard.layer} does not fit in memory ({failure[0]})")
            sizes[shard.folder] = max(size // 2, least)

    def _compile(self, shard: Shard) -> None:
        compile_ahead(self.network, self._objective(shard), self.plan.recipe, batch_size=shard.batch_size)

    def _objective(self, shard: Shard) -> Objective:
        series = next(one for one in self.series if one.folder == shard.folder)
        return series.objective(shard.drawn)

    def _write(self, index: int, drawn: Rendering) -> None:
        # Without the plan nothing that is written would be found again.
        self._check_place()
        try:
            self.store.write(index, drawn)
        except InputError:
            self._check_place()
            raise

    def _check_place(self) -> None:
        if self.plan_name not in place.names(self.store.root):
            raise InputError(f"{self.store.root}: the folder is gone, or was emptied, while it was drawn into")

    def _count(self, shards: Iterable[int]) -> int:
        return sum(len(self.plan.shards[i].units) for i in shards)


@contextlib.contextmanager
def job(
    network: Network,
    series: Sequence[Series],
    recipe: Recipe,
    out: str | Path,
    *,
    seed: int = 0,
    format: str = "png",
    batch_size: int | None = None,
    hosts: Hosts = ALONE,
) -> Iterator[Job]:
    """Opens a drawing in a folder: takes up the plan that is there, or makes one.

    >>> with job(network, [Series("mixed4b", tuple(range(512)))], Recipe(), "pictures") as ours:
    ...     ours.draw()

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
      The `Job`; other commands are kept out of the folder meanwhile.

    Raises:
      InputError: for bad input, or where the folder holds pictures that were drawn otherwise.
    """
    recipe = as_recipe(network, recipe)
    ours = Plan(network.name, network.identity, recipe, seed, format)
    if batch_size is not None:
        batch_size = whole(batch_size, "batch_size", 1)
    if format == "tfds" and importlib.util.find_spec("array_record") is None:
        raise InputError("format tfds needs the package array_record, which there is for Linux only; use png or webp")
    if recipe.parametrization.group > 1:
        raise InputError(f"{type(recipe.parametrization).__name__} draws groups that share a picture; use render")
    for one in series:
        one.objective(one.units).check(network, recipe)
    root = epath.Path(out) / network.name
    channels = network.convention.channels
    drawn_channels = recipe.parametrization.channels(channels)
    place_of = functools.partial(_Place, root, format, drawn_channels, drawn_channels > channels)

    def decide() -> dict:
        place.make(root)
        with place.claimed(root, alone=True):
            variant = _variant(root, ours)
            here, wanted = place_of(variant), _named(series, variant, format)
            plan = kept = _kept(here, ours)
            for one in wanted:
                plan = plan.extended(one, batch_size or pictures_at_once(network, one.layer, recipe))
            finished, asked = here.store(plan).finished(), plan.having(wanted)
            missing = [i for i in asked if i not in finished]
            if plan != kept:
                if max(finished, default=-1) >= len(kept.shards):
                    raise InputError(f"{here.root} holds pictures of which no {here.plan} tells; choose another --out")
                place.make(here.root)
                place.write(here.root / here.plan, plan.to_json().encode())
            if missing:
                here.store(plan).prepare()
        return {"plan": plan.to_json(), "asked": asked, "missing": missing, "variant": variant}

    decided = agree(hosts, decide)
    plan, here = Plan.from_json(decided["plan"]), place_of(decided["variant"])
    _wait_for_plan(here, hosts)
    _refuse(here, plan, ours)
    with place.claimed(root, alone=False):
        yield Job(
            network,
            _named(series, decided["variant"], format),
            plan,
            here.store(plan),
            tuple(decided["asked"]),
            tuple(hosts.share(decided["missing"])),
            here.plan,
        )


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where a drawing's plan and pictures are.

    A second recipe or seed in a network's folder is a variant: a folder of its own in each layer's, and a plan of its
    own; a data set, which is a folder, is another one below.
    """

    network: epath.Path
    format: str
    channels: int
    transparent: bool
    variant: str

    @property
    def root(self) -> epath.Path:
        return self.network / self.variant if self.variant and self.format == "tfds" else self.network

    @property
    def plan(self) -> str:
        return f"plan.{self.variant}.json" if self.variant and self.format != "tfds" else PLAN

    def store(self, plan: Plan) -> Pictures | DataSet:
        if self.format == "tfds":
            return DataSet(self.root, plan, self.channels, self.transparent)
        return Pictures(self.root, plan)


def _variant(root: epath.Path, ours: Plan) -> str:
    """Which variant of what is drawn in a folder ours is; empty for the first that was drawn there."""
    if PLAN not in place.names(root):
        return ""
    return _read(root / PLAN).variant(ours)


def _named(series: Sequence[Series], variant: str, format: str) -> tuple[Series, ...]:
    variant = "" if format == "tfds" else variant
    return tuple(dataclasses.replace(one, variant=variant) for one in series)


def _kept(here: _Place, ours: Plan) -> Plan:
    """The plan in a folder, checked to draw as ours does; ours where there is none."""
    if here.plan not in place.names(here.root):
        return ours
    theirs = _read(here.root / here.plan)
    _refuse(here, theirs, ours)
    return theirs


def _read(path: epath.Path) -> Plan:
    try:
        return Plan.from_json(path.read_text())
    except (OSError, InputError) as error:
        raise InputError(f"{path}: {error}") from None


def _refuse(here: _Place, theirs: Plan, ours: Plan) -> None:
    differences = theirs.differences(ours)
    if differences:
        raise InputError(f"{here.root} holds pictures drawn otherwise ({'; '.join(differences)}); choose another --out")


def _wait_for_plan(here: _Place, hosts: Hosts) -> None:
    """On another host a file that was just written may take a moment to be seen."""
    until = time.monotonic() + (SIGHT if hosts.index else 0)
    while here.plan not in place.names(here.root):
        if time.monotonic() >= until:
            raise InputError(
                f"{here.root}: process {hosts.index} does not see the plan; all hosts need one shared folder"
            )
        time.sleep(0.5)


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
