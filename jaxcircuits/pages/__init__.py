"""Pictures, figures and web pages that a person opens."""

from jaxcircuits.pages.arguments import arguments_page, write_arguments
from jaxcircuits.pages.compare import compare_page
from jaxcircuits.pages.compare_report import report_comparison
from jaxcircuits.pages.diagram import circuit_diagram
from jaxcircuits.pages.grid import weight_grid, weight_grids
from jaxcircuits.pages.page import circuit_page
from jaxcircuits.pages.pictures import draw_units
from jaxcircuits.pages.prediction import prediction_plot
from jaxcircuits.pages.report import report_circuit, write_circuit
from jaxcircuits.pages.tuning_plot import tuning_plot

__all__ = [
    "arguments_page",
    "circuit_diagram",
    "circuit_page",
    "compare_page",
    "draw_units",
    "prediction_plot",
    "report_circuit",
    "report_comparison",
    "tuning_plot",
    "weight_grid",
    "weight_grids",
    "write_arguments",
    "write_circuit",
]
