"""Networks by a name: those of the zoo, weights files, models of Keras, and what a function of one's own returns."""

from __future__ import annotations

import dataclasses
import importlib
import os
import re
import sys
from pathlib import Path

import jax

from jaxcircuits.errors import InputError, unknown
from jaxcircuits.network import adapters
from jaxcircuits.network.network import Network
from jaxcircuits.zoo import ZOO

_FUNCTION = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)")


def load(name_or_path: str | os.PathLike) -> Network:
    """Loads a network: by its name in the zoo, from a converted weights file, from `keras.applications`, or your own.

    Weights are looked for in `$JAXCIRCUITS_WEIGHTS` (a folder with NAME.safetensors), then in the user's cache folder,
    then at the published source, which is downloaded, checked against its pinned hash, converted and cached.

    Args:
      name_or_path: a name in `jaxcircuits.zoo.ZOO`, such as `inceptionv1` or `squeezenet`; the path of a
        `.safetensors` file that `weights-convert` wrote; `keras:NAME`, such as `keras:VGG19`, whose weights Keras
        downloads; or `package.module:function`, a function without arguments that returns a `Network`, imported from
        the working directory or wherever Python finds it.

    Returns:
      The `Network`.

    Raises:
      InputError: for an unknown name, for weights that cannot be had (it says every place tried), for a file that is
        damaged, does not fit its architecture or holds another network than its name says, and for a function that
        cannot be imported or returns no network.
    """
    import weights_convert

    name = os.fspath(name_or_path)
    if name.startswith("keras:"):
        from jaxcircuits.network.adapters.keras_applications import keras_application

        model, params, convention, labels = keras_application(name.removeprefix("keras:"))
        return Network.from_model(name.removeprefix("keras:"), model, params, convention, labels)
    if name in ZOO:
        entry, path = ZOO[name], weights_convert.find_or_fetch(name)
    elif Path(name).exists() or name.endswith(".safetensors"):
        entry, path = None, Path(name)
    elif match := _FUNCTION.fullmatch(name):
        return _made_by(*match.groups())
    else:
        raise unknown("network", name, ZOO)
    weights = weights_convert.read_weights(path)
    architecture = weights.architecture
    if entry and architecture != entry.architecture:
        raise InputError(f"{path}: holds weights of {architecture.name}, not of {name}")
    if entry and weights.network and weights.network != name:
        raise InputError(
            f"{path}: holds the weights of {weights.network}, not of {name}, whose units have other numbers; "
            f"rename it to {weights.network}.safetensors and load {weights.network}"
        )
    params = jax.device_put(adapters.by_layer(weights.tensors))
    network = Network.from_architecture(
        architecture,
        params,
        weights.convention,
        name=entry.name if entry else weights.network or Path(name).stem,
        labels=weights.labels,
    )
    return dataclasses.replace(network, recipe=weights.recipe)


def _made_by(module: str, function: str) -> Network:
    """What a function of a module returns."""
    where = f"{module}:{function}"
    sys.path.insert(0, os.getcwd())  # as `python -m` has it; an installed command does not
    try:
        made = getattr(importlib.import_module(module), function, None)
    except Exception as error:
        said = str(error).strip().splitlines()
        raise InputError(f"{where}: cannot be imported ({type(error).__name__}: {said[0] if said else ''})") from error
    finally:
        sys.path.remove(os.getcwd())
    if not callable(made):
        there = [name for name, value in vars(sys.modules[module]).items() if callable(value) and name[0] != "_"]
        raise unknown("function", function, there, module)
    network = made()
    if not isinstance(network, Network):
        raise InputError(
            f"{where} returns a {type(network).__name__}; expected a Network, such as Network.from_nnx(...)"
        )
    return network
