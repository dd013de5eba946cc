"""Records of units: planned, made in shards by one or many hosts, kept, resumed, read."""

from jaxcircuits.bulk.crops import Crops, crops
from jaxcircuits.bulk.drawing_plan import FORMATS, DrawingPlan, DrawingShard, recipe_hash
from jaxcircuits.bulk.drawings import Drawings, drawings
from jaxcircuits.bulk.hosts import ALONE, Hosts, meet
from jaxcircuits.bulk.job import Job
from jaxcircuits.bulk.meanings import UnitMeanings, meanings
from jaxcircuits.bulk.passes import Passes, examples
from jaxcircuits.bulk.plan import Plan
from jaxcircuits.bulk.product import Product
from jaxcircuits.bulk.records import Drawing, LayerRecords, NetworkRecords, Records
from jaxcircuits.bulk.series import Directions, Series, feature_layers
from jaxcircuits.bulk.wirings import Wirings, wiring

__all__ = [
    "ALONE",
    "FORMATS",
    "Crops",
    "Directions",
    "Drawing",
    "DrawingPlan",
    "DrawingShard",
    "Drawings",
    "Hosts",
    "Job",
    "LayerRecords",
    "NetworkRecords",
    "Passes",
    "Plan",
    "Product",
    "Records",
    "Series",
    "UnitMeanings",
    "Wirings",
    "crops",
    "drawings",
    "examples",
    "feature_layers",
    "meanings",
    "meet",
    "recipe_hash",
    "wiring",
]
