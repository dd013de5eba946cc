"""Foreign weight files to one safetensors file; download and verification.

`weights-convert SOURCE --out FILE` on the command line. Nothing here unpickles or runs what it reads. Readers load
their libraries (protobuf, h5py, safetensors) where they are used.
"""

from weights_convert.conversion import convert
from weights_convert.fetching import find_or_fetch
from weights_convert.weights_file import WeightsFile, read_weights, write_weights

__all__ = ["WeightsFile", "convert", "find_or_fetch", "read_weights", "write_weights"]
