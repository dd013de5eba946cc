"""Every notebook runs from its first cell to its last, on the network in the box, with fewer steps."""

import re
from pathlib import Path

import pytest

from support.data import ROOT

FOLDER = ROOT / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def read(path: Path):
    nbformat = pytest.importorskip("nbformat", reason="needs the tools of notebooks: pip install '.[docs]'")
    return nbformat.read(path, as_version=4)


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_small_and_ready_for_a_fresh_runtime(path):
    """The first cell of code installs the package where it is missing; outputs are kept, and stay small."""
    notebook = read(path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert "%pip install" in code[0].source and "import jaxcircuits" in code[0].source
    assert notebook.cells[0].cell_type == "markdown" and notebook.cells[0].source.startswith("# ")
    assert path.stat().st_size < 1_500_000
    assert any(cell.outputs for cell in code)
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs(path, tmp_path):
    nbclient = pytest.importorskip("nbclient", reason="needs the tools of notebooks: pip install '.[docs]'")
    notebook = read(path)
    for cell in notebook.cells:
        cell.source = re.sub(r"steps=\d+", "steps=2", cell.source)
    nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
