"""This project's weight file: safetensors, with everything in its header that a network needs beside its tensors."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxcircuits.errors import InputError, unknown
from jaxcircuits.files import fingerprint, replacing
from jaxcircuits.zoo import ARCHITECTURES, Architecture, InputConvention
from weights_convert import arrays, naming
from weights_convert.assembly import assemble
from weights_convert.files import check_size, reading
from weights_convert.published import Published

CONVERTER = "weights-convert 1"
"""Who writes the files; the number changes with their form."""

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
      source, source_sha256, source_format: the file that it was converted from.
    """

    tensors: dict[str, np.ndarray]
    architecture: Architecture
    convention: InputConvention
    network: str | None = None
    labels: tuple[str, ...] = ()
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
      source: name of the file that the weights come from.
      source_sha256: hash of that file.
      source_format: what kind of file that was.

    Raises:
      InputError: for tensors that are not those of `architecture`.
    """
    from safetensors.numpy import save

    path = Path(path)
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
    if network:
        metadata["network"] = network
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
    with reading(f"header of {path}", ValueError, TypeError, RecursionError):
        return WeightsFile(
            tensors=tensors,
            architecture=architecture,
            convention=InputConvention.from_dict(json.loads(metadata["input_convention"])),
            network=metadata.get("network"),
            labels=tuple(json.loads(metadata["labels"])),
            **{key: metadata.get(key, "") for key in ("source", "source_sha256", "source_format")},
        )


def open_weights(path: Path) -> tuple[dict[str, str], dict[str, Published], Architecture]:
    """The header, the tensors and the architecture of a file that `write_weights` wrote, none of it checked further."""
    check_size(path)
    contents, metadata = arrays.read_safetensors(path), {}
    if contents:
        with arrays.open_safetensors(path) as file:
            metadata = file.metadata() or {}
    lacking = [key for key in REQUIRED if key not in metadata]
    if lacking:
        raise InputError(f"{path}: not written by weights-convert (no {lacking[0]!r} in a header); convert it first")
    if metadata["architecture"] not in ARCHITECTURES:
        raise unknown("architecture", metadata["architecture"], ARCHITECTURES, str(path))
    return metadata, contents.tensors, ARCHITECTURES[metadata["architecture"]]


def header_digest(metadata: Mapping[str, str]) -> str:
    """SHA-256 over a header's texts, except the one that holds it."""
    rest = {key: value for key, value in metadata.items() if key != "header_sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _stored(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, np.float16 if values.dtype == np.float16 else np.float32)


def _in_memory(values: np.ndarray) -> Published:
    return Published(values.shape, str(values.dtype), lambda: values)
