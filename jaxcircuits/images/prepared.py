"""Pictures of a prepared TFDS data set, read as a data source: at random, and without TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcircuits.errors import InputError, shown, unknown
from jaxcircuits.files import check_file, parse_json, read_as
from jaxcircuits.images.decode import Fit, decode
from jaxcircuits.images.sources import NO_LABEL, Unreadable

if TYPE_CHECKING:
    from tensorflow_datasets.core import DatasetBuilder

DESCRIPTION_FILE = "dataset_info.json"
FEATURES_FILE = "features.json"
"""What the folder of a prepared data set holds."""

LARGEST = 2**24
"""Bytes of either."""

WHAT = "a data set's description"
_CLASS = {"type", "pythonClassName", "python_class_name"}
"""What names a feature's class."""


@dataclasses.dataclass(frozen=True, eq=False)
class Prepared:
    """The examples of a prepared data set.

    Attributes:
      examples: sequence of dicts, pictures not yet decoded.
      picture: the feature that holds the picture.
      label: the feature that holds the class; None where there is none.
    """

    examples: Sequence[dict[str, Any]]
    picture: str
    label: str | None
    description: str
    classes: tuple[str, ...]
    resizes = True

    @classmethod
    def named(cls, name: str, split: str | None) -> Prepared:
        """The data set of that name, `NAME` or `NAME:CONFIG`, in `$TFDS_DATA_DIR` or `~/tensorflow_datasets`.

        Raises:
          InputError: where it is not prepared there, and as `of`.
        """
        from tensorflow_datasets.core import file_adapters, read_only_builder, registered
        from tensorflow_datasets.core.utils import file_utils

        data_set, _, config = name.partition(":")
        try:
            builder = read_only_builder.builder_from_files(f"{data_set}/{config}" if config else data_set)
        except (registered.DatasetNotFoundError, ValueError, AssertionError):
            folders = ", ".join(str(folder) for folder in file_utils.list_data_dirs())
            form = file_adapters.FileFormat.ARRAY_RECORD.value
            raise InputError(
                f"tfds:{name}: no such data set is prepared in {folders}; expected NAME or NAME:CONFIG, prepared with "
                f"`tfds build {data_set} --file_format={form}`"
            ) from None
        return cls.of(builder, split, f"tfds:{name}")

    @classmethod
    def at(cls, folder: Path, split: str | None) -> Prepared:
        """The data set that was prepared in a folder; raises as `of`."""
        import tensorflow_datasets as tfds

        _check_descriptions(folder)
        try:
            builder = tfds.builder_from_directory(folder)
        except Exception as error:  # whatever a damaged description brings about
            raise InputError(f"{folder}: its {DESCRIPTION_FILE} cannot be read ({_line(error)})") from None
        return cls.of(builder, split, str(folder))

    @classmethod
    def of(cls, builder: DatasetBuilder, split: str | None, description: str) -> Prepared:
        """The pictures of a builder.

        Args:
          builder: prepared as ArrayRecord or Parquet.
          split: such as `test`, `train+test` or `train[:1%]`; None for all.
          description: for messages.

        Raises:
          InputError: for a data set without pictures or in another format, and for an unknown split.
        """
        import tensorflow_datasets as tfds

        features = builder.info.features
        if not isinstance(features, tfds.features.FeaturesDict):
            raise InputError(f"{description}: its examples have no named features; expected one that is a picture")
        images = [name for name, feature in features.items() if isinstance(feature, tfds.features.Image)]
        if not images:
            raise InputError(f"{description}: no pictures; its features are {', '.join(features)}")
        picture = "image" if "image" in images else images[0]
        if features[picture].np_dtype not in (np.uint8, np.uint16):
            raise InputError(f"{description}: pictures of {features[picture].np_dtype}; expected 8 or 16 bits")
        labels = {name: feature for name, feature in features.items() if isinstance(feature, tfds.features.ClassLabel)}
        label = "label" if "label" in labels else next(iter(labels), None)
        decoders = {name: tfds.decode.SkipDecoding() for name in images}
        try:
            examples = builder.as_data_source(
                split or "all",  # pyright: ignore[reportCallIssue]: the type of its decorator hides its parameters
                decoders=decoders,
            )
        except NotImplementedError:
            kind = builder.info.file_format
            raise InputError(
                f"{description}: prepared as {kind.value if kind else 'no known format'}, which has no random access; "
                "expected array_record (`tfds build --file_format=array_record`, or `tfds convert_format`)"
            ) from None
        except Exception as error:  # of an unknown split, or of files that are missing
            if split and split not in builder.info.splits and split.isidentifier():
                raise unknown("split", split, builder.info.splits, description) from None
            raise InputError(f"{description}: split {split or 'all'!r} cannot be opened ({_line(error)})") from None
        classes = tuple(labels[label].names or map(str, range(labels[label].num_classes or 0))) if label else ()
        return cls(examples, picture, label, f"{description} ({split})" if split else description, classes)

    def __len__(self) -> int:
        return len(self.examples)

    def name(self, index: int) -> str:
        """The example's number: its own name, where it has one, would have to be read."""
        return str(index)

    def read(self, index: int, size: tuple[int, int] | None, fit: Fit, channels: int) -> tuple[np.ndarray, int]:
        try:
            example = self.examples[index]
        except Exception as error:  # of a damaged record
            raise Unreadable(_line(error)) from None
        try:
            pixels = decode(bytes(example[self.picture]), size, fit, channels)
        except InputError as error:
            raise Unreadable(str(error)) from None
        return pixels, int(example[self.label]) if self.label else NO_LABEL


def _check_descriptions(folder: Path) -> None:
    """That what describes a data set is regular files of bounded size, and names no classes but those of TFDS.

    TFDS imports the module of any class that it does not know, which would run it.

    Raises:
      InputError: where it is otherwise.
    """
    import tensorflow_datasets as tfds

    for path in sorted((*folder.glob("*.json"), *folder.glob("*.txt"))):
        check_file(path, WHAT, LARGEST)
    known = {f"{one.__module__}.{one.__name__}" for one in vars(tfds.features).values() if isinstance(one, type)}
    if (folder / FEATURES_FILE).exists():
        read_as(folder / FEATURES_FILE, WHAT, LARGEST, lambda text: _check_classes(text, known))


def _check_classes(text: str, known: Set[str]) -> None:
    """Raises `InputError` where JSON, or JSON in its strings, names another class."""
    left = [parse_json(text, WHAT, LARGEST)]
    while left:
        said = left.pop()
        if isinstance(said, dict):
            named = [said[name] for name in _CLASS & said.keys() if isinstance(said[name], str)]
            if foreign := [name for name in named if name not in known]:
                raise InputError(f"a feature of class {shown(foreign[0])}; expected those of tensorflow_datasets")
            left += said.values()
        elif isinstance(said, list):
            left += said
        elif isinstance(said, str) and said.lstrip()[:1] in ("{", "["):
            left.append(parse_json(said, WHAT, LARGEST))


def _line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
