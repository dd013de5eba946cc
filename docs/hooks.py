"""What the pages take from the code when they are built."""

import click
import typer
from typer.cli import get_docs_for_click


def on_page_markdown(markdown: str, page, **_) -> str:
    """Puts what each command says of itself on the page of commands."""
    if page.file.src_uri != "reference/commands.md":
        return markdown
    from jaxcircuits.cli.app import app
    from weights_convert.cli import app as convert

    parts = []
    for name, application in (("jaxcircuits", app), ("weights-convert", convert)):
        command = typer.main.get_command(application)
        parts.append(get_docs_for_click(obj=command, ctx=click.Context(command, info_name=name), name=name))
    return markdown.replace("<!-- commands -->", "\n\n".join(parts).replace("\n# ", "\n## "))
