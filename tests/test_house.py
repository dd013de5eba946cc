"""The layering of the packages: imports go downward only."""

import ast
from pathlib import Path

import pytest

import jaxcircuits

ROOT = Path(jaxcircuits.__file__).parent
RANKS = {
    "errors": 0,
    "files": 0,
    "naming": 0,
    "zoo": 1,
    "images": 2,
    "network": 3,
    "vis": 4,
    "circuits": 4,
    "evidence": 4,
    "arguments": 5,
    "slide": 5,
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
