"""What all arguments need to know of the units that they are for: found once, from stimuli and from pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from jaxcircuits.circuits.weights.direct import directly_read
from jaxcircuits.errors import InputError
from jaxcircuits.evidence import Examples, Tuning, stimuli, tuning
from jaxcircuits.evidence.stimulus import Stimulus, parameter_names
from jaxcircuits.images import Pictures
from jaxcircuits.network import Network

TURN = 2 * np.pi
SHADES = np.repeat([[0.1], [0.9]], 3, axis=1)
SCALES = {
    stimuli.curve: ("radius", (0.15, 0.22, 0.3, 0.4)),
    stimuli.s_curve: ("radius", (0.1, 0.15, 0.2, 0.27)),
    stimuli.line: ("length", (0.3, 0.45, 0.6, 0.8)),
    stimuli.corner: ("length", (0.15, 0.22, 0.3, 0.4)),
    stimuli.grating: ("wavelength", (0.04, 0.06, 0.09, 0.13)),
    stimuli.spiral: ("pitch", (0.08, 0.11, 0.15, 0.2)),
}
"""Stimulus -> a parameter and its values, as parts of the picture's side."""
SELECTIVE, STRONG, UNLIKE = 3.0, 1 / 3, 0.7
"""A unit is of the family that answers its best value so many times better than the opposite one, at least so strongly
as the layer's 95th percentile, and no other figure more than so well."""
SELECTIVE_BELOW = 2.0
"""The same of the units of the layer below."""


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """Units, and what was found out about them.

    Attributes:
      network, layer: whose units.
      units: (n,), those that the arguments are for.
      family: (m,), the units that tile the parameter's circle, the units among them.
      below, above: the stage before the layer, and the one after it; None where there is none.
      pictures, examples: of the world.
      sample: float32 (s, H, W, channels), some of them.
      stimulus, parameter, values, period: what is varied.
      tuning: of the layer and the one below.
      chosen_by: the part of the tuning that `preferred`, `selectivity`, `strength` and `family` are of.
      held_out: the other part, see `halves`; None where there is no other.
      preferred: layer -> (channels,), in [0, period).
      selectivity: layer -> (channels,).
      strength: layer -> (channels,), mean answers to the preferred value.
      others: figure -> (channels,), the layer's best answers to other figures, in parts of its best answer.
      size: of drawn and transformed pictures.
      count: examples of each unit.
      seed: of all that is drawn by lot.
      progress: show bars.
    """

    network: Network
    layer: str
    units: np.ndarray
    family: np.ndarray
    below: str | None
    above: str | None
    pictures: Pictures
    examples: Examples
    sample: np.ndarray
    stimulus: Stimulus
    parameter: str
    values: np.ndarray
    period: float
    tuning: Tuning
    chosen_by: Tuning
    held_out: Tuning | None
    preferred: Mapping[str, np.ndarray]
    selectivity: Mapping[str, np.ndarray]
    strength: Mapping[str, np.ndarray]
    others: Mapping[str, np.ndarray]
    size: int
    count: int
    seed: int
    progress: bool

    @property
    def tolerance(self) -> float:
        """How far values may be apart that count as the same: an eighth of the period, 45 degrees of a turn."""
        return self.period / 8

    def apart(self, first: ArrayLike, second: ArrayLike) -> np.ndarray:
        """How far values are apart round the circle, from 0 to half a period."""
        half = self.period / 2
        return np.abs((np.asarray(first) - np.asarray(second) + half) % self.period - half)

    def name(self, unit: int) -> str:
        return f"{self.layer}:{unit}"

    def named(self, values: np.ndarray) -> dict[str, float]:
        """Values of `units` by their names."""
        return {self.name(unit): float(value) for unit, value in zip(self.units.tolist(), values)}

    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)

    def outside(self, count: int, among: np.ndarray | None = None) -> np.ndarray:
        """Units of the layer, or among some of them, that are not of the family, by lot."""
        every = np.arange(self.network.layers[self.layer].channels) if among is None else among
        return np.sort(self.rng().permutation(np.setdiff1d(every, self.family))[:count])


def default_grid(stimulus: Stimulus, size: int) -> dict[str, ArrayLike]:
    """All orientations, dark and light, and four sizes of stimuli in `SCALES`.

    Raises:
      InputError: for a stimulus without an orientation.
    """
    takes = parameter_names(stimulus)
    if "orientation" not in takes:
        raise InputError(f"a stimulus of {', '.join(takes)} has no orientation; give a grid")
    grid: dict[str, ArrayLike] = {"orientation": np.arange(24) * TURN / 24}
    scale = SCALES.get(getattr(stimulus, "func", stimulus))
    if scale and scale[0] in takes:
        grid[scale[0]] = np.array(scale[1]) * size
    return grid | ({"color": SHADES} if "color" in takes else {})


def default_others(size: int) -> dict[str, tuple[Stimulus, Mapping[str, ArrayLike]]]:
    """Figures that are no curves: straight lines and right angles, all orientations, dark and light."""
    around = np.arange(12) * TURN / 12
    return {
        "line": (stimuli.line, {"orientation": around / 2, "length": [0.8 * size], "color": SHADES}),
        "corner": (stimuli.corner, {"orientation": around, "length": [0.3 * size], "color": SHADES}),
    }


def neighbors(network: Network, layer: str) -> tuple[str | None, str | None]:
    """The stage that a layer reads and the one that reads it, bottlenecks passed over; None where there is none."""
    own = network.graph.first_name(layer)
    stages = [stage for stage in network.graph.stages if stage != own]
    reach = directly_read(network, layer)
    before = [stage for stage in stages if reach.get(stage)]
    after = [(stage, directly_read(network, stage)) for stage in stages if network.graph.follows(own, stage)]
    readers = [stage for stage, read in after if read.get(own)]
    # What later stages read through, such as a layer that squeezes, is on the way to the reader.
    ends = [stage for stage in readers if stage == after[-1][0] or any(read.get(stage) for _, read in after)]
    return (before[-1] if before else None), (ends[0] if ends else None)


def halves(found: Tuning, parameter: str) -> tuple[Tuning, Tuning | None]:
    """Splits a tuning in two: the part that chooses units, and the part that measures what was chosen.

    Args:
      found: the tuning.
      parameter: the one that both parts have all values of.

    Returns:
      The first, third, fifth ... value of the first other parameter that has several and is a number, and the values
      between them; all, and None, where there is no such parameter. Colors are none, since of units that answer dark
      figures alone light ones would find nothing.
    """
    for name, values in found.grid.items():
        if name != parameter and values.ndim == 1 and len(values) > 1:
            first, second = (_every_second(found, name, start) for start in (0, 1))
            return first, second
    return found, None


def _every_second(found: Tuning, name: str, start: int) -> Tuning:
    axis = found.axis(name) + 1
    own = np.arange(start, len(found.grid[name]), 2)
    answers = {layer: values.take(own, axis=axis) for layer, values in found.answers.items()}
    return dataclasses.replace(found, grid={**found.grid, name: found.grid[name][own]}, answers=answers)


def measure(
    network: Network,
    layer: str,
    units: np.ndarray | None,
    stimulus: Stimulus,
    grid: Mapping[str, ArrayLike],
    parameter: str,
    period: float,
    others: Mapping[str, tuple[Stimulus, Mapping[str, ArrayLike]]],
    size: int,
    progress: bool,
) -> dict[str, Any]:
    """What stimuli tell: the fields of a `Case` from `tuning` to `others`, and its units and family."""
    below, above = neighbors(network, layer)
    layers = [layer] if below is None else [layer, below]
    options = {"size": size, "progress": progress}
    found = tuning(network, stimulus, grid, layers, **options)
    chosen_by, held_out = halves(found, parameter)
    preferred, selectivity, strength = {}, {}, {}
    for name in layers:
        preferred[name], selectivity[name] = chosen_by.preference(name, parameter, period)
        strength[name] = np.maximum(chosen_by.along(name, parameter), 0).max(1)
    best = np.maximum(chosen_by[layer].reshape(len(chosen_by[layer]), -1).max(1), 1e-12)
    unlike = {}
    for name, (figure, figure_grid) in others.items():
        answers = tuning(network, figure, figure_grid, [layer], **options)[layer]
        unlike[name] = np.maximum(answers.reshape(len(answers), -1).max(1), 0) / best
    tiling = selective(strength[layer], selectivity[layer], unlike.values())
    if units is None:
        units = tiling
        if not units.size:
            raise InputError(f"no unit of {layer} is selective for the {parameter} of {found.stimulus}; name units")
    family = np.union1d(units, tiling)
    family = family[np.argsort(preferred[layer][family], kind="stable")]
    return {
        "units": units,
        "family": family,
        "below": below,
        "above": above,
        "tuning": found,
        "chosen_by": chosen_by,
        "held_out": held_out,
        "preferred": preferred,
        "selectivity": selectivity,
        "strength": strength,
        "others": unlike,
    }


def selective(
    strength: np.ndarray, selectivity: np.ndarray, others: Iterable[np.ndarray] = (), least: float = SELECTIVE
) -> np.ndarray:
    """The units of a layer that are selective, strong and answer no other figure as well; see `SELECTIVE`."""
    chosen = selectivity >= least
    for other in others:
        chosen &= other <= UNLIKE
    return np.flatnonzero(chosen & (strength > 0) & (strength >= STRONG * np.percentile(strength, 95)))


Written = Callable[[np.ndarray], Network]
"""Values of the parameter -> a network written by hand whose last layer has a unit for each."""
