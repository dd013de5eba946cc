"""What people hand to a drawing: plain things are taken, the rest is refused in a line."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeGuard

import jax
import jax.numpy as jnp

from jaxcircuits.errors import InputError, unknown, whole
from jaxcircuits.network import Network, load
from jaxcircuits.network.units import numbers_of
from jaxcircuits.vis.objectives import Objective, channel
from jaxcircuits.vis.objectives.base import Own, registered
from jaxcircuits.vis.objectives.seen import Seen
from jaxcircuits.vis.recipe import Recipe
from jaxcircuits.vis.transforms import Native

RECIPES: dict[str, Callable[..., Recipe]] = {"lucid": Recipe, "fast": Recipe.fast, "maco": Recipe.maco}
"""Recipes by name."""

ObjectiveLike = Objective | str | Sequence[str] | Callable[[Seen], jax.Array]
"""What is taken for an objective, see `as_objective`."""

SIZE = 128
"""Pixels of a picture's side where the network's own size is not smaller."""

MOST_SEED = 2**32 - 1


def as_network(network: Network | str | os.PathLike[str]) -> Network:
    """A network, or one that `load` finds by its name or file.

    Raises:
      InputError: for anything else.
    """
    if isinstance(network, Network):
        return network
    if isinstance(network, (str, os.PathLike)):
        return load(network)
    kind = type(network).__name__
    raise InputError(
        f"network {kind}; expected a Network, such as load('slide') or Network.from_nnx(module, convention)"
    )


def as_recipe(network: Network, recipe: Recipe | str | None, **fields: Any) -> Recipe:
    """A recipe, or one by its name at a size that suits the network; its views are of a size that the network takes.

    Networks of one size only, such as those that flatten a map before a dense layer, look at the middle of the views
    (`Native`).

    Args:
      network: that is drawn for.
      recipe: a `Recipe`; the name of one in `RECIPES`; None for the network's own, `network.recipe`, or `lucid` where
        there is none.
      **fields: those that are to differ; None for the recipe's.

    Raises:
      InputError: for anything else.
    """
    fields = {name: value for name, value in fields.items() if value is not None}
    return _suiting(network, dataclasses.replace(_recipe(network, recipe), **fields))


def _recipe(network: Network, recipe: Recipe | str | None) -> Recipe:
    if isinstance(recipe, Recipe):
        return recipe
    if recipe is None and network.recipe:
        try:
            return Recipe.from_json(network.recipe)
        except InputError as error:
            raise InputError(f"{network.name}: its own recipe: {error}") from None
    if recipe is None or isinstance(recipe, str):
        name = "lucid" if recipe is None else recipe
        if name not in RECIPES:
            raise unknown("recipe", name, RECIPES)
        native = min(network.convention.size)
        return Recipe.maco(view=native) if name == "maco" else RECIPES[name](size=min(SIZE, native))
    raise InputError(f"recipe {recipe!r}; expected a Recipe, or {', '.join(map(repr, RECIPES))}")


def _suiting(network: Network, recipe: Recipe) -> Recipe:
    """The recipe, its views those of the network's size where it takes no other."""
    if network.takes(recipe.view_size):
        return recipe
    native = Native(network.convention.size, recipe.size)
    return dataclasses.replace(recipe, transforms=(*recipe.transforms, native))


def as_objective(network: Network, objective: ObjectiveLike) -> Objective:
    """An objective, or the channels that text names, or a function's score.

    Args:
      network: whose units.
      objective: an `Objective`; `LAYER:UNITS` such as `mixed4b:3`, `mixed4b:0-15` or `mixed4b:all`; a list of such
        names, of one layer; or a function of what is seen of one picture, such as `lambda seen: seen["mixed4b"].max()`,
        which is compiled anew with each call.

    Raises:
      InputError: for anything else, for a function that cannot be traced, and for an unregistered class that looks at
        several pictures.
    """
    if isinstance(objective, Objective):
        return registered(objective)
    if callable(objective) and not isinstance(objective, type):
        return _of_function(network, objective)
    names = [objective] if isinstance(objective, str) else list(objective) if _are_names(objective) else []
    if not names:
        hint = (
            "; add objectives up with +, or name several units in one" if isinstance(objective, (list, tuple)) else ""
        )
        kind = "a list" if isinstance(objective, (list, tuple)) else repr(objective)
        raise InputError(f"objective {kind}; expected one such as channel('mixed4b', 3) or 'mixed4b:3'{hint}")
    layers, units = [], []
    for name in names:
        layer, colon, text = name.rpartition(":")
        if not colon:
            raise InputError(f"objective {name!r}; expected LAYER:UNITS such as mixed4b:3, or channel(layer, units)")
        layers.append(layer)
        units += numbers_of(text, network.layer(layer).channels, layer)
    if len(set(layers)) > 1:
        raise InputError(f"units of {' and '.join(sorted(set(layers)))}; expected units of one layer")
    return channel(layers[0], units)


class _Noted(dict):
    """Activations by layer, as shapes; it notes which are asked for."""

    def __init__(self, network: Network):
        super().__init__()
        self.network = network

    def __missing__(self, layer: str) -> jax.Array:
        self[layer] = jnp.zeros(self.network.layer(layer).shape)
        return self[layer]


def _of_function(network: Network, function: Callable[[Seen], jax.Array]) -> Objective:
    """A function of what is seen of one picture as an objective; the layers that it reads are found by tracing it."""
    name, noted = getattr(function, "__name__", type(function).__name__).strip("<>"), _Noted(network)
    expected = f'expected a function of what is seen, such as lambda seen: seen["{list(network.layers)[-1]}"].max()'

    def traced(picture: jax.Array) -> jax.Array:
        return jnp.asarray(function(Seen(noted, picture, {})))

    try:
        score = jax.eval_shape(
            traced, jax.ShapeDtypeStruct((*network.convention.size, network.convention.channels), float)
        )
    except InputError:
        raise
    except Exception as error:
        said = str(error).strip().partition("\n")[0]
        raise InputError(f"objective {name}: {type(error).__name__}: {said}; {expected}") from error
    if score.shape:
        raise InputError(f"objective {name} gives a score of shape {score.shape}; expected one number")
    return Own(lambda seen: function(seen), tuple(noted), name)


def as_seeds(seed: Any, count: int) -> list[int]:
    """One seed a picture, of one for all or one for each."""
    seeds = list(seed) if isinstance(seed, Iterable) and getattr(seed, "ndim", 1) else [seed]
    if len(seeds) not in (1, count):
        raise InputError(f"{len(seeds)} seeds for {count} pictures; expected one, or one for each")
    checked = [whole(one, "seed", 0, MOST_SEED) for one in seeds]
    return checked * count if len(checked) == 1 else checked


def as_snapshots(snapshots: Any, steps: int) -> frozenset[int]:
    """Numbers of steps, of one or several."""
    wanted = list(snapshots) if isinstance(snapshots, Iterable) and getattr(snapshots, "ndim", 1) else [snapshots]
    return frozenset(whole(step, "snapshots", 1, steps) for step in wanted)


def _are_names(objective: Any) -> TypeGuard[Sequence[str]]:
    return isinstance(objective, (list, tuple)) and bool(objective) and all(isinstance(one, str) for one in objective)
