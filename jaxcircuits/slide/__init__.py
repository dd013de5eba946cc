"""`slide`, the network in the box: its procedural world, its training, and the report on what it learned."""
