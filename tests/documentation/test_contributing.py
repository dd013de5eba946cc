"""The document on how one adds things: its programs run, and the places that it names are there."""

import importlib.util
import re

import numpy as np

from support.data import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text()


def test_its_programs_run():
    """One after the other, as a reader would; that on PyTorch's table where PyTorch is installed."""
    blocks = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    names = {"__name__": "contributed"}
    for block in blocks:
        if ".torch " not in block or importlib.util.find_spec("torch"):
            exec(compile(block, "CONTRIBUTING.md", "exec"), names)
    rendering = names["rendering"]
    assert rendering.images.shape == (1, 32, 32, 3) and np.isfinite(rendering.scores).all()
    assert np.ptp(rendering.images, axis=1).max() == 0 and np.ptp(rendering.images) > 0
    assert '"contributed:Fog"' in names["recipe"].to_json()
    assert len(blocks) == 4


def test_the_places_that_it_names_are_there():
    quoted = re.findall(r"`([\w/]+(?:\.py|/))`", TEXT)
    assert len(quoted) > 8
    for place in quoted:
        if "FRAMEWORK" not in place and place not in ("module.py", "names.py", "entry.py"):
            assert (ROOT / place).exists() or (ROOT / "jaxcircuits" / place).exists(), place
    for file in ("module.py", "names.py", "entry.py"):
        assert (ROOT / "jaxcircuits" / "zoo" / "squeezenet" / file).exists()
