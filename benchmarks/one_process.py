"""A process that `first_and_second` measures; it knows of the package only what both commits have.

Command:   python benchmarks/one_process.py command|library
"""

import json
import sys
import time

import jax

SIZE, STEPS = 128, 4
counts = {"compiled": 0, "loaded": 0}


def of_duration(event: str, seconds: float, **_: object) -> None:
    counts["compiled"] += event == "/jax/core/compile/backend_compile_duration"


def of_event(event: str, **_: object) -> None:
    counts["loaded"] += event == "/jax/compilation_cache/cache_hits"


def part(what: str, run) -> dict[str, object]:
    """Runs something and says what it took."""
    before, clock, cores = dict(counts), time.perf_counter(), time.process_time()
    run()
    made = {name: counts[name] - before[name] for name in counts}
    # What is loaded is reported as compiled too.
    made["compiled"] -= made["loaded"]
    clock, cores = time.perf_counter() - clock, time.process_time() - cores
    return {"what": what, "clock": round(clock, 2), "cores": round(cores, 2)} | made


def command() -> None:
    from jaxcircuits.cli import main

    sys.argv = ["jaxcircuits", "render", "--network", "slide", "--layer", "mixed4b", "--units", "0-7"]
    sys.argv += ["--size", str(SIZE), "--steps", str(STEPS), "--out", "pictures"]
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise


def library() -> list[dict[str, object]]:
    import jaxcircuits as jc

    network = jc.load("slide")

    def draw(units, steps=STEPS, rate=0.05):
        recipe = jc.Recipe(size=SIZE, steps=steps, learning_rate=rate)
        jc.render(network, jc.channel("mixed4b", units), recipe, progress=False)

    eight = list(range(8))
    return [
        part("eight units", lambda: draw(eight)),
        part("other steps", lambda: draw(eight, steps=STEPS + 2)),
        part("another rate", lambda: draw(eight, rate=0.03)),
        part("nine units", lambda: draw(list(range(9)))),
        part("one unit", lambda: draw([3])),
        part("another unit", lambda: draw([5])),
    ]


if __name__ == "__main__":
    jax.monitoring.register_event_duration_secs_listener(of_duration)
    jax.monitoring.register_event_listener(of_event)
    parts = library() if sys.argv[1] == "library" else [part("eight units", command)]
    print(json.dumps(parts))
