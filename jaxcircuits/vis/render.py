"""Drawing: objectives and a recipe in, pictures out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.network import Network
from jaxcircuits.vis.arguments import ObjectiveLike, as_network, as_objective, as_recipe, as_seeds, as_snapshots
from jaxcircuits.vis.batching import Table, Task
from jaxcircuits.vis.captions import captions
from jaxcircuits.vis.keys import picture_keys
from jaxcircuits.vis.objectives import Objective
from jaxcircuits.vis.objectives.base import check_finite
from jaxcircuits.vis.objectives.pictures import as_pictures, check_pictures
from jaxcircuits.vis.progress import RenderProgress
from jaxcircuits.vis.recipe import Recipe
from jaxcircuits.vis.rendering import Interrupted, NotFinite, Rendering, joined

if TYPE_CHECKING:
    from jaxtyping import Float


def render(
    network: Network | str,
    objective: ObjectiveLike,
    recipe: Recipe | str | None = None,
    *,
    seed: int | Sequence[int] = 0,
    start: Float[np.ndarray, "*pictures height width channels"] | None = None,
    batch_size: int | None = None,
    snapshots: Iterable[int] = (),
    progress: bool | Callable[[int, int, int], None] = True,
) -> Rendering:
    """Draws what an objective looks for: one picture for each of its rows.

    Args:
      network: whose units; or a network's name, or its file.
      objective: such as `channel("mixed4b", range(16))`; text such as `"mixed4b:3"`, `"mixed4b:0-15"`; or a function
        of what is seen of one picture, such as `lambda seen: seen["mixed4b"].max()`.
      recipe: how; or the name of a recipe, `lucid`, `fast` or `maco`, at 128 px or the network's own size where that is
        smaller. By default the network's own, `network.recipe`, or `lucid` where it has none.
      seed: of the random starts and views; several draw several pictures of one objective.
      start: a picture to begin with in place of a random one, (H, W, channels) in [0, 1] of the recipe's size, or one
        for each row.
      batch_size: pictures drawn together; by default two per core of a CPU, 16 at most; on accelerators 64 per
        device.
      snapshots: numbers of steps after which to keep the unfinished pictures too.
      progress: show a bar, where there is a terminal or notebook to show it; or a function that is told, after every
        step or few, how many pictures are finished, how many are being drawn, and how many steps those have taken
        together.

    Returns:
      The `Rendering`.

    Raises:
      InputError: for a layer or unit that the network does not have, or numbers that make no sense.
      NotFinite: where pictures failed, since their score became infinite or not a number; the others are in its
        `rendering`.
      Interrupted: for Ctrl-C after pictures were finished; they are in its `rendering`.
    """
    options = {"seed": seed, "start": start, "batch_size": batch_size, "snapshots": snapshots, "progress": progress}
    network = as_network(network)
    objective = as_objective(network, objective)
    parts = []
    try:
        for part in render_batches(network, objective, recipe, **options):
            parts.append(part)
    except KeyboardInterrupt:
        if not parts:
            raise
        count = max(objective.count, np.size(seed))
        raise Interrupted(joined(parts), count) from None
    rendering = joined(parts)
    if rendering.failures:
        raise NotFinite(rendering)
    return rendering


def render_batches(
    network: Network | str,
    objective: ObjectiveLike,
    recipe: Recipe | str | None = None,
    *,
    seed: int | Sequence[int] = 0,
    start: Float[np.ndarray, "*pictures height width channels"] | None = None,
    batch_size: int | None = None,
    snapshots: Iterable[int] = (),
    progress: bool | Callable[[int, int, int], None] = True,
) -> Iterator[tuple[list[int], Rendering]]:
    """Like `render`, but hands out pictures as soon as they are finished.

    Yields:
      Which rows they are, and their `Rendering`, which names those that are not finite in its `failures`.
    """
    network = as_network(network)
    recipe = as_recipe(network, recipe)
    task = _task(network, as_objective(network, objective), recipe, seed, start)
    title = " ".join(task.objective.layers)
    with RenderProgress(title, len(task.keys), recipe.steps, progress) as bar:
        table = Table(network, recipe, task, batch_size, as_snapshots(snapshots, recipe.steps))
        while table.fill():
            for _ in table.advance():
                bar.update(table.finished, table.drawing, table.steps_done)
            yield from table.leave()
            bar.update(table.finished, table.drawing, table.steps_done)


def compile_ahead(
    network: Network | str,
    objective: ObjectiveLike,
    recipe: Recipe | str | None = None,
    *,
    batch_size: int | None = None,
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
    network = as_network(network)
    recipe = as_recipe(network, recipe)
    task = _task(network, as_objective(network, objective), recipe, 0, None)
    Table(network, recipe, task, batch_size, frozenset()).compile()


def _task(network: Network, objective: Objective, recipe: Recipe, seed: Any, start: np.ndarray | None) -> Task:
    """What is to be drawn, checked."""
    given = None if start is None else as_pictures(start)
    count = max(
        objective.count,
        1 if np.ndim(seed) == 0 else len(seed),
        1 if given is None else len(given),
        recipe.parametrization.group,
    )
    objective = objective.rows(count)
    objective.check(network, recipe)
    check_finite(objective)
    if given is not None:
        check_pictures(given, network, recipe)
        given = np.broadcast_to(given, (count, *given.shape[1:]))
    group = math.lcm(objective.group, recipe.parametrization.group)
    if count % group:
        raise InputError(f"{count} pictures; {recipe.parametrization} draws groups of {group}")
    seeds = as_seeds(seed, count)
    return Task(objective, picture_keys(objective, seeds, group), captions(network, objective, seeds), given, group)
