"""Pictures of many units, kept on disk."""

from jaxcircuits.bulk.store import LayerFolder

__all__ = ["LayerFolder"]
