"""What the pages of a network, a layer and a unit show, as data: pages know nothing of where it came from.

Everything but names is optional. What is None or empty has not been made yet; the page then says which command does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Protocol

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Example:
    """A picture, or a part of one, that a unit answered.

    Attributes:
      image: uint8 (h, w, 3).
      value: the activation, the largest in the picture.
      heat: the unit's activation over the image, (rows, columns); None where it has no positions.
      name: of the picture, such as its path.
      label: of its class; empty where unknown.
    """

    image: np.ndarray
    value: float
    heat: np.ndarray | None = None
    name: str = ""
    label: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Interval:
    """Examples from one interval of activation.

    Attributes:
      low, high: its ends, activations; the same number for one value alone.
      share: of all pictures whose largest activation lies there, 0 to 1; None where unknown.
      examples: from it, largest first.
      title: in place of the ends, such as `strongest`.
    """

    low: float
    high: float
    share: float | None
    examples: tuple[Example, ...]
    title: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Histogram:
    """How often activations lie where.

    Attributes:
      edges: (n + 1,), increasing activations.
      counts: (n,), of places in pictures, or of pictures.
      of: what is counted.
    """

    edges: np.ndarray
    counts: np.ndarray
    of: str


@dataclasses.dataclass(frozen=True, eq=False)
class Wire:
    """A connection with a unit of another layer.

    Attributes:
      layer, unit: the other end.
      weights: (h, w), from source to target, in cells of the source's layer.
      strength: norm of the weights of the sign that it is listed under.
    """

    layer: str
    unit: int
    weights: np.ndarray
    strength: float


@dataclasses.dataclass(frozen=True, eq=False)
class Wiring:
    """The strongest connections with one other layer, strongest first."""

    layer: str
    excitatory: tuple[Wire, ...]
    inhibitory: tuple[Wire, ...]

    @property
    def scale(self) -> float:
        """The largest weight, in absolute value: of the colors."""
        return max((float(np.abs(w.weights).max()) for w in (*self.excitatory, *self.inhibitory)), default=0.0)


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """Answers to stimuli of one kind.

    Attributes:
      title: such as `orientation of a curve`.
      x: (n,), the parameter that is varied.
      y: (n,), mean answers, in the unit's activation.
      unit: of x, such as `degrees` or `px`.
      around: the period of x where it is an angle, in its unit; 0 where it is none. Angles are plotted around a circle.
      spread: (n,), standard deviations of the answers; None where unknown.
    """

    title: str
    x: np.ndarray
    y: np.ndarray
    unit: str = ""
    around: float = 0.0
    spread: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Meaning:
    """One of several things that a unit answers.

    Attributes:
      share: of its strongest pictures that belong here, 0 to 1.
      drawing: uint8 (h, w, 3); None where there is none.
      examples: strongest first.
      inputs: (layer, unit) of the layer below that tell it from the other meanings; of a single one, that it owes most.
    """

    share: float
    drawing: np.ndarray | None = None
    examples: tuple[Example, ...] = ()
    inputs: tuple[tuple[str, int], ...] = ()


@dataclasses.dataclass(frozen=True)
class Argument:
    """One of the seven arguments about what a unit is.

    Attributes:
      name: such as `Feature visualization`.
      holds: what it says; None where it was not decided.
      said: in a sentence, with its figures.
    """

    name: str
    holds: bool | None
    said: str


@dataclasses.dataclass(frozen=True)
class Likeness:
    """Another unit that is like this one.

    Attributes:
      layer, unit: which.
      value: how alike, 1 for the same.
      network: of which network; empty for this one.
    """

    layer: str
    unit: int
    value: float
    network: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class UnitView:
    """All that is known of one unit.

    Attributes:
      layer, unit: which.
      drawings: caption -> uint8 (h, w, 3); `strongest` first, then `negative` and others.
      failed: why there is no drawing, where there is none for a reason.
      intervals: examples, strongest interval first; None where none were looked for.
      histogram: None where unknown.
      facts: name -> number: density, selectivity, mean and the like.
      classes: label -> effect on its logit, or mean answer; largest first.
      classes_are: what `classes` holds, in a sentence.
      inputs, outputs: None where not read.
      similar: units of the layer.
      similar_by: in what they are alike.
      counterparts: units of other networks.
      meanings: None where not looked for; one or several, or none where they could not be told.
      meanings_said: how sure it is that there are so many, or why they could not be told, in a sentence.
      arguments: None where not asked for.
      tuning: None where not measured.
      families: names.
      circuit: address of the circuit's page, relative to the layer's folder; empty where there is none.
    """

    layer: str
    unit: int
    drawings: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    failed: str = ""
    intervals: tuple[Interval, ...] | None = None
    histogram: Histogram | None = None
    facts: Mapping[str, float] = dataclasses.field(default_factory=dict)
    classes: Mapping[str, float] = dataclasses.field(default_factory=dict)
    classes_are: str = ""
    inputs: tuple[Wiring, ...] | None = None
    outputs: tuple[Wiring, ...] | None = None
    similar: tuple[Likeness, ...] = ()
    similar_by: str = ""
    counterparts: tuple[Likeness, ...] = ()
    meanings: tuple[Meaning, ...] | None = None
    meanings_said: str = ""
    arguments: tuple[Argument, ...] | None = None
    tuning: tuple[Curve, ...] | None = None
    families: tuple[str, ...] = ()
    circuit: str = ""


class LayerView(Protocol):
    """A layer, whose units are read one by one.

    Attributes:
      name: of the layer.
      channels: how many units the layer has.
      shape: of one picture's activation, (h, w, channels) or (channels,).
      depth: stages before it, from 1 on; 0 for layers between stages.
      units: those that have a page, in order.
      measures: name (density, selectivity, monosemanticity) -> (units,), one for each of `units`; NaN where unknown.
      families: name -> unit numbers.
      likeness: float (units, d), vectors whose cosine says how alike units are; None where unknown.
      likeness_of: what is alike, in a few words.
      damaged: one line for each record that cannot be read.
    """

    name: str
    channels: int
    shape: tuple[int, ...]
    depth: int
    units: tuple[int, ...]
    measures: Mapping[str, np.ndarray]
    families: Mapping[str, tuple[int, ...]]
    likeness: np.ndarray | None
    likeness_of: str
    damaged: tuple[str, ...]

    def drawing(self, unit: int) -> np.ndarray | None:
        """What a unit looks for, uint8 (h, w, 3)."""
        ...

    def unit(self, unit: int) -> UnitView:
        """All that is known of it."""
        ...


@dataclasses.dataclass(frozen=True)
class LayerMap:
    """Which layers of two networks correspond.

    Attributes:
      other: the other network's name.
      rows: layers of this one.
      columns: layers of the other one.
      values: how alike, (rows, columns), 0 to 1.
      measure: what the values are.
    """

    other: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    measure: str


@dataclasses.dataclass(frozen=True, eq=False)
class NetworkView:
    """A network.

    Attributes:
      name: of the network.
      summary: what it is, in a sentence; may be empty.
      size: height and width of its pictures, in pixels.
      stages: (name, shape) of the trunk's layers, from the image, with a page or without.
      layers: those with pages.
      labels: of its outputs.
      about: how the records came about, name -> text: recipe, pictures, weights.
      maps: to other networks.
      load: the argument of `jaxcircuits.load` that loads it.
    """

    name: str
    summary: str
    size: tuple[int, int]
    stages: tuple[tuple[str, tuple[int, ...]], ...]
    layers: tuple[LayerView, ...]
    labels: tuple[str, ...] = ()
    about: Mapping[str, str] = dataclasses.field(default_factory=dict)
    maps: tuple[LayerMap, ...] = ()
    load: str = ""
