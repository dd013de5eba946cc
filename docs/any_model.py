"""Writes docs/any_model.md, the table of models and tools, from a run of the test that has a case for each cell.

    pytest tests/house/test_every_model.py --junitxml=build/every_model.xml
    python docs/any_model.py build/every_model.xml

A cell is what the test said: whatever did not run is said not to have run.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

HEAD = """# Every tool on every model

Which tool works on which kind of model. Each cell is a test of `tests/house/test_every_model.py`, on small models with
random weights (`models.py`, `more_models.py` and `framework_models.py` of `tests/support/`). Where a tool does not
apply, a number refers to the error message, in the list below the table. `docs/any_model.py` writes this page.
"""


def table(results: Path) -> str:
    """The page.

    Args:
      results: JUnit XML, as pytest writes it.

    Returns:
      Markdown.
    """
    cells: dict[tuple[str, str], str] = {}
    tools: dict[str, None] = {}
    for case in ElementTree.parse(results).iter("testcase"):
        found = re.fullmatch(r"test_every_tool_on_every_model\[(.+)-([^-]+)\]", case.get("name", ""))
        if not found:
            continue
        model, tool = found.groups()
        tools[tool] = None
        line = next((p.get("value") for p in case.iter("property") if p.get("name") == "line"), None)
        if case.find("skipped") is not None:
            cells[model, tool] = "not run"
        elif case.find("failure") is not None or case.find("error") is not None:
            cells[model, tool] = "**fails**"
        else:
            cells[model, tool] = line or "yes"
    # Not in the order in which tests ran, which is another one each time.
    models, lines = sorted({model for model, _ in cells}, key=str.casefold), dict[str, int]()

    def said(model: str, tool: str) -> str:
        text = cells.get((model, tool), "not run")
        return text if text in ("yes", "not run", "**fails**") else str(lines.setdefault(text, len(lines) + 1))

    rows = [["", *models], ["---"] * (len(models) + 1)]
    rows += [[tool, *(said(model, tool) for model in models)] for tool in tools]
    notes = [f"{number}. {line}" for line, number in lines.items()]
    return "\n".join([HEAD, *(f"| {' | '.join(row)} |" for row in rows), "", *notes, ""])


if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(table(Path(sys.argv[1])))
