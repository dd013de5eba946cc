"""The compiled functions of a drawing: start, step, score.

One set serves a (network, layers, recipe, batch size), whatever the units: objectives are arguments. Each picture has
its own key, step and views, so a step of it is the same in any batch, to float tolerance; over many steps what is
rounded otherwise in another batch size grows. Over several devices the pictures are split evenly, parameters are
copied, and nothing is exchanged (`jax.shard_map`).

Cost of a step: forward and input gradient of the network as far as the objective's layers, on `recipe.views` views of
`recipe.view_size`; the Fourier transform and the resample are a few percent of it at mixed4b.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxcircuits.network import Forward
from jaxcircuits.vis.objectives import Objective, Seen
from jaxcircuits.vis.recipe import OPTIMIZERS, Recipe
from jaxcircuits.vis.transforms import random_view

STEPS_A_CALL = 32
"""Steps between two signs of life, where the loop runs inside the program."""

PICTURES = "pictures"
"""The mesh axis over which pictures are split."""


CPU_OPTIONS = {"xla_cpu_experimental_ynn_fusion_type": ""}
"""Not YNNPACK, XLA's default for products and convolutions, which runs small ones on one core: a step takes a sixth
longer with it (two cores, JAX 0.10; a twentieth with JAX 0.12)."""


class Batch(NamedTuple):
    """What a step reads and does not change: the network's parameters, the objective's N rows, N keys."""

    params: Any
    objective: Objective
    keys: jax.Array


def cast(params: Any, dtype: str) -> Any:
    """A network's parameters, those that are floats in the type of a recipe's arithmetic."""
    return jax.tree.map(lambda p: p.astype(dtype) if jnp.issubdtype(p.dtype, jnp.floating) else p, params)


class State(NamedTuple):
    """What a step changes: parameters of N pictures, the optimiser's moments, and how many steps each has had."""

    parameters: Any
    optimizer: Any
    step: jax.Array


OF_BATCH = Batch(P(), P(PICTURES), P(PICTURES))
OF_PICTURES = P(PICTURES)


class Programs:
    """The compiled functions for a network and a recipe; `jax.jit` adds one for each kind of objective.

    Args:
      forward: of the network.
      recipe: how pictures are made.
      mesh: of several devices, with one axis `PICTURES`; None for one device.
      on_cpu: compile for CPUs. There a convolution inside a compiled loop runs about twice slower than called from
        Python, so a call takes one step; on accelerators the calls would cost more, so one takes `STEPS_A_CALL`.
    """

    def __init__(self, forward: Forward, recipe: Recipe, mesh: Mesh | None, on_cpu: bool):
        self.forward, self.recipe, self.mesh, self.on_cpu = forward, recipe, mesh, on_cpu
        self.optimizer = OPTIMIZERS[recipe.optimizer](recipe.learning_rate, *recipe.betas)
        self.shape = recipe.shape(forward.convention.channels)
        state, rows = OF_PICTURES, OF_PICTURES
        self.start = self._compiled(self._start, (rows, rows), state)
        self.pictures = self._compiled(lambda state: self._decode(state.parameters), (state,), rows)
        self.score = self._compiled(self._scores, (OF_BATCH, rows, rows), rows)
        self.step = self._compiled(self._step, (OF_BATCH, state), (state, rows), donate_argnums=1)
        history = P(None, PICTURES)
        self.steps = self._compiled(self._steps, (OF_BATCH, state, P()), (state, history), donate_argnums=1)
        self.advance = self._advance_outside if on_cpu else self._advance_inside

    def _compiled(self, function, inputs, outputs, **options):
        if self.mesh is not None:
            function = jax.shard_map(function, mesh=self.mesh, in_specs=inputs, out_specs=outputs, check_vma=False)
        return jax.jit(function, compiler_options=cpu_options() if self.on_cpu else {}, **options)

    def put(self, tree: Any, specs: Any = OF_PICTURES) -> Any:
        """The arrays of a tree on the devices; `specs` says how they are split."""
        if self.mesh is None:
            return jax.device_put(tree)
        sharding = jax.tree.map(lambda spec: NamedSharding(self.mesh, spec), specs)
        return jax.device_put(tree, sharding)

    def shapes(self, tree: Any, specs: Any = OF_PICTURES) -> Any:
        """The arrays of a tree as `jax.ShapeDtypeStruct`, to compile for; `specs` says how they are split."""

        def shape(spec: P, array: jax.Array) -> jax.ShapeDtypeStruct:
            sharding = None if self.mesh is None else NamedSharding(self.mesh, spec)
            return jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=sharding)

        return jax.tree.map(lambda spec, part: jax.tree.map(lambda array: shape(spec, array), part), specs, tree)

    def lowered(self, batch: Batch) -> dict[str, jax.stages.Lowered]:
        """The programs that a drawing of such a batch runs, by name, not compiled yet; nothing runs.

        Once these are compiled, the calls of a drawing compile nothing.

        Args:
          batch: arrays or `shapes`.
        """
        batch = self.shapes(batch, OF_BATCH)
        start = self.start.lower(batch.keys, None)
        state = self.shapes(start.out_info)
        pictures = self.pictures.lower(state)
        step = self.step.lower(batch, state) if self.on_cpu else self.steps.lower(batch, state, STEPS_A_CALL)
        score = self.score.lower(batch, self.shapes(pictures.out_info), state.step)
        return {"start": start, "step": step, "pictures": pictures, "score": score}

    def _start(self, keys: jax.Array, given: jax.Array | None) -> State:
        """Random parameters, or those of given pictures (N, H, W, channels)."""
        parametrization = self.recipe.parametrization
        if given is None:
            parameters = jax.vmap(lambda key: parametrization.init(key, self.shape))(self._by_group(keys))
        else:
            parameters = jax.vmap(lambda p: parametrization.from_picture(p, self.shape))(self._by_group(given))
        return State(parameters, jax.vmap(self.optimizer.init)(parameters), jnp.zeros(keys.shape, jnp.int32))

    def _by_group(self, rows: jax.Array) -> jax.Array:
        """(N, ...) as (N / group, group, ...) where pictures share parameters."""
        group = self.recipe.parametrization.group
        return rows if group == 1 else rows.reshape(-1, group, *rows.shape[1:])

    def _decode(self, parameters: Any) -> jax.Array:
        """Pictures (N, H, W, channels)."""
        pictures = jax.vmap(lambda p: self.recipe.parametrization.picture(p, self.shape))(parameters)
        return pictures if self.recipe.parametrization.group == 1 else pictures.reshape(-1, *pictures.shape[2:])

    def _scores(
        self, batch: Batch, pictures: jax.Array, step: jax.Array, redirect: jax.Array | None = None
    ) -> jax.Array:
        """Scores (N,) of the pictures under each one's views of its step."""
        objective = batch.objective
        # Pictures of a group share their views, so that they can be compared cell by cell.
        leaders = np.arange(len(batch.keys)) // objective.group * objective.group
        keys = jax.vmap(jax.random.fold_in)(batch.keys[leaders], step + 1)
        progress = jnp.clip(step / max(self.recipe.steps, 1), 0, 1)
        activations = self._look(
            batch, self._views(keys, progress, pictures, self.recipe.parametrization.view), redirect
        )
        reference = {}
        if objective.reference is not None:
            views = self._views(keys, progress, objective.reference, lambda key, picture: picture)
            reference = jax.lax.stop_gradient(self._look(batch, views))
        score = jax.vmap(lambda a, r: objective.scores(Seen(a, pictures, r)), in_axes=1, axis_size=self.recipe.views)
        return score(activations, reference).mean(0)

    def _views(self, keys: jax.Array, progress: jax.Array, pictures: jax.Array, shown) -> jax.Array:
        """(N, views, h, w, channels)."""

        def view(key, progress, picture):
            background, place = jax.random.split(key)
            return random_view(self.recipe.transforms, place, shown(background, picture), progress)

        # One vmap over all views: nested ones take longer to compile.
        count = self.recipe.views
        keys = jax.vmap(lambda key: jax.random.split(key, count))(keys).reshape(-1)
        views = jax.vmap(view)(keys, jnp.repeat(progress, count), jnp.repeat(pictures, count, axis=0))
        return views.reshape(-1, count, *views.shape[1:])

    def _look(self, batch: Batch, views: jax.Array, redirect: jax.Array | None = None) -> dict[str, jax.Array]:
        """Activations (N, views, ...) of the objective's layers."""

        if not batch.objective.layers:
            return {}
        if redirect is not None:
            redirect = jnp.repeat(redirect, self.recipe.views)
        views_of_all = views.reshape(-1, *views.shape[2:])
        seen = self.forward(batch.params, views_of_all, batch.objective.layers, self.recipe.dtype, redirect)
        return {name: value.reshape(*views.shape[:2], *value.shape[1:]) for name, value in seen.items()}

    def _step(self, batch: Batch, state: State) -> tuple[State, jax.Array]:
        """The next state, and the scores (N,) of the pictures before it."""
        redirect = state.step < self.recipe.redirect_steps if self.recipe.redirect_steps else None

        def loss(parameters):
            scores = self._scores(batch, self._decode(parameters), state.step, redirect)
            return -scores.sum(), scores

        gradient, scores = jax.grad(loss, has_aux=True)(state.parameters)
        updates, optimizer = jax.vmap(self.optimizer.update)(gradient, state.optimizer)
        return State(optax.apply_updates(state.parameters, updates), optimizer, state.step + 1), scores

    def _steps(self, batch: Batch, state: State, count: jax.Array) -> tuple[State, jax.Array]:
        def one(i, carry):
            state, scores = self._step(batch, carry[0])
            return state, carry[1].at[i].set(scores)

        history = jnp.zeros((STEPS_A_CALL, *state.step.shape), jnp.float32)
        return jax.lax.fori_loop(0, count, one, (state, history))

    def _advance_outside(self, batch: Batch, state: State, count: int) -> Iterator[tuple[State, np.ndarray]]:
        """After each step: the state, and the scores (1, N)."""
        for _ in range(count):
            state, scores = jax.block_until_ready(self.step(batch, state))
            yield state, np.asarray(scores)[None]

    def _advance_inside(self, batch: Batch, state: State, count: int) -> Iterator[tuple[State, np.ndarray]]:
        """After each call: the state, and the scores (steps, N)."""
        for done in range(0, count, STEPS_A_CALL):
            ahead = min(STEPS_A_CALL, count - done)
            state, scores = jax.block_until_ready(self.steps(batch, state, ahead))
            yield state, np.asarray(scores)[:ahead]


@functools.cache
def cpu_options() -> dict[str, str]:
    """`CPU_OPTIONS`, or nothing where this version of XLA does not know them: they are no stable interface."""
    try:
        jax.jit(lambda: 0, compiler_options=CPU_OPTIONS).lower().compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return CPU_OPTIONS


programs = functools.lru_cache(maxsize=32)(Programs)
