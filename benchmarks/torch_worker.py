"""PyTorch's side of `against_pytorch` and `torch_unit`: a process in an environment of its own that knows no JAX.

Started by those programs. It reads one JSON line that says what to draw, answers with what starting took, and
then draws as many steps as each further line says, answering with what they took.
"""

from __future__ import annotations

import json
import math
import sys
import time
import types
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
COLOR = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], np.float32)


def timed(run: Callable[[], None]) -> dict[str, float]:
    """Seconds of a call by the clock, the device's work included, and of all processor cores together."""
    clock, cores = time.perf_counter(), time.process_time()
    run()
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return {"clock": time.perf_counter() - clock, "cores": time.process_time() - cores}


def lucent(task: dict) -> Callable[[int], None]:
    """Lucent as installed, at its own defaults: one call draws `batch_size` units for some steps.

    Its sum of one objective an image of the batch is how Lucent draws several units at once. Pictures are kept where
    the task says.
    """
    _stand_in_for_torchvision()
    from lucent.optvis import objectives, param, render

    model = _resnet() if task.get("resnet") else _inception()
    model.load_state_dict(_weights(task))
    model = model.to(DEVICE).eval()
    count = task["batch_size"]
    units = task.get("units", range(count))
    aim = objectives.Objective.sum([objectives.channel(task["layer"], unit, batch=i) for i, unit in enumerate(units)])
    # None is Lucent's default: what is smaller than 224 px is enlarged to that.
    options = {"fixed_image_size": task["view"]} if task["same_view"] else {}

    def draw(steps: int) -> None:
        images = render.render_vis(
            model,
            aim,
            lambda: param.image(task["size"], batch=count),
            thresholds=(steps,),
            progress=False,
            show_image=False,
            **options,
        )
        if "pictures" in task:
            np.save(task["pictures"], images[-1])

    return draw


def _inception() -> torch.nn.Module:
    from lucent.modelzoo.inceptionv1.InceptionV1 import InceptionV1

    return InceptionV1()


def _resnet() -> torch.nn.Module:
    from torch_resnet import ResNet

    return ResNet()


def _stand_in_for_torchvision() -> None:
    """Lucent imports torchvision for networks that are not used here and a normalization; it need not be there."""
    try:
        import torchvision  # noqa: F401
    except ImportError:
        for name in ("torchvision", "torchvision.models", "torchvision.transforms"):
            sys.modules[name] = types.ModuleType(name)
        sys.modules["torchvision.transforms"].Normalize = _Normalize


class _Normalize:
    def __init__(self, mean: list[float], std: list[float]):
        self.mean, self.std = (torch.tensor(values)[:, None, None] for values in (mean, std))

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        return (pictures - self.mean.to(pictures)) / self.std.to(pictures)


def _weights(task: dict) -> dict[str, torch.Tensor]:
    with np.load(task["weights"]) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


class Truncated(torch.nn.Module):
    """The network as far as a layer: channels last, no gradients of parameters, LRN as a product with a band."""

    def __init__(self, task: dict):
        super().__init__()
        self.layers, self.lrn, weights = task["layers"], task["lrn"], _weights(task)
        for name, value in weights.items():
            value = value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value
            self.register_buffer(name.replace(".", "_"), value)
        for layer in self.layers:
            if layer["op"] == "lrn" and self.lrn:
                channel = torch.arange(layer["channels"])
                band = ((channel[:, None] - channel).abs() <= self.lrn["radius"]).float()
                self.register_buffer(f"{layer['name']}_band", band[:, :, None, None])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = {"input": x}
        for layer in self.layers:
            seen[layer["name"]] = self.run(layer, [seen[name] for name in layer["inputs"]])
        return seen[self.layers[-1]["name"]]

    def run(self, layer: dict, inputs: list[torch.Tensor]) -> torch.Tensor:
        (x, *_), name, stride = inputs, layer["name"], layer["stride"]
        match layer["op"]:
            case "conv":
                kernel, bias = getattr(self, f"{name}_conv_weight"), getattr(self, f"{name}_conv_bias")
                (top, bottom), (left, right) = layer["padding"]
                if top == bottom and left == right:
                    return F.conv2d(x, kernel, bias, stride, (top, left))
                return F.conv2d(F.pad(x, (left, right, top, bottom)), kernel, bias, stride)
            case "relu":
                return F.relu(x)
            case "max_pool":
                (top, bottom), (left, right) = layer["padding"]
                if top == bottom and left == right:
                    return F.max_pool2d(x, layer["kernel"], stride, (top, left))
                return F.max_pool2d(F.pad(x, (left, right, top, bottom), value=-math.inf), layer["kernel"], stride)
            case "lrn" if self.lrn is None:
                return x
            case "lrn":
                total = F.conv2d(x.square(), getattr(self, f"{name}_band"))
                return x * (self.lrn["bias"] + self.lrn["alpha"] * total) ** -self.lrn["beta"]
            case "concat":
                return torch.cat(inputs, 1)
        raise NotImplementedError(layer["op"])


def baseline(task: dict) -> Callable[[int], None]:
    """PyTorch as one would write it for speed: batched, truncated, channels last, compiled where asked for.

    Fourier image, decorrelated color, one random view a step for the whole batch in a single resample, Adam.
    """
    torch.backends.cudnn.benchmark = True
    size, view, count, dtype = task["size"], task["view"], task["batch_size"], DTYPES[task["dtype"]]
    network = Truncated(task).to(DEVICE, dtype)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    scale = torch.tensor(size / np.maximum(frequency, 1 / size), dtype=torch.float32, device=DEVICE)
    color = torch.tensor(COLOR / np.linalg.norm(COLOR, axis=0).max(), device=DEVICE)
    mean, factor = task["mean"], task["factor"]
    rows = torch.arange(count, device=DEVICE)
    units = rows % task["channels"]

    def loss(spectrum: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
        values = torch.fft.irfft2(torch.view_as_complex(spectrum) * scale, s=(size, size)) / 4
        picture = torch.sigmoid(torch.einsum("nchw,dc->ndhw", values, color)) - 0.5
        # Beyond the picture lies 0, its mid-gray.
        grid = F.affine_grid(matrix.expand(count, 2, 3), [count, 3, view, view], align_corners=False)
        seen = F.grid_sample(picture, grid, align_corners=False) + 0.5
        x = ((seen - mean) * factor).to(dtype).contiguous(memory_format=torch.channels_last)
        return -network(x).float().mean((2, 3))[rows, units].sum()

    if task["compiled"]:
        loss = torch.compile(loss)
    random = np.random.default_rng(0)

    def draw(steps: int) -> None:
        spectrum = (0.01 * torch.randn(count, 3, size, size // 2 + 1, 2, device=DEVICE)).requires_grad_()
        optimizer = torch.optim.Adam([spectrum], lr=0.05)
        for _ in range(steps):
            angle = math.radians(random.choice([*range(-10, 11), *[0] * 5]))
            turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
            zoom = random.choice(np.arange(0.9, 1.11, 0.02)) * size / view
            shift = (random.integers(0, 9, 2) - 4 + random.integers(0, 5, 2) - 2) / (size / 2)
            matrix = torch.tensor(np.c_[turn / zoom, shift], dtype=torch.float32, device=DEVICE)
            optimizer.zero_grad()
            loss(spectrum, matrix).backward()
            optimizer.step()

    return draw


def main() -> None:
    task = json.loads(sys.stdin.readline())
    draw = {"lucent": lucent, "baseline": baseline}[task["tool"]](task)
    print(json.dumps({"started": timed(lambda: draw(1)), "torch": torch.__version__, "device": DEVICE}), flush=True)
    for line in sys.stdin:
        steps = int(line)
        print(json.dumps(timed(lambda steps=steps: draw(steps))), flush=True)


if __name__ == "__main__":
    main()
