"""What is timed: the demo policy's whole inference, and chains of true-size blocks.

A chain has as many distinct blocks as it takes for its weights not to stay in a cache, as in the
real network, where a block's weights come back only after all others were read.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from blocks import DitBlock, LanguageLayer, VisionLayer
from goldens import REACH, reach_files, reach_sample
from model import Gr00t, ignore

CASES = ("demo", "dit", "vision", "language")
COMPILE_MODES = ("none", "default", "freeze", "max-autotune")
DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}

# Sizes of GR00T N1.6 and of an observation with two views of 252x280 and 42 words of text.
STATE_AND_ACTION_TOKENS = 17
TEXT_TOKENS, IMAGE_TOKENS = 42, 180
VIEWS, PATCHES = 2, 360
DIT_BLOCKS = 16  # half of the network's: 830 MB in bf16
VISION_LAYERS, LANGUAGE_LAYERS = 4, 4


@dataclass
class Workload:
    run: Callable[[], Tensor]
    blocks: int  # that one run passes through; 1 for a whole inference
    flops: int  # of one run
    weight_bytes: int  # read by one run


class DitChain(nn.Module):
    """Text cross, self, image cross, self, and again, as in the network."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(
            DitBlock(1536, 32, 6144, 2048 if i % 2 == 0 else None, 1e-5) for i in range(DIT_BLOCKS)
        )

    def context(self, rows: Tensor) -> list:
        text, image = rows.split((TEXT_TOKENS, IMAGE_TOKENS))
        return [
            b.context_key_value(text if i % 4 == 0 else image) if b.is_cross else None
            for i, b in enumerate(self.blocks)
        ]

    def forward(self, x: Tensor, modulations: Tensor, context: list) -> Tensor:
        for block, (scale, shift), key_value in zip(self.blocks, modulations, context, strict=True):
            x = block(x, scale, shift, key_value)
        return x


class LayerChain(nn.Module):
    def __init__(self, layers: list[nn.Module]):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, *tables: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, *tables)
        return x


def compiled(module: nn.Module, mode: str) -> nn.Module:
    if mode == "none":
        return module
    # Freezing makes weights constants of the compiled code, stored as its matrix products want
    # them; it is what PyTorch recommends for inference on a CPU.
    torch._inductor.config.freezing = mode in ("freeze", "max-autotune")
    return torch.compile(
        module, fullgraph=True, mode="max-autotune" if mode == "max-autotune" else None
    )


def random_weights(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Uniform values of bf16 precision, small enough that a chain stays finite."""
    for parameter in module.parameters():
        if parameter.dim() > 1:
            parameter.data = torch.empty_like(parameter, dtype=torch.bfloat16).uniform_(-0.02, 0.02)
        parameter.data = parameter.data.to(dtype)
        parameter.requires_grad_(False)
    return module.eval()


def count_flops(run: Callable[[], Tensor]) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def weight_bytes(module: nn.Module, without: str) -> int:
    return sum(
        p.numel() * p.element_size()
        for name, p in module.named_parameters()
        if without not in name.split(".")
    )


def dit_workload(dtype: torch.dtype, mode: str) -> Workload:
    with torch.device("meta"):
        chain = DitChain()
    chain = random_weights(chain.to_empty(device="cpu"), dtype)
    width = 1536
    x = torch.randn(STATE_AND_ACTION_TOKENS, width, dtype=dtype)
    modulations = torch.stack((torch.ones(width), torch.zeros(width))).to(dtype)
    modulations = modulations.repeat(DIT_BLOCKS, 1, 1)
    context = chain.context(torch.randn(TEXT_TOKENS + IMAGE_TOKENS, 2048, dtype=dtype))
    call = compiled(chain, mode)
    return Workload(
        run=lambda: call(x, modulations, context),
        blocks=DIT_BLOCKS,
        flops=count_flops(lambda: chain(x, modulations, context)),
        weight_bytes=weight_bytes(chain, without="key_value"),
    )


def layers_workload(
    make: Callable[[], list[nn.Module]], inputs: list[Tensor], dtype: torch.dtype, mode: str
) -> Workload:
    with torch.device("meta"):
        chain = LayerChain(make())
    chain = random_weights(chain.to_empty(device="cpu"), dtype)
    for module in chain.modules():
        if isinstance(module, nn.LayerNorm | nn.RMSNorm):
            module.weight.data.fill_(1)
            if getattr(module, "bias", None) is not None:
                module.bias.data.zero_()
    inputs = [x.to(dtype) for x in inputs]
    call = compiled(chain, mode)
    return Workload(
        run=lambda: call(*inputs),
        blocks=len(chain.layers),
        flops=count_flops(lambda: chain(*inputs)),
        weight_bytes=weight_bytes(chain, without=""),
    )


def vision_workload(dtype: torch.dtype, mode: str) -> Workload:
    return layers_workload(
        lambda: [VisionLayer(1152, 16, 4304, 1e-6) for _ in range(VISION_LAYERS)],
        [torch.randn(VIEWS, PATCHES, 1152)],
        dtype,
        mode,
    )


def language_workload(dtype: torch.dtype, mode: str) -> Workload:
    tokens = TEXT_TOKENS + IMAGE_TOKENS
    angles = torch.outer(torch.arange(tokens), 1e6 ** -(torch.arange(64) / 64))[:, None]
    return layers_workload(
        lambda: [LanguageLayer(2048, 16, 8, 128, 6144, 1e-6) for _ in range(LANGUAGE_LAYERS)],
        [torch.randn(tokens, 2048), angles.cos(), angles.sin()],
        dtype,
        mode,
    )


class Inference(nn.Module):
    """The network of one observation's shapes, with what to observe left out."""

    def __init__(self, network: Gr00t):
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.network(*inputs, observe=ignore)


def demo_workload(dtype: torch.dtype, mode: str) -> Workload:
    network = Gr00t.load(REACH, embodiment=2, dtype=dtype)
    config = network.config
    sample = reach_sample(
        reach_files()[0],
        config.denoising_steps,
        config.image_token,
        config.embodiments["new_embodiment"],
    )
    network.prepare(sample.observation, round_frequencies=dtype == torch.bfloat16)
    inputs = [
        x.to(dtype) if x.is_floating_point() else x for x in vars(sample.observation).values()
    ]
    module = Inference(network)
    call = compiled(module, mode)
    return Workload(
        run=lambda: call(*inputs),
        blocks=1,
        flops=count_flops(lambda: module(*inputs)),
        weight_bytes=weight_bytes(network, without="embedding"),
    )


def make_workload(case: str, dtype: str, mode: str) -> Workload:
    build = {
        "demo": demo_workload,
        "dit": dit_workload,
        "vision": vision_workload,
        "language": language_workload,
    }[case]
    torch.manual_seed(0)
    return build(DTYPES[dtype], mode)


@dataclass
class Times:
    """Of each run, ms a block."""

    wall_ms: list[float]
    cpu_ms: list[float]  # of all threads together


def time_runs(workload: Workload, iterations: int, warmup: int) -> Times:
    for _ in range(warmup):
        workload.run()
    times = Times([], [])
    for _ in range(iterations):
        cpu, wall = time.process_time(), time.perf_counter()
        workload.run()
        times.wall_ms.append((time.perf_counter() - wall) * 1e3 / workload.blocks)
        times.cpu_ms.append((time.process_time() - cpu) * 1e3 / workload.blocks)
    return times
