"""What a network expects of a picture, to and from plain JSON types."""

import json

import pytest

from jaxcircuits import InputConvention, InputError


@pytest.mark.parametrize("convention", [InputConvention(), InputConvention(mean=(1, 2, 3), order="BGR", layout="CHW")])
def test_conventions_survive_json(convention):
    assert InputConvention.from_dict(json.loads(json.dumps(convention.to_dict()))) == convention


def test_files_without_a_layout_mean_channels_last():
    fields = InputConvention(scale=255.0).to_dict()
    del fields["layout"]
    assert InputConvention.from_dict(fields) == InputConvention(scale=255.0, layout="HWC")
    del fields["order"]
    with pytest.raises(InputError, match="expected the fields size, channels, scale, mean, std, order, layout"):
        InputConvention.from_dict(fields)


@pytest.mark.parametrize("fields", [{"layout": "NCHW"}, {"layout": "chw"}, {"layout": None}])
def test_unknown_layouts_name_the_known_ones(fields):
    with pytest.raises(InputError, match="or 'CHW' for channels first"):
        InputConvention(**fields)
