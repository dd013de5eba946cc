"""A pass over pictures in shares: killed, resumed and divided among processes and devices, it is one pass."""

import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import jaxcircuits as jc
from jaxcircuits import InputError, bulk, evidence
from support.data import ROOT
from support.exact import COUNT, LAYERS, assert_same, world
from support.recorded import contents, exact, made, opened


@pytest.mark.slow
def test_a_pass_in_shares_is_one_pass(examples_alone, tmp_path):
    """Its files hold what `evidence.examples` finds, and nothing else is left."""
    folder = examples_alone / "exact"
    found = evidence.Examples.read(*(folder / layer / "examples.safetensors" for layer in LAYERS))
    assert_same(found, evidence.examples(exact(), world(), LAYERS, COUNT))
    index = {f".records/examples/layer-{i:05d}.json" for i in range(3)}
    files = {f"{layer}/examples.safetensors" for layer in LAYERS}
    assert set(contents(folder)) == {*index, *files, "plan.examples.json"}
    # Taken up again, nothing is to be done; layers are added in a pass of their own, others stay.
    assert made("examples", exact(), tmp_path, LAYERS[1:2])[0] == 0
    with opened("examples", exact(), tmp_path, LAYERS) as job:
        assert (job.finished, job.total, len(job.todo)) == (41, 82, 6)
        job.run(progress=False)
    assert contents(tmp_path / "exact" / "fires") == contents(folder / "fires")
    assert contents(tmp_path / "exact" / "logits") == contents(folder / "logits")
    assert made("examples", exact(), tmp_path, LAYERS)[0] == 82


def test_shares_of_which_nothing_can_be_read(tmp_path):
    """At the beginning, between and at the end: they are counted, and lose nobody else's pictures."""
    (tmp_path / "set").mkdir()
    for number, picture in enumerate(np.round(world(15)[0] * 4).astype(np.uint8) * 51):
        Image.fromarray(picture).save(tmp_path / "set" / f"{number:02d}.png")
    for number in (0, 1, 2, 7, 9, 10, 11, 12, 13, 14):
        (tmp_path / "set" / f"{number:02d}.png").write_text("no picture")
    network, pictures = exact(), jc.open_pictures(tmp_path / "set")
    with bulk.examples(network, pictures, ["fires"], tmp_path / "out", count=4, share=3) as job:
        (path,) = job.run(progress=False)
        assert len(job.product.unreadable) == 10 and job.product.unreadable[0].startswith("00.png: no picture")
    with pytest.warns(evidence.UnreadablePictures):
        expected = evidence.examples(network, pictures, "fires", 4)
    assert_same(evidence.Examples.read(path), expected)
    for path in (tmp_path / "set").iterdir():
        path.write_text("no picture")
    with (
        bulk.examples(network, pictures, ["fires"], tmp_path / "none", count=4, share=3) as job,
        pytest.raises(InputError, match=r"set: none of 15 pictures can be read \(00.png: no picture"),
    ):
        job.run(progress=False)


PASS = """
import sys, time
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/tests"]
import jax
from support.exact import LAYERS, exact_network, world
from jaxcircuits import bulk
from jaxcircuits.images.sources import Arrays

out, wait, address, processes, process = sys.argv[2:]
class Slow(Arrays):
    def read(self, *arguments):
        time.sleep(float(wait))
        return super().read(*arguments)

hosts = bulk.meet(address, int(processes), int(process)) if address else bulk.ALONE
import jaxcircuits as jc
pictures = jc.Pictures(Slow.of(*world()))
options = {"count": 6, "share": 8, "batch_size": 4, "hosts": hosts}
with bulk.examples(exact_network(), pictures, LAYERS, out, **options) as job:
    print(jax.local_device_count(), list(job.todo), flush=True)
    job.run()
"""


def start(out, wait=0.0, address="", processes=1, process=0, devices=1):
    """A process that sees the pictures of `examples_alone`."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    words = [sys.executable, "-c", PASS, ROOT, out, wait, address, processes, process]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(list(map(str, words)), env=environment, **pipes)


def finish(process):
    said, error = process.communicate(timeout=240)
    assert process.returncode == 0, error[-2000:]
    return said


def test_killed_in_the_middle_and_taken_up_again(examples_alone, tmp_path):
    process = start(tmp_path, wait=0.05)
    shares = tmp_path / "exact" / ".records" / "examples"
    while len(list(shares.glob("0*.json"))) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    left = len(list(shares.glob("0*.json")))
    assert 2 <= left < 6 and not list(tmp_path.rglob("examples.safetensors"))
    with opened("examples", exact(), tmp_path, LAYERS) as job:
        assert len(job.todo) == 6 - left
        job.run(progress=False)
    assert contents(tmp_path) == contents(examples_alone)


def test_two_processes_see_what_one_sees(examples_alone, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    both = [start(tmp_path, 0.0, address, 2, i) for i in range(2)]
    shares = [json.loads(re.search(r"^1 (\[.*\])$", finish(process), re.MULTILINE)[1]) for process in both]
    assert shares == [[0, 2, 4], [1, 3, 5]]
    assert contents(tmp_path) == contents(examples_alone)


@pytest.mark.slow
@pytest.mark.parametrize("devices", [2, 8])
def test_several_devices_see_what_one_sees(devices, examples_alone, tmp_path):
    assert f"{devices} [0, 1" in finish(start(tmp_path, devices=devices))
    several, one = (
        evidence.Examples.read(*(out / "exact" / layer / "examples.safetensors" for layer in LAYERS))
        for out in (tmp_path, examples_alone)
    )
    assert_same(several, one)


def test_a_damaged_share_is_seen_again(examples_alone, tmp_path):
    with opened("examples", exact(), tmp_path, LAYERS) as job:
        for shard, share in itertools.islice(job.product.make(job.todo, lambda: None, False), 3):
            job.product.write(shard, share)
    path = tmp_path / "exact" / ".records" / "examples" / "shares" / "00001-00002.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with opened("examples", exact(), tmp_path, LAYERS) as job:
        assert job.damaged == (".records/examples/shares/00001-00002.safetensors",) and job.todo == (1, 3, 4, 5)
        job.run(progress=False)
    assert contents(tmp_path) == contents(examples_alone)
