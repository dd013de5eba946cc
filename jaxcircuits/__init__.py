"""A microscope for neural networks: what every unit of a vision network looks for, and how units are wired.

>>> import jaxcircuits as jc

>>> network = jc.load("inceptionv1")
>>> jc.render(network, jc.channel("mixed4b", range(16)))

Names are loaded when they are first used, so that importing the package stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxcircuits.errors import InputError
    from jaxcircuits.images import Pictures, Scenes, open_pictures
    from jaxcircuits.memory import keep_memory
    from jaxcircuits.network import Network, load
    from jaxcircuits.vis import (
        L1,
        L2,
        Objective,
        Recipe,
        Rendering,
        activation_difference,
        alignment,
        blur_alpha_each_step,
        blur_input_each_step,
        boundary_complexity,
        caricature,
        channel,
        channel_interpolate,
        class_logit,
        compile_ahead,
        contact_sheet,
        deepdream,
        direction,
        direction_cossim,
        direction_neuron,
        diversity,
        facet,
        input_diff,
        masked,
        mean_alpha,
        neuron,
        percentiles,
        relevance,
        render,
        render_batches,
        save_video,
        tensor_direction,
        total_variation,
        transparent,
    )
    from jaxcircuits.zoo import InputConvention, Layer

__version__ = "0.1.0"

_HOMES = {
    "jaxcircuits.errors": ("InputError",),
    "jaxcircuits.images": ("Pictures", "Scenes", "open_pictures"),
    "jaxcircuits.memory": ("keep_memory",),
    "jaxcircuits.network": ("Network", "load"),
    "jaxcircuits.vis": (
        "L1",
        "L2",
        "Objective",
        "Recipe",
        "Rendering",
        "activation_difference",
        "alignment",
        "blur_alpha_each_step",
        "blur_input_each_step",
        "boundary_complexity",
        "caricature",
        "channel",
        "channel_interpolate",
        "class_logit",
        "compile_ahead",
        "contact_sheet",
        "deepdream",
        "direction",
        "direction_cossim",
        "direction_neuron",
        "diversity",
        "facet",
        "input_diff",
        "masked",
        "mean_alpha",
        "neuron",
        "percentiles",
        "relevance",
        "render",
        "render_batches",
        "save_video",
        "tensor_direction",
        "total_variation",
        "transparent",
    ),
    "jaxcircuits.zoo": ("InputConvention", "Layer"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]: type checkers read the imports above


_ROOMS = (
    "arguments",
    "bulk",
    "circuits",
    "evidence",
    "images",
    "network",
    "pages",
    "slide",
    "universality",
    "vis",
    "zoo",
)
"""Packages that are there as `jaxcircuits.NAME` without an import of their own."""


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS})
