"""Networks made up for tests of the microscope's pages: every kind of record, without a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from jaxcircuits.pages.microscope.views import (
    Argument,
    Curve,
    Example,
    Histogram,
    Interval,
    LayerMap,
    Likeness,
    Meaning,
    NetworkView,
    UnitView,
    Wire,
    Wiring,
)

LABELS = tuple(f"class {i}" for i in range(12))


def ripples(unit: int, side: int = 64) -> np.ndarray:
    """A picture of its own for every unit."""
    y, x = np.mgrid[:side, :side] / side - 0.5
    angle = unit * 2.4
    wave = np.sin(40 * (x * np.cos(angle) + y * np.sin(angle)) / (1 + unit % 3))
    color = 0.5 + 0.5 * np.cos(unit + np.array([0, 2, 4]))
    return np.uint8(127 + 120 * wave[..., None] * color)


@dataclasses.dataclass(frozen=True, eq=False)
class Layer:
    """As the views of records are; with everything, or with nothing but names where `bare`."""

    name: str
    channels: int
    depth: int
    before: str = ""
    after: str = ""
    bare: bool = False
    others: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    likeness_of: str = "the classes that they answer"

    @property
    def shape(self) -> tuple[int, ...]:
        return (24 // self.depth, 24 // self.depth, self.channels)

    @property
    def units(self) -> tuple[int, ...]:
        return tuple(range(self.channels))

    @property
    def measures(self) -> Mapping[str, np.ndarray]:
        if self.bare:
            return {}
        rng = np.random.default_rng(self.channels)
        measures = {name: rng.uniform(0, 1, self.channels) for name in ("density", "selectivity", "monosemanticity")}
        measures["selectivity"][3] = np.nan
        return measures

    @property
    def families(self) -> Mapping[str, Sequence[int]]:
        return {} if self.bare else {"curves": (0, 2, 5, 7), "lines & <edges>": (1, 3)}

    @property
    def likeness(self) -> np.ndarray | None:
        return None if self.bare else np.random.default_rng(1).normal(size=(self.channels, 24))

    def drawing(self, unit: int) -> np.ndarray | None:
        return None if self.bare else ripples(unit)

    def unit(self, unit: int) -> UnitView:
        if self.bare:
            return UnitView(self.name, unit)
        rng = np.random.default_rng([self.channels, unit])
        examples = [self._example(unit, i, rng) for i in range(12)]
        intervals = tuple(
            Interval(2.0 * i, 2.0 * i + 2, 0.3 - 0.1 * i, tuple(examples[4 * i : 4 * i + 4])) for i in (2, 1, 0)
        )
        angles = np.arange(24) * 15.0
        return UnitView(
            self.name,
            unit,
            drawings={"strongest": ripples(unit), "negative": ripples(unit + 1), "diverse": ripples(unit + 2)},
            intervals=intervals,
            histogram=Histogram(np.linspace(-1, 6, 29), rng.integers(0, 10_000, 28), "30 pictures, all their places"),
            facts={"density": 0.123, "selectivity": 0.5, "mean": 0.0313, "largest": 5.9},
            classes={label: float(rng.normal()) for label in LABELS},
            classes_are="Effect on the class's logit.",
            inputs=self._wiring(self.before, rng),
            outputs=self._wiring(self.after, rng),
            similar=tuple(Likeness(self.name, i, 0.9 - 0.1 * i) for i in range(5) if i != unit),
            similar_by="by the classes that they answer",
            counterparts=tuple(Likeness("first", unit % 8, 0.7, other) for other in self.others),
            meanings=(Meaning(0.7, ripples(unit), tuple(examples[:3])), Meaning(0.3, None, tuple(examples[3:6]))),
            arguments=(Argument("Feature visualization", True, "0.9 of its drawings."), Argument("Joint", None, "")),
            tuning=(
                Curve("orientation of a curve", angles, 1 + np.cos(np.radians(angles) - unit), "degrees", 360.0),
                Curve("radius of a curve", np.arange(5.0), rng.uniform(0, 1, 5), "px", 0.0, np.full(5, 0.1)),
            ),
            families=tuple(name for name, units in self.families.items() if unit in units),
        )

    def _wiring(self, layer: str, rng: np.random.Generator) -> tuple[Wiring, ...]:
        if not layer:
            return ()
        wires = [
            [Wire(layer, int(rng.integers(16)), rng.normal(size=(5, 5)), 2 - 0.2 * i) for i in range(8)] for _ in "ab"
        ]
        return (Wiring(layer, *map(tuple, wires)),)

    def _example(self, unit: int, i: int, rng: np.random.Generator) -> Example:
        y, x = np.mgrid[:7, :7]
        heat = 6 * np.exp(-((y - i % 7) ** 2 + (x - unit % 7) ** 2) / 4)
        picture = rng.integers(60, 200, (6, 8, 3), np.uint8).repeat(12, 0).repeat(12, 1)
        return Example(picture, 1 + 0.4 * i, heat, f"folder/{i}.jpg", LABELS[i])


def network(
    name: str, units: Sequence[int] = (16, 24), bare: Sequence[str] = (), others: Sequence[str] = ()
) -> NetworkView:
    """A network with layers `first`, `second`, ... of so many units."""
    names = ["first", "second", "third", "block/fourth"][: len(units)]
    layers = tuple(
        Layer(
            layer,
            channels,
            i + 1,
            names[i - 1] if i else "",
            names[i + 1] if i + 1 < len(names) else "",
            layer in bare,
            tuple(others),
        )
        for i, (layer, channels) in enumerate(zip(names, units))
    )
    stages = tuple((layer.name, layer.shape) for layer in layers)
    values = tuple(tuple(float(i == j) / (1 + i) for j in range(2)) for i in range(len(units)))
    maps = tuple(LayerMap(other, tuple(names), ("first", "second"), values, "linear CKA") for other in others)
    about = {"Drawings": "16 steps at 64 px", "Pictures": "30 of a folder"}
    return NetworkView(name, "a network made up for a test", (24, 24), stages, layers, LABELS, about, maps, name)
