"""Renews results of examples/ and the pages that state them: of `slide` and inceptionv1-2015, by one command.

Command:   python -m examples.renew                                     (of slide, which comes with the package)
           python -m examples.renew WEIGHTS.safetensors PHOTOGRAPHS     (of inceptionv1-2015 too)
Hardware:  two CPU cores
Cost:      1 minute for slide, 20 more with weights and photographs; with --figures 13 more
Result:    examples/results/, docs/*.md and README.md; with --figures also docs/{curves,car,heads}.NETWORK.jpg and
           docs/edits.jpg

Each program runs in a process of its own and writes its result only when it is done. Programs that compare networks
(many_meanings, seven_arguments, slide_seeds, universality) need the others' weights, and have commands of their own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import jaxcircuits as jc

ROOT = Path(__file__).parents[1]
RESULTS, DOCS = ROOT / "examples" / "results", ROOT / "docs"


def commands(weights: Path | None, photographs: Path | None, figures: bool) -> list[list[str]]:
    """The arguments of Python for every program, in order.

    Args:
      weights: of inceptionv1-2015; None to renew `slide` alone.
      photographs: a folder of one folder a synset.
      figures: whether to draw the circuits too.
    """

    def program(module: str, name: str, *arguments: str | Path) -> list[str]:
        return ["-m", f"examples.{module}", *map(str, arguments), "--out", str(RESULTS / f"{name}.json")]

    asked = [
        program("circuits_curves", "circuits_curves.slide", "slide"),
        program("handwritten_curves", "handwritten_curves.slide", "slide"),
        program("circuits_slide", "circuits_slide", "slide"),
    ]
    networks: list[str | Path] = ["slide"]
    if weights and photographs:
        weights, photographs = weights.resolve(), photographs.resolve()  # programs run in the repository's root
        name = jc.load(weights).name
        plots = ["--plots", DOCS / "edits.jpg"] if figures else []
        networks.append(weights)
        asked += [
            program("circuits_curves", f"circuits_curves.{name}", weights),
            program("handwritten_curves", f"handwritten_curves.{name}", weights, "--photographs", photographs),
            program("circuits_objects", f"circuits_objects.{name}", weights, photographs),
            program("edits_predicted", "edits_predicted", weights, photographs, *plots),
            program("head_union", "head_union", weights, photographs),
            program("high_low_frequency", f"high_low_frequency.{name}", weights),
            program("branches", f"branches.{name}", weights, photographs),
            program("density_tails", f"density_tails.{name}", weights, photographs),
        ]
    if figures:
        asked += [["-m", "examples.circuit_figures", str(network), "--out", str(DOCS)] for network in networks]
    return [*asked, [str(DOCS / "render.py")]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("weights", type=Path, nargs="?", help="of inceptionv1-2015")
    parser.add_argument("photographs", type=Path, nargs="?", help="folder of one folder a synset")
    parser.add_argument("--figures", action="store_true", help="draw the circuits too")
    arguments = parser.parse_args()
    if (arguments.weights is None) != (arguments.photographs is None):
        parser.error("weights without photographs; give both, or neither to renew slide alone")
    for command in commands(arguments.weights, arguments.photographs, arguments.figures):
        print("python", *command, flush=True)
        subprocess.run([sys.executable, *command], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
