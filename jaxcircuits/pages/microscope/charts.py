"""Plots as inline SVG: histograms, tuning curves, the trunk. Colors and text sizes are the page's."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from jaxcircuits.pages.microscope.views import Curve, Histogram


def short(value: float | None) -> str:
    """A number as pages print it: three digits that count."""
    if value is None or not math.isfinite(value):
        return "?"
    if value and (abs(value) >= 1e5 or abs(value) < 1e-3):
        return f"{value:.1e}".replace(".0e", "e").replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
    text = f"{value:.3g}"
    return f"{float(text):g}"


def percent(share: float | None) -> str:
    """A share from 0 to 1, in percent."""
    if share is None or not math.isfinite(share):
        return "?"
    value = 100 * share
    return f"{value:.0f} %" if value >= 10 or not value else f"{value:.2g} %"


def histogram(h: Histogram, bounds: Sequence[tuple[float, float]] = ()) -> dict:
    """Bars of equal width and logarithmic height, for the template.

    Args:
      h: counts by interval; intervals that double are an axis that doubles.
      bounds: of the intervals that examples were taken from, marked below the bars.

    Returns:
      Bars as (x, y, width, height, words) in a box of 640 by 150, the labels below, and marks.
    """
    edges, counts = np.asarray(h.edges, np.float64), np.asarray(h.counts, np.float64)
    top, total, step = math.log1p(max(counts.max(), 1)), max(counts.sum(), 1), 640 / len(counts)

    def x(value: float) -> float:
        return step * float(np.interp(value, edges, np.arange(len(edges))))

    bars = []
    for i, n in enumerate(counts):
        if n > 0:
            height = max(150 * math.log1p(n) / top, 1)
            words = f"{short(edges[i])} to {short(edges[i + 1])}: {int(n)} ({percent(n / total)})"
            bars.append(
                (round(step * i + 0.5, 1), round(150 - height, 1), round(max(step - 1, 1), 1), round(height, 1), words)
            )
    every = max(round(len(edges) / 9), 1)
    ticks = [(round(step * i, 1), short(edges[i])) for i in range(0, len(edges), every)]
    marks = [(round(x(a), 1), round(max(x(b) - x(a), 3), 1), i + 1) for i, (a, b) in enumerate(bounds)]
    powers = [
        (round(150 - 150 * math.log1p(10**k) / top, 1), _power(k)) for k in (0, 2, 4, 6, 8, 10) if 10**k < counts.max()
    ]
    return {"bars": bars, "ticks": ticks, "marks": marks, "powers": powers, "of": h.of}


def curve(c: Curve) -> dict:
    """A tuning curve, for the template: around a circle where it is an angle, else along a line."""
    x, y = np.asarray(c.x, np.float64), np.asarray(c.y, np.float64)
    spread = np.zeros_like(y) if c.spread is None else np.asarray(c.spread, np.float64)
    most = float(np.nanmax(np.abs(y) + spread, initial=0)) or 1.0
    best = int(np.nanargmax(y)) if np.isfinite(y).any() else 0
    said = f"{c.title}: largest answer {short(y[best])} at {short(x[best])} {c.unit}".strip()
    if c.around:
        angle = 2 * np.pi * x / c.around
        radius = 84 * np.clip(y, 0, None) / most
        points = np.stack([110 + radius * np.cos(angle), 110 - radius * np.sin(angle)], 1)
        labels = [
            (round(110 + 98 * math.cos(t)), round(110 - 98 * math.sin(t)), short(c.around * t / (2 * math.pi)))
            for t in np.arange(4) * np.pi / 2
        ]
        return {"round": True, "points": _points(points), "labels": labels, "said": said, "most": short(most)}
    low = min(float(np.nanmin(y - spread, initial=0)), 0.0)
    span = most - low or 1.0
    across = (x - x.min()) / (np.ptp(x) or 1.0)
    points = np.stack([44 + 250 * across, 150 - 136 * (y - low) / span], 1)
    band = np.concatenate([points, points[::-1]])
    band[: len(x), 1] -= 136 * spread / span
    band[len(x) :, 1] += 136 * spread[::-1] / span
    ticks = [(round(44 + 250 * (t - x.min()) / (np.ptp(x) or 1), 1), short(t)) for t in _ticks(x.min(), x.max())]
    zero = round(150 + 136 * low / span, 1)
    return {
        "round": False,
        "points": _points(points),
        "band": _points(band) if c.spread is not None else "",
        "ticks": ticks,
        "zero": zero,
        "said": said,
        "most": short(most),
    }


def trunk(stages: Sequence[tuple[str, tuple[int, ...]]], size: tuple[int, int], channels: int = 3) -> dict:
    """The trunk to scale, for the template: a slab for each layer, as high as its map and as wide as its units.

    Heights are in proportion to the square root of the side of a layer's map, widths to that of its number of units.
    """
    high = 190.0
    shapes = [("input", (*size, channels)), *stages]
    tallest = max(shape[0] if len(shape) > 1 else 1 for _, shape in shapes)
    widest = max(math.sqrt(shape[-1]) for _, shape in shapes)
    slabs, x = [], 16.0
    for name, shape in shapes:
        side = shape[0] if len(shape) > 1 else 1
        height = max(high * math.sqrt(side / tallest), 6)
        width = max(44 * math.sqrt(shape[-1]) / widest, 5)
        step = max(width, 58)
        slabs.append(
            {
                "name": name,
                "x": round(x + (step - width) / 2, 1),
                "middle": round(x + step / 2, 1),
                "y": round(20 + (high - height) / 2, 1),
                "width": round(width, 1),
                "height": round(height, 1),
                "map": " x ".join(map(str, shape[:-1])) or "1",
                "channels": shape[-1],
            }
        )
        x += step + 14
    return {"slabs": slabs, "width": round(x + 2, 1), "height": high + 78}


def _points(points: np.ndarray) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in np.nan_to_num(points))


def _power(k: int) -> str:
    return {0: "1", 2: "100", 4: "10⁴", 6: "10⁶", 8: "10⁸", 10: "10¹⁰"}[k]


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between two ends, four to eight of them."""
    # Where they are the same number but for rounding, no round ones lie between.
    if not math.isfinite(high - low) or high - low <= 1e-9 * max(abs(low), abs(high), 1e-30):
        return [low] if math.isfinite(low) else []
    raw = (high - low) / 5
    scale = 10.0 ** math.floor(math.log10(raw))
    step = next(scale * m for m in (1, 2, 2.5, 5, 10) if scale * m >= raw)
    first = math.ceil(low / step - 1e-9)
    return [step * i for i in range(first, math.floor(high / step + 1e-9) + 1)]
