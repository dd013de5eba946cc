"""Forward: pictures -> named activations, as a pure function that compiled programs can be cached by."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxcircuits.errors import InputError
from jaxcircuits.network import rules
from jaxcircuits.network.axes import PICTURES, Axes, find_axes
from jaxcircuits.network.channel_sums import sums_by_slices
from jaxcircuits.network.graph import INPUT, Graph
from jaxcircuits.network.grouped import grouped_convolutions
from jaxcircuits.network.loops import loops
from jaxcircuits.network.normalization import softmaxes
from jaxcircuits.network.on_tpu import exchanged_on_tpu
from jaxcircuits.network.patches import Patch, hooks
from jaxcircuits.network.pools import max_pools
from jaxcircuits.network.redirect import repeated
from jaxcircuits.network.run import Run
from jaxcircuits.network.trace import Model, Program, signature, trace
from jaxcircuits.platforms import on_tpu
from jaxcircuits.zoo import InputConvention

if TYPE_CHECKING:
    from jaxtyping import Bool, Float


class Located(NamedTuple):
    """A model traced for one input: its program, and where its layers are in it.

    Attributes:
      program: the trace.
      graph: of the same model, from which names and axes were taken.
      axes: of the program's values.
    """

    program: Program
    graph: Graph
    axes: Mapping[int, Axes]

    def value(self, name: str) -> int:
        """The number of a layer's value, or of the input."""
        return self.program.image if name == INPUT else self.graph.value[name]

    def canonical(self, name: str, value: jax.Array) -> jax.Array:
        """A layer's value as (N, positions ..., channels)."""
        return self.axes[self.value(name)].canonical(value)

    def restored(self, name: str, activation: jax.Array) -> jax.Array:
        """A layer's activation (N, positions ..., channels) as its value in the model."""
        aval = self.program.avals[self.value(name)]
        return self.axes[self.value(name)].restored(activation, aval.shape).astype(aval.dtype)


@dataclasses.dataclass(frozen=True)
class Forward:
    """Pictures -> named activations.

    Attributes:
      model: (params, network input) -> output; hashable, see `trace.Model`.
      convention: how pictures become network input.
      patches: what edits have changed; their arrays are parameters.
      linear: run the linearized network.
    """

    model: Model
    convention: InputConvention
    patches: tuple[Patch, ...] = ()
    linear: bool = False

    def __call__(
        self,
        params: Any,
        pictures: Float[jax.Array, "pictures height width channels"],
        layers: Sequence[str] | None = None,
        dtype: str = "float32",
        redirect: Bool[jax.Array, " pictures"] | Literal[False] | None = None,
    ) -> dict[str, Float[jax.Array, "pictures *positions units"]]:
        """What layers answer to pictures.

        Args:
          params: the network's.
          pictures: (N, H, W, channels), RGB in [0, 1].
          layers: names; None for all.
          dtype: of the network's arithmetic.
          redirect: bool (N,), the pictures whose silent activation functions hand a redirected gradient on; False for
            none of them, which costs nothing; None for JAX's own gradients.

        Returns:
          name -> (N, ..., channels).
        """
        return self.run(params, self.convention(pictures).astype(dtype), layers, redirect=redirect)

    def run(
        self,
        params: Any,
        x: Float[jax.Array, "pictures height width channels"],
        layers: Sequence[str] | None = None,
        given: Mapping[str, Float[jax.Array, "pictures *positions units"]] = {},
        redirect: Bool[jax.Array, " pictures"] | Literal[False] | None = None,
    ) -> dict[str, Float[jax.Array, "pictures *positions units"]]:
        """What layers answer to the network's input, where some layers' activations are given.

        Args:
          params: the network's.
          x: network input (N, H, W, channels).
          layers: names; None for all; may hold `input`.
          given: name -> activation (N, ..., channels), in place of the layer's own; all that is computed from it
            follows.
          redirect: see `__call__`.

        Returns:
          name -> (N, ..., channels).
        """
        inner, arrays = (params["network"], params["patches"]) if self.patches else (params, ())
        count = len(x)
        located = self.located(inner, x)
        if located is None:
            # A model that drops the axis of a single picture: it is shown two.
            x, given = jnp.repeat(x, 2, axis=0), {name: jnp.repeat(value, 2, axis=0) for name, value in given.items()}
            redirect = repeated(redirect, 2)
            located = self.located(inner, x)
        if located is None:
            raise InputError(
                f"the model computes otherwise for {len(x)} pictures than for two; expected one way for all"
            )
        program, graph = located.program, located.graph
        names = tuple(graph.value) if layers is None else tuple(layers)
        values = dict(zip(program.parameters, jax.tree.leaves(inner)))
        values[program.image] = self.laid_out(x)
        values.update((located.value(name), located.restored(name, value)) for name, value in given.items())
        drawing = redirect is not None
        exchange = exchanged_on_tpu(program, drawing) if on_tpu() else max_pools(program, drawing)
        if self.linear:
            exchange = rules.linear(program)
        elif drawing:
            exchange = exchange | rules.redirections(program, located.axes, graph.loops, redirect)
            if not on_tpu():
                exchange = exchange | sums_by_slices(program)
        exchange = exchange | grouped_convolutions(program)
        run = Run(program, values, exchange, hooks(self.patches, arrays, located) if self.patches else {})
        answers = run.get([located.value(name) for name in names])
        return {name: located.canonical(name, answer)[:count] for name, answer in zip(names, answers)}

    def constant(self, params: Any, value: int) -> jax.Array:
        """A value of the graph that follows from parameters alone, such as a kernel."""
        inner = self.own(params)
        program = self.graph(params).program
        return Run(program, dict(zip(program.parameters, jax.tree.leaves(inner)))).get([value])[0]

    def takes(self, params: Any, size: Sequence[int]) -> bool:
        """Whether the model runs on pictures of that height and width."""
        if tuple(size) == self.convention.size:
            return True
        inner = self.own(params)
        tree, avals = signature(inner)
        return _takes(dataclasses.replace(self, patches=()), tree, avals, tuple(size))

    def kernel(self, params: Any, layer: str) -> Float[np.ndarray, "*window in out"] | None:
        """The kernel of a convolution or dense layer.

        Args:
          params: the network's.
          layer: its name.

        Returns:
          float32 (h, w, in, out); of a convolution in groups, `in` are the channels of one group; of a dense layer
          (1, 1, in, out). None for any other layer.
        """
        graph = self.graph(params)
        operation = graph.convolution(layer)
        if operation is None:
            return None
        side = graph.weights_place(operation)
        values = np.asarray(self.constant(params, operation.inputs[side]), np.float32)
        if operation.name == "conv_general_dilated":
            out, into, *window = operation.params["dimension_numbers"].rhs_spec
            return np.transpose(values, (*window, into, out))
        contracted = operation.params["dimension_numbers"][0][side]
        rest = [axis for axis in range(values.ndim) if axis not in contracted]
        values = np.transpose(values, (*contracted, *rest))
        return values.reshape(1, 1, int(np.prod(values.shape[: len(contracted)])), -1)

    def not_linear(self, params: Any, source: str, target: str) -> str | None:
        """What between two layers is no linear map in the linearized network; None where there is nothing.

        Args:
          params: the network's.
          source: a layer, or `input`.
          target: a layer.

        Returns:
          The operation, such as `blocks/0/attention/dot_general`, or the target's name where it is the target's own.
        """
        graph = self.graph(params)
        start = graph.program.image if source == INPUT else graph.value[source]
        bend = rules.not_linear(graph.program, start, graph.value[target])
        if bend is None:
            return None
        own = softmaxes(graph.program)
        if not own.inside.isdisjoint(bend.outputs) and graph.value[target] in own.outputs:
            return target
        if graph.value[target] in bend.outputs:
            return target
        return f"{bend.scope}/{bend.name}" if bend.scope else bend.name

    def own(self, params: Any) -> Any:
        """The model's own parameters, without those of its patches."""
        return params["network"] if self.patches else params

    def laid_out(self, x: Float[jax.Array, "pictures height width channels"]) -> Float[jax.Array, "pictures ..."]:
        """The network's input (N, H, W, channels) in the layout that the model takes."""
        return x if self.convention.layout == "HWC" else jnp.moveaxis(x, -1, 1)

    def graph(self, params: Any, size: Sequence[int] | None = None, dtype: Any = jnp.float32) -> Graph:
        """The model's graph, read at its native size or another.

        Args:
          params: the network's, or their shapes.
          size: height and width of the picture.
          dtype: of the input.
        """
        inner = self.own(params)
        shape = (*(size or self.convention.size), self.convention.channels)
        tree, avals = signature(inner)
        return _graph(self.model, tree, avals, shape, self.convention.layout, jnp.dtype(dtype))

    def located(self, inner: Any, x: jax.Array | jax.ShapeDtypeStruct) -> Located | None:
        """The model traced for an input (N, H, W, channels); None where one picture is not enough to tell its axes."""
        laid_out = jax.eval_shape(self.laid_out, jax.ShapeDtypeStruct(x.shape, x.dtype))
        program = trace(self.model, inner, laid_out)
        plain = dataclasses.replace(self, patches=())
        graph = plain.graph(inner, dtype=x.dtype)
        if not _alike(program, graph.program):
            graph = plain.graph(inner, x.shape[1:3], x.dtype)
            if not _alike(program, graph.program):
                return None
        axes = {}
        for value, of in graph.axes.items():
            cells = program.avals[value].shape[of.pictures] // x.shape[0] if of.cells > 1 else 1
            axes[value] = dataclasses.replace(of, cells=cells)
        return Located(program, graph, axes)

    def at(self, params: Any, size: Sequence[int]) -> Located:
        """The model traced for pictures of a height and width."""
        shape, inner = (PICTURES[0], *size, self.convention.channels), self.own(params)
        located = self.located(inner, jax.ShapeDtypeStruct(shape, _arithmetic(inner)))
        if located is None:
            raise InputError(
                f"the model computes otherwise at {'x'.join(map(str, size))} px for two pictures than for three"
            )
        return located


def _arithmetic(params: Any) -> Any:
    """What a model with such parameters takes: half precision where all are of one such type, else float32."""
    kinds = {leaf.dtype for leaf in jax.tree.leaves(params) if jnp.issubdtype(leaf.dtype, jnp.floating)}
    (kind,) = kinds if len(kinds) == 1 else (jnp.dtype(jnp.float32),)
    return kind if kind.itemsize == 2 else jnp.float32


@functools.lru_cache(maxsize=256)
def _takes(forward: Forward, tree: Any, avals: tuple, size: tuple[int, ...]) -> bool:
    params = jax.tree.unflatten(tree, [jax.ShapeDtypeStruct(*aval) for aval in avals])
    try:
        forward.at(params, size)
    except Exception:  # whatever a framework raises where shapes do not fit
        return False
    return True


@functools.lru_cache(maxsize=64)
def compiled_activations(forward: Forward, names: tuple[str, ...]) -> Callable[[Any, jax.Array], dict[str, jax.Array]]:
    """The compiled program: parameters, pictures -> name -> activation, float32."""

    @jax.jit
    def run(params, pictures):
        return {name: value.astype(jnp.float32) for name, value in forward(params, pictures, names).items()}

    return run


@functools.lru_cache(maxsize=128)
def _graph(model: Model, tree: Any, avals: tuple, shape: tuple[int, int, int], layout: str, dtype: Any) -> Graph:
    params = jax.tree.unflatten(tree, [jax.ShapeDtypeStruct(*aval) for aval in avals])
    height, width, channels = shape
    one = shape if layout == "HWC" else (channels, height, width)
    two, three = (trace(model, params, jax.ShapeDtypeStruct((count, *one), dtype)) for count in PICTURES)
    return Graph(two, find_axes(two, three, 3 if layout == "HWC" else 1), loops(two, three))


@functools.lru_cache(maxsize=256)
def _alike(first: Program, second: Program) -> bool:
    """Whether two traces of a model number their values alike."""
    return (
        len(first.avals) == len(second.avals)
        and all(len(a.shape) == len(b.shape) for a, b in zip(first.avals, second.avals))
        and [operation.name for operation in first.flat] == [operation.name for operation in second.flat]
    )
