"""Pictures of thousands of units: planned, drawn in shards by one or many hosts, kept, taken up again."""

from jaxcircuits.bulk.hosts import ALONE, Hosts, meet
from jaxcircuits.bulk.job import Job, job
from jaxcircuits.bulk.plan import FORMATS, Plan, Shard, recipe_hash
from jaxcircuits.bulk.series import Directions, Series, feature_layers

__all__ = [
    "ALONE",
    "FORMATS",
    "Directions",
    "Hosts",
    "Job",
    "Plan",
    "Series",
    "Shard",
    "feature_layers",
    "job",
    "meet",
    "recipe_hash",
]
