"""A foreign weight file to this project's safetensors file: recognize, map by table, check, write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from jaxcircuits.errors import InputError, unknown
from jaxcircuits.files import below, fingerprint, named
from jaxcircuits.files.writing import check_replaceable
from jaxcircuits.zoo import ARCHITECTURES, ZOO, Architecture, InputConvention
from weights_convert import arrays, caffe, graphdef, hdf5, naming
from weights_convert.assembly import assemble, some
from weights_convert.files import check_size, digest
from weights_convert.labels import read_labels
from weights_convert.naming import Naming
from weights_convert.published import Contents, Published
from weights_convert.sources import identity
from weights_convert.weights_file import write_weights


class Format(NamedTuple):
    """A kind of foreign file: its name, its reader (None for files of another kind), and who names tensors how."""

    name: str
    read: Callable[[Path], Contents | None]
    namings: tuple[Naming, ...]


FORMATS = (
    Format("folder of HDF5 files, one a tensor", hdf5.read, (naming.CAFFE2_DUMP,)),
    Format("NumPy .npz", arrays.read_npz, (naming.OWN, naming.TENSORFLOW)),
    Format("PyTorch state dict as safetensors", arrays.read_safetensors, (naming.LUCENT,)),
    Format("frozen TensorFlow GraphDef", graphdef.read, (naming.TENSORFLOW,)),
    Format("Caffe .caffemodel", caffe.read, (naming.CAFFE,)),
)
"""In the order in which they are tried: those with a signature first."""


def convert(
    source: str | Path, out: str | Path, *, architecture: str | None = None, labels: str | Path | None = None
) -> Path:
    """Converts a foreign weight file; its format is recognized from the content.

    Args:
      source: a file of one of `FORMATS`, or a folder of HDF5 files.
      out: the safetensors file to write, whole or not at all; or a folder, in which the file is named after the
        network that was recognized.
      architecture: a name in `jaxcircuits.zoo.ARCHITECTURES`; by default the one that fits the tensors best.
      labels: text file with what the outputs stand for, one a line.

    Returns:
      The file that was written.

    Raises:
      InputError: where the file is damaged, unknown or contradicts the architecture: a tensor missing, left over, of
        another shape or not finite, or a node of a graph that computes something else.
    """
    source, out = Path(source), Path(out)
    if not out.is_dir():
        check_replaceable(out)
    if not source.is_dir():
        check_size(source)
    kind, contents = _read(source)
    model, names = _choose(source, contents.tensors, kind, architecture)
    tensors = assemble(source, contents.tensors, model, names)
    contents.check(model)
    source_sha256 = digest(source)
    network = identity(source_sha256, fingerprint(tensors))
    if out.is_dir():
        out = below(out, network or source.stem, ending=".safetensors")
    write_weights(
        out,
        tensors,
        architecture=model,
        network=network,
        convention=_convention(model, network),
        labels=read_labels(Path(labels), model.classes) if labels else (),
        source=named(source.resolve()),
        source_sha256=source_sha256,
        source_format=kind.name,
    )
    return out


def _read(path: Path) -> tuple[Format, Contents]:
    for kind in FORMATS:
        contents = kind.read(path)
        if contents is not None:
            return kind, contents
    known = ", ".join(kind.name for kind in FORMATS)
    raise InputError(f"{path}: a file of no known format, or cut short or damaged; expected one of: {known}")


def _choose(
    path: Path, published: Mapping[str, Published], kind: Format, architecture: str | None
) -> tuple[Architecture, Naming]:
    """The architecture and naming with the most tensors of the right shape, then of the right name."""
    if architecture is not None and architecture not in ARCHITECTURES:
        raise unknown("architecture", architecture, ARCHITECTURES)
    candidates = ARCHITECTURES.values() if architecture is None else [ARCHITECTURES[architecture]]

    def score(candidate: tuple[Architecture, Naming]) -> tuple[int, int]:
        shared = {name: slot for name, slot in naming.slots(*candidate).items() if name in published}
        return sum(published[name].shape == slot.published_shape for name, slot in shared.items()), len(shared)

    best = max(((model, names) for model in candidates for names in kind.namings), key=score)
    if score(best)[1] == 0:
        known = " or ".join(model.name for model in candidates)
        raise InputError(f"{path}: {kind.name} without any tensor of {known}; it holds {some('tensor', [*published])}")
    return best


def _convention(architecture: Architecture, network: str | None) -> InputConvention:
    """What the network expects of a picture, or the first known one of its architecture."""
    if network:
        return ZOO[network].convention
    return next(entry.convention for entry in ZOO.values() if entry.architecture == architecture)
