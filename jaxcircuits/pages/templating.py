"""How pages are put together: templates, in which everything is escaped, and pictures as parts of a page."""

from __future__ import annotations

import base64
import functools

import jinja2


def environment(package: str) -> jinja2.Environment:
    """The templates in a package's folder `templates`."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@functools.cache
def template(name: str) -> jinja2.Template:
    """The template of a page that is one file, by its own file's name."""
    return environment("jaxcircuits.pages").get_template(name)


def data_url(kind: str, data: bytes) -> str:
    """The bytes of a picture, `png` or `webp`, as the address of an image that is in the page itself."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
