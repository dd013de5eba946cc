"""Trains `slide`, the network in the box, on scenes of the procedural world, and measures what emerged.

    python -m jaxcircuits.slide.train --out jaxcircuits/zoo/weights

Every picture is first changed by at most `attack.RADIUS` so as to mislead the network as it is: what it then learns
rests on what can be seen, and its gradients show it.

Cost: 1.6 s a step on two CPU cores that other programs shared, 44 minutes in all, without any files; on a machine with
a GPU JAX uses that. A run that is cut short goes on where it was when it is started again.
Result with the defaults (1,600 steps, 105,600 scenes of 33 classes, of which the network keeps 29; all figures in
slide.json): accuracy 0.996 on 2,088 fresh scenes, 0.952 where each is attacked, no dead unit, 0.8 MB as float16. Curve
units tile the circle from mixed4d on (25 units, widest gap 35 degrees; 16 of mixed4b leave one of 118). Units for heads
that face left, right and either way emerge in mixed5a and mixed5b, hounds' and cats'. The car units of mixed5b keep a
fifth to two thirds of their answer when wheels and windows swap places; none of the middle layers mind it.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
import typer
from flax import nnx
from jax import lax
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from jaxcircuits.errors import InputError
from jaxcircuits.files import check_file, damaged, replacing
from jaxcircuits.network import load
from jaxcircuits.network.pools import max_pools
from jaxcircuits.network.run import Run
from jaxcircuits.network.trace import trace
from jaxcircuits.slide import scenes
from jaxcircuits.slide.attack import RADIUS, attacked, cross_entropy
from jaxcircuits.slide.report import LAYERS, report
from jaxcircuits.vis import Recipe
from jaxcircuits.zoo.inception.module import InceptionV1
from jaxcircuits.zoo.slide import SLIDE, SLIDE_INPUT, slide
from weights_convert import write_weights

PER_CLASS = 2
PEAK_RATE = 3e-3
WEIGHT_DECAY = 0.03
SPARSITY = 0.5
"""Weight of the mean `density`: units that are silent most of the time are easier to tell what they are for."""
RAMP = 0.3
"""Part of the training over which the attack's radius grows from 0."""
SETTLING = 32
"""Batches over which the normalizations' statistics are taken at the end."""
CHECKPOINT_EVERY = 50
LARGEST_CHECKPOINT = 2**30
"""Bytes."""
RECIPE = Recipe(size=scenes.SIZE, steps=256, redirect_steps=256)
"""By which its units are drawn where nothing else is asked for: half of the default's steps, so that the first pictures
come within a minute, and a redirected gradient in all of them. Trained against adversaries, many units stay silent on
noise longer than Lucid's 17 steps, and their drawings then stay gray (`benchmarks/slide_pictures.py` counts them)."""


class Normalized(nnx.Module):
    """A convolution with batch normalization behind it (Ioffe and Szegedy 2015), for training only.

    It keeps every unit's input around its threshold, so that few die, and folds into the convolution afterwards.
    """

    def __init__(self, conv: nnx.Conv, rngs: nnx.Rngs):
        self.conv, self.padding, conv.padding = conv, conv.padding, "VALID"
        self.norm = nnx.BatchNorm(conv.out_features, use_running_average=False, momentum=0.97, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        # Padded beforehand, as when slide was trained: a convolution that pads adds its gradients up in another order.
        strides, padding = cast(tuple[int, int], self.conv.strides), cast(str, self.padding)  # as the zoo states them
        pads = lax.padtype_to_pads(x.shape[1:3], self.conv.kernel_size, strides, padding)
        return self.norm(self.conv(jnp.pad(x, ((0, 0), *pads, (0, 0)))))

    def folded(self) -> tuple[np.ndarray, np.ndarray]:
        """Kernel and bias of the plain convolution that does the same, by the running statistics."""
        norm, conv = self.norm, self.conv
        parts = (norm.scale, norm.bias, norm.mean, norm.var, conv.kernel, conv.bias)
        scale, shift, mean, variance, kernel, bias = (np.asarray(part[...]) for part in parts if part is not None)
        gain = scale / np.sqrt(variance + np.float32(norm.epsilon))
        return kernel * gain, (bias - mean) * gain + shift


class State(NamedTuple):
    """What a step of training changes: weights, running statistics, the optimizer's moments."""

    weights: nnx.State
    statistics: nnx.State
    moments: optax.OptState


@dataclasses.dataclass(frozen=True)
class Learner:
    """A module with normalizations, as a function of its variables: (them, network input) -> their new statistics."""

    graph: nnx.GraphDef

    def __call__(self, variables: tuple[nnx.State, nnx.State], x: jax.Array) -> nnx.State:
        module = nnx.merge(self.graph, *variables, copy=True)
        module(x)
        return nnx.state(module, nnx.BatchStat)

    def answers(
        self, variables: tuple[nnx.State, nnx.State], pictures: jax.Array, layers: Sequence[str]
    ) -> tuple[dict[str, jax.Array], nnx.State]:
        """What layers answer to pictures (N, H, W, 3) in [0, 1], by their names, and the new statistics."""
        x = SLIDE_INPUT(pictures)
        program = trace(self, variables, x)
        values = dict(zip(program.parameters, jax.tree.leaves(variables))) | {program.image: x}
        run, place = Run(program, values, max_pools(program)), {name: value for value, _, name in program.marks}
        computed = [value for value in program.outputs if value is not None]
        found = run.get([*(place[layer] for layer in layers), *computed])
        statistics = jax.tree.unflatten(jax.tree.structure(variables[1]), found[len(layers) :])
        return dict(zip(layers, found)), statistics


def training_model(seed: int) -> InceptionV1:
    """`slide` with random weights, a normalization behind every convolution, and an output for each of `TRAINED`."""
    rngs = nnx.Rngs(seed)
    model = InceptionV1(slide(len(scenes.TRAINED)), rngs=rngs)
    for layer in SLIDE.layers:
        if layer.op == "conv":
            setattr(model, layer.weights, Normalized(getattr(model, layer.weights), rngs))
    return model


def density(activations: jax.Array) -> jax.Array:
    """How densely units fire, from 0 (at one place of one picture) to 1 (alike everywhere), averaged over units.

    `mean(a)^2 / mean(a^2)` over pictures and positions: Treves and Rolls (1991). It ignores a unit's scale, which the
    next normalization would undo.
    """
    places = activations.reshape(-1, activations.shape[-1])
    return jnp.mean(jnp.square(places.mean(0)) / (jnp.square(places).mean(0) + 1e-6))


def trainer(seed: int, steps: int):
    """The initial state, and functions of it.

    Returns:
      The state; the compiled step: (state, pictures, labels, radius) -> (state, loss, accuracy); the compiled
      statistics of every normalization on some pictures: (state, pictures) -> statistics; and the folded tensors of a
      state.
    """
    graph, weights, statistics = nnx.split(training_model(seed), nnx.Param, ...)
    learner = Learner(graph)
    rate = optax.warmup_cosine_decay_schedule(0.0, PEAK_RATE, max(1, steps // 20), steps)
    kernels = functools.partial(jax.tree.map, lambda x: x.ndim > 1)
    optimizer = optax.adamw(rate, b2=0.99, weight_decay=WEIGHT_DECAY, mask=kernels)

    @functools.partial(jax.jit, donate_argnums=0)
    def step(
        state: State, pictures: jax.Array, labels: jax.Array, radius: jax.Array
    ) -> tuple[State, jax.Array, jax.Array]:
        def confusion(pictures: jax.Array) -> jax.Array:
            seen, _ = learner.answers((state.weights, state.statistics), pictures, [SLIDE.logits])
            return cross_entropy(seen[SLIDE.logits], labels).sum()

        pictures = attacked(confusion, pictures, radius)

        def loss_of(weights: nnx.State):
            activations, statistics = learner.answers((weights, state.statistics), pictures, [*LAYERS, SLIDE.logits])
            logits = activations.pop(SLIDE.logits)
            loss = cross_entropy(logits, labels).mean()
            loss += SPARSITY * jnp.mean(jnp.stack([density(values) for values in activations.values()]))
            return loss, (statistics, (logits.argmax(-1) == labels).mean())

        (loss, (statistics, accuracy)), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.weights)
        updates, moments = optimizer.update(gradients, state.moments, state.weights)
        weights = cast(nnx.State, optax.apply_updates(state.weights, updates))  # put together as they were
        return State(weights, statistics, moments), loss, accuracy

    @jax.jit
    def statistics_on(state: State, pictures: jax.Array) -> nnx.State:
        model = nnx.merge(graph, state.weights, state.statistics, copy=True)
        for layer in SLIDE.layers:
            if layer.op == "conv":
                getattr(model, layer.weights).norm.momentum = 0.0
        model(SLIDE_INPUT(pictures))
        return nnx.state(model, nnx.BatchStat)

    kept = np.array([scenes.TRAINED.index(name) for name in scenes.CLASSES])

    def folded(state: State) -> dict[str, np.ndarray]:
        model = nnx.merge(graph, state.weights, state.statistics)
        tensors = {}
        for layer in SLIDE.layers:
            if layer.weights:
                part = getattr(model, layer.weights)
                if layer.op == "conv":
                    kernel, bias = part.folded()
                else:
                    kernel, bias = part.kernel[...][:, kept], part.bias[...][kept]
                tensors |= {f"{layer.weights}/kernel": np.asarray(kernel), f"{layer.weights}/bias": np.asarray(bias)}
        return tensors

    return State(weights, statistics, optimizer.init(weights)), step, statistics_on, folded


def train(seed: int, steps: int, checkpoint: Path) -> tuple[dict[str, np.ndarray], float]:
    """Trains, going on from the checkpoint of a run that was cut short.

    Args:
      seed: of the weights and the scenes.
      steps: in all; the learning rate's schedule depends on it.
      checkpoint: file to keep the state in, every `CHECKPOINT_EVERY` steps.

    Returns:
      The folded tensors, float16, and the seconds that it took, pauses not counted.
    """
    state, step, statistics_on, folded = trainer(seed, steps)
    state, done, seconds = restored(checkpoint, state, seed, steps)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    key, start, means = jax.random.key(seed), time.monotonic() - seconds, np.array([np.nan, 0.0])
    with Progress(*columns) as progress:
        task = progress.add_task("training", total=steps, completed=done)
        for index in range(done, steps):
            pictures, labels = scenes.batch(jax.random.fold_in(key, index), PER_CLASS, training=True)
            state, *measured = step(state, pictures, labels, RADIUS * min(1.0, index / (RAMP * steps)))
            means = np.where(np.isnan(means[0]), measured, 0.9 * means + 0.1 * np.asarray(measured))
            text = f"loss {means[0]:.3f}  accuracy {means[1]:.3f}"
            progress.update(task, completed=index + 1, description=text)
            if (index + 1) % CHECKPOINT_EVERY == 0:
                save(checkpoint, state, seed, steps, index + 1, time.monotonic() - start)
                progress.print(f"step {index + 1:5d}  {text}  {time.monotonic() - start:6.0f} s")
    # The running statistics are of attacked pictures, and of few; what comes later are pictures as they are.
    seen = [
        statistics_on(state, scenes.batch(jax.random.fold_in(key, steps + index), PER_CLASS, training=True)[0])
        for index in range(SETTLING)
    ]
    state = state._replace(statistics=jax.tree.map(lambda *parts: jnp.stack(parts).mean(0), *seen))
    tensors = {name: values.astype(np.float16) for name, values in folded(state).items()}
    return tensors, time.monotonic() - start


def save(path: Path, state: State, seed: int, steps: int, done: int, seconds: float) -> None:
    """Writes a checkpoint, whole or not at all."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(state)]
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, *leaves, run=np.array([seed, steps, done]), seconds=seconds)


def restored(path: Path, state: State, seed: int, steps: int) -> tuple[State, int, float]:
    """The state, the steps done and the seconds spent by a checkpoint, or `state` and zeros where there is none.

    Raises:
      InputError: for the checkpoint of a run with another seed or number of steps, and for a damaged one.
    """
    if not path.exists():
        return state, 0, 0.0
    check_file(path, "a checkpoint", LARGEST_CHECKPOINT)
    with damaged(f"checkpoint {path}", Exception), np.load(path, allow_pickle=False) as file:
        of_seed, of_steps, done = file["run"].tolist()
        if (of_seed, of_steps) != (seed, steps):
            raise InputError(
                f"{path}: checkpoint of a run with --seed {of_seed} --steps {of_steps}; remove it, or go on with those"
            )
        leaves, tree = jax.tree.flatten(state)
        shapes = [leaf.shape for leaf in leaves]
        leaves = [jnp.asarray(file[f"arr_{index}"]) for index in range(len(leaves))]
        if [leaf.shape for leaf in leaves] != shapes:
            raise InputError(f"{path}: checkpoint of another network; remove it")
        return jax.tree.unflatten(tree, leaves), done, float(file["seconds"])


def main(
    seed: Annotated[int, typer.Option(help="Decides the weights' start and every scene.")] = 0,
    steps: Annotated[int, typer.Option(help="Batches of two scenes of each class.", min=2)] = 1600,
    out: Annotated[Path, typer.Option(help="Folder for slide.safetensors and slide.json.")] = Path("slide"),
) -> None:
    """Trains slide and measures it; started again after it was cut short, it goes on."""
    try:
        typer.echo(produce(seed, steps, out))
    except InputError as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None


def produce(seed: int, steps: int, out: Path) -> Path:
    """Trains, writes the weights, measures what was written, and writes that; returns the weights' path."""
    checkpoint, weights = out / "slide.checkpoint.npz", out / "slide.safetensors"
    tensors, seconds = train(seed, steps, checkpoint)
    write_weights(
        weights,
        tensors,
        architecture=SLIDE,
        convention=SLIDE_INPUT,
        network="slide",
        labels=scenes.CLASSES,
        recipe=RECIPE.to_json(),
        source="jaxcircuits.slide.train",
    )
    typer.echo("measuring")
    figures = {
        "training": {
            "seed": seed,
            "steps": steps,
            "scenes": steps * PER_CLASS * len(scenes.TRAINED),
            "minutes": round(seconds / 60, 1),
            "device": f"{jax.devices()[0].device_kind} ({os.cpu_count()} CPU cores)",
        },
    } | report(load(weights), seed + 1)
    with replacing(out / "slide.json") as temporary:
        temporary.write_text(two_levels(figures))
    checkpoint.unlink(missing_ok=True)
    typer.echo(f"accuracy {figures['accuracy']:.4f}, most dead units in a layer {max(figures['dead'].values()):.3f}")
    return weights


def two_levels(figures: dict[str, Any]) -> str:
    """JSON with a line for each entry of the dicts that `figures` holds, so that it reads and compares well."""
    entries = []
    for name, value in figures.items():
        text = json.dumps(value)
        if isinstance(value, dict):
            inner = [f"  {json.dumps(key)}: {json.dumps(entry)}" for key, entry in value.items()]
            text = "{\n" + ",\n".join(inner) + "\n }"
        entries.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(entries) + "\n}\n"


if __name__ == "__main__":
    typer.run(main)
