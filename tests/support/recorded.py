"""Small jobs of every product of bulk."""

import functools
import hashlib
from pathlib import Path

import jaxcircuits as jc
from jaxcircuits import Recipe, bulk
from support.exact import COUNT, exact_network, world

exact = functools.cache(exact_network)
"""One network, so that its programs are compiled once."""
QUICK = Recipe(size=32, steps=2, transforms=(), redirect_steps=0)


def digest(data: bytes) -> str:
    """What stands for a file's bytes where files are compared: short, so that a failure can be read."""
    return f"{len(data)} bytes, {hashlib.sha256(data).hexdigest()[:16]}"


def contents(folder: Path) -> dict[str, str]:
    """The files of a folder, and what stands for the bytes of each."""
    return {
        str(path.relative_to(folder)): digest(path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file()
    }


def opened(product, network, out, layers, **options):
    """A job of a product, in small shards."""
    if product == "drawings":
        series = [bulk.Series(layer, (0, 1, 2, 3)) for layer in layers]
        return bulk.drawings(network, series, QUICK, out, batch_size=2, **options)
    if product == "wiring":
        return bulk.wiring(network, layers, out, **({"count": 3} | options))
    pictures = jc.open_pictures(options.pop("pictures", world()))
    return bulk.examples(network, pictures, layers, out, **({"count": COUNT, "share": 8, "batch_size": 4} | options))


def made(product, network, out, layers, **options):
    """Makes all of it; returns what was there before, and the files."""
    with opened(product, network, out, layers, **options) as job:
        return job.finished, job.run(progress=False)
