"""Pictures as a data set that TensorFlow Datasets opens, without TensorFlow.

>>> pictures = tfds.builder_from_directory("pictures/inceptionv1").as_data_source("train")
>>> pictures[0]["picture"], pictures[0]["layer"], pictures[0]["unit"]

One ArrayRecord file a shard. The description names those that are finished, so an unfinished data set opens as well.
A data set can be written to an object store; ArrayRecord reads it from a disk only.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from etils import epath

from jaxcircuits.bulk import place
from jaxcircuits.bulk.drawing_plan import DrawingPlan, recipe_hash
from jaxcircuits.bulk.index import Index
from jaxcircuits.bulk.pictures import encoded
from jaxcircuits.bulk.product import entry_name
from jaxcircuits.errors import InputError
from jaxcircuits.files import file_name
from jaxcircuits.images.sheet import shown
from jaxcircuits.vis import Rendering

if TYPE_CHECKING:
    from tensorflow_datasets import features

SPLIT = "train"
"""The one split, by the name that everybody tries first."""

SUFFIX = "array_record"

LARGEST_MARKS = 2**24
"""Bytes of a file of failures."""


@dataclasses.dataclass(frozen=True)
class DataSet:
    """A TFDS data set below a folder, with one example a picture.

    An example has `picture` (uint8), `layer`, `unit` (a channel, or a row of directions), `directions` (their name;
    empty for channels), `score`, `seed` and `recipe` (the hash of its JSON).

    Attributes:
      root: the network's folder.
      plan: what belongs there.
      index: of what is finished.
      channels: of the pictures as they are drawn.
      transparent: whether the last of them is alpha.
    """

    root: epath.Path
    plan: DrawingPlan
    index: Index
    channels: int
    transparent: bool = False

    def prepare(self) -> None:
        """Writes the recipe."""
        # Plans, of which other products have theirs here, see to themselves.
        place.prepare([self.root], lambda name: not name.startswith("plan."))
        if "recipe.json" not in place.names(self.root):
            place.write(self.root / "recipe.json", self.plan.recipe.to_json().encode() + b"\n")

    def occupied(self, shards: Sequence[int]) -> epath.Path | None:
        """A file where that of one of some shards would go."""
        there = place.names(self.root)
        return next((self._file(i) for i in shards if self._file(i).name in there), None)

    def failed(self) -> dict[str, str]:
        """`FOLDER/UNIT` of the pictures that are not finite -> why."""
        return {
            f"{self.plan.shards[i].folder}/{unit}": why
            for i in sorted(self._finished())
            for unit, why in self._failures(i).items()
        }

    def write(self, index: int, drawn: Rendering) -> None:
        """Writes a shard's pictures; those that are not finite are named in a file beside it, and left out."""
        from tensorflow_datasets.core.example_serializer import ExampleSerializer
        from tensorflow_datasets.core.file_adapters import ArrayRecordFileAdapter

        shard = self.plan.shards[index]
        info = self.features.get_serialized_info()
        serializer = ExampleSerializer(info)  # pyright: ignore[reportArgumentType]: TFDS types dicts in dicts twice
        records = []
        files = {}
        if drawn.failures:
            failures = {str(shard.units[i]): why for i, why in drawn.failures.items()}
            marks = self._marks(index)
            files[marks.name] = place.write(marks, json.dumps(failures).encode())
        images = self._shown(drawn.images)
        for i, (unit, picture, score) in enumerate(zip(shard.units, images, drawn.scores, strict=True)):
            if i in drawn.failures:
                continue
            example = {
                "picture": io.BytesIO(encoded(picture, "png", {})),
                "layer": shard.layer,
                "unit": unit,
                "directions": shard.folder.removeprefix(f"{file_name(shard.layer)}.") if shard.directions else "",
                "score": score,
                "seed": self.plan.seed,
                "recipe": recipe_hash(self.plan.recipe),
            }
            message = serializer.get_tf_example(self.features.encode_example(example))
            # Fields in a fixed order: the same shard is the same bytes whoever writes it.
            records.append((unit, message.SerializeToString(deterministic=True)))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "shard"
            try:
                ArrayRecordFileAdapter.write_examples(path, records)
            except RuntimeError as error:  # what ArrayRecord says of a full disk
                raise InputError(f"{path}: cannot be written ({str(error).splitlines()[0]})") from None
            files[self._file(index).name] = place.write(self._file(index), path.read_bytes())
        self.index.add(entry_name(index), self.plan.of(index), files)

    def complete(self) -> list[epath.Path]:
        """Writes the data set's description, of the shards that are finished; returns the folder to open."""
        described = None
        # Looked at again after writing: other processes may have finished shards meanwhile.
        while described != (finished := self._finished()) and finished:
            self._describe(finished)
            described = finished
        return [self.root] if described else []

    @functools.cached_property
    def features(self) -> features.FeaturesDict:
        """What an example holds."""
        from tensorflow_datasets import features

        return features.FeaturesDict(
            {
                "picture": features.Image(
                    shape=self._shown(np.empty((*self.plan.recipe.size, self.channels))).shape, encoding_format="png"
                ),
                "layer": features.Text(),
                "unit": np.int64,
                "directions": features.Text(),
                "score": np.float32,
                "seed": np.int64,
                "recipe": features.Text(),
            }
        )

    def _describe(self, finished: set[int]) -> None:
        import tensorflow_datasets as tfds
        from tensorflow_datasets.core.dataset_info import DatasetIdentity
        from tensorflow_datasets.core.file_adapters import FileFormat
        from tensorflow_datasets.core.splits import SplitDict

        with tempfile.TemporaryDirectory() as folder:
            identity = DatasetIdentity(
                name=self._names.dataset_name, version=tfds.core.Version("1.0.0"), data_dir=folder, module_name=""
            )
            info = tfds.core.DatasetInfo(
                builder=identity,
                features=self.features,
                description=f"What units of {self.plan.network} look for, drawn by jaxcircuits. Weights' SHA-256 over "
                f"names, shapes and values: {self.plan.weights}. The recipe is in recipe.json.",
                disable_shuffling=True,
            )
            info.set_file_format(FileFormat.ARRAY_RECORD)
            # A shard that is missing has length 0, so that the others keep their numbers.
            lengths = [
                len(shard.units) - len(self._failures(i)) if i in finished else 0
                for i, shard in enumerate(self.plan.shards)
            ]
            size = sum(self._file(i).stat().length for i in finished)
            split = tfds.core.SplitInfo(
                name=SPLIT, shard_lengths=lengths, num_bytes=size, filename_template=self._names
            )
            info.set_splits(SplitDict([split]))
            info.write_to_directory(folder)
            for file in sorted(Path(folder).iterdir()):
                place.write(self.root / file.name, file.read_bytes())

    @functools.cached_property
    def _names(self) -> Any:
        from tensorflow_datasets.core.naming import ShardedFileTemplate

        return ShardedFileTemplate(
            dataset_name="units_of_" + re.sub(r"\W", "_", self.plan.network.lower()),
            data_dir=self.root,
            split=SPLIT,
            filetype_suffix=SUFFIX,
            template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_INDEX}",
        )

    def _finished(self) -> set[int]:
        """The shards that are there."""
        there = {path for entry in self.index.entries().values() for path in entry.files}
        return {i for i in range(len(self.plan.shards)) if self._file(i).name in there}

    def _shown(self, pictures: np.ndarray) -> np.ndarray:
        return shown(pictures, self.transparent)

    def _failures(self, index: int) -> dict[str, str]:
        """Unit -> why its picture is not finite, of a shard."""
        marks = self._marks(index)
        if marks.name not in place.names(self.root):
            return {}
        found = place.read_json(marks, dict[str, str], "failures", LARGEST_MARKS)
        if not found.keys() <= set(map(str, self.plan.shards[index].units)):
            raise InputError(f"{marks}: failures of other units than the shard's")
        return found

    def _marks(self, index: int) -> epath.Path:
        return self.root / f"failed-{index:05d}.json"

    def _file(self, index: int) -> epath.Path:
        return self.root / self._names.sharded_filepath(shard_index=index, num_shards=None).name
