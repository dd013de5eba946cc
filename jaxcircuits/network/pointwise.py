"""Activation functions in a program: which values are functions of one other value, number by number.

Models write them in many ways (`nnx.relu`, `jnp.maximum(x, 0)`, `x * sigmoid(x)`), so they are told by what they
compute, not by what they are called: every value has a chain of values that it follows from point by point, and a
function that is not linear begins at the nearest one. Its course, evaluated in NumPy, says its name, its slope, and
whether it has a side where it is flat.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from jaxcircuits.network.normalization import normalizations, softmaxes
from jaxcircuits.network.trace import Operation, Program

LONGEST = 48
"""Values of a chain that are kept; longer functions do not occur."""

_LINEAR = ("neg", "copy", "convert_element_type", "reduce_precision", "stop_gradient", "add", "add_any", "sub")


def _erf(x: np.ndarray) -> np.ndarray:
    from scipy.special import erf

    return erf(x)


_NUMPY: dict[str, Callable[..., np.ndarray]] = {
    "neg": np.negative,
    "copy": np.asarray,
    "stop_gradient": np.asarray,
    "reduce_precision": np.asarray,
    "add": np.add,
    "add_any": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "max": np.maximum,
    "min": np.minimum,
    "pow": np.power,
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "logistic": lambda x: 1 / (1 + np.exp(-x)),
    "erf": _erf,
    "erfc": lambda x: 1 - _erf(x),
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "square": np.square,
    "abs": np.abs,
    "sign": np.sign,
    "sin": np.sin,
    "cos": np.cos,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.round,
    "cbrt": np.cbrt,
    "clamp": lambda low, x, high: np.clip(x, low, high),
    "gt": np.greater,
    "ge": np.greater_equal,
    "lt": np.less,
    "le": np.less_equal,
    "eq": np.equal,
    "ne": np.not_equal,
    "and": np.logical_and,
    "or": np.logical_or,
    "xor": np.logical_xor,
    "not": np.logical_not,
    "is_finite": np.isfinite,
    "select_n": lambda which, *cases: np.choose(np.asarray(which, int), cases),
    "integer_pow": lambda x, power: np.asarray(x) ** power,
    "convert_element_type": lambda x, dtype: np.asarray(x).astype(dtype),
}
"""What the primitives compute; of the last two the second argument is a setting, see `_compute`."""

_GRID = np.linspace(-8, 8, 321)
_KNOWN = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "gelu": lambda x: 0.5 * x * (1 + _erf(x / np.sqrt(2))),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "softplus": lambda x: np.log1p(np.exp(x)),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "hard_silu": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "abs": np.abs,
    "square": np.square,
}
"""Activation functions by their names in `jax.nn`."""


@dataclasses.dataclass(frozen=True, eq=False)
class Pointwise:
    """A function that is not linear, of one value, number by number.

    Attributes:
      input, output: values.
      operations: that compute it.
      constants: value -> number, of what they read besides; None where parameters take part.
      name: such as `relu`; `activation` where it is none that has a name.
      slope: of its linearization: where it grows like a line, far above 0 or else far below, the line's; else 1.
      flat: whether it has a side where its derivative is zero.
      middle: of where its derivative is not zero, between -10 and 10.
    """

    input: int
    output: int
    operations: tuple[Operation, ...]
    constants: dict[int, float] | None
    name: str
    slope: float
    flat: bool
    middle: float

    def __call__(self, x: jax.Array) -> jax.Array:
        """The function itself, of any array; only where no parameters take part."""
        if self.constants is None:
            raise ValueError("parameters take part in this function")
        values, constants = {self.input: x}, self.constants

        def read(atom):
            if isinstance(atom, int) and atom in values:
                return values[atom]
            number, aval = (constants[atom], None) if isinstance(atom, int) else (atom.val, atom.aval)
            dtype = x.dtype if aval is None else aval.dtype
            return jnp.full(x.shape, number, dtype)

        for operation in self.operations:
            inputs = [read(atom) for atom in operation.inputs]
            primitive, settings = operation.equation.primitive, operation.params
            (values[operation.outputs[0]],) = [primitive.bind(*inputs, **primitive.get_bind_params(settings))]
        return values[self.output]


@functools.lru_cache(maxsize=256)
def functions(program: Program) -> dict[int, Pointwise]:
    """The activation functions of a program; not the steps of its normalizations and softmaxes.

    Returns:
      Output value -> `Pointwise`, each as long as it can be: `x * sigmoid(x)` is one function, not two.
    """
    chains = _chains(program)
    marked = {value for value, *_ in program.marks}
    found: dict[int, Pointwise] = {}
    inside = set(normalizations(program).inside | softmaxes(program).inside)
    for operation in reversed(program.flat):
        output = operation.outputs[0]
        chain = chains.get(output, ())
        if len(chain) < 2 or output in inside or not _bends(operation, program):
            continue
        if not jnp.issubdtype(program.avals[output].dtype, jnp.floating):
            continue
        source, operations = chain[1], _between(program, chain[1], output)
        while source not in marked and len(chains.get(source, ())) > 1:
            # One function after another, of which nothing else is read: max(x, 0), then min(that, 6).
            before = program.made_by.get(source)
            if before is None or not _bends(before, program) or not _only_read_by(program, source, operations):
                break
            source = chains[source][1]
            operations = _between(program, source, output)
        function = _described(program, source, output, operations)
        if function is None:
            continue
        found[output] = function
        inside.update(
            value
            for step in operations
            for value in step.outputs
            if value != output and value not in marked and _only_read_by(program, value, operations)
        )
    return dict(sorted(found.items()))


def constant(program: Program, atom: int | core.Literal) -> float | None:
    """The number that a value has everywhere; None where it has several, or follows from parameters or pictures."""
    if isinstance(atom, core.Literal):
        return float(atom.val) if np.ndim(atom.val) == 0 else None
    if atom in program.constants:
        values = np.asarray(program.constants[atom])
        return float(values.reshape(())) if values.size == 1 else None
    operation = program.made_by.get(atom)
    if operation and operation.name in ("broadcast_in_dim", "convert_element_type", "copy", "reshape"):
        return constant(program, operation.inputs[0])
    return None


def _chains(program: Program) -> dict[int, tuple[int, ...]]:
    """Value -> the values that it is a function of by itself, nearest first, beginning with its own number."""
    chains: dict[int, tuple[int, ...]] = {value: (value,) for value in (program.image, *program.pictured)}
    for operation in program.flat:
        pictured = [value for value in operation.reads if value in program.of_image]
        if not pictured:
            continue
        for output in operation.outputs:
            chains[output] = (output,)
        if operation.name not in _NUMPY:
            continue
        shape = program.avals[operation.outputs[0]].shape
        if any(program.avals[value].shape != shape for value in pictured):
            continue
        first, *others = (chains[value] for value in dict.fromkeys(pictured))
        common = tuple(value for value in first if all(value in other for other in others))
        chains[operation.outputs[0]] = (operation.outputs[0], *common[:LONGEST])
    return chains


def _bends(operation: Operation, program: Program) -> bool:
    """Whether an operation is not linear in what it reads of the picture."""
    pictured = [atom for atom in operation.inputs if isinstance(atom, int) and atom in program.of_image]
    match operation.name:
        case name if name in _LINEAR or name not in _NUMPY:
            return False
        case "mul":
            return len(pictured) > 1
        case "div":
            return operation.inputs[1] in pictured
        case "select_n":
            return operation.inputs[0] in pictured
        case "integer_pow":
            return operation.params["y"] != 1
    return True


def _between(program: Program, source: int, output: int) -> tuple[Operation, ...]:
    """The operations that lead from a value to one that is a function of it."""
    wanted, found = {output}, []
    for operation in reversed(program.flat):
        if wanted.isdisjoint(operation.outputs):
            continue
        found.append(operation)
        wanted.update(value for value in operation.reads if value != source and value in program.of_image)
    return tuple(reversed(found))


def _only_read_by(program: Program, value: int, operations: tuple[Operation, ...]) -> bool:
    return value not in program.outputs and all(reader in operations for reader in program.readers.get(value, ()))


def _described(program: Program, source: int, output: int, operations: tuple[Operation, ...]) -> Pointwise | None:
    """The function; None where it is a line after all, such as max(x, -inf)."""
    made = {source, *(value for step in operations for value in step.outputs)}
    others = {value for step in operations for value in step.reads if value not in made}
    constants = {value: constant(program, value) for value in others}
    numbers = {value: number for value, number in constants.items() if number is not None}
    if len(numbers) < len(constants):
        return Pointwise(source, output, operations, None, "activation", 1.0, False, 0.0)

    def course(x: np.ndarray) -> np.ndarray:
        values: dict[int, np.ndarray | float] = {source: x, **numbers}

        def read(atom):
            return values[atom] if isinstance(atom, int) else atom.val

        for step in operations:
            values[step.outputs[0]] = _compute(step, *(read(atom) for atom in step.inputs))
        return np.broadcast_to(np.asarray(values[output], np.float64), x.shape)

    with np.errstate(all="ignore"):
        if np.allclose(np.diff(course(_GRID), 2), 0, atol=1e-9):
            return None
        return Pointwise(source, output, operations, numbers, *_facts(course))


def _compute(operation: Operation, *inputs: np.ndarray | float) -> np.ndarray:
    function = _NUMPY[operation.name]
    match operation.name:
        case "integer_pow":
            return function(inputs[0], float(operation.params["y"]))
        case "convert_element_type":
            return function(inputs[0], bool if jnp.issubdtype(operation.params["new_dtype"], jnp.bool_) else np.float64)
        case "select_n":
            return function(*np.broadcast_arrays(*inputs))
    return function(*inputs)


def _facts(course: Callable[[np.ndarray], np.ndarray]) -> tuple[str, float, bool, float]:
    """Name, slope, whether it has a flat side, the middle of where it is not flat."""
    values = course(_GRID)

    def same(known: Callable[[np.ndarray], np.ndarray]) -> bool:
        return bool(np.allclose(values, known(_GRID), rtol=1e-3, atol=2e-3))

    name = next((name for name, known in _KNOWN.items() if same(known)), "activation")
    if name == "activation" and np.allclose(values[_GRID > 0], _GRID[_GRID > 0], rtol=1e-4):
        below = values[_GRID < 0] / _GRID[_GRID < 0]
        name = "leaky_relu" if np.ptp(below) < 1e-4 else name
    slope = next((s for s in (_asymptote(course, 1), _asymptote(course, -1)) if s is not None), 1.0)
    # Where the numbers run over, it is not flat.
    ends = [np.diff(course(side * np.array([50.0, 60.0])))[0] for side in (-1, 1)]
    steps = np.abs(np.diff(course(np.linspace(-10, 10, 401))))
    moving = np.linspace(-9.975, 9.975, 400)[steps > 1e-6]
    return name, slope, any(abs(end) < 1e-9 for end in ends), float(moving.mean()) if moving.size else 0.0


def _asymptote(course: Callable[[np.ndarray], np.ndarray], side: int) -> float | None:
    near, far = (np.diff(course(side * np.array(at)))[0] / (side * 10) for at in ((50.0, 60.0), (100.0, 110.0)))
    if not (np.isfinite(near) and np.isfinite(far)) or abs(far) < 1e-6 or abs(near - far) > 1e-3 * abs(far):
        return None
    return float(far)
