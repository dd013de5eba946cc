"""Pages of what comes from others: numbers of any size, names that are no text."""

import os

import pytest

from jaxcircuits.pages.microscope.charts import _ticks
from jaxcircuits.pages.microscope.site import write_text


@pytest.mark.parametrize("ends", [(0.0, 5e-324), (-1e308, 1e308), (1.0, 1 + 1e-15), (0.0, 0.0), (2.0, 10.0)])
def test_ticks_of_any_ends(ends):
    """Few numbers between the ends, whatever the ends are: those of curves come from files."""
    ticks = _ticks(*ends)
    assert len(ticks) <= 9 and all(ends[0] - 1e-9 <= tick <= ends[1] * (1 + 1e-9) + 1e-9 for tick in ticks)


def test_names_that_are_no_text_are_spelled_out(tmp_path):
    """A picture's name may hold bytes that are no UTF-8; its page is written all the same."""
    write_text(tmp_path / "page.html", os.fsdecode(b"caf\xe9.png"))
    assert (tmp_path / "page.html").read_text() == "caf\\udce9.png"
