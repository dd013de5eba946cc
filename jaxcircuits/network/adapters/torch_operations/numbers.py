"""Operations on numbers: functions of one, of two, and reductions."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxcircuits.network.adapters.torch_operations.table import OPERATIONS, operation, operations

# One number at a time

for _function in (
    *(jnp.abs, jnp.acos, jnp.acosh, jnp.asin, jnp.asinh, jnp.atan, jnp.atanh, jnp.cos, jnp.cosh, jnp.sin, jnp.sinh),
    *(jnp.tan, jnp.tanh, jnp.exp, jnp.expm1, jnp.log, jnp.log10, jnp.log1p, jnp.log2, jnp.sqrt, jnp.square),
    *(jnp.ceil, jnp.floor, jnp.round, jnp.trunc, jnp.sign, jnp.isinf, jnp.isnan, jnp.logical_not),
):
    OPERATIONS[f"aten.{_function.__name__}.default"] = _function
operations(
    {
        "clone.default alias.default lift_fresh_copy.default detach.default contiguous.default": lambda x: x,
        "neg.default": operator.neg,
        "bitwise_not.default": operator.invert,
        "reciprocal.default": lambda x: 1 / x,
        "rsqrt.default": lax.rsqrt,
        "erf.default": lax.erf,
        "erfc.default": lax.erfc,
        "sigmoid.default": jax.nn.sigmoid,
        "relu.default": jax.nn.relu,
        "silu.default": jax.nn.silu,
        "mish.default": jax.nn.mish,
        "hardswish.default": jax.nn.hard_swish,
        "hardsigmoid.default": jax.nn.hard_sigmoid,
        "leaky_relu.default": lambda x, slope=0.01: jnp.where(x > 0, x, slope * x),
        "softmax.int _softmax.default": lambda x, axis, *_, dtype=None: jax.nn.softmax(x, axis),
        "log_softmax.int _log_softmax.default": lambda x, axis, *_, dtype=None: jax.nn.log_softmax(x, axis),
        "_to_copy.default": lambda x, dtype: x.astype(dtype),
    }
)


@operation("gelu.default")
def _gelu(x, approximate="none"):
    if approximate == "none":
        return 0.5 * x * lax.erfc(-np.sqrt(0.5).item() * x)
    # Hendrycks and Gimpel, Gaussian error linear units, 2016, section 2.
    return 0.5 * x * (1 + jnp.tanh(np.sqrt(2 / np.pi).item() * (x + 0.044715 * x**3)))


@operation("hardtanh.default")
def _hardtanh(x, low=-1.0, high=1.0):
    return jax.nn.relu6(x) if (low, high) == (0, 6) else jnp.clip(x, low, high)


@operation("rrelu_with_noise_functional.default")
def _rrelu(x, noise, lower=1 / 8, upper=1 / 3, training=False, generator=None):
    return jnp.where(x > 0, x, (lower + upper) / 2 * x), noise


@operation("elu.default")
def _elu(x, alpha=1.0, scale=1.0, input_scale=1.0):
    below = jnp.expm1(jnp.where(x > 0, 0, x) * input_scale) * alpha
    return jnp.where(x > 0, x, below) * scale


@operation("prelu.default")
def _prelu(x, weight):
    slope = weight.reshape(-1, *[1] * (x.ndim - 2)) if weight.size > 1 else weight.reshape([1] * x.ndim)
    return jnp.where(x > 0, x, slope * x)


@operation("softplus.default")
def _softplus(x, beta=1.0, threshold=20.0):
    return jnp.where(x * beta > threshold, x, jnp.log1p(jnp.exp(jnp.minimum(x * beta, threshold))) / beta)


@operation("clamp.default", "clamp.Tensor")
def _clamp(x, low=None, high=None):
    return jnp.clip(x, low, high)


# Two arrays, or an array and a number

for _name, _function in {
    "eq": jnp.equal,
    "ne": jnp.not_equal,
    "lt": jnp.less,
    "le": jnp.less_equal,
    "gt": jnp.greater,
    "ge": jnp.greater_equal,
    "bitwise_and": jnp.bitwise_and,
    "bitwise_or": jnp.bitwise_or,
    "bitwise_xor": jnp.bitwise_xor,
    "mul": operator.mul,
    "remainder": jnp.remainder,
    "fmod": jnp.fmod,
}.items():
    OPERATIONS[f"aten.{_name}.Tensor"] = OPERATIONS[f"aten.{_name}.Scalar"] = _function
operations(
    {
        "add.Tensor add.Scalar": lambda x, y, alpha=1: x + (y if alpha == 1 else y * alpha),
        "sub.Tensor sub.Scalar": lambda x, y, alpha=1: x - (y if alpha == 1 else y * alpha),
        "maximum.default": jnp.maximum,
        "minimum.default": jnp.minimum,
        "atan2.default": jnp.arctan2,
        "logical_and.default": jnp.logical_and,
        "logical_or.default": jnp.logical_or,
        "logical_xor.default": jnp.logical_xor,
        "pow.Tensor_Tensor pow.Scalar": jnp.power,
        "where.self": jnp.where,
    }
)


@operation("div.Tensor", "div.Scalar", "div.Tensor_mode", "div.Scalar_mode")
def _div(x, y, rounding_mode=None):
    if rounding_mode is None:
        return x / y
    if rounding_mode == "floor":
        return jnp.floor_divide(x, y)
    # Toward zero.
    if jnp.issubdtype(jnp.result_type(x, y), jnp.floating):
        return jnp.trunc(x / y)
    return lax.div(*jnp.broadcast_arrays(x, y))


@operation("pow.Tensor_Scalar")
def _pow(x, exponent):
    # A whole exponent is a product, which negative numbers have too.
    whole = isinstance(exponent, int) or exponent.is_integer()
    return x ** int(exponent) if whole else jnp.power(x, exponent)


# Sums and other reductions


def _axes(x, axes):
    return tuple(range(x.ndim)) if axes is None or axes == [] else axes if isinstance(axes, int) else tuple(axes)


def mean(x: jax.Array, axes: Sequence[int], keepdims: bool = False) -> jax.Array:
    """The mean over axes; a sum over a number, with nothing between the two, so that it reads as one."""
    value = jnp.mean(x, axes)
    return jnp.expand_dims(value, axes) if keepdims else value


def _reduction(function: Callable) -> Callable:
    def reduce(x, axes=None, keepdim=False, dtype=None):
        return function(x if dtype is None else x.astype(dtype), _axes(x, axes), keepdims=keepdim)

    return reduce


operations(
    {
        "sum.default sum.dim_IntList": _reduction(jnp.sum),
        "mean.default mean.dim": _reduction(mean),
        "prod.default prod.dim_int": _reduction(jnp.prod),
        "amax.default": _reduction(jnp.max),
        "amin.default": _reduction(jnp.min),
        "max.default": jnp.max,
        "min.default": jnp.min,
        "any.default any.dim any.dims": _reduction(jnp.any),
        "all.default all.dim all.dims": _reduction(jnp.all),
        "logsumexp.default": _reduction(jax.nn.logsumexp),
        "argmax.default": lambda x, axis=None, keepdim=False: jnp.argmax(x, axis, keepdims=keepdim),
        "argmin.default": lambda x, axis=None, keepdim=False: jnp.argmin(x, axis, keepdims=keepdim),
        "max.dim": lambda x, axis, keepdim=False: (x.max(axis, keepdims=keepdim), x.argmax(axis, keepdims=keepdim)),
        "min.dim": lambda x, axis, keepdim=False: (x.min(axis, keepdims=keepdim), x.argmin(axis, keepdims=keepdim)),
        "cumsum.default": lambda x, axis, dtype=None: jnp.cumsum(x, axis, dtype),
        "cumprod.default": lambda x, axis, dtype=None: jnp.cumprod(x, axis, dtype),
    }
)


@operation("var.correction")
def _var(x, axes=None, correction=1, keepdim=False):
    axes = _axes(x, axes)
    return jnp.var(x, axes, ddof=1 if correction is None else correction, keepdims=keepdim)


@operation("var_mean.correction")
def _var_mean(x, axes=None, correction=1, keepdim=False):
    return _var(x, axes, correction, keepdim), jnp.mean(x, _axes(x, axes), keepdims=keepdim)


@operation("linalg_vector_norm.default")
def _vector_norm(x, order=2, axes=None, keepdim=False, dtype=None):
    if order == 2:
        return jnp.sqrt(jnp.sum(x * x, _axes(x, axes), keepdims=keepdim))
    if order in (float("inf"), float("-inf")):
        return (jnp.max if order > 0 else jnp.min)(jnp.abs(x), _axes(x, axes), keepdims=keepdim)
    return jnp.sum(jnp.abs(x) ** order, _axes(x, axes), keepdims=keepdim) ** (1 / order)


@operation("topk.default")
def _topk(x, k, axis=-1, largest=True, sorted=True):
    moved = jnp.moveaxis(x, axis, -1)
    values, places = lax.top_k(moved if largest else -moved, k)
    return jnp.moveaxis(values if largest else -values, -1, axis), jnp.moveaxis(places, -1, axis)


@operation("median.dim")
def _median(x, axis=-1, keepdim=False):
    # Of an even number, the lower one.
    places = jnp.argsort(x, axis, stable=True)
    place = lax.slice_in_dim(places, middle := (x.shape[axis] - 1) // 2, middle + 1, axis=axis)
    value = jnp.take_along_axis(x, place, axis)
    return (value, place) if keepdim else (value.squeeze(axis), place.squeeze(axis))


@operation("sort.default")
def _sort(x, axis=-1, descending=False):
    places = jnp.argsort(x, axis, stable=True, descending=descending)
    return jnp.take_along_axis(x, places, axis), places
