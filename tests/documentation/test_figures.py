"""Pages that state figures: rendered from their templates, and without a number of their own."""

import importlib.util
import json
import re

import jinja2
import pytest
from jinja2 import nodes

from support.data import ROOT

spec = importlib.util.spec_from_file_location("docs_render", ROOT / "docs" / "render.py")
pages = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pages)

pytestmark = pytest.mark.skipif(
    not all(folder.exists() for folder in pages.RESULTS), reason="the results of examples/ and benchmarks/ are not here"
)

NUMBER = re.compile(r"(?<![\w.,/:#^-])[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?(?![\w/]|[.,]\d)")
NO_PROSE = re.compile(r"```.*?```|`[^`]*`|^ {4,}\S[^\n]*$|\]\([^)]*\)|^\|[-| ]*\|$", re.DOTALL | re.MULTILINE)
"""Code, addresses, and the rule below a table's head."""

SETTINGS = {
    "README.md": (
        "[0, 1]", "[-1, 1]", "Keras 3,", "28 x 28", "(64 bits,", "What 32 units", "SqueezeNet 1.1,",
        "Google's 2015 release",
        "pad 12, jitter 8, scale 0.9 to 1.1, rotate -10 to 10 degrees, jitter 4, Adam 0.05,",
        "always 140 px, where Lucid's view changes its size with the scale (125 to 154 px)",
        "of 1, 2, 4, 8 ... pictures",
        "140 px views", "224 px, the whole network", "480 units by 256 channels",
        "(N, height, width, 3)", "(N, 528)",
        "below 1e-5 at the first layers and 1e-4 at the last",
    ),
    "circuits.md": (
        "Google's 2015 release", "95 % bootstrap interval", "95th percentile",
        "no straight line more than 0.7 times as well",
        "within 30°", "150° to 180° apart", "90° by chance", "turned by 180°",
        "0.6 times as well upside down",
        "5th to 95th percentile", "below 0.05", "50 % by chance",
    ),
    "drawing.md": ("4 crops a step", "steps 0 to", "counts as 0,"),
    "examples.md": (
        "and 16 bits", "four to a factor of two, from 2^-24 to 2^24 on either side of 0", "above 0", "2018)",
        "in shares of 256 or more",
    ),
    "universality.md": (
        "claim 3 of", "Claim 3 of", "2015;", "2023)", "2019)", "in float32", "in float64", "95th percentile",
        "40 times", "with 1 added", "below 0.05", "below 0.001",
    ),
    "tuning.md": (
        "in [0, 1]", "every multiple of 30°", "0.5, 0.71, 1.41 and 2 times the size", "counts as 0",
        "95th percentile", "0.7 times as well", "| 1 drawing", "| 2 examples", "| 3 synthetic", "| 4 joint",
        "| 5 implementation", "| 6 use", "| 7 by hand",
    ),
    "meanings.md": (
        "p <= 0.05", "at length 1", "2024)", "2021)", "2020)", "1.5 times as well", "95 %", "within 45°",
        "article's 15 units",
        "turned by 20°", "0 for an exponential", "0 in the", "would hold 0:", "0 by chance", "1 minus the cosine",
    ),
    "microscope.md": (
        "2,000 scenes", "above 0", "2020)", "6 by default", "at most 16 MiB", "28 units of", "12 examples of",
    ),
    "how_we_know.md": ("below 0.05", "1993)", "1979; 1,000 resamples", "95 % interval"),
}  # fmt: skip
"""Phrases in which a template may write a number itself: settings, names, years, levels; nothing measured."""


def numbers_of_its_own(template: str, text: str) -> list[str]:
    """Numbers of a template with what is around them, that neither an expression nor a setting brings."""
    written = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "…", text, flags=re.DOTALL)
    prose = re.sub(r"\s+", " ", NO_PROSE.sub(" ", written))
    for phrase in SETTINGS.get(template, ()):
        prose = prose.replace(phrase, "")
    return [prose[max(0, one.start() - 30) : one.end() + 30] for one in NUMBER.finditer(prose)]


@pytest.mark.parametrize("template", pages.templates())
def test_pages_are_what_their_templates_and_results_make(template):
    assert pages.page_of(template).read_text() == pages.render(template), (
        f"run `python docs/render.py {template.removesuffix('.md')}`; change docs/templates/{template}, not the page"
    )


@pytest.mark.parametrize("template", pages.templates())
def test_every_number_is_a_results_or_a_setting(template):
    """What is left of a template without its expressions has no numbers but those named above."""
    assert not numbers_of_its_own(template, (pages.TEMPLATES / template).read_text())


@pytest.mark.parametrize("template", pages.templates())
def test_expressions_take_their_numbers_from_results(template):
    """An expression made of numbers and strings alone would be a way round."""
    tree = pages.environment().parse((pages.TEMPLATES / template).read_text())
    for output in tree.find_all(nodes.Output):
        for part in output.nodes:
            if not isinstance(part, nodes.TemplateData):
                assert part.find(nodes.Name) or isinstance(part, nodes.Name), f"{template}, line {part.lineno}"


def test_a_number_of_ones_own_is_found():
    """So that the test above can fail."""
    for claim in ("accuracy of 84.6 %", "p 0.03", "1,234 pairs", "a gap of 36°", "| 2.1 | x |", "twelve (12)", "3e-6"):
        assert numbers_of_its_own("circuits.md", f"{claim} {{{{ slide.accuracy }}}}"), claim
    for name in ("mixed4b:389", "1x1", "conv2d2", "inceptionv1-2015", "InceptionV1", "`48`", "turned by 180°"):
        assert not numbers_of_its_own("circuits.md", f"{name} {{{{ 1 / slide.accuracy }}}}"), name


def test_results_name_their_origin():
    for folder in pages.RESULTS:
        for path in folder.glob("*.json"):
            machine = json.loads(path.read_text())["machine"]
            assert machine["commit"] and machine["versions"], path


@pytest.mark.parametrize("low", [True, False])
def test_pages_bear_other_results(low, monkeypatch):
    """Whatever values a new run brings, the pages can be written: all p-values and shares at one end."""
    real = pages.result.__wrapped__

    def other(name):
        def changed(value, key=""):
            if isinstance(value, dict):
                return {k: changed(v, k) for k, v in value.items()}
            if isinstance(value, list):
                return [changed(v, key) for v in value]
            if isinstance(value, float) and "p_value" in key:
                return 0.01 if low else 1.0
            return value

        return changed(real(name))

    monkeypatch.setattr(pages, "result", other)
    for template in pages.templates():
        assert pages.render(template).startswith(("#", "\n#"))


def test_a_missing_figure_is_said():
    with pytest.raises(jinja2.UndefinedError):
        pages.environment().from_string("{{ slide.no_such_thing }}").render()
    with pytest.raises(FileNotFoundError, match="no_such_result"):
        pages.environment().from_string("{{ result('no_such_result') }}").render()
