"""The programs of benchmarks/ run, at a tiny size; what they measure is theirs to say."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from benchmarks import against_pytorch, first_and_second, first_minute, floor, groups_of_pictures, hlo, microscope_pages
from jaxcircuits import Recipe
from support.data import ROOT
from support.fuzzed_records import template
from support.small import SMALL

TINY = ["slide", "--size", "16"]


def run(tmp_path, module: str, *options: str, arguments: list[str] = TINY, **environment: str) -> dict:
    """The result that a program writes."""
    out = tmp_path / "result.json"
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments, *options, "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(out.read_text())
    assert result["machine"]["versions"]["jax"] and result["machine"]["commit"]
    return result


def test_floor_counts_the_operations_of_the_convolutions(small):
    """Against a direct count for the stem: conv2d0 is 7x7 by 2, conv2d1 1x1, after a pool by 2."""
    recipe = Recipe(size=32, transforms=())
    by_hand = 16 * 16 * 8 * 7 * 7 * 3 + 8 * 8 * 8 * 8
    assert floor.operations(small, "conv2d1", recipe) == 4 * by_hand


def test_weights_go_back_to_their_published_names(small):
    from weights_convert.naming import LUCENT, slots

    published = against_pytorch.published(small)
    for name, slot in slots(SMALL["google"], LUCENT).items():
        layer, kind = slot.name.rsplit("/", 1)
        np.testing.assert_array_equal(slot.arrange(published[name]), small.params[layer][kind])


PROGRAM = """
%seldom (s: f32[8,3]) -> f32[8,3] {
  %s = f32[8,3]{1,0:T(8,128)} parameter(0)
  ROOT %long = f32[64,128]{1,0:T(8,128)} copy(%s)
}
%mostly (m: f32[8,3]) -> f32[8,3] {
  %m = f32[8,3]{1,0:T(8,128)} parameter(0)
  ROOT %short = f32[16,128]{1,0:T(8,128)S(1)} copy(%m)
}
%body (p: (f32[8,3])) -> (f32[8,3]) {
  %p = (f32[8,3]{1,0:T(8,128)}) parameter(0)
  %x = f32[8,3]{1,0:T(8,128)} get-tuple-element(%p), index=0
  %near = bf16[2,5,130]{2,0,1:T(8,128)(2,1)S(1)} fusion(%x), kind=kLoop, calls=%inner
  %far = bf16[2,5,130]{2,0,1:T(8,128)(2,1)} copy(%near)
  %begun = (f32[8,3]{1,0:T(8,128)}, f32[8,3]{1,0:T(8,128)S(1)}, u32[]{:S(2)}) copy-start(%x)
  %done = f32[8,3]{1,0:T(8,128)S(1)} copy-done(%begun)
  %either = f32[16,128]{1,0:T(8,128)S(1)} conditional(%x, %x, %x), branch_computations={%mostly, %seldom}
  ROOT %out = (f32[8,3]{1,0:T(8,128)S(1)}) tuple(%done)
}
ENTRY %main (a: f32[8,3]) -> f32[8,3] {
  %a = f32[8,3]{1,0} parameter(0)
  ROOT %loop = (f32[8,3]{1,0}) while(%a), condition=%enough, body=%body
}
"""


def test_bytes_that_a_tpu_program_moves():
    """By hand: the fusion reads x, padded to 8 x 128 floats; the copy writes 5 x 8 x 256 halves; x is read again, and
    once more by the first way of the branch."""
    assert hlo.moved(hlo.loop_body(PROGRAM)) == 8 * 128 * 4 + 5 * 8 * 256 * 2 + 8 * 128 * 4 + 8 * 128 * 4
    assert hlo.launched(hlo.loop_body(PROGRAM)) == ["fusion", "copy", "copy-start", "copy"]
    assert hlo.size("(f32[8,3]{1,0}, pred[7]{0:T(512)}, s32[]{:T(128)})") == 8 * 3 * 4 + 512 + 4


def test_pages_of_the_microscope_are_counted():
    found = microscope_pages.measured(template("png"))
    assert found["networks"] == ["tiny"] and found["units"] == 4
    assert found["kilobytes_of_a_unit"] == pytest.approx(1e3 * found["megabytes"] / 4, abs=3)
    assert sum(found["kilobytes_by_kind"].values()) == pytest.approx(1e3 * found["megabytes"], abs=8)
    assert found["inceptionv1"]["megabytes"] == pytest.approx(5804 * found["megabytes"] / 4, abs=10)


@pytest.mark.exhaustive
def test_gpu_program_runs_on_a_cpu(tmp_path):
    small = ("--layers", "conv2d1", "--batch-sizes", "2", "--arithmetic", "float32,tf32", "--repetitions", "2")
    whole = ("--whole", "conv2d1", "--units", "3", "--steps", "2", "--dtype", "float32", "--pictures", "4")
    result = run(tmp_path, "gpu", *small, *whole)
    assert result["missing"] == [] and result["layer"]["pictures"] == 3 and result["layer"]["finite"]
    assert [row["arithmetic"] for row in result["steps"]] == ["float32", "tf32"]
    assert set(result["pass"]["rows"]) == {"plain", "examples of an array"}
    late = run(tmp_path, "gpu", *small, *whole, "--minutes", "0")
    assert late["missing"] == ["layer", "pass", "steps"]


@pytest.mark.exhaustive
def test_scaling(tmp_path):
    result = run(tmp_path, "scaling", "--layer", "conv2d1", "--pictures", "2", "--steps", "2", "--devices", "1,2")
    assert [row["share"] for row in result["rows"]] == [1, pytest.approx(0.5, abs=0.02)]
    assert [sum(row["pictures"]) for row in result["processes"]] == [48, 48, 48]
    assert all(max(row["pictures"]) == 48 / row["processes"] for row in result["processes"])
    assert all(row["files_of_one"] for row in result["processes"])


@pytest.mark.slow
def test_render_speed(tmp_path):
    result = run(tmp_path, "render_speed", "--layers", "conv2d0", "--batch-sizes", "2", "--repetitions", "2")
    (row,) = result["rows"]
    assert row["step"]["least_ms"] > 0 and row["step_over_convolutions"]["median"] > 0
    assert row["compilation_seconds"]["cold"]["all"] > 0


@pytest.mark.slow
def test_memory_grows_with_the_batch(tmp_path):
    result = run(tmp_path, "memory", "--layers", "conv2d0", "--batch-sizes", "1,8")
    small, large = (row["program"] for row in result["rows"])
    assert large > 2 * small


@pytest.mark.slow
def test_time_to_score(tmp_path):
    result = run(
        tmp_path, "time_to_score", "--layers", "conv2d1", "--units", "0,1", "--steps", "8", "--recipes", "default"
    )
    (row,) = result["rows"]
    assert len(row["scores"]) == len(result["at_steps"])


def test_groups_are_compared_by_sums(small):
    rows = [
        {"seeds": {"distance": 2.0, "score": 10.0}, "diversity": {"distance": 3.0, "score": 9.0}},
        {"seeds": {"distance": 6.0, "score": 30.0}, "diversity": {"distance": 9.0, "score": 3.0}},
    ]
    got = groups_of_pictures.ratios(rows, "diversity", "seeds")
    assert got["distance"] == {"value": 1.5, "interval": [1.5, 1.5], "n": 2}
    assert got["score"]["value"] == 0.3 and got["score"]["interval"] == [0.1, 0.9]
    units = small.layers["mixed3b"].shape[-1]
    assert len(set(groups_of_pictures.evenly(small, "mixed3b", units))) == units


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="needs libtpu")
def test_compiles_for_a_tpu(tmp_path):
    options = ["--layers", "conv2d1", "--chips", "v5e", "--batch-sizes", "2"]
    result = run(tmp_path, "tpu_aot", *options, JAX_PLATFORMS="cpu", TPU_SKIP_MDS_QUERY="1")
    one, several, shown = result["rows"]
    assert shown["program"] == "pass" and shown["compiler_ms"] > 0
    assert (one["chips"], several["chips"]) == (1, 4)
    assert several["gigaflops"] == pytest.approx(one["gigaflops"], rel=0.02)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax_plugins") is None, reason="needs jax-cuda12-plugin")
def test_compiles_for_a_gpu(tmp_path):
    """With nothing there to run on; the step calls no library but cuDNN, and returns what it was given."""
    options = ["--layers", "conv2d1", "--batch-sizes", "2", "--dtypes", "bfloat16"]
    step, shown = run(tmp_path, "gpu_aot", *options, JAX_PLATFORMS="cpu")["rows"]
    assert (step["program"], step["convolutions"], step["others"], step["waits"]) == ("step", 4, {}, 2)
    assert step["donated"] > 0.9 and step["launches"] > step["convolutions"]
    assert shown["program"] == "pass" and shown["convolutions"] == 2


@pytest.mark.slow
@pytest.mark.skipif("JAXCIRCUITS_TORCH" not in os.environ, reason="needs $JAXCIRCUITS_TORCH, a Python with PyTorch")
def test_baseline_in_pytorch_sees_what_the_network_sees(tmp_path, small):
    """The PyTorch network of the comparison computes the same activations, so that the same work is compared."""
    recipe = Recipe(size=32)
    weights, picture = tmp_path / "weights.npz", np.random.default_rng(0).random((2, *recipe.view_size, 3), np.float32)
    np.savez(weights, **against_pytorch.published(small))
    np.save(tmp_path / "picture.npy", picture)
    task = against_pytorch.task(small, "mixed3b", 2, recipe, weights)
    (tmp_path / "task.json").write_text(json.dumps(task))
    code = (
        "import json, numpy, torch, torch_worker\n"
        "task = json.load(open('task.json'))\n"
        "x = torch.from_numpy(numpy.load('picture.npy')).permute(0, 3, 1, 2)\n"
        "y = torch_worker.Truncated(task)((x - task['mean']) * task['factor'])\n"
        "numpy.save('seen.npy', y.permute(0, 2, 3, 1).numpy())\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "benchmarks")}
    subprocess.run([os.environ["JAXCIRCUITS_TORCH"], "-c", code], cwd=tmp_path, env=environment, check=True)
    expected = np.asarray(small.activations(picture, "mixed3b")["mixed3b"])
    np.testing.assert_allclose(np.load(tmp_path / "seen.npy"), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@pytest.mark.slow
def test_kept_memory(tmp_path):
    options = ["--layer", "conv2d0", "--batch-sizes", "2", "--rounds", "1", "--steps", "3"]
    (row,) = run(tmp_path, "kept_memory", *options)["rows"]
    assert row["pictures"] == 2 and row["kept"]["gain"] > 0 and row["on another thread"]["most_MiB"] > 100


def test_examples_speed(tmp_path):
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    options = ["--layers", "conv2d0", "--repetitions", "1", "--scenes", "5"]
    result = run(tmp_path, "examples_speed", *options, arguments=["slide", str(tmp_path)])
    assert result["passes"]["pictures"] == 3 and result["memory_MiB"][0]["resident"] > 100
    assert set(result["passes"]["rows"]) == {"plain", "examples of an array", "examples of files"}


def test_ratios_are_of_the_cores_time():
    before = [{"what": "one", "clock": 9.0, "cores": 6.0}, {"what": "two", "clock": 1.0, "cores": 2.0}]
    after = [{"what": "one", "clock": 1.0, "cores": 1.5}, {"what": "two", "clock": 1.0, "cores": 2.5}]
    assert first_and_second.ratios({"before": before, "after": after}) == {"one": 4.0, "two": 0.8, "all": 2.0}


def test_the_first_minute_is_that_of_the_command(tmp_path):
    """A package whose command writes a sheet, then takes its time, stands in for the commits to be compared."""
    package, home = tmp_path / "package" / "jaxcircuits", tmp_path / "home"
    package.mkdir(parents=True)
    home.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(
        "import time, pathlib\npathlib.Path('sheet.png').touch()\ntime.sleep(0.5)\nsum(range(10**6))\n"
    )
    took = first_minute.process(package.parent, home)
    assert took["sheet"] < took["clock"] and took["clock"] > 0.5 and took["cores"] > 0
    (package / "__main__.py").write_text("raise SystemExit('no')\n")
    with pytest.raises(RuntimeError, match="ended with 1:\nno"):
        first_minute.process(package.parent, home)
    rounds = [{"sheet": 1.0, "clock": 5.04}, {"sheet": 2.0, "clock": 3.0}, {"sheet": 9.0, "clock": 6.0}]
    assert first_minute.medians(rounds) == {"sheet": 2.0, "clock": 5.0}
