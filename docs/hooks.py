"""What the pages take from the code and from the repository's root when they are built."""

import re
from pathlib import Path

import click
import typer
from typer.cli import get_docs_for_click

ROOT = Path(__file__).parents[1]
PAGES = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changes.md", "SECURITY.md": "security.md"}
"""Files of the root that are pages of the site."""


def on_page_markdown(markdown: str, page, **_) -> str:
    """Puts files of the root, the speed section of the README and the commands' own words on their pages."""
    markdown = markdown.replace("<!-- commands -->", commands()) if "<!-- commands -->" in markdown else markdown
    for name in re.findall(r"<!-- file (\S+) -->", markdown):
        markdown = markdown.replace(f"<!-- file {name} -->", linked((ROOT / name).read_text()))
    if "<!-- speed -->" in markdown:
        section = (ROOT / "README.md").read_text().split("\n## Speed\n")[1].split("\n## ")[0]
        markdown = markdown.replace("<!-- speed -->", linked(section))
    return markdown


def linked(text: str) -> str:
    """With links as they are within the site."""
    for name, page in PAGES.items():
        text = text.replace(f"]({name})", f"]({page})")
    return text.replace("](docs/", "](")


def commands() -> str:
    """What each command says of itself."""
    from jaxcircuits.cli.app import app
    from weights_convert.cli import app as convert

    parts = []
    for name, application in (("jaxcircuits", app), ("weights-convert", convert)):
        command = typer.main.get_command(application)
        parts.append(get_docs_for_click(obj=command, ctx=click.Context(command, info_name=name), name=name))
    return "\n\n".join(parts).replace("\n# ", "\n## ")
