"""Where pictures come from: files, arrays, scenes drawn on demand. Each is a sequence in a fixed order."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from jaxcircuits.errors import InputError, unknown
from jaxcircuits.images.decode import SUFFIXES, Fit, decode, is_picture

if TYPE_CHECKING:
    from jaxtyping import Float

NO_LABEL = -1
"""The label of a picture that has none."""


class Source(Protocol):
    """Pictures by number.

    Attributes:
      description: where they come from, in a few words.
      classes: what the labels stand for, by index; empty where there are no labels.
      resizes: whether `read` brings pictures to the size asked for; arrays and scenes are taken as they are.
    """

    @property
    def description(self) -> str: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def resizes(self) -> bool: ...

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """A picture's own name, such as its path below the folder."""
        ...

    def read(self, index: int, size: tuple[int, int] | None, fit: Fit, channels: int) -> tuple[np.ndarray, int]:
        """A picture (H, W, channels), uint8 or float32 in [0, 1], and its label.

        Raises:
          Unreadable: where this one cannot be read; others may be.
          InputError: where none can be read any more.
        """
        ...


class Unreadable(InputError):
    """One picture cannot be read: it is named, counted and left out."""


@dataclasses.dataclass(frozen=True, eq=False)
class Files:
    """Picture files.

    Attributes:
      root: the folder that `paths` are below; None where each stands for itself.
      paths: in their order.
      labels: one a path; empty where there are none.
    """

    root: Path | None
    paths: tuple[str, ...]
    labels: np.ndarray
    description: str
    classes: tuple[str, ...] = ()
    resizes = True

    @classmethod
    def below(cls, folder: Path, split: str | None) -> Files:
        """Those of a folder and its subfolders, ordered by path; a picture's class is the folder that it lies in.

        Args:
          folder: with pictures, or with a folder a class, or with a folder a split and in it a folder a class.
          split: the subfolder to take; None for all.

        Raises:
          InputError: where there is no such split, or no picture.
        """
        if split is not None:
            if not (folder / split).is_dir():
                raise unknown(
                    "split", split, sorted(entry.name for entry in folder.iterdir() if entry.is_dir()), folder
                )
            folder = folder / split
        paths, others = _walk(folder)
        if not paths:
            there = f"; there are {others} other files" if others else ""
            raise InputError(f"{folder}: no pictures there; expected files {', '.join(SUFFIXES)}{there}")
        of = [os.path.basename(os.path.dirname(path)) for path in paths]
        classes = tuple(sorted(set(of) - {""}))
        number = {name: i for i, name in enumerate(classes)} | {"": NO_LABEL}
        labels = np.array([number[name] for name in of], np.int32) if classes else np.zeros(0, np.int32)
        return cls(folder, tuple(paths), labels, str(folder), classes)

    @classmethod
    def listed(cls, paths: Sequence[str | os.PathLike]) -> Files:
        """Those of a list, in its order.

        Raises:
          InputError: for one that is not there.
        """
        names = tuple(os.fspath(path) for path in paths)
        for name in names:
            if not os.path.isfile(name):
                raise InputError(f"{name}: no such file; expected paths of pictures")
        return cls(None, names, np.zeros(0, np.int32), f"{len(names)} files")

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        return self.paths[index]

    def read(self, index: int, size: tuple[int, int] | None, fit: Fit, channels: int) -> tuple[np.ndarray, int]:
        path = self.paths[index] if self.root is None else os.path.join(self.root, self.paths[index])
        try:
            pixels = decode(path, size, fit, channels)
        except FileNotFoundError:
            # Were they left out one by one, a folder that went away would end as evidence from what was read before.
            if self.root is not None and not self.root.is_dir():
                raise InputError(f"{self.root}: the folder is not there any more") from None
            raise Unreadable("the file is not there any more") from None
        except InputError as error:
            raise Unreadable(str(error)) from None
        return pixels, int(self.labels[index]) if len(self.labels) else NO_LABEL


@dataclasses.dataclass(frozen=True, eq=False)
class Arrays:
    """An array (N, H, W, channels), uint8, or float in [0, 1]; memory-mapped ones are read as they are needed."""

    array: np.ndarray
    labels: np.ndarray
    description: str
    classes: tuple[str, ...] = ()
    resizes = False

    @classmethod
    def of(cls, array: Any, labels: Any = None) -> Arrays:
        """Checks shape and type.

        Raises:
          InputError: where they are no pictures, or labels are not one whole number a picture.
        """
        array = array if isinstance(array, np.ndarray) else np.asarray(array)
        expected = "expected (N, height, width, channels), uint8, or float in [0, 1]"
        if array.ndim != 4 or not array.size:
            hint = "; add the leading axis with pictures[None]" if array.ndim == 3 else ""
            raise InputError(f"pictures of shape {array.shape}; {expected}{hint}")
        if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
            raise InputError(f"pictures of type {array.dtype}; {expected}")
        description = f"{len(array)} pictures in an array"
        if labels is None:
            return cls(array, np.zeros(0, np.int32), description)
        labels = np.asarray(labels)
        if labels.shape != (len(array),) or labels.dtype.kind not in "iu" or labels.min() < NO_LABEL:
            raise InputError(f"labels {labels.dtype} {labels.shape}; expected whole numbers ({len(array)},) from 0 on")
        classes = tuple(str(i) for i in range(int(labels.max()) + 1))
        return cls(array, labels.astype(np.int32), description, classes)

    def __len__(self) -> int:
        return len(self.array)

    def name(self, index: int) -> str:
        return str(index)

    def read(self, index: int, size: tuple[int, int] | None, fit: Fit, channels: int) -> tuple[np.ndarray, int]:
        picture = self.array[index]
        if picture.dtype != np.uint8:
            picture = np.asarray(picture, np.float32)
            check_range(picture, f"picture {index}")
        return picture, int(self.labels[index]) if len(self.labels) else NO_LABEL


@dataclasses.dataclass(frozen=True)
class Scenes:
    """Pictures that a function draws, each from its own key: picture `i` is `draw(fold_in(key(seed), i))`.

    >>> open_pictures(Scenes(scenes.scene, 100_000, classes=scenes.CLASSES))

    Attributes:
      draw: from a `jax.random` key to a picture (H, W, channels) in [0, 1], or to one and its label; it is compiled.
      count: how many there are.
      seed: of the keys.
      classes: what the labels stand for.
    """

    draw: Callable[[Any], Any]
    count: int
    seed: int = 0
    classes: tuple[str, ...] = ()
    resizes = False
    _keyed: Callable[[np.uint32], Any] = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self):
        if not isinstance(self.count, int) or self.count < 1:
            raise InputError(f"count {self.count!r} of scenes; expected a whole number from 1 on")
        import jax

        object.__setattr__(self, "classes", tuple(self.classes))
        # Here and not when the first is asked for: of the threads that then come together each would compile its own.
        keyed = jax.jit(lambda index: self.draw(jax.random.fold_in(jax.random.key(self.seed), index)))
        object.__setattr__(self, "_keyed", keyed)

    @property
    def description(self) -> str:
        return f"{self.count} scenes of {getattr(self.draw, '__name__', 'a function')}, seed {self.seed}"

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        return str(index)

    def read(
        self, index: int, size: tuple[int, int] | None, fit: Fit, channels: int
    ) -> tuple[Float[np.ndarray, "height width channels"], int]:
        drawn = self._keyed(np.uint32(index))
        picture, label = drawn if isinstance(drawn, tuple) else (drawn, NO_LABEL)
        picture = np.asarray(picture, np.float32)
        if picture.ndim != 3:
            raise InputError(
                f"{self.description}: a scene of shape {picture.shape}; expected (height, width, channels)"
            )
        check_range(picture, f"scene {index}")
        return picture, int(label)


def check_range(picture: np.ndarray, name: str) -> None:
    """Raises `InputError` for a picture whose values are not in [0, 1], but for rounding."""
    low, high = float(picture.min()), float(picture.max())
    if not (low >= -0.002 and high <= 1.002):
        raise InputError(f"{name}: values from {low:.4g} to {high:.4g}; expected [0, 1]")


def _walk(folder: Path) -> tuple[list[str], int]:
    """Paths of pictures below a folder, in order, with `/`, and how many other files there are.

    Hidden files do not count. Links to folders are followed, each folder once.
    """
    paths: list[str] = []
    others, seen = 0, set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if real not in seen else []
        if real in seen:
            continue
        seen.add(real)
        below = os.path.relpath(place, folder)
        prefix = "" if below == os.curdir else below.replace(os.sep, "/") + "/"
        visible = [name for name in files if not name.startswith(".")]
        pictures = [prefix + name for name in visible if is_picture(name)]
        others += len(visible) - len(pictures)
        paths += pictures
    # By folder and then by name, whatever order the disk gives.
    return sorted(paths, key=lambda path: path.split("/")), others
