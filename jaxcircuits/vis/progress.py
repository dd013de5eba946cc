"""The progress of a drawing: units done, steps, pictures a second, time left."""

from __future__ import annotations

from collections.abc import Callable

from jaxcircuits.progress import Pace, view


class RenderProgress:
    """Progress for as long as its `with` block lasts.

    Args:
      title: stands before it.
      pictures: how many there are to draw.
      steps: of each.
      enabled: whether to show it; or a function that is told what `update` is told, in place of that.
      finished: how many of the pictures were there before.
    """

    def __init__(
        self,
        title: str,
        pictures: int,
        steps: int,
        enabled: bool | Callable[[int, int, int], None] = True,
        finished: int = 0,
    ):
        self._told = enabled if callable(enabled) else None
        self._pictures, self._steps, self._finished = pictures, max(steps, 1), finished
        self._pace, self._view = Pace(finished), view(title, enabled is True)
        self._show(finished, 0, finished, "compiling")

    def __enter__(self) -> RenderProgress:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._view.close(self._pace.ending(self._finished, kind is not None))

    def update(self, done: int, drawing: int, steps: int) -> None:
        """Shows that `done` pictures are finished and that the `drawing` others have taken `steps` steps together."""
        if self._told:
            self._told(done, drawing, steps)
            return
        self._finished = done
        work = done + steps / self._steps
        step = steps // drawing if drawing else self._steps
        self._show(done, step, work, self._pace.tell(work, self._pictures))

    def _show(self, done: int, step: int, work: float, pace: str) -> None:
        text = f"{done}/{self._pictures} units  step {step}/{self._steps}  {pace}"
        self._view.show(work / max(self._pictures, 1), text)
