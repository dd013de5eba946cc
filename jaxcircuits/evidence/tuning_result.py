"""What tuning finds: answers labeled by unit and by parameter, and what follows from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcircuits.errors import InputError, unknown
from jaxcircuits.evidence import circular
from jaxcircuits.evidence.tuning_file import read_tuning, write_tuning
from jaxcircuits.lookup import Lookup

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Shaped

TURN = 2 * np.pi


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Tuning(Lookup[str, np.ndarray]):
    """Responses of units to a stimulus over a grid of its parameters, by layer: `tuning["mixed3b"]` is (units, *grid).

    Parameters that go round a circle have a `period`, that of an orientation in radians by default; lines and gratings
    are the same after half a turn, `period=np.pi`.

    Attributes:
      network, stimulus: their names.
      fixed: the stimulus' other arguments, as plain numbers and lists.
      size: height and width of the pictures, in pixels.
      place: where a unit's map was read, see `Place`.
      grid: parameter -> its values (n, ...), in the order of the axes; `picture` counts transformed pictures.
      answers: layer -> float32 (units, *grid).
    """

    network: str
    stimulus: str
    fixed: Mapping[str, Any]
    size: tuple[int, int]
    place: str
    grid: Mapping[str, Shaped[np.ndarray, "values ..."]]
    answers: Mapping[str, Float[np.ndarray, " units *grid"]]

    def _held(self) -> tuple[str, Mapping[str, Float[np.ndarray, " units *grid"]], str]:
        return "layer", self.answers, f"tuning of {self.network}"

    def __repr__(self) -> str:
        grid = " x ".join(f"{len(values)} {name}" for name, values in self.grid.items()) or "one picture"
        layers = ", ".join(f"{name} ({len(values)} units)" for name, values in self.answers.items())
        return f"Tuning({self.network} to {self.stimulus}: {grid}; {layers})"

    def axis(self, parameter: str) -> int:
        """The place of a parameter's axis among those of `grid`; raises `InputError` for an unknown one."""
        if parameter not in self.grid:
            raise unknown("parameter", parameter, self.grid, f"tuning to {self.stimulus}")
        return list(self.grid).index(parameter)

    def at(self, **values: Any) -> Tuning:
        """The tuning where some parameters have the values of the grid nearest to these; without their axes."""
        result = self
        for parameter, value in values.items():
            axis = result.axis(parameter)
            there = result.grid[parameter].reshape(len(result.grid[parameter]), -1)
            nearest = int(np.square(there - np.ravel(value)).sum(1).argmin())
            result = dataclasses.replace(
                result,
                fixed={**result.fixed, parameter: result.grid[parameter][nearest].tolist()},
                grid={name: own for name, own in result.grid.items() if name != parameter},
                answers={layer: own.take(nearest, axis=axis + 1) for layer, own in result.answers.items()},
            )
        return result

    def along(self, layer: str, parameter: str) -> Float[np.ndarray, "units values"]:
        """Mean answers over all other parameters, (units, values of the parameter)."""
        answers, kept = self[layer], self.axis(parameter) + 1
        others = tuple(axis for axis in range(1, answers.ndim) if axis != kept)
        return answers.mean(others, dtype=np.float64) if others else answers.astype(np.float64)

    def preferred(self, layer: str, parameter: str) -> Shaped[np.ndarray, "units ..."]:
        """The value that each unit answers most, on average over the others: (units, ...) as in the grid."""
        return self.grid[parameter][self.along(layer, parameter).argmax(1)]

    def best(self, layer: str) -> dict[str, Shaped[np.ndarray, "units ..."]]:
        """The point of the grid that each unit answers most: parameter -> (units, ...)."""
        answers = self[layer]
        places = np.unravel_index(answers.reshape(len(answers), -1).argmax(1), answers.shape[1:])
        return {name: values[place] for (name, values), place in zip(self.grid.items(), places)}

    def preference(
        self, layer: str, parameter: str, period: float = TURN
    ) -> tuple[Float[np.ndarray, " units"], Float[np.ndarray, " units"]]:
        """Which direction each unit likes best, and how much better than the opposite one, half a period away.

        Answers count from 0 on: of layers that are read before their activation function, what is below is nothing.

        Returns:
          The circular mean of the tuning curve, in [0, period), and the selectivity: the answer to the best value over
          that to the opposite one (infinite where that is 0, and 0 for units that answer nothing); (units,) each.

        Raises:
          InputError: for values that do not go evenly round the circle.
        """
        phases = self._round(parameter, period)
        mean, ratio = circular.preference(phases, self._positive(layer, parameter).T)
        return mean * period / TURN, ratio

    def concentration(self, layer: str, parameter: str, period: float = TURN) -> Float[np.ndarray, " units"]:
        """The length of the circular mean, (units,): 0 where all values are answered alike, 1 where only one is."""
        phases = self._round(parameter, period)
        curves = self._positive(layer, parameter)
        total = curves.sum(1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(total > 0, np.abs(curves @ np.exp(1j * phases)) / total, 0.0)

    def half_width(self, layer: str, parameter: str, period: float = TURN) -> Float[np.ndarray, " units"]:
        """How wide tuning curves are at half their height, (units,); `period` where they never fall so low."""
        phases = self._round(parameter, period)
        return circular.half_width(phases, self._positive(layer, parameter).T) * period / TURN

    def tolerated(self, layer: str, parameter: str, share: float = 0.5) -> Bool[np.ndarray, "units values"]:
        """Which values each unit answers at least that share as well as its best one, bool (units, values).

        Every other parameter is where the unit answers most.
        """
        answers = np.maximum(self[layer], 0)
        axis = self.axis(parameter)
        places = np.unravel_index(answers.reshape(len(answers), -1).argmax(1), answers.shape[1:])
        units = np.arange(len(answers))[:, None]
        index = [place[:, None] for place in places]
        index[axis] = np.arange(answers.shape[axis + 1])[None]
        curve = answers[(units, *index)]
        peak = curve.max(1, keepdims=True)
        return (curve >= share * peak) & (peak > 0)

    def save(self, path: str | Path) -> Path:
        """Writes all of it as one safetensors file; returns the path."""
        return write_tuning(Path(path), {field.name: getattr(self, field.name) for field in dataclasses.fields(self)})

    @classmethod
    def read(cls, path: str | Path) -> Tuning:
        """Reads what `save` wrote; nothing in the file is run.

        Raises:
          InputError: for a file that is damaged or something else.
        """
        return cls(**read_tuning(Path(path)))

    def _positive(self, layer: str, parameter: str) -> np.ndarray:
        return np.maximum(self.along(layer, parameter), 0)

    def _round(self, parameter: str, period: float) -> np.ndarray:
        """A parameter's values as radians round the circle; they have to go round it evenly."""
        self.axis(parameter)
        values = self.grid[parameter]
        count = len(values)
        even = values.ndim == 1 and count >= 3
        even = even and np.allclose(values, values[0] + np.arange(count) * period / count, atol=1e-3 * period / count)
        if not even:
            raise InputError(
                f"values of {parameter} do not go evenly round a circle of {period:.4g}; expected "
                f"np.arange(n) * {period:.4g} / n, n from 3 on, or another period"
            )
        return values * TURN / period
