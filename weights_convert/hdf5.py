"""Reader of a folder with one HDF5 file a tensor, as Google's 2015 release was dumped (soumith/inception.torch)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.files import damaged
from weights_convert.files import check_size, files_of, head
from weights_convert.published import Contents, Published

SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""HDF5 File Format Specification, section II.A."""


def read(path: Path) -> Contents | None:
    """The tensors of a folder: every HDF5 file in it holds one data set that bears the file's name.

    Returns:
      The contents, kernels (out, height, width, in); None where `path` is no folder.

    Raises:
      InputError: where no file of the folder is HDF5, or one is damaged or holds something else.
    """
    if not path.is_dir():
        return None
    files = [file for file in files_of(path) if head(file, len(SIGNATURE)) == SIGNATURE]
    if not files:
        raise InputError(f"{path}: the folder holds no HDF5 files; expected one a tensor, such as conv2d0_w.h5")
    return Contents({file.stem: _tensor(file) for file in files})


def _tensor(path: Path) -> Published:
    check_size(path)

    def load() -> np.ndarray:
        with _dataset(path) as dataset:
            return np.asarray(dataset[()])

    with _dataset(path) as dataset:
        return Published(dataset.shape, str(dataset.dtype), load)


@contextlib.contextmanager
def _dataset(path: Path) -> Iterator[Any]:
    try:
        import h5py
    except ImportError as error:
        raise InputError(f"{path}: reading HDF5 needs h5py; pip install 'jaxcircuits[convert]'") from error
    errors = (OSError, RuntimeError, KeyError, TypeError, ValueError)
    with damaged(f"HDF5 file {path}", *errors), h5py.File(path, "r") as file:
        # A link or an external data set would read some other file of this machine.
        if not isinstance(file.get(path.stem, getlink=True), h5py.HardLink):
            raise InputError(f"{path}: holds {[*file]}; expected a data set {path.stem!r}")
        dataset = file[path.stem]
        if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
            raise InputError(f"{path}: {path.stem!r} is not a data set with its values in this file")
        yield dataset
