"""How long do the microscope's pages take to write from records, and how large are they?

Command:   python -m benchmarks.microscope_pages --out RESULT.json RECORDS ...
           (RECORDS: folders of records, such as SITE/records, with drawings, examples with their crops, and wiring)
Hardware:  two CPU cores
Cost:      a minute
Result:    benchmarks/results/microscope_pages.json

Every folder is written twice into a new site; the second time counts. `processor_ms` is of all cores together, for
every unit; kilobytes are of 1,000 bytes. `inceptionv1` says what all units of InceptionV1's stages would take at the
rate of the units that were written: seconds by the clock, and megabytes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measuring import machine, timed
from jaxcircuits.pages.microscope import read_networks, write_site

UNITS = 5804
"""Of InceptionV1's stages and the layers within them that are drawn (the 2015 network's count)."""


def measured(records: Path) -> dict[str, Any]:
    """Figures of one folder, as plain JSON types."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "site"
        views = read_networks(records, root)
        units = sum(len(layer.units) for view in views for layer in view.layers)
        first = timed(lambda: write_site(root, views))
        took = timed(lambda: write_site(root, read_networks(records, root)))
        files = [path for path in root.rglob("*") if path.is_file()]
        sizes: dict[str, int] = {}
        for path in files:
            sizes[path.suffix] = sizes.get(path.suffix, 0) + path.stat().st_size
        pages = [path for path in files if path.suffix == ".html" and path.stem.isdecimal()]
        total = sum(sizes.values())
        return {
            "networks": [view.name for view in views],
            "units": units,
            "seconds": {"first": round(first.clock, 1), "again": round(took.clock, 1)},
            "processor_ms": round(1e3 * took.cores / units, 1),
            "megabytes": round(total / 1e6, 2),
            "kilobytes_of_a_unit": round(total / 1e3 / units, 1),
            "kilobytes_of_the_largest_page": round(max(path.stat().st_size for path in pages) / 1e3, 1),
            "kilobytes_by_kind": {kind: round(size / 1e3) for kind, size in sorted(sizes.items())},
            "inceptionv1": {
                "units": UNITS,
                "seconds": round(UNITS * took.clock / units),
                "megabytes": round(UNITS * total / 1e6 / units),
            },
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("records", nargs="+", type=Path, help="folders of records")
    parser.add_argument("--out", type=Path, required=True, help="file for the result")
    arguments = parser.parse_args()
    result = {"machine": machine(), "sites": [measured(records) for records in arguments.records]}
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
