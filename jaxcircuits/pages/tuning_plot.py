"""Tuning curves as plots: round a circle, or along a line, as in Curve Detectors (Cammarata et al., Distill 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from jaxcircuits.errors import InputError, unknown
from jaxcircuits.evidence import Tuning
from jaxcircuits.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.projections.polar import PolarAxes

Kind = Literal["polar", "line"]
KINDS = ("polar", "line")
SUFFIXES = (".png", ".svg")
LEGEND = 12
"""Units that are named in a legend; more are told apart by their place round the circle alone."""


def tuning_plot(
    tuning: Tuning,
    layer: str,
    units: Sequence[int],
    parameter: str,
    path: str | Path,
    *,
    kind: Kind = "polar",
    period: float = 2 * np.pi,
) -> Path:
    """Plots units' responses along one parameter, averaged over the others, and writes the plot.

    Args:
      tuning: from `evidence.tuning`.
      layer: whose units.
      units: their numbers; each curve is drawn as a part of its own largest answer.
      parameter: a single number at each point of its axis.
      path: of a `.png` or `.svg` file.
      kind: `polar`, clockwise from the right as stimuli are turned, or `line`.
      period: of the parameter, once round the polar plot; a parameter that repeats sooner, such as a line's
        orientation, is drawn as often as it fits into a turn.

    Returns:
      The path.

    Raises:
      InputError: for unknown layers, units, parameters, kinds and endings, for values that are no single numbers, and
        without matplotlib.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: plots are saved as {' or '.join(SUFFIXES)}")
    if kind not in KINDS:
        raise unknown("kind", kind, KINDS, "plots")
    curves = np.maximum(tuning.along(layer, parameter), 0)
    values = tuning.grid[parameter]
    if values.ndim != 1:
        raise InputError(f"values of {parameter} are no single numbers and have no place along an axis")
    numbers = np.asarray(units)
    if numbers.ndim != 1 or not numbers.size or numbers.dtype.kind not in "iu":
        raise InputError(f"units {units!r}; expected a sequence of whole numbers")
    for unit in numbers[(numbers < 0) | (numbers >= len(curves))]:
        raise InputError(f"unknown unit {unit} of {layer}; it has units 0 to {len(curves) - 1}")
    chosen = curves[numbers] / np.maximum(curves[numbers].max(1, keepdims=True), 1e-12)
    figure = _polar(chosen, values, period) if kind == "polar" else _line(chosen, values, parameter)
    axes = figure.axes[0]
    for unit, line in zip(numbers.tolist(), axes.lines):
        line.set_label(f"{layer}:{unit}")
    axes.set_title(f"{tuning.network}, {layer} to {tuning.stimulus}", fontsize=10, pad=14)
    if len(numbers) <= LEGEND:
        axes.legend(
            loc="upper left", bbox_to_anchor=(1.08 if kind == "polar" else 1.01, 1.02), fontsize=8, frameon=False
        )
    with replacing(path) as temporary:
        # No date in the file, so that the same tuning gives the same bytes.
        metadata = {"Date": None} if path.suffix.lower() == ".svg" else {"Software": None}
        figure.savefig(temporary, format=path.suffix[1:].lower(), dpi=144, bbox_inches="tight", metadata=metadata)
    return path


def _figure(polar: bool) -> Figure:
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("plots need matplotlib; pip install 'jaxcircuits[plots]'") from error
    matplotlib.rcParams["svg.hashsalt"] = "jaxcircuits"
    figure = Figure(figsize=(5, 5) if polar else (6, 3.6))
    figure.add_subplot(projection="polar" if polar else None)
    return figure


def _polar(curves: np.ndarray, values: np.ndarray, period: float) -> Figure:
    figure = _figure(True)
    axes = cast("PolarAxes", figure.axes[0])  # as `_figure` has made them
    axes.set_theta_direction(-1)
    repeats = max(round(2 * np.pi / (period * _turn(values, period))), 1)
    angles = np.concatenate([values * _turn(values, period) + 2 * np.pi * i / repeats for i in range(repeats)])
    peaks = angles[curves.argmax(1)]
    import matplotlib

    hues = matplotlib.colormaps["hsv"](peaks / (2 * np.pi) % 1)
    for curve, hue in zip(curves, hues):
        around = np.tile(curve, repeats)
        axes.plot(np.append(angles, angles[0]), np.append(around, around[0]), color=hue * [0.85, 0.85, 0.85, 1], lw=1.3)
    axes.set_ylim(0, 1.02)
    axes.set_yticks([0.5, 1.0], ["", ""])
    axes.grid(alpha=0.35)
    return figure


def _turn(values: np.ndarray, period: float) -> float:
    """By what values are multiplied to be radians: 1 where the period is a part of a turn of them."""
    parts = 2 * np.pi / period
    return 1.0 if abs(parts - round(parts)) < 1e-6 and round(parts) >= 1 else parts


def _line(curves: np.ndarray, values: np.ndarray, parameter: str) -> Figure:
    figure = _figure(False)
    axes = figure.axes[0]
    for curve in curves:
        axes.plot(values, curve, lw=1.3, marker="o" if len(values) <= 12 else None, ms=3)
    axes.set_xlabel(parameter)
    axes.set_ylabel("of the largest answer")
    axes.set_ylim(0, 1.05)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure
