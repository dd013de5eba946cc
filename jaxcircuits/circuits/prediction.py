"""Predict, then edit, then compare: the test that a circuit has been understood.

Olah et al., Zoom In, Distill 2020: who understands a circuit can say what an edit of its weights will change. The
prediction is made from weights alone, on the activations of the network as it was ::

    change of the edited layer's pre-activation   d = (edited weights - weights) * activation before it
    change of its activation                      relu(pre-activation + d) - relu(pre-activation)
    change of a target further up                 expanded weights from the edited layer to it, applied to that

with `direct_weights` and `expanded_weights`: the ReLUs of bottlenecks and of layers between are left out, a max-pool is
the mean of its window, normalizations do nothing. That is what there is to find out: how far the weights,
as one reads them, tell what happens. Gated, weights are those at each picture, and leave out less.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from jaxcircuits.circuits.weights.direct import directly_read
from jaxcircuits.errors import InputError
from jaxcircuits.network import Forward, Network
from jaxcircuits.network.stream import batches
from jaxcircuits.network.units import Unit, before_activation, check_units

if TYPE_CHECKING:
    from jaxtyping import Float, Integer

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
    before: Float[np.ndarray, "pictures *positions units"]
    predicted: Float[np.ndarray, "pictures *positions units"]
    outcome: Float[np.ndarray, "pictures *positions units"]

    def __repr__(self) -> str:
        changed = np.isfinite(self.correlation)
        what = f"Prediction of {'1 unit' if changed.sum() == 1 else f'{changed.sum()} units'} of {self.units[0].layer}"
        what += f" on {len(self.before)} picture{'s' * (len(self.before) != 1)}"
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
    def correlation(self) -> Float[np.ndarray, " units"]:
        """(N,): Pearson's, over pictures and cells; no number for units that the edit does not change."""
        predicted, outcome = (values - values.mean(0) for values in self._flat)
        return self._where_changed((predicted * outcome).sum(0), _norm(predicted) * _norm(outcome))

    @property
    def slope(self) -> Float[np.ndarray, " units"]:
        """(N,): by how much the prediction must be multiplied to fit the outcome best; 1 where it is right."""
        predicted, outcome = self._flat
        return self._where_changed((predicted * outcome).sum(0), (predicted**2).sum(0))

    @property
    def explained(self) -> Float[np.ndarray, " units"]:
        """(N,): the share of the outcome's sum of squares that the prediction accounts for; 1 where it is right."""
        predicted, outcome = self._flat
        return 1 - self._where_changed(((outcome - predicted) ** 2).sum(0), (outcome**2).sum(0))

    @property
    def _flat(self) -> tuple[np.ndarray, np.ndarray]:
        predicted, outcome = (np.asarray(values, np.float64) for values in (self.predicted, self.outcome))
        return predicted.reshape(-1, len(self.units)), outcome.reshape(-1, len(self.units))

    def _where_changed(self, numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
        before = np.asarray(self.before, np.float64).reshape(-1, len(self.units))
        changed = (_norm(self._flat[1]) > ROUNDING * _norm(before)) & (denominator > 0)
        return np.where(changed, numerator / np.where(changed, denominator, 1), np.nan)


def predict_edit(
    network: Network,
    edited: Network,
    layer: str,
    pictures: Float[np.ndarray | jax.Array, "pictures height width channels"],
    units: Sequence[int] | Integer[np.ndarray, " units"] | None = None,
    *,
    gated: bool = False,
) -> Prediction:
    """Predicts from the weights what an edit changes in a layer's units, and compares with what it does change.

    Exact where nothing is left out: for edited units of a 1x1 branch, and for 1x1 units of the next block without a
    pool between. Edits of several layers are predicted one by one and added up.

    Args:
      network: any.
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
      InputError: where the one is no edit of the other, for a layer that the edit cannot reach, and for unknown units.
    """
    units = check_units(network, layer, units)
    target = network.graph.first_name(before_activation(network, layer))
    if network.graph.is_softmax(target):
        raise InputError(f"{target} is not linear; take the logits, {network.logits}")
    features = _edited(network, edited, target)
    predict = _predictor(network.forward, edited.forward, features, target, not gated)
    rows: list[list[np.ndarray]] = []
    for batch, count in batches(pictures):
        with jax.default_matmul_precision("highest"):
            before, change = predict(network.params, edited.params, network.check_pictures(batch))
            after = edited.activations(batch, target)[target]
        rows.append([np.asarray(values)[:count][..., units] for values in (before, change, after)])
    before, predicted, after = (np.concatenate(values) for values in zip(*rows))
    return Prediction(tuple(Unit(layer, index) for index in units.tolist()), before, predicted, after - before)


class _Feature(NamedTuple):
    """An edited layer, and what an edit's prediction runs along.

    Attributes:
      patches: which of the edited network's patches change it.
      sources: the features that it reads, or the input.
      name: of the layer.
      activation: the layer that is its activation function of it; itself where there is none.
      reached: whether the target is computed from that; otherwise the target lies before it.
    """

    patches: tuple[int, ...]
    sources: tuple[str, ...]
    name: str
    activation: str
    reached: bool


def _edited(network: Network, edited: Network, target: str) -> tuple[_Feature, ...]:
    """The layers that the edit changes, as far as the target depends on them."""
    if edited.forward.model != network.forward.model or list(edited.layers) != list(network.layers):
        raise InputError(f"{edited.name} has other layers than {network.name}; expected an edit of it")
    patches = edited.forward.patches
    old = network.params["patches"] if network.forward.patches else ()
    new = edited.params["patches"] if patches else ()
    changed: dict[str, list[int]] = {}
    for i, patch in enumerate(patches):
        if i >= len(old) or not _same(old[i], new[i]):
            changed.setdefault(patch.layer, []).append(i)
    if not changed:
        raise InputError("both networks have the same weights; expected an edit")
    graph, found = network.graph, []
    for name, which in changed.items():
        if name != target and not graph.follows(name, target):
            continue
        sources = tuple(source for source, end in directly_read(network, name).items() if end)
        readers = [layer for layer in network.layers.values() if layer.inputs == (name,) and layer.kind == "activation"]
        activation = readers[0].name if readers else name
        reached = target != name and (activation in (name, target) or graph.follows(activation, target))
        found.append(_Feature(tuple(which), sources, name, activation, reached))
    if not found:
        raise InputError(f"{target} is not computed from {', '.join(changed)}, which the edit changes")
    return tuple(found)


def _same(first: Any, second: Any) -> bool:
    leaves, tree = jax.tree.flatten(first)
    others, other = jax.tree.flatten(second)
    return tree == other and all(np.array_equal(a, b) for a, b in zip(leaves, others))


@functools.lru_cache(maxsize=64)
def _predictor(forward: Forward, edited: Forward, features: tuple[_Feature, ...], target: str, linear: bool):
    """The compiled program: both networks' parameters, pictures -> the target's answers, their predicted change."""
    read = dataclasses.replace(forward, linear=linear)

    def only(feature: _Feature, params):
        """The edited network with the patches of one layer, and of the network before."""
        keep = sorted({*range(len(forward.patches)), *feature.patches})
        patches = tuple(edited.patches[i] for i in keep)
        arrays = {"network": params["network"], "patches": tuple(params["patches"][i] for i in keep)}
        return dataclasses.replace(edited, linear=linear, patches=patches), arrays

    @jax.jit
    def run(params, edited_params, pictures):
        x = forward.convention(pictures)
        names = {name for f in features for name in (*f.sources, f.name, f.activation)}
        seen = forward.run(params, x, (*sorted(names), target))

        def change(feature: _Feature, layer: str) -> jax.Array:
            """What a layer's answer changes when the weights after the sources do."""
            given = {source: seen[source] for source in feature.sources if source != layer}
            patched, arrays = only(feature, edited_params)
            (new,), (old,) = (f.run(p, x, [layer], given).values() for f, p in ((patched, arrays), (read, params)))
            return new - old

        def predicted(feature: _Feature) -> jax.Array:
            if not feature.reached:
                return change(feature, target)
            if feature.activation == feature.name:
                moved = change(feature, feature.name)
            else:
                old = seen[feature.name]

                def activate(value):
                    return forward.run(params, x, [feature.activation], {feature.name: value})[feature.activation]

                moved = activate(old + change(feature, feature.name)) - activate(old)

            def onward(value):
                return read.run(params, x, [target], {feature.activation: value})[target]

            return jax.jvp(onward, (seen[feature.activation],), (moved,))[1]

        return seen[target], sum(map(predicted, features))

    return run


def _norm(values: np.ndarray) -> np.ndarray:
    return np.sqrt((values**2).sum(0))
