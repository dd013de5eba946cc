"""The sets of transforms of published recipes."""

from __future__ import annotations

from jaxcircuits.vis.transforms.base import Transform
from jaxcircuits.vis.transforms.geometric import Crop, Jitter, Pad, Rotate, Scale
from jaxcircuits.vis.transforms.photometric import Noise

LUCID: tuple[Transform, ...] = (
    Pad(12),
    Jitter(8),
    Scale(tuple(1 + (i - 5) / 50 for i in range(11))),
    Rotate((*range(-10, 11), 0, 0, 0, 0, 0)),
    Jitter(4),
)
"""Lucid's `standard_transforms`: scales 0.90 to 1.10, -10 to 10 degrees with 0 six times as likely as the others."""

CAPTUM: tuple[Transform, ...] = (
    Pad(2 + 10 * 4),
    Jitter(8, times=10),
    Scale((*(0.995**n for n in range(-5, 80)), *2 * [0.998**n for n in range(20, 40)])),
    Rotate((*range(-20, 20), *range(-10, 10), *range(-5, 5), 0, 0, 0, 0, 0)),
    Pad(2),
    Jitter(4),
)
"""Captum's `TransformationRobustness`: shifts of about 8 px, scales 0.67 to 1.03, -20 to 19 degrees, mostly small."""

MACO: tuple[Crop, Noise] = (Crop(view=224), Noise(normal=0.08, uniform=0.08))
"""MACO's views: boxes from half the picture's side down to a twentieth, as the 224 px of ImageNet's networks.

Take `Crop(view=n)` for a network of another size.
"""
