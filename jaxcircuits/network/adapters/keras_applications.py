"""The models of `keras.applications`, with their published weights and what they expect of a picture.

Source of the preprocessing: `preprocess_input` of each family's module, and the layers that rescale inside of a model.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from jaxcircuits.errors import InputError, unknown
from jaxcircuits.zoo import InputConvention

CAFFE = {"scale": 255.0, "mean": (103.939, 116.779, 123.68), "order": "BGR"}
TORCH = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
SIGNED = {"scale": 2.0, "mean": 1.0}
BYTES = {"scale": 255.0}

PREPROCESSING = {
    "convnext": BYTES,
    "densenet": TORCH,
    "efficientnet": BYTES,
    "efficientnet_v2": BYTES,
    "inception_resnet_v2": SIGNED,
    "inception_v3": SIGNED,
    "mobilenet": SIGNED,
    "mobilenet_v2": SIGNED,
    "mobilenet_v3": BYTES,
    "nasnet": SIGNED,
    "resnet": CAFFE,
    "resnet_v2": SIGNED,
    "vgg16": CAFFE,
    "vgg19": CAFFE,
    "xception": SIGNED,
}
"""Module of Keras -> what its models expect, as fields of an `InputConvention`."""


def keras_application(
    name: str, weights: str | os.PathLike | None = "imagenet"
) -> tuple[Any, dict[str, Any], InputConvention, tuple[str, ...]]:
    """A model of `keras.applications`, its output the logits.

    Args:
      name: such as `VGG19`.
      weights: `imagenet` for the published ones, which Keras downloads and keeps; a file of weights; or None for
        random ones.

    Returns:
      The model, its weights, its input convention, and the names of ImageNet's classes, as `n01440764 tench`; no
      names where Keras cannot have them.

    Raises:
      InputError: for an unknown name, for weights that cannot be had, and where Keras does not run on JAX.
    """
    application = _application(name)
    try:
        module = application(weights=weights and os.fspath(weights), classifier_activation=None)
    except Exception as error:  # Keras raises plain exceptions where a download fails
        said = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(
            f"no weights for keras:{name} ({said}); give your own: model = keras.applications.{name}(weights=None, "
            "classifier_activation=None), model.load_weights(FILE), Network.from_keras(model, ...)"
        ) from error
    from jaxcircuits.network.adapters.keras import keras_model

    model, params = keras_model(module, {})
    return model, params, _convention(application, module.input_shape), _labels() if weights else ()


def _application(name: str) -> Any:
    """The function that makes the model; imports Keras, on JAX where nothing else was asked for."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    try:
        import keras
    except ImportError as error:
        raise InputError(f"keras:{name} needs Keras ({error}); pip install 'jaxcircuits[keras]'") from error
    names = [known for known in dir(keras.applications) if known[0].isupper()]
    if name not in names:
        raise unknown("Keras application", name, names)
    return getattr(keras.applications, name)


def _convention(application: Any, input_shape: tuple) -> InputConvention:
    """What a model expects of a picture: its family's values, at its native size, 224 px where it takes any."""
    family = application.__module__.rpartition(".")[2]
    if family not in PREPROCESSING:
        raise InputError(
            f"the preprocessing of {application.__name__} is not known; give it by Network.from_keras(model, "
            "InputConvention(...))"
        )
    first = input_shape[1] == 3
    height, width = input_shape[2:] if first else input_shape[1:3]
    layout = "CHW" if first else "HWC"
    return InputConvention(size=(height or 224, width or 224), layout=layout, **PREPROCESSING[family])


def _labels() -> tuple[str, ...]:
    """The 1000 classes' synsets and names, from the list that Keras downloads and keeps."""
    from keras.applications import imagenet_utils

    try:
        decoded = imagenet_utils.decode_predictions(np.eye(1000, dtype=np.float32), top=1)
    except Exception:  # without a network
        return ()
    return tuple(f"{synset} {name.replace('_', ' ')}" for [(synset, name, _)] in decoded)
