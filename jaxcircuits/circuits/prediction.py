"""Predict, then edit, then compare: the test that a circuit has been understood.

Olah et al., Zoom In, Distill 2020: who understands a circuit can say what an edit of its weights will change. The
prediction is made from weights alone, on the activations of the network as it was ::

    change of the edited layer's pre-activation   d = (edited weights - weights) * activation before it
    change of its activation                      relu(pre-activation + d) - relu(pre-activation)
    change of a target further up                 expanded weights from the edited layer to it, applied to that

with the weights of `layer_weights` and `expanded_weights`: the ReLUs of bottlenecks and of layers between are left out,
a max-pool is the mean of its window, normalizations do nothing. That is what there is to find out: how far the weights,
as one reads them, tell what happens. Gated, weights are those at each picture, and leave out less.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from jaxcircuits.circuits.weights.direct import directly_read
from jaxcircuits.errors import InputError
from jaxcircuits.network import Forward, Network
from jaxcircuits.network.reentry import run_from
from jaxcircuits.network.stream import batches
from jaxcircuits.network.units import Unit, check_units, zoo_architecture
from jaxcircuits.zoo import INPUT

ROUNDING = 1e-5
"""A change smaller than this share of the values is rounding."""


@dataclasses.dataclass(frozen=True, eq=False)
class Prediction:
    """What an edit was predicted to change in units' pre-activations, and what it changed.

    Attributes:
      units: the N targets.
      before: float32 (pictures, h, w, N), or (pictures, N) without positions: pre-activations before the edit.
      predicted, outcome: of the same shape, their change.
    """

    units: tuple[Unit, ...]
    before: np.ndarray
    predicted: np.ndarray
    outcome: np.ndarray

    def __repr__(self) -> str:
        changed = np.isfinite(self.correlation)
        what = f"Prediction of {changed.sum()} units of {self.units[0].layer} on {len(self.before)} pictures"
        unchanged = "" if changed.all() else f", {(~changed).sum()} unchanged"
        if not changed.any():
            return f"{what}{unchanged}"
        r, slope, explained = (v[changed] for v in (self.correlation, self.slope, self.explained))
        spread = f" ({r.min():.3f} to {r.max():.3f})" if len(r) > 1 else ""
        return (
            f"{what}{unchanged}: correlation {np.median(r):.3f}{spread}, slope {np.median(slope):.2f}, "
            f"explained {100 * np.median(explained):.0f} %"
        )

    @property
    def correlation(self) -> np.ndarray:
        """(N,): Pearson's, over pictures and cells; no number for units that the edit does not change."""
        predicted, outcome = (values - values.mean(0) for values in self._flat)
        return self._where_changed((predicted * outcome).sum(0), _norm(predicted) * _norm(outcome))

    @property
    def slope(self) -> np.ndarray:
        """(N,): by how much the prediction must be multiplied to fit the outcome best; 1 where it is right."""
        predicted, outcome = self._flat
        return self._where_changed((predicted * outcome).sum(0), (predicted**2).sum(0))

    @property
    def explained(self) -> np.ndarray:
        """(N,): the share of the outcome's sum of squares that the prediction accounts for; 1 where it is right."""
        predicted, outcome = self._flat
        return 1 - self._where_changed(((outcome - predicted) ** 2).sum(0), (outcome**2).sum(0))

    @property
    def _flat(self) -> tuple[np.ndarray, np.ndarray]:
        return tuple(np.float64(v).reshape(-1, len(self.units)) for v in (self.predicted, self.outcome))

    def _where_changed(self, numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
        before = np.float64(self.before).reshape(-1, len(self.units))
        changed = (_norm(self._flat[1]) > ROUNDING * _norm(before)) & (denominator > 0)
        return np.where(changed, numerator / np.where(changed, denominator, 1), np.nan)


def predict_edit(
    network: Network,
    edited: Network,
    layer: str,
    pictures: np.ndarray | jax.Array,
    units: Sequence[int] | np.ndarray | None = None,
    *,
    gated: bool = False,
) -> Prediction:
    """Predicts from the weights what an edit changes in a layer's units, and compares with what it does change.

    Exact where nothing is left out: for edited units of a 1x1 branch, and for 1x1 units of the next block without a
    pool between. Edits of several layers are predicted one by one and added up.

    Args:
      network: of the zoo.
      edited: what `cut`, `ablate` and the like made of it.
      layer: of the targets, the edited layer or one computed from it; taken before its ReLU.
      pictures: (N, H, W, channels) in [0, 1].
      units: of the layer; None for all.
      gated: take weights as they are at each picture, where it is known which units are active, in place of those of
        the linearized network: the edited layer's own change is computed with all that lies in it, and from there on
        expanded weights are those at the picture before the edit. At the edited layer that leaves nothing to predict.

    Returns:
      The `Prediction`.

    Raises:
      InputError: for networks of different layers or equal weights, a layer that the edit cannot reach, unknown units,
        and outside the zoo.
    """
    units = check_units(network, layer, units)
    target = f"{layer}_pre_relu" if f"{layer}_pre_relu" in network.layers else layer
    if network.layers[target].op == "softmax":
        raise InputError(f"{target} is not linear; take the logits, {network.logits}")
    features = _edited(network, edited, target)
    read = (network, edited) if gated else (network.linearized(), edited.linearized())
    predict = _predictor(network.forward, *(each.forward for each in read), features, target)
    rows: list[list[np.ndarray]] = []
    for batch, count in batches(pictures):
        with jax.default_matmul_precision("highest"):
            before, change = predict(network.params, edited.params, network.check_pictures(batch))
            after = edited.activations(batch, target)[target]
        rows.append([np.asarray(values)[:count][..., units] for values in (before, change, after)])
    before, predicted, after = (np.concatenate(values) for values in zip(*rows))
    return Prediction(tuple(Unit(layer, index) for index in units.tolist()), before, predicted, after - before)


class _Feature(NamedTuple):
    """An edited layer, and the one that it reads: what an edit's prediction runs along.

    Attributes:
      source: the features before, or the input.
      before_relu, name: of the edited layer; the same for logits.
      reached: whether the target is computed from it; otherwise the target is one of its own parts.
    """

    source: str
    before_relu: str
    name: str
    reached: bool


def _edited(network: Network, edited: Network, target: str) -> tuple[_Feature, ...]:
    """The layers, each with all of its convolutions, whose weights differ, as far as the target depends on them."""
    architecture = zoo_architecture(network, "compare its activations")
    other = zoo_architecture(edited, "compare its activations")
    if list(architecture.by_name) != list(other.by_name):
        raise InputError(f"{edited.name} has other layers than {network.name}; expected an edit of it")
    differ = {name for name, own in network.params.items() if not _same(own, edited.params[name])}
    if not differ:
        raise InputError("both networks have the same weights; expected an edit")
    needed = {layer.name for layer in architecture.needed([target])}
    found, changed, name = [], [], architecture.logits
    while name != INPUT:
        counts = [kind.by_name[name].channels for kind in (other, architecture)]
        if counts[0] != counts[1]:
            what = f"{name} with {counts[0]} channels in {edited.name} and {counts[1]} in {network.name}"
            raise InputError(f"{what}; expected an edit of it")
        source = next(layer for layer, end in directly_read(architecture, name).items() if end)
        before = {source, *(layer.name for layer in architecture.needed([source]))}
        parts = [layer for layer in architecture.needed([name]) if layer.name not in before]
        if differ & {layer.weights for layer in parts}:
            changed.append(name)
            before_relu = f"{name}_pre_relu" if f"{name}_pre_relu" in architecture.by_name else name
            if name in needed or (needed - before and source in (INPUT, *needed)):
                found.append(_Feature(source, before_relu, name, name in needed and target != name))
        name = source
    if not found:
        raise InputError(f"{target} is not computed from {', '.join(changed)}, which the edit changes")
    return tuple(found)


def _same(first: dict, second: dict) -> bool:
    return all(np.array_equal(first[kind], second[kind]) for kind in first)


@functools.lru_cache(maxsize=64)
def _predictor(forward: Forward, read: Forward, edited: Forward, features: tuple[_Feature, ...], target: str):
    """The compiled program: both networks' parameters, pictures -> the target's answers, their predicted change."""

    @jax.jit
    def run(params, edited_params, pictures):
        x = forward.convention(pictures)
        names = {name for feature in features for name in feature[:3] if name != INPUT}
        seen = {INPUT: x, **forward.model(params, x, (*sorted(names), target))}

        def change(source: str, layer: str) -> jax.Array:
            """What a layer's answer changes when the weights after the source do."""
            old = run_from(read.model, source, layer, params, x, seen[source])
            return run_from(edited.model, source, layer, edited_params, x, seen[source]) - old

        def predicted(feature: _Feature) -> jax.Array:
            if not feature.reached:
                return change(feature.source, target)
            old = seen[feature.before_relu]
            moved = jax.nn.relu(old + change(feature.source, feature.before_relu)) - jax.nn.relu(old)

            def onward(value):
                return run_from(read.model, feature.name, target, params, x, value)

            return jax.jvp(onward, (seen[feature.name],), (moved,))[1]

        return seen[target], sum(map(predicted, features))

    return run


def _norm(values: np.ndarray) -> np.ndarray:
    return np.sqrt((values**2).sum(0))
