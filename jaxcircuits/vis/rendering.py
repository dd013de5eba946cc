"""Finished pictures, and how they came about."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from jaxcircuits.images.sheet import contact_sheet, png_bytes


@dataclasses.dataclass(frozen=True, repr=False)
class Rendering:
    """Finished pictures.

    Attributes:
      images: float32 (N, H, W, channels) in [0, 1].
      scores: float32 (N,), the objective's mean over fresh random views after the last step.
      labels: what each picture was drawn for, such as `mixed4b:3`.
      snapshots: step -> images after that many steps, for the steps that were asked for.
      history: float32 (N, steps), the score at each step under that step's views; NaN after a picture was finished.
    """

    images: np.ndarray
    scores: np.ndarray
    labels: tuple[str, ...]
    snapshots: dict[int, np.ndarray]
    history: np.ndarray

    @property
    def steps(self) -> np.ndarray:
        """(N,), how many steps each picture took."""
        return np.isfinite(self.history).sum(1)

    def __repr__(self) -> str:
        count, height, width, _ = self.images.shape
        return f"Rendering({count} pictures of {height}x{width} px: {', '.join(self.labels[:3])}{' ...' * (count > 3)})"

    def _repr_png_(self) -> bytes:
        """The contact sheet that a notebook shows."""
        return png_bytes(contact_sheet(self.images, self.labels))


def joined(parts: Iterable[tuple[Sequence[int], Rendering]]) -> Rendering:
    """Renderings of some rows each as one, in the order of the rows."""
    rows, renderings = zip(*parts)
    order = np.argsort(np.concatenate(rows))

    def together(arrays):
        return np.concatenate(list(arrays))[order]

    labels = [label for rendering in renderings for label in rendering.labels]
    return Rendering(
        together(r.images for r in renderings),
        together(r.scores for r in renderings),
        tuple(labels[i] for i in order),
        {step: together(r.snapshots[step] for r in renderings) for step in sorted(renderings[0].snapshots)},
        together(r.history for r in renderings),
    )
