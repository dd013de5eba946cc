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

NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
NAME = re.compile(r"\b[A-Za-z_]\w*(?:[-:.]\w+)*|\b\d+x\d+(?:x\d+)*\b")
"""Names that hold digits, such as mixed4b:389, and sizes of windows and pictures."""
WORD = re.compile(
    r"\b(?:four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundreds?|thousands?|millions?|dozen|"
    r"half|halves|thirds?|quarters?|fifths?|sixths?|eighths?|tenths?)\b",
    re.IGNORECASE,
)
CODE = re.compile(r"`([^`]*)`")
NO_PROSE = re.compile(r"```.*?```|^ {4,}\S[^\n]*$|\]\([^)]*\)|^\|[-| ]*\|$", re.DOTALL | re.MULTILINE)
"""Code, addresses, and the rule below a table's head."""

SETTINGS = {
    "README.md": (
        "(95 % intervals)", "[0, 1]", "[-1, 1]", "Keras 3,", "28 x 28", "(64 bits,", "What 32 units", "SqueezeNet 1.1,",
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
        "5th to 95th percentile", "in shuffles, 5th", "below 0.05", "50 % by chance", "each, 95 % intervals of Wilson",
    ),
    "drawing.md": ("3D", "4 crops a step", "steps 0 to", "counts as 0,"),
    "examples.md": (
        "and 16 bits", "four to a factor of two, from 2^-24 to 2^24 on either side of 0", "above 0", "2018)",
        "in shares of 256 or more",
    ),
    "universality.md": (
        "claim 3 of", "Claim 3 of", "2015;", "2023)", "2019)", "in float32", "in float64", "95th percentile",
        "with 1 added", "below 0.05", "below 0.001", "1979)",
    ),
    "tuning.md": (
        "(Holm, 1979)", "at most 0.05", "95 % bootstrap", "(4: over", "7: over", "in [0, 1]", "every multiple of 30°",
        "0.5, 0.71, 1.41 and 2 times the size", "counts as 0",
        "95th percentile", "0.7 times as well", "| 1 drawing", "| 2 examples", "| 3 synthetic", "| 4 joint",
        "| 5 implementation", "| 6 use", "| 7 by hand",
    ),
    "meanings.md": (
        "Hartigan, 1985)", "at most 0.05", "Hochberg (1995)", "p <= 0.05", "at length 1", "2024)", "2021)", "2020)",
        "1.5 times as well", "95 %", "within 45°",
        "article's 15 units",
        "turned by 20°", "0 for an exponential", "0 in the", "would hold 0:", "0 by chance", "1 minus the cosine",
    ),
    "microscope.md": (
        "2,000 scenes", "above 0", "2020)", "6 by default", "at most 16 MiB", "28 units of", "12 examples of",
    ),
    "how_we_know.md": ("below 0.05", "1993)", "1979; 1,000 resamples", "95 % interval", "Wilson (1927)"),
}  # fmt: skip
"""Phrases in which a template may write a number itself: settings, names, years, levels; nothing measured."""

WORDS = {
    "README.md": (
        "thousands of units", "Thousands of units", "in four layers", "eight numbers", "draws twelve units",
        "a quarter of the channels", "eight orientations", "the seven arguments", "half the steps",
    ),
    "circuits.md": (
        "at least a third as strongly", "half select units", "half measure them", "half a standard deviation",
        "half of one", "half height", "less than half of their response",
    ),
    "drawing.md": ("half the steps", "every third is shown", "Four seeds", "four pictures", "four seeds", "Six "),
    "examples.md": ("at least half of",),
    "meanings.md": ("two, three and four clusters", "less than a tenth of the pictures", "a quarter smaller"),
    "microscope.md": (
        "The third command", "half as many from each octave", "the seven arguments", "[seven arguments", "four layers",
        "four classes",
    ),
    "tuning.md": (
        "seven arguments", "Seven arguments", "are seven tests", "all seven values", "at least four units",
        "an eighth of the", "at least a third as strongly", "over a third of", "once in four times",
    ),
    "universality.md": (
        "from four networks", "the five best matches", "at least a third as strong", "half as strong",
        "half of the pictures", "the other half", "at least half of the largest share",
    ),
}  # fmt: skip
"""Likewise in words."""

PLAIN = (0, 1, 2, 3, 100, 0.05)
"""Numbers that expressions may calculate with: places, digits to round to, percent, the level of tests."""


def numbers_of_its_own(template: str, text: str) -> list[str]:
    """Numbers of a template with what is around them, in digits or words, that no expression or setting brings."""
    written = re.sub(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", "…", text, flags=re.DOTALL)
    # What is set as code is some, unless it is nothing but a number.
    written = CODE.sub(lambda span: " " if re.search("[A-Za-z]", span[1]) else span[1], NO_PROSE.sub(" ", written))
    prose = re.sub(r"\s+", " ", written)
    for phrase in (*SETTINGS.get(template, ()), *WORDS.get(template, ())):
        prose = prose.replace(phrase, "")
    named = NAME.sub(lambda name: name[0] if WORD.fullmatch(name[0]) else " ", prose)
    return [named[max(0, one.start() - 30) : one.end() + 30] for kind in (NUMBER, WORD) for one in kind.finditer(named)]


@pytest.mark.parametrize("template", pages.templates())
def test_pages_are_what_their_templates_and_results_make(template):
    assert pages.page_of(template).read_text() == pages.render(template), (
        f"run `python docs/render.py {template.removesuffix('.md')}`; change docs/templates/{template}, not the page"
    )


@pytest.mark.parametrize("template", pages.templates())
def test_every_number_is_a_results_or_a_setting(template):
    """What is left of a template without its expressions has no numbers but those named above."""
    assert not numbers_of_its_own(template, (pages.TEMPLATES / template).read_text())


def arguments_of(node: nodes.Node) -> list[nodes.Const]:
    """Constants of a comparison, or of a filter's arguments, not of what it is applied to."""
    parts = node.args if isinstance(node, nodes.Filter) else [node]
    return [one for part in parts for one in [part, *part.find_all(nodes.Const)] if isinstance(one, nodes.Const)]


def numbers_in_expressions(text: str) -> list[str]:
    """Parts of a page that show no result's value, or that calculate with numbers other than small whole ones and 100.

    A number that something is compared with decides what is shown, and is not shown itself.
    """
    found = []
    for output in pages.environment().parse(text).find_all(nodes.Output):
        for part in (part for part in output.nodes if not isinstance(part, nodes.TemplateData)):
            if not (part.find(nodes.Name) or isinstance(part, nodes.Name)):
                found.append(f"line {part.lineno}: no result")
            # What something is compared with, by an operator or a filter, and how far a list is shown.
            choosing = [*part.find_all((nodes.Compare, nodes.Slice))]
            choosing += [one for one in part.find_all(nodes.Filter) if one.name in ("selectattr", "rejectattr")]
            allowed = {id(one) for kind in choosing for one in arguments_of(kind)}
            numbers = [one.value for one in part.find_all(nodes.Const) if id(one) not in allowed]
            found += [f"line {part.lineno}: {n}" for n in numbers if isinstance(n, (int, float)) and n not in PLAIN]
    return found


@pytest.mark.parametrize("template", pages.templates())
def test_expressions_take_their_numbers_from_results(template):
    """An expression made of numbers and strings would be a way round."""
    assert not numbers_in_expressions((pages.TEMPLATES / template).read_text())


@pytest.mark.parametrize(
    "claim",
    [
        *(
            "accuracy of 84.6 %",
            "p 0.03",
            "1,234 pairs",
            "a gap of 36°",
            "| 2.1 | x |",
            "twelve (12)",
            "3e-6",
            "3x faster",
        ),
        *(
            "27x",
            "16GB",
            "12ms",
            "1.6s",
            "5-10 units",
            "10/20 units",
            "r=.97",
            "`0.97` of them",
            "n=5",
            "p<0.01",
            "5\u201310",
        ),
        *("a third of them", "seven edits", "half as fast", "#1", "| 3/4 |", "84.6%", "36degrees"),
    ],
)
def test_a_number_of_ones_own_is_found(claim):
    """So that the tests above can fail."""
    assert numbers_of_its_own("circuits.md", f"{claim} {{{{ slide.accuracy }}}}")


@pytest.mark.parametrize(
    "name",
    ["mixed4b:389", "1x1", "conv2d2", "inceptionv1-2015", "InceptionV1", "`x[48]`", "turned by 180°", "one or two"],
)
def test_names_and_settings_are_no_numbers(name):
    assert not numbers_of_its_own("circuits.md", f"{name} {{{{ 1 / slide.accuracy }}}}")


@pytest.mark.parametrize("expression", ["0.97", "'0.97'", "0.97 + 0 * slide.accuracy", "slide.accuracy * 1.1"])
def test_a_number_in_an_expression_is_found(expression):
    assert numbers_in_expressions(f"{{{{ {expression} }}}}")
    assert not numbers_in_expressions("{{ 100 * slide.accuracy }} {{ 'few' if slide.accuracy < 0.05 else 'many' }}")


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
