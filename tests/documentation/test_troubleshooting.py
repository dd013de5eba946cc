"""Troubleshooting quotes messages as the code writes them, so that the page cannot go stale."""

import ast
import re

import pytest

from support.data import ROOT

PAGE = ROOT / "docs" / "howto" / "troubleshooting.md"
PACKAGES = ("jaxcircuits", "weights_convert")
FILLED_IN = re.compile(r"\b(?:[A-Z]{2,}|N)\b|[;:]")
"""What the page has in place of names and numbers; and the ends of clauses, which the code may put together."""


def quoted() -> list[str]:
    """The page's messages: code in bold type."""
    return re.findall(r"\*\*`([^`]+)`\*\*", PAGE.read_text())


def clauses(message: str) -> list[str]:
    """What of a message the code has word for word."""
    return [part for part in map(str.strip, FILLED_IN.split(message)) if any(map(str.isalpha, part))]


@pytest.fixture(scope="module")
def written() -> list[str]:
    """Every text in the sources; of those that are filled in, what stands between."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    nodes = [node for path in paths for node in ast.walk(ast.parse(path.read_text()))]
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def test_messages_are_quoted():
    assert len(quoted()) >= 25


@pytest.mark.parametrize("message", quoted())
def test_a_quoted_message_is_one_of_the_code(message, written):
    assert clauses(message)
    for clause in clauses(message):
        assert any(clause in text for text in written), clause


def test_a_message_that_no_code_writes_is_found_out(written):
    (clause, _) = clauses("graphs require networkx; pip install 'jaxcircuits[circuits]'")
    assert not any(clause in text for text in written)
