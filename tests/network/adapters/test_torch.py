"""PyTorch models in JAX: every module's output is PyTorch's own, operation by operation and model by model."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcircuits.errors import InputError

torch = pytest.importorskip("torch", reason="needs PyTorch, the extra `torch`")

from jaxcircuits.naming import innermost, read_mark  # noqa: E402
from jaxcircuits.network.adapters.torch import torch_model  # noqa: E402
from support.torch_compared import assert_close, assert_same_everywhere, pictures  # noqa: E402
from support.torch_families import EVEN, FAMILIES, Each, Parallel  # noqa: E402
from support.torch_models import ResNet, ViT, trained  # noqa: E402

pytestmark = pytest.mark.usefixtures("compiled_quickly")

MODELS = {"resnet": lambda: trained(ResNet()), "vit": lambda: trained(ViT())}


@pytest.mark.parametrize("name", MODELS)
def test_every_module_computes_what_it_does_in_pytorch(name):
    """Each submodule's output, of models with grouped convolutions, running statistics, attention, dropout."""
    torch.manual_seed(0)
    assert_same_everywhere(MODELS[name](), pictures(2, 32, 32))


def test_any_number_of_pictures_by_one_reading():
    torch.manual_seed(0)
    for make in MODELS.values():
        module = make()
        model, params = torch_model(module, (32, 32), 3)
        for count in (1, 3):
            x = pictures(count, 32, 32)
            assert_close(jax.jit(model)(params, x), module(torch.tensor(x)).detach())
        assert list(model.graphs) == [(32, 32)]


def test_pictures_of_other_sizes():
    """Odd ones too; a model that has one size says so."""
    torch.manual_seed(0)
    resnet = trained(ResNet())
    model, params = torch_model(resnet, (32, 32), 3)
    x = pictures(2, 37, 29)
    assert_close(jax.jit(model)(params, x), resnet(torch.tensor(x)).detach())
    model, params = torch_model(trained(ViT()), (32, 32), 3)
    with pytest.raises(InputError, match=r"ViT does not take pictures of 40 x 40 .*; its native size is 32 x 32"):
        model(params, pictures(1, 40, 40))


@pytest.mark.parametrize("name", FAMILIES)
def test_operations(name):
    """Every family of operations, on pictures of odd size, one and three of them."""
    family = FAMILIES[name]
    module = family if isinstance(family, Each) else Parallel(trained(family))
    channels = 3 if isinstance(family, Each) else 6
    odd = (12, 12) if name in EVEN else (9, 11)
    model, params = torch_model(module, odd, channels)
    for count in (1, 3):
        x = pictures(count, *odd, channels)
        own = jax.jit(model)(params, x)
        with torch.no_grad():
            theirs = module(torch.tensor(x))
        assert len(own) == len(theirs)
        for i, (mine, value) in enumerate(zip(own, theirs)):
            assert_close(mine, value, f"{name} {i}, {count} pictures")


def test_gradients_are_pytorchs():
    """With respect to the picture, through max-pools, ReLUs that stand at 0 and normalizations."""
    torch.manual_seed(0)
    module = trained(ResNet())
    model, params = torch_model(module, (32, 32), 3)
    x = pictures(1, 32, 32)
    x[:, :, 8:] = 0
    given = torch.tensor(x, requires_grad=True)
    (gradient,) = torch.autograd.grad(module(given)[:, 3].sum(), given)
    assert_close(jax.jit(jax.grad(lambda x: model(params, x)[:, 3].sum()))(x), gradient)


def test_weights_flow_as_parameters():
    """Every parameter that takes part moves the output, and none is a constant of the program."""
    torch.manual_seed(0)
    model, params = torch_model(trained(ResNet()), (32, 32), 3)
    closed = jax.make_jaxpr(model)(params, pictures(1, 32, 32))
    assert sum(np.size(constant) for constant in closed.consts) == 0
    floats = {name: value for name, value in params.items() if jnp.issubdtype(value.dtype, jnp.floating)}
    x = pictures(2, 32, 32)
    slopes = jax.jit(jax.grad(lambda floats: (model(params | floats, x) ** 2).sum()))(floats)
    assert all(jnp.abs(slope).max() > 0 for slope in slopes.values())


def test_between_submodules_the_innermost_module_is_known():
    """Equations carry the path of the module that computes them, those of the model itself the empty one."""
    torch.manual_seed(0)
    model, params = torch_model(trained(ResNet()), (32, 32), 3)
    closed = jax.make_jaxpr(model)(params, pictures(1, 32, 32))
    found = {(e.primitive.name, innermost(e.source_info.name_stack)) for e in closed.eqns}
    assert ("add", "blocks/0") in found
    assert ("conv_general_dilated", "blocks/1/conv1") in found
    assert any(name.startswith("reduce_window") and path == "pool" for name, path in found)
    assert any(path == "" for _, path in found)
    kinds = {path: kind for kind, path in filter(None, map(read_mark, closed.eqns))}
    assert (kinds["blocks/1"], kinds["stem/1"], kinds["drop"]) == ("Block", "BatchNorm2d", "Dropout")
