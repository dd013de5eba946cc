"""Finished pictures, and how they came about."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from jaxcircuits.errors import InputError
from jaxcircuits.images.sheet import contact_sheet, png_bytes, save_image, shown, to_image

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclasses.dataclass(frozen=True, repr=False)
class Rendering:
    """Finished pictures. `len`, an index, a slice or a list of rows give some of them, `save` writes them to files.

    Attributes:
      images: float32 (N, H, W, channels) in [0, 1]; NaN where a picture failed.
      scores: float32 (N,), the objective's mean over fresh random views after the last step.
      labels: what each picture was drawn for, such as `mixed4b:3`.
      snapshots: step -> images after that many steps, for the steps that were asked for.
      history: float32 (N, steps), the score at each step under that step's views; NaN after a picture was finished.
      steps: (N,), how many steps each picture took.
      failures: row -> from which step on something was not finite, and the likely cause.
      transparent: whether the last channel is alpha.
    """

    images: Float[np.ndarray, "pictures height width channels"]
    scores: Float[np.ndarray, " pictures"]
    labels: tuple[str, ...]
    snapshots: Mapping[int, Float[np.ndarray, "pictures height width channels"]]
    history: Float[np.ndarray, "pictures steps"]
    steps: Int[np.ndarray, " pictures"]
    failures: Mapping[int, str] = dataclasses.field(default_factory=dict)
    transparent: bool = False

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: int | slice | Sequence[int]) -> Rendering:
        """Some of the pictures; of one number, that one."""
        try:
            chosen = np.atleast_1d(np.arange(len(self))[rows if isinstance(rows, slice) else np.asarray(rows)])
        except IndexError:
            raise IndexError(f"picture {rows!r} of {len(self)}") from None
        return Rendering(
            self.images[chosen],
            self.scores[chosen],
            tuple(self.labels[row] for row in chosen),
            {step: images[chosen] for step, images in self.snapshots.items()},
            self.history[chosen],
            self.steps[chosen],
            {i: self.failures[row] for i, row in enumerate(chosen.tolist()) if row in self.failures},
            self.transparent,
        )

    def sheet(self, columns: int | None = None) -> Image.Image:
        """The contact sheet, with the labels as captions.

        Args:
          columns: pictures a row; by default the sheet is near square.
        """
        return contact_sheet(shown(self.images, self.transparent), self.labels, columns)

    def save(self, path: str | Path) -> list[Path]:
        """Writes the pictures.

        Args:
          path: of one image file (`.png`, `.webp`, `.jpg`), for the contact sheet or a single picture; or of a folder,
            for `LABEL.png` of each picture.

        Returns:
          The files written.

        Raises:
          InputError: where they cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() in (".png", ".webp", ".jpg", ".jpeg"):
            single = len(self) == 1 and 0 not in self.failures
            image = to_image(shown(self.images, self.transparent)[0]) if single else self.sheet()
            save_image(image.convert("RGB") if path.suffix.lower() in (".jpg", ".jpeg") else image, path)
            return [path]
        if path.suffix and not path.is_dir():
            raise InputError(f"{path}: pictures are saved as .png, .webp or .jpg, or to a folder")
        files = []
        for i, picture in enumerate(shown(self.images, self.transparent)):
            if i in self.failures:
                continue
            name = re.sub(r"[^\w.@,^+-]+", "-", self.labels[i]).strip("-") or "picture"
            again = self.labels[:i].count(self.labels[i])
            files.append(path / f"{name}{f'.{again}' if again else ''}.png")
            save_image(to_image(picture), files[-1])
        return files

    def __repr__(self) -> str:
        count, (height, width) = len(self), self.images.shape[1:3]
        noun = "picture" if count == 1 else "pictures"
        failed = f", {len(self.failures)} not finite" if self.failures else ""
        names = f"{', '.join(self.labels[:3])}{' ...' * (count > 3)}"
        return f"Rendering({count} {noun} of {height}x{width} px{failed}: {names})"

    def _repr_png_(self) -> bytes:
        """The contact sheet that a notebook shows."""
        return png_bytes(self.sheet())


class NotFinite(InputError):
    """Pictures, or what they would be drawn from, that are not finite.

    Attributes:
      rendering: all that was drawn, the failed pictures marked in its `failures`.
    """

    def __init__(self, rendering: Rendering):
        (row, first), *others = sorted(rendering.failures.items())
        more = f" (and {len(others)} more of {len(rendering)})" if others else ""
        rest = "; the others are in this error's .rendering" if len(rendering) > len(rendering.failures) else ""
        super().__init__(f"{rendering.labels[row]}: {first}{more}{rest}")
        self.rendering = rendering


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, or a notebook's stop button, after some pictures were finished.

    Attributes:
      rendering: the finished pictures.
    """

    def __init__(self, rendering: Rendering, count: int):
        super().__init__(
            f"stopped: {len(rendering)} of {count} pictures are finished, in this exception's .rendering "
            "(in a notebook: sys.last_value.rendering)"
        )
        self.rendering = rendering


def joined(parts: Iterable[tuple[Sequence[int], Rendering]]) -> Rendering:
    """Renderings of some rows each as one, in the order of the rows."""
    rows, renderings = zip(*parts)
    order = np.argsort(np.concatenate(rows))
    place = {int(row): i for i, row in enumerate(order)}

    def together(arrays):
        return np.concatenate(list(arrays))[order]

    labels = [label for rendering in renderings for label in rendering.labels]
    before = np.cumsum([0, *(len(rendering) for rendering in renderings)])
    failures = {place[start + i]: text for start, r in zip(before, renderings) for i, text in r.failures.items()}
    return Rendering(
        together(r.images for r in renderings),
        together(r.scores for r in renderings),
        tuple(labels[i] for i in order),
        {step: together(r.snapshots[step] for r in renderings) for step in sorted(renderings[0].snapshots)},
        together(r.history for r in renderings),
        together(r.steps for r in renderings),
        failures,
        renderings[0].transparent,
    )
