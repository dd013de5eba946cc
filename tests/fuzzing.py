"""Mutated files of every kind, read as people's are: an answer or one line, in time, in memory, and nothing written.

    python tests/fuzzing.py --cases 100000 --seed 0 --out fuzzing.json

Mutations are of bytes (flipped, cut, doubled, put in, swapped), where a file holds JSON of its values (wrong types,
numbers out of all bounds, names that climb, nesting), and of the parts of what is sound in form (tensors of other
values, types and shapes, chunks of a PNG under right checksums, other pictures). Headers that carry a hash of
themselves are signed again, and so are indexes of records, so that what lies behind the hash is reached. Each case is
found again by its kind, seed and number.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import random
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxcircuits.errors import InputError
from support.fuzzed_kinds import KINDS, Kind
from support.fuzzed_parts import form_of
from support.fuzzed_records import IN_MEMORY, RECORDS

LONGEST = 20
"""Seconds that a case may take."""

MOST_MEMORY = 4 * 2**30
"""Bytes by which the process may grow over all cases."""

NASTY = (
    None, True, False, 0, -1, 1, 2, 3, 2**31, 2**63, -(2**63), 10**18, 10**30, 0.5, -0.5, 1e-300, 1e308, -1e308, "",
    "x", "NaN", "../../x", "/etc/passwd", "a\0b", "\x1b[31m", "\u202e", "[/red]", "x" * 5000, [], {}, [[]], [None],
    ["x"], [1, 2, 3], [1e308] * 3, {"type": "Pad"}, {"a": {"b": {}}}, [[[[[[]]]]]],
)  # fmt: skip
"""Values in place of others."""

RAW = (
    "NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, "-0", "[" * 2000, '{"a":' * 500, "null", "tru", '"\\ud800"',
    '"\\u0000"', "'x'", "0x10", "1_000", "",
)  # fmt: skip
"""Texts in place of a value, which Python's own writer of JSON does not write."""


def mutated(data: bytes, dice: random.Random) -> bytes:
    """A file with one to four changes."""
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        change = form_of(data)
        text = dice.random() < 0.6 and _json_within(data)
        if change and dice.random() < 0.4:
            data = change(data, dice)
        else:
            data = _changed_json(data, text, dice) if text else _changed_bytes(bytearray(data), dice)
    return data


def _changed_bytes(data: bytearray, dice: random.Random) -> bytes:
    if not data:
        return dice.randbytes(20)
    # Headers, at the beginning and at the end, are where most can go wrong.
    ends = (0, min(len(data), 64)), (0, min(len(data), 1024)), (max(len(data) - 256, 0), len(data)), (0, len(data))
    place = dice.randrange(*dice.choice(ends))
    length = dice.choice((1, 2, 4, 8, 100))
    match dice.randrange(9):
        case 0 | 1:
            data[place] ^= 1 << dice.randrange(8)
        case 2:
            data[place : place + length] = dice.randbytes(length)
        case 3:
            del data[place:]
        case 4:
            del data[place : place + length]
        case 5:
            data[place:place] = data[place : place + length] * dice.choice((1, 2, 1000))
        case 6:
            other = dice.randrange(len(data))
            data[place : place + length], data[other : other + length] = (
                data[other : other + length], data[place : place + length],
            )  # fmt: skip
        case 7:
            number = dice.choice((0, 1, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1))
            data[place : place + 8] = struct.pack("<Q", number)
        case 8:
            data[place : place + length] = dice.choice((b"\0", b"\xff", b"(", b"[", b"'", b"9", b"\n")) * length
    return bytes(data)


def _json_within(data: bytes) -> tuple[int, int] | None:
    """Where a JSON text lies in a file: all of it, or a safetensors header."""
    if data[:1] in (b"{", b"["):
        return 0, len(data)
    if len(data) > 9 and data[8:9] == b"{":
        return 8, 8 + min(struct.unpack("<Q", data[:8])[0], len(data) - 8)
    return None


def _changed_json(data: bytes, place: tuple[int, int], dice: random.Random) -> bytes:
    text = data[slice(*place)]
    try:
        root = json.loads(text)
    except (ValueError, RecursionError):
        return _changed_bytes(bytearray(data), dice)
    mark = "<<here>>"
    _change_value(root, dice, mark)
    written = json.dumps(root)
    if mark in written:
        written = written.replace(f'"{mark}"', dice.choice(RAW), 1)
    elif dice.random() < 0.1 and written.startswith("{") and root:
        first = next(iter(root))
        written = f"{{{json.dumps(first)}: {json.dumps(dice.choice(NASTY))}, {written[1:]}"
    if place[0] == 0:
        return written.encode()
    body = data[place[1] :]
    return struct.pack("<Q", len(written.encode())) + written.encode() + body


def _change_value(root: Any, dice: random.Random, mark: str) -> None:
    """Changes one value somewhere in data; texts that are JSON themselves, as in headers, are entered."""
    places = [
        (holder, key)
        for holder in _holders(root)
        for key in (holder if isinstance(holder, dict) else range(len(holder)))
    ]
    if not places:
        return
    holder, key = dice.choice(places)
    inner = holder[key]
    if isinstance(inner, str) and inner[:1] in ("{", "[") and dice.random() < 0.8:
        with contextlib.suppress(ValueError):
            data = json.loads(inner)
            _change_value(data, dice, mark)
            holder[key] = json.dumps(data).replace(f'"{mark}"', dice.choice(RAW))
            return
    match dice.randrange(8):
        case 0 if isinstance(holder, dict):
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[dice.choice(("extra", "type", "", "__class__", "\0"))] = dice.choice(NASTY)
        case 2 if isinstance(holder, list):
            holder[key:key] = [dice.choice(NASTY)] * dice.choice((1, 3, 2000))
        case 3:
            holder[key] = mark
        case 4 if isinstance(inner, (int, float)):
            holder[key] = inner * dice.choice((-1, 0, 1.5, 10**6, 10**18))
        case 5:
            holder[key] = dice.choice(places)[0]
            with contextlib.suppress(ValueError):
                json.dumps(root)
                return
            holder[key] = None  # it held itself
        case _:
            holder[key] = dice.choice(NASTY)


def _holders(value: Any) -> Iterator[Any]:
    if isinstance(value, (dict, list)):
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _holders(inner)


class Late(BaseException):
    """A case took longer than `LONGEST`; no library's `except Exception` swallows it."""


def _late(*_: object) -> None:
    raise Late


@dataclasses.dataclass
class Result:
    """What came of many cases of a kind.

    Attributes:
      read: how many were read all the same.
      refused: in one line.
      failures: case number -> what happened in place of either.
      slowest: in seconds.
    """

    read: int = 0
    refused: int = 0
    failures: dict[int, str] = dataclasses.field(default_factory=dict)
    slowest: float = 0.0


def run(name: str, cases: int, seed: int, first: int = 0) -> Result:
    """Mutated files of one kind, one after the other."""
    kind, result = KINDS[name], Result()
    samples = kind.samples()
    before = signal.signal(signal.SIGALRM, _late)
    try:
        with tempfile.TemporaryDirectory(dir=IN_MEMORY) as scratch, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for number in range(first, first + cases):
                dice = random.Random(f"{name} {seed} {number}")
                data = mutated(dice.choice(samples), dice)
                if dice.random() < 0.8:
                    data = kind.sign(data)
                folder = Path(scratch) / "case"
                folder.mkdir()
                (folder / kind.name).write_bytes(data)
                _case(kind, folder, number, result)
                outside = [path.name for path in Path(scratch).iterdir() if path != folder]
                if outside:
                    result.failures[number] = f"written outside: {outside}"
                _emptied(folder)
    finally:
        signal.signal(signal.SIGALRM, before)
    return result


def _case(kind: Kind, folder: Path, number: int, result: Result) -> None:
    began = time.monotonic()
    signal.alarm(LONGEST)
    try:
        kind.read(folder / kind.name)
        result.read += 1
    except InputError as error:
        result.refused += 1
        if len(str(error)) > 2100:
            result.failures[number] = f"a line of {len(str(error))} characters"
    except Late:
        result.failures[number] = f"longer than {LONGEST} s"
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        result.failures[number] = f"{type(error).__name__}: {str(error)[:200]} ({Path(at.filename).name}:{at.lineno})"
    finally:
        signal.alarm(0)
        result.slowest = max(result.slowest, time.monotonic() - began)


def _emptied(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


def memory() -> int:
    """Bytes that the process has taken at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Runs all kinds, and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS, action="append", help="only these")
    parser.add_argument("--records", action="store_true", help="only those of a folder of records")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    arguments = parser.parse_args()
    kinds, start, figures = arguments.kind or list(RECORDS if arguments.records else KINDS), memory(), {}
    for name in kinds:
        began = time.monotonic()
        result = run(name, arguments.cases // len(kinds), arguments.seed, arguments.first)
        figures[name] = dataclasses.asdict(result) | {"seconds": round(time.monotonic() - began, 1)}
        print(f"{name}: {result.read} read, {result.refused} refused, {len(result.failures)} failures, "
              f"slowest {result.slowest:.2f} s", flush=True)  # fmt: skip
        for number, said in list(result.failures.items())[:20]:
            print(f"  {number}: {said}", flush=True)
    figures = {"seed": arguments.seed, "grown_bytes": memory() - start, "kinds": figures}
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=2) + "\n")
    sys.exit(any(kind["failures"] for kind in figures["kinds"].values()))


if __name__ == "__main__":
    main()
