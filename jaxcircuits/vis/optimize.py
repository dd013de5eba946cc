"""Gradient ascent on pictures: the compiled functions of a drawing: start, chance, step and pictures.

One set serves a (network, layers, structure of a recipe, batch size), whatever the units and the recipe's numbers,
which are arguments. A step of a picture is the same in any batch, to float tolerance; over many steps what is rounded
otherwise in another batch size grows. Over several devices the pictures are split evenly, parameters are copied, and
nothing is exchanged (`jax.shard_map`).

Cost of a step: forward and input gradient of what `jaxcircuits.vis.loss` computes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxcircuits.network import Forward
from jaxcircuits.vis.keys import typed
from jaxcircuits.vis.loss import Batch, Chance, chance, scores
from jaxcircuits.vis.numbers import Numbers, Structure
from jaxcircuits.vis.objectives.seen import Rows
from jaxcircuits.vis.recipe import OPTIMIZERS, Recipe
from jaxcircuits.vis.settings import compiled

STEPS_A_CALL = 32
"""Steps between two signs of life, where the loop runs inside the program."""

PICTURES = "pictures"
"""The mesh axis over which pictures are split."""


CPU_OPTIONS = {"xla_cpu_experimental_ynn_fusion_type": ""}
"""Not YNNPACK, XLA's default for products and convolutions, which runs small ones on one core: a step takes a sixth
longer with it (two cores, JAX 0.10; a twentieth with JAX 0.12)."""

QUICKLY = {"xla_backend_optimization_level": "1"}
"""LLVM's first level: random numbers of a recipe's start compile in 0.3 s instead of 2.3, and are the same to the bit
(two cores, JAX 0.10)."""


def cast(params: Any, dtype: str) -> Any:
    """A network's parameters, those that are floats in the type of a recipe's arithmetic."""
    floats = [leaf for leaf in jax.tree.leaves(params) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return params if all(leaf.dtype == dtype for leaf in floats) else _cast(dtype)(params)


@functools.cache
def _cast(dtype: str) -> compiled:
    # One program for all: they would be compiled one by one, by their shapes.
    return compiled(
        lambda params: jax.tree.map(lambda p: p.astype(dtype) if jnp.issubdtype(p.dtype, jnp.floating) else p, params)
    )


class State(NamedTuple):
    """What a step changes: parameters of N pictures, the optimizer's moments, and how many steps each has had."""

    parameters: Any
    optimizer: Any
    step: jax.Array


OF_PICTURES = P(PICTURES)
OF_BATCH = Batch._make((P(), P(), OF_PICTURES, OF_PICTURES))
"""How a `Batch` is split over devices, part by part."""


class Programs:
    """The compiled functions for a network and a recipe's structure; `jax.jit` adds one for each kind of objective.

    Args:
      forward: of the network.
      structure: of the recipe, see `jaxcircuits.vis.numbers.divided`.
      mesh: of several devices, with one axis `PICTURES`; None for one device.
      on_cpu: compile for CPUs. There a convolution inside a compiled loop runs about twice slower than called from
        Python, so a call takes one step; on accelerators the calls would cost more, so one takes `STEPS_A_CALL`.
    """

    def __init__(self, forward: Forward, structure: Structure, mesh: Mesh | None, on_cpu: bool):
        self.forward, self.structure, self.mesh, self.on_cpu = forward, structure, mesh, on_cpu
        self.shape = structure.form.shape(forward.convention.channels)
        # What no number of a recipe changes: how its pictures are decoded.
        self.parametrization = structure.form.parametrization
        state, rows = OF_PICTURES, OF_PICTURES
        self.start = self._compiled(self._start, (P(), rows, rows), state, quickly=True)
        self.pictures = self._compiled(lambda state: self._decode(state.parameters), (state,), rows)
        self.step = self._compiled(self._step, (OF_BATCH, state, rows), (state, rows), donate_argnums=1)
        history = P(None, PICTURES)
        self.steps = self._compiled(self._steps, (OF_BATCH, state, P()), (state, history), donate_argnums=1)
        self.advance = self._advance_outside if on_cpu else self._advance_inside
        self.chance_of_groups = functools.cache(
            lambda group: self._compiled(self._chance(group), (P(), rows, rows), rows, quickly=True)
        )

    def _compiled(self, function, inputs, outputs, *, quickly=False, **options):
        if self.mesh is not None:
            function = jax.shard_map(function, mesh=self.mesh, in_specs=inputs, out_specs=outputs, check_vma=False)
        return compiled(function, compiler_options=cpu_options(quickly) if self.on_cpu else {}, **options)

    def put(self, tree: Any, specs: Any = OF_PICTURES) -> Any:
        """The arrays of a tree on the devices; `specs` says how they are split."""
        mesh = self.mesh
        if mesh is None:
            return jax.device_put(tree)
        sharding = jax.tree.map(lambda spec: NamedSharding(mesh, spec), specs)
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
        start = self.start.lower(batch.numbers, batch.keys, None)
        state = self.shapes(start.out_info)
        pictures = self.pictures.lower(state)
        count = jax.ShapeDtypeStruct((), jnp.int32)
        drawn = self.chance_of_groups(batch.objective.group).lower(batch.numbers, batch.keys, state.step)
        views = self.shapes(drawn.out_info)
        step = self.step.lower(batch, state, views) if self.on_cpu else self.steps.lower(batch, state, count)
        return {"start": start, "chance": drawn, "step": step, "pictures": pictures}

    def chance(self, batch: Batch, step: jax.Array) -> Chance:
        """What chance decides of the views of a batch's pictures at their step, int32 (N,)."""
        return self.chance_of_groups(batch.objective.group)(batch.numbers, batch.keys, step)

    def score(self, batch: Batch, state: State, step: np.ndarray) -> np.ndarray:
        """Scores (N,) of a state's pictures under the views of a step, int32 (N,), whichever step they are at.

        The program that steps tells them: one of its own would run in a third of the time, and take seconds to compile
        for each layer. A step takes its state's place in memory, so it is given a copy.
        """
        copied = jax.tree.map(jnp.copy, state)._replace(step=self.put(step))
        _, found = next(self.advance(batch, copied, 1))
        return found[0]

    def _chance(self, group: int) -> Callable[[Numbers, Rows, jax.Array], Chance]:
        return functools.partial(chance, self.structure, self.structure.form.size, group)

    def _start(self, numbers: Numbers, keys: jax.Array, given: jax.Array | None) -> State:
        """Random parameters, or those of given pictures (N, H, W, channels)."""
        recipe = self.structure.recipe(numbers)
        if given is None:
            parameters = jax.vmap(lambda key: recipe.parametrization.init(key, self.shape))(self._by_group(typed(keys)))
        else:
            parameters = jax.vmap(lambda p: recipe.parametrization.from_picture(p, self.shape))(self._by_group(given))
        return State(parameters, jax.vmap(_optimizer(recipe).init)(parameters), jnp.zeros(len(keys), jnp.int32))

    def _by_group(self, rows: jax.Array) -> jax.Array:
        group = self.parametrization.group
        return rows if group == 1 else rows.reshape(-1, group, *rows.shape[1:])

    def _decode(self, parameters: Any) -> jax.Array:
        """Pictures (N, H, W, channels)."""
        pictures = jax.vmap(lambda p: self.parametrization.picture(p, self.shape))(parameters)
        return pictures if self.parametrization.group == 1 else pictures.reshape(-1, *pictures.shape[2:])

    def _step(self, batch: Batch, state: State, drawn: Chance) -> tuple[State, jax.Array]:
        """The next state, and the scores (N,) of the pictures before it."""
        recipe = self.structure.recipe(batch.numbers)
        # Of a recipe without redirected gradients that is structure: then none are computed.
        redirect = None if isinstance(recipe.redirect_steps, int) else state.step < recipe.redirect_steps

        def loss(parameters, redirect):
            found = scores(self.forward, self.structure, batch, self._decode(parameters), drawn, redirect)
            return -found.sum(), found

        gradient_of = jax.grad(loss, has_aux=True)
        if redirect is not None and not self.on_cpu:
            # To read every gradient for whether it is silent takes a fifth of a step by a TPU's compiler and a sixth of
            # its traffic by a GPU's, and most steps redirect nobody. A branch in each activation function would cost
            # them a twentieth, since it keeps gradients from being fused; one for the whole step costs nothing but a
            # little time to compile it. On a CPU convolutions within a branch are as slow as within a loop.
            def of_nobody(parameters, _):
                return gradient_of(parameters, False)

            gradient, found = jax.lax.cond(redirect.any(), gradient_of, of_nobody, state.parameters, redirect)
        else:
            gradient, found = gradient_of(state.parameters, redirect)
        updates, optimizer = jax.vmap(_optimizer(recipe).update)(gradient, state.optimizer)
        return State(optax.apply_updates(state.parameters, updates), optimizer, state.step + 1), found

    def _steps(self, batch: Batch, state: State, count: jax.Array) -> tuple[State, jax.Array]:
        def one(i, carry):
            drawn = self._chance(batch.objective.group)(batch.numbers, batch.keys, carry[0].step)
            state, found = self._step(batch, carry[0], drawn)
            return state, jax.lax.dynamic_update_index_in_dim(carry[1], found, i, 0)

        history = jnp.zeros((STEPS_A_CALL, *state.step.shape), jnp.float32)
        return jax.lax.fori_loop(0, count, one, (state, history))

    def _advance_outside(self, batch: Batch, state: State, count: int) -> Iterator[tuple[State, np.ndarray]]:
        """After each step: the state, and the scores (1, N)."""
        for _ in range(count):
            state, found = jax.block_until_ready(self.step(batch, state, self.chance(batch, state.step)))
            yield state, jax.device_get(found)[None]

    def _advance_inside(self, batch: Batch, state: State, count: int) -> Iterator[tuple[State, np.ndarray]]:
        """After each call: the state, and the scores (steps, N)."""
        for done in range(0, count, STEPS_A_CALL):
            ahead = min(STEPS_A_CALL, count - done)
            state, found = jax.block_until_ready(self.steps(batch, state, self.put(np.int32(ahead), P())))
            yield state, jax.device_get(found)[:ahead]


def _optimizer(recipe: Recipe) -> optax.GradientTransformation:
    return OPTIMIZERS[recipe.optimizer](recipe.learning_rate, *recipe.betas)


@functools.cache
def cpu_options(quickly: bool = False) -> dict[str, str]:
    """Options of XLA, or nothing where this version of it does not know them: they are no stable interface.

    Args:
      quickly: for a program whose time does not matter, to be compiled as soon as can be.
    """
    options = CPU_OPTIONS | QUICKLY if quickly else CPU_OPTIONS
    try:
        jax.jit(lambda: 0, compiler_options=options).lower().compile()
    except jax.errors.JaxRuntimeError:
        return cpu_options() if quickly else {}
    return options


programs = functools.lru_cache(maxsize=32)(Programs)
