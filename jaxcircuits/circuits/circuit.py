"""Circuit: units and the weights between them, as data.

Rows of units from the target down, each unit with its importance, each pair of neighboring rows with its connections:
what the figures of Olah et al., Zoom In (Distill 2020) show. It goes to JSON and back, and to a networkx graph.
"""

from __future__ import annotations

import dataclasses
import html
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcircuits.circuits.weights.strongest import Connection
from jaxcircuits.errors import InputError, shown
from jaxcircuits.files import parse_json, read_as
from jaxcircuits.network.units import Unit

if TYPE_CHECKING:
    import networkx

FORMAT = "jaxcircuits circuit 1"
"""The first field of a circuit's JSON; the number grows when files change in a way that old readers cannot take."""

MOST_BYTES = 32 * 2**20
"""Of a circuit's JSON."""
MOST_UNITS = 1000
MOST_WEIGHTS = 255
"""Height and width of a connection's weights."""
LONGEST_NAME = 200
LARGEST_FLOAT32 = float(np.finfo(np.float32).max)


@dataclasses.dataclass(frozen=True, eq=False)
class Circuit:
    """Units and how they are wired.

    Attributes:
      network: the network's name.
      rows: units of one layer each; first the targets, then what they read, and so on down.
      importance: of every unit, the share of the targets' weights that passes through it along the circuit's paths,
        0 to 1; see `extract_circuit`.
      connections: from units of a row to units of the row before; those of no weight are left out.
    """

    network: str
    rows: tuple[tuple[Unit, ...], ...]
    importance: Mapping[Unit, float]
    connections: tuple[Connection, ...]

    def __repr__(self) -> str:
        return f"Circuit({self.title}: {len(self.importance)} units, {len(self.connections)} connections)"

    def _repr_html_(self) -> str:
        """The rows of units with their importance, for notebooks; `pages.report_circuit` draws the circuit."""
        rows = "".join(
            f"<tr><td>{html.escape(row[0].layer)}</td><td>"
            + ", ".join(f"{unit.index} ({100 * self.importance[unit]:.0f} %)" for unit in row)
            + "</td></tr>"
            for row in self.rows
        )
        head = "<tr><th>layer</th><th>units (share of the targets' weights)</th></tr>"
        return f"<p>{html.escape(repr(self))}</p><table><thead>{head}</thead><tbody>{rows}</tbody></table>"

    @property
    def title(self) -> str:
        """The target's name, or how many there are, and the network's."""
        targets = self.rows[0]
        return f"{targets[0] if len(targets) == 1 else f'{len(targets)} units of {targets[0].layer}'} of {self.network}"

    @property
    def units(self) -> tuple[Unit, ...]:
        """All units, row by row."""
        return tuple(unit for row in self.rows for unit in row)

    @property
    def layers(self) -> tuple[str, ...]:
        """The rows' layers, from the targets' down."""
        return tuple(row[0].layer for row in self.rows)

    def level(self, row: int) -> tuple[Connection, ...]:
        """The connections from the units of `rows[row]`, 1 for those that the targets read, to the row before."""
        return tuple(c for c in self.connections if c.source.layer == self.layers[row])

    def to_json(self) -> str:
        """The circuit as JSON; `from_json` gives an equal one, to the last bit of the weights."""
        data = {
            "format": FORMAT,
            "network": self.network,
            "rows": [[{"unit": str(unit), "importance": self.importance[unit]} for unit in row] for row in self.rows],
            "connections": [
                {
                    "source": str(c.source),
                    "target": str(c.target),
                    "norm": c.norm,
                    "sum": c.sum,
                    # A float32's own shortest digits, which name it exactly.
                    "weights": [[float(str(weight)) for weight in line] for line in c.weights],
                }
                for c in self.connections
            ],
        }
        return json.dumps(data)

    @classmethod
    def from_json(cls, text: str) -> Circuit:
        """The circuit that JSON describes. Norms and sums in it are not read: they follow from the weights.

        Raises:
          InputError: for text that is not such JSON, too long, or says something that no circuit can be.
        """
        data = _parse(text)
        network = _name(data.get("network"), "network")
        listed = _list(data.get("rows"), "rows", MOST_UNITS)
        rows, importance = [], {}
        for i, row in enumerate(listed):
            units = []
            for entry in _list(row, f"row {i}", MOST_UNITS):
                entry = _object(entry, f"a unit of row {i}")
                unit = _unit(entry.get("unit"))
                if unit in importance:
                    raise _error(f"unit {unit} twice")
                importance[unit] = _share(entry.get("importance"), unit)
                units.append(unit)
            if not units or len({unit.layer for unit in units}) > 1:
                raise _error(f"row {i} with units of {len({unit.layer for unit in units})} layers; expected one layer")
            rows.append(tuple(units))
        if not rows or len({row[0].layer for row in rows}) < len(rows) or len(importance) > MOST_UNITS:
            raise _error(f"rows; expected 1 or more, each of another layer, of at most {MOST_UNITS} units together")
        row_of = {unit: i for i, row in enumerate(rows) for unit in row}
        connections: dict[tuple[Unit, Unit], Connection] = {}
        for entry in _list(data.get("connections"), "connections", MOST_UNITS**2):
            entry = _object(entry, "a connection")
            source, target = _unit(entry.get("source")), _unit(entry.get("target"))
            ends = f"connection {source} -> {target}"
            if row_of.get(source, -1) != row_of.get(target, -3) + 1 or (source, target) in connections:
                raise _error(f"{ends}; expected each pair once, from a unit of a row to one of the row before")
            connections[source, target] = Connection(source, target, _weights(entry.get("weights"), ends))
        return cls(network, tuple(rows), importance, tuple(connections.values()))

    @classmethod
    def read(cls, path: str | os.PathLike) -> Circuit:
        """The circuit of a JSON file, such as `circuit.json` of a circuit's folder.

        Raises:
          InputError: where there is no such file, or it holds no circuit.
        """
        return read_as(path, "a circuit", MOST_BYTES, cls.from_json)

    def to_networkx(self) -> networkx.DiGraph:
        """The circuit as a directed graph, for networkx's algorithms and the formats it writes.

        Returns:
          Nodes by name, such as `mixed4b:237`, with `layer`, `index`, `row` and `importance`; edges from source to
          target with `weights` (h, w), `norm` and `sum`.

        Raises:
          InputError: where networkx is not installed.
        """
        try:
            import networkx
        except ImportError as error:
            raise InputError("graphs need networkx; pip install 'jaxcircuits[circuits]'") from error
        graph = networkx.DiGraph(network=self.network)
        for i, row in enumerate(self.rows):
            for unit in row:
                facts = {"layer": unit.layer, "index": unit.index, "row": i, "importance": self.importance[unit]}
                graph.add_node(str(unit), **facts)
        for c in self.connections:
            graph.add_edge(str(c.source), str(c.target), weights=c.weights, norm=c.norm, sum=c.sum)
        return graph


def _parse(text: str) -> dict[str, Any]:
    if len(text) > MOST_BYTES:
        raise _error(f"{len(text) / 2**20:.0f} MiB of text; expected at most {MOST_BYTES // 2**20}")
    try:
        data = parse_json(text, "a circuit", MOST_BYTES, finite=False)
    except InputError as error:
        raise _error(f"no JSON: {error}") from None
    data = _object(data, "the whole")
    if data.get("format") != FORMAT:
        raise _error(f"format {shown(data.get('format'))}; expected {FORMAT!r}")
    return data


def _error(what: str) -> InputError:
    return InputError(f"not a circuit: {what}")


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _error(f"{what} is {shown(value)}; expected an object")
    return value


def _list(value: Any, what: str, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise _error(f"{what}: {shown(value)}; expected a list of at most {most}")
    return value


def _name(value: Any, what: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME or not value.isprintable():
        raise _error(f"{what} {shown(value)}; expected a name of at most {LONGEST_NAME} printable characters")
    return value


def _unit(value: Any) -> Unit:
    layer, _, number = _name(value, "unit").rpartition(":")
    if not layer or not (number.isascii() and number.isdigit() and len(number) < 10):
        raise _error(f"unit {shown(value)}; expected LAYER:NUMBER")
    return Unit(layer, int(number))


def _number(value: Any) -> bool:
    """Whether it is a number that float32 can hold: neither NaN, infinite nor an endless integer."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST_FLOAT32


def _share(value: Any, unit: Unit) -> float:
    if not _number(value) or not 0 <= value <= 1:
        raise _error(f"importance {shown(value)} of {unit}; expected a number from 0 to 1")
    return float(value)


def _weights(value: Any, ends: str) -> np.ndarray:
    what = f"weights of {ends}"
    lines = [_list(line, what, MOST_WEIGHTS) for line in _list(value, what, MOST_WEIGHTS)]
    widths = {len(line) for line in lines}
    if len(widths) != 1 or 0 in widths or not all(_number(weight) for line in lines for weight in line):
        raise _error(f"{what}; expected lines of finite float32 numbers, equally long")
    weights = np.array(lines, np.float64).astype(np.float32)
    if not weights.any():
        raise _error(f"{what}, all zero; such connections are left out")
    return weights
