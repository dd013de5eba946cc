"""A network and pictures whose arithmetic is exact in float32, so that passes can be compared to the bit."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxcircuits as jc

COUNT, CLASSES = 6, 4
LAYERS = ("signed", "fires", "logits")


def kernels():
    rng = np.random.default_rng(1)
    return {"kernel": rng.integers(-2, 3, (3, 3, 3, 5)), "dense": rng.integers(-1, 2, (5, 7))}


def world(count=41):
    """Pictures of quarters: few values, so that many activations are equal, and all arithmetic is exact in float32."""
    rng = np.random.default_rng(2)
    pictures = rng.integers(0, 5, (count, 6, 7, 3)) / 4
    pictures[count // 8] = pictures[count // 2] = pictures[-2]
    pictures[count // 5] = 0
    return pictures.astype(np.float32), rng.integers(0, CLASSES, count)


def exact_forward(params, x):
    signed = jax.lax.conv_general_dilated(
        x, params["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    # The last two: a unit that is silent after the ReLU, and one that is constant.
    signed = signed * jnp.array([1.0, 1, 1, 0, 0]) + jnp.array([0.0, 0, 0, -1, 2.25])
    fires = jnp.maximum(signed, 0)
    return {"signed": signed, "fires": fires, "logits": fires.sum((1, 2)) @ params["dense"]}


def exact_network(name="exact"):
    params = {key: jnp.asarray(value, jnp.float32) for key, value in kernels().items()}
    return jc.Network.from_function(exact_forward, params, jc.InputConvention(size=(6, 7)), name=name)


def plain_activations(pictures):
    """The network's activations in float64, (N, h, w, units) each, by sums over shifted pictures."""
    weights = kernels()
    padded = np.pad(pictures.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    signed = sum(
        padded[:, i : i + 6, j : j + 7] @ weights["kernel"][i, j].astype(np.float64) for i in range(3) for j in range(3)
    )
    signed[..., 3], signed[..., 4] = -1, 2.25
    fires = np.maximum(signed, 0)
    return {
        "signed": signed,
        "fires": fires,
        "logits": (fires.sum((1, 2)) @ weights["dense"].astype(np.float64))[:, None, None],
    }


def assert_same(first, second, sums=True):
    """That two passes have the same result: all that is chosen or counted to the bit, sums to their rounding."""
    assert list(first) == list(second) and first.seen == second.seen
    for layer in first:
        one, other = first[layer], second[layer]
        for name in ("strongest", "weakest", "spread"):
            for mine, theirs in zip(getattr(one, name), getattr(other, name)):
                np.testing.assert_array_equal(mine, theirs)
        for name in ("histogram", "peaks", "class_sizes", "pictures_seen", "shape"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        for name in ("mean", "variance", "class_means"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-6 if sums else 0, atol=1e-7)
