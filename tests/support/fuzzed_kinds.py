"""Every kind of file that comes from others: small sound ones, and what reads them."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image
from safetensors.numpy import save

from jaxcircuits import Recipe
from jaxcircuits.bulk.drawing_plan import DrawingPlan
from jaxcircuits.bulk.examples_plan import ExamplesPlan
from jaxcircuits.bulk.index import Index
from jaxcircuits.bulk.series import Directions
from jaxcircuits.bulk.wiring_plan import WiringPlan
from jaxcircuits.circuits import Circuit, read_wiring
from jaxcircuits.circuits.wiring import Connections, LayerWiring, Side
from jaxcircuits.circuits.wiring_file import wiring_bytes
from jaxcircuits.errors import InputError
from jaxcircuits.evidence import Examples, grid
from jaxcircuits.evidence.examples_file import layer_bytes
from jaxcircuits.evidence.layer_examples import Chosen, LayerExamples
from jaxcircuits.evidence.tally import SLOTS
from jaxcircuits.images.decode import decode
from jaxcircuits.vis.numbers import divided
from jaxcircuits.vis.parametrization.magnitude import SHIPPED, read_spectrum
from jaxcircuits.zoo import INCEPTIONV1
from support import fuzzed_records
from weights_convert import caffe, convert, graphdef, hdf5, read_weights
from weights_convert.arrays import read_npz, read_safetensors
from weights_convert.fetching import SHIPPED as SHIPPED_WEIGHTS
from weights_convert.labels import read_labels
from weights_convert.protobuf import GRAPHDEF, NETPARAMETER
from weights_convert.verification import verify
from weights_convert.weights_file import header_digest


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
      samples: sound files; for a folder the content of one of its files.
      read: reads one, at a path in an empty folder.
      sign: makes a hash in it right again; by default it has none.
      name: of the file.
    """

    samples: Callable[[], list[bytes]]
    read: Callable[[Path], Any]
    sign: Callable[[bytes], bytes] = staticmethod(lambda data: data)
    name: str = "file"


def _recipes() -> list[bytes]:
    from jaxcircuits.vis import Affine, Blur, Color, Crop, Elastic, Flip, Homography, Noise

    views = (Affine((-5, 5)), Flip(), Blur(), Noise(0.1, 0.1), Color((0.9, 1.1)), Homography(), Elastic(), Crop(24))
    parts = ("RGBA", "Pixels", "Pyramid", "CPPN", "Shared", "FourierPhase")
    recipes = [Recipe(), Recipe.fast(), Recipe.maco(), Recipe(transforms=views)]
    return [
        recipe.to_json().encode() for recipe in [*recipes, *(Recipe(size=32, parametrization=part) for part in parts)]
    ]


def _read_recipe(path: Path) -> None:
    recipe = Recipe.read(path)
    divided(recipe)
    assert Recipe.from_json(recipe.to_json()) == recipe
    key = jax.random.split(jax.random.key(0), recipe.parametrization.group)
    jax.eval_shape(
        lambda: recipe.parametrization.init(key if recipe.parametrization.group > 1 else key[0], (16, 16, 3))
    )


def _plan(cls: type, **fields: Any) -> Kind:
    recipe = json.loads(Recipe().to_json())
    fields = {name: recipe if name == "recipe" else value for name, value in fields.items()}
    text = json.dumps({"network": "slide", "weights": "0" * 64, **fields}).encode()
    return Kind(lambda: [text], lambda path: cls.from_json(path.read_bytes()))


def _circuit() -> list[bytes]:
    units = [[{"unit": "mixed3b:1", "importance": 1.0}], [{"unit": "mixed3a:2", "importance": 0.5}]]
    edge = {
        "source": "mixed3a:2",
        "target": "mixed3b:1",
        "norm": 1.0,
        "sum": 0.5,
        "weights": [[0.5, -0.25], [0.0, 1.0]],
    }
    circuit = {"format": "jaxcircuits circuit 1", "network": "slide", "rows": units, "connections": [edge]}
    return [json.dumps(circuit).encode()]


def _examples() -> list[bytes]:
    def chosen(*shape: int) -> Chosen:
        return Chosen(np.ones(shape, np.float32), np.zeros(shape, np.int64), np.zeros((*shape, 2), np.int32))

    counts = np.zeros((2, grid.INTERVALS), np.int64)
    counts[:, grid.INTERVALS // 2] = 3
    spread = chosen(2, grid.INTERVALS, SLOTS)
    numbers = {
        "mean": np.ones(2),
        "variance": np.ones(2),
        "class_means": np.ones((2, 1)),
        "class_sizes": np.ones(1, int),
    }
    layer = LayerExamples(
        layer="relu", shape=(4, 4, 2), strongest=chosen(2, 3), weakest=chosen(2, 3), spread=spread, histogram=counts,
        peaks=counts, pictures_seen=3, **numbers,
    )  # fmt: skip
    seen = {
        "network": "tiny", "count": 3, "source": "3 pictures", "size": (16, 16), "fit": "crop", "start": 0, "stop": 3,
        "skipped": 0, "classes": ("cat",),
    }  # fmt: skip
    return [layer_bytes(layer, seen)]


def _wiring() -> list[bytes]:
    ends = Connections(np.zeros((3, 2), np.int32), np.ones((3, 2), np.float32), np.ones((3, 2, 3, 3), np.float32))
    return [wiring_bytes(LayerWiring("mixed3a", 3, Side("conv2d2", ends, ends), None, None, (), {"outputs": "none"}))]


def _weights() -> list[bytes]:
    return [(SHIPPED_WEIGHTS / "slide.safetensors").read_bytes()]


def _signed(data: bytes) -> bytes:
    """A weights file whose header has its own hash, where it still is one."""
    with contextlib.suppress(ValueError, KeyError, TypeError, struct.error, AttributeError, RecursionError):
        size = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8 : 8 + size])
        header["__metadata__"]["header_sha256"] = header_digest(header["__metadata__"])
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + data[8 + size :]
    return data


def _read_weights(path: Path) -> None:
    refused = []
    for use in (read_weights, verify):
        try:
            use(path)
        except InputError as error:
            refused.append(error)
    if refused:
        raise refused[0]


def _foreign() -> list[bytes]:
    """The same weights, as somebody might have kept them."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **read_weights(SHIPPED_WEIGHTS / "slide.safetensors").tensors)
    return [buffer.getvalue()]


def _convert(path: Path) -> None:
    """Converted into a folder, in which nothing is left where it is refused."""
    out = path.parent / "out"
    out.mkdir()
    try:
        read_weights(convert(path, out))
    except InputError:
        assert not list(out.iterdir()), "written although it was refused"
        raise


def _npz() -> list[bytes]:
    tensors = {"conv2d0_w": np.ones((7, 7, 3, 4), np.float32), "conv2d0_b": np.ones(4, np.float16), "n": np.arange(3)}
    files = []
    for method in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        method(buffer, **tensors)
        files.append(buffer.getvalue())
    return files


def _load_all(contents: Any) -> None:
    if contents is None:
        raise InputError("another kind of file")
    for tensor in contents.tensors.values():
        if np.prod(tensor.shape, dtype=float) < 2**24:
            tensor.load()


def _messages(schema: dict[str, str]) -> Any:
    from google.protobuf import descriptor_pool, message_factory

    from weights_convert.protobuf import _file

    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file(schema))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(next(iter(schema))))()


def _graph() -> list[bytes]:
    graph = _messages(GRAPHDEF)
    for i, (name, op) in enumerate(
        [("input", "Placeholder"), ("conv2d0_w", "Const"), ("conv2d0_pre_relu/conv", "Conv2D")]
    ):
        node = graph.node.add(name=name, op=op, input=["input", "conv2d0_w"][:i])
        if op == "Const":
            tensor = node.attr.add(key="value").value.tensor
            tensor.dtype = 1
            for side in (7, 7, 3, 2):
                tensor.tensor_shape.dim.add(size=side)
            tensor.tensor_content = np.ones(7 * 7 * 3 * 2, np.float32).tobytes()
        else:
            node.attr.add(key="strides").value.list.i.extend([1, 2, 2, 1])
    return [graph.SerializeToString()]


def _read_graph(path: Path) -> None:
    contents = graphdef.read(path)
    _load_all(contents)
    contents.check(INCEPTIONV1)


def _caffemodel() -> list[bytes]:
    net = _messages(NETPARAMETER)
    for i in range(3):
        blob = net.layer.add(name=f"conv{i}").blobs.add(data=[np.ones(24, np.float32).tobytes()])
        blob.shape.dim.extend([2, 3, 2, 2])
    blob = net.layers.add(name="old").blobs.add(num=1, channels=1, height=2, width=3)
    blob.data.append(np.ones(6, np.float32).tobytes())
    return [net.SerializeToString()]


def _hdf5() -> list[bytes]:
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["file"] = np.ones((4, 3, 3, 2), np.float32)
    return [buffer.getvalue()]


def _zip_of_tensors() -> list[bytes]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", _npy()[0])
        archive.writestr("b.npy", _npy()[1])
    return [buffer.getvalue()]


def _npy() -> list[bytes]:
    files = []
    for array in (np.ones((5, 7), np.float32), np.asfortranarray(np.ones((3, 2))), np.ones((2, 4), np.float16)):
        buffer = io.BytesIO()
        np.save(buffer, array)
        files.append(buffer.getvalue())
    return files


def _pictures() -> list[bytes]:
    files = []
    pixels = np.random.default_rng(0).integers(0, 255, (24, 20, 3), np.uint8)
    for form in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, form)
        files.append(buffer.getvalue())
    return files


def _index(path: Path) -> None:
    folder = path.parent / ".records" / "drawings"
    folder.mkdir(parents=True)
    (folder / "00000.json").write_bytes(path.read_bytes())
    index = Index(path.parent, "drawings")
    if not index.entries():
        raise InputError("no entry: a damaged one counts as not there")
    index.check()


def _index_entry() -> list[bytes]:
    return [json.dumps({"of": "0" * 16, "files": {"conv2d0/0000.png": [10, "0" * 64]}}).encode()]


def _labels() -> list[bytes]:
    return ["\n".join(f"n{i:08} größe {i}" for i in range(28)).encode()]


SHARD = {"folder": "conv2d0", "layer": "conv2d0", "units": [0, 1], "batch_size": 2, "directions": ""}
SEEN = {"count": 4, "source": "x", "pictures": 9, "named": "0", "size": [9, 9], "fit": "crop", "classes": ["a"]}

KINDS = {
    "recipe": Kind(_recipes, _read_recipe),
    "plan of drawings": _plan(DrawingPlan, recipe=None, seed=0, format="png", shards=[SHARD]),
    "plan of examples": _plan(ExamplesPlan, **SEEN, shards=[{"layers": ["conv2d0"], "start": 0, "stop": 9}]),
    "plan of wiring": _plan(WiringPlan, count=3, shards=[{"layer": "conv2d0"}]),
    "index entry": Kind(_index_entry, _index),
    "circuit": Kind(_circuit, Circuit.read),
    "examples": Kind(_examples, Examples.read),
    "wiring": Kind(_wiring, read_wiring),
    "weights": Kind(_weights, _read_weights, _signed),
    "conversion": Kind(_foreign, _convert),
    "spectrum": Kind(lambda: [SHIPPED["photographs"].read_bytes()], lambda path: read_spectrum.__wrapped__(str(path))),
    "npz": Kind(lambda: [*_npz(), *_zip_of_tensors()], lambda path: _load_all(read_npz(path))),
    "safetensors": Kind(
        lambda: [save({"a": np.ones((3, 2), np.float32), "b": np.ones(5, np.float16)}, {"format": "pt"})],
        lambda path: _load_all(read_safetensors(path)),
    ),
    "graph": Kind(_graph, _read_graph),
    "caffemodel": Kind(_caffemodel, lambda path: _load_all(caffe.read(path))),
    "hdf5": Kind(_hdf5, lambda path: _load_all(hdf5.read(path.parent)), name="file.h5"),
    "directions": Kind(_npy, Directions.read),
    "labels": Kind(
        lambda: ["\n".join(f"n{i:08} größe {i}" for i in range(28)).encode()], lambda path: read_labels(path, 28)
    ),
    "picture": Kind(_pictures, lambda path: decode(path, (16, 16))),
    **{
        name: Kind(kind.samples, functools.partial(fuzzed_records.read, kind))
        for name, kind in fuzzed_records.RECORDS.items()
    },
}
