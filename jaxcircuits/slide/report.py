"""What emerged in `slide`: accuracy, dead units, and which units are curve, head and car detectors.

The definitions stand here, in words and numbers, and were fixed for what they say, not for what they find.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.evidence import circular, stimuli
from jaxcircuits.evidence.curves import curve_tuning
from jaxcircuits.evidence.responses import responses
from jaxcircuits.evidence.stimuli import figures
from jaxcircuits.network import Network
from jaxcircuits.slide import scenes
from jaxcircuits.slide.attack import RADIUS, attacked, cross_entropy

LAYERS = ("conv2d2", *(f"mixed{block}" for block in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")))
"""Where units are looked for."""
PER_CLASS = 72
"""Held-out scenes of each class: 2,088 in all."""
CONTRAST = 3.0
"""How many times better a unit must answer what it is said to detect: a curve than the opposite one, ..."""
MARGIN = 2.0
"""... a head or a car than any other figure."""


def report(network: Network, seed: int) -> dict[str, Any]:
    """Measures `slide`.

    Args:
      network: `slide`.
      seed: of the held-out scenes; one that training did not use.

    Returns:
      The figures, as plain JSON types: accuracies and `dead` over held-out scenes, `curves`, `heads` and `cars`.
    """
    return scene_figures(network, seed) | {
        "curves": curve_units(network),
        "heads": head_units(network),
        "cars": car_units(network),
    }


def scene_figures(network: Network, seed: int, per_class: int = PER_CLASS) -> dict[str, Any]:
    """Accuracy in all and by class, that under attack, and the fraction of each layer's units that never fire.

    The attack is the one that training defends against, on the network as it runs.
    """
    fired = {
        layer.name: np.zeros(layer.channels, bool) for layer in network.layers.values() if layer.kind == "activation"
    }
    logits = network.logits
    if logits is None:
        raise InputError(f"{network.name} has no logits; expected slide")

    @jax.jit
    def attack(pictures: jax.Array, labels: jax.Array) -> jax.Array:
        def loss(pictures: jax.Array) -> jax.Array:
            seen = network.forward(network.params, pictures, (logits,))[logits]
            return cross_entropy(seen, labels).sum()

        return attacked(loss, pictures, RADIUS)

    correct, held = [], []
    # A few of each class at a time, for the memory that all activations take.
    portion = 4
    for key in jax.random.split(jax.random.key(seed), per_class // portion):
        pictures, labels = scenes.batch(key, portion)
        answers = responses(network, pictures, (*fired, logits))
        for layer in fired:
            fired[layer] |= (answers[layer] > 0).any(0)
        correct.append((answers[logits].argmax(1) == np.asarray(labels)).reshape(-1, portion))
        answers = responses(network, attack(pictures, labels), (logits,))
        held.append((answers[logits].argmax(1) == np.asarray(labels)).reshape(-1, portion))
    correct, held = (np.concatenate(parts, axis=1) for parts in (correct, held))
    return {
        "held_out": {"scenes": correct.size, "seed": seed},
        "accuracy": float(correct.mean()),
        "accuracy_by_class": dict(zip(scenes.CLASSES, correct.mean(1).round(4).tolist(), strict=True)),
        "accuracy_attacked": float(held.mean()),
        "accuracy_attacked_by_class": dict(zip(scenes.CLASSES, held.mean(1).round(4).tolist(), strict=True)),
        "attack_radius": RADIUS,
        "dead": {layer: round(float(1 - alive.mean()), 4) for layer, alive in fired.items()},
    }


def curve_units(network: Network) -> dict[str, Any]:
    """Units that answer the best orientation of a curve `CONTRAST` times better than the opposite one, by layer."""
    orientations, answers = curve_tuning(network, LAYERS)
    found = {}
    for layer, curves in answers.items():
        preferred, ratio = circular.preference(orientations, curves)
        units = np.flatnonzero(ratio >= CONTRAST)
        found[layer] = {
            "largest_gap_degrees": round(np.degrees(circular.largest_gap(preferred[units])), 1),
            "units": [
                {
                    "unit": int(unit),
                    "degrees": round(float(np.degrees(preferred[unit])), 1),
                    # JSON has no infinity: a unit silent for the opposite orientation has no ratio.
                    "ratio": round(float(ratio[unit]), 2) if np.isfinite(ratio[unit]) else None,
                }
                for unit in units
            ],
        }
    return found


def head_units(network: Network) -> dict[str, Any]:
    """Units that answer heads facing left, right, and both, by layer.

    `left`: heads facing left `CONTRAST` times better than heads facing right, and `MARGIN` times better than anything
    that is no head: scrambled heads, cars, plain figures. `right`: the other way round. `both`: heads facing left and
    heads facing right `MARGIN` times better than anything that is no head. All these heads are bare.

    `both_with_neck`: heads with a neck behind, facing left and facing right, `MARGIN` times better than anything that
    is no head. `neck_behind`: those of them that also answer either `MARGIN` times better than heads with a neck in
    front.

    `cat_left`, `cat_right`, `cat`: cats' heads facing left, right, and both, as `left`, `right` and `both` of hounds'.
    """
    answers = _figure_answers(network)
    found = {}
    for layer in LAYERS:
        mean = {name: values[layer] for name, values in answers.items()}
        other = np.max([mean[name] for name in mean if not name.startswith(("head", "cat"))], axis=0)
        behind = np.minimum(mean["head left, neck behind"], mean["head right, neck behind"])
        in_front = np.maximum(mean["head left, neck in front"], mean["head right, neck in front"])
        found[layer] = {
            **dict(zip(("left", "right", "both"), _facing(mean["head left"], mean["head right"], other))),
            **dict(zip(("cat_left", "cat_right", "cat"), _facing(mean["cat left"], mean["cat right"], other))),
            "both_with_neck": _units((behind > 0) & (behind >= MARGIN * other)),
            "neck_behind": _units((behind > 0) & (behind >= MARGIN * np.maximum(in_front, other))),
        }
    return found


def _facing(left: np.ndarray, right: np.ndarray, other: np.ndarray) -> list[list[int]]:
    """Units for heads that face left, right and both, from answers to those and to anything that is no head."""
    one_way = [(a > 0) & (a >= CONTRAST * b) & (a >= MARGIN * other) for a, b in ((left, right), (right, left))]
    either = np.minimum(left, right)
    return [_units(found) for found in (*one_way, (either > 0) & (either >= MARGIN * other))]


def car_units(network: Network) -> dict[str, Any]:
    """Units that answer cars `MARGIN` times better than heads and plain figures, and what is left in other orders.

    `swapped`, `windows_below`, `wheels_above`: the answer to a car with both, or only one, of its parts on the wrong
    side of the body, as a fraction of that to a car.
    """
    answers = _figure_answers(network)
    found = {}
    for layer in LAYERS:
        mean = {name: values[layer] for name, values in answers.items()}
        car = mean["car"]
        other = np.max([mean[name] for name in mean if not name.endswith("car")], axis=0)
        found[layer] = [
            {"unit": unit}
            | {
                name: round(float(mean[f"{name} car"][unit] / car[unit]), 3)
                for name in ("swapped", "windows_below", "wheels_above")
            }
            for unit in _units((car > 0) & (car >= MARGIN * other))
        ]
    return found


def _units(found: np.ndarray) -> list[int]:
    return np.flatnonzero(found).tolist()


def _figure_answers(network: Network) -> dict[str, dict[str, np.ndarray]]:
    """Figure -> layer -> mean answers (channels,) over sizes, tilts, and light and dark figures on gray."""
    variants = np.array(np.meshgrid((0.85, 1.0, 1.15), (-0.15, 0.15), (0.15, 0.85))).reshape(3, -1).T
    scale, tilt, shade = jnp.asarray(variants, jnp.float32).T
    color = jnp.repeat(shade[:, None], 3, axis=1)
    facings = {"left": figures.LEFT, "right": figures.RIGHT}

    @jax.jit
    def heads(facing: float, neck: float, parts: jax.Array, kind: float) -> jax.Array:
        def draw(s, t, c):
            return figures.head(facing, 15 * s, t, kind=kind, neck=neck, parts=parts, color=c)

        return jax.vmap(draw)(scale, tilt, color)

    @jax.jit
    def cars(windows: float, wheels: float) -> jax.Array:
        def draw(facing, s, t, c):
            return figures.car(windows, wheels, 54 * s, t, facing=facing, color=c)

        sides = [jax.vmap(functools.partial(draw, facing))(scale, tilt, color) for facing in facings.values()]
        return jnp.concatenate(sides)

    shades = jnp.repeat(jnp.array([[0.15], [0.85]]), 3, axis=1)
    plain = {
        **{f"curve {turn}": functools.partial(stimuli.curve, turn * np.pi / 4) for turn in range(8)},
        **{f"line {turn}": functools.partial(stimuli.line, turn * np.pi / 4) for turn in range(4)},
        **{f"corner {turn}": functools.partial(stimuli.corner, turn * np.pi / 2) for turn in range(4)},
        **{f"grating {turn}": functools.partial(stimuli.grating, turn * np.pi / 4) for turn in range(4)},
        "circle": functools.partial(stimuli.circle, 15.0),
        "patch": functools.partial(stimuli.patch, 15.0),
        "spiral": functools.partial(stimuli.spiral, 0.0),
        "s-curve": functools.partial(stimuli.s_curve, 0.0),
        "dots": functools.partial(stimuli.dots, 0.0),
    }
    whole = jnp.array([figures.SNOUT, figures.EAR, figures.EYE])
    necks = {"": figures.NONE, ", neck behind": figures.BEHIND, ", neck in front": figures.IN_FRONT}
    sets = {
        **{
            f"head {side}{place}": heads(facing, neck, whole, figures.HOUND)
            for side, facing in facings.items()
            for place, neck in necks.items()
        },
        **{f"cat {side}": heads(facing, figures.NONE, whole, figures.CAT) for side, facing in facings.items()},
        **{
            f"scrambled {name} {index}": jnp.concatenate(
                [heads(facing, figures.NONE, jnp.array(parts), kind) for facing in facings.values()]
            )
            for index, parts in enumerate(scenes.SCRAMBLED)
            for name, kind in (("head", figures.HOUND), ("cat", figures.CAT))
        },
        "car": cars(figures.ABOVE, figures.BELOW),
        "swapped car": cars(figures.BELOW, figures.ABOVE),
        "windows_below car": cars(figures.BELOW, figures.BELOW),
        "wheels_above car": cars(figures.ABOVE, figures.ABOVE),
        **{name: jnp.stack([draw(color=shade) for shade in shades]) for name, draw in plain.items()},
    }
    answers = responses(network, jnp.concatenate(list(sets.values())), LAYERS)
    edges = np.cumsum([len(pictures) for pictures in sets.values()])[:-1]
    parts = {layer: np.split(values, edges) for layer, values in answers.items()}
    return {name: {layer: parts[layer][index].mean(0) for layer in LAYERS} for index, name in enumerate(sets)}
