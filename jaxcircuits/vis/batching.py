"""Who sits where: the places of a batch, and the pictures that take and leave them.

A batch has a fixed number of places. Pictures that are finished leave their place to the next that wait; when none
waits and half of the places are idle, the batch shrinks to half. With a recipe's `tolerance` of 0 all pictures of a
batch take all steps and leave together.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.vis.objectives import Objective
from jaxcircuits.vis.programs import OF_BATCH, PICTURES, Batch, State, cast, programs
from jaxcircuits.vis.recipe import Recipe
from jaxcircuits.vis.rendering import Rendering

ON_ACCELERATOR = 64
"""Views that an accelerator looks at together by default."""

ON_CPU = 16
"""Views that a CPU looks at together by default, at most, and two for each of its cores: more leave its caches. On two
cores a picture of mixed4b takes an eighth longer at 16 than at 4, one of conv2d2 half as long again."""

SCORE_VIEWS = 8
"""Fresh random views over which a finished picture's score is the mean."""

WINDOW = 32
"""Steps over which scores are averaged to see whether a picture still improves."""


@dataclasses.dataclass(frozen=True)
class Task:
    """All that is to be drawn, by rows."""

    objective: Objective
    keys: jax.Array
    given: np.ndarray | None
    group: int

    def rows(self, groups: Sequence[int]) -> np.ndarray:
        """The rows of some groups."""
        return (np.asarray(groups)[:, None] * self.group + np.arange(self.group)).reshape(-1)


def pictures_a_device(recipe: Recipe) -> int:
    """How many pictures to draw together on each device, where nothing is known of its memory."""
    if jax.default_backend() != "cpu":
        return max(ON_ACCELERATOR // recipe.views, 1)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(min(2 * cores, ON_CPU) // recipe.views, 1)


class Table:
    """The places of a batch and who sits there. Groups of pictures come and go together."""

    def __init__(self, network: Network, recipe: Recipe, task: Task, batch_size, snapshots):
        devices, count = jax.local_devices(), len(task.keys)
        if batch_size is None:
            batch_size = pictures_a_device(recipe) * len(devices)
        self.step_of_width = task.group * len(devices)
        self.width = _even_batches(count, batch_size, self.step_of_width)
        mesh = Mesh(np.array(devices), (PICTURES,)) if len(devices) > 1 else None
        self.programs = programs(network.forward, recipe, mesh, jax.default_backend() == "cpu")
        self.network, self.recipe, self.task, self.snapshots = network, recipe, task, snapshots
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

    def compile(self) -> None:
        """Compiles the programs of the first batch; no array is put on a device."""
        rows = self.task.rows([0] * (self.width // self.task.group))
        batch = jax.eval_shape(lambda: Batch(cast(self.network.params, self.recipe.dtype), *self._of_rows(rows)))
        for lowered in self.programs.lowered(batch).values():
            lowered.compile()

    @functools.cached_property
    def _params(self) -> Any:
        return self.programs.put(cast(self.network.params, self.recipe.dtype), P())

    def _batch(self, rows: np.ndarray) -> Batch:
        return self.programs.put(Batch(self._params, *self._of_rows(rows)), OF_BATCH)

    def _of_rows(self, rows: np.ndarray) -> tuple[Objective, jax.Array]:
        return self.task.objective.take(rows), self.task.keys[rows]

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
        batch = self._batch(rows)
        state = self.programs.start(batch.keys, given)
        if active:
            state = put(self._merged(jax.device_get(state), active, width))
        self.batch, self.state = batch, state
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
