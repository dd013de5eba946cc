"""Records that several tests of bulk look at."""

import numpy as np
import pytest

import jaxcircuits as jc
from support.drawn import draw
from support.exact import LAYERS
from support.recorded import exact, made


@pytest.fixture(scope="module")
def slide():
    return jc.load("slide")


@pytest.fixture(scope="module")
def drawn(slide, tmp_path_factory):
    """Six units of conv2d1, in shards of three, undisturbed."""
    out = tmp_path_factory.mktemp("drawn")
    before, (sheet,) = draw(slide, out, range(6))
    assert before == 0 and sheet == out / "slide" / "conv2d1" / "sheet.png"
    return out / "slide"


@pytest.fixture(scope="module")
def examples_alone(tmp_path_factory):
    """All files of a pass that nothing disturbed."""
    out = tmp_path_factory.mktemp("alone")
    made("examples", exact(), out, LAYERS)
    return out


@pytest.fixture(scope="module")
def recorded(slide, tmp_path_factory):
    """Records of three layers of the network in the box, of every product some."""
    out = tmp_path_factory.mktemp("records")
    pictures = np.random.default_rng(0).uniform(size=(20, 48, 48, 3)).astype(np.float32)
    made("drawings", slide, out, ["conv2d0", "conv2d1"])
    made("examples", slide, out, ["conv2d1", "conv2d2"], pictures=pictures, batch_size=None)
    made("wiring", slide, out, ["conv2d0", "conv2d1"])
    return out
