"""A small PyTorch ResNet that tells colored handwritten digits apart; knows nothing of JAX."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

SIZE = 32
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""What Lucent takes from a picture and divides it by, for any model that it does not know."""


class Block(nn.Module):
    """A residual block: one ReLU module that runs twice and changes its input in place."""

    def __init__(self, inputs: int, outputs: int, stride: int, groups: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, groups=groups, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """A small ResNet whose convolutions have groups."""

    def __init__(self, width: int = 16, classes: int = 10, groups: tuple[int, int] = (4, 8)):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.blocks = nn.Sequential(Block(width, width, 1, groups[0]), Block(width, 2 * width, 2, groups[1]))
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(2 * width, classes)

    def forward(self, x):
        x = self.blocks(self.pool(self.stem(x)))
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        return self.head(self.drop(x))


def digits(random: np.random.Generator, count: int, held_out: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Scans of handwritten digits, each in a color on another.

    Args:
      random: draws scans and colors.
      count: pictures.
      held_out: of the last 300 scans, or of the others.

    Returns:
      Pictures (count, 3, 32, 32), normalized, and the digits (count,).
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    rows = random.integers(len(data.target) - 300, len(data.target), count) if held_out else None
    rows = random.integers(0, len(data.target) - 300, count) if rows is None else rows
    ink = torch.tensor(data.images[rows] / 16, dtype=torch.float32)[:, None]
    ink = F.interpolate(ink, size=(SIZE, SIZE), mode="bilinear")
    first, second = torch.tensor(random.random((2, count, 3, 1, 1)), dtype=torch.float32)
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    return (first + ink * (second - first) - mean) / std, torch.tensor(data.target[rows])


def train(steps: int = 400, batch_size: int = 128) -> tuple[ResNet, float]:
    """Trains the network; takes about a minute on one core.

    Returns:
      The network in evaluation mode, and how many of 1,000 pictures of scans that it has not seen it tells right.
    """
    torch.manual_seed(0)
    random, module = np.random.default_rng(0), ResNet()
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-3)
    for _ in range(steps):
        pictures, labels = digits(random, batch_size, held_out=False)
        optimizer.zero_grad()
        F.cross_entropy(module(pictures), labels).backward()
        optimizer.step()
    module.eval()
    pictures, labels = digits(random, 1000, held_out=True)
    with torch.no_grad():
        return module, float((module(pictures).argmax(1) == labels).float().mean())
