"""What has been found about a network's layers, for its units' pages: families, counterparts, tuning, arguments."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxcircuits.bulk.arguments_kept import KeptArgument, KeptArguments, read_arguments
from jaxcircuits.bulk.findings import Findings, read_tunings
from jaxcircuits.bulk.records import NetworkRecords
from jaxcircuits.errors import InputError
from jaxcircuits.evidence.tuning_result import Tuning
from jaxcircuits.pages.arguments import TITLES
from jaxcircuits.pages.microscope.views import Argument, Curve

HALF = ("line", "grating")
"""Stimuli that are the same after half a turn."""
UNITS = {"orientation": "degrees", "hue": "degrees", "radius": "px", "wavelength": "px"}


@dataclasses.dataclass(frozen=True, eq=False)
class Known:
    """What has been found.

    Attributes:
      findings: families and matches; empty ones where nothing was looked for.
      tunings: stimulus -> answers.
      argued: layer -> the seven arguments for its curve detectors.
    """

    findings: Findings
    tunings: Mapping[str, Tuning]
    argued: Mapping[str, KeptArguments]

    @classmethod
    def read(cls, records: NetworkRecords) -> Known:
        """What lies beside a network's records; what is damaged, or of other weights, is noted among their problems."""
        folder, findings, tunings = Path(records.folder), None, {}
        try:
            findings = Findings.read(folder)
            if findings and findings.weights != records.identity:
                records.problems.append(f"{folder}: findings of other weights; left out")
                findings = None
        except InputError as error:
            records.problems.append(str(error))
        try:
            tunings = read_tunings(folder)
        except InputError as error:
            records.problems.append(str(error))
        argued = {}
        for layer in records.layers:
            try:
                kept = read_arguments(folder, layer)
            except InputError as error:
                records.problems.append(str(error))
                continue
            if kept and kept.weights == records.identity:
                argued[layer] = kept
            elif kept:
                records.problems.append(f"{folder}: arguments for {layer} of other weights; left out")
        return cls(findings or Findings(records.identity), tunings, argued)

    def arguments(self, layer: str, unit: int) -> tuple[Argument, ...] | None:
        """The seven arguments for the family that a unit is of; None where there are none."""
        kept = self.argued.get(layer)
        if kept is None or unit not in kept.family:
            return None
        return tuple(_argument(one, f"{layer}:{unit}", len(kept.family)) for one in kept.seven)

    def tuning(self, layer: str, unit: int) -> tuple[Curve, ...] | None:
        """A unit's answers along each parameter of each stimulus, the mean over the others; None where not measured."""
        found = []
        for name, tuning in self.tunings.items():
            if layer not in tuning or unit >= len(tuning[layer]):
                continue
            for parameter, values in tuning.grid.items():
                if values.ndim > 1:  # such as colors: no line that a curve could be drawn along
                    continue
                x, y = np.asarray(values, np.float64), tuning.along(layer, parameter)[unit]
                title = f"{parameter} of a {name}" if parameter != name else name
                if UNITS.get(parameter) == "degrees":
                    x = np.degrees(x)
                    if name in HALF:
                        x, y = np.concatenate([x, x + 180]), np.concatenate([y, y])
                    found.append(Curve(title, x, y, "degrees", 360.0))
                else:
                    found.append(Curve(title, x, y, UNITS.get(parameter, "")))
        return tuple(found) or None


def _argument(kept: KeptArgument, name: str, count: int) -> Argument:
    if kept.value is None or kept.chance is None or kept.p_value is None or kept.adjusted_p_value is None:
        return Argument(TITLES.get(kept.name, kept.name), None, f"Not measured: {kept.missing}.")
    own = kept.units.get(name)
    mine = "" if own is None else f"This unit {own:.3g}; "
    chance = f"by chance ({kept.against}) {kept.chance:.3g}: p = {kept.p_value:.2g}"
    said = f"{mine}{count} units of its family {kept.value:.3g}, {chance}"
    said += f", and {kept.adjusted_p_value:.2g} when corrected for the arguments that were made"
    return Argument(TITLES.get(kept.name, kept.name), kept.holds, f"{kept.meaning}. {said}.")
