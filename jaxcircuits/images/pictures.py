"""Pictures: a sequence of them in a fixed order, read in parallel, a batch at a time."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxcircuits.errors import InputError, pixels
from jaxcircuits.images.decode import Fit
from jaxcircuits.images.sources import NO_LABEL, Source, Unreadable

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, UInt8


class Picture(NamedTuple):
    """One picture.

    Attributes:
      image: float32 (H, W, channels), in [0, 1].
      label: its class, or -1.
      name: such as its path.
    """

    image: Float[np.ndarray, "height width channels"]
    label: int
    name: str


class Batch(NamedTuple):
    """Pictures of consecutive numbers; all batches of a pass have one shape.

    Attributes:
      images: (n, H, W, channels), uint8, or float32 in [0, 1]; zero where nothing was read.
      numbers: int32 (n,), of the pictures; beyond the last one they go on.
      labels: int32 (n,), -1 where there is none.
      read: bool (n,): false where a picture could not be read, and beyond the last one.
      skipped: `NAME: why` of those that could not be read.
    """

    images: UInt8[np.ndarray, "pictures height width channels"] | Float[np.ndarray, "pictures height width channels"]
    numbers: Int[np.ndarray, " pictures"]
    labels: Int[np.ndarray, " pictures"]
    read: Bool[np.ndarray, " pictures"]
    skipped: tuple[str, ...]


def floats(image: Any) -> Any:
    """Bytes as float32 in [0, 1]; floats, which are there already, as they are. Of NumPy and of JAX, the same."""
    if image.dtype != np.uint8:
        return image
    # What division by 255 gives, without one: compilers make a product of it, which differs for every second byte. The
    # byte's product with the first part of 1 / 255 is exact, so that the sum of both is rounded once.
    values = image.astype(np.float32)
    return values * np.float32(257 / 2**16) + values * np.float32(1 / (255 * 2**16))


@dataclasses.dataclass(frozen=True)
class Pictures:
    """A sequence of pictures; `pictures[3]` is the fourth, whichever way and how often it is asked for.

    Attributes:
      source: where they come from.
      size: height and width that they are brought to, in pixels; None for their own. Arrays and scenes have their own.
      fit: how, see `jaxcircuits.images.decode.Fit`.
      channels: of files: 3 for RGB, 1 for gray.
    """

    source: Source
    size: tuple[int, int] | None = None
    fit: Fit = "crop"
    channels: int = 3

    def __post_init__(self):
        if self.size is not None:
            size = pixels("size of pictures", self.size)
            if not self.source.resizes:
                raise InputError(f"size {size} of {self.source.description}; these are taken at their own")
            object.__setattr__(self, "size", size)
        if self.fit not in ("crop", "whole"):
            raise InputError(f"fit {self.fit!r} of pictures; expected 'crop' or 'whole'")

    def __repr__(self) -> str:
        size = f"{self.size[0]}x{self.size[1]} px, {self.fit}" if self.size else "their own size"
        classes = f", {len(self.classes)} classes" if self.classes else ""
        return f"Pictures({self.source.description}: {len(self)}{classes}, {size})"

    def __len__(self) -> int:
        return len(self.source)

    @property
    def classes(self) -> tuple[str, ...]:
        """What the labels stand for, by index; empty where there are none."""
        return self.source.classes

    def name(self, index: int) -> str:
        """A picture's own name, such as its path below the folder, without reading it."""
        return self.source.name(index)

    def at(self, size: tuple[int, int], channels: int = 3) -> Pictures:
        """The same pictures at this size, where none is stated and they are not taken as they are.

        Args:
          size: height and width in pixels, such as a network's native size.
          channels: 3 for RGB, 1 for gray.
        """
        if not self.source.resizes:
            return self
        return dataclasses.replace(self, size=self.size or size, channels=channels)

    def __getitem__(self, index: int) -> Picture:
        """One picture; raises `InputError` where it cannot be read."""
        index = int(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"picture {index} of {len(self)}")
        index %= len(self)
        try:
            image, label = self._read(index)
        except Unreadable as error:
            raise InputError(f"{self.name(index)}: cannot be read ({error})") from None
        return Picture(floats(image), label, self.name(index))

    def __iter__(self) -> Iterator[Picture]:
        return (self[index] for index in range(len(self)))

    def batches(self, size: int, start: int = 0, stop: int | None = None) -> Generator[Batch, None, None]:
        """Pictures from `start` to before `stop` in batches, read ahead by threads; none is held longer than needed.

        Threads suffice: Pillow decodes and resizes without holding Python's lock.

        Args:
          size: pictures in a batch; the last one is filled.
          start: number of the first picture.
          stop: number of the picture before which to end; by default all the rest is read.

        Raises:
          InputError: for pictures of several shapes, and where none can be read any more.
        """
        import grain

        stop = len(self) if stop is None else min(stop, len(self))
        threads = os.cpu_count() or 1
        options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=max(2 * size, threads))
        numbers = grain.MapDataset.range(start, max(stop, start))
        reading = iter(numbers.map(self._read_or_say).to_iter_dataset(options))
        shape = None
        with contextlib.closing(reading):
            for first in range(start, stop, size):
                items = [next(reading) for _ in range(min(size, stop - first))]
                batch = self._batch(items, first, size, shape)
                # A batch without a picture before any other has no shape; there is nothing to see in it.
                shape = batch.images.shape[1:] if batch.read.any() else shape
                yield batch

    def _read(self, index: int) -> tuple[np.ndarray, int]:
        return self.source.read(index, self.size, self.fit, self.channels)

    def _read_or_say(self, index: int) -> tuple[np.ndarray, int] | str | InputError:
        """A picture and its label, or why it is left out, or why none is read any more."""
        try:
            return self._read(int(index))
        except Unreadable as error:
            return f"{self.name(int(index))}: {error}"
        except InputError as error:  # raised where pictures are taken: Grain adds lines of its own to what passes it
            return error

    def _batch(self, items: list, first: int, size: int, shape: tuple[int, ...] | None) -> Batch:
        read = np.zeros(size, bool)
        labels = np.full(size, NO_LABEL, np.int32)
        images = None
        for i, item in enumerate(items):
            if isinstance(item, InputError):
                raise item
            if isinstance(item, str):
                continue
            image, labels[i] = item
            if images is None:
                shape = shape or image.shape
                images = np.zeros((size, *shape), image.dtype)
            if image.shape != shape:
                raise InputError(
                    f"{self.name(first + i)}: of shape {image.shape}, others of {shape}; expected one shape: "
                    "state a size, such as open_pictures(..., size=(224, 224))"
                )
            images[i], read[i] = image, True
        if images is None:
            images = np.zeros((size, *(shape or (0, 0, self.channels))), np.uint8)
        numbers = np.arange(first, first + size, dtype=np.int32)
        return Batch(images, numbers, labels, read, tuple(item for item in items if isinstance(item, str)))
