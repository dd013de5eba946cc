"""Drawing: objectives and a recipe in, pictures out.

A batch has a fixed number of places. Pictures that are finished leave their place to the next that wait; when none
waits and half of the places are idle, the batch shrinks to half. With a recipe's `tolerance` of 0 all pictures of a
batch take all steps and leave together.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.vis.objectives import Objective
from jaxcircuits.vis.objectives.base import picture_keys
from jaxcircuits.vis.objectives.pictures import as_pictures, check_pictures
from jaxcircuits.vis.programs import OF_BATCH, PICTURES, Batch, State, programs
from jaxcircuits.vis.progress import RenderProgress
from jaxcircuits.vis.recipe import Recipe
from jaxcircuits.vis.rendering import Rendering, joined

SCORE_VIEWS = 8
"""Fresh random views over which a finished picture's score is the mean."""

WINDOW = 32
"""Steps over which scores are averaged to see whether a picture still improves."""


def render(
    network: Network,
    objective: Objective,
    recipe: Recipe = Recipe(),
    *,
    seed: int | Sequence[int] = 0,
    start: np.ndarray | None = None,
    batch_size: int | None = None,
    snapshots: Iterable[int] = (),
    progress: bool | Callable[[int, int, int], None] = True,
) -> Rendering:
    """Draws what an objective looks for: one picture for each of its rows.

    Args:
      network: whose units.
      objective: such as `channel("mixed4b", range(16))`.
      recipe: how.
      seed: of the random starts and views; several draw several pictures of one objective.
      start: a picture to begin with in place of a random one, (H, W, channels) in [0, 1] of the recipe's size, or one
        for each row.
      batch_size: pictures drawn together; by default 16 on a CPU, 64 on an accelerator, a device.
      snapshots: numbers of steps after which to keep the unfinished pictures too.
      progress: show a bar, where there is a terminal or notebook to show it; or a function that is told, after every
        step or few, how many pictures are finished, how many are being drawn, and how many steps those have taken
        together.

    Returns:
      The `Rendering`.

    Raises:
      InputError: for a layer or unit that the network does not have, or numbers that make no sense.
    """
    options = {"seed": seed, "start": start, "batch_size": batch_size, "snapshots": snapshots, "progress": progress}
    return joined(render_batches(network, objective, recipe, **options))


def render_batches(
    network: Network,
    objective: Objective,
    recipe: Recipe = Recipe(),
    *,
    seed: int | Sequence[int] = 0,
    start: np.ndarray | None = None,
    batch_size: int | None = None,
    snapshots: Iterable[int] = (),
    progress: bool | Callable[[int, int, int], None] = True,
) -> Iterator[tuple[list[int], Rendering]]:
    """Like `render`, but hands out pictures as soon as they are finished.

    Yields:
      Which rows they are, and their `Rendering`.
    """
    seeds = [seed] if isinstance(seed, int) else list(seed)
    given = None if start is None else as_pictures(start)
    count = max(objective.count, len(seeds), 1 if given is None else len(given), recipe.parametrization.group)
    objective = objective.rows(count)
    objective.check(network, recipe)
    seeds = _check_seeds(seeds, count)
    if given is not None:
        check_pictures(given, network, recipe)
        given = np.broadcast_to(given, (count, *given.shape[1:]))
    group = math.lcm(objective.group, recipe.parametrization.group)
    if count % group:
        raise InputError(f"{count} pictures; {recipe.parametrization} draws groups of {group}")
    task = _Task(objective, picture_keys(objective, seeds, group), given, group)
    devices = jax.local_devices()
    with RenderProgress(" ".join(objective.layers), count, recipe.steps, progress) as bar:
        table = _Table(network, recipe, task, devices, batch_size, _check_snapshots(snapshots, recipe.steps))
        while table.fill():
            for _ in table.advance():
                bar.update(table.finished, table.drawing, table.steps_done)
            yield from table.leave()


@dataclasses.dataclass(frozen=True)
class _Task:
    """All that is to be drawn, by rows."""

    objective: Objective
    keys: jax.Array
    given: np.ndarray | None
    group: int

    def rows(self, groups: Sequence[int]) -> np.ndarray:
        """The rows of some groups."""
        return (np.asarray(groups)[:, None] * self.group + np.arange(self.group)).reshape(-1)


class _Table:
    """The places of a batch and who sits there. Groups of pictures come and go together."""

    def __init__(self, network: Network, recipe: Recipe, task: _Task, devices, batch_size, snapshots):
        on_cpu = jax.default_backend() == "cpu"
        count = len(task.keys)
        most = batch_size if batch_size is not None else max((16 if on_cpu else 64) // recipe.views, 1) * len(devices)
        self.step_of_width = task.group * len(devices)
        self.width = _even_batches(count, most, self.step_of_width)
        mesh = Mesh(np.array(devices), (PICTURES,)) if len(devices) > 1 else None
        self.programs = programs(network.forward, recipe, mesh, not on_cpu)
        self.recipe, self.task, self.snapshots = recipe, task, snapshots
        self.params = self.programs.put(_cast(network.params, recipe.dtype), P())
        self.waiting = list(range(count // task.group))
        self.seated: list[int | None] = []  # the group at each place
        self.histories: dict[int, list[np.ndarray]] = {}  # group -> scores (steps, group), ...
        self.kept: dict[int, dict[int, np.ndarray]] = {}  # group -> step -> pictures
        self.finished = 0
        self.batch: Batch
        self.state: State

    @property
    def drawing(self) -> int:
        """How many pictures are being drawn."""
        return len(self._active()) * self.task.group

    @property
    def steps_done(self) -> int:
        """Steps of all pictures that are being drawn, together."""
        return sum(self._step(group) for group in self._active()) * self.task.group

    def fill(self) -> bool:
        """Seats those who wait, and shrinks the batch where half of it is idle; False when all is done."""
        active = self._active()
        if not active and not self.waiting:
            return False
        width = self.width
        while not self.waiting and active and len(active) * self.task.group <= width // 2:
            if (width // 2) % self.step_of_width:
                break
            width //= 2
        new = self.waiting[: width // self.task.group - len(active)]
        if new or width < self.width:
            self._seat(active, new, width)
        return True

    def advance(self) -> Iterator[None]:
        """Draws until someone may be finished or wants a snapshot; a sign of life after each call."""
        ahead = min(self._next_stop(self._step(group)) - self._step(group) for group in self._active())
        for state, scores in self.programs.advance(self.batch, self.state, ahead):
            self.state = state
            for place, group in enumerate(self.seated):
                if group is not None:
                    columns = slice(place * self.task.group, (place + 1) * self.task.group)
                    self.histories[group].append(scores[:, columns])
            yield

    def leave(self) -> Iterator[tuple[list[int], Rendering]]:
        """Keeps snapshots, and hands out what is finished."""
        due = [group for group in self._active() if self._step(group) in self.snapshots]
        done = [group for group in self._active() if self._is_finished(group)]
        if not due and not done:
            return
        images = self.programs.pictures(self.state)
        pictures = np.asarray(images)
        for group in due:
            self.kept[group][self._step(group)] = pictures[self._columns([group])]
        if done:
            yield self._finish(done, images, pictures)

    def _finish(self, done: list[int], images: jax.Array, pictures: np.ndarray) -> tuple[list[int], Rendering]:
        score, steps = self.programs.score, self.recipe.steps
        views = [jnp.full(len(images), steps + i, jnp.int32) for i in range(SCORE_VIEWS)]
        scores = np.mean([score(self.batch, images, self.programs.put(step)) for step in views], axis=0)
        columns, rows = self._columns(done), self.task.rows(done)
        history = np.full((len(rows), steps), np.nan, np.float32)
        for i, group in enumerate(done):
            taken = np.concatenate(self.histories.pop(group)) if steps else np.zeros((0, self.task.group))
            history[i * self.task.group : (i + 1) * self.task.group, : len(taken)] = taken.T
        kept = [self.kept.pop(group) for group in done]
        # A picture that was finished before a snapshot no longer changes: the snapshot is the finished picture.
        snapshots = {
            step: np.concatenate(
                [k.get(step, pictures[self._columns([group])]) for k, group in zip(kept, done, strict=True)]
            )
            for step in self.snapshots
        }
        labels = tuple(self.task.objective.label(int(row)) for row in rows)
        self.seated = [None if group in done else group for group in self.seated]
        self.finished += len(rows)
        return rows.tolist(), Rendering(pictures[columns], scores[columns], labels, snapshots, history)

    def _seat(self, active: list[int], new: list[int], width: int) -> None:
        groups = [*active, *new]
        # Idle places hold copies of the last picture, so that no program is added.
        padded = groups + [groups[-1]] * (width // self.task.group - len(groups))
        rows = self.task.rows(padded)
        put = self.programs.put
        given = None if self.task.given is None else put(self.task.given[rows])
        keys = put(self.task.keys[rows])
        state = self.programs.start(keys, given)
        if active:
            state = put(self._merged(jax.device_get(state), active, width))
        objective = self.task.objective.take(rows)
        self.batch, self.state = put(Batch(self.params, objective, keys), OF_BATCH), state
        self.seated = [*groups, *[None] * (len(padded) - len(groups))]
        self.width = width
        for group in new:
            self.waiting.remove(group)
            self.histories[group], self.kept[group] = [], {}

    def _merged(self, fresh: State, active: list[int], width: int) -> State:
        """A fresh state with that of the active groups, who move to the front, in place of its first rows."""
        places, old = np.array([self.seated.index(group) for group in active]), jax.device_get(self.state)

        def merge(new, before):
            share = len(new) * self.task.group // width  # rows of this array a group: pictures may share parameters
            take = (places[:, None] * share + np.arange(share)).reshape(-1)
            return np.concatenate([before[take], new[len(take) :]])

        return jax.tree.map(merge, fresh, old)

    def _active(self) -> list[int]:
        return [group for group in self.seated if group is not None]

    def _columns(self, groups: list[int]) -> np.ndarray:
        """Places, as rows of the batch, of the pictures of some groups."""
        return self.task.rows([self.seated.index(group) for group in groups])

    def _step(self, group: int) -> int:
        return sum(len(scores) for scores in self.histories[group])

    def _next_stop(self, step: int) -> int:
        checks = {step // WINDOW * WINDOW + WINDOW} if self.recipe.tolerance else set()
        stops = {*self.snapshots, *checks, self.recipe.steps}
        return min(stop for stop in stops if stop > step or stop == self.recipe.steps)

    def _is_finished(self, group: int) -> bool:
        step = self._step(group)
        if step >= self.recipe.steps:
            return True
        if not self.recipe.tolerance or step % WINDOW or step < 2 * WINDOW:
            return False
        scores = np.concatenate(self.histories[group])
        last, before = scores[-WINDOW:].mean(0), scores[-2 * WINDOW : -WINDOW].mean(0)
        return bool((last - before <= self.recipe.tolerance * np.abs(before)).all())


def _even_batches(count: int, most: int, multiple: int) -> int:
    """The smallest batch size, of whole multiples, that needs as few batches as `most` does."""
    if not isinstance(most, int) or most < 1:
        raise InputError(f"batch_size {most!r}; expected a whole number from 1 on")
    most = max(most // multiple, 1) * multiple
    return math.ceil(math.ceil(count / math.ceil(count / most)) / multiple) * multiple


def _check_seeds(seeds: list[int], count: int) -> list[int]:
    if len(seeds) not in (1, count):
        raise InputError(f"{len(seeds)} seeds for {count} pictures; expected one, or one for each")
    for seed in seeds:
        if not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
            raise InputError(f"seed {seed!r}; expected a whole number from 0 to 2**32 - 1")
    return seeds * count if len(seeds) == 1 else seeds


def _check_snapshots(snapshots: Iterable[int], steps: int) -> frozenset[int]:
    wanted = frozenset(snapshots)
    for step in wanted:
        if not isinstance(step, int) or not 1 <= step <= steps:
            raise InputError(f"snapshot after {step!r} steps; the recipe has steps 1 to {steps}")
    return wanted


def _cast(params: Any, dtype: str) -> Any:
    return jax.tree.map(lambda p: p.astype(dtype) if jnp.issubdtype(p.dtype, jnp.floating) else p, params)
