"""American spelling, as in JAX: of names, and of what is written."""

import re

import pytest

from support.data import ROOT

PLACES = ("jaxcircuits", "weights_convert", "tests", "docs", "examples", "benchmarks")
KINDS = (".py", ".md", ".html", ".css", ".js", ".json", ".ipynb", ".toml", ".yml")
VERBS = (
    "categor|character|equal|factor|general|initial|linear|local|maxim|memor|minim|normal|optim|organ|parametr|penal|"
    "quant|random|real|recogn|regular|serial|special|standard|summar|synchron|util|vector|visual"
)
BRITISH = re.compile(
    r"colour|centre|centring|grey(?!hound)|licence|neighbour|behaviour|favour|honour|artefact|chequer|towards|"
    r"(?:cancel|label|level|model|signal|travel)l(?:ed|ing)(?![a-z])|analys(?:e|ed|es|ing)(?![a-z])|"
    rf"(?:{VERBS})is(?:e|ed|er|ers|es|ing|ation)(?![a-z])",
    re.IGNORECASE,
)
NOT_PROSE = re.compile(r"[A-Za-z0-9+/=]{200,}|max_colour_error")
"""Pictures in notebooks and pages; a key of a file that others wrote."""


@pytest.mark.parametrize("place", PLACES)
def test_spelling_is_american(place):
    paths = [path for path in (ROOT / place).rglob("*") if path.suffix in KINDS and path.name != "test_spelling.py"]
    assert paths
    texts = {path: NOT_PROSE.sub("", path.read_text()) for path in paths}
    assert [f"{path.relative_to(ROOT)}: {m[0]}" for path, text in texts.items() for m in BRITISH.finditer(text)] == []


@pytest.mark.parametrize("word", ["Colour", "off_centre", "GREY", "optimiser", "labelled", "modelling", "towards"])
def test_british_spelling_is_found(word):
    assert BRITISH.search(f"a {word}, and more")


@pytest.mark.parametrize("word", ["color", "centered", "noise", "raised", "precise", "labelledby", "specialist"])
def test_american_spelling_is_not(word):
    assert not BRITISH.search(f"a {word}, and more")
