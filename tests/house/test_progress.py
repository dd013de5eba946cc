"""Progress where it is looked at: in a file, in a notebook; in a terminal the command's tests see to it."""

import re
import time
import warnings

import numpy as np
import pytest

import jaxcircuits as jc
from jaxcircuits import Recipe, progress
from jaxcircuits.vis.progress import RenderProgress
from jaxcircuits.vis.rendering import Interrupted

QUICK = Recipe(size=16, steps=4, transforms=(), redirect_steps=0)


@pytest.mark.parametrize("seconds, text", [(0, "0 s"), (44.2, "45 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")])
def test_durations(seconds, text):
    assert progress.duration(seconds) == text


def test_a_file_gets_lines_now_and_then(tiny, capsys, monkeypatch):
    """Each says how far it is; a short drawing says nothing."""
    jc.render(tiny, jc.channel("relu", range(4)), QUICK, batch_size=2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "FILE_PERIODS", (0.0, 0.0))
    jc.render(tiny, jc.channel("relu", range(4)), QUICK, batch_size=2)
    lines = capsys.readouterr().err.splitlines()
    assert all(re.match(r"relu  \d/4 units  step \d/4  ", line) for line in lines[:-1]) and len(lines) >= 8
    assert lines[-2].startswith("relu  4/4 units") and re.match(r"relu  4 pictures in \d+ s", lines[-1])
    assert any(re.search(r"pictures/s  \d+ s left$", line) for line in lines)


def test_a_file_is_told_of_what_takes_long_before_it_begins(capsys, monkeypatch):
    """Compiling says nothing itself."""
    monkeypatch.setattr(progress, "FILE_PERIODS", (0.1, 600.0))
    with RenderProgress("mixed4b", 4, 10):
        said, end = "", time.monotonic() + 20
        while not said and time.monotonic() < end:
            time.sleep(0.02)
            said = capsys.readouterr().err
    assert said == "mixed4b  0/4 units  step 0/10  compiling\n"


def test_pictures_that_are_stopped_are_counted_whole(capsys, monkeypatch):
    monkeypatch.setattr(progress, "FILE_PERIODS", (0.0, 600.0))
    with pytest.raises(KeyboardInterrupt), RenderProgress("mixed4b", 16, 10, finished=4) as bar:
        bar.update(7, 4, 29)
        raise KeyboardInterrupt
    assert re.fullmatch(r"mixed4b  3 pictures stopped after \d+ s", capsys.readouterr().err.splitlines()[-1])


def test_a_circuits_bars_end_full(capsys, monkeypatch):
    """One a row of units, each to its last unit and step."""
    from jaxcircuits.circuits import circuit_between
    from jaxcircuits.pages.pictures import draw_units

    slide = jc.load("slide")
    circuit = circuit_between(slide, ["conv2d1:3", ["conv2d0:1", "conv2d0:2"]])
    monkeypatch.setattr(progress, "FILE_PERIODS", (0.0, 0.0))
    draw_units(slide, circuit, QUICK)
    lines = capsys.readouterr().err.splitlines()
    for layer, count in (("conv2d1", 1), ("conv2d0", 2)):
        *_, last, ending = (line for line in lines if line.startswith(f"{layer}  "))
        assert last.startswith(f"{layer}  {count}/{count} units  step 4/4") and "in" in ending


def test_the_time_left_does_not_jump(monkeypatch):
    """A dear layer after a cheap one: it changes as the mean of all that was drawn does."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(progress, "FILE_PERIODS", (1e9, 1e9))
    said = []
    bar = RenderProgress("x", 100, 10)
    monkeypatch.setattr(bar._view, "show", lambda done, text: said.append(text), raising=False)
    for unit in range(100):
        now[0] += 1 if unit < 50 else 3
        bar.update(unit + 1, 0, 0)
    left = [int(seconds) for seconds in re.findall(r"(\d+) s left", "\n".join(said).replace("1 min ", "60"))]
    assert left[-1] == 0 and max(np.abs(np.diff(left[60:]))) <= 3


def test_a_notebook_shows_one_line_without_widgets(tiny, monkeypatch):
    pytest.importorskip("IPython")
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    from rich.console import Console

    InteractiveShell.instance()
    monkeypatch.setattr(progress, "NOTEBOOK_PERIOD", 0.0)
    with warnings.catch_warnings(), capture_output() as captured:
        warnings.simplefilter("error")
        console = Console(stderr=True, force_jupyter=True)
        monkeypatch.setattr(progress, "Console", lambda stderr: console)
        jc.render(tiny, jc.channel("relu", range(4)), QUICK, batch_size=2)
    lines = [output.data["text/plain"] for output in captured.outputs]
    assert lines[0] == "relu: compiling" and re.fullmatch(r"relu: 4 pictures in \d+ s", lines[-1])
    assert any(re.match(r"relu \[#+\.*\] \d/4 units", line) for line in lines)


def test_what_was_drawn_is_kept_when_it_is_stopped(tiny):
    """Ctrl-C after the first batch: the exception holds it."""

    def stop(done, drawing, steps):
        if done >= 2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"stopped: 2 of 6 pictures are finished, .*\.rendering") as stopped:
        jc.render(tiny, jc.channel("relu", range(6)), QUICK, batch_size=2, progress=stop)
    kept = stopped.value.rendering
    assert kept.labels == ("relu:0", "relu:1")
    whole = jc.render(tiny, jc.channel("relu", range(2)), QUICK, batch_size=2)
    np.testing.assert_array_equal(kept.images, whole.images)
