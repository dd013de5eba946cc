"""Two small networks that are compared, and pictures in which they have something in common."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxcircuits as jc

WIDTHS = {"first": (5, 6), "second": (4, 7)}


def world(count=11, size=12, seed=2):
    """Smooth pictures, some with an edge, so that units of different networks have something in common."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(size=(count, 4, 4, 3)).astype(np.float32)
    return np.asarray(jax.image.resize(coarse, (count, size, size, 3), "linear"))


def forward(params, x):
    """Two convolutions, the second at half the grid, and a dense layer."""

    def convolved(x, kernel, stride):
        return jax.lax.conv_general_dilated(
            x, kernel, (stride,) * 2, "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    fine = jnp.maximum(convolved(x, params["fine"], params["fine"].shape[0] // 2) + params["bias"], 0)
    coarse = jnp.maximum(convolved(fine, params["coarse"], 2), 0) @ params["turn"]
    return {"fine": fine, "coarse": coarse, "logits": coarse.mean((1, 2)) @ params["dense"]}


def network(name="first", seed=0, size=12, window=3, bias=None):
    """`window` 3 keeps the grid, 4 and 5 halve it."""
    rng, (a, b) = np.random.default_rng(seed), WIDTHS[name]
    params = {
        "fine": rng.normal(size=(window, window, 3, a)),
        "bias": np.zeros(a) if bias is None else bias,
        "coarse": rng.normal(size=(3, 3, a, b)),
        "turn": np.eye(b),
        "dense": rng.normal(size=(b, 3)),
    }
    return made(params, name, size)


def made(params, name="made", size=12):
    params = {key: jnp.asarray(value, jnp.float32) for key, value in params.items()}
    convention = jc.InputConvention(size=(size, size), mean=0.5, std=0.25)
    return jc.Network.from_function(forward, params, convention, name=name)


def pair():
    """Two networks whose maps have other sizes: 12 and 6 cells, and 6 and 3."""
    return network("first", 0), network("second", 1, window=4)
