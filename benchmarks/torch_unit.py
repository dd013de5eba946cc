"""Is a unit of a PyTorch model drawn faster here than by Lucent, and how good is either picture after the same time?

Command:   python -m benchmarks.torch_unit --torch VENV/bin/python --out RESULT.json --picture SHEET.png
           (VENV: an environment with torch, torch-lucent 0.1.8, kornia 0.4.1 and what Lucent imports; torchvision need
           not be there. This program's own environment needs torch and scikit-learn.)
Hardware:  two CPU cores with nothing else running (load 1.2)
Cost:      3 minutes there
Result:    benchmarks/results/torch_unit.json

Milliseconds of a step by the clock (JAX 0.10, PyTorch 2.13, float32, medians of 8 calls in turns), by how many pictures
are drawn together; in brackets, how many times ours (the median of the turns' ratios):

| tool | 1 picture | 8 |
| --- | --- | --- |
| ours | 9.3 | 46.0 |
| Lucent at its defaults | 41.5 (4.3) | 155.8 (3.3) |
| Lucent at our view | 28.4 (3.0) | 92.7 (2.0) |

In the processor time that our 512 steps of 8 pictures take, Lucent takes 146 steps at its defaults and 260 at our view;
its pictures then reach 0.29 and 0.64 times the score of ours (medians of 8 units; the best digit reaches 0.36). They
show the same patterns. Reading the model took 3 seconds, compiling 2 more.

The model is a ResNet of PyTorch with grouped convolutions, trained here on handwritten digits in two colors. Both tools
draw the same units of its last block, one after the other at the same tasks: first some steps in turns, then our
default recipe, and with Lucent as many steps as fit into the time that it took. Lucent stands at its defaults (a 128 px
picture enlarged to 224 px) and at the same view as ours. Pictures are scored by PyTorch's own model: the mean of the
unit over the whole picture, no transform, beside the mean of the unit over the digits.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import jax
import numpy as np
import torch

import jaxcircuits as jc
from benchmarks.against_pytorch import Worker
from benchmarks.measuring import Drawing, alternately, arguments_of, ratio, report, summary, timed
from benchmarks.torch_resnet import MEAN, SIZE, STD, ResNet, digits, train
from jaxcircuits.images.sheet import contact_sheet

LAYER = "blocks/1"
TOOLS = {"lucent": False, "lucent-same-view": True}
"""Whether Lucent looks at the same view as ours, or at its default of 224 px."""


def answers(module: ResNet, pictures: np.ndarray) -> np.ndarray:
    """What the layer answers by PyTorch, (pictures, units): the mean over positions."""
    x = (torch.tensor(pictures) - torch.tensor(MEAN)) / torch.tensor(STD)
    seen = []
    handle = module.get_submodule(LAYER.replace("/", ".")).register_forward_hook(lambda *args: seen.append(args[2]))
    with torch.no_grad():
        module(x.permute(0, 3, 1, 2))
    handle.remove()
    return seen[0].mean((2, 3)).numpy()


def steps_in_turns(network: jc.Network, base: dict, recipe: jc.Recipe, python: str, repetitions: int) -> dict:
    """Milliseconds of a step of each tool, and how many times longer than ours it takes."""
    drawing = Drawing(network, LAYER, base["batch_size"], recipe)
    steps = 4 * drawing.steps_a_call
    workers = {name: Worker(python, base | {"tool": "lucent", "same_view": same}) for name, same in TOOLS.items()}
    try:
        runs = {"ours": lambda: timed(lambda: [drawing.advance() for _ in range(4)])}
        runs |= {name: lambda worker=worker: worker.draw(steps) for name, worker in workers.items()}
        calls = alternately(runs, repetitions)
    finally:
        for worker in workers.values():
            worker.close()
    return {
        "batch_size": base["batch_size"],
        "step": {name: summary(values, steps) for name, values in calls.items()},
        "times_ours": {name: ratio(values, calls["ours"]) for name, values in calls.items() if name != "ours"},
    }


def in_the_same_time(network: jc.Network, base: dict, recipe: jc.Recipe, python: str, pace: dict, folder: Path) -> dict:
    """Pictures of some units by each tool in the time that ours takes, with what ours cost the first time.

    On a CPU time is that of the processor, which other processes disturb least.
    """
    kind, field = ("cores", "cores_ms") if jax.default_backend() == "cpu" else ("clock", "median_ms")
    objective, pictures = jc.channel(LAYER, base["units"]), {}

    def ours() -> None:
        pictures["ours"] = jc.render(network, objective, recipe, batch_size=base["batch_size"], progress=False).images

    first, again = timed(ours), timed(ours)
    taken = {"ours": {"steps": recipe.steps, "first": first._asdict(), **again._asdict()}}
    for name, same in TOOLS.items():
        steps = max(int(1e3 * getattr(again, kind) / pace[name][field]), 1)
        path = folder / f"{name}.npy"
        worker = Worker(python, base | {"tool": "lucent", "same_view": same, "pictures": str(path)})
        taken[name] = {"steps": steps, **worker.draw(steps)._asdict()}
        worker.close()
        pictures[name] = np.load(path)
    return {"taken": taken, "pictures": pictures}


def main() -> None:
    parser = arguments_of(__doc__, network=False)
    parser.add_argument("--torch", required=True, help="the Python of Lucent's environment")
    parser.add_argument("--picture", type=Path, help="file for a sheet of the pictures, a row a tool")
    parser.add_argument("--batch-sizes", type=lambda text: [int(n) for n in text.split(",")], default=[1, 8])
    parser.add_argument("--units", type=lambda text: [int(n) for n in text.split(",")], default=list(range(8)))
    parser.add_argument("--training-steps", type=int, default=400)
    parser.add_argument("--repetitions", type=int, default=8)
    arguments = parser.parse_args()
    # PyTorch's other threads would spin while they wait, to the harm of whoever draws next.
    torch.set_num_threads(1)
    module, accuracy = train(arguments.training_steps)
    convention = jc.InputConvention(size=(SIZE, SIZE), mean=MEAN, std=STD)
    began = time.perf_counter()
    network = jc.Network.from_torch(module, convention)
    reading = time.perf_counter() - began
    recipe = jc.Recipe(size=arguments.size)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = folder / "weights.npz"
        np.savez(weights, **{key: value.numpy() for key, value in module.state_dict().items()})
        base = {
            "resnet": True,
            "weights": str(weights),
            "layer": LAYER.replace("/", "_"),
            "size": arguments.size,
            "view": recipe.view_size[0],
        }
        rows = []
        for count in arguments.batch_sizes:
            task = base | {"batch_size": count, "units": list(range(count))}
            rows.append(steps_in_turns(network, task, recipe, arguments.torch, arguments.repetitions))
            print(rows[-1], flush=True)
        task = base | {"batch_size": len(arguments.units), "units": arguments.units}
        drawn = in_the_same_time(network, task, recipe, arguments.torch, rows[-1]["step"], folder)
    images, places = drawn["pictures"], np.arange(len(arguments.units))
    scores = {tool: answers(module, pictures)[places, arguments.units] for tool, pictures in images.items()}
    normalized, _ = digits(np.random.default_rng(1), 500, held_out=True)
    seen = normalized.permute(0, 2, 3, 1).numpy() * np.float32(STD) + np.float32(MEAN)
    scores["digits"] = answers(module, seen)[:, arguments.units].max(0)
    result = {
        "accuracy": accuracy,
        "seconds_to_read_the_model": round(reading, 1),
        "rows": rows,
        "in_the_same_time": drawn["taken"],
        "units": arguments.units,
        "scores": {tool: np.round(values, 3).tolist() for tool, values in scores.items()},
        "median_score_over_ours": {
            tool: round(float(np.median(values / scores["ours"])), 3) for tool, values in scores.items()
        },
    }
    if arguments.picture:
        captions = [f"{tool} {unit}" for tool in images for unit in arguments.units]
        contact_sheet(np.concatenate(list(images.values())), captions, len(arguments.units)).save(arguments.picture)
    report(result, arguments.out)


if __name__ == "__main__":
    main()
