"""The layering of the packages: imports go downward only."""

import ast
from pathlib import Path

import pytest

import jaxcircuits

ROOT = Path(jaxcircuits.__file__).parent
RANKS = {
    "errors": 0,
    "files": 0,
    "printing": 0,
    "naming": 0,
    "brief": 0,
    "platforms": 0,
    "caching": 0,
    "progress": 0.5,
    "zoo": 1,
    "images": 2,
    "network": 3,
    "vis": 4,
    "circuits": 4,
    "evidence": 4,
    "arguments": 5,
    "slide": 5,
    "universality": 5,
    "bulk": 6,
    "pages": 7,
    "cli": 8,
}
"""Room -> its rank; a room imports rooms of a lower rank, and itself."""
FILES = sorted(path for path in ROOT.rglob("*.py") if path.parent != ROOT or path.stem in RANKS)
LONGEST = 350


def imported(path):
    """The modules that a file imports, those for type checkers alone left out."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_downward(path):
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for module in imported(path):
        parts = module.split(".")
        if parts[0] == "jaxcircuits" and len(parts) > 1 and parts[1] in RANKS and parts[1] != room:
            assert RANKS[parts[1]] < RANKS[room] or parts[1] == "errors", f"{room} imports {module}"


def test_every_room_has_a_rank():
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert rooms <= set(RANKS), rooms - set(RANKS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_one_idea(path):
    assert len(path.read_text().splitlines()) <= LONGEST


CONVERTER = sorted((ROOT.parent / "weights_convert").rglob("*.py"))


@pytest.mark.parametrize("path", CONVERTER, ids=lambda path: path.name)
def test_the_converter_knows_the_zoo_alone(path):
    """And is reached from `network` through one function."""
    own = [module.split(".") for module in imported(path) if module.split(".")[0] == "jaxcircuits"]
    assert all(parts[1] in ("zoo", "errors", "files", "printing", "__version__") for parts in own), own


def test_the_converter_is_reached_from_one_place():
    reached = {
        path.relative_to(ROOT).as_posix() for path in FILES if any("weights_convert" in m for m in imported(path))
    }
    assert reached == {"network/loading.py", "slide/train.py"}  # training writes a weights file


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_model_is_made_of_is_the_graphs_matter(path):
    """No test of an operation's name outside of the graph; the zoo's architectures name their own layers' kinds."""
    if path.relative_to(ROOT).parts[0] in ("network", "zoo") or path.name == "train.py":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            named = [side.attr for side in sides if isinstance(side, ast.Attribute)]
            assert not {"op", "architecture"}.intersection(named), f"line {node.lineno}"
