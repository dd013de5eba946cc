"""What PyTorch's layers with weights compute, in JAX: convolutions, dense layers, attention, normalizations.

Layouts are PyTorch's, channels first: (N, C, positions...), kernels (out, in / groups, positions...). Functions take
their arguments as the operations of the same names in PyTorch's ATen do, whose definitions are at
https://docs.pytorch.org/docs/stable/nn.functional.html.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Sizes = int | Sequence[int]
Weights = jax.Array | None
"""Values for each channel, or none."""


def each(value: Sizes, n: int) -> tuple[int, ...]:
    """One number for each of n axes, of a number for all or a list."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * n if len(values) == 1 else values


def convolution(
    x: jax.Array,
    kernel: jax.Array,
    bias: jax.Array | None,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    transposed: bool,
    output_padding: Sizes,
    groups: int,
) -> jax.Array:
    """A convolution over any number of axes; a transposed one is that of the input with gaps by the turned kernel."""
    n = kernel.ndim - 2
    stride, padding, dilation, output_padding = (each(v, n) for v in (stride, padding, dilation, output_padding))
    pads, gaps = [(p, p) for p in padding], (1,) * n
    if transposed:
        # (in, out / groups, positions...) becomes (out, in / groups, positions...).
        inputs, outputs, *positions = kernel.shape
        kernel = jnp.swapaxes(kernel.reshape(groups, inputs // groups, outputs, *positions), 1, 2)
        kernel = lax.rev(kernel.reshape(groups * outputs, inputs // groups, *positions), range(2, n + 2))
        reach = [d * (k - 1) for d, k in zip(dilation, positions)]
        pads = [(r - p, r - p + extra) for r, p, extra in zip(reach, padding, output_padding)]
        stride, gaps = gaps, stride
    single = x.ndim == n + 1
    dtype = jnp.promote_types(x.dtype, kernel.dtype)
    y = lax.conv_general_dilated(
        (x[None] if single else x).astype(dtype),
        kernel.astype(dtype),
        stride,
        pads,
        lhs_dilation=gaps,
        rhs_dilation=dilation,
        feature_group_count=groups,
    )
    y = y if bias is None else y + bias.reshape(-1, *[1] * n)
    return y[0] if single else y


def linear(x: jax.Array, weight: jax.Array, bias: jax.Array | None = None) -> jax.Array:
    """A dense layer on the last axis; the weight is (out, in)."""
    y = jnp.tensordot(x, weight, axes=(-1, 1))
    return y if bias is None else y + bias


def bilinear(x: jax.Array, y: jax.Array, weight: jax.Array, bias: jax.Array | None = None) -> jax.Array:
    """A dense layer on the products of two last axes; the weight is (out, first, second)."""
    z = jnp.einsum("...i,oij,...j->...o", x, weight, y)
    return z if bias is None else z + bias


def attention(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    attn_mask: jax.Array | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> jax.Array:
    """Scaled dot-product attention, written out; (..., tokens, features)."""
    if enable_gqa:
        key, value = (jnp.repeat(v, query.shape[-3] // v.shape[-3], -3) for v in (key, value))
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    scores = jnp.matmul(query * factor, jnp.swapaxes(key, -1, -2))
    mask = np.tri(*scores.shape[-2:], dtype=bool) if is_causal else attn_mask
    if mask is None:
        return jnp.matmul(jax.nn.softmax(scores, -1), value)
    if mask.dtype != bool:
        return jnp.matmul(jax.nn.softmax(scores + mask, -1), value)
    # A token that may look at none gets zeros.
    seen = jax.nn.softmax(jnp.where(mask, scores, jnp.finfo(scores.dtype).min), -1)
    return jnp.matmul(jnp.where(mask, seen, 0), value)


# Normalizations


def batch_norm(
    x: jax.Array,
    weight: Weights,
    bias: Weights,
    mean: jax.Array,
    variance: jax.Array,
    momentum: float,
    eps: float,
) -> jax.Array:
    """By running statistics: one scale and one shift for a channel, which depend on parameters alone."""
    scale = lax.rsqrt(variance + eps) if weight is None else weight / jnp.sqrt(variance + eps)
    y = (x - _by_channel(mean, x)) * _by_channel(scale, x)
    return y if bias is None else y + _by_channel(bias, x)


def batch_norm_by_batch(
    x: jax.Array, weight: Weights, bias: Weights, training: bool, momentum: float, eps: float
) -> jax.Array:
    """By the statistics of the pictures at hand, which is what a layer without running statistics does."""
    return _affine(_standardized(x, (0, *range(2, x.ndim)), eps), weight, bias)


def instance_norm(
    x: jax.Array,
    weight: Weights,
    bias: Weights,
    mean: Weights,
    variance: Weights,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> jax.Array:
    """By the statistics of a picture's channel, or by running ones."""
    if mean is not None and variance is not None and not use_input_stats:
        return batch_norm(x, weight, bias, mean, variance, momentum, eps)
    return _affine(_standardized(x, range(2, x.ndim), eps), weight, bias)


def group_norm(
    x: jax.Array,
    groups: int,
    weight: Weights = None,
    bias: Weights = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> jax.Array:
    """By the statistics of a picture's group of channels."""
    grouped = x.reshape(x.shape[0], groups, -1)
    return _affine(_standardized(grouped, (2,), eps).reshape(x.shape), weight, bias)


def layer_norm(
    x: jax.Array,
    shape: Sequence[int],
    weight: Weights = None,
    bias: Weights = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> jax.Array:
    """By the statistics of the last axes."""
    y = _standardized(x, range(x.ndim - len(shape), x.ndim), eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def _standardized(x, axes, eps):
    axes = tuple(axes)
    centered = x - x.mean(axes, keepdims=True)
    return centered * lax.rsqrt((centered * centered).mean(axes, keepdims=True) + eps)


def _affine(x, weight, bias):
    x = x if weight is None else x * _by_channel(weight, x)
    return x if bias is None else x + _by_channel(bias, x)


def _by_channel(values, x):
    return values.reshape(-1, *[1] * (x.ndim - 2))
