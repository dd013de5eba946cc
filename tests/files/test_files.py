"""Files from others: names that cannot climb, reading that is bounded, writing that outlasts a power cut."""

import contextlib
import io
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from jaxcircuits.errors import InputError, shown, unknown, whole
from jaxcircuits.files import below, file_name, npy, parse_json, read_bytes, read_tensors, read_text, replacing
from jaxcircuits.printing import plain, say, tell

# Names become paths.

HOSTILE = [
    "..",
    ".",
    "",
    "/",
    "//",
    "/etc/passwd",
    "../../x",
    "a/../b",
    "a//b",
    "\0",
    "a\nb",
    "\x1b[31m",
    "CON",
    "nul.x",
]
HOSTILE += [
    "C:\\x",
    "~",
    "%2E%2E",
    "%",
    "x" * 5000,
    "a/" * 3000,
    "\u202egnp",
    "\udcff",
    " ",
    "a ",
    "a.",
    ".git",
    "e\u0301",
]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names_stay_below_their_folder(name, tmp_path):
    root = tmp_path / "out"
    path = below(root, name, ending=".png")
    with replacing(path) as temporary:
        temporary.write_bytes(b"picture")
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]
    assert path.resolve().is_relative_to(root) and path != root


@pytest.mark.parametrize("name", ["mixed4b", "blocks/0/conv1", "relu_1", "steps-64", "inceptionv1-2015", "größe/層"])
def test_harmless_names_stay_as_they_are(name):
    assert file_name(name) == name
    assert below(Path("out"), "slide", name) == Path("out", "slide", *name.split("/"))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.text(max_size=300), st.text(max_size=300))
@example("~", "%7E")
@example("a/b", "a%2Fb")
@example("", "%")
@example("x" * 101, file_name("x" * 101))
def test_no_two_names_share_a_path(first, second):
    assert (file_name(first) == file_name(second)) == (first == second)
    for name in (first, second):
        parts = file_name(name).split("/")
        assert all(part.isprintable() and part not in ("", ".", "..") and len(part.encode()) <= 100 for part in parts)


# What came from outside is printed as text.


def test_what_is_printed_is_only_shown(capsys):
    say("pics[/old]x [red]\x1b[31m\u202e\udcff\nnext")
    tell("bad \x1b]0;title\x07 name\nforged: line")
    out, err = capsys.readouterr()
    assert out == "pics[/old]x [red]\\x1b[31m\\u202e\\udcff\nnext\n"
    assert err == "jaxcircuits: bad \\x1b]0;title\\x07 name\\nforged: line\n"
    assert len(plain("x" * 10**7)) < 5000


def test_messages_shorten_bad_values():
    huge = "x" * 10**6
    errors = [unknown("layer", huge, ["a", "b"]), InputError(huge)]
    for check in (lambda: whole(huge, "steps", 0), lambda: whole(10**5000, "steps", 0, 9)):
        with pytest.raises(InputError) as caught:
            check()
        errors.append(caught.value)
    assert all(len(str(error)) < 2100 for error in errors)
    assert str(errors[2]).startswith("steps 'xxx") and "thousands of digits" in str(errors[3])
    assert shown([huge]).startswith("['xxx") and len(shown([huge])) == 80


# Reading.


@pytest.fixture
def pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_only_regular_files_of_a_bounded_size_are_read(pipe, tmp_path):
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as file:
        file.truncate(40 * 2**30)
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to("/dev/zero")
    expected = {
        pipe: "is a pipe",
        "/dev/zero": "is a device",
        tmp_path / "link": "is a device",
        tmp_path: "is a folder",
        sparse: "42,949,672,960 bytes",
        tmp_path / "empty": "is empty",
        tmp_path / "none": "no such file",
        "a\0b": "cannot be read",
        tmp_path / ("x" * 300): "cannot be read",
    }
    for path, message in expected.items():
        with pytest.raises(InputError, match=message) as error:
            read_bytes(path, "a recipe", 2**20)
        assert len(str(error.value).splitlines()) == 1
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    with pytest.raises(InputError, match="not a text file in UTF-8"):
        read_text(tmp_path / "latin", "a recipe")


BAD_JSON = {
    "nested": ("[" * 100_000, "in each other"),
    "nested objects": ('{"a":' * 1000, "in each other"),
    "quotes": ('"' + '\\"' * 200_000, "not JSON"),
    "digits": (f"[{'9' * 5000}]", "a number of 5,000 characters"),
    "many digits": (f"[{'9' * 500}]", "out of all bounds"),
    "exponent": ("[1e999]", "out of all bounds"),
    "infinite": ('{"a": Infinity}', "Infinity is no number"),
    "not a number": ("NaN", "NaN is no number"),
    "twice": ('{"a": 1, "a": 2}', "'a' is there twice"),
    "twice deep": ('[{"b": [{"c": 1, "c": 1}]}]', "'c' is there twice"),
    "all names twice": ("{" + ", ".join(f'"{i % 50000}": 1' for i in range(60_000)) + "}", "there twice"),
    "cut": ('{"a": [1, 2', "not JSON"),
    "long": (" " * 2_000_001, "2,000,001 characters"),
}


@pytest.mark.parametrize("case", BAD_JSON)
def test_bad_json_is_one_line(case):
    text, message = BAD_JSON[case]
    with pytest.raises(InputError, match=message) as error:
        parse_json(text, "a recipe", 2_000_000)
    assert len(str(error.value).splitlines()) == 1 and str(error.value).endswith(
        "a recipe" + " of at most 2,000,000" * (case == "long")
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(10**60), 10**60)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_sound_json_comes_back(data):
    assert parse_json(json.dumps(data), "data", 10**6) == data


def npy_bytes(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


ARRAYS = [np.arange(12).reshape(3, 4).astype(dtype) for dtype in ("<f4", ">f8", "<f2", "u1", "<i8", "?", "<c8")]
ARRAYS += [
    np.float32(3),
    np.zeros(0),
    np.zeros((2, 0, 3)),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(5),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}-{array.shape}")
def test_arrays_come_back(array):
    file = io.BytesIO(npy_bytes(array))
    header = npy.read_header(file, "array")
    values = npy.read_data(file, header, "array")
    assert header.shape == array.shape and header.dtype == array.dtype
    np.testing.assert_array_equal(values, array)


def headed(header, version=1):
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(header)) + header


BAD_ARRAYS = {
    "cut": npy_bytes(np.arange(9.0))[:-1],
    "more": npy_bytes(np.arange(9.0)) + b"x",
    "objects": headed(b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n") + b"\x80\x04N.",
    "fields": headed(b"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }\n") + bytes(4),
    "huge": headed(b"{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999, 999999999999), }\n"),
    "endless": headed(b"{'descr': '<f4', 'fortran_order': False, 'shape': (" + b"9" * 1900 + b",), }\n"),
    "negative": headed(b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }\n") + bytes(4),
    "code": headed(b"{'descr': '<f4', 'fortran_order': False, 'shape': (exit(),), }\n"),
    "nested": headed(b"{'descr': " + b"[" * 1500),
    "tokens": headed(b"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), \\\n"),
    "long header": headed(b" " * 5000),
    "no header": b"\x93NUMPY\x01\x00",
    "empty": b"",
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_bad_arrays_are_one_line(case):
    file = io.BytesIO(BAD_ARRAYS[case])
    with pytest.raises(InputError) as error:
        npy.read_data(file, npy.read_header(file, "it"), "it")
    assert len(str(error.value).splitlines()) == 1


def stored(header, data=b""):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(header)) + header + data


def entry(begin, end, shape=None):
    return {"dtype": "F32", "shape": shape or [(end - begin) // 4], "data_offsets": [begin, end]}


BAD_TENSORS = {
    "twice": (stored(b'{"a": %s, "a": %s}' % ((json.dumps(entry(0, 4)).encode(),) * 2), bytes(4)), "there twice"),
    "overlap": (stored({"a": entry(0, 8), "b": entry(4, 12)}, bytes(12)), "over another"),
    "gap": (stored({"a": entry(0, 4), "b": entry(8, 12)}, bytes(12)), "over another"),
    "rest": (stored({"a": entry(0, 4)}, bytes(5)), "belong to no tensor"),
    "cut": (stored({"a": entry(0, 400)}, bytes(8)), "lies outside"),
    "shape": (stored({"a": entry(0, 4, [2])}, bytes(4)), "not described"),
    "truth": (stored({"a": entry(0, 4, [True])}, bytes(4)), "not described"),
    "many": (stored({f"a{i}": entry(0, 0, [0]) for i in range(20_000)}), "20,000 tensors"),
    "endless header": (struct.pack("<Q", 2**62) + b"{}", "damaged or cut short"),
    "numbers": (stored({"__metadata__": {"labels": 3}}), "not text"),
    "list": (stored([1, 2]), "no object"),
    "nonsense": (stored(b"{nonsense}"), "not JSON"),
}


@pytest.mark.parametrize("case", BAD_TENSORS)
def test_bad_tensors_are_one_line(case, tmp_path):
    data, message = BAD_TENSORS[case]
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(InputError, match=message) as error:
        read_tensors(tmp_path / "file", "a weight file", 2**24)
    assert len(str(error.value).splitlines()) == 1 and str(tmp_path / "file") in str(error.value)


def test_tensors_come_back(tmp_path):
    generator = np.random.default_rng(0)
    tensors = {
        f"t{dtype}": generator.integers(0, 2, (3, 2)).astype(dtype) for dtype in ("f2", "f4", "f8", "i4", "u1", "?")
    }
    tensors |= {"empty": np.zeros((0, 3), np.float32), "one": np.array(2.5)}
    (tmp_path / "file").write_bytes(save(tensors, {"labels": "größe"}))
    found, metadata = read_tensors(tmp_path / "file", "tensors", 2**20)
    assert metadata == {"labels": "größe"} and found.keys() == tensors.keys()
    for name, values in tensors.items():
        np.testing.assert_array_equal(found[name].load(), values)
        assert found[name].load().dtype == values.dtype


# Writing.


@pytest.mark.parametrize("there", ["/dev/null", "pipe", "folder"])
def test_what_is_no_file_is_not_replaced(there, pipe, tmp_path):
    path = Path(there) if there.startswith("/") else tmp_path / there
    if there == "folder":
        path.mkdir()
    before = path.stat().st_ino, path.stat().st_mode
    with pytest.raises(InputError, match=r"is a (device|pipe|folder); expected the name of a file"), replacing(path):
        pytest.fail("nothing is written")
    assert (path.stat().st_ino, path.stat().st_mode) == before
    assert not [file for file in path.parent.iterdir() if file.name.endswith(".tmp")]


def test_a_file_is_on_the_disk_before_its_name_and_its_name_before_the_end(monkeypatch, tmp_path):
    """What a power cut leaves is decided by the order of fsync and rename; it is traced, and done all the same."""
    happened, sync, rename = [], os.fsync, os.replace

    def traced_sync(descriptor):
        happened.append(("fsync", Path(os.readlink(f"/proc/self/fd/{descriptor}"))))
        sync(descriptor)

    def traced_rename(before, after):
        happened.append(("rename", Path(after)))
        rename(before, after)

    monkeypatch.setattr(os, "fsync", traced_sync)
    monkeypatch.setattr(os, "replace", traced_rename)
    path = tmp_path / "new" / "folder" / "file"
    with replacing(path) as temporary:
        temporary.write_bytes(b"data")
    assert happened == [
        ("fsync", tmp_path),
        ("fsync", tmp_path / "new"),
        ("fsync", temporary),
        ("rename", path),
        ("fsync", path.parent),
    ]
    assert path.read_bytes() == b"data"


KILLED = """
import os, signal, sys
from pathlib import Path
from jaxcircuits.files import replacing
with replacing(Path(sys.argv[1])) as temporary:
    temporary.write_bytes(b"half of it, and long")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_writer_left_goes_with_the_next_writing(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("before")
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", KILLED, str(path)]).returncode == -9
    assert path.read_text() == "before" and len(list(tmp_path.iterdir())) == 2
    with replacing(path) as temporary:
        assert temporary.read_bytes() == b""
        temporary.write_text("after")
    assert path.read_text() == "after" and list(tmp_path.iterdir()) == [path]


def test_writers_of_one_file_do_not_meet(tmp_path):
    """The one that ends last has written the file; nothing of the other is in it, and nothing is left."""
    path = tmp_path / "page.html"
    with replacing(path) as first:
        first.write_text("the first, which is long")
        with replacing(path) as second:
            second.write_text("the second")
        assert path.read_text() == "the second" and first.read_text() == "the first, which is long"
    assert path.read_text() == "the first, which is long"
    with pytest.raises(ZeroDivisionError), replacing(path) as broken, replacing(path) as whole:
        broken.write_text("broken")
        whole.write_text("whole")
        raise ZeroDivisionError
    assert path.read_text() == "the first, which is long" and list(tmp_path.iterdir()) == [path]
    with contextlib.ExitStack() as stack:
        # One that begins before the other ends, and ends after it.
        names = [stack.enter_context(replacing(path)) for _ in range(3)]
        for i, name in enumerate(names):
            name.write_text(str(i))
    assert path.read_text() == "0" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe", "folder"])
def test_a_temporary_name_that_leads_elsewhere_is_not_written_to(kind, tmp_path):
    victim, path, left = tmp_path / "victim", tmp_path / "page.html", tmp_path / ".page.html.tmp"
    victim.write_text("kept")
    make = {
        "link": lambda: left.symlink_to(victim),
        "hard link": lambda: left.hardlink_to(victim),
        "pipe": lambda: os.mkfifo(left),
        "folder": left.mkdir,
    }
    make[kind]()
    with replacing(path) as temporary:
        temporary.write_text("page")
    assert path.read_text() == "page" and victim.read_text() == "kept"
    assert {file.name for file in tmp_path.iterdir()} == {"victim", "page.html", ".page.html.tmp"}
