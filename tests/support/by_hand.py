"""The small networks computed by hand, in float64, on three pictures; and a network from outside the zoo."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.network import Network
from jaxcircuits.zoo import INPUT, InputConvention
from support.loops import slow_conv, slow_max_pool, slow_network
from support.small import architecture_of

PICTURES = np.random.default_rng(0).uniform(size=(3, 47, 40, 3)).astype(np.float32)
BRANCHES = {"1x1": 1, "3x3": 3, "5x5": 5, "pool_reduce": 3}


def onward(architecture, source, target):
    """The layers from a source to a target, as an architecture whose input is the source."""
    dependent, layers = {source}, []
    for layer in architecture.layers:
        if dependent.intersection(layer.inputs) and layer.name != source:
            dependent.add(layer.name)
            inputs = tuple(INPUT if name == source else name for name in layer.inputs)
            layers.append(dataclasses.replace(layer, inputs=inputs))
            if layer.name == target:
                break
    return dataclasses.replace(architecture, layers=tuple(layers))


def close(result, expected, tolerance=1e-4):
    assert result.shape == expected.shape
    error, norm = np.linalg.norm(result - expected), np.linalg.norm(expected)
    assert norm > 0
    assert error <= tolerance * norm, (error, norm)


class Convolutions(nn.Module):
    """Two convolutions, the second fed through a nonlinearity that is compiled by itself."""

    @nn.compact
    def __call__(self, x):
        x = nn.gelu(nn.Conv(5, (3, 3), name="first")(x))
        x = nn.Conv(4, (3, 3), strides=2, name="second")(x)
        return nn.Dense(3, name="head")(x.mean((1, 2)))


def foreign_network():
    variables = Convolutions().init(jax.random.key(0), jnp.ones((1, 12, 10, 3)))
    return Network.from_linen(Convolutions(), variables, InputConvention(size=(12, 10))), variables["params"]


def own_branch(params, source, name, unit):
    """What unit `unit` of branch `name` of mixed3b answers to mixed3a's activation, before its ReLU, in float64."""

    def weights(layer):
        return (np.float64(params[layer][kind]) for kind in ("kernel", "bias"))

    if name == "pool_reduce":
        source = slow_max_pool(source, 3, 1, "SAME")
    elif name != "1x1":
        kernel, bias = weights(f"mixed3b_{name}_bottleneck")
        source = np.maximum(slow_conv(source, kernel, bias, 1, "SAME"), 0)
    kernel, bias = weights(f"mixed3b_{name}")
    return slow_conv(source, kernel, bias, 1, "SAME")[..., unit]


def first_unit(network, branch):
    names = list(network.layers["mixed3b"].inputs)
    return sum(network.layers[name].channels for name in names[: names.index(f"mixed3b_{branch}")])


@functools.lru_cache(maxsize=4)
def by_hand(network):
    """What every layer answers to PICTURES, in float64."""
    seen = [slow_network(architecture_of(network), network.params, (np.float64(p) - 0.5) / 0.25) for p in PICTURES]
    return {name: np.stack([one[name] for one in seen]) for name in network.layers}


def answer(network, layer, pictures=None):
    """A layer's answer by hand, to PICTURES; or as the network computes it, as all edited ones do."""
    if pictures is None and not network.forward.patches:
        return by_hand(network)[layer]
    return np.asarray(network.activations(PICTURES if pictures is None else pictures, layer)[layer])
