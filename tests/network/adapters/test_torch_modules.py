"""What a PyTorch model may be: shared modules, changes in place, training, wrappers, settings; and what it may not."""

from __future__ import annotations

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcircuits.errors import InputError

torch = pytest.importorskip("torch", reason="needs PyTorch, the extra `torch`")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

from jaxcircuits.network.adapters.torch import OPERATIONS, torch_model  # noqa: E402
from support.torch_compared import assert_close, assert_same_everywhere, of_jax, pictures  # noqa: E402
from support.torch_models import ResNet, ViT, trained  # noqa: E402


class Shared(nn.Module):
    """One module twice under two names, one called twice, and names that the calls' numbers would take."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.conv_1 = nn.Conv2d(3, 3, 1)
        self.again = self.conv
        self.tied = nn.Conv2d(3, 3, 3, padding=1)
        self.tied.weight = self.conv.weight

    def forward(self, x):
        x = self.again(self.conv(x))
        return {"sum": self.conv_1(x) + self.tied(x), "both": (x, [x.mean((2, 3)), None])}


def test_shared_modules_and_weights():
    torch.manual_seed(0)
    module, x = Shared().eval(), pictures(2, 8, 8)
    model, params = torch_model(module, (8, 8), 3)
    assert set(params) == {"conv/weight", "conv/bias", "conv_1/weight", "conv_1/bias", "tied/bias"}
    output, own = of_jax(model, params, x)
    expected = module(torch.tensor(x))
    assert set(own) == {"conv", "conv_2", "conv_1", "tied"}
    assert_close(own["conv_2"], expected["both"][0].detach())
    assert output["both"][1][1] is None
    assert_close(output["sum"], expected["sum"].detach())
    assert_close(output["both"][1][0], expected["both"][1][0].detach())


class Several(nn.Module):
    """A submodule that returns several values, some of them nothing."""

    def __init__(self):
        super().__init__()
        self.attn = nn.MultiheadAttention(6, 2, batch_first=True)
        self.encoder = nn.TransformerEncoderLayer(6, 2, 12, batch_first=True)

    def forward(self, x):
        tokens = self.encoder(x.flatten(2).transpose(1, 2))
        first, weights = self.attn(tokens, tokens, tokens)
        return first + self.attn(tokens, tokens, tokens, need_weights=False)[0] + weights.sum(-1, keepdim=True)


def test_modules_that_return_several_values():
    torch.manual_seed(0)
    model, _ = assert_same_everywhere(Several().eval(), pictures(3, 4, 5, 6))
    assert [graph.batch for graph in model.graphs.values()] == [None]


class InPlace(nn.Module):
    """Changes the picture, a counter, and what an identity handed through, which it reads by its first name."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.same = nn.Identity()
        self.relu = nn.ReLU(inplace=True)
        self.register_buffer("runs", torch.zeros(()))

    def forward(self, x):
        self.runs += 1
        x += self.runs
        x = self.conv(x)
        y = self.same(x)
        y.mul_(2)
        self.relu(y)
        return x + y


def test_changes_in_place_reach_what_they_reach_in_pytorch():
    torch.manual_seed(0)
    module, x = InPlace(), pictures(2, 8, 8)
    model, params = torch_model(module, (8, 8), 3)
    output, own = of_jax(model, params, x)
    assert float(params["runs"]) == float(module.runs) == 0
    assert_close(output, module(torch.tensor(x)).detach())
    assert_close(own["conv"], module.conv(torch.tensor(x) + 1).detach())


def test_a_module_in_training_is_taken_in_evaluation_and_left_alone():
    torch.manual_seed(0)
    module, x = trained(ResNet()), pictures(2, 32, 32)
    expected = module(torch.tensor(x)).detach()
    module.train()
    module.stem.eval()
    before = copy.deepcopy(module.state_dict())
    model, params = torch_model(module, (32, 32), 3)
    assert module.training and module.blocks[0].bn1.training and not module.stem.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(p.requires_grad for p in module.parameters())
    assert not any(part._forward_hooks for part in [*module.modules(), *model.module.modules()])
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    assert_close(jax.jit(model)(params, x), expected)


@pytest.mark.parametrize("wrap", ["half", "double", "compiled", "parallel"])
def test_modules_of_other_types_and_in_wrappers(wrap):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    plain = plain.half().float() if wrap == "half" else plain
    wraps = {
        "half": lambda m: copy.deepcopy(m).half(),
        "double": lambda m: copy.deepcopy(m).double(),
        "compiled": torch.compile,
        "parallel": nn.DataParallel,
    }
    model, params = torch_model(wraps[wrap](plain), (8, 8), 3)
    x = pictures(1, 8, 8)
    output, own = of_jax(model, params, x)
    assert set(own) == {"0", "1", "2"}
    assert_close(output, plain(torch.tensor(x)).detach())


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize(
    "computed", [nn.utils.weight_norm, nn.utils.spectral_norm, nn.utils.parametrizations.weight_norm]
)
def test_weights_that_a_module_computes(computed):
    """They follow from its parameters, by hooks or parametrizations; what a run has left of them is no obstacle."""
    torch.manual_seed(0)
    module, x = nn.Sequential(computed(nn.Conv2d(3, 4, 3)), nn.ReLU()), pictures(2, 8, 8)
    module(torch.tensor(x))
    module.eval()
    model, params = torch_model(module, (8, 8), 3)
    output, own = of_jax(model, params, x)
    assert {"0", "1"} <= set(own)
    assert_close(output, module(torch.tensor(x)).detach())


def test_a_model_is_hashable_and_goes_through_pickle():
    torch.manual_seed(0)
    model, params = torch_model(trained(ViT()), (32, 32), 3)
    x = pictures(1, 32, 32)
    assert len({model, model}) == 1
    again = pickle.loads(pickle.dumps(model))
    assert_close(jax.jit(again)(params, x), jax.jit(model)(params, x))


@pytest.mark.parametrize("setting", ["x64", "strict", "bfloat16"])
def test_settings_of_jax_and_types_of_the_recipe(setting):
    """The type of the pictures is the model's own float type, whatever JAX's default types are."""
    torch.manual_seed(0)
    dtype = jnp.bfloat16 if setting == "bfloat16" else jnp.float32
    for make in (ResNet, ViT):
        module, x = trained(make()), pictures(2, 32, 32)
        promotion = jax.numpy_dtype_promotion("strict" if setting == "strict" else "standard")
        with jax.enable_x64(setting == "x64"), promotion:
            model, params = torch_model(module, (32, 32), 3)
            params = {k: v.astype(dtype) if jnp.issubdtype(v.dtype, jnp.floating) else v for k, v in params.items()}
            assert all(v.dtype == dtype for v in params.values() if jnp.issubdtype(v.dtype, jnp.floating))
            output, own = of_jax(model, params, jnp.asarray(x, dtype))
        assert output.dtype == dtype and {value.dtype for value in own.values()} == {np.dtype(dtype)}
        expected = module(torch.tensor(x)).detach().numpy()
        tolerance = 0.1 if setting == "bfloat16" else 1e-5
        assert np.abs(np.float32(output) - expected).max() < tolerance * np.abs(expected).max()


class Bessel(nn.Module):
    """Has an operation that is not in the table and that PyTorch does not take apart."""

    def forward(self, x):
        return torch.special.i0(x)


def test_a_missing_operation_is_named_with_its_module_and_added_in_one_line(monkeypatch):
    module, x = nn.Sequential(nn.ReLU(), nn.Sequential(Bessel())), pictures(2, 4, 4)
    said = r"aten\.i0\.default \(in 1/0\); .*OPERATIONS\['aten\.i0\.default'\] = "
    with pytest.raises(InputError, match=said) as caught:
        torch_model(module, (4, 4), 3)
    assert "\n" not in str(caught.value)
    monkeypatch.setitem(OPERATIONS, "aten.i0.default", jax.scipy.special.i0)
    model, params = torch_model(module, (4, 4), 3)
    assert_close(model(params, x), module(torch.tensor(x)))


class Undecided(nn.Module):
    """Does one thing or another by what it sees."""

    def forward(self, x):
        return x if x.sum() > 0 else -x


class Random(nn.Module):
    """Draws random numbers in evaluation too."""

    def forward(self, x):
        return F.dropout(x, 0.5, training=True)


@pytest.mark.parametrize(
    "module, message",
    [
        (lambda: 3, "3 is no model; expected a PyTorch module"),
        (lambda: F.relu, "relu is a function; expected a PyTorch module"),
        (lambda: nn.Conv2d(4, 2, 3), r"\(8, 8, 3\) .*; it takes 4 channels: state InputConvention\(channels=4\)"),
        (
            lambda: nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(3 * 16 * 16, 2))),
            r"\(8, 8, 3\), in 1/0 .*; it takes 16 x 16 pixels: state InputConvention\(size=\(16, 16\)\)",
        ),
        (Undecided, "torch.export cannot read Undecided: "),
        (Random, "Random"),
    ],
)
def test_what_cannot_be_taken_says_so_in_one_line(module, message):
    with pytest.raises(InputError, match=message) as caught:
        torch_model(module(), (8, 8), 3)
    assert "\n" not in str(caught.value)
