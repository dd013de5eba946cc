"""How long `jaxcircuits render` takes in an empty folder: the first time, and again with its programs in the cache.

Command:   python -m benchmarks.first_minute --out RESULT.json [--before FOLDER] [--rounds 3]
           (FOLDER: a checkout of a commit to compare with, `git worktree add FOLDER COMMIT`)
Hardware:  two CPU cores with nothing else running
Cost:      1 to 2.5 minutes a round and commit
Result:    benchmarks/results/first_minute.json

Two rounds beside the commit before the main thread kept large blocks (seconds; a Xeon with AVX-512, whose time others
took much of):

| | first sheet | the command | processor time |
| --- | --- | --- | --- |
| first, before | 32.8 | 92.2 | 123.3 |
| first, now | 29.2 | 71.7 | 109.9 |
| second, before | 22.5 | 51.4 | 54.7 |
| second, now | 17.3 | 40.3 | 51.0 |

Three rounds beside the commit before threads kept heaps of their own, and a view's gradient became shorter (the same
processor, a quieter hour):

| | first sheet | the command | processor time |
| --- | --- | --- | --- |
| first, before | 23.0 | 59.3 | 94.4 |
| first, now | 20.0 | 52.8 | 86.8 |
| second, before | 12.0 | 27.2 | 38.6 |
| second, now | 14.0 | 28.9 | 41.1 |

Three rounds beside the commit before a CPU compiled the next layer only after the first sheet, and scores had a
program of their own (the same processor, slower that hour):

| | first sheet | the command | processor time |
| --- | --- | --- | --- |
| first, before | 41.1 | 83.3 | 135.3 |
| first, now | 31.2 | 81.9 | 126.0 |
| second, before | 15.5 | 34.4 | 49.1 |
| second, now | 14.5 | 32.6 | 46.5 |

Three rounds beside the commit before a network of the zoo was built without tracing Flax's initializers (an EPYC
without AVX-512, as in the next table):

| | first sheet | the command | processor time |
| --- | --- | --- | --- |
| first, before | 46.8 | 93.1 | 147.2 |
| first, now | 44.2 | 84.6 | 135.4 |
| second, before | 15.4 | 29.5 | 41.4 |
| second, now | 13.1 | 26.7 | 38.3 |

Three rounds beside the commit before SciPy was loaded only where it is used and the module built once, half as fast as
in the last table:

| | first sheet | the command | processor time |
| --- | --- | --- | --- |
| first, before | 51.0 | 94.2 | 149.2 |
| first, now | 48.7 | 94.1 | 149.8 |
| second, before | 17.5 | 34.1 | 45.9 |
| second, now | 14.1 | 28.6 | 40.4 |

Two rounds beside the commit before random numbers were a program of their own, shared by all layers:

| | first sheet | the command | processor time |
| --- | --- | --- | --- |
| first, before | 30.1 | 55.5 | 94.0 |
| first, now | 22.5 | 41.2 | 69.8 |
| second, before | 11.4 | 22.6 | 31.4 |
| second, now | 10.4 | 21.1 | 29.3 |

Each process is the whole command as a user types it, without arguments, which draws units of three layers of `slide`:
`first` from an empty cache of compiled programs, `second` into another empty folder with what the first one left there.
Commits take turns. `sheet` is the time until the first layer's sheet is there, `clock` until the command ends, both by
the clock; `cores` is the processor time of all cores, which others disturb less. Medians of the rounds, in seconds.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measuring import ROOT, arguments_of, commit_of, environment_of, report

LOOK = 0.05
"""Seconds between two looks for the first sheet."""


def process(package: Path, home: Path) -> dict[str, float]:
    """What the command took, in seconds.

    Args:
      package: the checkout whose code runs.
      home: the user's folder, with the cache.
    """
    with tempfile.TemporaryDirectory() as work:
        before, began = _cores(), time.perf_counter()
        command, environment = [sys.executable, "-m", "jaxcircuits", "render"], environment_of(package, home)
        said, sheet = Path(work, "said.txt"), None
        with (
            said.open("wb") as file,
            subprocess.Popen(command, cwd=work, env=environment, stdout=file, stderr=subprocess.STDOUT) as running,
        ):
            while running.poll() is None:
                if sheet is None and any(Path(work).rglob("sheet.png")):
                    sheet = time.perf_counter() - began
                time.sleep(LOOK)
        clock, cores = time.perf_counter() - began, _cores() - before
        if running.returncode or sheet is None:
            text = said.read_text(errors="replace")
            raise RuntimeError(f"the command of {package} ended with {running.returncode}:\n{text[-2000:]}")
    return {"sheet": sheet, "clock": clock, "cores": cores}


def _cores() -> float:
    """Processor seconds of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measured(packages: dict[str, Path], rounds: int) -> dict[str, dict[str, list[dict[str, float]]]]:
    """Commit -> first or second -> what each round took."""
    found: dict[str, dict[str, list[dict[str, float]]]] = {name: {"first": [], "second": []} for name in packages}
    for i in range(rounds):
        for name in packages if i % 2 == 0 else reversed(packages):
            with tempfile.TemporaryDirectory() as home:
                for turn in ("first", "second"):
                    found[name][turn].append(process(packages[name], Path(home)))
    return found


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Of each figure, to a tenth of a second."""
    return {name: round(statistics.median(one[name] for one in rounds), 1) for name in rounds[0]}


def main() -> None:
    parser = arguments_of(__doc__, network=False, size=False)
    parser.add_argument("--before", type=Path, help="a checkout of a commit to compare with")
    parser.add_argument("--rounds", type=int, default=3, help="times that everything is done")
    options = parser.parse_args()
    packages = {"now": ROOT} | ({"before": options.before.resolve()} if options.before else {})
    found = measured(packages, options.rounds)
    seconds = {name: {turn: medians(rounds) for turn, rounds in turns.items()} for name, turns in found.items()}
    described = {"before": commit_of(packages["before"])} if options.before else {}
    report(described | {"rounds": options.rounds, "seconds": seconds}, options.out)


if __name__ == "__main__":
    main()
