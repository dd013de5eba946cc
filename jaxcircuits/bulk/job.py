"""A bulk drawing: the plan found or made, what is missing drawn, shard by shard."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import jax
import numpy as np
from etils import epath

from jaxcircuits.bulk import place
from jaxcircuits.bulk.ahead import Ahead
from jaxcircuits.bulk.dataset import SPLIT, DataSet
from jaxcircuits.bulk.hosts import ALONE, Hosts, agree
from jaxcircuits.bulk.memory import pictures_at_once
from jaxcircuits.bulk.pictures import Pictures
from jaxcircuits.bulk.plan import Plan, Shard, weights_hash
from jaxcircuits.bulk.series import Series
from jaxcircuits.bulk.writer import Writer
from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.vis import Objective, Recipe, compile_ahead, render
from jaxcircuits.vis.progress import RenderProgress

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
    """

    network: Network
    series: tuple[Series, ...]
    plan: Plan
    store: Pictures | DataSet
    shards: tuple[int, ...]
    todo: tuple[int, ...]

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
                    images, scores = self._drawn(shard, sizes, tell)
                    writer.submit(self._write, index, images, scores)
                    done += len(images)
                    bar.update(before + done, 0, 0)
        except KeyboardInterrupt:
            self.store.complete()
            raise
        return self.store.complete()

    def summary(self, written: Sequence[epath.Path]) -> str:
        """What there is, where, in a few lines; `written` is what `draw` returned."""
        finished, root = self.finished, self.store.root
        pictures = f"{finished} pictures" if finished == self.total else f"{finished} of {self.total} pictures"
        if isinstance(self.store, DataSet):
            opened = f"tfds.builder_from_directory({str(root)!r}).as_data_source({SPLIT!r})"
            return f"{pictures} in {root}\nto open them: {opened}"
        if len(written) == 1:
            return f"{pictures} in {written[0].parent}\nthe sheet: {written[0]}"
        return "\n".join([f"{pictures} in {root}\nthe sheets:", *(str(sheet) for sheet in written)])

    def _drawn(self, shard: Shard, sizes: dict[str, int], tell: Tell) -> tuple[np.ndarray, np.ndarray]:
        """Pictures and scores of a shard; in smaller batches where the device has no room for the planned ones.

        `sizes` remembers for each folder what there was room for.
        """
        objective, least = self._objective(shard), len(jax.local_devices())
        while True:
            size = min(shard.batch_size, sizes.get(shard.folder, shard.batch_size))
            with _out_of_memory() as failure:
                options = {"seed": self.plan.seed, "batch_size": size, "progress": tell}
                rendering = render(self.network, objective, self.plan.recipe, **options)
                return rendering.images[: len(shard.units)], rendering.scores[: len(shard.units)]
            if size <= least:
                raise InputError(f"one picture a device of {shard.layer} does not fit in memory ({failure[0]})")
            sizes[shard.folder] = max(size // 2, least)

    def _compile(self, shard: Shard) -> None:
        compile_ahead(self.network, self._objective(shard), self.plan.recipe, batch_size=shard.batch_size)

    def _objective(self, shard: Shard) -> Objective:
        series = next(one for one in self.series if one.folder == shard.folder)
        return series.objective(shard.drawn)

    def _write(self, index: int, images: np.ndarray, scores: np.ndarray) -> None:
        # Without the plan nothing that is written would be found again.
        self._check_place()
        try:
            self.store.write(index, images, scores)
        except InputError:
            self._check_place()
            raise

    def _check_place(self) -> None:
        if PLAN not in place.names(self.store.root):
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
    ours = Plan(network.name, weights_hash(network), recipe, seed, format)
    if batch_size is not None and batch_size < 1:
        raise InputError(f"batch_size {batch_size!r}; expected a whole number from 1 on")
    if format == "tfds" and importlib.util.find_spec("array_record") is None:
        raise InputError("format tfds needs the package array_record, which there is for Linux only; use png or webp")
    if recipe.parametrization.group > 1:
        raise InputError(f"{type(recipe.parametrization).__name__} draws groups that share a picture; use render")
    for one in series:
        one.objective(one.units).check(network, recipe)
    root = epath.Path(out) / network.name

    def store(plan: Plan) -> Pictures | DataSet:
        if format == "tfds":
            return DataSet(root, plan, recipe.parametrization.channels(network.convention.channels))
        return Pictures(root, plan)

    def decide() -> dict:
        place.make(root)
        with place.claimed(root, alone=True):
            plan = kept = _kept(root, ours)
            for one in series:
                plan = plan.extended(one, batch_size or pictures_at_once(network, one.layer, recipe))
            finished, asked = store(plan).finished(), plan.having(series)
            missing = [i for i in asked if i not in finished]
            if plan != kept:
                if max(finished, default=-1) >= len(kept.shards):
                    raise InputError(f"{root} holds pictures of which no {PLAN} tells; choose another --out")
                place.write(root / PLAN, plan.to_json().encode())
            if missing:
                store(plan).prepare()
        return {"plan": plan.to_json(), "asked": asked, "missing": missing}

    decided = agree(hosts, decide)
    plan = Plan.from_json(decided["plan"])
    _wait_for_plan(root, hosts)
    _refuse(root, plan, ours)
    with place.claimed(root, alone=False):
        yield Job(
            network, tuple(series), plan, store(plan), tuple(decided["asked"]), tuple(hosts.share(decided["missing"]))
        )


def _kept(root: epath.Path, ours: Plan) -> Plan:
    """The plan in a folder, checked to draw as ours does; ours where there is none."""
    if PLAN not in place.names(root):
        return ours
    try:
        theirs = Plan.from_json((root / PLAN).read_text())
    except (OSError, InputError) as error:
        raise InputError(f"{root / PLAN}: {error}") from None
    _refuse(root, theirs, ours)
    return theirs


def _refuse(root: epath.Path, theirs: Plan, ours: Plan) -> None:
    differences = theirs.differences(ours)
    if differences:
        raise InputError(f"{root} holds pictures drawn otherwise ({'; '.join(differences)}); choose another --out")


def _wait_for_plan(root: epath.Path, hosts: Hosts) -> None:
    """On another host a file that was just written may take a moment to be seen."""
    until = time.monotonic() + (SIGHT if hosts.index else 0)
    while PLAN not in place.names(root):
        if time.monotonic() >= until:
            raise InputError(f"{root}: process {hosts.index} does not see the plan; all hosts need one shared folder")
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
