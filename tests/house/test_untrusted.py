"""What people hand on, from end to end: nothing reaches outside its folder, hangs, or is believed unseen."""

import json
import os
import struct
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from rich.table import Table
from typer.testing import CliRunner

from jaxcircuits import InputConvention, InputError, Network, Recipe, bulk, load
from jaxcircuits.evidence import examples
from jaxcircuits.pages import report_circuit
from jaxcircuits.printing import show
from jaxcircuits.vis.room import check_room
from jaxcircuits.zoo import SLIDE
from support.data import ROOT
from support.fuzzed_kinds import _messages
from weights_convert import convert, graphdef, read_weights, write_weights
from weights_convert.arrays import read_npz
from weights_convert.cli import app
from weights_convert.fetching import SHIPPED
from weights_convert.protobuf import GRAPHDEF
from weights_convert.verification import verify
from weights_convert.weights_file import header_digest

WEIGHTS = SHIPPED / "slide.safetensors"


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def one_line(error):
    (line,) = str(error.value if hasattr(error, "value") else error).splitlines()
    assert len(line) <= 2100
    return line


# Headers of weights files.


def with_header(path, **metadata):
    """The weights of slide with other texts in a header that is signed as ours are."""
    data = WEIGHTS.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] |= metadata
    header["__metadata__"]["header_sha256"] = header_digest(header["__metadata__"])
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])
    return path


def convention(**fields):
    return {"input_convention": json.dumps(InputConvention(size=(96, 96)).to_dict() | fields)}


NO_NUMBER = convention(mean=0.125)["input_convention"].replace("0.125", "NaN")

HEADERS = {
    "climbs": ({"network": "../../victim"}, "network '../../victim'; expected letters"),
    "absolute": ({"network": "/tmp/victim"}, "network '/tmp/victim'"),
    "NUL": ({"network": "a\0b"}, r"network 'a\\x00b'"),
    "escapes": ({"network": "\x1b[2J"}, r"network '\\x1b\[2J'"),
    "endless name": ({"network": "x" * 10**6}, "network 'xxx"),
    "dots": ({"network": ".."}, r"network '\.\.'"),
    "size of text": (convention(size="xx"), "size of the input 'xx'"),
    "size of nothing": (convention(size=[0, 0]), "size of the input"),
    "huge size": (convention(size=[10**9, 10**9]), "size of the input"),
    "std of 0": (convention(std=0), "std 0; pictures are divided by it"),
    "mean of no number": ({"input_convention": NO_NUMBER}, "NaN is no number"),
    "channels of text": (convention(channels="3"), "channels of the input '3'"),
    "scale of lists": (convention(scale=[1]), r"scale of the input \[1\]"),
    "another field": (convention(more=1), "expected the fields"),
    "labels of numbers": ({"labels": "[1, 2, 3]"}, r"labels: Expected `str`, got `int`"),
    "labels of lists": ({"labels": '{"a": 1}'}, "labels: Expected `array`"),
    "nested labels": ({"labels": "[" * 5000}, "in each other"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_headers_are_not_believed(case, tmp_path):
    metadata, message = HEADERS[case]
    path = with_header(tmp_path / "weights.safetensors", **metadata)
    for use in (read_weights, verify, load):
        with pytest.raises(InputError, match=message) as error:
            use(path)
        one_line(error)
    assert CliRunner().invoke(app, ["--verify", str(path)]).exit_code != 0
    assert files(tmp_path) == ["weights.safetensors"]


def test_a_sound_header_is_read(tmp_path):
    path = with_header(
        tmp_path / "w.safetensors", network="mine-2.1", labels=json.dumps([f"größe {i}" for i in range(29)])
    )
    assert load(path).name == "mine-2.1" and read_weights(path).labels[3] == "größe 3"
    with pytest.raises(InputError, match=r"network '\.\./x'"):
        write_weights(tmp_path / "x", {}, architecture=SLIDE, convention=InputConvention(), network="../x")


# Names of networks and layers.


def climbing(params, x):
    return {"../../victim": x @ params, "/abs": jnp.maximum(x @ params, 0), "a\x1b[31m\0/..": x.mean((1, 2)) @ params}


@pytest.fixture(scope="module")
def hostile():
    kernel = jnp.asarray(np.random.default_rng(0).normal(size=(3, 2)), jnp.float32)
    return Network.from_function(climbing, kernel, InputConvention(size=(16, 16), mean=0.5, std=0.25), name="../../net")


def test_drawings_and_examples_stay_in_their_folder(hostile, tmp_path):
    out = tmp_path / "deep" / "down" / "out"
    recipe = Recipe(size=16, steps=1, transforms=(), redirect_steps=0)
    with bulk.drawings(hostile, [bulk.Series(name, (0,)) for name in hostile.layers], recipe, out) as job:
        job.run(progress=False)
    with bulk.drawings(hostile, [bulk.Series(name, (0,)) for name in hostile.layers], recipe, out) as job:
        assert job.finished == job.total == len(hostile.layers) and not job.todo
    pictures = np.random.default_rng(0).random((4, 16, 16, 3), np.float32)
    found = examples(hostile, pictures, list(hostile.layers), 2, progress=False)
    for path in found.save(out):
        assert path.is_relative_to(out) and found.read(path).layers
    written = files(tmp_path)
    assert written and all(path.startswith("deep/down/out/") for path in written)
    assert all(path.isprintable() and ".." not in path.split("/") for path in written)
    assert sum(path.endswith("0000.png") for path in written) == len(hostile.layers)


def test_directions_stay_in_their_folder():
    directions = bulk.Directions("..", np.ones((2, 16), np.float32))
    assert bulk.Series("conv2d1", (0,), directions).folder == "conv2d1.%2E%2E"


@pytest.mark.slow
def test_circuits_stay_in_their_folder(tmp_path):
    network = load("slide")
    object.__setattr__(network, "name", "../victim")
    out = tmp_path / "out"
    report_circuit(network, "conv2d1:3", out, depth=1, top=1, steps=1, size=32)
    assert {path.split("/")[0] for path in files(tmp_path)} == {"out"}


# Files in place of files.


def test_recipes_and_directions_that_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    network = tmp_path / "pipe"
    for read in (Recipe.read, bulk.Directions.read, read_weights, load):
        for path, said in ((tmp_path / "pipe", "is a pipe"), ("/dev/zero", "is a device"), (tmp_path, "is a folder")):
            if read is load and path == tmp_path:
                continue
            with pytest.raises(InputError, match=f"{said}; expected") as error:
                read(Path(path))
            one_line(error)
    assert network.is_fifo()


@pytest.mark.parametrize("out", ["/dev/null", "pipe", "socket"])
def test_conversion_does_not_replace_devices(out, tmp_path):
    import socket

    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        path = Path(out) if out.startswith("/") else tmp_path / out
        mode = path.stat().st_mode
        np.savez(tmp_path / "w.npz", **read_weights(WEIGHTS).tensors)
        with pytest.raises(InputError, match="expected the name of a file"):
            convert(tmp_path / "w.npz", path)
        assert path.stat().st_mode == mode


def test_what_is_said_of_a_conversion_is_text(tmp_path, capsys):
    """Names that are no UTF-8, markup or escape sequences are shown, and end nothing."""
    folder = tmp_path / "x[/old]\x1b[31m"
    folder.mkdir(parents=True)
    source = os.fsdecode(os.fsencode(folder) + b"/caf\xe9.npz")
    np.savez(folder / "w.npz", **read_weights(WEIGHTS).tensors)
    os.rename(folder / "w.npz", source)
    result = CliRunner().invoke(app, [source, "--out", str(folder)])
    assert result.exit_code == 0, result.output
    assert "[/old]\\x1b[31m/caf\\udce9.npz" in result.output and "\x1b" not in result.output
    (written,) = folder.glob("*.safetensors")
    assert read_weights(written).source == "caf\\udce9.npz"
    result = CliRunner().invoke(app, ["--verify", str(written)])
    assert result.exit_code == 0 and "[/old]\\x1b[31m" in result.output and "\x1b" not in result.output


def test_tables_are_text(capsys):
    table = Table("name", box=None)
    table.add_row("[red]layer[/old]\x1b[2J\u202e")
    show(table)
    assert "[red]layer[/old]\\x1b[2J\\u202e" in capsys.readouterr().out


@pytest.mark.slow
def test_commands_print_names_as_text(tmp_path):
    """A folder whose name is markup: nothing is drawn, and then lost to a MarkupError."""
    words = [
        "render",
        "slide",
        "conv2d0:0",
        "--size",
        "32",
        "--steps",
        "1",
        "--out",
        str(tmp_path / "pics[/old]x\x1b[31m"),
    ]
    code = "from jaxcircuits.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "pics[/old]x\\x1b[31m" in done.stdout and "\x1b" not in done.stdout + done.stderr
    words[-1:] = [str(tmp_path / "out"), "--recipe", "[/x]\x1b[2J.json"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and "[/x]\\x1b[2J.json: there is no such file" in done.stderr
    assert "\x1b" not in done.stderr and "Traceback" not in done.stderr


# Duplicates and leftovers.


def test_members_twice_are_refused(tmp_path):
    path = tmp_path / "w.npz"
    np.savez(path, a=np.ones(3))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a.npy", b"")
    with pytest.raises(InputError, match="member 'a' is there twice"):
        read_npz(path)


def test_directories_of_absurdly_many_members_are_refused(tmp_path):
    path = tmp_path / "w.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(20_100):
            archive.writestr(f"{i}", b"")
    with pytest.raises(InputError, match="a directory of"):
        read_npz(path)


def test_surplus_tensors_are_refused_soon(tmp_path):
    entries = {f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(200_000)}
    text = json.dumps(entries).encode()
    (tmp_path / "w").write_bytes(struct.pack("<Q", len(text)) + text)
    began = time.process_time()
    with pytest.raises(InputError, match="200,000 tensors; expected at most") as error:
        convert(tmp_path / "w", tmp_path / "out")
    one_line(error)
    assert time.process_time() - began < 60


def test_bytes_of_one_value_are_no_kernel(tmp_path):
    graph = _messages(GRAPHDEF)
    tensor = graph.node.add(name="conv2d0_w", op="Const").attr.add(key="value").value.tensor
    tensor.dtype = 1
    tensor.tensor_shape.dim.add(size=6)
    for content, floats, sound in (
        (np.ones(1, "f4").tobytes(), [], False),
        (np.ones(6, "f4").tobytes(), [], True),
        (np.ones(6, "f4").tobytes() + b"x", [], False),
        (b"", [np.full(1, 2, "f4").tobytes()], True),
        (np.ones(6, "f4").tobytes(), [np.full(1, 2, "f4").tobytes()], False),
    ):
        tensor.tensor_content = content
        del tensor.float_val[:]
        tensor.float_val.extend(floats)
        (tmp_path / "graph").write_bytes(graph.SerializeToString())
        found = graphdef.read(tmp_path / "graph").tensors["conv2d0_w"]
        if sound:
            assert set(found.load()) == {2.0 if floats else 1.0}
        else:
            with pytest.raises(InputError, match="bytes; expected 24"):
                found.load()


def test_folders_are_not_hashed_whatever_lies_in_them(tmp_path):
    folder = tmp_path / "dump"
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "conv2d0_w.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with (folder / "sparse").open("wb") as file:
        file.truncate(40 * 2**30)
    with pytest.raises(InputError, match=r"files of 42,949,\d+,\d+ bytes; expected the weights of one network"):
        convert(folder, tmp_path / "out")
    (folder / "sparse").unlink()
    for i in range(1001):
        (folder / f"{i}").touch()
    with pytest.raises(InputError, match="more than 1,000 files"):
        convert(folder, tmp_path / "out")


# What a device cannot hold.


@pytest.mark.parametrize(
    "recipe", [Recipe(size=16_000, transforms=()), Recipe(size=512, views=4096)], ids=["size", "views"]
)
def test_what_does_not_fit_is_said_before_it_is_tried(recipe):
    with pytest.raises(InputError, match=r"GiB at least; there are .* GiB. Expected smaller or fewer ones"):
        check_room(load("slide"), ("mixed5b",), recipe, 16)
    check_room(load("slide"), ("mixed5b",), Recipe(), 16)


# Writers that die.

WRITER = """
import sys, itertools
from pathlib import Path
from jaxcircuits.files import replacing
for i in itertools.count():
    with replacing(Path(sys.argv[1])) as temporary:
        with temporary.open("wb") as file:
            for _ in range(64):
                file.write(bytes([i % 256]) * 4096)
                file.flush()
    print(i, flush=True)
"""


def test_a_killed_writer_leaves_the_file_of_before_or_of_after(tmp_path):
    path = tmp_path / "file"
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    dice = np.random.default_rng(0)
    for _ in range(4):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], env=environment, stdout=subprocess.PIPE)
        writer.stdout.readline()
        time.sleep(dice.uniform(0.01, 0.2))
        writer.kill()
        writer.communicate()
        data = path.read_bytes()
        assert len(data) == 64 * 4096 and len(set(data)) == 1


def test_every_store_writes_before_it_names(monkeypatch, tmp_path):
    """Weights, examples, circuits, pictures and indexes: each file is on the disk, then its name, then its folder."""
    happened, sync, rename, here = [], os.fsync, os.replace, threading.Lock()

    def traced_sync(descriptor):
        with here:
            happened.append(("fsync", os.readlink(f"/proc/self/fd/{descriptor}")))
        sync(descriptor)

    def traced_rename(before, after):
        with here:
            happened.append(("rename", str(before), str(after)))
        rename(before, after)

    monkeypatch.setattr(os, "fsync", traced_sync)
    monkeypatch.setattr(os, "replace", traced_rename)
    network = load("slide")
    weights = read_weights(WEIGHTS)
    write_weights(tmp_path / "w.safetensors", weights.tensors, architecture=SLIDE, convention=weights.convention)
    pictures = np.random.default_rng(0).random((2, 96, 96, 3), np.float32)
    examples(network, pictures, ["conv2d0"], 1, progress=False).save(tmp_path / "examples")
    recipe = Recipe(size=32, steps=1, transforms=(), redirect_steps=0)
    with bulk.drawings(network, [bulk.Series("conv2d0", (0, 1))], recipe, tmp_path / "out") as job:
        job.run(progress=False)
    renames = [i for i, event in enumerate(happened) if event[0] == "rename"]
    assert {Path(happened[i][2]).name for i in renames} >= {
        "w.safetensors", "conv2d0.safetensors", "0000.png", "0001.png", "plan.json", "recipe.json", "sheet.png",
    }  # fmt: skip
    for i in renames:
        _, before, after = happened[i]
        assert ("fsync", before) in happened[:i], f"{after} is named before it is written"
        assert ("fsync", str(Path(after).parent)) in happened[i:], f"the name of {after} may be lost"
    # The index speaks of a picture when that has its name for good.
    entry = next(i for i in renames if ".records" in happened[i][2])
    pictures = [i for i in renames if happened[i][2].endswith(("0000.png", "0001.png"))]
    folder = str(tmp_path / "out" / "slide" / "conv2d0")
    assert max(pictures) < entry and ("fsync", folder) in happened[max(pictures) : entry]
