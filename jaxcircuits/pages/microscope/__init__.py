"""The microscope: a page for every unit of any network, from what is known of it."""

from jaxcircuits.pages.microscope.write import write_site

__all__ = ["write_site"]
