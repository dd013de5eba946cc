"""Several devices: a batch is split evenly over them, and the pictures are those of one."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

DRAW = """
import json, sys
import jax, numpy as np
from jax.sharding import Mesh
import jaxcircuits as jc
from jaxcircuits.vis.keys import picture_keys
from jaxcircuits.vis.loss import Batch
from jaxcircuits.vis.numbers import divided
from jaxcircuits.vis.optimize import OF_BATCH, PICTURES, Programs

network, recipe = jc.load("slide"), jc.Recipe(size=24, steps=4, redirect_steps=2)
objective, devices = jc.channel("conv2d1", range(8)), jax.local_devices()
compiled = []
jax.monitoring.register_event_duration_secs_listener(lambda *event, **more: compiled.append(more.get("fun_name")))
jc.compile_ahead(network, objective, recipe, batch_size=8)
ahead = list(compiled)
compiled.clear()
rendering = jc.render(network, objective, recipe, batch_size=8, progress=False)
drawing = list(compiled)
np.savez(sys.argv[1], images=rendering.images, scores=rendering.scores)
mesh = Mesh(np.array(devices), (PICTURES,)) if len(devices) > 1 else None
structure, numbers = divided(recipe)
programs = Programs(network.forward, structure, mesh, on_cpu=True)
batch = programs.put(Batch(network.params, numbers, objective, picture_keys(objective, [0] * 8, 1)), OF_BATCH)
step = programs.lowered(batch)["step"].compile()
exchanged = [word for word in ("all-reduce", "all-gather", "all-to-all", "permute") if f" {word}" in step.as_text()]
flops = step.cost_analysis()["flops"]
facts = {"devices": len(devices), "flops": flops, "exchanged": exchanged, "ahead": ahead, "drawing": drawing}
print(json.dumps(facts))
"""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """By number of devices: the pictures, their scores, and what a step costs one device."""
    folder, results = tmp_path_factory.mktemp("devices"), {}
    for count in (1, 8):
        environment = os.environ | {
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={count}",
            "JAX_PLATFORMS": "cpu",
        }
        command = [sys.executable, "-c", DRAW, str(folder / f"{count}.npz")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        results[count] = dict(np.load(folder / f"{count}.npz")), json.loads(done.stdout.splitlines()[-1])
    return results


@pytest.mark.slow
def test_eight_devices_draw_the_pictures_of_one(drawn):
    (one, _), (eight, facts) = drawn[1], drawn[8]
    assert facts["devices"] == 8
    assert one["images"].std() > 0.01
    np.testing.assert_allclose(eight["images"], one["images"], atol=1e-4)
    np.testing.assert_allclose(eight["scores"], one["scores"], rtol=1e-3)


@pytest.mark.parametrize("count", [1, 8])
def test_programs_compiled_ahead_are_not_compiled_again(drawn, count):
    facts, programs = drawn[count][1], {"jit(_step)", "jit(chance)"}
    assert programs <= set(facts["ahead"])
    assert not programs & set(facts["drawing"])


def test_each_of_eight_devices_does_an_eighth_and_exchanges_nothing(drawn):
    (_, one), (_, eight) = drawn[1], drawn[8]
    assert eight["flops"] == pytest.approx(one["flops"] / 8, rel=0.03)
    assert not eight["exchanged"]
