"""Why a model does not run on a picture: what its framework said, and the likely cause."""

from __future__ import annotations

import itertools
import re
from typing import Any

import jax
import jax.numpy as jnp

from jaxcircuits.errors import InputError
from jaxcircuits.zoo import InputConvention

EVALUATION = {
    "train": False,
    "training": False,
    "is_training": False,
    "deterministic": True,
    "use_running_average": True,
    "inference": True,
}
"""What calls name the choice between training and evaluation, and its value in evaluation."""

SIZES = (28, 32, 64, 96, 128, 224, 299)
"""Native sizes of common models, tried where the one that was stated does not fit."""


def failure(error: Exception, model: Any, params: Any, convention: InputConvention) -> InputError:
    """What to raise where a model cannot be traced.

    Args:
      error: what it raised.
      model: the adapter's model.
      params: its parameters.
      convention: of its input, as it was stated.

    Returns:
      An `InputError` of one line. Where another number of channels or another size is the remedy, it was tried.
    """
    model = getattr(model, "model", model)  # out of `Unhashable`
    said, where = _first_line(error), getattr(error, "module_path", "")
    picture, layout = (*convention.size, convention.channels), convention.layout
    cause = _cause(said, model) or _untraceable(error) or _other_shape(said, model, params, picture, layout)
    line = f"the model fails on a picture of shape {picture}{f', in {where}' if where else ''}"
    return InputError(f"{line} ({type(error).__name__}: {said})" + (f"; {cause}" if cause else ""))


def _first_line(error: Exception) -> str:
    """The first line that says something, without colors and addresses of pages."""
    text = re.sub(r"\x1b\[\d*m", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # Keras says first which call it was, then what went wrong in it.
    told = [line for line in lines if not line.startswith("Exception encountered when calling")]
    return re.sub(r"( \(https?://\S+\))?$", "", told[0]).rstrip(".") if told else "no message"


def _cause(said: str, model: Any) -> str:
    """The cause of what only one mistake makes a framework say; empty where it says none of these."""
    call = model.signature() if hasattr(model, "signature") else None
    names = [] if call is None else list(call.parameters)[1:]
    evaluation = next((f"{name}={EVALUATION[name]}" for name in names if name in EVALUATION), None)
    if re.search(r'collection "\w+" is immutable', said):
        how = f"hand over {evaluation}" if evaluation else "make its layers with use_running_average=True"
        return f"it runs in training mode; {how}"
    if match := re.search(r'needs PRNG for "(\w+)"', said):
        key = f'rngs={{"{match[1]}": jax.random.key(0)}}'
        return f"it runs in training mode; hand over {evaluation}, or {key}" if evaluation else f"hand over {key}"
    if match := re.search(r'from collection "(\w+)" in \S+ but the collection is empty', said):
        if match[1] == "params":
            return 'the variables are bare parameters; hand over {"params": ...}'
        return f'the variables lack "{match[1]}"; hand over all that init gave, not its "params" alone'
    if "extra params layer" in said:
        return 'the variables have one layer of {"params": ...} too many'
    if "Could not find parameter named" in said:
        return "the variables belong to another module, or to another version of it"
    if match := re.search(r"unexpected keyword argument '(\w+)'", said):
        return f"its call takes {', '.join(names)}" if match[1] not in names else ""
    if match := re.search(r"required (?:positional|keyword-only) arguments?: '(\w+)'", said):
        return f"hand it over by name, such as {match[1]}={EVALUATION.get(match[1], '...')}"
    return ""


def _untraceable(error: Exception) -> str:
    kinds = (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError)
    return "it leaves JAX or branches on values; it has to run under jax.jit" if isinstance(error, kinds) else ""


def _other_shape(said: str, model: Any, params: Any, picture: tuple[int, ...], layout: str) -> str:
    """Which number of channels or which size the model does take: likely ones are tried, by shapes alone."""
    height, width, channels = picture
    # PyTorch writes shapes as 2x192.
    shapes = re.findall(r"\b\d+(?:x\d+)*\b", said)
    numbers = sorted({int(number) for shape in shapes for number in shape.split("x")} - {0}, reverse=True)
    if not numbers:
        return ""
    other = "CHW" if layout == "HWC" else "HWC"
    if _runs(model, params, picture, other):
        return f'state InputConvention(layout="{other}")'
    for count in dict.fromkeys((1, 3, 4, *(number for number in numbers if number <= 16))):
        if count != channels and _runs(model, params, (height, width, count), layout):
            return f"it takes {count} channel{'s' * (count > 1)}: state InputConvention(channels={count})"
    # Of two that stand in the message, one is what the layer got, the other what it needs: as a map's area does.
    ratios = [needed / had for needed, had in itertools.permutations(numbers[:3], 2)]
    near = [round(height * ratio**0.5) + more for more in (0, -1, 1) for ratio in ratios if 1 / 16 < ratio < 16]
    for size in dict.fromkeys((*near[:12], *SIZES)):
        if size > 0 and (size, size) != (height, width) and _runs(model, params, (size, size, channels), layout):
            return f"it takes {size} x {size} pixels: state InputConvention(size=({size}, {size}))"
    fix = "state its own with InputConvention(size=(height, width), channels=...)"
    return f"common sizes and 1, 3 or 4 channels fail too: {fix}"


def _runs(model: Any, params: Any, picture: tuple[int, ...], layout: str) -> bool:
    height, width, channels = picture
    shape = (1, height, width, channels) if layout == "HWC" else (1, channels, height, width)
    try:
        jax.eval_shape(model, params, jax.ShapeDtypeStruct(shape, jnp.float32))
    except Exception:
        return False
    return True
