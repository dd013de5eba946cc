"""What of a picture a unit reads, at the file's own resolution, and where in it the unit fires."""

import itertools

import numpy as np
import pytest
from PIL import Image

import jaxcircuits as jc
from jaxcircuits import evidence
from jaxcircuits.errors import InputError
from jaxcircuits.evidence import crops
from support.exact import exact_network, plain_activations, world


def test_a_crop_is_what_the_unit_reads_at_the_files_own_resolution(tmp_path):
    """A file twice as large as it is shown, with one bright cell; the strongest crop is that of its surroundings."""
    network = exact_network()
    picture = np.full((12, 20, 3), 40, np.uint8)
    picture[4:6, 9:11] = 250
    Image.fromarray(picture).save(tmp_path / "one.png")
    pictures = jc.open_pictures(tmp_path)
    # 12 x 20 is cropped to 12 x 14 for 6 x 7 cells, from column 3 on; the bright square is cell (2, 3).
    examples = evidence.examples(network, pictures, "signed", 1)
    assert crops.field(network, "signed", (2, 3), (6, 7)) == (1, 2, 4, 5)
    shown = crops.crop(pictures, 0, (1, 2, 4, 5), (6, 7))
    np.testing.assert_array_equal(shown, picture[2:8, 7:13] / np.float32(255))
    # At a corner it is moved inside, and a layer without positions reads all.
    assert crops.field(network, "signed", (0, 6), (6, 7)) == (0, 4, 3, 7)
    assert crops.field(network, "logits", (0, 0), (6, 7)) == (0, 0, 6, 7)
    sheet = np.asarray(crops.sheet(network, examples, pictures, "signed", 0))
    row, column = examples["signed"].places[0, 0]
    part = crops.field(network, "signed", (row, column), (6, 7))
    cut = Image.fromarray((crops.crop(pictures, 0, part, (6, 7)) * 255).astype(np.uint8))
    resized = np.asarray(cut.resize((112, 112), Image.Resampling.BICUBIC), int)
    # Alike but for the line around where it fires, and what is dark beside it.
    marked = (np.abs(sheet[6:118, 6:118] - resized) > 1).any(-1)
    assert 0 < marked.mean() < 0.2
    array = np.linspace(0, 1, 6 * 7 * 3).reshape(1, 6, 7, 3).astype(np.float32)
    np.testing.assert_array_equal(crops.crop(jc.open_pictures(array), 0, (1, 2, 4, 5), (6, 7)), array[0, 1:4, 2:5])
    with pytest.raises(InputError, match="not those that were shown"):
        crops.sheet(network, evidence.examples(network, array.repeat(2, 0), "signed"), pictures, "signed", 0)


@pytest.mark.parametrize("layer", ["signed", "fires"])
def test_where_a_unit_fires_is_its_map_in_the_pictures_pixels(layer):
    """At the centers of the cells' windows the heat is the map over the value of the cell that is shown."""
    network, (pictures, _) = exact_network(), world()
    found = evidence.examples(network, pictures, layer, 3)[layer].strongest
    maps = plain_activations(pictures)[layer]
    views = crops.views(network, jc.open_pictures(pictures), layer, 1, found.pictures[1], found.places[1], (6, 7))
    for view, number, (row, column) in zip(views, found.pictures[1], found.places[1]):
        top, left, bottom, right = crops.field(network, layer, (row, column), (6, 7))
        assert view.value == maps[number, row, column, 1] > 0
        pixels = view.heat.shape[0] / (bottom - top), view.heat.shape[1] / (right - left)
        for i, j in itertools.product(range(top, bottom), range(left, right)):
            # A cell of this layer is a pixel of the picture; between two pixels of the view lies its center.
            y, x = ((i - top + 0.5) * pixels[0], (j - left + 0.5) * pixels[1])
            around = view.heat[int(y - 0.5) : int(y + 1), int(x - 0.5) : int(x + 1)].mean()
            assert around == pytest.approx(max(maps[number, i, j, 1] / view.value, 0), abs=0.1)
        outlined = crops.outlined(view)
        inside = view.heat >= crops.LEVEL
        drawn = (outlined == np.float32(crops.LINE)).all(-1)
        assert not drawn[~inside].any() and (drawn.any() or inside.all())
    (whole,) = crops.views(network, jc.open_pictures(pictures), "logits", 0, [3], np.zeros((1, 2), int), (6, 7))
    assert not whole.heat.any()
