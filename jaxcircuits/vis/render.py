"""The compiled loop: objectives and a recipe in, pictures out.

One program serves a (network, layers, recipe, batch size), whatever the units: objectives are its arguments. Each
picture has its own key and its own views, so it comes out the same in any batch, to float tolerance.

Cost of a step: forward and input gradient of the network as far as the objective's layers, on views of
`recipe.view_size`; the Fourier transform and the resample are a few percent of it at mixed4b.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxcircuits.errors import InputError
from jaxcircuits.network import Forward, Network
from jaxcircuits.vis.objective import Objective, picture_keys
from jaxcircuits.vis.progress import RenderProgress
from jaxcircuits.vis.recipe import Recipe
from jaxcircuits.vis.redirect import redirected_relu, replace_relu
from jaxcircuits.vis.sheet import contact_sheet, png_bytes
from jaxcircuits.vis.transforms import random_view

SCORE_VIEWS = 8
"""Fresh random views over which a finished picture's score is the mean."""

STEPS_A_CALL = 64
"""Steps between two signs of life, where the loop runs inside the program."""


@dataclasses.dataclass(frozen=True, repr=False)
class Rendering:
    """Finished pictures.

    Attributes:
      images: float32 (N, H, W, channels) in [0, 1].
      scores: float32 (N,), the objective's mean over `SCORE_VIEWS` fresh random views after the last step.
      labels: what each picture was drawn for, such as `mixed4b:3`.
      snapshots: step -> images after that many steps, for the steps that were asked for.
    """

    images: np.ndarray
    scores: np.ndarray
    labels: tuple[str, ...]
    snapshots: dict[int, np.ndarray]

    def __repr__(self) -> str:
        count, height, width, _ = self.images.shape
        return f"Rendering({count} pictures of {height}x{width} px: {', '.join(self.labels[:3])}{' ...' * (count > 3)})"

    def _repr_png_(self) -> bytes:
        """The contact sheet that a notebook shows."""
        return png_bytes(contact_sheet(self.images, self.labels))


def render(
    network: Network,
    objective: Objective,
    recipe: Recipe = Recipe(),
    *,
    seed: int | Sequence[int] = 0,
    batch_size: int | None = None,
    snapshots: Iterable[int] = (),
    progress: bool = True,
) -> Rendering:
    """Draws what an objective looks for: one picture for each of its rows.

    Args:
      network: whose units.
      objective: such as `channel("mixed4b", range(16))`.
      recipe: how.
      seed: of the random starts and views; several draw several pictures of one objective.
      batch_size: pictures drawn together; by default 16 on a CPU, 64 on an accelerator.
      snapshots: numbers of steps after which to keep the unfinished pictures too.
      progress: show a bar, where there is a terminal or notebook to show it.

    Returns:
      The `Rendering`.

    Raises:
      InputError: for a layer or unit that the network does not have, or numbers that make no sense.
    """
    batches = render_batches(
        network, objective, recipe, seed=seed, batch_size=batch_size, snapshots=snapshots, progress=progress
    )
    return _joined([rendering for _, rendering in batches])


def render_batches(
    network: Network,
    objective: Objective,
    recipe: Recipe = Recipe(),
    *,
    seed: int | Sequence[int] = 0,
    batch_size: int | None = None,
    snapshots: Iterable[int] = (),
    progress: bool = True,
) -> Iterator[tuple[range, Rendering]]:
    """Like `render`, but hands out each batch as soon as it is finished.

    Yields:
      Which pictures they are, and their `Rendering`.
    """
    seeds = [seed] if isinstance(seed, int) else list(seed)
    count = max(objective.count, len(seeds))
    objective = objective.rows(count)
    objective.check(network, recipe.view_size)
    seeds = _check_seeds(seeds, count)
    snapshots = _check_snapshots(snapshots, recipe.steps)
    keys = picture_keys(objective, seeds)
    on_cpu = jax.default_backend() == "cpu"
    batch_size = _even_batches(count, batch_size if batch_size is not None else (16 if on_cpu else 64))
    programs = _programs(network.forward, recipe, not on_cpu)
    params = _cast(network.params, recipe.dtype)

    def draw(rows: range, bar: RenderProgress) -> Rendering:
        # The last batch may be short: it is filled up with copies of its last picture, so that no program is added.
        padded = [*rows, *[rows[-1]] * (batch_size - len(rows))]
        batch = _Batch(params, jax.device_put(objective.take(padded)), keys[np.array(padded)])
        kept = {}
        state = start = programs.start(batch.keys)
        for step, state in programs.advance(batch, start, recipe.steps, snapshots):
            bar.update(rows.start, len(rows), step)
            if step in snapshots:
                kept[step] = np.asarray(programs.pictures(state))[: len(rows)]
        images = programs.pictures(state)
        scores = np.mean([programs.score(batch, images, recipe.steps + i) for i in range(SCORE_VIEWS)], axis=0)
        bar.update(rows.stop, 0, recipe.steps)
        labels = tuple(objective.label(i) for i in rows)
        return Rendering(np.asarray(images)[: len(rows)], scores[: len(rows)], labels, kept)

    with RenderProgress(" ".join(objective.layers), count, recipe.steps, progress) as bar:
        for start in range(0, count, batch_size):
            rows = range(start, min(start + batch_size, count))
            yield rows, draw(rows, bar)


class _Batch(NamedTuple):
    """What a step reads and does not change."""

    params: Any
    objective: Objective
    keys: jax.Array


class _State(NamedTuple):
    """What a step changes: parameters of N pictures and the optimiser's moments."""

    parameters: Any
    optimizer: optax.OptState


class _Programs:
    """The compiled functions for a network and a recipe; `jax.jit` adds one for each kind of objective."""

    def __init__(self, forward: Forward, recipe: Recipe, loop_inside: bool):
        self.forward, self.recipe = forward, recipe
        self.optimizer = optax.adam(recipe.learning_rate)
        self.shape = recipe.shape(forward.convention.channels)
        self.start = jax.jit(self._start)
        self.pictures = jax.jit(self._pictures)
        self.score = jax.jit(self._score)
        self.step = jax.jit(self._step, donate_argnums=1)
        self.steps = jax.jit(self._steps, donate_argnums=1)
        self.advance = self._advance_inside if loop_inside else self._advance_outside

    def _start(self, keys: jax.Array) -> _State:
        parameters = jax.vmap(lambda key: self.recipe.parametrization.init(key, self.shape))(keys)
        return _State(parameters, self.optimizer.init(parameters))

    def _pictures(self, state: _State) -> jax.Array:
        return self._decode(state.parameters)

    def _decode(self, parameters: Any) -> jax.Array:
        return jax.vmap(lambda p: self.recipe.parametrization.picture(p, self.shape))(parameters)

    def _score(self, batch: _Batch, pictures: jax.Array, step: jax.Array, redirect: jax.Array | None = None):
        """Scores (N,) of the pictures under the views of a step."""
        keys = jax.vmap(lambda key: jax.random.fold_in(key, step + 1))(batch.keys)
        views = jax.vmap(lambda key, picture: random_view(self.recipe.transforms, key, picture))(keys, pictures)

        def network(params, views):
            return self.forward(params, views, batch.objective.layers, self.recipe.dtype)

        if redirect is not None:
            network = replace_relu(network, lambda x: redirected_relu(x, redirect))
        return jax.vmap(lambda objective, seen: objective(seen))(batch.objective, network(batch.params, views))

    def _step(self, batch: _Batch, state: _State, step: jax.Array) -> _State:
        redirect = step < self.recipe.redirect_steps if self.recipe.redirect_steps else None

        def loss(parameters):
            return -self._score(batch, self._decode(parameters), step, redirect).sum()

        updates, optimizer = self.optimizer.update(jax.grad(loss)(state.parameters), state.optimizer)
        return _State(optax.apply_updates(state.parameters, updates), optimizer)

    def _steps(self, batch: _Batch, state: _State, first: jax.Array, last: jax.Array) -> _State:
        return jax.lax.fori_loop(first, last, lambda step, state: self._step(batch, state, step), state)

    def _advance_outside(self, batch: _Batch, state: _State, steps: int, stops: frozenset[int]):
        """On a CPU a convolution inside a compiled loop runs about twice slower than called from Python."""
        for step in range(steps):
            state = jax.block_until_ready(self.step(batch, state, step))
            yield step + 1, state

    def _advance_inside(self, batch: _Batch, state: _State, steps: int, stops: frozenset[int]):
        done = 0
        while done < steps:
            ahead = min([done + STEPS_A_CALL, steps, *(stop for stop in stops if stop > done)])
            state = jax.block_until_ready(self.steps(batch, state, done, ahead))
            done = ahead
            yield done, state


_programs = functools.lru_cache(maxsize=32)(_Programs)


def _even_batches(count: int, most: int) -> int:
    """The smallest batch size that needs as few batches as `most` does."""
    if not isinstance(most, int) or most < 1:
        raise InputError(f"batch_size {most!r}; expected a whole number from 1 on")
    return math.ceil(count / math.ceil(count / most))


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


def _joined(renderings: list[Rendering]) -> Rendering:
    first = renderings[0]
    return Rendering(
        np.concatenate([r.images for r in renderings]),
        np.concatenate([r.scores for r in renderings]),
        tuple(label for r in renderings for label in r.labels),
        {step: np.concatenate([r.snapshots[step] for r in renderings]) for step in sorted(first.snapshots)},
    )
