"""What belongs to a figure: how many it is of, its bootstrap interval, what it would be by chance.

A unit that was chosen because it answers some pictures most will answer those pictures: what is said of it is measured
on others. `halves` splits pictures, so that each program chooses on one half and measures on the other.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import jaxcircuits as jc
from jaxcircuits.p_values import among

RESAMPLES = 1000
LEVEL = 0.95


def halves(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the pictures that choose (even ones) and of those that measure (odd ones), of `count` by path."""
    numbers = np.arange(count)
    return numbers[::2], numbers[1::2]


def interval(statistic: Callable[..., float], *samples: np.ndarray, seed: int = 0) -> list[float]:
    """The percentile bootstrap's interval of a statistic, at 95 % (Efron, 1979).

    Args:
      statistic: of samples, resampled together along their first axis.
      *samples: of one length.
      seed: of the resamples.

    Returns:
      [low, high].
    """
    rng, count = np.random.default_rng(seed), len(samples[0])
    values = []
    for _ in range(RESAMPLES):
        chosen = rng.integers(0, count, count)
        values.append(statistic(*(np.asarray(sample)[chosen] for sample in samples)))
    return np.nanquantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()


def figure(statistic: Callable[..., float], *samples: np.ndarray, digits: int = 2) -> dict[str, Any]:
    """A statistic with its interval and the number of samples: `value`, `interval`, `n`."""
    return {
        "value": rounded(statistic(*map(np.asarray, samples)), digits),
        "interval": [rounded(end, digits) for end in interval(statistic, *samples)],
        "n": len(samples[0]),
    }


def by_chance(found: float, null: np.ndarray) -> float:
    """The share of a null's values that are at least as large, the one found included: no less than 1 / (1 + null)."""
    return rounded(among(found, null), 4)


def rounded(number: float, digits: int = 2) -> float:
    """As Python's own float."""
    return round(float(number), digits)


def open_photographs(folder: Path) -> tuple[jc.Pictures, np.ndarray]:
    """Photographs in a folder of one folder a synset, whole, at 224 px; and the synset of each."""
    pictures = jc.open_pictures(folder, size=224, fit="whole")
    return pictures, np.array([Path(pictures.name(i)).parent.name for i in range(len(pictures))])


def read(pictures: jc.Pictures, chosen: np.ndarray) -> np.ndarray:
    """Those of the given numbers: float32 (N, H, W, 3) in [0, 1]."""
    return np.stack([pictures[int(i)].image for i in chosen])
