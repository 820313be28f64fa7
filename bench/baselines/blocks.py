"""The three kinds of transformer blocks of GR00T N1.6 (docs/spec/model.md, 3.4, 5.2, 8.2).

Written the way PyTorch is fast: fused projections of one input, fused attention, and nothing
recomputed that depends on weights alone. No batch axis: one observation, rows are tokens.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def attention(q: Tensor, k: Tensor, v: Tensor, heads: int, kv_heads: int, causal: bool) -> Tensor:
    """q [b, t, h*e], k and v [b, s, g*e] -> [b, t, h*e]."""
    q = q.unflatten(-1, (heads, -1)).transpose(1, 2)
    k = k.unflatten(-1, (kv_heads, -1)).transpose(1, 2)
    v = v.unflatten(-1, (kv_heads, -1)).transpose(1, 2)
    out = F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=heads != kv_heads)
    return out.transpose(1, 2).flatten(2)


class VisionLayer(nn.Module):
    """Pre-norm layer of the vision tower; attention stays inside an image."""

    def __init__(self, width: int, heads: int, ffn: int, epsilon: float):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, epsilon)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, epsilon)
        self.up = nn.Linear(width, ffn)
        self.down = nn.Linear(ffn, width)

    def forward(self, x: Tensor) -> Tensor:  # [v, p, d] -> the same
        q, k, v = self.qkv(self.norm1(x)).chunk(3, dim=-1)
        x = x + self.out(attention(q, k, v, self.heads, self.heads, causal=False))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Half-split rotary positions: x [t, h, e], cos and sin [t, 1, e/2]."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


class LanguageLayer(nn.Module):
    """Decoder layer with grouped-query attention, per-head norms and SwiGLU."""

    def __init__(
        self, width: int, heads: int, kv_heads: int, head_dim: int, ffn: int, epsilon: float
    ):
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, head_dim
        self.input_norm = nn.RMSNorm(width, epsilon)
        self.qkv = nn.Linear(width, (heads + 2 * kv_heads) * head_dim, bias=False)
        self.q_norm = nn.RMSNorm(head_dim, epsilon)
        self.k_norm = nn.RMSNorm(head_dim, epsilon)
        self.out = nn.Linear(heads * head_dim, width, bias=False)
        self.post_norm = nn.RMSNorm(width, epsilon)
        self.gate_up = nn.Linear(width, 2 * ffn, bias=False)
        self.down = nn.Linear(ffn, width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:  # [t, d] -> the same
        heads = self.qkv(self.input_norm(x)).unflatten(-1, (-1, self.head_dim))  # [t, h+2g, e]
        q, k, v = heads.split((self.heads, self.kv_heads, self.kv_heads), dim=1)
        q = rotate(self.q_norm(q), cos, sin).flatten(1)
        k = rotate(self.k_norm(k), cos, sin).flatten(1)
        mixed = attention(q[None], k[None], v.flatten(1)[None], self.heads, self.kv_heads, True)[0]
        x = x + self.out(mixed)
        gate, up = self.gate_up(self.post_norm(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)


class DitBlock(nn.Module):
    """Block of the action head. The modulation (a table over denoising steps) and, in cross
    blocks, keys and values of the context (once an observation) come from outside."""

    def __init__(self, width: int, heads: int, ffn: int, context: int | None, epsilon: float):
        super().__init__()
        self.heads, self.epsilon = heads, epsilon
        self.is_cross = context is not None
        self.qkv = nn.Linear(width, width if self.is_cross else 3 * width)
        self.key_value = nn.Linear(context, 2 * width) if context is not None else None
        self.out = nn.Linear(width, width)
        self.up = nn.Linear(width, ffn)
        self.down = nn.Linear(ffn, width)

    def context_key_value(self, rows: Tensor) -> tuple[Tensor, Tensor]:  # [s, c] -> 2 x [s, d]
        k, v = self.key_value(rows).chunk(2, dim=-1)
        # Contiguous: read at every denoising step.
        return k.contiguous(), v.contiguous()

    def forward(
        self,
        x: Tensor,  # [t, d]
        scale: Tensor,  # [d]: 1 + scale of the adaptive norm
        shift: Tensor,  # [d]
        key_value: tuple[Tensor, Tensor] | None,
    ) -> Tensor:
        # LayerNorm without weights, then times scale plus shift, is LayerNorm with weights.
        n = F.layer_norm(x, x.shape[-1:], scale, shift, self.epsilon)
        if self.is_cross:
            q, (k, v) = self.qkv(n), key_value
        else:
            q, k, v = self.qkv(n).chunk(3, dim=-1)
        mixed = attention(q[None], k[None], v[None], self.heads, self.heads, causal=False)[0]
        x = x + self.out(mixed)
        m = F.layer_norm(x, x.shape[-1:], None, None, self.epsilon)
        return x + self.down(F.gelu(self.up(m), approximate="tanh"))
