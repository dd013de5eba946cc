"""The operations of PyTorch's graphs, by name, as functions of JAX arrays.

Names are those of PyTorch's ATen operations (`aten.NAME.OVERLOAD`,
https://docs.pytorch.org/docs/stable/torch.compiler_ir.html). An operation that is in the table is taken whole; any
other is taken apart by PyTorch into smaller ones where it knows how.
"""

from __future__ import annotations

import jax.numpy as jnp

from jaxcircuits.naming import named
from jaxcircuits.network.adapters.torch_operations import layers, numbers, pools, shapes  # noqa: F401
from jaxcircuits.network.adapters.torch_operations.table import OPERATIONS, operations

__all__ = ["OPERATIONS"]

OPERATIONS["jaxcircuits.mark.default"] = lambda x, path, kind: named(path, x, kind)

# What is known before the model runs

for _name in ("_assert_scalar.default", "_assert_async.msg", "_assert_tensor_metadata.default"):
    OPERATIONS[f"aten.{_name}"] = lambda *_, **__: None
operations(
    {
        "sym_size.int": lambda x, axis: x.shape[axis],
        "sym_numel.default": lambda x: x.size,
        "full.default": lambda size, value, dtype: jnp.full(size, value, dtype),
        "full_like.default": lambda x, value, dtype: jnp.full(x.shape, value, dtype),
        "empty.memory_format": lambda size, dtype: jnp.zeros(size, dtype),
        "scalar_tensor.default": lambda value, dtype: jnp.asarray(value, dtype),
        "arange.start_step": lambda start, end, step=1, dtype=None: jnp.arange(start, end, step, dtype),
    }
)

# Products

operations(
    {
        "mm.default bmm.default matmul.default mv.default dot.default": jnp.matmul,
        "addmm.default baddbmm.default": lambda c, a, b, beta=1, alpha=1: beta * c + alpha * jnp.matmul(a, b),
        "einsum.default": lambda equation, operands, path=None: jnp.einsum(equation, *operands),
        "linear.default": layers.linear,
        "bilinear.default": layers.bilinear,
        "convolution.default": layers.convolution,
        "scaled_dot_product_attention.default": layers.attention,
    }
)

# Normalizations, pools, resampling

operations(
    {
        "batch_norm.default": lambda x, w, b, mean, var, training, momentum, eps, cudnn: (
            layers.batch_norm_by_batch(x, w, b, True, momentum, eps)
            if training
            else layers.batch_norm(x, w, b, mean, var, momentum, eps)
        ),
        "_native_batch_norm_legit_no_training.default": lambda *args: (layers.batch_norm(*args), None, None),
        "_native_batch_norm_legit.no_stats": lambda *args: (layers.batch_norm_by_batch(*args), None, None),
        "instance_norm.default": layers.instance_norm,
        "group_norm.default": layers.group_norm,
        "native_group_norm.default": lambda x, w, b, n, c, size, groups, eps: (
            layers.group_norm(x, groups, w, b, eps),
            None,
            None,
        ),
        "layer_norm.default": layers.layer_norm,
        "native_layer_norm.default": lambda *args: (layers.layer_norm(*args), None, None),
        "max_pool2d_with_indices.default": pools.max_pool_with_indices,
    }
)
for _n, _linear in enumerate(("linear", "bilinear", "trilinear"), 1):
    operations(
        {
            f"max_pool{_n}d.default": pools.max_pool(_n),
            f"avg_pool{_n}d.default": pools.avg_pool(_n),
            f"adaptive_avg_pool{_n}d.default _adaptive_avg_pool{_n}d.default": pools.adaptive_avg_pool(_n),
            f"adaptive_max_pool{_n}d.default": pools.adaptive_max_pool(_n),
            f"upsample_nearest{_n}d.vec upsample_nearest{_n}d.default": pools.nearest(exact=False),
            f"_upsample_nearest_exact{_n}d.vec _upsample_nearest_exact{_n}d.default": pools.nearest(exact=True),
            f"upsample_{_linear}{_n}d.vec upsample_{_linear}{_n}d.default": pools.interpolated(),
        }
    )
for _kind, _cubic in (("bilinear", False), ("bicubic", True)):
    operations(
        {
            f"upsample_{_kind}2d.vec upsample_{_kind}2d.default": pools.interpolated(_cubic),
            f"_upsample_{_kind}2d_aa.vec _upsample_{_kind}2d_aa.default": pools.interpolated(_cubic, antialias=True),
        }
    )
