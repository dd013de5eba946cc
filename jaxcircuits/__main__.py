"""`python -m jaxcircuits`, as the installed command."""

from jaxcircuits.cli import main

main()
