"""What makes a unit fire: synthetic stimuli, a procedural world of them, and tuning curves."""
