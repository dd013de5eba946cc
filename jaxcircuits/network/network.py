"""Network: a trained model as a pure function from pictures to named activations.

The only thing that the rest of the library sees of a model. Three lines bring in one's own:

>>> network = Network.from_linen(model, variables, InputConvention(size=(32, 32), mean=0.5, std=0.25))
>>> network.layers                                        # what it has to look at
>>> render(network, channel("Conv_3", range(16))).images  # what its units look for
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxcircuits.caching import keep_compiled_programs
from jaxcircuits.errors import InputError
from jaxcircuits.network import adapters, checks
from jaxcircuits.network.forward import Forward, compiled_activations
from jaxcircuits.network.graph import Graph, Layer
from jaxcircuits.network.identity import identity
from jaxcircuits.network.shown import Shown
from jaxcircuits.network.trace import Model
from jaxcircuits.zoo import Architecture, InputConvention

if TYPE_CHECKING:
    from jaxtyping import Float, Integer

Params = Any  # a pytree of arrays


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Network(Shown):
    """A trained model: parameters, a function to named activations, and what one needs to use them.

    Attributes:
      name: for files and messages.
      params: pytree of arrays; of a zoo network `{weights: {"kernel": ..., "bias": ...}}`.
      forward: the function, see `Forward`.
      labels: what the outputs stand for, by index; empty where unknown.
      logits: the layer whose channels are the classes; None where there is none.
      recipe: how its units are best drawn, as `jaxcircuits.Recipe.to_json` has it; empty for the default recipe.
    """

    name: str
    params: Params
    forward: Forward
    labels: tuple[str, ...] = ()
    logits: str | None = None
    recipe: str = ""

    def __post_init__(self):
        keep_compiled_programs()  # all that the library compiles, it compiles for a network

    def __getstate__(self) -> dict[str, Any]:
        # Pickled without its graph, which is read off the model again.
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @functools.cached_property
    def graph(self) -> Graph:
        """What the model computes and how it is wired, at its native size; see `Graph`."""
        return self.forward.graph(self.params)

    @functools.cached_property
    def layers(self) -> Mapping[str, Layer]:
        """Name -> `Layer`, in order from the image."""
        return self.graph.layers

    @functools.cached_property
    def identity(self) -> str:
        """SHA-256 of the parameters and of what has been made of them, as in a weights file; see `identity`."""
        return identity(self.forward, self.params)

    @property
    def convention(self) -> InputConvention:
        """What the network expects of a picture."""
        return self.forward.convention

    def activations(
        self,
        images: Float[jax.Array | np.ndarray, "pictures height width channels"],
        layers: str | Sequence[str] | None = None,
    ) -> dict[str, Float[jax.Array, "pictures *positions units"]]:
        """What the layers answer to pictures.

        Args:
          images: float (N, H, W, channels), RGB in [0, 1], any size that the network takes.
          layers: names; None for all. Layers beyond the last one named cost nothing.

        Returns:
          name -> float32 (N, h, w, channels), or (N, channels) for layers without positions.

        Raises:
          InputError: for an unknown layer, or pictures of another shape, type or value range.
        """
        images = self.check_pictures(images)
        names = (layers,) if isinstance(layers, str) else tuple(self.layers if layers is None else layers)
        for name in names:
            self.layer(name)
        result = compiled_activations(self.forward, names)(self.params, images)
        return {name: result[name] for name in names}  # in the order asked for

    def shapes(self, size: Sequence[int], layers: Sequence[str] | None = None) -> dict[str, tuple[int, ...]]:
        """Shapes of activations for one picture, (h, w, channels) or (channels,), found without computing them.

        Args:
          size: height and width of the picture.
          layers: names; None for all.
        """
        names = tuple(self.layers if layers is None else layers)
        if tuple(size) == self.convention.size:
            return {name: self.layers[name].shape for name in names}
        picture = jax.ShapeDtypeStruct((2, *size, self.convention.channels), jnp.float32)
        seen = jax.eval_shape(lambda params, x: self.forward(params, x, names), self.params, picture)
        return {name: seen[name].shape[1:] for name in names}

    def takes(self, size: Sequence[int]) -> bool:
        """Whether the model runs on pictures of that height and width; some take their native size alone."""
        return self.forward.takes(self.params, size)

    def layer(self, name: str) -> Layer:
        """The layer of that name; raises `InputError` naming the nearest ones where there is none."""
        if name not in self.layers:
            raise checks.unknown_layer(self.name, self.layers, name)
        return self.layers[name]

    def check_units(self, layer: str, units: Sequence[int] | Integer[np.ndarray, " n"]) -> Integer[np.ndarray, " n"]:
        """Unit numbers of a layer as an array (N,); raises `InputError` for one that the layer does not have."""
        return checks.units(layer, self.layer(layer).channels, units)

    def check_pictures(self, images: jax.Array | np.ndarray) -> Float[jax.Array, "pictures height width channels"]:
        """Pictures (N, H, W, channels) in [0, 1] as a float32 array; raises `InputError` where they are not that."""
        return checks.pictures(self.name, self.convention.channels, images)

    def class_index(self, label: str) -> int:
        """The output of a label, or of one of its comma-separated names, or of its first word; raises `InputError`."""
        return checks.class_index(self.name, self.labels, label)

    def kernel(self, layer: str) -> Float[np.ndarray, "*window in out"]:
        """The kernel of a convolution or dense layer, see `Forward.kernel`; raises `InputError` for any other."""
        values = self.forward.kernel(self.params, self.layer(layer).name)
        if values is None:
            raise InputError(f"{layer} is a {self.layers[layer].op} layer and has no kernel")
        return values

    def linearized(self) -> Network:
        """The same network with activation functions as identity, max-pools as means and no normalization.

        Affine maps such as batch normalization in evaluation stay. Its name says that it is another network.
        """
        forward = dataclasses.replace(self.forward, linear=True)
        return dataclasses.replace(self, name=f"{self.name}-linearized", forward=forward)

    @classmethod
    def from_architecture(
        cls,
        architecture: Architecture,
        params: Params,
        convention: InputConvention,
        *,
        name: str | None = None,
        labels: Sequence[str] = (),
    ) -> Network:
        """A zoo network.

        Args:
          architecture: such as `jaxcircuits.zoo.INCEPTIONV1`.
          params: `{weights: {"kernel": (h, w, in, out), "bias": (out,)}}`.
          convention: its input.
          name: defaults to the architecture's.
          labels: of its outputs.
        """
        forward = Forward(adapters.zoo_model(architecture), convention)
        return cls(name or architecture.name, params, forward, tuple(labels), architecture.logits)

    @classmethod
    def from_nnx(
        cls,
        module: nnx.Module,
        convention: InputConvention = InputConvention(),
        *,
        name: str | None = None,
        labels: Sequence[str] = (),
        **call_kwargs: Any,
    ) -> Network:
        """Any Flax NNX module that maps (N, H, W, channels) to something.

        Its layers are the outputs of every submodule, under their paths (`blocks/0/conv`), what it sows, and `output`;
        or, where it returns a dict of arrays, those. It runs in evaluation mode (`module.eval()`), on a copy.

        Args:
          module: with trained parameters.
          convention: what it expects of a picture.
          name: for files and messages; the class name by default.
          labels: of its outputs.
          **call_kwargs: handed to every call.
        """
        model, params = adapters.nnx_model(module, call_kwargs)
        return cls.from_model(name or type(module).__name__, model, params, convention, labels)

    @classmethod
    def from_linen(
        cls,
        module: Any,
        variables: Params,
        convention: InputConvention = InputConvention(),
        *,
        name: str | None = None,
        labels: Sequence[str] = (),
        **call_kwargs: Any,
    ) -> Network:
        """Any Flax Linen module with its variables.

        Its layers are the outputs of every submodule, under their paths (`Block_0/Conv_1`), what it sows as
        `intermediates`, and `output`; or, where it returns a dict of arrays, those.

        Args:
          module: a `flax.linen.Module`.
          variables: what `module.init` gave or training made of it, with its collections.
          convention: what it expects of a picture.
          name: for files and messages; the class name by default.
          labels: of its outputs.
          **call_kwargs: handed to every call, such as `train=False`.
        """
        model, params = adapters.linen_model(module, variables, call_kwargs)
        return cls.from_model(name or type(module).__name__, model, params, convention, labels)

    @classmethod
    def from_keras(
        cls,
        model: Any,
        convention: InputConvention = InputConvention(),
        *,
        name: str | None = None,
        labels: Sequence[str] = (),
        **call_kwargs: Any,
    ) -> Network:
        """Any Keras 3 model, functional, sequential or subclassed, on Keras' JAX backend.

        Its layers have Keras' names, `outer/inner` where models are nested; where a class of one's own keeps them as
        attributes, those, `blocks/0/conv`. It runs in evaluation mode.

        Args:
          model: with its weights; `keras:NAME` in `load` makes those of `keras.applications`.
          convention: what it expects of a picture.
          name: for files and messages; the model's name by default.
          labels: of its outputs.
          **call_kwargs: handed to every call.
        """
        adapter, params = adapters.keras_model(model, call_kwargs)
        return cls.from_model(name or model.name, adapter, params, convention, labels)

    @classmethod
    def from_equinox(
        cls,
        module: Any,
        convention: InputConvention = InputConvention(layout="CHW"),
        *,
        name: str | None = None,
        labels: Sequence[str] = (),
        **call_kwargs: Any,
    ) -> Network:
        """Any Equinox module that maps one picture to something.

        Its layers are the outputs of every submodule, under their paths (`layers/0`). It runs in inference mode, on
        several pictures by `jax.vmap`.

        Args:
          module: with trained parameters, called as `module(x)` or `module(x, key=key)`; or the tuple of a module and
            its `equinox.nn.State`, called as `module(x, state)`.
          convention: what it expects of a picture; Equinox' own layers take the channels first, `layout="CHW"`.
          name: for files and messages; the class name by default.
          labels: of its outputs.
          **call_kwargs: handed to every call.
        """
        adapter, params = adapters.equinox_model(module, call_kwargs)
        name = name or type(module[0] if isinstance(module, tuple) else module).__name__
        return cls.from_model(name, adapter, params, convention, labels)

    @classmethod
    def from_torch(
        cls,
        module: Any,
        convention: InputConvention = InputConvention(),
        *,
        name: str | None = None,
        labels: Sequence[str] = (),
    ) -> Network:
        """Any PyTorch module that maps (N, channels, H, W) to something; needs PyTorch.

        Its layers are the outputs of every submodule, under their paths (`blocks/0/conv1`), what it computes between
        them, and `output`. It is taken in evaluation mode and in float32, on a copy that later training does not reach.

        Args:
          module: a `torch.nn.Module` with trained parameters.
          convention: what it expects of a picture; its layout is `CHW`, whatever is said here.
          name: for files and messages; the class name by default.
          labels: of its outputs.

        Raises:
          InputError: where `torch.export` cannot read it, or an operation is missing in `adapters.torch.OPERATIONS`.
        """
        convention = dataclasses.replace(convention, layout="CHW")
        model, params = adapters.torch_model(module, convention.size, convention.channels)
        return cls.from_model(name or type(module).__name__, model, params, convention, labels)

    @classmethod
    def from_function(
        cls,
        function: Callable[[Params, jax.Array], dict[str, jax.Array] | jax.Array],
        params: Params,
        convention: InputConvention = InputConvention(),
        *,
        name: str | None = None,
        labels: Sequence[str] = (),
    ) -> Network:
        """A plain function.

        Args:
          function: (params, network input (N, H, W, channels)) -> {name: activation}, or one array, `output`.
          params: pytree of arrays, handed to it.
          convention: what it expects of a picture.
          name: for files and messages; the function's name by default.
          labels: of its outputs.
        """
        model, params = adapters.function_model(function, params)
        return cls.from_model(name or getattr(function, "__name__", "network"), model, params, convention, labels)

    @classmethod
    def from_model(
        cls, name: str, model: Model, params: Params, convention: InputConvention, labels: Sequence[str]
    ) -> Network:
        """A network of an adapter's model, whose graph is read at once, so that what fails fails here."""
        network = cls(name, params, Forward(adapters.hashable(model), convention), tuple(labels))
        try:
            graph = network.graph
        except InputError:
            raise
        except Exception as error:
            raise adapters.failure(error, model, params, convention) from error
        if not graph.layers:
            raise InputError("the model returns nothing to look at: no floats (N, ..., channels) that follow its input")
        logits = graph.output[0] if len(graph.output) == 1 else None
        return dataclasses.replace(network, logits=logits)
