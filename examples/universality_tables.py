"""Tables of `examples.universality`, as they stand in docs/universality.md.

Command:   python -m examples.universality_tables RESULT.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def family_table(rows: list[dict[str, Any]]) -> str:
    """A row a family, a column a network: layer, depth, members and by chance; a dash where it is not found."""
    names, families = (list(dict.fromkeys(row[key] for row in rows)) for key in ("network", "family"))
    cell = {(row["family"], row["network"]): row for row in rows}

    def told(row: dict[str, Any]) -> str:
        if not row["found"]:
            return f"not found ({row['count']}; {row['by_chance']:.1f})"
        covered = "" if row["coverage"] is None else f", {100 * row['coverage']:.0f} % covered"
        return f"{row['layer']} {row['depth_percent']:.0f} %: **{row['count']}** ({row['by_chance']:.1f}){covered}"

    lines = ["| | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(names)]
    lines += [f"| {family} | " + " | ".join(told(cell[family, name]) for name in names) + " |" for family in families]
    return "\n".join(lines)


def related_table(rows: list[dict[str, Any]]) -> str:
    """A row a family: over all pairs of networks that have it, how its members are each other's matches."""
    lines = ["| | pairs of networks | best match is a member | by chance | correlation | angles differ by |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for family in dict.fromkeys(row["family"] for row in rows):
        own = [row for row in rows if row["family"] == family]
        turned = [row["turned_degrees"] for row in own if row["turned_degrees"] is not None]
        by_chance = [row["turned_by_chance"] for row in own if row["turned_by_chance"] is not None]
        angle = f"{np.median(turned):.0f}° (by chance {by_chance[0]:.0f}°)" if turned else ""
        means = [f"{100 * np.mean([row[key] for row in own]):.0f} %" for key in ("share", "chance")]
        correlation = f"{np.mean([row['correlation'] for row in own]):.2f}"
        lines.append(f"| {family} | {len(own)} | {means[0]} | {means[1]} | {correlation} | {angle} |")
    return "\n".join(lines)


def circuit_table(rows: list[dict[str, Any]]) -> str:
    """A row a network, a column a circuit."""
    lines = ["| | curves: like excites like | heads: like over across; unions | cars: arrangement |"]
    lines.append("| --- | --- | --- | --- |")
    for name in dict.fromkeys(row["network"] for row in rows):
        curves, heads, cars = (row for row in rows if row["network"] == name)
        if "correlation" in curves:
            curve = (
                f"{curves['correlation']:.2f} (by chance {curves['by_chance']:.2f}), p {curves['p_value']:.3f}; like "
                f"{curves['like']:+.2f}, opposite {curves['opposite']:+.2f}"
            )
        else:
            curve = curves["why"]
        head = f"{sum(map(len, heads['pairs'].values()))} pairs"
        if heads["like_over_across"] is not None:
            head += f"; {100 * heads['like_over_across']:.0f} % of {heads['connections']}, p {heads['p_value']:.2g}"
            chance = f"by chance {heads['unions_by_chance']:.1f}, p {heads['unions_p_value']:.3f}"
            head += f"; {heads['unions']} unions ({chance})"
        car = cars.get("why") or (
            f"{cars['layers'][1]}:{cars['unit']}, {cars['arrangement']:.2f} (by chance {cars['by_chance']:.2f}), "
            f"p {cars['p_value']:.3f}"
        )
        lines.append(f"| {name} | {curve} | {head} | {car} |")
    return "\n".join(lines)


def depth_table(rows: list[dict[str, Any]]) -> str:
    """A row a pair of networks: the best scores of any two layers, beside chance, and whether depths correspond."""
    lines = ["| | hard | soft | mutual | CKA | depths, rank correlation |", "| --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        cells = []
        for score in ("hard", "soft", "mutual", "cka"):
            value, chance = (np.array(row["scores"][score][key]) for key in ("value", "shuffled"))
            # Of each layer of the first network the best of the second, mean over layers.
            at = np.arange(len(value)), value.argmax(1)
            cells.append(f"{value[at].mean():.2f} ({chance[at].mean():.2f})")
        pair = " and ".join(row["networks"])
        lines.append(f"| {pair} | " + " | ".join(cells) + f" | {row['rank_correlation_of_depths']:.2f} |")
    return "\n".join(lines)


def main() -> None:
    parts = json.loads(Path(sys.argv[1]).read_text())
    print(family_table(parts["families"]), "\n")
    print(circuit_table(parts["circuits"]), "\n")
    if "depths" in parts:
        print(related_table(parts["related"]), "\n")
        print(depth_table(parts["depths"]))


if __name__ == "__main__":
    main()
