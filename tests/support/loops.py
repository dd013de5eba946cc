"""The zoo's operations, and networks of them, as loops in float64."""

import numpy as np

from jaxcircuits.zoo import INPUT


def starts_and_output(n, kernel, stride, convention, pool):
    """Where each window of an axis begins, from the conventions' definitions."""
    if convention == "SAME":
        output = -(-n // stride)
        before = max((output - 1) * stride + kernel - n, 0) // 2
    elif pool and stride > 1:
        output, before = -(-(n - kernel) // stride) + 1, 0
    else:
        before = kernel // 2
        output = (n + 2 * before - kernel) // stride + 1
    return [i * stride - before for i in range(output)]


def windows(x, kernel, stride, convention, pool):
    """(row, column, kernel row, kernel column, y, x) of every cell that lies inside the picture."""
    for i, top in enumerate(starts_and_output(x.shape[0], kernel, stride, convention, pool)):
        for j, left in enumerate(starts_and_output(x.shape[1], kernel, stride, convention, pool)):
            for di in range(kernel):
                for dj in range(kernel):
                    if 0 <= top + di < x.shape[0] and 0 <= left + dj < x.shape[1]:
                        yield i, j, di, dj, top + di, left + dj


def slow_shape(x, kernel, stride, convention, pool):
    return tuple(len(starts_and_output(n, kernel, stride, convention, pool)) for n in x.shape[:2])


def slow_conv(x, kernel, bias, stride, convention):
    out = np.zeros((*slow_shape(x, kernel.shape[0], stride, convention, False), kernel.shape[3]))
    for i, j, di, dj, y, column in windows(x, kernel.shape[0], stride, convention, False):
        out[i, j] += x[y, column] @ kernel[di, dj]
    return out + bias


def slow_max_pool(x, kernel, stride, convention):
    out = np.full((*slow_shape(x, kernel, stride, convention, True), x.shape[2]), -np.inf)
    for i, j, _, _, y, column in windows(x, kernel, stride, convention, True):
        out[i, j] = np.maximum(out[i, j], x[y, column])
    return out


def slow_average_pool(x, kernel, stride, convention):
    shape = slow_shape(x, kernel, stride, convention, True)
    total, count = np.zeros((*shape, x.shape[2])), np.zeros((*shape, 1))
    for i, j, _, _, y, column in windows(x, kernel, stride, convention, True):
        total[i, j] += x[y, column]
        count[i, j] += 1
    return total / count


def slow_lrn(x, lrn):
    out = np.zeros_like(x)
    for c in range(x.shape[-1]):
        near = x[..., max(c - lrn.radius, 0) : c + lrn.radius + 1]
        out[..., c] = x[..., c] / (lrn.bias + lrn.alpha * (near**2).sum(-1)) ** lrn.beta
    return out


def slow_network(architecture, params, x, linear=False):
    """Runs an Inception network, or its linearized form, in float64 with nothing of the module's code."""
    seen = {INPUT: x}
    for layer in architecture.layers:
        inputs = [seen[name] for name in layer.inputs]
        weights = {kind: np.float64(value) for kind, value in params.get(layer.weights, {}).items()}
        match layer.op:
            case "conv":
                out = slow_conv(inputs[0], weights["kernel"], weights["bias"], layer.stride, architecture.padding)
            case "relu":
                out = inputs[0] if linear else np.maximum(inputs[0], 0)
            case "max_pool":
                pool = slow_average_pool if linear else slow_max_pool
                out = pool(inputs[0], layer.kernel, layer.stride, architecture.padding)
            case "lrn":
                out = inputs[0] if linear else slow_lrn(inputs[0], architecture.lrn)
            case "concat":
                out = np.concatenate(inputs, -1)
            case "average":
                out = inputs[0].mean((0, 1))
            case "dense":
                out = inputs[0] @ weights["kernel"] + weights["bias"]
            case "softmax":
                out = np.exp(inputs[0] - inputs[0].max())
                out /= out.sum()
        seen[layer.name] = out
    return seen
