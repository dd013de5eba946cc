"""Several real processes that share one drawing through `jax.distributed`."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from jaxcircuits import InputError
from jaxcircuits.bulk import DrawingPlan, meet
from support.recorded import contents

RECIPE = {"size": [32, 32], "transforms": [], "redirect_steps": 0}
ARGUMENTS = ["render", "--layer", "conv2d0,conv2d1", "--units", "0-11", "--batch-size", "2"]
CLI = "from jaxcircuits.cli import main; main()"
SHARES = """
import sys
import jaxcircuits as jc
from jaxcircuits import bulk

hosts = bulk.meet(sys.argv[1], 2, int(sys.argv[2]))
series = [bulk.Series(layer, tuple(range(12))) for layer in ("conv2d0", "conv2d1")]
recipe = jc.Recipe.from_json(open(sys.argv[4]).read())
with bulk.drawings(jc.load("slide"), series, recipe, sys.argv[3], batch_size=2, hosts=hosts) as job:
    print("todo", list(job.todo), flush=True)
    job.run()
"""


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A function that starts a Python process; compiled programs are kept for the others."""
    cache = tmp_path_factory.mktemp("cache")
    environment = dict(os.environ, JAX_COMPILATION_CACHE_DIR=str(cache), JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0")
    started = []

    def start(code, *arguments):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], env=environment, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def coordinator() -> str:
    """An address that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def both(start, *arguments):
    """Two processes of one command line, which find each other."""
    address = coordinator()
    return [start(CLI, *arguments, "--coordinator", address, "--processes", 2, "--process", i) for i in range(2)]


def ended(*processes):
    """Waits for processes; their outputs."""
    outputs = [process.communicate(timeout=240) for process in processes]
    return [(process.returncode, *output) for process, output in zip(processes, outputs)]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A recipe file whose programs compile fast; 60 steps make a shard last long enough to be killed in."""
    path = tmp_path_factory.mktemp("recipe") / "recipe.json"
    path.write_text(json.dumps(RECIPE | {"steps": 60}))
    return path


@pytest.fixture(scope="module")
def whole(start, recipe, tmp_path_factory):
    """All files, drawn by one process."""
    out = tmp_path_factory.mktemp("alone")
    ((code, _, error),) = ended(start(CLI, *ARGUMENTS, "--recipe", recipe, "--out", out))
    assert code == 0, error
    return contents(out)


@pytest.mark.slow
def test_two_processes_draw_the_plan_each_unit_once(start, recipe, whole, tmp_path):
    address = coordinator()
    shares = []
    for code, out, error in ended(*(start(SHARES, address, i, tmp_path, recipe) for i in range(2))):
        assert code == 0, error
        shares.append(json.loads(re.search(r"todo (.*)", out)[1]))
    plan = DrawingPlan.from_json((tmp_path / "slide" / "plan.json").read_text())
    assert len(plan.shards) == 12 and sorted(shares[0] + shares[1]) == list(range(12))
    assert len(shares[0]) == len(shares[1]) == 6
    drawn = [(shard.layer, unit) for shard in plan.shards for unit in shard.units]
    assert sorted(drawn) == [(layer, unit) for layer in ("conv2d0", "conv2d1") for unit in range(12)]
    assert contents(tmp_path) == whole


@pytest.mark.slow
def test_one_is_killed_the_other_finishes_its_share(start, recipe, whole, tmp_path):
    """Nobody waits for the dead; the same command started again on both draws the rest, shared evenly."""
    arguments = [*ARGUMENTS, "--recipe", recipe, "--out", tmp_path]
    survivor, victim = both(start, *arguments)
    while not list(tmp_path.glob("slide/*/0*.png")):
        assert victim.poll() is None and survivor.poll() is None
        time.sleep(0.01)
    os.kill(victim.pid, signal.SIGKILL)
    ((code, said, error),) = ended(survivor)
    assert code == 0, error
    assert re.search(r"^\d+ of 24 pictures in", said, re.MULTILINE)
    pictures = {name: data for name, data in contents(tmp_path).items() if re.search("/[0-9]{4}.png", name)}
    assert pictures.items() <= whole.items() and 12 <= len(pictures) < 24
    for code, _, error in ended(*both(start, *arguments)):
        assert code == 0, error
    assert contents(tmp_path) == whole


def test_bad_input_is_told_by_both(start, tmp_path):
    """What only process 0 can see, such as another drawing in the folder, ends all of them with one line."""
    (tmp_path / "slide").mkdir()
    (tmp_path / "slide" / "plan.json").write_text("{}")
    for code, _, error in ended(*both(start, *ARGUMENTS, "--out", tmp_path)):
        assert code == 2
        assert "Traceback" not in error
        assert f"jaxcircuits: {tmp_path}/slide/plan.json: this is no plan" in error.splitlines()[-1]


BAD = {
    "part of it": ((None, 2, None), "--coordinator, --processes and --process go together"),
    "address": (("here", 2, 0), "coordinator 'here'; expected HOST:PORT"),
    "port 0": (("here:0", 2, 0), "coordinator 'here:0'; expected HOST:PORT, the port from 1 to 65535"),
    "port 99999": (("here:99999", 2, 1), "expected HOST:PORT, the port from 1 to 65535"),
    "no port": (("here:", 2, 1), "expected HOST:PORT"),
    "no processes": (("here:1", 0, 0), "processes 0; expected a whole number from 1 to 65536"),
    "number": (("a:1", 2, 2), "process 2 of 2; expected a number from 0 to 1"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments(case):
    arguments, message = BAD[case]
    with pytest.raises(InputError, match=message):
        meet(*arguments)


def test_without_a_cluster(start):
    ((code, _, error),) = ended(start(CLI, "render", "--distributed"))
    assert code == 2 and "Traceback" not in error, error
    assert error.splitlines()[-1].startswith("jaxcircuits: no cluster to join")
