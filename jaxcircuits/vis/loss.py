"""The score of pictures: what the network sees of them under random views, and what the objective makes of that.

Each picture has its own key, step and views, so its score is the same in any batch, to float tolerance.

Cost: forward of the network as far as the objective's layers, on `recipe.views` views of `recipe.view_size`; the
Fourier transform and the resample are a few percent of it at mixed4b.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.network import Forward
from jaxcircuits.network.tokens import Grid, grids
from jaxcircuits.vis.keys import typed
from jaxcircuits.vis.numbers import Numbers, Structure
from jaxcircuits.vis.objectives import Objective, Seen
from jaxcircuits.vis.objectives.seen import Attributed, Rows
from jaxcircuits.vis.transforms import random_view


class Batch(NamedTuple):
    """What a step reads and does not change.

    Attributes:
      params: the network's parameters.
      numbers: the recipe's, see `jaxcircuits.vis.numbers`.
      objective: with N rows.
      keys: uint32 (N, 2), see `jaxcircuits.vis.keys`; NumPy's until they are put on a device.
    """

    params: Any
    numbers: Numbers
    objective: Objective
    keys: Rows


def scores(
    forward: Forward,
    structure: Structure,
    batch: Batch,
    pictures: jax.Array,
    step: jax.Array,
    redirect: jax.Array | None = None,
) -> jax.Array:
    """Scores (N,) of the pictures under each one's views of its step.

    Args:
      forward: of the network.
      structure: of the recipe.
      batch: of N pictures.
      pictures: (N, H, W, channels) in [0, 1].
      step: int32 (N,), how many steps each picture has had.
      redirect: bool (N,), whose gradients pass ReLUs that would stop all of them; None for nobody's.
    """
    objective, recipe = batch.objective, structure.recipe(batch.numbers)
    # Pictures of a group share their views, so that they can be compared cell by cell.
    leaders = typed(batch.keys)
    if objective.group > 1:
        leaders = leaders[np.arange(len(leaders)) // objective.group * objective.group]
    keys = jax.vmap(jax.random.fold_in)(leaders, step + 1)
    progress = jnp.clip(step / jnp.maximum(recipe.steps, 1), 0, 1)

    def views(pictures: Rows, laid: Callable[[jax.Array, jax.Array], jax.Array]) -> jax.Array:
        """(N, views, h, w, channels)."""

        def view(key, progress, picture):
            background, place = jax.random.split(key)
            shown = laid(background, picture)
            return random_view(recipe.transforms, place, shown, progress, structure.bounds, recipe.dtype)

        # One vmap over all views: nested ones take longer to compile.
        count = recipe.views
        of_views = jax.vmap(lambda key: jax.random.split(key, count))(keys).reshape(-1)
        seen = jax.vmap(view)(of_views, jnp.repeat(progress, count), jnp.repeat(pictures, count, axis=0))
        return seen.reshape(-1, count, *seen.shape[1:])

    shown = views(pictures, recipe.parametrization.view)
    activations = _look(forward, batch, recipe.dtype, shown, redirect)
    reference = {}
    if objective.reference is not None:
        given = views(objective.reference, lambda key, picture: picture)
        reference = jax.lax.stop_gradient(_look(forward, batch, recipe.dtype, given))
    of_tokens = grids(forward, batch.params, activations, recipe.view_size)
    attributions = tuple(
        _attribution(forward, batch.params, recipe.dtype, shown, pictures, activations[one.layer], of_tokens, one)
        for one in objective.attributed
    )
    of_views = jax.vmap(
        lambda a, r, t: objective.scores(Seen(a, pictures, r, t, of_tokens)), in_axes=1, axis_size=recipe.views
    )
    found = of_views(activations, reference, attributions)
    if found.shape != (recipe.views, len(batch.keys)):
        raise InputError(
            f"{type(objective).__name__} gives scores of shape {found.shape[2:] or found.shape}; "
            "expected one number a picture"
        )
    return found.mean(0, dtype=jnp.float32)


def _look(
    forward: Forward, batch: Batch, dtype: str, views: jax.Array, redirect: jax.Array | None = None
) -> dict[str, jax.Array]:
    """Activations (N, views, ...) of the objective's layers, for views (N, views, h, w, channels)."""

    if not batch.objective.layers:
        return {}
    if redirect is not None:
        redirect = jnp.repeat(redirect, views.shape[1])
    of_all = views.reshape(-1, *views.shape[2:])
    seen = forward(batch.params, of_all, batch.objective.layers, dtype, redirect)
    return {name: value.reshape(*views.shape[:2], *value.shape[1:]) for name, value in seen.items()}


def _attribution(
    forward: Forward,
    params: Any,
    dtype: str,
    shown: jax.Array,
    pictures: jax.Array,
    activation: jax.Array,
    of_tokens: Mapping[str, Grid],
    one: Attributed,
) -> jax.Array:
    """A layer's activation times the gradient there of an objective's scores, float32 (N, views, ...).

    The gradient is the ordinary one, also where others are redirected, and is held constant: of a network of ReLUs and
    max-pools it is, almost everywhere.
    """
    count, views = shown.shape[:2]
    x = forward.convention(shown.reshape(-1, *shown.shape[2:])).astype(dtype)

    def total(value: jax.Array) -> jax.Array:
        given = {one.layer: value.reshape(-1, *value.shape[2:]).astype(dtype)}
        seen = forward.run(params, x, one.objective.layers, given)
        by_view = {name: answer.reshape(count, views, *answer.shape[1:]) for name, answer in seen.items()}
        of_views = jax.vmap(
            lambda answers: one.objective.scores(Seen(answers, pictures, {}, grids=of_tokens)), in_axes=1
        )
        return of_views(by_view).sum(dtype=jnp.float32)

    slope = jax.grad(total)(jax.lax.stop_gradient(activation))
    return activation.astype(jnp.float32) * jax.lax.stop_gradient(slope).astype(jnp.float32)
