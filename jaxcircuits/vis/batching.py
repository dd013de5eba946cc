"""Who sits where: the places of a batch, and the pictures that take and leave them.

A batch has a fixed number of places. Pictures that are finished leave their place to the next that wait; when none
waits and half of the places are idle, the batch shrinks to half. With a recipe's `tolerance` of 0 all pictures of a
batch take all steps and leave together, but for those that fail: whose score is not finite leaves at once.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from jaxcircuits.errors import whole
from jaxcircuits.network import Network
from jaxcircuits.printing import warn
from jaxcircuits.vis.failure import likely_cause
from jaxcircuits.vis.loss import Batch
from jaxcircuits.vis.numbers import divided
from jaxcircuits.vis.objectives import Objective
from jaxcircuits.vis.optimize import OF_BATCH, PICTURES, State, cast, programs
from jaxcircuits.vis.recipe import Recipe
from jaxcircuits.vis.rendering import Rendering
from jaxcircuits.vis.room import check_room

ON_ACCELERATOR = 64
"""Views that an accelerator looks at together by default."""

ON_CPU = 16
"""Views that a CPU looks at together by default, at most, and two for each of its cores: more leave its caches. On two
cores a picture of mixed4b takes a sixth longer at 16 than at 4."""

SCORE_VIEWS = 8
"""Fresh random views over which a finished picture's score is the mean."""

MOST_PLACES = 1.6
"""Places that a CPU's batches may have together for each picture: those that are idle are computed all the same."""

WINDOW = 32
"""Steps over which scores are averaged to see whether a picture still improves."""


@dataclasses.dataclass(frozen=True)
class Task:
    """All that is to be drawn, by rows."""

    objective: Objective
    keys: np.ndarray
    captions: tuple[str, ...]
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
        if recipe.dtype == "bfloat16" and jax.default_backend() == "cpu":
            # 38 ms a step where float32 took 26 (mixed4b, two cores): XLA has no convolutions of its own for it there.
            warn("dtype bfloat16 takes longer than float32 on a CPU; it is for accelerators")
        if batch_size is None:
            batch_size = pictures_a_device(recipe) * len(devices)
        self.step_of_width = task.group * len(devices)
        self.width = batch_width(count, batch_size, self.step_of_width)
        # What does not fit on an accelerator it says itself; then fewer may.
        together = self.width if jax.default_backend() == "cpu" else self.step_of_width
        check_room(network, task.objective.layers, recipe, together // len(devices))
        mesh = Mesh(np.array(devices), (PICTURES,)) if len(devices) > 1 else None
        structure, self.numbers = divided(recipe)
        self.programs = programs(network.forward, structure, mesh, jax.default_backend() == "cpu")
        self.network, self.recipe, self.task, self.snapshots = network, recipe, task, snapshots
        self.waiting = list(range(count // task.group))
        self.seated: list[int | None] = []  # the group at each place
        self.histories: dict[int, list[np.ndarray]] = {}  # group -> scores (steps, group), ...
        self.kept: dict[int, dict[int, np.ndarray]] = {}  # group -> step -> pictures
        self.failed: dict[int, int] = {}  # group -> the step from which on its score is not finite
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
        batch = jax.eval_shape(
            lambda: Batch(cast(self.network.params, self.recipe.dtype), self.numbers, *self._of_rows(rows))
        )
        for lowered in self.programs.lowered(batch).values():
            lowered.compile()

    @functools.cached_property
    def _params(self) -> Any:
        return self.programs.put(cast(self.network.params, self.recipe.dtype), P())

    def _batch(self, rows: np.ndarray) -> Batch:
        return self.programs.put(Batch(self._params, self.numbers, *self._of_rows(rows)), OF_BATCH)

    def _of_rows(self, rows: np.ndarray) -> tuple[Objective, np.ndarray]:
        return self.task.objective.take(rows), self.task.keys[rows]

    def fill(self) -> bool:
        """Seats those who wait, and shrinks the batch where half of it is idle; False when all is done."""
        active = self._active()
        if not active and not self.waiting:
            return False
        width = self.width
        # Where pictures do not finish early, few leave before the others: a narrower program is not worth compiling.
        shrinks = self.recipe.tolerance and not self.waiting and active
        while shrinks and len(active) * self.task.group <= width // 2:
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
                    fine = np.isfinite(scores[:, columns]).all(1)
                    if not fine.all():
                        self.failed[group] = self._step(group) - fine.size + int(np.argmin(fine))
            yield
            if self.failed.keys() & set(self._active()):
                return

    def leave(self) -> Iterator[tuple[list[int], Rendering]]:
        """Keeps snapshots, and hands out what is finished."""
        due = [group for group in self._active() if self._step(group) in self.snapshots]
        done = [group for group in self._active() if self._is_finished(group)]
        if not due and not done:
            return
        pictures = jax.device_get(self.programs.pictures(self.state))
        for group in due:
            self.kept[group][self._step(group)] = pictures[self._columns([group])]
        if done:
            yield self._finish(done, pictures)

    def _finish(self, done: list[int], pictures: np.ndarray) -> tuple[list[int], Rendering]:
        steps = self.recipe.steps
        fresh = [np.full(len(pictures), steps + i, np.int32) for i in range(SCORE_VIEWS)]
        found = [self.programs.score(self.batch, self.state, step) for step in fresh]
        scores = np.asarray(found).mean(axis=0, dtype=np.float32)
        columns, rows = self._columns(done), self.task.rows(done)
        history, taken = np.full((len(rows), steps), np.nan, np.float32), np.zeros(len(rows), int)
        failed_at = np.full(len(rows), -1)
        for i, group in enumerate(done):
            own = slice(i * self.task.group, (i + 1) * self.task.group)
            of_group = np.concatenate([np.zeros((0, self.task.group)), *self.histories.pop(group)])
            history[own, : len(of_group)], taken[own] = of_group.T, len(of_group)
            failed_at[own] = self.failed.pop(group, -1)
        kept = [self.kept.pop(group) for group in done]
        # A picture that was finished before a snapshot no longer changes: the snapshot is the finished picture.
        snapshots = {
            step: np.concatenate(
                [k.get(step, pictures[self._columns([group])]) for k, group in zip(kept, done, strict=True)]
            )
            for step in self.snapshots
        }
        labels = tuple(self.task.captions[row] for row in rows)
        images, scores = pictures[columns], scores[columns]
        # A picture may fail at its last step, which no history shows.
        failed_at[(failed_at < 0) & ~(np.isfinite(scores) & np.isfinite(images).all((1, 2, 3)))] = steps
        failures = {}
        for i in np.flatnonzero(failed_at >= 0).tolist():
            objective, at = self.task.objective.take([int(rows[i])] * self.task.group), int(failed_at[i])
            cause = likely_cause(self.network, objective, self.recipe, at)
            failures[i] = f"not finite from step {at} on; {cause}"
        images = np.where((failed_at >= 0)[:, None, None, None], np.float32(np.nan), images)
        scores = np.where(failed_at >= 0, np.float32(np.nan), scores)
        transparent = images.shape[-1] > self.network.convention.channels
        self.seated = [None if group in done else group for group in self.seated]
        self.finished += len(rows)
        drawn = Rendering(images, scores, labels, snapshots, history, taken, failures, transparent)
        return rows.tolist(), drawn

    def _seat(self, active: list[int], new: list[int], width: int) -> None:
        groups = [*active, *new]
        # Idle places hold copies of the last picture, so that no program is added.
        padded = groups + [groups[-1]] * (width // self.task.group - len(groups))
        rows = self.task.rows(padded)
        put = self.programs.put
        given = None if self.task.given is None else put(self.task.given[rows])
        batch = self._batch(rows)
        state = self.programs.start(batch.numbers, batch.keys, given)
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
        if step >= self.recipe.steps or group in self.failed:
            return True
        if not self.recipe.tolerance or step % WINDOW or step < 2 * WINDOW:
            return False
        scores = np.concatenate(self.histories[group])
        last, before = scores[-WINDOW:].mean(0), scores[-2 * WINDOW : -WINDOW].mean(0)
        return bool((last - before <= self.recipe.tolerance * np.abs(before)).all())


def batch_width(count: int, most: int, multiple: int = 1) -> int:
    """How many places to give a batch: from a short ladder, so that another number of pictures finds its program.

    The ladder is `multiple` times 1, 2, 4, 8 ... as far as `most`, and `most` itself. The width is the smallest that
    needs as few batches as `most` does. An idle place costs an accelerator little and a CPU a picture, so there the
    width is smaller where six places of ten would be idle beside those that are used.

    Args:
      count: of the pictures.
      most: pictures that may be drawn together.
      multiple: what the width has to be a multiple of.
    """
    most = max(whole(most, "batch_size", 1) // multiple, 1) * multiple
    share = math.ceil(count / math.ceil(count / most) / multiple)
    width = min(multiple << (share - 1).bit_length(), most)
    while jax.default_backend() == "cpu" and width * math.ceil(count / width) > MOST_PLACES * count:
        lower = multiple << max((width // multiple - 1).bit_length() - 1, 0)
        if lower == width:
            break
        width = lower
    return width
