"""Pictures of a published network's units excite those units more than photographs do."""

import numpy as np
import pytest

import jaxcircuits as jc
from support.data import photographs


def means(network, pictures, layer):
    """(N, channels): each channel's activation on each picture, mean over space."""
    return np.asarray(network.activations(pictures, layer)[layer]).mean((1, 2))


def best_photograph(network, layer):
    """(channels,): each channel's activation, mean over space, on the photograph that excites it most."""
    return np.max([means(network, pictures, layer).max(0) for _, pictures in photographs()], axis=0)


@pytest.mark.exhaustive
def test_default_recipe_on_mixed4b(zoo_network):
    """128 px, 512 steps: the eight pictures, put through the network as they are, give 950 on average."""
    network, units = zoo_network("inceptionv1-2015"), [3, 40, 77, 120, 201, 255, 300, 401]
    rendering = jc.render(network, jc.channel("mixed4b", units))
    scores = means(network, rendering.images, "mixed4b")[np.arange(len(units)), units]
    assert scores.mean() >= 950, scores
    assert (scores > best_photograph(network, "mixed4b")[units]).all()
    # In color, and neither gray nor saturated.
    assert rendering.images.std((1, 2)).min() > 0.05
    assert 0.3 < rendering.images.mean() < 0.7


@pytest.mark.slow
@pytest.mark.parametrize(("name", "layer"), [("inceptionv1-2015", "mixed3a"), ("googlenet", "inception_3a/output")])
def test_a_few_steps_beat_every_photograph(name, layer, zoo_network):
    network = zoo_network(name)
    units = np.sort(np.random.default_rng(4).choice(network.layers[layer].channels, 4, replace=False)).tolist()
    rendering = jc.render(network, jc.channel(layer, units), jc.Recipe(steps=64))
    scores = means(network, rendering.images, layer)[np.arange(len(units)), units]
    assert (scores > best_photograph(network, layer)[units]).all()
