"""What has been found about a network's layers, for the pages of its units: families, counterparts, tuning."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxcircuits.bulk.findings import Findings, read_tunings
from jaxcircuits.bulk.records import NetworkRecords
from jaxcircuits.errors import InputError
from jaxcircuits.evidence.tuning_result import Tuning
from jaxcircuits.pages.microscope.views import Curve

HALF = ("line", "grating")
"""Stimuli that are the same after half a turn."""
UNITS = {"orientation": "degrees", "hue": "degrees", "radius": "px", "wavelength": "px"}


@dataclasses.dataclass(frozen=True, eq=False)
class Known:
    """What has been found.

    Attributes:
      findings: families and matches; empty ones where nothing was looked for.
      tunings: stimulus -> answers.
    """

    findings: Findings
    tunings: Mapping[str, Tuning]

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
        return cls(findings or Findings(records.identity), tunings)

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
