"""The next layer's programs, compiled while this one is drawn."""

import dataclasses
import threading

import jax
import pytest

from jaxcircuits import bulk
from jaxcircuits.bulk import DrawingShard, Series
from jaxcircuits.bulk.ahead import Ahead
from support.drawn import OURS, QUICK


@pytest.mark.slow
def test_the_next_layer_is_compiled_beside_this_one(slide, tmp_path):
    """The third layer's programs come from the other thread, and the drawing compiles nothing of that layer.

    Beside the first layer a CPU compiles nothing, so that its sheet is there soon.
    """
    began: dict[str, list[str]] = {}

    def note(event: str, seconds: float, **about: str) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            began.setdefault(threading.current_thread().name.partition("_")[0], []).append(about["fun_name"])

    jax.clear_caches()
    recipe = dataclasses.replace(QUICK, steps=30, learning_rate=0.0411)
    series = [Series(layer, (0, 1)) for layer in ("conv2d0", "conv2d1", "conv2d2")]
    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        with bulk.drawings(slide, series, recipe, tmp_path, batch_size=2) as job:
            job.run(progress=False)
    finally:
        jax.monitoring.unregister_event_duration_listener(note)
    steps = {thread: [name for name in names if "_step" in name] for thread, names in began.items()}
    assert (len(steps["MainThread"]), len(steps["compiler"])) == (2, 1)


def shards_of(*layers: str) -> list[DrawingShard]:
    return [OURS.extended(Series(layer, (0,)), 1).shards[0] for layer in layers]


def test_what_fails_to_compile_ahead_is_left_to_the_drawing():
    first, second = shards_of("conv2d0", "conv2d1")
    asked = []

    def compile(shard):
        asked.append(shard)
        raise RuntimeError("no")

    with Ahead(compile, [first, second]) as ahead:
        ahead.wait(first)
        ahead.begin_after(first)
        ahead.begin_after(first)
        ahead.wait(second)
        ahead.begin_after(second)
    assert asked == [second]


def test_who_stops_does_not_wait_for_a_compilation():
    first, second = shards_of("conv2d0", "conv2d1")
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def compile(shard):
        begun.set()
        may_end.wait(60)
        ended.set()

    with pytest.raises(KeyboardInterrupt), Ahead(compile, [first, second]) as ahead:
        ahead.begin_after(first)
        assert begun.wait(60)
        raise KeyboardInterrupt
    assert not ended.is_set()
    may_end.set()
    assert ended.wait(60)
