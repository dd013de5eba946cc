"""Random views that a picture must survive.

A transform is data: a frozen, hashable dataclass without arrays, which a recipe holds in JSON. It works on one picture
(H, W, C) of any number of channels with one key, and its view has a size that follows from its numbers alone, so
nothing recompiles from step to step. A tuple of transforms is applied in order by `random_view`.

**Folding.** Every run of consecutive geometric transforms is one bilinear interpolation. Each of them says where the
points of its view lie in its input; the last one is asked first, and the picture is sampled where the first one ends
up. So content is blurred once, however long the chain, and nothing that one transform moved past its edge is lost to
the next: what lies around a picture is mid-gray, 0.5, without end. A photometric transform ends a run.

On TPUs, whose gathers are slow, an affine run is two passes of interpolation along one axis each instead, by products,
where none of its draws turns too far (`products.py`): the same draws, the same gray, the same blur, another way to it.

Elsewhere, where all of a run are affine (all but `Homography` and `Elastic`) and enlarge less than 2.5 times, they are
one matrix, whose gradient is a gather; else the gradient is a scatter. Milliseconds for the gradient of a picture of
128 px on two cores: `LUCID` 0.10 by gathering and 1.1 by scattering, `CAPTUM` 0.19, `Homography` 0.6, `Elastic` 2.3;
`MACO`'s crops to 224 px 2.5, and 3.8 from 512 px.

**Lucid.** `LUCID` draws from the distributions of Lucid's `standard_transforms` and deviates from it in four ways:

* each picture has draws of its own, where Lucid draws once a step for the whole batch;
* scaling zooms within a canvas of fixed size (140 px for a picture of 128), where Lucid's view changes size with the
  scale (125 to 154 px); the scale of the content is the same, the outermost cells that the network sees differ;
* everything outside the picture is the gray of the padding, where Lucid's rotation fills corners with black;
* one bilinear interpolation, where Lucid interpolates twice (scaling, rotation): slightly sharper.

**Captum.** `CAPTUM` is the defaults of Captum's `TransformationRobustness` (its branch for optimization): padding of 2,
ten jitters of 4 px either way, one of 85 scales 0.995^n (n from -5 to 79) and twice 20 scales 0.998^n (n from 20 to
39), one of 75 angles (-20 to 19, -10 to 9, -5 to 4, five times 0), a jitter of 2 px. It deviates as `LUCID` does, and
in three more ways:

* the canvas is always 4 px larger than the picture (132 px for 128), where Captum's shrinks with the scale (to 88 px):
  the content is as small, with gray around it;
* jitters bring in gray, where Captum's bring in the picture mirrored at its edge;
* jitters are symmetric, from -4 to 4 px, where Captum's go from -4 to 3 and so drift by 5 px in all.

**MACO.** `MACO` is the views of Fel et al., 2023, with the numbers of the authors' Xplique. It deviates in two ways:

* noise of 0.08 is added to values in [0, 1], where Xplique's default range is [-1, 1]: here it is twice as strong;
* boxes are measured from edge to edge, where Xplique's go from pixel center to pixel center (half a percent at 224 px).

Several views a step belong to it; they are a field of the recipe.
"""

from jaxcircuits.vis.parts import own_parts
from jaxcircuits.vis.transforms.base import AffineMap, Geometric, Photometric, Transform
from jaxcircuits.vis.transforms.geometric import (
    Affine,
    Crop,
    Elastic,
    Flip,
    Homography,
    Jitter,
    Native,
    Pad,
    Rotate,
    Scale,
)
from jaxcircuits.vis.transforms.photometric import Blur, Color, Noise
from jaxcircuits.vis.transforms.presets import CAPTUM, LUCID, MACO
from jaxcircuits.vis.transforms.view import random_view, view_size

TRANSFORMS = own_parts(Transform)
"""All of them."""

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
    "Native",
    "Noise",
    "Pad",
    "Photometric",
    "Rotate",
    "Scale",
    "Transform",
    "random_view",
    "view_size",
]
