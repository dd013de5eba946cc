"""Damaged, foreign and hostile files: one clear line, and nothing written."""

import io
import json
import pickle
import re
import shutil
import struct
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file
from typer.testing import CliRunner

from jaxcircuits.errors import InputError
from jaxcircuits.files import fingerprint
from jaxcircuits.zoo import GOOGLENET, INCEPTIONV1, ZOO
from support.data import ROOT, SHARED
from weights_convert import convert, read_weights, write_weights

WEIGHTS = SHARED / "weights"
GRAPH, DUMP, CAFFEMODEL = (
    WEIGHTS / name for name in ("inceptionv1_google2015.pb", "inceptionv1_2015_h5", "bvlc_googlenet.caffemodel")
)
LABELS = WEIGHTS / "inceptionv1_google2015.labels.txt"

needs_weights = pytest.mark.skipif(not WEIGHTS.is_dir(), reason=f"no weights in {WEIGHTS}")


def command(*arguments):
    """Runs the command in a process of its own."""
    run = [sys.executable, "-m", "weights_convert", *map(str, arguments)]
    return subprocess.run(run, cwd=ROOT, capture_output=True, text=True)


def refusal(source, out, **options):
    """The one line with which a source is refused; checks that nothing was written."""
    before = sorted(out.parent.iterdir())
    with pytest.raises(InputError) as error:
        convert(source, out, **options)
    assert sorted(out.parent.iterdir()) == before
    (line,) = str(error.value).splitlines()
    return line


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "weights.safetensors"


@pytest.fixture(scope="module")
def random_tensors():
    generator = np.random.default_rng(0)
    return {name: generator.normal(size=s).astype(np.float32) for name, s in INCEPTIONV1.tensors().items()}


# Foreign files.


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("_dot_", "."), data)
    return buffer.getvalue()


def saved(save, *arguments, **arrays):
    buffer = io.BytesIO()
    save(buffer, *arguments, **arrays)
    return buffer.getvalue()


def npy_header(shape, version=1):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(118) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(header)) + header


def picture():
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    return buffer.getvalue()


def safetensors(header, data=b""):
    return struct.pack("<Q", len(header)) + header + data


def encoded_layer(blobs):
    """A NetParameter of one V1 layer; the length is a varint of three bytes."""
    size = len(blobs)
    return b"\x12" + bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14]) + blobs


ENDLESS = 10**12
HUGE = json.dumps({"softmax2.weight": {"dtype": "F32", "shape": [ENDLESS], "data_offsets": [0, 4 * ENDLESS]}})

FOREIGN = {
    "empty": (b"", "the file is empty"),
    "PNG": (picture(), "no known format"),
    "ELF": (b"\x7fELF\x02\x01\x01" + bytes(200), "no known format"),
    "JSON": (b'{"conv2d0_w": [1, 2, 3]}', "no known format"),
    "text": (b"weights, weights and weights\n" * 20, "no known format"),
    "pickle": (pickle.dumps({"conv2d0_w": [1.0]}), r"never opened.*safetensors\.torch\.save_file"),
    "PyTorch": (zipped(**{"archive/data_dot_pkl": b"\x80\x02.", "archive/data/0": b""}), "Python pickle"),
    "zip": (zipped(readme_dot_txt="hello"), "damaged or cut short"),
    "zip cut short": (zipped(readme_dot_txt="hello")[:40], "damaged or cut short"),
    "objects": (saved(np.savez, conv2d0_w=np.array([{}, []], object)), "lacks"),
    "object kernel": (saved(np.savez, **{"conv2d0_w": np.full((7, 7, 3, 64), None)}), "lacks"),
    "huge array": (zipped(conv2d0_w_dot_npy=npy_header((ENDLESS,))), "lacks"),
    "endless header": (zipped(conv2d0_w_dot_npy=npy_header((1,), 2)), "numpy.savez"),
    "other arrays": (saved(np.savez, other=np.ones(3, np.float32)), "without any tensor of slide or inceptionv1"),
    "safetensors": (safetensors(b"{}"), "no tensor"),
    "safetensors cut short": (safetensors(HUGE.encode()), "damaged or cut short"),
    "safetensors header cut short": (safetensors(HUGE.encode())[:50], "damaged or cut short"),
    "safetensors of nonsense": (safetensors(b"{nonsense}"), "damaged or cut short"),
    "countless layers": (b"\x12\x00" * 100_000, "100,000 parts"),
    "countless blobs": (encoded_layer(b"\x32\x00" * 100_000), "100,000 parts"),
    "countless nodes": (b"\x0a\x06\x0a\x01a\x12\x01b" * 100_000, "100,000 parts"),
    "one HDF5 file": (saved(lambda buffer: h5py.File(buffer, "w").close()), "no known format"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_foreign_files_are_refused(case, tmp_path, out):
    data, message = FOREIGN[case]
    source = tmp_path / "weights.pb"
    source.write_bytes(data)
    line = refusal(source, out)
    assert str(source) in line
    assert re.search(message, line), line
    with pytest.raises(InputError):
        read_weights(source)


def test_folders_without_weights_are_refused(tmp_path, out):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "conv2d0_w.h5").write_text("not HDF5")
    assert "the folder holds no HDF5 files" in refusal(tmp_path / "folder", out)
    assert "there is no such file" in refusal(tmp_path / "nothing", out)


@needs_weights
def test_hdf5_files_may_not_point_elsewhere(tmp_path, out):
    shutil.copytree(DUMP, tmp_path / "dump")
    kernel, bias = tmp_path / "dump" / "conv2d1_w.h5", tmp_path / "dump" / "conv2d1_b.h5"
    for path in (kernel, bias):
        path.chmod(0o644)
    bias.unlink()
    with h5py.File(bias, "w") as file:
        file["conv2d1_b"] = h5py.ExternalLink(DUMP / "conv2d0_b.h5", "conv2d0_b")
    assert "conv2d1_b" in refusal(tmp_path / "dump", out)
    bias.unlink()
    with h5py.File(bias, "w") as file:
        file.create_dataset("conv2d1_b", (64,), "<f4", external=[(tmp_path / "secret", 0, 256)])
    (tmp_path / "secret").write_bytes(bytes(256))
    assert "values in this file" in refusal(tmp_path / "dump", out)
    bias.unlink()
    with h5py.File(bias, "w") as file:
        file["another"] = np.zeros(64, np.float32)
    assert "expected a data set 'conv2d1_b'" in refusal(tmp_path / "dump", out)
    bias.unlink()
    assert "lacks tensor 'conv2d1_b'" in refusal(tmp_path / "dump", out)


@needs_weights
def test_hdf5_without_its_library(monkeypatch, out):
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert "needs h5py; pip install 'jaxcircuits[convert]'" in refusal(DUMP, out)


# Wrong tensors.


def without(name):
    return lambda tensors: tensors.pop(name)


def replaced(name, change):
    return lambda tensors: tensors.update({name: change(tensors.get(name))})


def one_value(value):
    def change(tensor):
        tensor = tensor.copy()
        tensor.flat[3] = value
        return tensor

    return change


WRONG = {
    "missing": (without("mixed3a_1x1/kernel"), "lacks tensor 'mixed3a_1x1/kernel' of inceptionv1"),
    "surplus": (replaced("mixed9z/kernel", lambda _: np.ones(2)), "holds tensor 'mixed9z/kernel'"),
    "shape": (replaced("conv2d2/bias", lambda t: t[1:]), r"'conv2d2/bias' has shape \(191,\).*\(192,\)"),
    "order": (replaced("conv2d0/kernel", lambda t: t.transpose(3, 0, 1, 2)), r"'conv2d0/kernel' .* \(64, 7, 7, 3\)"),
    "not a number": (replaced("softmax2/bias", one_value(np.nan)), "'softmax2/bias' has 1 of 1,008 values"),
    "infinite": (replaced("softmax2/bias", one_value(np.inf)), "'softmax2/bias' has 1 of 1,008 values"),
    "too large for float32": (
        replaced("softmax2/bias", lambda t: one_value(1e300)(t.astype(np.float64))),
        "'softmax2/bias' has 1 of",
    ),
    "integers": (replaced("conv2d0/bias", lambda t: t.astype(int)), "'conv2d0/bias' has type int64"),
    "objects": (replaced("conv2d0/bias", lambda t: t.astype(object)), "'conv2d0/bias' has type object"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_tensors_are_refused_by_name(case, random_tensors, tmp_path, out):
    change, message = WRONG[case]
    tensors = dict(random_tensors)
    change(tensors)
    np.savez(tmp_path / "weights.npz", **tensors)
    assert re.search(message, refusal(tmp_path / "weights.npz", out))


def test_hostile_array_of_the_right_name_and_shape_is_not_believed(random_tensors, tmp_path, out):
    """An array whose header fits and whose data end early."""
    np.savez(tmp_path / "weights.npz", **{n: v for n, v in random_tensors.items() if n != "conv2d0/bias"})
    with zipfile.ZipFile(tmp_path / "weights.npz", "a") as archive:
        archive.writestr("conv2d0/bias.npy", npy_header((64,)) + bytes(100))
    assert "damaged or cut short" in refusal(tmp_path / "weights.npz", out)


def test_architectures_are_told_apart(random_tensors, tmp_path, out):
    np.savez(tmp_path / "weights.npz", **random_tensors)
    assert "without any tensor of googlenet" in refusal(tmp_path / "weights.npz", out, architecture="googlenet")
    line = refusal(tmp_path / "weights.npz", out, architecture="googlnet")
    assert line.startswith("unknown architecture 'googlnet'; did you mean googlenet")


def test_writing_checks_too(random_tensors, out):
    with pytest.raises(InputError, match="lacks"):
        write_weights(out, random_tensors, architecture=GOOGLENET, convention=ZOO["googlenet"].convention)
    assert list(out.parent.iterdir()) == []


LABEL_FILES = {
    "too few": ("\n".join(map(str, range(900))), "900 labels; the network has 1,008 outputs"),
    "not text": (b"\xff\xfe\x00label", "not a text file"),
    "empty": ("", "empty"),
}


@pytest.mark.parametrize("case", LABEL_FILES)
def test_bad_labels_are_refused(case, random_tensors, tmp_path, out):
    content, message = LABEL_FILES[case]
    (tmp_path / "labels").write_bytes(content if isinstance(content, bytes) else content.encode())
    np.savez(tmp_path / "weights.npz", **random_tensors)
    assert message in refusal(tmp_path / "weights.npz", out, labels=tmp_path / "labels")


@needs_weights
def test_labels_without_synsets_cannot_be_sorted(tmp_path, out):
    (tmp_path / "labels").write_text("\n".join(["dummy", *("kit fox" for _ in range(1000))]))
    assert "no synset" in refusal(CAFFEMODEL, out, labels=tmp_path / "labels")


# Damage to the real files.


def published_files():
    return [pytest.param(path, id=path.suffix[1:]) for path in (GRAPH, CAFFEMODEL)]


@needs_weights
@pytest.mark.parametrize("source", published_files())
def test_truncated_files_are_refused(source, tmp_path, out):
    data = source.read_bytes()
    for size in [1, 2, 9, 100, 5000, *np.linspace(10_000, len(data) - 1, 8, dtype=int)]:
        (tmp_path / "cut").write_bytes(data[:size])
        assert str(tmp_path / "cut") in refusal(tmp_path / "cut", out)


@needs_weights
def test_truncated_hdf5_files_are_refused(tmp_path, out):
    shutil.copytree(DUMP, tmp_path / "dump")
    path = tmp_path / "dump" / "mixed3a_1x1_w.h5"
    path.chmod(0o644)
    data = path.read_bytes()
    for size in [0, 8, 100, 600, 2000, 30_000, len(data) - 1]:
        path.write_bytes(data[:size])
        assert "mixed3a_1x1_w" in refusal(tmp_path / "dump", out)


@pytest.mark.slow
@needs_weights
@pytest.mark.parametrize("source", published_files())
def test_flipped_bits_give_an_error_or_an_unnamed_network(source, tmp_path, out):
    """A flip inside a value changes a value, and then the file is not the published one; elsewhere it is noticed."""
    original = read_weights(convert(source, tmp_path / "original"))
    assert original.network
    data = bytearray(source.read_bytes())
    generator = np.random.default_rng(1)
    # The graph's nodes and the first layer's header make up little of the files, and most of what can go wrong.
    positions = [*generator.integers(0, 200, 8), *generator.integers(len(data) - 30_000, len(data), 12)]
    for position in [*positions, *generator.integers(0, len(data), 8)]:
        bit = 1 << generator.integers(8)
        data[position] ^= bit
        (tmp_path / "flipped").write_bytes(data)
        data[position] ^= bit
        try:
            convert(tmp_path / "flipped", out)
        except InputError as error:
            assert len(str(error).splitlines()) == 1
            continue
        found = read_weights(out)
        same = fingerprint(found.tensors) == fingerprint(original.tensors)
        assert found.network == (original.network if same else None)
        out.unlink()


@pytest.fixture(scope="module")
def sample(random_tensors, tmp_path_factory):
    path = tmp_path_factory.mktemp("sample") / "weights.safetensors"
    labels = [f"class {index}" for index in range(1008)]
    convention = ZOO["inceptionv1"].convention
    write_weights(path, random_tensors, architecture=INCEPTIONV1, convention=convention, labels=labels, source="random")
    return path


def test_changed_converted_files_are_refused(sample, tmp_path):
    data = bytearray(sample.read_bytes())
    original = read_weights(sample)
    generator = np.random.default_rng(2)
    header = struct.unpack("<Q", data[:8])[0]
    for position in [*range(8), *generator.integers(8, 8 + header, 60), *generator.integers(0, len(data), 12)]:
        bit = 1 << generator.integers(8)
        data[position] ^= bit
        (tmp_path / "flipped").write_bytes(data)
        data[position] ^= bit
        try:
            found = read_weights(tmp_path / "flipped")
        except InputError as error:
            assert len(str(error).splitlines()) == 1
            continue
        assert (found.labels, found.convention, found.source) == (original.labels, original.convention, original.source)
        assert fingerprint(found.tensors) == fingerprint(original.tensors)


@pytest.mark.parametrize("share", [0, 1e-7, 1e-5, 1e-3, 0.5, 0.999999])
def test_cut_converted_files_are_refused(share, sample, tmp_path):
    data = sample.read_bytes()
    (tmp_path / "part").write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError, match=r"empty|damaged or cut short|not written by weights-convert"):
        read_weights(tmp_path / "part")


def test_foreign_safetensors_is_no_converted_file(tmp_path):
    save_file({"a": np.ones(3)}, tmp_path / "foreign", metadata={"architecture": "inceptionv1"})
    with pytest.raises(InputError, match="convert it first"):
        read_weights(tmp_path / "foreign")


# The command.


@needs_weights
def test_command_converts_and_verifies(tmp_path):
    out = tmp_path / "new folder" / "weights.safetensors"
    done = command(GRAPH, "--out", out, "--labels", LABELS)
    assert (done.returncode, done.stderr) == (0, "")
    assert "frozen TensorFlow GraphDef" in done.stdout and str(out) in done.stdout
    assert "inceptionv1-2015" in done.stdout and "116 tensors" in done.stdout
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    verified = command("--verify", out)
    assert (verified.returncode, verified.stderr) == (0, "")
    assert "mixed5b" in verified.stdout and "NO" not in verified.stdout


def test_command_says_what_is_wrong_in_one_line(tmp_path):
    (tmp_path / "weights.pb").write_bytes(b"\x80\x04nonsense")
    for arguments in ([tmp_path / "weights.pb", "--out", tmp_path / "o"], ["--verify", tmp_path / "weights.pb"], []):
        failed = command(*arguments)
        assert (failed.returncode, failed.stdout) == (2, "")
        (line,) = failed.stderr.splitlines()
        assert line.startswith("weights-convert: ")
    assert [path.name for path in tmp_path.iterdir()] == ["weights.pb"]


def test_command_fails_verification_of_changed_weights(sample, tmp_path):
    from weights_convert.cli import app

    data = bytearray(sample.read_bytes())
    data[-100] ^= 1
    (tmp_path / "changed").write_bytes(data)
    result = CliRunner().invoke(app, ["--verify", str(tmp_path / "changed")])
    assert result.exit_code == 2
    assert "NO" in result.stdout
    assert CliRunner().invoke(app, ["--verify", str(sample)]).exit_code == 0


def test_existing_file_survives_a_failed_conversion(tmp_path, out):
    out.write_bytes(b"earlier")
    (tmp_path / "weights.pb").write_bytes(b"nonsense")
    refusal(tmp_path / "weights.pb", out)
    assert out.read_bytes() == b"earlier"
