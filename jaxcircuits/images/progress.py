"""The progress of a pass over pictures: how many, how fast, time left."""

from __future__ import annotations

from collections.abc import Callable

from jaxcircuits.progress import Pace, view


class LookingProgress:
    """Progress for as long as its `with` block lasts.

    Args:
      title: stands before it.
      total: pictures of the pass.
      enabled: whether to show it; or a function that is told (pictures seen, pictures in all), in place of that.
    """

    def __init__(self, title: str, total: int, enabled: bool | Callable[[int, int], None] = True):
        self._told = enabled if callable(enabled) else None
        self._total, self._pace, self._view = total, Pace(), view(title, enabled is True)
        self._seen = 0

    def __enter__(self) -> LookingProgress:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._view.close(self._pace.ending(self._seen, kind is not None))

    def update(self, seen: int) -> None:
        """Shows that so many pictures have been seen."""
        if self._told:
            self._told(seen, self._total)
            return
        self._seen = seen
        text = f"{seen}/{self._total} pictures  {self._pace.tell(seen, self._total)}"
        self._view.show(seen / max(self._total, 1), text)
