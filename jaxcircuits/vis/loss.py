"""The score of pictures: what the network sees of them under random views, and what the objective makes of that.

Each picture has its own key, step and views, so its score is the same in any batch, to float tolerance. What chance
decides of the views is computed apart from what is seen of them: it is the same for every layer and every objective.

Cost: forward of the network as far as the objective's layers, on `recipe.views` views of `recipe.view_size`; the
Fourier transform and the resample are a few percent of it at mixed4b.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.network import Forward
from jaxcircuits.network.redirect import repeated
from jaxcircuits.network.tokens import Grid, grids
from jaxcircuits.vis.keys import typed
from jaxcircuits.vis.numbers import Numbers, Structure
from jaxcircuits.vis.objectives import Objective, Seen
from jaxcircuits.vis.objectives.seen import Attributed, Rows
from jaxcircuits.vis.transforms.view import Draws, draws, view


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


class Chance(NamedTuple):
    """What chance decides of the views of N pictures at a step, view by view: (N * views, ...).

    Attributes:
      background: keys, for what lies behind transparent pictures.
      draws: of the transforms.
    """

    background: jax.Array
    draws: Draws


def chance(
    structure: Structure, size: tuple[int, ...], group: int, numbers: Numbers, keys: Rows, step: jax.Array
) -> Chance:
    """What chance decides of the pictures' views at their step; it depends on no network and no picture.

    Args:
      structure: of the recipe.
      size: height and width of the pictures, which may be other than the recipe's.
      group: of pictures that share their views, so that they can be compared cell by cell.
      numbers: the recipe's.
      keys: uint32 (N, 2), the pictures'.
      step: int32 (N,), how many steps each picture has had.
    """
    recipe = structure.recipe(numbers)
    leaders = typed(keys)
    if group > 1:
        leaders = leaders[np.arange(len(leaders)) // group * group]
    of_step = jax.vmap(jax.random.fold_in)(leaders, step + 1)
    progress = jnp.clip(step / jnp.maximum(recipe.steps, 1), 0, 1)

    def of_view(key: jax.Array, progress: jax.Array) -> Chance:
        background, place = jax.random.split(key)
        return Chance(background, draws(recipe.transforms, place, (size[0], size[1]), progress, structure.bounds))

    # One vmap over all views: nested ones take longer to compile.
    of_views = jax.vmap(lambda key: jax.random.split(key, recipe.views))(of_step).reshape(-1)
    return jax.vmap(of_view)(of_views, jnp.repeat(progress, recipe.views))


def scores(
    forward: Forward,
    structure: Structure,
    batch: Batch,
    pictures: jax.Array,
    drawn: Chance,
    redirect: jax.Array | Literal[False] | None = None,
) -> jax.Array:
    """Scores (N,) of the pictures under their views.

    Args:
      forward: of the network.
      structure: of the recipe.
      batch: of N pictures.
      pictures: (N, H, W, channels) in [0, 1].
      drawn: `chance` of their step.
      redirect: bool (N,), whose gradients pass ReLUs that would stop all of them; see `Forward`.
    """
    objective, recipe = batch.objective, structure.recipe(batch.numbers)

    def views(pictures: Rows, laid: Callable[[jax.Array, jax.Array], jax.Array]) -> jax.Array:
        """(N, views, h, w, channels)."""

        def one(drawn: Chance, picture: jax.Array) -> jax.Array:
            shown = laid(drawn.background, picture)
            return view(recipe.transforms, drawn.draws, shown, structure.bounds, recipe.dtype)

        seen = jax.vmap(one)(drawn, jnp.repeat(pictures, recipe.views, axis=0))
        return seen.reshape(-1, recipe.views, *seen.shape[1:])

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
    forward: Forward, batch: Batch, dtype: str, views: jax.Array, redirect: jax.Array | Literal[False] | None = None
) -> dict[str, jax.Array]:
    """Activations (N, views, ...) of the objective's layers, for views (N, views, h, w, channels)."""

    if not batch.objective.layers:
        return {}
    of_all, of_views = views.reshape(-1, *views.shape[2:]), repeated(redirect, views.shape[1])
    seen = forward(batch.params, of_all, batch.objective.layers, dtype, of_views)
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
