"""What a network prints, in a line and, in notebooks, as a table of its layers."""

from __future__ import annotations

import collections
import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxcircuits.network.forward import Forward
    from jaxcircuits.network.graph import Graph, Layer
    from jaxcircuits.zoo import InputConvention


class Shown:
    """Base of `Network`: how it is shown."""

    if TYPE_CHECKING:  # what a network has
        name: str
        layers: Mapping[str, Layer]
        graph: Graph
        forward: Forward
        params: Any
        convention: InputConvention

    def __repr__(self) -> str:
        height, width = self.convention.size
        edits = edited(self)
        return (
            f"Network({self.name}: {len(self.layers)} layers, native size {height}x{width} px{edits and ', '}{edits})"
        )

    def _repr_html_(self) -> str:
        """The stages of the network: one for each stretch without weights."""
        rows = [
            f"<tr><td>{html.escape(name)}</td><td>{layer.channels}</td>"
            f"<td>{' x '.join(map(str, layer.shape[:-1]))}</td><td>{html.escape(layer.op)}</td></tr>"
            for name, layer in ((name, self.layers[name]) for name in self.graph.stages or self.layers)
        ]
        head = "<tr><th>layer</th><th>channels</th><th>map</th><th>made by</th></tr>"
        return f"<p>{html.escape(repr(self))}</p><table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"


def edited(network: Shown) -> str:
    """What edits have changed, such as `edited: 2 units of mixed3b`; empty for none."""
    if not network.forward.patches:
        return ""
    units: dict[str, set[int]] = collections.defaultdict(set)
    for patch, data in zip(network.forward.patches, network.params["patches"]):
        units[patch.layer].update(data["units"].tolist())
    parts = [f"{len(changed)} unit{'s' * (len(changed) > 1)} of {layer}" for layer, changed in units.items()]
    return f"edited: {', '.join(parts[:3])}{' ...' * (len(parts) > 3)}"
