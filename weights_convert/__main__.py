"""`python -m weights_convert`."""

from weights_convert.cli import main

main()
