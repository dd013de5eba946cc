"""The reference leaves out methods that say no more than where they are explained: `See Product`."""

from typing import Any

import griffe


class Inherited(griffe.Extension):
    """Takes such docstrings away; what has none is not shown."""

    def on_function_instance(self, *, func: griffe.Function, **_: Any) -> None:
        """Called for every function that is read."""
        _forget(func)

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Called for every attribute and property."""
        _forget(attr)


def _forget(found: griffe.Object) -> None:
    if found.docstring and found.docstring.value.startswith("See `"):
        found.docstring = None
