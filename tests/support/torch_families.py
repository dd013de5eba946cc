"""Families of PyTorch's operations: small modules that a test compares with PyTorch, each on one picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Each(nn.Module):
    """Several functions of one picture."""

    def __init__(self, *functions):
        super().__init__()
        self.functions = functions

    def forward(self, x):
        return [function(x) for function in self.functions]


def resized(**options):
    return lambda x: F.interpolate(x, **options)


T = 0.7 * torch.randn(3, 3, generator=torch.Generator().manual_seed(1))

FAMILIES = {
    "activations with a flat side": Each(
        F.relu,
        F.relu6,
        F.hardtanh,
        F.hardswish,
        F.hardsigmoid,
        F.hardshrink,
        F.softshrink,
        lambda x: F.threshold(x, 0.1, 0.2),
    ),
    "smooth activations": Each(
        F.gelu,
        lambda x: F.gelu(x, approximate="tanh"),
        F.silu,
        F.mish,
        F.softplus,
        torch.sigmoid,
        torch.tanh,
        F.logsigmoid,
        F.softsign,
        F.tanhshrink,
        torch.erf,
    ),
    "leaky activations": Each(
        F.leaky_relu,
        F.elu,
        F.selu,
        F.celu,
        lambda x: F.elu(x, 0.3),
        lambda x: F.rrelu(x),
        lambda x: F.glu(x, 2),
        lambda x: F.prelu(x, T[0]),
        lambda x: F.prelu(x, T[0, :1]),
    ),
    "softmax": Each(
        lambda x: x.softmax(1), lambda x: x.log_softmax(-1), lambda x: F.softmin(x, 2), lambda x: x.logsumexp((2, 3))
    ),
    "arithmetic": Each(
        lambda x: x + 2 * x - x / 3,
        lambda x: 1 - x,
        lambda x: 2 / (x.abs() + 1),
        lambda x: x**2 + x**3,
        lambda x: x**-1,
        lambda x: x.abs() ** 0.3,
        lambda x: 2**x,
        lambda x: torch.add(x, x, alpha=0.5),
        lambda x: -x.abs().sqrt(),
        lambda x: x.abs().add(1).rsqrt(),
        lambda x: x.clamp(-0.3),
        lambda x: x.clamp(max=x.mean()),
        lambda x: x.exp().log1p(),
        lambda x: torch.maximum(x, x.flip(2)),
        lambda x: torch.lerp(x, x.flip(3), 0.3),
        lambda x: torch.addcmul(x, x, x),
        lambda x: (x * 3) // 1,
        lambda x: torch.div(x, 0.3, rounding_mode="trunc"),
        lambda x: torch.fmod(x, 0.3),
        lambda x: x % 0.4,
        lambda x: torch.atan2(x, x.flip(2)),
        lambda x: x.floor() + x.ceil() + x.round() + x.trunc(),
    ),
    "comparisons": Each(
        lambda x: torch.where(x > 0, x, -2 * x),
        lambda x: x.masked_fill((x < 0) & (x > -1), 3.0),
        lambda x: x * (x >= 0),
        lambda x: ((x != 0) | ~(x <= 0.5)).float(),
        lambda x: (x == x.amax(1, keepdim=True)).to(x.dtype),
    ),
    "reductions": Each(
        lambda x: x.mean((2, 3)),
        lambda x: x.mean(),
        lambda x: x.sum(1, keepdim=True),
        lambda x: x.amax((2, 3)),
        lambda x: x.amin(1),
        lambda x: x.var((2, 3)),
        lambda x: x.std(1, unbiased=False),
        lambda x: x.norm(dim=1),
        lambda x: F.normalize(x, dim=1),
        lambda x: x.max(2)[0],
        lambda x: x.min(),
        lambda x: x.argmax(1).float(),
        lambda x: x.cumsum(3),
        lambda x: x.prod(1),
        lambda x: x.topk(2, 1)[0],
        lambda x: x.sort(2, descending=True)[0],
        lambda x: x.norm(1, dim=(2, 3)),
        lambda x: x.norm(float("inf"), dim=1),
        lambda x: torch.var_mean(x, (1, 2))[0],
        lambda x: (x > 0).sum((2, 3)) / 4,
        lambda x: (x > 0).any(1).float(),
        lambda x: x.median(1)[0],
    ),
    "shapes": Each(
        lambda x: x.flatten(1),
        lambda x: x.view(x.size(0), -1, 2),
        lambda x: x.permute(0, 2, 3, 1).contiguous(),
        lambda x: x.transpose(1, 3).reshape(-1, 3),
        lambda x: x[:, None].expand(-1, 4, -1, -1, -1),
        lambda x: x.repeat(1, 2, 1, 3),
        lambda x: x.unsqueeze(-1).squeeze(-1),
        lambda x: x.mean((2, 3), keepdim=True).squeeze(),
        lambda x: x.unflatten(2, (2, -1)),
        lambda x: x[..., 1:, ::2],
        lambda x: x[:, :, -3:-1],
        lambda x: x[:, -1],
        lambda x: torch.stack(x.unbind(1), -1),
        lambda x: torch.cat(x.split([1, 2], 1)[::-1], 1),
        lambda x: torch.cat(x.chunk(2, 3), 2),
        lambda x: x.flip(2).roll(1, 3),
        lambda x: x.roll((1, -2), (2, 3)),
        lambda x: x.diagonal(dim1=2, dim2=3),
        lambda x: x.tril(1) + x.triu(-1),
        lambda x: x.movedim(1, -1).unfold(1, 3, 2),
        lambda x: torch.meshgrid(x[0, 0, 0], x[0, 0, 1], indexing="ij")[1],
        lambda x: x.new_zeros(x.shape[0], 2) + torch.ones_like(x[:, :2, 0, 0]),
        lambda x: x * torch.arange(x.shape[3]),
        lambda x: x.mT @ x,
        lambda x: torch.repeat_interleave(x, 2, 1),
        lambda x: x + torch.linspace(0, 1, x.shape[2])[:, None],
    ),
    "paddings": Each(
        lambda x: F.pad(x, (1, 2)),
        lambda x: F.pad(x, (1, -1, 0, 3), value=2.0),
        lambda x: F.pad(x, (2, 1, 1, 3), "reflect"),
        lambda x: F.pad(x, (2, 1, 1, 3), "replicate"),
        lambda x: F.pad(x, (2, 1, 1, 3), "circular"),
    ),
    "cells by their numbers": Each(
        lambda x: x[:, [2, 0]],
        lambda x: x[:, :, torch.tensor([[0, 1], [3, 2]])],
        lambda x: x[:, torch.tensor([0, 1]), torch.tensor([2, 3])],
        lambda x: x.index_select(1, torch.tensor([1, 1])),
        lambda x: x.gather(3, x.argsort(3)),
        lambda x: F.embedding(x.argmax(1), T),
        lambda x: x.scatter(1, x.argmax(1, keepdim=True), 9.0),
        lambda x: x.scatter_add(2, x.argsort(2)[:, :, :4], x),
        lambda x: F.one_hot(x.argmax(1), 3).float(),
    ),
    "changes in place": Each(
        lambda x: _set(x.clone(), (slice(None), 0), 1.0),
        lambda x: _set(x.clone(), (Ellipsis, slice(1, None, 2)), 0.0),
        lambda x: (x * 1).relu_().add_(1).mul_(x),
        lambda x: _set(x.clone(), (slice(None), [0, 2]), x[:, :2]),
        lambda x: _doubled(x.clone(), lambda y: y.chunk(2, 2)[1]),
        lambda x: _doubled(x.clone(), lambda y: y.transpose(1, 2)[:, 1:]),
        lambda x: _doubled(x.clone(), lambda y: y.view(-1, 2)[3:]),
        lambda x: _doubled(x.clone(), lambda y: y.unbind(1)[0]),
    ),
    "products": Each(
        lambda x: x @ x.transpose(2, 3),
        lambda x: torch.einsum("nchw,nchv->nwv", x, x),
        lambda x: torch.einsum("nchw,dc->ndhw", x, T),
        lambda x: torch.einsum("nchw,nchv,nciw->nvi", x, x, x),
        lambda x: torch.bmm(x[:, 0], x[:, 1].mT),
        lambda x: torch.tensordot(x, T, ([1], [0])),
        lambda x: torch.baddbmm(x[:, 0, :, :1], x[:, 1], x[:, 2].mT, beta=0.5),
        lambda x: F.linear(x.movedim(1, -1), T, T[0]),
        lambda x: F.linear(x.mean((2, 3)), T),
        lambda x: F.bilinear(x[:, :, 0, 0], x[:, :, 1, 1], T[None]),
        lambda x: torch.addmm(T, T, x[0, :, :3, 0].mT),
    ),
    "convolutions": nn.ModuleList(
        [
            nn.Conv2d(6, 4, 3),
            nn.Conv2d(6, 4, (3, 1), stride=(2, 1), padding=(1, 0)),
            nn.Conv2d(6, 12, 3, dilation=2, groups=3),
            nn.Conv2d(6, 6, 3, padding="same", groups=6),
            nn.Conv2d(6, 4, 3, padding="valid", bias=False),
            nn.Conv2d(6, 4, 3, padding=2, padding_mode="reflect"),
            nn.Conv2d(6, 4, 5, padding=1, padding_mode="circular"),
            nn.Conv2d(6, 4, 4, padding="same", dilation=(1, 2)),
        ]
    ),
    "transposed convolutions": nn.ModuleList(
        [
            nn.ConvTranspose2d(6, 4, 2, 2),
            nn.ConvTranspose2d(6, 4, 3, 2, 1, output_padding=1),
            nn.ConvTranspose2d(6, 4, (3, 4), (1, 3), (0, 2), groups=2, dilation=(2, 1)),
            nn.ConvTranspose2d(6, 6, 4, 2, 1, groups=6, bias=False),
        ]
    ),
    "max-pools": nn.ModuleList(
        [
            nn.MaxPool2d(2),
            nn.MaxPool2d(3, 2, 1),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.MaxPool2d(2, 3, 1, ceil_mode=True),
            nn.MaxPool2d((3, 2), (1, 2), dilation=2),
            nn.AdaptiveMaxPool2d(3),
            nn.AdaptiveMaxPool2d((None, 1)),
            nn.LPPool2d(2, 3, 2),
        ]
    ),
    "mean pools": nn.ModuleList(
        [
            nn.AvgPool2d(2),
            nn.AvgPool2d(3, 2, 1),
            nn.AvgPool2d(3, 2, 1, count_include_pad=False),
            nn.AvgPool2d(3, 2, ceil_mode=True),
            nn.AvgPool2d(2, 3, 1, ceil_mode=True),
            nn.AvgPool2d(2, 3, 1, ceil_mode=True, count_include_pad=False),
            nn.AvgPool2d(3, 1, divisor_override=5),
            nn.AdaptiveAvgPool2d(1),
            nn.AdaptiveAvgPool2d((3, 4)),
            nn.AdaptiveAvgPool2d((5, None)),
        ]
    ),
    "normalizations": nn.ModuleList(
        [
            nn.BatchNorm2d(6),
            nn.BatchNorm2d(6, affine=False, eps=1e-3),
            nn.BatchNorm2d(6, track_running_stats=False),
            nn.GroupNorm(3, 6),
            nn.GroupNorm(1, 6, affine=False),
            nn.InstanceNorm2d(6),
            nn.InstanceNorm2d(6, affine=True, track_running_stats=True),
            nn.LayerNorm([6, 9, 11]),
            nn.LayerNorm(11, bias=False),
            nn.RMSNorm(11),
            nn.LocalResponseNorm(3, 0.1, 0.75, 2.0),
        ]
    ),
    "resampling": Each(
        resized(scale_factor=2),
        resized(scale_factor=(1.5, 0.7)),
        resized(size=(5, 13)),
        resized(size=(5, 13), mode="nearest-exact"),
        resized(scale_factor=3, mode="nearest-exact"),
        resized(scale_factor=2, mode="bilinear"),
        resized(scale_factor=1.7, mode="bilinear"),
        resized(size=(13, 5), mode="bilinear", align_corners=True),
        resized(size=(1, 20), mode="bilinear", align_corners=True),
        resized(size=(4, 3), mode="bilinear", antialias=True),
        resized(scale_factor=2, mode="bicubic"),
        resized(size=(13, 5), mode="bicubic", align_corners=True),
        resized(size=(4, 13), mode="bicubic", antialias=True),
        resized(scale_factor=0.5, mode="area"),
        resized(scale_factor=1.7, mode="bilinear", recompute_scale_factor=True),
        lambda x: F.pixel_shuffle(x.repeat(1, 4, 1, 1), 2),
        lambda x: F.pixel_unshuffle(x[..., :8, :6], 2),
        lambda x: F.grid_sample(
            x,
            F.affine_grid(T[None, :2].expand(x.shape[0], 2, 3), list(x.shape), align_corners=False),
            align_corners=False,
        ),
        lambda x: F.channel_shuffle(x.repeat(1, 2, 1, 1), 2),
        lambda x: F.fold(F.unfold(x, 3, padding=1), x.shape[2:], 3, padding=1),
    ),
    "attention": Each(
        lambda x: F.scaled_dot_product_attention(x, x * 2, x + 1),
        lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True),
        lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=(x[..., :9] > -1) | torch.eye(9, dtype=torch.bool)),
        lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=torch.arange(9)[:, None].expand(9, 9) > 2),
        lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=torch.tanh(x[..., :9]), scale=0.7),
        lambda x: F.scaled_dot_product_attention(x.repeat(1, 2, 1, 1), x, x, enable_gqa=True),
    ),
    "what PyTorch takes apart": nn.ModuleList(
        [
            nn.CosineSimilarity(),
            nn.PReLU(6),
            nn.Softmax2d(),
            nn.ZeroPad2d(1),
            nn.Upsample(scale_factor=2),
            nn.Flatten(),
            nn.ChannelShuffle(3),
        ]
    ),
}


def _doubled(x, view):
    view(x).mul_(2)
    return x


def _set(x, places, value):
    x[places] = value
    return x


EVEN = ("shapes", "leaky activations", "changes in place")
"""These take axes apart; the others are tried on odd ones."""


class Parallel(nn.Module):
    """Several modules on one picture."""

    def __init__(self, modules):
        super().__init__()
        self.parts = modules

    def forward(self, x):
        return [part(x, x.flip(1)) if isinstance(part, nn.CosineSimilarity) else part(x) for part in self.parts]
