"""Files: written whole or not at all, named without climbing, read bounded and checked.

Files are handed from person to person. What comes in goes through `read_bytes`, `read_text`, `parse_json` and
`conforming`, `read_tensors` or `npy`; what goes out through `replacing`, to a path that `below` made.
"""

from jaxcircuits.files.data import conforming, parse_json
from jaxcircuits.files.paths import below, file_name
from jaxcircuits.files.reading import check_file, damaged, named, opened, read_as, read_bytes, read_text
from jaxcircuits.files.tensors import fingerprint, read_tensors, tensor_bytes
from jaxcircuits.files.writing import replacing

__all__ = [
    "below",
    "check_file",
    "conforming",
    "damaged",
    "file_name",
    "fingerprint",
    "named",
    "opened",
    "parse_json",
    "read_as",
    "read_bytes",
    "read_tensors",
    "read_text",
    "replacing",
    "tensor_bytes",
]
