"""Views of networks from their records, a unit at a time: `jaxcircuits.bulk.Records` in, what pages show out."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxcircuits.bulk.crops_file import Crop, CropBand
from jaxcircuits.bulk.drawing import Drawing
from jaxcircuits.bulk.meanings_corrected import false_discovery
from jaxcircuits.bulk.records import LayerRecords
from jaxcircuits.circuits.wiring import NONE, Connections, LayerWiring, Side
from jaxcircuits.errors import InputError
from jaxcircuits.evidence import grid
from jaxcircuits.evidence.layer_examples import LayerExamples
from jaxcircuits.pages.microscope.known import Known
from jaxcircuits.pages.microscope.likeness import likest
from jaxcircuits.pages.microscope.views import (
    Example,
    Histogram,
    Interval,
    LayerView,
    Likeness,
    Meaning,
    UnitView,
    Wire,
    Wiring,
)

SIMILAR = 8
"""Units that a unit is most like, on its page."""
NEGATIVE = "negative"
"""The name of the directions opposite to the units, whose drawings show what silences them most."""
NEAR_ZERO = 4
"""Octaves below the largest activation that a histogram tells apart."""

_reading = threading.Lock()
"""Records remember what they read; pages are written by several threads."""


@dataclasses.dataclass(frozen=True, eq=False)
class RecordedLayer(LayerView):
    """A layer's records as the pages' `LayerView`.

    Attributes:
      records: of the layer.
      shape: of one picture's activation.
      depth: of the stage, from 1 on.
      folder: of its pages, where circuits' pages may be.
      known: what has been found about the network's layers.
    """

    records: LayerRecords
    shape: tuple[int, ...]
    depth: int
    folder: Path
    known: Known

    @property
    def name(self) -> str:
        return self.records.layer

    @property
    def channels(self) -> int:
        return self.shape[-1]

    @functools.cached_property
    def units(self) -> tuple[int, ...]:
        """Those that are drawn or cut out, or are to be; all of a layer of which only examples or wiring are there."""
        planned = self.records.network.units_planned(self.name)
        return tuple(unit for unit in planned or self.records.units if unit < self.channels)

    @functools.cached_property
    def damaged(self) -> tuple[str, ...]:
        """Lines on files that cannot be read."""
        parts = f"/{self.name}/"
        return tuple(line for line in self.records.network.problems if parts in line)

    @functools.cached_property
    def examples(self) -> LayerExamples | None:
        """Those on record, where they are of the network's units."""
        found = self.records.examples
        return None if found is None or self._is_of_others("examples", len(found.mean)) else found

    @functools.cached_property
    def wiring(self) -> LayerWiring | None:
        """That on record, where it is of the network's units."""
        found = self.records.wiring
        return None if found is None or self._is_of_others("wiring", found.units) else found

    def _is_of_others(self, what: str, units: int) -> bool:
        if units != self.channels:
            folder = f"{self.records.network.folder}/{self.name}/"
            self._note(f"{folder}: {what} of {units} units; expected {self.channels}, and left out")
        return units != self.channels

    @functools.cached_property
    def measures(self) -> Mapping[str, np.ndarray]:
        """Density, selectivity, mean and largest activation of units with pages, and what else has been measured."""
        examples, own = self.examples, list(self.units)
        found = {
            name: [np.nan if value is None else value for value in values]
            for name, values in self.known.findings.measures.get(self.name, {}).items()
            if len(values) == self.channels
        }
        if examples is not None:
            found = {
                "density": examples.density,
                "selectivity": examples.selectivity,
                "mean": examples.mean,
                "largest": examples.strongest.values[:, 0],
            } | found
        measures = {name: np.asarray(values, np.float64)[own] for name, values in found.items()}
        return {name: values for name, values in measures.items() if np.isfinite(values).any()}

    @property
    def families(self) -> Mapping[str, tuple[int, ...]]:
        return self.known.findings.families.get(self.name, {})

    @functools.cached_property
    def likeness(self) -> np.ndarray | None:
        """(units, d): the classes that a unit answers more than others do; without classes, its strongest pictures."""
        examples = self.examples
        if examples is None or len(self.units) < 2:
            return None
        means = examples.class_means[:, examples.class_sizes > 0]
        if means.shape[1] >= 4:
            spread = np.maximum(means.std(1, keepdims=True), np.finfo(np.float64).tiny)
            profile = (means - means.mean(1, keepdims=True)) / spread
            vectors = profile - profile.mean(0)
        else:
            known, place_of = np.unique(examples.strongest.pictures, return_inverse=True)
            # Random signs: scalar products stay what they are but for a little noise (Achlioptas, 2003).
            signs = np.random.default_rng(0).choice([-1.0, 1.0], (len(known), 64))
            signs[known < 0] = 0
            vectors = signs[place_of.reshape(examples.strongest.pictures.shape)].sum(1)
        return vectors[list(self.units)]

    @property
    def likeness_of(self) -> str:
        examples = self.examples
        by_class = examples is not None and (examples.class_sizes > 0).sum() >= 4
        return "answers to classes of pictures" if by_class else "strongest pictures in common"

    def drawing(self, unit: int) -> np.ndarray | None:
        """See `LayerView`."""
        return self._picture(self.records.drawings.get(unit))

    def unit(self, unit: int) -> UnitView:
        """See `LayerView`."""
        with _reading:
            crops, wiring, examples = self.records.crops(unit), self.wiring, self.examples
        drawing = self.records.drawings.get(unit)
        wired = {} if wiring is None else _wired(wiring, unit)
        seen = {} if examples is None else self._seen(examples, unit)
        circuit = f"{unit}-circuit.html"
        return UnitView(
            self.name,
            unit,
            drawings=self._drawings(unit, drawing),
            failed=drawing.failure if drawing else "",
            intervals=None if crops is None else tuple(_interval(i, band) for i, band in enumerate(crops)),
            families=tuple(name for name, units in self.families.items() if unit in units),
            counterparts=tuple(self._counterparts(unit)),
            tuning=self.known.tuning(self.name, unit),
            arguments=self.known.arguments(self.name, unit),
            circuit=circuit if (self.folder / circuit).is_file() else "",
            **wired,
            **seen,
            **self._meant(unit),
        )

    def _meant(self, unit: int) -> dict:
        """What a unit stands for, where somebody looked."""
        kept = self.records.meanings(unit)
        if kept is None:
            return {}
        if kept.p_value is None:
            return {"meanings": (), "meanings_said": kept.why}
        adjusted = self._corrected.get(unit, kept.p_value)
        count = f"{len(self._corrected)} units of the layer that were looked at"
        meanings = tuple(
            Meaning(one.share, one.drawing, _examples(one.crops), tuple((kept.layer, i) for i in one.inputs))
            for one in kept.meanings
        )
        return {
            "meanings": meanings,
            "meanings_said": f"By what excites it in {kept.layer}; a single meaning would divide as clearly with p = "
            f"{kept.p_value:.3g}, or {adjusted:.3g} when corrected for {count} (false discovery rate).",
        }

    @functools.cached_property
    def _corrected(self) -> Mapping[int, float]:
        return false_discovery(self.records)

    def _counterparts(self, unit: int) -> Iterator[Likeness]:
        for other, layers in self.known.findings.matches.items():
            if self.name in layers and (best := layers[self.name].best.get(unit)):
                layer, number, value = best
                yield Likeness(layer, number, value, other)

    def _drawings(self, unit: int, drawing: Drawing | None) -> dict[str, np.ndarray]:
        own = {"strongest": drawing}
        for i, variant in enumerate(self.records.network.variants, 1):
            own[f"another {i}"] = self.records.drawn(variant).get(unit)
        own["negative: what silences it"] = self.records.directed(NEGATIVE).get(unit)
        pictures = {caption: self._picture(one) for caption, one in own.items()}
        return {caption: picture for caption, picture in pictures.items() if picture is not None}

    def _picture(self, drawing: Drawing | None) -> np.ndarray | None:
        """A drawing's pixels; None where there is none, or it cannot be read, which is noted."""
        if drawing is None or drawing.failure:
            return None
        try:
            return drawing.pixels()
        except InputError as error:
            self._note(str(error))
            return None

    def _note(self, line: str) -> None:
        """Names a file that cannot be used, once."""
        if line not in self.records.network.problems:
            self.records.network.problems.append(line)

    def _seen(self, examples: LayerExamples, unit: int) -> dict:
        """What a pass over pictures says of a unit, beside its crops."""
        facts = {
            "density": float(examples.density[unit]),
            "selectivity": float(examples.selectivity[unit]),
            "mean": float(examples.mean[unit]),
            "standard deviation": float(np.sqrt(examples.variance[unit])),
            "largest": float(examples.strongest.values[unit, 0]),
        }
        for name, values in self.known.findings.measures.get(self.name, {}).items():
            if len(values) == self.channels and (value := values[unit]) is not None:
                facts[name] = value
        similar: tuple[Likeness, ...] = ()
        if self.likeness is not None and unit in self.units:
            own = likest(self.likeness, self.units.index(unit), SIMILAR)
            similar = tuple(Likeness(self.name, self.units[i], value) for i, value in own)
        return {
            "facts": facts,
            "histogram": _histogram(examples, unit),
            "similar": similar,
            "similar_by": f"by {self.likeness_of}",
        }


def _interval(number: int, band: CropBand) -> Interval:
    return Interval(band.low, band.high, band.share, _examples(band.crops), "" if number else "Strongest")


def _examples(crops: Sequence[Crop]) -> tuple[Example, ...]:
    return tuple(Example(c.image, c.value, c.heat if c.heat.any() else None, c.picture, c.label) for c in crops)


def _histogram(examples: LayerExamples, unit: int) -> Histogram:
    """By quarters of octaves, those near zero together."""
    counts, ends = examples.histogram[unit], examples.intervals
    reached = np.flatnonzero(counts)
    largest = max(abs(ends[reached[0], 0]), ends[reached[-1], 1]) if len(reached) else 1.0
    steps = grid.PER_OCTAVE * NEAR_ZERO
    octaves = int(np.clip(np.searchsorted(ends[grid.ZERO + 1 :, 1], largest), steps, grid.STEPS - 1))
    first, last = grid.ZERO + 1 + octaves - steps, grid.ZERO + octaves + 1
    below = 2 * grid.ZERO - first
    middle = counts[below + 1 : first].sum()
    positive = counts[first : last + 1]
    edges = [ends[first, 0], *ends[first : last + 1, 1]]
    values = [*positive]
    if reached.size and reached[0] <= below:
        low = 2 * grid.ZERO - last
        edges = [*ends[low : below + 1, 0], -ends[first, 0], *edges]
        values = [*counts[low : below + 1], middle, *values]
    else:
        edges, values = [0.0, *edges], [middle, *values]
    what = f"{examples.pictures_seen} pictures" + (", all their places" if len(examples.shape) > 1 else "")
    return Histogram(np.array(edges), np.array(values), what)


def _wired(wiring: LayerWiring, unit: int) -> dict:
    classes, labels = {}, wiring.labels
    if wiring.classes is not None:
        for index, effects in (
            (wiring.classes.up, wiring.classes.up_effects),
            (wiring.classes.down, wiring.classes.down_effects),
        ):
            for number, effect in zip(index[unit].tolist(), effects[unit].tolist()):
                classes[labels[number] if number < len(labels) else f"class {number}"] = float(effect)
    return {
        "inputs": _side(wiring.inputs, unit),
        "outputs": _side(wiring.outputs, unit),
        "classes": dict(sorted(classes.items(), key=lambda item: -item[1])),
        "classes_are": "What an activation of 1 everywhere adds to the class's logit, in the linearized network.",
    }


def _side(side: Side | None, unit: int) -> tuple[Wiring, ...]:
    if side is None:
        return ()

    def wires(found: Connections) -> Iterator[Wire]:
        for other, strength, weights in zip(found.units[unit], found.strengths[unit], found.weights[unit]):
            if other != NONE:
                yield Wire(side.layer, int(other), np.asarray(weights), float(strength))

    return (Wiring(side.layer, tuple(wires(side.excitatory)), tuple(wires(side.inhibitory))),)
