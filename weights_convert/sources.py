"""The networks whose weights are known by their values, whatever file they came from."""

from __future__ import annotations

from jaxcircuits.zoo import ZOO

IDENTITIES = {known: entry.name for entry in ZOO.values() for known in entry.identities}
"""SHA-256 of a published file, or `weights_file.fingerprint` of its tensors -> zoo name."""


def identity(source_sha256: str, weights_sha256: str) -> str | None:
    """The zoo name of weights, known by the file that they come from or by their values; None for others."""
    return IDENTITIES.get(source_sha256) or IDENTITIES.get(weights_sha256)
