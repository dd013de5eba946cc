"""Random views that a picture must survive.

A transform is data: a frozen, hashable dataclass without arrays, which a recipe holds in JSON. It works on one picture
(H, W, C) of any number of channels with one key, and its view has a size that follows from its numbers alone, so
nothing recompiles from step to step. A tuple of transforms is applied in order by `random_view`.

**Folding.** Every run of consecutive geometric transforms is one bilinear interpolation. Each of them says where the
points of its view lie in its input; the last one is asked first, and the picture is sampled where the first one ends
up. So content is blurred once, however long the chain, and nothing that one transform moved past its edge is lost to
the next: what lies around a picture is mid-grey, 0.5, without end. Where all of a run are affine (all but `Homography`
and `Elastic`) and do not enlarge much, they are one matrix, whose gradient is a gather too; else the gradient is a
scatter, which costs on two cores, at 128 px, about ??? ms a picture instead of ???.

**Lucid.** `LUCID` draws from the distributions of Lucid's `standard_transforms` and deviates from it in four ways:

* each picture has draws of its own, where Lucid draws once a step for the whole batch;
* scaling zooms within a canvas of fixed size (140 px for a picture of 128), where Lucid's view changes size with the
  scale (125 to 154 px); the scale of the content is the same, the outermost cells that the network sees differ;
* everything outside the picture is the grey of the padding, where Lucid's rotation fills corners with black;
* one bilinear interpolation, where Lucid interpolates twice (scaling, rotation): slightly sharper.

**Captum.** `CAPTUM` is the defaults of Captum's `TransformationRobustness` (its branch for optimization): padding of 2,
ten jitters of 4 px either way, one of 85 scales 0.995^n and twice 20 scales 0.998^n (n from -5 to 79 and from 20 to
39), one of 75 angles, a jitter of 2 px. It deviates as `LUCID` does, and in three more ways:

* the canvas is always 4 px larger than the picture (132 px for 128), where Captum's shrinks with the scale (to 88 px):
  the content is as small, with grey around it;
* jitters bring in grey, where Captum's bring in the picture mirrored at its edge;
* jitters are symmetric, from -4 to 4 px, where Captum's go from -4 to 3 and so drift by 5 px in all.

**MACO.** `MACO` is the views of Fel et al., 2023, with the numbers of the authors' Xplique, but for two: boxes are
measured from pixel edges, not from pixel centres (half a percent at 224 px), and the noise, there in a range of values
that is 2 wide by default, is the same number in a range that is 1 wide, as in the article's code for [0, 1]. Draw
several views a step for it.
"""

from jaxcircuits.vis.transforms.base import AffineMap, Geometric, Photometric, Transform
from jaxcircuits.vis.transforms.geometric import (
    Affine,
    Crop,
    Elastic,
    Flip,
    Homography,
    Jitter,
    Pad,
    Rotate,
    Scale,
)
from jaxcircuits.vis.transforms.photometric import Blur, Color, Noise
from jaxcircuits.vis.transforms.presets import CAPTUM, LUCID, MACO
from jaxcircuits.vis.transforms.view import random_view, view_size

TRANSFORMS: tuple[type[Transform], ...] = (
    Pad,
    Jitter,
    Scale,
    Rotate,
    Affine,
    Flip,
    Crop,
    Homography,
    Elastic,
    Blur,
    Noise,
    Color,
)
"""All transforms, for whatever reads them by name."""

__all__ = [
    "CAPTUM",
    "LUCID",
    "MACO",
    "TRANSFORMS",
    "Affine",
    "AffineMap",
    "Blur",
    "Color",
    "Crop",
    "Elastic",
    "Flip",
    "Geometric",
    "Homography",
    "Jitter",
    "Noise",
    "Pad",
    "Photometric",
    "Rotate",
    "Scale",
    "Transform",
    "random_view",
    "view_size",
]
