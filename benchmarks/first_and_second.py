"""What the first process costs, and the second: drawings from an empty cache, and again, beside another commit.

Command:   python -m benchmarks.first_and_second --before FOLDER --out RESULT.json
Hardware:  two CPU cores that others use too
Cost:      about five minutes where nothing else runs
Result:    benchmarks/results/first_and_second.json

Beside the commit before recipes' numbers became data (one run, seconds of all cores): after eight units, another number
of steps 0.6 and before 20, another learning rate 0.5 and 19, nine units 0.7 and 21, one unit 19 and 16 (a batch of one
is a program of its own); all in a second process 6.9 and 109. The command 26 and 23 first, 5.3 and 4.4 then.

FOLDER is a checkout of the commit to compare with (`git worktree add FOLDER COMMIT`). Each process draws units of
mixed4b of `slide` by the default recipe at a few steps, so that what counts is what is compiled. A `command` process is
`jaxcircuits render`; a `library` process draws eight units, then with other numbers of steps, another learning rate,
nine units, one unit, another unit. Both commits take turns, each with a cache folder of its own that is empty before
its first process. Clocks on a shared machine tell little; the seconds of all cores and the programs compiled tell more.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measuring import ROOT, arguments_of, commit_of, environment_of, report

PROCESS = Path(__file__).with_name("one_process.py")
KINDS = ("command", "library")


def process(kind: str, package: Path, home: Path) -> list[dict[str, Any]]:
    """What each part of a process took: its name, seconds by the clock and of all cores, programs compiled and loaded.

    Args:
      kind: `command` or `library`.
      package: the checkout whose code runs.
      home: the user's folder, with the cache.
    """
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, str(PROCESS), kind]
        done = subprocess.run(command, cwd=work, env=environment_of(package, home), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{kind} of {package} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def measured(packages: dict[str, Path]) -> dict[str, dict[str, dict[str, list[dict[str, Any]]]]]:
    """Kind -> first or second -> commit -> its parts."""
    result = {}
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            homes = {name: Path(folder) / name for name in packages}
            for home in homes.values():
                home.mkdir()
            result[kind] = {
                turn: {name: process(kind, packages[name], homes[name]) for name in packages}
                for turn in ("first", "second")
            }
    return result


def ratios(parts: dict[str, list[dict[str, Any]]]) -> dict[str, float]:
    """How many times the cores' time of the one commit the other takes, part by part and in all."""
    seconds = {name: {part["what"]: part["cores"] for part in of} for name, of in parts.items()}
    found = {what: seconds["before"][what] / max(seconds["after"][what], 0.01) for what in seconds["after"]}
    found["all"] = sum(seconds["before"].values()) / sum(seconds["after"].values())
    return {what: round(value, 2) for what, value in found.items()}


def main() -> None:
    parser = arguments_of(__doc__, network=False, size=False)
    parser.add_argument("--before", type=Path, required=True, help="a checkout of the commit to compare with")
    options = parser.parse_args()
    before = options.before.resolve()
    found = measured({"before": before, "after": ROOT})
    times = {kind: {turn: ratios(parts) for turn, parts in turns.items()} for kind, turns in found.items()}
    report({"before": commit_of(before), "times_as_long_before": times, "processes": found}, options.out)


if __name__ == "__main__":
    main()
