"""Two PyTorch models as people write them: the benchmark's ResNet with grouped convolutions, a vision transformer."""

from __future__ import annotations

import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.torch_resnet import ResNet

__all__ = ["ResNet", "ViT", "activations", "trained"]


class Attention(nn.Module):
    """Attention of several heads by PyTorch's fused function."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        pictures, tokens, width = x.shape
        qkv = self.qkv(x).reshape(pictures, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(pictures, tokens, width))


class Layer(nn.Module):
    """A transformer's layer: attention, then a perceptron, each beside what it adds to."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """A small vision transformer with a class token and a table of positions."""

    def __init__(self, size: int = 32, patch: int = 8, width: int = 24, heads: int = 3, classes: int = 10):
        super().__init__()
        self.embed = nn.Conv2d(3, width, patch, patch)
        self.cls = nn.Parameter(0.1 * torch.randn(1, 1, width))
        self.positions = nn.Parameter(0.1 * torch.randn(1, (size // patch) ** 2 + 1, width))
        self.layers = nn.ModuleList([Layer(width, heads), Layer(width, heads)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.positions
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x)[:, 0])


def activations(module: nn.Module, x: np.ndarray) -> dict[str, np.ndarray]:
    """What each submodule returns in its first run, by forward hooks, and the model as "output".

    Args:
      module: the model.
      x: its input, (N, H, W, C).

    Returns:
      Path -> activation, channels last.
    """
    seen = {}

    def keep(path, output):
        if path not in seen:
            seen[path] = output.clone()  # which a later change in place does not reach

    module = copy.deepcopy(module)
    for path, part in module.named_modules():
        part.register_forward_hook(lambda _, __, output, path=path: keep(path, output))
    with torch.no_grad():
        module(torch.tensor(np.moveaxis(x, -1, 1)))
    values = {path.replace(".", "/") or "output": value.numpy() for path, value in seen.items()}
    return {path: np.moveaxis(value, 1, -1) if value.ndim == 4 else value for path, value in values.items()}


def trained(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module in evaluation mode with the weights and running statistics that training might have left."""
    random = torch.Generator().manual_seed(seed)
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        value = torch.randn(tensor.shape, generator=random)
        if name.endswith("running_var"):
            tensor.data = 0.5 + torch.rand(tensor.shape, generator=random)
        elif not tensor.is_floating_point():
            continue
        elif tensor.ndim > 1:
            tensor.data = value * (2 / tensor[0].numel()) ** 0.5
        else:
            tensor.data = 0.3 * value + (1.0 if name.endswith("weight") else 0.0)
    return module.eval()
