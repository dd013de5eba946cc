"""Conversion of the real files, against NumPy's and h5py's own reading and a wire format written out here."""

import hashlib
import json
import struct

import h5py
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from jaxcircuits.errors import InputError
from jaxcircuits.zoo import GOOGLENET, INCEPTIONV1, SQUEEZENET, ZOO
from support.data import SHARED
from support.wire import encoded, field, fields, varint
from weights_convert import convert, read_weights, write_weights
from weights_convert.labels import read_labels
from weights_convert.verification import verify

WEIGHTS = SHARED / "weights"
GRAPH, DUMP, CAFFEMODEL = (
    WEIGHTS / name for name in ("inceptionv1_google2015.pb", "inceptionv1_2015_h5", "bvlc_googlenet.caffemodel")
)
SQUEEZENET_MODEL = WEIGHTS / "squeezenet_v1.1.caffemodel"
LABELS = WEIGHTS / "inceptionv1_google2015.labels.txt"

pytestmark = pytest.mark.skipif(not WEIGHTS.is_dir(), reason=f"no weights in {WEIGHTS}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("converted")


@pytest.fixture(scope="module")
def google(folder):
    return read_weights(convert(GRAPH, folder / "google.safetensors", labels=LABELS))


@pytest.fixture(scope="module")
def googlenet(folder):
    return read_weights(convert(CAFFEMODEL, folder / "googlenet.safetensors", labels=LABELS))


def assert_identical(found, expected):
    assert found.keys() == expected.keys()
    for name in expected:
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_wire_codec_reproduces_the_real_file():
    data = GRAPH.read_bytes()
    assert encoded(fields(data)) == data


# Values.


def test_graphdef_and_hdf5_give_identical_tensors(google, folder):
    dumped = read_weights(convert(DUMP, folder / "dump.safetensors"))
    assert_identical(dumped.tensors, google.tensors)
    assert dumped.network == google.network == "inceptionv1-2015"


def test_hdf5_tensors_are_the_published_ones(google):
    assert google.tensors.keys() == INCEPTIONV1.tensors().keys()
    for name, values in google.tensors.items():
        layer, kind = name.split("/")
        published = f"{layer}_{'w' if kind == 'kernel' else 'b'}"
        with h5py.File(DUMP / f"{published}.h5") as file:
            expected = file[published][()]
        if kind == "kernel":
            expected = np.moveaxis(expected, 0, -1)
        np.testing.assert_array_equal(values, expected.reshape(values.shape), err_msg=name)
        assert values.flags.c_contiguous


def test_caffe_tensors_are_the_published_ones(googlenet):
    assert googlenet.tensors.keys() == GOOGLENET.tensors().keys()
    layers = [fields(value) for number, value in fields(CAFFEMODEL.read_bytes()) if number == 2]
    assert len(layers) == 58
    for layer in layers:
        name = dict(layer)[4].decode()
        kernel, bias = (dict(fields(value)) for number, value in layer if number == 6)
        axes = [kernel[axis] for axis in (1, 2, 3, 4)]
        published = np.frombuffer(kernel[5], "<f4").reshape(axes)
        expected = published[0, 0].T if name == "loss3/classifier" else published.transpose(2, 3, 1, 0)
        np.testing.assert_array_equal(googlenet.tensors[f"{name}/kernel"], expected, err_msg=name)
        np.testing.assert_array_equal(googlenet.tensors[f"{name}/bias"], np.frombuffer(bias[5], "<f4"))


def test_squeezenet_is_told_and_has_the_published_tensors(folder):
    """Its file is of Caffe's newer form: layers of field 100, blobs with a shape."""
    out = convert(SQUEEZENET_MODEL, folder / "squeezenet.safetensors", labels=LABELS)
    weights = read_weights(out)
    assert (weights.network, weights.architecture) == ("squeezenet", SQUEEZENET)
    assert weights.convention == ZOO["squeezenet"].convention and weights.labels[0] == "n01440764 tench, Tinca tinca"
    assert all(check.ok for check in verify(out))
    layers = [fields(value) for number, value in fields(SQUEEZENET_MODEL.read_bytes()) if number == 100]
    expected = {}
    for layer in layers:
        name = dict(layer)[1].decode()
        kernel, bias = (dict(fields(value)) for number, value in layer if number == 7)
        (axes,) = (value for number, value in fields(kernel[7]) if number == 1)
        expected[f"{name}/kernel"] = (
            np.frombuffer(kernel[5], "<f4").reshape([*iter_varints(axes)]).transpose(2, 3, 1, 0)
        )
        expected[f"{name}/bias"] = np.frombuffer(bias[5], "<f4")
    assert_identical(weights.tensors, expected)


def iter_varints(data):
    number = shift = 0
    for byte in data:
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            yield number
            number = shift = 0


def write_npz(path, tensors):
    np.savez(path, **{name.replace("/kernel", "_w").replace("/bias", "_b"): value for name, value in tensors.items()})


def write_own_npz(path, tensors):
    np.savez_compressed(path, **tensors)


def write_wide_npz(path, tensors):
    np.savez(path, **{name: np.asfortranarray(value, np.float64) for name, value in tensors.items()})


def write_lucent(path, tensors):
    def published(name):
        layer, kind = name.split("/")
        stem = "softmax2_pre_activation_matmul" if layer == "softmax2" else f"{layer}_pre_relu_conv"
        return f"{stem}.{'weight' if kind == 'kernel' else 'bias'}"

    def torch_order(value):
        axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[value.ndim]
        return np.ascontiguousarray(value.transpose(axes))

    state = {published(name): torch_order(value) for name, value in tensors.items()}
    assert state["conv2d0_pre_relu_conv.weight"].shape == (64, 3, 7, 7)
    assert state["softmax2_pre_activation_matmul.weight"].shape == (1008, 1024)
    save_file(state, path)


@pytest.mark.parametrize("write", [write_npz, write_own_npz, write_wide_npz, write_lucent])
def test_other_formats_give_the_same_tensors(write, google, tmp_path):
    source = tmp_path / "a file of no telling name"
    with source.open("wb") as file:
        write(file if "npz" in write.__name__ else source, google.tensors)
    found = read_weights(convert(source, tmp_path / "out.safetensors"))
    assert_identical(found.tensors, google.tensors)
    assert (found.network, found.architecture) == ("inceptionv1-2015", INCEPTIONV1)


def test_own_npz_of_another_architecture_is_told_by_its_names(googlenet, tmp_path):
    np.savez(tmp_path / "weights.npz", **googlenet.tensors)
    assert read_weights(convert(tmp_path / "weights.npz", tmp_path / "out.safetensors")).architecture == GOOGLENET


def test_newer_caffe_layers_with_shaped_blobs(googlenet, tmp_path):
    def blob(values):
        shape = field(1, b"".join(map(varint, values.shape)))
        return field(7, field(7, shape) + field(5, np.ascontiguousarray(values).tobytes()))

    net = field(1, "GoogleNet")
    for name in [name.removesuffix("/bias") for name in googlenet.tensors if name.endswith("/bias")]:
        kernel = googlenet.tensors[f"{name}/kernel"]
        order = (3, 2, 0, 1) if kernel.ndim == 4 else (1, 0)
        blobs = blob(kernel.transpose(order)) + blob(googlenet.tensors[f"{name}/bias"])
        net += field(100, field(1, name) + field(2, "Convolution") + blobs)
    net += field(100, field(1, "loss1/conv") + blob(np.ones((2, 3), np.float32)))
    (tmp_path / "net").write_bytes(net)
    assert_identical(read_weights(convert(tmp_path / "net", tmp_path / "out")).tensors, googlenet.tensors)


# Graphs.


def edit(data, node, change):
    """The encoded GraphDef with one node's fields, [number, value] each, changed."""
    graph = fields(data)
    for entry in graph:
        if entry[0] == 1 and entry[1].startswith(field(1, node)):
            parts = fields(entry[1])
            change(parts)
            entry[1] = encoded(parts)
            return encoded(graph)
    raise KeyError(node)


def attribute(name, value):
    """Sets an attribute to an encoded AttrValue, or removes it for None."""

    def change(parts):
        key = field(1, name)
        parts[:] = [part for part in parts if not (part[0] == 5 and part[1].startswith(key))]
        if value is not None:
            parts.append([5, key + field(2, value)])

    return change


def inputs(**names):
    """Sets inputs: `_0="conv2d0"`."""

    def change(parts):
        own = [part for part in parts if part[0] == 3]
        for index, name in names.items():
            own[int(index[1:])][1] = name.encode()

    return change


def operation(name):
    def change(parts):
        next(part for part in parts if part[0] == 2)[1] = name.encode()

    return change


def swapped_branches(parts):
    own = [part for part in parts if part[0] == 3]
    own[2][1], own[3][1] = own[3][1], own[2][1]


def text(value):
    return field(2, value)


def integers(*values):
    return field(1, field(3, b"".join(map(varint, values))))


INTEGER_1 = field(8, field(1, 3) + field(7, varint(1)))
"""A tensor attribute: int32, 1."""

CONTRADICTIONS = {
    "padding": ("mixed3a_3x3_pre_relu/conv", attribute("padding", text("VALID")), "is 'VALID', expected 'SAME'"),
    "stride": ("conv2d0_pre_relu/conv", attribute("strides", integers(1, 1, 1, 1)), r"strides is \[1, 1, 1, 1\]"),
    "pool": ("maxpool4", attribute("ksize", integers(1, 2, 2, 1)), r"ksize is \[1, 2, 2, 1\]"),
    "layout": ("conv2d2_pre_relu/conv", attribute("data_format", text("NCHW")), "data_format is 'NCHW'"),
    "holes": ("mixed4a_5x5_pre_relu/conv", attribute("dilations", integers(1, 2, 2, 1)), "dilations is"),
    "alpha": ("localresponsenorm0", attribute("alpha", field(4, 1e-4 / 11)), "alpha is 9.09091e-06, expected 0.0001"),
    "alpha left out": ("localresponsenorm0", attribute("alpha", None), "alpha is 1, expected 0.0001"),
    "radius": ("localresponsenorm1", attribute("depth_radius", field(3, 4)), "depth_radius is 4, expected 5"),
    "beta": ("localresponsenorm1", attribute("beta", field(4, 0.75)), "beta is 0.75, expected 0.5"),
    "branches": ("mixed4b", swapped_branches, "input 2 is 'mixed4b_5x5', expected 'mixed4b_3x3'"),
    "axis": ("mixed3a/concat_dim", attribute("value", INTEGER_1), r"node 'mixed3a' .* axis is \[1\], expected \[3\]"),
    "no axis": ("mixed3b/concat_dim", attribute("value", None), r"axis is None, expected \[3\]"),
    "wiring": ("mixed3b_5x5_pre_relu/conv", inputs(_0="mixed3b_3x3_bottleneck"), "input 0 is 'mixed3b_3x3_bottleneck'"),
    "kernel": ("mixed4c_1x1_pre_relu/conv", inputs(_1="mixed4d_1x1_w"), "input 1 is 'mixed4d_1x1_w'"),
    "bias": ("mixed4c_1x1_pre_relu", inputs(_1="mixed4d_1x1_b"), "input 1 is 'mixed4d_1x1_b'"),
    "activation": ("mixed5a_1x1", operation("Elu"), "operation is 'Elu', expected 'Relu'"),
    "average": ("avgpool0", attribute("ksize", integers(1, 5, 5, 1)), "ksize is"),
    "classifier": ("softmax2_pre_activation/matmul", attribute("transpose_b", field(5, 1)), "transpose_b is True"),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_contradicting_graphs_are_refused_by_name(case, tmp_path):
    node, change, message = CONTRADICTIONS[case]
    (tmp_path / "graph.pb").write_bytes(edit(GRAPH.read_bytes(), node, change))
    with pytest.raises(InputError, match=message) as error:
        convert(tmp_path / "graph.pb", tmp_path / "out")
    assert f"node {node.removesuffix('/concat_dim')!r}" in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["graph.pb"]


def as_published_in_2015(data):
    """The peculiarities of the released graph: one node's odd name, and the auxiliary heads."""
    renamed = edit(data, "mixed4e_pool_reduce_pre_relu", lambda parts: parts[0].__setitem__(1, b"2"))
    renamed = edit(renamed, "mixed4e_pool_reduce", inputs(_0="2"))
    head = field(1, "head0_bottleneck_w") + field(2, "Const")
    tensor = field(1, 1) + field(2, field(2, field(1, 2))) + field(4, bytes(8))
    return renamed + field(1, head + field(5, field(1, "value") + field(2, field(8, tensor))))


def newer_concatenation(data):
    def change(parts):
        operation("ConcatV2")(parts)
        own = [part for part in parts if part[0] == 3]
        names = [part[1] for part in own]
        for part, name in zip(own, names[1:] + names[:1], strict=True):
            part[1] = name

    return edit(data, "mixed3b", change)


def default_attributes_left_out(data):
    return edit(data, "conv2d1_pre_relu/conv", attribute("data_format", None))


def identity_between(data):
    read = field(1, "conv2d0_w/read") + field(2, "Identity") + field(3, "conv2d0_w")
    return edit(data, "conv2d0_pre_relu/conv", inputs(_1="conv2d0_w/read")) + field(1, read)


VARIANTS = [as_published_in_2015, newer_concatenation, default_attributes_left_out, identity_between]


@pytest.mark.parametrize("change", VARIANTS)
def test_graphs_that_say_the_same_otherwise_are_read(change, google, tmp_path):
    (tmp_path / "graph.pb").write_bytes(change(GRAPH.read_bytes()))
    assert_identical(read_weights(convert(tmp_path / "graph.pb", tmp_path / "out")).tensors, google.tensors)


def test_two_nodes_of_one_name_are_refused(tmp_path):
    second = field(1, field(1, "conv2d0") + field(2, "Relu") + field(3, "conv2d0_pre_relu"))
    (tmp_path / "graph.pb").write_bytes(GRAPH.read_bytes() + second)
    with pytest.raises(InputError, match="node 'conv2d0' is there twice"):
        convert(tmp_path / "graph.pb", tmp_path / "out")


@pytest.mark.parametrize("values", [[0.25], np.arange(64) / 64], ids=["one for all", "each"])
def test_constants_as_lists_of_floats(values, google, tmp_path):
    tensor = field(1, 1) + field(2, field(2, field(1, 64))) + field(5, np.asarray(values, "<f4").tobytes())
    data = edit(GRAPH.read_bytes(), "conv2d0_b", attribute("value", field(8, tensor)))
    (tmp_path / "graph.pb").write_bytes(data)
    found = read_weights(convert(tmp_path / "graph.pb", tmp_path / "out"))
    expected = np.broadcast_to(np.asarray(values, np.float32), 64)
    assert_identical(found.tensors, google.tensors | {"conv2d0/bias": expected})
    assert found.network is None


# What is written.


def test_header_tells_where_the_weights_come_from(google, folder):
    assert google.source == GRAPH.name
    assert google.source_sha256 == hashlib.sha256(GRAPH.read_bytes()).hexdigest()
    assert google.convention == ZOO["inceptionv1-2015"].convention
    raw = (folder / "google.safetensors").read_bytes()
    header = json.loads(raw[8 : 8 + struct.unpack("<Q", raw[:8])[0]])
    metadata = header.pop("__metadata__")
    assert {entry["dtype"] for entry in header.values()} == {"F32"}
    assert metadata["architecture"] == "inceptionv1" and metadata["converter"].startswith("weights-convert ")
    assert json.loads(metadata["input_convention"])["mean"] == 117.0
    assert_identical(load_file(folder / "google.safetensors"), google.tensors)


def test_caffe_input_convention(googlenet):
    assert (googlenet.network, googlenet.convention.order) == ("googlenet", "BGR")


def test_labels_of_googles_outputs(google):
    lines = LABELS.read_text().splitlines()
    assert google.labels == tuple(lines[:1008])


def test_labels_of_caffes_outputs_are_sorted_synsets(googlenet):
    synsets = [label.split()[0] for label in googlenet.labels]
    assert synsets == sorted(line.split()[0] for line in LABELS.read_text().splitlines()[1:1001])
    assert googlenet.labels[817] == "n04285008 sports car, sport car"


def test_labels_that_end_with_the_trained_outputs(tmp_path):
    lines = LABELS.read_text().splitlines()[:1001]
    (tmp_path / "labels").write_text("\r\n".join(lines) + "\r\n")
    assert read_labels(tmp_path / "labels", 1008) == (*lines, *["unused"] * 7)


def test_half_precision_is_read_as_single(google, tmp_path):
    halves = {name: value.astype(np.float16) for name, value in google.tensors.items()}
    write_weights(tmp_path / "half", halves, architecture=INCEPTIONV1, convention=google.convention, labels=["a", "b"])
    found = read_weights(tmp_path / "half")
    assert_identical(found.tensors, {name: value.astype(np.float32) for name, value in halves.items()})
    assert found.labels == ("a", "b") and found.network is None
    assert (tmp_path / "half").stat().st_size < 0.6 * GRAPH.stat().st_size


def test_double_precision_is_stored_as_single(google, tmp_path):
    doubles = {name: value.astype(np.float64) for name, value in google.tensors.items()}
    write_weights(tmp_path / "double", doubles, architecture=INCEPTIONV1, convention=google.convention)
    assert_identical(load_file(tmp_path / "double"), google.tensors)


def test_verification_accepts_and_knows_the_published_networks(google, googlenet, folder):
    for name in ("google", "googlenet"):
        checks = verify(folder / f"{name}.safetensors")
        assert len(checks) > 10
        assert all(check.ok for check in checks)
        assert not any(check.expected == "not pinned" for check in checks)


def test_verification_of_other_weights_pins_nothing(google, tmp_path):
    shifted = {name: value + np.float32(0.01) for name, value in google.tensors.items()}
    write_weights(tmp_path / "own", shifted, architecture=INCEPTIONV1, convention=google.convention)
    checks = verify(tmp_path / "own")
    assert all(check.ok for check in checks)
    assert [check.name for check in checks if check.expected == "not pinned"] == [
        "network",
        "conv2d0/kernel",
        "conv2d0/bias",
    ]


@pytest.mark.parametrize("name, ok", [("googlenet", False), ("inceptionv1", False), ("mine", True)])
def test_verification_looks_at_the_name_that_weights_bear(name, ok, google, tmp_path):
    shifted = {name: value + np.float32(0.01) for name, value in google.tensors.items()}
    write_weights(tmp_path / "w", shifted, architecture=INCEPTIONV1, convention=google.convention, network=name)
    wrong = {check.name for check in verify(tmp_path / "w") if not check.ok}
    assert ("network" not in wrong) == ok


def test_verification_finds_what_is_wrong(google, folder, tmp_path):
    with safe_open(folder / "google.safetensors", framework="np") as file:
        metadata = file.metadata()
    tensors = dict(google.tensors)
    tensors["conv2d0/bias"] = tensors["conv2d0/bias"] + np.float32(1)
    tensors["mixed4a_1x1/kernel"] = np.full_like(tensors["mixed4a_1x1/kernel"], np.nan)
    tensors["mixed5a_1x1/bias"] = tensors["mixed5a_1x1/bias"][1:]
    save_file(tensors, tmp_path / "broken", metadata={**metadata, "source": "another"})
    wrong = {check.name for check in verify(tmp_path / "broken") if not check.ok}
    assert wrong == {"header", "mixed4a", "mixed5a", "tensors", "network", "conv2d0/bias"}
