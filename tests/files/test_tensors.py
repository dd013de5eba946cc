"""Files of tensors, whose bytes follow from what is in them."""

import numpy as np
import safetensors.numpy

from jaxcircuits import files


def test_the_same_tensors_are_the_same_bytes():
    """In whatever order they come; the format's own library reads them."""
    tensors = {
        "b/x": np.arange(12, dtype=np.float32).reshape(3, 4).T,
        "a": np.array([True, False]),
        "big": np.array([1, 2], ">i8"),
        "none": np.zeros((0, 3), np.float64),
    }
    data = files.tensor_bytes(tensors, {"two": "2", "one": "\u00e9"})
    assert data == files.tensor_bytes(dict(reversed(tensors.items())), {"one": "\u00e9", "two": "2"})
    for name, array in safetensors.numpy.load(data).items():
        np.testing.assert_array_equal(array, tensors[name])
        assert array.dtype == tensors[name].dtype.newbyteorder("=")
