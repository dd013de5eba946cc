"""The seven arguments for the families of layers, kept beside a network's records: NETWORK/arguments/LAYER.json."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path

import msgspec

from jaxcircuits.arguments import arguments
from jaxcircuits.arguments.argument import NAMES
from jaxcircuits.errors import InputError, shown
from jaxcircuits.files import below, conforming, parse_json, read_as, replacing
from jaxcircuits.images import Pictures
from jaxcircuits.network import Network

LARGEST = 2**26
"""Bytes of a file."""
WHAT = "a file of seven arguments"
FORMAT = "jaxcircuits arguments 2"
"""Files without it, of earlier versions, have no p-values."""


class KeptArgument(msgspec.Struct, frozen=True):
    """One of the seven, see `jaxcircuits.arguments.Argument`.

    Attributes:
      name, meaning, value, chance, bound, against, units, missing, holds, interval, p_value, adjusted_p_value: as
        there.
    """

    name: str
    meaning: str
    value: float | None
    chance: float | None
    bound: float | None
    against: str
    units: dict[str, float | None]
    missing: str
    holds: bool | None
    interval: tuple[float | None, float | None] | None
    p_value: float | None
    adjusted_p_value: float | None


class KeptArguments(msgspec.Struct, frozen=True):
    """The seven for one family, see `jaxcircuits.arguments.Arguments`.

    Attributes:
      weights: identity of the network, see `Network.identity`.
      layer, stimulus, parameter, family: as there.
      seven: in the order of the article.
      format: of the file.
    """

    weights: str
    layer: str
    stimulus: str
    parameter: str
    family: tuple[int, ...]
    seven: tuple[KeptArgument, ...]
    format: str = FORMAT


def find_arguments(network: Network, layers: Sequence[str], pictures: Pictures, folder: Path) -> list[str]:
    """Measures the seven arguments for the curve detectors of layers, see `evidence.arguments`, and keeps them.

    Args:
      network: whose units.
      layers: names; those without positions are left out, and those that were measured before.
      pictures: of the world.
      folder: of the network's records.

    Returns:
      A line for each layer of which no arguments can be made, such as one without curve detectors.

    Raises:
      InputError: for an unknown layer, and arguments for other weights in the folder.
    """
    said = []
    for layer in layers:
        kept = read_arguments(folder, layer)
        if kept is not None and kept.weights != network.identity:
            raise InputError(
                f"{_path(folder, layer)}: of other weights than those of {network.name}; choose another --out"
            )
        if kept is not None or len(network.layer(layer).shape) != 3:
            continue
        try:
            found = arguments(network, layer, pictures)
        except InputError as error:
            said.append(f"{layer}: no arguments ({error})")
            continue
        data = json.loads(found.to_json())
        seven = [{key: data[name][key] for key in KeptArgument.__struct_fields__} for name in NAMES]
        about = {key: data[key] for key in ("layer", "stimulus", "parameter", "family")}
        write_arguments(folder, conforming({"weights": network.identity, **about, "seven": seven}, KeptArguments, WHAT))
    return said


def write_arguments(folder: Path, kept: KeptArguments) -> None:
    """Writes what `read_arguments` reads, into the folder of the network's records."""
    with replacing(_path(folder, kept.layer)) as temporary:
        temporary.write_bytes(msgspec.json.encode(kept) + b"\n")


def read_arguments(folder: Path, layer: str) -> KeptArguments | None:
    """What `find_arguments` kept of a layer; None where there is nothing.

    Raises:
      InputError: for a file that is damaged or something else, and one of an earlier version.
    """
    path = _path(folder, layer)
    if not path.exists():
        return None
    data = read_as(path, WHAT, LARGEST, functools.partial(parse_json, what=WHAT, most=LARGEST))
    if isinstance(data, dict) and data.get("format") != FORMAT:
        raise InputError(
            f"{path}: not {WHAT} of this version; expected {FORMAT!r}, not {shown(data.get('format'))}; delete it to "
            "have them measured again"
        )
    try:
        return conforming(data, KeptArguments, WHAT)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _path(folder: Path, layer: str) -> Path:
    return below(folder / "arguments", layer, ending=".json")
