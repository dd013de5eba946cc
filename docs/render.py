"""Writes the pages that state figures from their templates, so that no figure in them can differ from a result.

    python docs/render.py            # README.md and docs/*.md
    python docs/render.py circuits   # one page

A template, docs/templates/PAGE.md, is Markdown with Jinja's expressions. `result(name)` is what a program of examples/
or benchmarks/ wrote to its folder of results, `slide` what the training of the network in the box measured. Sentences
that hold for some values only stand under conditions, so results can be renewed and the pages rendered again. Change
the template, not the page: tests/documentation/test_figures.py renders it again and compares, and refuses a number
that is not a result's or a stated setting.
"""

from __future__ import annotations

import functools
import json
import math
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import jaxcircuits as jc  # noqa: E402
from examples.figures import figure  # noqa: E402
from jaxcircuits.p_values import holm  # noqa: E402
from jaxcircuits.universality.found import FEWEST  # noqa: E402
from jaxcircuits.universality.rearranged import more_than_by_chance  # noqa: E402

TEMPLATES = ROOT / "docs" / "templates"
WIDTH = 120
RESULTS = (ROOT / "examples" / "results", ROOT / "benchmarks" / "results")


def page_of(template: str) -> Path:
    """Where a template's page is: README.md at the root, others in docs/."""
    return ROOT / template if template == "README.md" else ROOT / "docs" / template


def templates() -> list[str]:
    """Names of all templates."""
    return sorted(path.name for path in TEMPLATES.glob("*.md"))


def render(template: str) -> str:
    """A page's text.

    Args:
      template: its name, such as `circuits.md`.

    Returns:
      Markdown.

    Raises:
      jinja2.UndefinedError: where a result lacks what the template takes from it.
    """
    text = "\n".join(line.rstrip() for line in environment().get_template(template).render().split("\n"))
    return "\n\n".join(map(wrapped, text.split("\n\n")))


def wrapped(paragraph: str) -> str:
    """A paragraph in lines of at most `WIDTH`; tables, code, lists and what is short enough as they are."""
    lines = paragraph.strip("\n").split("\n")
    if max(map(len, lines)) <= WIDTH or any(line[:1] in "|#!-*> " or line.startswith("```") for line in lines):
        return paragraph
    # A number and its sign stay together.
    text = textwrap.fill(" ".join(lines).replace(" %", "\0%"), WIDTH, break_long_words=False, break_on_hyphens=False)
    text = text.replace("\0%", " %")
    return paragraph.replace("\n".join(lines), text)


def environment() -> jinja2.Environment:
    """What templates are written in."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown from this repository's own files
    )
    filters = (
        ci,
        num,
        signed,
        percent,
        listed,
        count,
        across,
        thousands,
        pluck,
        mean_ci,
        three,
        shares,
        degrees,
        of_scenes,
        corrected,
        left_out,
    )
    made.filters |= {function.__name__: function for function in filters}
    slide = json.loads((ROOT / "jaxcircuits" / "zoo" / "weights" / "slide.json").read_text())
    made.globals |= {
        "result": result,
        "slide": slide,
        "recipe": jc.Recipe,
        "exists": exists,
        "has": has,
        "models": models,
    }
    return made


@functools.cache
def result(name: str) -> dict[str, Any]:
    """A program's result, by the name of its file without `.json`."""
    for folder in RESULTS:
        if (path := folder / f"{name}.json").exists():
            return json.loads(path.read_text())
    raise FileNotFoundError(f"no result {name}.json in {' or '.join(map(str, RESULTS))}")


def has(name: str) -> bool:
    """Whether there is such a result."""
    return any((folder / f"{name}.json").exists() for folder in RESULTS)


def exists(path: str) -> bool:
    """Whether a file of docs/ is there, such as a figure."""
    return (ROOT / "docs" / path).exists()


def models() -> int:
    """How many kinds of models docs/any_model.md has."""
    head = next(line for line in (ROOT / "docs" / "any_model.md").read_text().splitlines() if line.startswith("|"))
    return head.count("|") - 2


def num(value: float, digits: int = 2) -> str:
    """A number, rounded."""
    return f"{value:.{digits}f}"


def degrees(radians: float) -> float:
    """An angle in degrees."""
    return math.degrees(radians)


def of_scenes(share: float, n: int) -> str:
    """A share of n pictures in percent, with its 95 % interval (Wilson, 1927)."""
    z = 1.959964
    middle, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low, high = ((middle + sign * half) / (1 + z * z / n) for sign in (-1, 1))
    return f"{100 * share:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def signed(value: float, digits: int = 2) -> str:
    """A number with its sign."""
    return f"{value:+.{digits}f}"


def percent(value: float, digits: int = 0) -> str:
    """A share in percent, without the sign for it."""
    return f"{100 * value:.{digits}f}"


def thousands(value: int) -> str:
    """A whole number with commas."""
    return f"{value:,}"


def three(value: float) -> str:
    """A number to three digits."""
    return f"{value:.0f}" if value >= 99.95 else f"{value:.3g}"


def shares(values: Iterable[float]) -> str:
    """The least and the largest share, in percent."""
    return across([100 * value for value in values], 1)


def ci(figure: dict[str, Any], digits: int = 2, unit: str = "", scale: float = 1, sign: bool = False) -> str:
    """A figure with its interval and number of samples: 0.48 (0.40 to 0.55; n 8)."""
    low, high = figure["interval"]
    value, low, high = (f"{scale * v:{'+' if sign else ''}.{digits}f}" for v in (figure["value"], low, high))
    return f"{value}{unit} ({low} to {high}; n {figure['n']})"


def mean_ci(values: Sequence[float], digits: int = 2) -> str:
    """The mean with its interval and number."""
    return ci(figure(np.mean, np.array(values), digits=digits + 1), digits)


def corrected(rows: Iterable[dict[str, Any]], key: str = "p_value") -> list[float | None]:
    """The rows' p-values, corrected for all rows that have one (Holm, 1979); None for those without."""
    found = [row.get(key) for row in rows]
    adjusted = iter(holm([value for value in found if value is not None]))
    return [None if value is None else float(next(adjusted)) for value in found]


def left_out(rows: Iterable[dict[str, Any]], level: float = 0.01) -> dict[str, float]:
    """How often rearranged networks have a family, each held against the others: with a p-value below a level, three
    members and more than any other; and of how many, over families in networks."""
    below = total = 0
    for row in rows:
        counts = row["in_each_by_chance"]
        for i, count in enumerate(counts):
            others = tuple(counts[:i] + counts[i + 1 :])
            many = count >= FEWEST and count > max(others)
            below += many and more_than_by_chance(count, row["units_of_layer"], others) < level
            total += 1
    return {"level": level, "below": int(below), "of": total}


def listed(values: Iterable[Any]) -> str:
    """In words: 1, 2 and 3; none."""
    *most, last = map(str, values) if (values := list(values)) else ("none",)
    return f"{', '.join(most)} and {last}" if most else last


def count(values: Sequence[Any]) -> int:
    """How many there are."""
    return len(values)


def pluck(values: Iterable[dict[str, Any]], *path: str | int) -> list[Any]:
    """What lies at a path of keys in each."""
    return [functools.reduce(lambda value, key: value[key], path, one) for one in values]


def across(values: Iterable[float], digits: int = 2) -> str:
    """The least and the largest: 0.16 to 1.01; one number where they are the same."""
    values = list(values)
    low, high = (f"{end:.{digits}f}" for end in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def main() -> None:
    asked = [f"{name.removesuffix('.md')}.md" for name in sys.argv[1:]] or templates()
    for template in asked:
        page_of(template).write_text(render(template))
        print(page_of(template).relative_to(ROOT))


if __name__ == "__main__":
    main()
