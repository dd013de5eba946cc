"""An argument as data: a value, what it would be by chance, and what the value is of."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from jaxcircuits.brief import Brief

NAMES = ("drawing", "examples", "synthetic", "joint", "implementation", "use", "by_hand")
"""In the order of the article."""
LEVEL = 0.05
"""The corrected p-value up to which an argument holds."""


@dataclasses.dataclass(frozen=True, repr=False)
class Argument(Brief):
    """One of the seven.

    Attributes:
      name: one of `NAMES`.
      meaning: what the value is, in a sentence.
      value: mean over the units; None where the argument cannot be made.
      chance: what the value would be by chance, and of what, see `against`; None where there is no value.
      bound: the 95th percentile of the same value by chance.
      against: what stands for chance, in a few words.
      count: of the units, examples or pictures that the value is of and that `interval` resamples.
      interval: the 95 % interval of the value by the percentile bootstrap; None for fewer than two of them.
      p_value: how often chance gives as large a value.
      adjusted_p_value: the same, corrected for the arguments that were made of the units (Holm, 1979).
      units: unit's name -> its own value.
      figures: further figures, as plain JSON types.
      missing: why the argument cannot be made; empty where it can.
    """

    name: str
    meaning: str
    value: float | None = None
    chance: float | None = None
    bound: float | None = None
    against: str = ""
    count: int = 0
    interval: tuple[float, float] | None = None
    p_value: float | None = None
    adjusted_p_value: float | None = None
    units: Mapping[str, float] = dataclasses.field(default_factory=dict)
    figures: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    missing: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether the corrected p-value is at most 0.05; None where there is none."""
        return None if self.adjusted_p_value is None else self.adjusted_p_value <= LEVEL


@dataclasses.dataclass(frozen=True, repr=False)
class Arguments:
    """The seven arguments for units of one layer.

    Attributes:
      network, layer, stimulus, parameter: names.
      units: that the arguments are for.
      family: units of the layer that answer the stimulus with other values of the parameter, the units among them.
      preferred: unit's name -> the value of the parameter that it prefers.
      setting: sizes, counts and layers, as plain JSON types.
      drawing, examples, synthetic, joint, implementation, use, by_hand: the arguments.
      shown: pictures and curves for a page, by name; not in the JSON.
    """

    network: str
    layer: str
    stimulus: str
    parameter: str
    units: tuple[int, ...]
    family: tuple[int, ...]
    preferred: Mapping[str, float]
    setting: Mapping[str, Any]
    drawing: Argument
    examples: Argument
    synthetic: Argument
    joint: Argument
    implementation: Argument
    use: Argument
    by_hand: Argument
    shown: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict, compare=False, repr=False)

    def __repr__(self) -> str:
        one = len(self.units) == 1
        what = f"Does {self.layer}:{self.units[0]}" if one else f"Do {len(self.units)} units of {self.layer}"
        holding = sum(bool(one.holds) for one in self)
        verdict = f"{holding} of {len(self)} arguments hold"
        lines = [f"{what} of {self.network} detect {self.stimulus} by {self.parameter}? {verdict}"]
        for one in self:
            if one.value is None or one.adjusted_p_value is None:
                lines.append(f"{one.name:14}  not measured: {one.missing}")
            else:
                said = "holds" if one.holds else "fails"
                chance = f"{one.chance:.3g} by chance, p = {one.p_value:.2g}, corrected {one.adjusted_p_value:.2g}"
                lines.append(f"{one.name:14}  {said}  {one.value:.3g}, {chance}")
        return "\n".join(lines)

    def __iter__(self) -> Iterator[Argument]:
        """The arguments, in the order of the article."""
        return (getattr(self, name) for name in NAMES)

    def __len__(self) -> int:
        return len(NAMES)

    def to_json(self) -> str:
        """All but the pictures, as JSON; what is not finite is null."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "shown"}
        fields |= {one.name: dataclasses.asdict(one) | {"holds": one.holds} for one in self}
        return json.dumps(_plain(fields), indent=1)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    if isinstance(value, (bool, np.bool_)) or value is None or isinstance(value, str):
        return bool(value) if isinstance(value, np.bool_) else value
    if isinstance(value, (int, np.integer)):
        return int(value)
    number = float(value)
    return float(f"{number:.6g}") if math.isfinite(number) else None
