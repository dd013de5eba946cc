"""p-values of the meanings on record, corrected for all units of the layer that were looked at."""

from __future__ import annotations

import numpy as np

from jaxcircuits.bulk.records import LayerRecords
from jaxcircuits.bulk.units_plan import UnitsPlan
from jaxcircuits.evidence.meanings_number import corrected


def false_discovery(layer: LayerRecords) -> dict[int, float]:
    """Corrects the p-values of a layer's units for their number (Benjamini and Hochberg, 1995).

    They are corrected when they are read, as units may be added: a value is of the units that are on record now.

    Args:
      layer: records of it.

    Returns:
      Unit -> the corrected p-value; units whose meanings could not be told are left out.
    """
    plan = layer.network.plan("meanings")
    shards = plan.shards if isinstance(plan, UnitsPlan) else ()
    found = {}
    for unit in (unit for shard in shards if shard.layer == layer.layer for unit in shard.units):
        kept = layer.meanings(unit)
        if kept is not None and kept.p_value is not None:
            found[unit] = kept.p_value
    return dict(zip(found, corrected(np.array(list(found.values()))).tolist()))
