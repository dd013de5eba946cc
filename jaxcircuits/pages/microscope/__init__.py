"""The microscope: a page for every unit of any network, from what is on record of it."""

from jaxcircuits.pages.microscope.networks import read_networks
from jaxcircuits.pages.microscope.write import write_site

__all__ = ["read_networks", "write_site"]
