"""The gallery draws its entries and is one file that fetches nothing."""

import re

import pytest

import jaxcircuits as jc
from jaxcircuits import InputError
from jaxcircuits.pages.gallery import ENTRIES, draw_gallery
from jaxcircuits.vis import Jitter, Pad
from support.browser import Browser
from support.data import ROOT

WANTED = {"tensor_direction", "L1", "diversity", "accentuation", "RGBA", "relevance", "CAPTUM", "Elastic"}


@pytest.mark.slow
def test_a_gallery():
    sections = {title: [e for e in entries if e.name in WANTED] for title, entries in ENTRIES.items()}
    recipe = jc.Recipe(size=40, steps=2, transforms=(Pad(2), Jitter(4)))
    page = draw_gallery(jc.load("slide"), "conv2d2", "conv2d1", [1, 2, 3], recipe, sections)
    assert page.count("<figure") == len(WANTED) + 1
    assert page.count('<img src="data:image/webp;base64,') == len(WANTED) + 1 + 3  # diversity has four
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert len(page) < 2e6


def test_a_network_without_logits_has_no_gallery():
    network = jc.Network.from_function(lambda _, x: {"halved": x / 2, "doubled": 2 * x}, {})
    with pytest.raises(InputError, match="no logits"):
        draw_gallery(network, "halved", "halved", [0, 1, 2], jc.Recipe(size=8, steps=1))


def test_the_gallery_of_the_docs_fits_a_phone(tmp_path):
    browser = Browser(tmp_path / "profile")
    try:
        browser.resize(390, 844, mobile=True)
        browser.open(ROOT / "docs" / "gallery.html")
        assert browser.evaluate("document.documentElement.scrollWidth") <= 390
    finally:
        browser.close()
