"""This project's weight file: safetensors, with everything in its header that a network needs beside its tensors."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from jaxcircuits.errors import InputError, shown, unknown
from jaxcircuits.files import conforming, fingerprint, parse_json, replacing
from jaxcircuits.zoo import ARCHITECTURES, ZOO, Architecture, InputConvention
from weights_convert import arrays, naming
from weights_convert.assembly import assemble
from weights_convert.files import check_size
from weights_convert.published import Published

CONVERTER = "weights-convert 1"
"""Who writes the files; the number changes with their form."""

NAME = re.compile(r"\w[\w.+-]{0,63}", re.ASCII)
"""Of a network."""

LONGEST_CONVENTION = 10_000
"""Characters of its JSON."""

MOST_LABELS = 100_000
"""No classifier of pictures has more outputs; 21,841 are the synsets of all of ImageNet."""

Label = Annotated[str, msgspec.Meta(max_length=1000)]
Labels = Annotated[tuple[Label, ...], msgspec.Meta(max_length=MOST_LABELS)]

REQUIRED = ("architecture", "input_convention", "labels", "weights_sha256", "header_sha256")


@dataclasses.dataclass(frozen=True)
class WeightsFile:
    """A converted file.

    Attributes:
      tensors: `LAYER/kernel` (height, width, in, out) or (in, out), and `LAYER/bias` (out,), all float32.
      architecture: what they are the weights of.
      convention: what the network expects of a picture.
      network: its name in the zoo where the weights are the published ones.
      labels: what the outputs stand for; empty where unknown.
      recipe: how its units are best drawn, as JSON; empty where nothing is said.
      source, source_sha256, source_format: the file that it was converted from.
    """

    tensors: dict[str, np.ndarray]
    architecture: Architecture
    convention: InputConvention
    network: str | None = None
    labels: tuple[str, ...] = ()
    recipe: str = ""
    source: str = ""
    source_sha256: str = ""
    source_format: str = ""


def write_weights(
    path: str | Path,
    tensors: Mapping[str, np.ndarray],
    *,
    architecture: Architecture,
    convention: InputConvention,
    network: str | None = None,
    labels: Sequence[str] = (),
    recipe: str = "",
    source: str = "",
    source_sha256: str = "",
    source_format: str = "",
) -> None:
    """Writes a weight file, whole or not at all.

    Args:
      path: the file.
      tensors: those of `architecture`; float16 stays, for half the size, and others are stored as float32.
      architecture: whose tensors these are.
      convention: what the network expects of a picture.
      network: its name.
      labels: names of its classes.
      recipe: how its units are best drawn, as `jaxcircuits.Recipe.to_json` has it; empty for the default recipe.
      source: name of the file that the weights come from.
      source_sha256: hash of that file.
      source_format: what kind of file that was.

    Raises:
      InputError: for tensors that are not those of `architecture`, and for a name that no network has.
    """
    from safetensors.numpy import save

    path = Path(path)
    if network:
        _check_name(network, "weights")
    assemble(path, {name: _in_memory(values) for name, values in tensors.items()}, architecture, naming.OWN)
    metadata = {
        "architecture": architecture.name,
        "input_convention": json.dumps(convention.to_dict()),
        "labels": json.dumps(list(labels), ensure_ascii=False),
        "source": source,
        "source_sha256": source_sha256,
        "source_format": source_format,
        "converter": CONVERTER,
        "weights_sha256": fingerprint(tensors),
    }
    metadata |= {key: text for key, text in (("network", network), ("recipe", recipe)) if text}
    metadata["header_sha256"] = header_digest(metadata)
    with replacing(path) as temporary:
        temporary.write_bytes(save({name: _stored(values) for name, values in tensors.items()}, metadata))


def read_weights(path: str | Path) -> WeightsFile:
    """Reads a file that `write_weights` wrote.

    Args:
      path: the file.

    Returns:
      The `WeightsFile`; tensors stored as float16 come as float32.

    Raises:
      InputError: where the file is missing, cut short, changed since it was written, or something else.
    """
    path = Path(path)
    metadata, published, architecture = open_weights(path)
    if metadata["header_sha256"] != header_digest(metadata):
        raise InputError(f"{path}: damaged: its header was changed after it was written")
    tensors = assemble(path, published, architecture, naming.OWN)
    if metadata["weights_sha256"] != fingerprint(tensors):
        raise InputError(f"{path}: damaged: its tensors were changed after it was written")
    convention, labels = read_header(path, metadata)
    return WeightsFile(
        tensors=tensors,
        architecture=architecture,
        convention=convention,
        network=metadata.get("network"),
        labels=labels,
        **{key: metadata.get(key, "") for key in ("recipe", "source", "source_sha256", "source_format")},
    )


def read_header(path: Path, metadata: Mapping[str, str]) -> tuple[InputConvention, tuple[str, ...]]:
    """The input convention and the labels of a file's header.

    Raises:
      InputError: where they are damaged, or say what no network can mean.
    """
    try:
        fields = parse_json(metadata["input_convention"], "an input convention", LONGEST_CONVENTION)
        listed = parse_json(metadata["labels"], "labels", MOST_LABELS * 100)
        labels = conforming(listed, Labels, "labels")
        return InputConvention.from_dict(fields), labels
    except InputError as error:
        raise InputError(f"header of {path}: {error}") from None


def open_weights(path: Path) -> tuple[dict[str, str], dict[str, Published], Architecture]:
    """The header, the tensors and the architecture of a file that `write_weights` wrote.

    Of the header, the architecture is one that the zoo knows and the network's name is one; no more is checked here.
    """
    check_size(path)
    contents = arrays.read_safetensors(path)
    metadata = dict(contents.metadata) if contents else {}
    lacking = [key for key in REQUIRED if key not in metadata]
    if contents is None or lacking:
        raise InputError(f"{path}: not written by weights-convert (no {lacking[0]!r} in a header); convert it first")
    if metadata["architecture"] not in ARCHITECTURES:
        raise unknown("architecture", metadata["architecture"], ARCHITECTURES, str(path))
    network = metadata.get("network")
    if network is not None:
        _check_name(network, f"header of {path}")
    return metadata, contents.tensors, ARCHITECTURES[metadata["architecture"]]


def _check_name(network: str, where: str) -> None:
    """A network's name is that of a folder, and stands in messages."""
    if not NAME.fullmatch(network):
        raise InputError(
            f"{where}: network {shown(network)}; expected letters, digits, dots and hyphens, such as {next(iter(ZOO))}"
        )


def header_digest(metadata: Mapping[str, str]) -> str:
    """SHA-256 over a header's texts, except the one that holds it."""
    rest = {key: value for key, value in metadata.items() if key != "header_sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _stored(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, np.float16 if values.dtype == np.float16 else np.float32)


def _in_memory(values: np.ndarray) -> Published:
    return Published(values.shape, str(values.dtype), lambda: values)
