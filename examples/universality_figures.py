"""Figures of `examples.universality`: families as rows, a network a row, and the maps of corresponding depths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import jaxcircuits as jc
from jaxcircuits.images.sheet import to_image
from jaxcircuits.pages.compare import spread

SHOWN = ("curves", "high-low frequency", "circles", "lines", "color contrast", "boundaries")
COLUMNS, CELL, GAP, LEFT = 7, 84, 4, 216
STEPS, SIZE = 96, 96
UNITS = Path("build") / "universality"
INK, GRAY = "#222222", "#777777"


def draw(networks: list[jc.Network], parts: dict[str, Any], folder: Path) -> None:
    """Writes `universality.depths.jpg` and `universality.families.jpg`; units that are drawn are kept in `UNITS`."""
    folder.mkdir(parents=True, exist_ok=True)
    if parts["depths"]:
        depth_maps(parts["depths"]).save(folder / "universality.depths.jpg", quality=88)
    pictures = {network.name: _drawn(network, parts["families"], UNITS) for network in networks}
    family_rows(parts["families"], pictures).save(folder / "universality.families.jpg", quality=78)


def _drawn(network: jc.Network, rows: list[dict[str, Any]], folder: Path) -> dict[tuple[str, int], Image.Image]:
    """The units that are shown, drawn: one batch a layer."""
    wanted: dict[str, list[int]] = {}
    for row in rows:
        if row["network"] == network.name and row["family"] in SHOWN and row["found"]:
            wanted.setdefault(row["layer"], []).extend(spread(np.array(row["units"]), COLUMNS).tolist())
    side = min(SIZE, *network.convention.size)
    side = side if network.takes((side, side)) else min(network.convention.size)
    drawn = {}
    for layer, units in wanted.items():
        missing = []
        for unit in sorted(set(units)):
            path = folder / network.name / layer.replace("/", "_") / f"{unit}.png"
            if path.exists():
                drawn[layer, unit] = Image.open(path)
            else:
                missing.append((unit, path))
        if missing:
            objective = jc.channel(layer, [unit for unit, _ in missing])
            images = jc.render(network, objective, jc.Recipe(size=side, steps=STEPS, redirect_steps=STEPS)).images
            for (unit, path), image in zip(missing, images):
                path.parent.mkdir(parents=True, exist_ok=True)
                drawn[layer, unit] = to_image(image)
                drawn[layer, unit].save(path)
    return drawn


def family_rows(rows: list[dict[str, Any]], pictures: dict[str, dict[tuple[str, int], Image.Image]]) -> Image.Image:
    """Families as blocks, networks as rows, units as columns, as in the article's figure."""
    names = list(pictures)
    width, block = LEFT + COLUMNS * (CELL + GAP), 34 + len(names) * (CELL + GAP)
    sheet = Image.new("RGB", (2 * width + 32, -(-len(SHOWN) // 2) * (block + 14)), "white")
    paint = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(20), ImageFont.load_default(13)
    for index, family in enumerate(SHOWN):
        left, top = index % 2 * (width + 24) + 8, index // 2 * (block + 14) + 6
        paint.text((left, top), family, INK, large)
        for place, name in enumerate(names):
            row = next(one for one in rows if one["network"] == name and one["family"] == family)
            y = top + 32 + place * (CELL + GAP)
            paint.text((left, y + 14), name, INK, ImageFont.load_default(14))
            said = f"{row['layer']}, {row['depth_percent']:.0f} %"
            chance = f"{row['count']} units, {row['by_chance']:.1f} by chance"
            for line, text in enumerate((said, chance) if row["found"] else ("not found", chance)):
                paint.text((left, y + 34 + 17 * line), text, GRAY, small)
            if not row["found"]:
                continue
            for column, unit in enumerate(spread(np.array(row["units"]), COLUMNS).tolist()):
                picture = pictures[name].get((row["layer"], unit))
                if picture is not None:
                    x = left + LEFT + column * (CELL + GAP)
                    sheet.paste(picture.convert("RGB").resize((CELL, CELL), Image.Resampling.LANCZOS), (x, y))
    return sheet


def depth_maps(rows: list[dict[str, Any]]) -> Image.Image:
    """The map of every pair, by one-to-one matches, on one scale, axes in percent of depth."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    columns = min(5, len(rows))
    lines = -(-len(rows) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(3 * columns, 3.1 * lines), squeeze=False, layout="constrained")
    for axis in axes.ravel()[len(rows) :]:
        axis.axis("off")
    most = max(np.max(row["scores"]["hard"]["value"]) for row in rows)
    for axis, row in zip(axes.ravel(), rows):
        values = np.array(row["scores"]["hard"]["value"])
        shown = axis.imshow(values, cmap="Blues", vmin=0, vmax=most, origin="lower", aspect="auto")
        axis.plot(values.argmax(1), np.arange(len(values)), ".", color="#e4572e", markersize=7)
        for which, (ticks, label) in enumerate(
            ((axis.set_yticks, axis.set_ylabel), (axis.set_xticks, axis.set_xlabel))
        ):
            depths = np.array(row["depths"][which])
            at = np.linspace(0, len(depths) - 1, min(5, len(depths))).round().astype(int)
            ticks(at, [f"{100 * depths[i]:.0f}" for i in at], fontsize=7)
            label(f"{row['networks'][which]}, % of depth", fontsize=8)
        chance = np.max(row["scores"]["hard"]["shuffled"])
        axis.set_title(f"at most {values.max():.2f}, by chance {chance:.2f}", fontsize=8)
    figure.colorbar(shown, ax=axes, shrink=0.6, label="mean correlation of one-to-one matches")
    figure.canvas.draw()
    image = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3].copy())
    plt.close(figure)
    return image
