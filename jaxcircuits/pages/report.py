"""A circuit's folder: the circuit as JSON, its diagram, its weights as a grid, and the page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxcircuits.circuits import Circuit, Unit, extract_circuit
from jaxcircuits.files import below, replacing
from jaxcircuits.images.sheet import save_image
from jaxcircuits.network import Network
from jaxcircuits.pages.diagram import circuit_diagram
from jaxcircuits.pages.grid import weight_grids
from jaxcircuits.pages.layout import lay_out
from jaxcircuits.pages.page import circuit_page
from jaxcircuits.pages.pictures import draw_units
from jaxcircuits.vis.arguments import as_recipe

if TYPE_CHECKING:
    from jaxtyping import Num

SIZE, STEPS = 96, 256
"""Of the units' pictures, unless said otherwise: smaller and shorter than for looking at a unit alone."""


def report_circuit(
    network: Network,
    target: str | Unit,
    out: Path,
    *,
    depth: int = 2,
    top: int = 8,
    steps: int = STEPS,
    size: int | None = None,
    seed: int = 0,
) -> list[Path]:
    """Extracts the circuit of a unit, draws its units and writes its folder, OUT/NETWORK/LAYER-UNIT.

    Args:
      network: of the zoo.
      target: such as `mixed4c:447`.
      out: folder.
      depth: stages below the target, see `extract_circuit`.
      top: inputs of each unit that are shown, see `extract_circuit`.
      steps: of gradient ascent, a picture.
      size: of the pictures in pixels; by default 96, or a smaller network's own.
      seed: of the pictures.

    Returns:
      The files, see `write_circuit`.

    Raises:
      InputError: as `extract_circuit` and `Recipe`; before anything is written.
    """
    size = size if size is not None else min(SIZE, *network.convention.size)
    recipe = as_recipe(network, None, size=size, steps=steps)
    circuit = extract_circuit(network, target, depth, top)
    lay_out(circuit)  # says so where it is too large, before minutes of drawing
    pictures = draw_units(network, circuit, recipe, seed=seed)
    about = f"Pictures of units: {steps} steps at {size} px, seed {seed}."
    (unit,) = circuit.rows[0]
    return write_circuit(below(out, network.name, f"{unit.layer}-{unit.index}"), circuit, pictures, about)


def write_circuit(
    folder: Path, circuit: Circuit, pictures: dict[Unit, Num[np.ndarray, "height width channels"]], about: str = ""
) -> list[Path]:
    """Writes a circuit's files.

    Args:
      folder: made where it is missing.
      circuit: what to write.
      pictures: of its units, from `draw_units`.
      about: how the pictures came about, in a line, for the page.

    Returns:
      `circuit.json`, for `Circuit.from_json`; `weights.png`, the grids; `circuit.png`, the
      diagram; `circuit.html`, the page.

    Raises:
      InputError: where the folder cannot be written to.
    """
    files = [folder / name for name in ("circuit.json", "weights.png", "circuit.png", "circuit.html")]
    _write_text(files[0], circuit.to_json())
    save_image(weight_grids(circuit, pictures), files[1])
    save_image(circuit_diagram(circuit, pictures), files[2])
    _write_text(files[3], circuit_page(circuit, pictures, about))
    return files


def _write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
