"""The seven arguments, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from jaxcircuits.arguments.argument import Arguments
from jaxcircuits.arguments.by_hand import by_hand
from jaxcircuits.arguments.case import TURN, Case, Written, default_grid, default_others, measure
from jaxcircuits.arguments.chance import corrected
from jaxcircuits.arguments.dataset import dataset
from jaxcircuits.arguments.drawing import drawing
from jaxcircuits.arguments.implementation import implementation
from jaxcircuits.arguments.synthetic import synthetic
from jaxcircuits.arguments.together import together
from jaxcircuits.arguments.use import use
from jaxcircuits.errors import InputError, unknown, whole
from jaxcircuits.evidence import Examples, Tuning, stimuli
from jaxcircuits.evidence import examples as find_examples
from jaxcircuits.evidence.stimulus import Stimulus
from jaxcircuits.images import Pictures, open_pictures
from jaxcircuits.network import Network
from jaxcircuits.network.units import Unit, family
from jaxcircuits.vis import Recipe
from jaxcircuits.vis.arguments import as_recipe

STEPS = 128


def arguments(
    network: Network,
    units: str | Unit | Sequence[str | Unit],
    pictures: Pictures | Any,
    stimulus: Stimulus = stimuli.curve,
    *,
    grid: Mapping[str, ArrayLike] | None = None,
    parameter: str = "orientation",
    period: float = TURN,
    others: Mapping[str, tuple[Stimulus, Mapping[str, ArrayLike]]] | None = None,
    written: Written | None = None,
    examples: Examples | None = None,
    recipe: Recipe | None = None,
    size: int | None = None,
    count: int = 8,
    sample: int = 32,
    seed: int = 0,
    progress: bool = True,
) -> Arguments:
    """Measures the seven arguments of Zoom In for units: each is one number, compared with its value by chance.

    1 drawing         the percentile of its own drawing among pictures of the world
    2 examples        how many of its strongest examples look like the stimulus as it prefers it
    3 synthetic       how selectively it answers stimuli that did not choose it
    4 joint           who in the family takes over when examples are turned
    5 implementation  whether weights from the layer below go by how far preferred values are apart
    6 use             what the units that read it lose without it
    7 by hand         what a circuit written by hand restores in the family's place

    The family is found by the stimulus: units of the layer that are selective, strong, and answer no other figure. Of
    the first number beside `parameter` that has several values, such as the radius of curves, every second one serves
    for that and says what units prefer; the third argument is measured on the others. Answers are those
    at a unit's best place in the map (1, 3, 6), or where the examples lie (4).

    Chance is the same value, a mean over as many units, of what stands for chance, drawn again and again; the p-value
    is how often it is as large. An argument holds where its p-value, corrected for the arguments that were made (Holm,
    1979), is at most 0.05. A single unit cannot surpass chance as clearly as a family: of the second argument no
    p-value of one unit is far below a quarter, and of the third none is below 1 in the size of the family.

    Args:
      network: whose units.
      units: of one layer; or a layer's name, for all of the family.
      pictures: of the world: `Pictures`, or what `open_pictures` takes.
      stimulus: what the units are said to detect, a function as for `evidence.tuning`.
      grid: of its parameters; by default all orientations, dark and light, and four radii of curves or sizes of other
        figures. Without a second parameter that is a number the third argument is not made.
      parameter: of the grid, that goes evenly round a circle and that the family shares out.
      period: of it.
      others: figure -> a stimulus and its grid, which the units should not answer; lines and corners by default.
      written: preferred values -> a network written by hand, with a unit each in its last layer; for curves
        `handwritten_curves` by default.
      examples: of the layer, from an earlier pass over the same pictures.
      recipe: of drawings; by default 128 steps at `size`.
      size: of drawn and transformed pictures in pixels; by default 128, or a smaller network's own.
      count: examples of each unit.
      sample: pictures on which layers are compared with and without units.
      seed: of drawings and of all that is drawn by lot.
      progress: show bars.

    Returns:
      The `Arguments`.

    Raises:
      InputError: for unknown units, layers and parameters, for a layer without selective units, and for pictures that
        are too few or cannot be read.
    """
    count, sample = whole(count, "count", 1), whole(sample, "sample", 2)
    native = min(network.convention.size)
    size = min(128, native) if size is None else whole(size, "size", 32, native)
    grid = dict(default_grid(stimulus, size) if grid is None else grid)
    if parameter not in grid:
        raise unknown("parameter", parameter, grid, "the grid")
    layer, numbers = _chosen(network, units)
    others = default_others(size) if others is None else others
    found = measure(network, layer, numbers, stimulus, grid, parameter, period, others, size, progress)
    pictures = pictures if isinstance(pictures, Pictures) else open_pictures(pictures)
    if examples is None:
        examples = find_examples(network, pictures, [layer], max(count, 8), progress=progress)
    case = Case(
        network=network,
        layer=layer,
        pictures=pictures,
        examples=examples,
        sample=_sample(network, pictures, examples, sample),
        stimulus=stimulus,
        parameter=parameter,
        values=np.asarray(grid[parameter], np.float64),
        period=period,
        size=size,
        count=count,
        seed=seed,
        progress=progress,
        **found,
    )
    first, drawn = drawing(case, recipe or as_recipe(network, None, size=size, steps=STEPS))
    second, seen = dataset(case)
    made = [first, second, synthetic(case), together(case), implementation(case), use(case), by_hand(case, written)]
    return Arguments(
        network=network.name,
        layer=layer,
        stimulus=case.tuning.stimulus,
        parameter=parameter,
        units=tuple(case.units.tolist()),
        family=tuple(case.family.tolist()),
        preferred={case.name(unit): float(case.preferred[layer][unit]) for unit in case.family.tolist()},
        setting={
            "grid": _plain_grid(case.tuning),
            "period": period,
            "chosen_by": _plain_grid(case.chosen_by),
            "held_out": None if case.held_out is None else _plain_grid(case.held_out),
            "size": size,
            "count": count,
            "sample": len(case.sample),
            "seed": seed,
            "pictures": examples.seen.source,
            "pictures_seen": examples[layer].pictures_seen,
            "below": case.below,
            "above": case.above,
        },
        **{one.name: one for one in corrected(made)},
        shown={
            "drawings": drawn,
            "examples": seen,
            "tuning": np.maximum(case.tuning.along(layer, parameter), 0)[case.family],
            "values": case.values,
        },
    )


def _plain_grid(found: Tuning) -> dict[str, list]:
    return {name: values.tolist() for name, values in found.grid.items()}


def _chosen(network: Network, units: str | Unit | Sequence[str | Unit]) -> tuple[str, np.ndarray | None]:
    """The layer, and unit numbers; None of a layer's name, for the family."""
    if isinstance(units, str) and units in network.layers:
        return units, None
    return family(network, units)


def _sample(network: Network, pictures: Pictures, examples: Examples, count: int) -> np.ndarray:
    """Pictures of the pass, evenly spread over it, those left out that cannot be read."""
    shown = pictures.at(examples.seen.size, network.convention.channels)
    images = []
    spread = np.linspace(examples.seen.start, examples.seen.stop - 1, count).round().astype(int)
    for number in np.unique(spread).tolist():
        try:
            images.append(shown[number].image)
        except InputError:
            continue
    if len(images) < 2:
        raise InputError(f"{pictures!r}: {len(images)} pictures could be read; expected two or more")
    return np.stack(images)
