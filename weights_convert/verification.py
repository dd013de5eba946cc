"""What `weights-convert --verify` looks at: header, tensors, and what is stored of the published networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from jaxcircuits.files import fingerprint
from jaxcircuits.zoo import ZOO, Architecture
from weights_convert.published import FLOATS
from weights_convert.sources import IDENTITIES, identity
from weights_convert.weights_file import CONVERTER, header_digest, open_weights, read_header

LARGEST = 100.0
"""No trained weight of these networks comes near this: 15.8 is the largest."""

NOT_PINNED = "not pinned"


@dataclasses.dataclass(frozen=True)
class Check:
    """One line of the report: what was looked at, what was found, what was expected, and whether they agree."""

    name: str
    found: str
    expected: str
    ok: bool


def verify(path: str | Path) -> list[Check]:
    """Looks a converted file over, as far as it can be read.

    Args:
      path: a file that `write_weights` wrote.

    Returns:
      The checks; the file is good where all are `ok`.

    Raises:
      InputError: where it is no such file, or too damaged to be opened.
    """
    metadata, published, architecture = open_weights(Path(path))
    read_header(Path(path), metadata)
    tensors = {name: tensor.load().astype(np.float32) for name, tensor in published.items() if tensor.dtype in FLOATS}
    network, weights_sha256 = metadata.get("network"), fingerprint(tensors)
    return [
        _equal("converter", metadata.get("converter", ""), CONVERTER),
        _equal("header", header_digest(metadata), metadata["header_sha256"]),
        *_blocks(architecture.tensors(), tensors),
        _equal("tensors", weights_sha256, metadata["weights_sha256"]),
        _network(network, identity(metadata.get("source_sha256", ""), weights_sha256)),
        *_first_layer(ZOO[network].statistics if network in ZOO else {}, architecture, tensors),
    ]


def _equal(name: str, found: str, expected: str) -> Check:
    return Check(name, _short(found), _short(expected), found == expected)


def _network(claimed: str | None, known: str | None) -> Check:
    """Whether weights are those whose name they bear, or bear none where they are known."""
    pinned = known or claimed in IDENTITIES.values()
    return Check("network", claimed or "unnamed", known or NOT_PINNED, claimed == known or not pinned)


def _blocks(expected: dict[str, tuple[int, ...]], tensors: dict[str, np.ndarray]) -> Iterator[Check]:
    """One line a block: the number, shapes and values of its tensors."""
    blocks: dict[str, list[str]] = {}
    for name in [*expected, *sorted(set(tensors) - set(expected))]:
        blocks.setdefault(_block(name), []).append(name)
    for block, names in blocks.items():
        found = {name: tensors[name] for name in names if name in tensors}
        wanted = {name: expected[name] for name in names if name in expected}
        wrong = [name for name in names if name not in found or found[name].shape != wanted.get(name)]
        values = np.concatenate([tensor.ravel() for tensor in found.values()]) if found else np.zeros(0, np.float32)
        finite = bool(values.size and np.isfinite(values).all())
        sane = finite and 0 < np.abs(values).max() < LARGEST
        size = sum(int(np.prod(shape)) for shape in wanted.values())
        summary = f"{len(found)} tensors, {values.size:,} values"
        summary += f", {values.min():.3g} to {values.max():.3g}" if finite else ", not all finite"
        summary += f"; wrong: {wrong[0]}" if wrong else ""
        yield Check(block, summary, f"{len(wanted)} tensors, {size:,} values within {LARGEST:g}", sane and not wrong)


def _block(tensor: str) -> str:
    """`mixed3a` of `mixed3a_1x1/kernel`, `inception_3a` of `inception_3a/1x1/kernel`."""
    layer = tensor.rpartition("/")[0]
    return layer.partition("/")[0] if "/" in layer else layer.partition("_")[0]


def _first_layer(
    facts: Mapping[str, tuple[float, ...]], architecture: Architecture, tensors: dict[str, np.ndarray]
) -> Iterator[Check]:
    """The statistics of the first kernel and bias, beside the facts where there are any."""
    first = next(iter(architecture.tensors())).rpartition("/")[0]
    for kind in ("kernel", "bias"):
        values = tensors.get(f"{first}/{kind}", np.zeros(0)).astype(np.float64)
        if not values.size:
            continue
        found = (values.mean(), values.std(), values.min(), values.max())
        expected = facts.get(kind, found)
        agree = np.allclose(found, expected, rtol=1e-9, atol=0)
        yield Check(f"{first}/{kind}", _statistics(found), _statistics(expected) if facts else NOT_PINNED, bool(agree))


def _statistics(values: tuple[float, ...]) -> str:
    return "mean {:.6g}, std {:.6g}, min {:.6g}, max {:.6g}".format(*values)


def _short(text: str) -> str:
    return text if len(text) < 64 else f"{text[:12]}..."
