"""What is looked up by name behaves as a mapping, and says what there is where a name is unknown."""

import numpy as np
import pytest

from jaxcircuits import InputError, bulk
from jaxcircuits.bulk.wiring_plan import WiringPlan, WiringShard
from jaxcircuits.evidence import Examples, Tuning
from jaxcircuits.evidence.examples import Shown
from jaxcircuits.lookup import Lookup
from jaxcircuits.universality import Families


def examples(folder):
    shown = Shown("net", 4, "pictures", (8, 8), "as they are", 0, 9, 0, ())
    return Examples({"mixed4a": 1, "mixed4b": 2}, shown)


def tuning(folder):
    return Tuning("net", "curve", {}, (8, 8), "best", {}, {"mixed4a": np.zeros(3), "mixed4b": np.ones(3)})


def families(folder):
    return Families(("net",), ("curves",), {("curves", "net"): 1, ("lines", "net"): 2}, {}, {}, 9)


def records(folder):
    for name in ("one", "two"):
        (folder / name).mkdir()
        plan = WiringPlan(name, "0" * 64, count=3, shards=(WiringShard("mixed4a"), WiringShard("mixed4b")))
        (folder / name / "plan.wiring.json").write_text(plan.to_json())
    return bulk.Records(folder)


def of_a_network(folder):
    return records(folder)["one"]


@pytest.fixture(params=[examples, tuning, families, records, of_a_network], ids=lambda make: make.__name__)
def found(request, tmp_path):
    return request.param(tmp_path)


def test_as_a_dictionary(found):
    names = list(found)
    assert isinstance(found, Lookup) and len(found) == len(names) == 2
    assert list(found.keys()) == names and all(name in found for name in names)
    assert [type(one) for one in found.values()] == [type(found[name]) for name in names]
    assert type(found.get(names[0])) is type(found[names[0]])


@pytest.mark.parametrize("name", ["mixed4", "", 7, ("mixed4a",), ("curves", "other")])
def test_unknown_names(found, name):
    assert name not in found and found.get(name) is None and found.get(name, 5) == 5
    with pytest.raises(InputError, match=r"^unknown (layer|network|family and network) .* of .*; (did you|there are)"):
        found[name]


def test_what_cannot_be_a_name(found):
    with pytest.raises(InputError, match=r"^unknown .*\['mixed4a'\]"):
        found[["mixed4a"]]
