"""A page with one picture of each thing that can be drawn, and the line of code that drew it.

    python -m jaxcircuits.pages.gallery --network inceptionv1-2015 --layer mixed4b --out gallery.html

About 40 drawings, each with a program of its own: on two CPU cores half an hour for InceptionV1 at the default size,
five minutes for the network in the box. The page is one file, under 2 MB, and fetches nothing.
"""

from __future__ import annotations

import dataclasses
import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
import typer

from jaxcircuits import vis
from jaxcircuits.errors import InputError
from jaxcircuits.files import replacing
from jaxcircuits.network import Network, load
from jaxcircuits.pages.templating import data_url, template
from jaxcircuits.slide.scenes import CLASSES, scene_of
from jaxcircuits.vis import Rendering, to_image


@dataclasses.dataclass(frozen=True)
class Entry:
    """One thing: its name, the expression that draws it, and what to see in it."""

    name: str
    code: str
    note: str = ""


ENTRIES: dict[str, tuple[Entry, ...]] = {
    "Objectives in the network": (
        Entry("channel", "render(network, channel(layer, units[0]), recipe)", "A unit everywhere."),
        Entry("neuron", "render(network, neuron(layer, units[0]), recipe)", "The same unit at the center only."),
        Entry(
            "direction",
            "render(network, direction(layer, sum_of_units), recipe)",
            "Two units of a layer at once, as a direction.",
        ),
        Entry(
            "direction, with cosine",
            "render(network, direction(layer, sum_of_units, power=2), recipe)",
            "Only where both answer.",
        ),
        Entry("direction_neuron", "render(network, direction_neuron(layer, sum_of_units, power=1), recipe)"),
        Entry(
            "tensor_direction",
            "render(network, tensor_direction(layer, seen_in_picture, power=1), recipe)",
            "What the layer sees in the scene below, cell by cell.",
        ),
        Entry("deepdream", "render(network, deepdream(layer), recipe, start=picture)", "Begun from the scene below."),
        Entry("class_logit", "render(network, class_logit(network.logits, a_class), recipe)"),
        Entry(
            "two layers",
            "render(network, channel(layer, units[0]) + channel(earlier, units[1]), recipe)",
        ),
        Entry(
            "masked",
            "render(network, masked(channel(layer, units[0]), np.eye(2)), recipe)",
            "Upper left and lower right.",
        ),
    ),
    "What the picture should be like": (
        Entry(
            "total_variation", "render(network, channel(layer, units[0]) - 2e-5 * scale * total_variation(), recipe)"
        ),
        Entry("L1", "render(network, channel(layer, units[0]) - 3e-5 * scale * L1(constant=0.5), recipe)"),
        Entry("L2", "render(network, channel(layer, units[0]) - 5e-3 * scale * L2(constant=0.5), recipe)"),
        Entry(
            "blur_input_each_step",
            "render(network, channel(layer, units[0]) - 1e-3 * scale * blur_input_each_step(), recipe)",
        ),
        Entry(
            "boundary_complexity",
            "render(network, channel(layer, units[0]) - 0.02 * scale * boundary_complexity(), recipe)",
            "A border of mid-gray.",
        ),
    ),
    "Several pictures at once": (
        Entry("four seeds", "render(network, channel(layer, units[0]), recipe, seed=range(4))"),
        Entry(
            "diversity",
            "render(network, channel(layer, [units[0]] * 4) - scale / 30 * diversity(earlier, group=4), recipe)",
            "The same four, kept apart.",
        ),
        Entry(
            "channel_interpolate, alignment",
            "render(network, channel_interpolate(layer, units[0], layer, units[1], 6) + 0.02 * alignment(earlier, 6), "
            "replace(recipe, parametrization=Shared(group=6)))",
            "From one unit to another, with shared parameters.",
        ),
    ),
    "From a given picture": (
        Entry("the scene", "picture", "A procedural one, from jaxcircuits.evidence."),
        Entry("inversion", "render(network, -activation_difference(earlier, picture), recipe)"),
        Entry("caricature", "render(network, caricature(layer, picture, power=1), recipe)"),
        Entry(
            "accentuation",
            "render(network, channel(layer, units[0]) - 2 * scale * activation_difference(earlier, picture), "
            "recipe, start=picture)",
            "A unit's features put into a picture that stays itself.",
        ),
        Entry("input_diff", "render(network, channel(layer, units[0]) - 10 * scale * input_diff(picture), recipe)"),
    ),
    "Parametrizations": (
        Entry("Fourier", "render(network, channel(layer, units[2]), recipe)"),
        Entry("Pixels", "render(network, channel(layer, units[2]), replace(recipe, parametrization=Pixels()))"),
        Entry("Pyramid", "render(network, channel(layer, units[2]), replace(recipe, parametrization=Pyramid()))"),
        Entry("CPPN", "render(network, channel(layer, units[2]), replace(recipe, parametrization=CPPN()))"),
        Entry(
            "RGBA",
            "render(network, channel(layer, units[2]) * (1 - mean_alpha()) - 0.1 * blur_alpha_each_step(), "
            "replace(recipe, parametrization=RGBA()))",
            "Transparent where the unit does not mind.",
        ),
        Entry(
            "FourierPhase",
            "render(network, channel(layer, units[2]), Recipe.maco(size=recipe.size, steps=recipe.steps, views=4))",
            "MACO: natural images' spectrum.",
        ),
        Entry(
            "relevance",
            "transparent(drawn := render(network, channel(layer, units[2:3]), recipe).images, "
            "relevance(network, channel(layer, units[2:3]), drawn, recipe))",
            "What the gradient says matters.",
        ),
    ),
    "Views that a picture must survive": (
        Entry("none", "render(network, channel(layer, units[2]), replace(recipe, transforms=()))"),
        Entry("LUCID", "render(network, channel(layer, units[2]), replace(recipe, transforms=LUCID))"),
        Entry("CAPTUM", "render(network, channel(layer, units[2]), replace(recipe, transforms=CAPTUM))"),
        *(
            Entry(name, f"random_view(({code},), key(1), picture)")
            for name, code in {
                "Pad": "Pad(12)",
                "Jitter": "Jitter(24)",
                "Scale": "Scale((0.7,))",
                "Rotate": "Rotate((20,))",
                "Affine": "Affine()",
                "Homography": "Homography()",
                "Elastic": "Elastic()",
                "Flip": "Flip(1.0)",
                "Crop": "Crop()",
                "Blur": "Blur()",
                "Noise": "Noise()",
                "Color": "Color()",
            }.items()
        ),
    ),
}


def draw_gallery(
    network: Network,
    layer: str,
    earlier: str,
    units: list[int],
    recipe: vis.Recipe,
    sections: Mapping[str, Sequence[Entry]] = ENTRIES,
) -> str:
    """Draws everything and writes the page.

    Args:
      network: whose units, with logits.
      layer: of the units.
      earlier: a layer before it, with positions, where pictures are compared.
      units: three of the layer.
      recipe: of the drawings, but for what each of them changes.
      sections: what to draw, by heading.

    Returns:
      HTML, one file.
    """
    names = _namespace(network, layer, earlier, units, recipe)
    drawn = []
    for title, entries in sections.items():
        shown = []
        for entry in entries:
            began = time.monotonic()
            pictures = _pictures(eval(entry.code, names))
            shown.append({**dataclasses.asdict(entry), "pictures": [_embedded(picture) for picture in pictures]})
            print(f"{entry.name}: {time.monotonic() - began:.0f} s", flush=True)
        drawn.append({"title": title, "entries": shown})
    film = vis.render(
        network, vis.channel(layer, units[0]), recipe, snapshots=range(1, recipe.steps + 1, max(recipe.steps // 24, 1))
    )
    return template("gallery.html").render(
        network=network.name, layer=layer, units=units, recipe=recipe, sections=drawn, film=_film(film)
    )


def _namespace(network: Network, layer: str, earlier: str, units: list[int], recipe: vis.Recipe) -> dict[str, Any]:
    """What the entries' code can name."""
    small = scene_of(jax.random.key(3), CLASSES.index("car"))
    picture = np.clip(jax.image.resize(small, (*recipe.size, 3), "cubic"), 0, 1)
    channels = network.layer(layer).channels
    if network.logits is None:
        raise InputError(f"{network.name} has no logits; expected a network with classes")
    sum_of_units = np.zeros(channels, np.float32)
    sum_of_units[units[:2]] = 1
    # Penalties are weighed against what the unit can reach.
    scale = float(vis.render(network, vis.channel(layer, units[0]), recipe).scores[0])
    names = {name: getattr(vis, name) for name in vis.__all__}
    own = {
        "network": network,
        "layer": layer,
        "earlier": earlier,
        "units": units,
        "recipe": recipe,
        "picture": picture,
        "scale": round(scale, 3 - len(str(int(scale)))) if scale > 1 else scale,
        "sum_of_units": sum_of_units,
        "seen_in_picture": np.asarray(network.activations(picture[None], layer)[layer])[0],
        "a_class": min(8, network.layer(network.logits).channels - 1),
        "replace": dataclasses.replace,
        "key": jax.random.key,
        "np": np,
    }
    return names | own


def _pictures(result: Rendering | np.ndarray) -> np.ndarray:
    pictures = np.asarray(result.images if isinstance(result, Rendering) else result)
    return pictures if pictures.ndim == 4 else pictures[None]


def _embedded(picture: np.ndarray) -> str:
    buffer = io.BytesIO()
    to_image(picture).save(buffer, "WEBP", quality=88)
    return data_url("webp", buffer.getvalue())


def _film(rendering: Rendering) -> str:
    """The optimization as a moving WebP."""
    frames = [to_image(images[0]) for images in rendering.snapshots.values()]
    buffer = io.BytesIO()
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:], duration=120, loop=0, quality=75)
    return data_url("webp", buffer.getvalue())


def main(
    network: Annotated[str, typer.Option(help="A network's name, or a converted .safetensors file.")] = "slide",
    layer: Annotated[str, typer.Option(help="Of the units.")] = "mixed4a",
    earlier: Annotated[str, typer.Option(help="A layer before it.")] = "mixed3a",
    units: Annotated[str, typer.Option(help="Three, such as 3,40,77.")] = "3,40,77",
    size: Annotated[int, typer.Option(help="In pixels.")] = 128,
    steps: Annotated[int, typer.Option(help="Of gradient ascent.")] = 256,
    out: Annotated[Path, typer.Option(help="The page.")] = Path("gallery.html"),
) -> None:
    """Draw one picture of each thing and write the page."""
    numbers = [int(unit) for unit in units.split(",")]
    page = draw_gallery(load(network), layer, earlier, numbers, vis.Recipe(size=size, steps=steps))
    with replacing(out) as temporary:
        temporary.write_text(page)
    print(f"{out}: {len(page) / 1e6:.2f} MB")


if __name__ == "__main__":
    typer.run(main)
