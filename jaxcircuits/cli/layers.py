"""`jaxcircuits layers`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from jaxcircuits.cli.common import NetworkName, show
from jaxcircuits.errors import unknown
from jaxcircuits.printing import plain
from jaxcircuits.zoo import ZOO


def layers(
    network: NetworkName,
    like: Annotated[str, typer.Option(help="Only layers whose name contains this text.")] = "",
    stages: Annotated[
        bool, typer.Option("--stages", help="Only the stages, marked *: what people mean by the layers.")
    ] = False,
) -> None:
    """List a network's layers: channels, size at the native input, and what each is computed from.

    A * marks the stages: the layers that every path from the image to the output passes through, after their activation
    function. In other commands `all` means these.
    """
    import jax

    from jaxcircuits.bulk import feature_layers
    from jaxcircuits.network import Network, load
    from jaxcircuits.network.adapters import by_layer

    if network in ZOO:
        # Shapes are enough: no weights have to be found.
        entry = ZOO[network]
        tensors = {name: jax.ShapeDtypeStruct(s, "float32") for name, s in entry.architecture.tensors().items()}
        model = Network.from_architecture(entry.architecture, by_layer(tensors), entry.convention)
    else:
        model = load(network)
    height, width = model.convention.size
    main = set(feature_layers(model))
    listed = [name for name in model.layers if like in name and (name in main or not stages)]
    if not listed:
        raise unknown("layer", like, model.layers, model.name)
    table = Table("layer", "", "channels", f"size at {height}x{width} px", "op", "from", box=None)
    for name, shape in model.shapes((height, width), listed).items():
        layer = model.layers[name]
        size = "x".join(str(n) for n in shape[:-1])
        mark, inputs = "*" if name in main else "", plain(" ".join(layer.inputs))
        table.add_row(plain(name), mark, str(layer.channels), size, plain(layer.op), inputs)
    show(table)
