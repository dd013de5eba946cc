"""`python -m jaxcircuits.cli`, as the installed command."""

from jaxcircuits.cli import main

main()
