"""Programs that `render` and `evidence.examples` run on accelerators, compiled for some that are not there."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import jaxcircuits as jc
from jaxcircuits.evidence.tally import Tallying
from jaxcircuits.network import stream
from jaxcircuits.vis.keys import picture_keys
from jaxcircuits.vis.loss import Batch
from jaxcircuits.vis.numbers import divided
from jaxcircuits.vis.optimize import PICTURES, Programs, cast

CLASSES, COUNT = 1000, 100
"""Of pictures in a pass, and how many of the strongest are kept of each unit."""


def compiled_step(
    network: jc.Network, layer: str, pictures: int, recipe: jc.Recipe, devices: list[Any]
) -> jax.stages.Compiled:
    """The program that draws `pictures` on those devices, all of them or one; nothing runs."""
    objective = jc.channel(layer, [0] * pictures)
    keys = picture_keys(objective, [0] * pictures, 1)
    structure, numbers = divided(recipe)
    programs = Programs(network.forward, structure, Mesh(np.array(devices), (PICTURES,)), on_cpu=False)
    batch = Batch(cast(network.params, recipe.dtype), numbers, objective, keys)
    return programs.lowered(batch)["step"].compile()


def compiled_pass(network: jc.Network, layers: tuple[str, ...], pictures: int, device: Any) -> jax.stages.Compiled:
    """The program that `evidence.examples` shows a batch of pictures by, bytes at the native size; nothing runs."""
    mesh = Mesh(np.array([device]), (PICTURES,))
    view = network.forward, layers, 1
    programs = stream.programs((view,), stream.OfOne(Tallying(COUNT, CLASSES)), mesh)
    everywhere, shared = (NamedSharding(mesh, spec) for spec in (PartitionSpec(), PartitionSpec(PICTURES)))

    def held(kind, *shape, sharding=shared):
        return jax.ShapeDtypeStruct(shape, kind, sharding=sharding)

    params = jax.tree.map(lambda leaf: held(leaf.dtype, *leaf.shape, sharding=everywhere), network.params)
    size = network.convention.size
    start = programs.start.lower(((*network.shapes(size, layers).items(),),)).out_info
    state = jax.tree.map(lambda leaf: held(leaf.dtype, *leaf.shape), start)
    images = held(np.uint8, pictures, *size, network.convention.channels)
    which = stream.Held(held(np.int32, pictures), held(np.int32, pictures), held(bool, pictures))
    return programs.step.lower([params], state, [[(images, which)]]).compile()
