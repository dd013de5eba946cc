"""Drawings of the network in the box, three units at a time."""

from pathlib import Path

from jaxcircuits import Recipe, bulk
from jaxcircuits.bulk import DrawingPlan, Series
from jaxcircuits.vis import Jitter, Pad

QUICK = Recipe(size=32, steps=3, transforms=(Pad(2), Jitter(2)), redirect_steps=0)
OURS = DrawingPlan("slide", "abc", QUICK, 0, "png")


def draw(network, out, units, layer="conv2d1", recipe=QUICK, **options):
    """Draws units of a layer three at a time; returns what was finished before, and the files written."""
    rows = options.pop("directions", None)
    series = [Series(layer, tuple(units), rows)]
    with bulk.drawings(network, series, recipe, out, **({"batch_size": 3} | options)) as job:
        before = job.finished
        return before, job.run(progress=False)


def read_records(folder: Path) -> dict[tuple[str, int], dict]:
    """What another program sees of a data set: (layer, unit) -> example."""
    import tensorflow_datasets as tfds

    source = tfds.builder_from_directory(folder).as_data_source("train")
    return {(record["layer"].decode(), int(record["unit"])): record for record in source}
