"""Converted published networks against activations that TensorFlow, PyTorch and OpenCV computed from the same files."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from jaxcircuits.network import load
from support.data import SHARED, data, photographs
from weights_convert import convert

NETWORKS = {"google2015": "inceptionv1-2015", "bvlc": "googlenet", "squeezenet": "squeezenet"}

GOLDEN = sorted((SHARED / "golden").glob("*.npz")) or [Path("golden-activations")]


def tolerance(name: str) -> float:
    """1e-5 at the first layers, 1e-4 at mixed5b and conv10."""
    first = ("conv1", "conv2", "maxpool0", "maxpool1", "pool1", "pool2", "local", "fire2")
    return 1e-5 if name.startswith(first) and not name.startswith("conv10") else 1e-4


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_activations(path, zoo_network):
    golden = np.load(data("golden", path.name))
    network = zoo_network(NETWORKS[path.stem.split("_")[0]])
    stored = {name: golden[name] for name in golden.files if name != "image"}
    picture = golden["image"][None] / np.float32(255)
    result = network.activations(picture, [name.partition("[")[0] for name in stored])
    for name, expected in stored.items():
        layer, _, every_fourth = name.partition("[")
        value = np.asarray(result[layer][0], np.float64)
        # Caffe gives a layer without positions one cell.
        value = value[::4, ::4] if every_fourth else value.reshape(expected.shape)
        error = np.linalg.norm(value - expected) / np.linalg.norm(expected)
        assert error < tolerance(layer), (name, error)


def test_hdf5_folder_gives_the_same_network(zoo_network, tmp_path):
    folder = data("weights", "inceptionv1_2015_h5")
    network = load(convert(folder, tmp_path / "from-hdf5.safetensors"))
    from_graph = zoo_network("inceptionv1-2015")
    for layer, tensors in from_graph.params.items():
        for kind, values in tensors.items():
            assert np.array_equal(network.params[layer][kind], values), (layer, kind)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "count", "expected"),
    [("inceptionv1-2015", 800, 84.6), ("googlenet", 800, 74.1), ("squeezenet", 200, 68.5)],
)
def test_top_1_accuracy(name, count, expected, zoo_network):
    """Percent of the first photographs whose class comes first; other frameworks give it within half a point."""
    network = zoo_network(name)
    labels = data("weights", "inceptionv1_google2015.labels.txt").read_text().splitlines()
    synsets = [line.split()[0] for line in labels]
    outputs = synsets if name == "inceptionv1-2015" else sorted(synsets[1:1001])
    hits = []
    for classes, pictures in itertools.islice(photographs(size=network.convention.size[0]), count // 50):
        best = np.asarray(network.activations(pictures, network.logits)[network.logits]).argmax(-1)
        hits += [outputs[i] == synset for i, synset in zip(best, classes)]
    assert len(hits) == count and abs(100 * np.mean(hits) - expected) <= 0.5, np.mean(hits)
