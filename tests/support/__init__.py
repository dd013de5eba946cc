"""What several tests share: data, small networks, computations by hand, and what drives other programs."""
