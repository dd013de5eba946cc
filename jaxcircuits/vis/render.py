"""Drawing: objectives and a recipe in, pictures out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.vis.batching import Table, Task
from jaxcircuits.vis.objectives import Objective
from jaxcircuits.vis.objectives.base import picture_keys
from jaxcircuits.vis.objectives.pictures import as_pictures, check_pictures
from jaxcircuits.vis.progress import RenderProgress
from jaxcircuits.vis.recipe import Recipe
from jaxcircuits.vis.rendering import Rendering, joined


def render(
    network: Network,
    objective: Objective,
    recipe: Recipe = Recipe(),
    *,
    seed: int | Sequence[int] = 0,
    start: np.ndarray | None = None,
    batch_size: int | None = None,
    snapshots: Iterable[int] = (),
    progress: bool | Callable[[int, int, int], None] = True,
) -> Rendering:
    """Draws what an objective looks for: one picture for each of its rows.

    Args:
      network: whose units.
      objective: such as `channel("mixed4b", range(16))`.
      recipe: how.
      seed: of the random starts and views; several draw several pictures of one objective.
      start: a picture to begin with in place of a random one, (H, W, channels) in [0, 1] of the recipe's size, or one
        for each row.
      batch_size: pictures drawn together; by default two a core of a CPU, 16 at most; 64 on an accelerator, a
        device.
      snapshots: numbers of steps after which to keep the unfinished pictures too.
      progress: show a bar, where there is a terminal or notebook to show it; or a function that is told, after every
        step or few, how many pictures are finished, how many are being drawn, and how many steps those have taken
        together.

    Returns:
      The `Rendering`.

    Raises:
      InputError: for a layer or unit that the network does not have, or numbers that make no sense.
    """
    options = {"seed": seed, "start": start, "batch_size": batch_size, "snapshots": snapshots, "progress": progress}
    return joined(render_batches(network, objective, recipe, **options))


def render_batches(
    network: Network,
    objective: Objective,
    recipe: Recipe = Recipe(),
    *,
    seed: int | Sequence[int] = 0,
    start: np.ndarray | None = None,
    batch_size: int | None = None,
    snapshots: Iterable[int] = (),
    progress: bool | Callable[[int, int, int], None] = True,
) -> Iterator[tuple[list[int], Rendering]]:
    """Like `render`, but hands out pictures as soon as they are finished.

    Yields:
      Which rows they are, and their `Rendering`.
    """
    task = _task(network, objective, recipe, seed, start)
    with RenderProgress(" ".join(objective.layers), len(task.keys), recipe.steps, progress) as bar:
        table = Table(network, recipe, task, batch_size, _check_snapshots(snapshots, recipe.steps))
        while table.fill():
            for _ in table.advance():
                bar.update(table.finished, table.drawing, table.steps_done)
            yield from table.leave()


def compile_ahead(
    network: Network, objective: Objective, recipe: Recipe = Recipe(), *, batch_size: int | None = None
) -> None:
    """Compiles what `render` with these arguments runs, and draws nothing; `render` then starts at once.

    Nothing is put on a device (though a GPU's compiler may try convolutions there), and Python's other threads run on,
    so that one layer's programs can be compiled while another is drawn.

    Args:
      network: as for `render`, like the other arguments.
      objective: likewise; which units it names does not matter, only their number, layers and kind.
      recipe: likewise.
      batch_size: likewise.

    Raises:
      InputError: as `render` does.
    """
    Table(network, recipe, _task(network, objective, recipe, 0, None), batch_size, frozenset()).compile()


def _task(
    network: Network, objective: Objective, recipe: Recipe, seed: int | Sequence[int], start: np.ndarray | None
) -> Task:
    """What is to be drawn, checked."""
    seeds = [seed] if isinstance(seed, int) else list(seed)
    given = None if start is None else as_pictures(start)
    count = max(objective.count, len(seeds), 1 if given is None else len(given), recipe.parametrization.group)
    objective = objective.rows(count)
    objective.check(network, recipe)
    seeds = _check_seeds(seeds, count)
    if given is not None:
        check_pictures(given, network, recipe)
        given = np.broadcast_to(given, (count, *given.shape[1:]))
    group = math.lcm(objective.group, recipe.parametrization.group)
    if count % group:
        raise InputError(f"{count} pictures; {recipe.parametrization} draws groups of {group}")
    return Task(objective, picture_keys(objective, seeds, group), given, group)


def _check_seeds(seeds: list[int], count: int) -> list[int]:
    if len(seeds) not in (1, count):
        raise InputError(f"{len(seeds)} seeds for {count} pictures; expected one, or one for each")
    for seed in seeds:
        if not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
            raise InputError(f"seed {seed!r}; expected a whole number from 0 to 2**32 - 1")
    return seeds * count if len(seeds) == 1 else seeds


def _check_snapshots(snapshots: Iterable[int], steps: int) -> frozenset[int]:
    wanted = frozenset(snapshots)
    for step in wanted:
        if not isinstance(step, int) or not 1 <= step <= steps:
            raise InputError(f"snapshot after {step!r} steps; the recipe has steps 1 to {steps}")
    return wanted
