"""What fine-tuning costs: operations counted from the shapes, a rate measured on this machine, forecasts from both.

A layer multiplies each piece with four matrices of width x width and two of width x inner, and compares all pairs of
pieces in its attention. A multiplication and an addition are two operations. The backward pass of a layer that learns
takes two times its forward pass; one that is frozen below all others has none.
"""

import re
import sys
from pathlib import Path

import torch

from torchnlp import device

# NVIDIA H100 Tensor Core GPU data sheet, SXM: 1,979 TFLOP/s in bfloat16 with sparsity, half of it without.
GPU, GPU_PEAK = "H100", 989e12
GPU_EFFICIENCY = 0.3  # assumed: the share of the peak that short texts reach in BERT-base
BASIS, OFFICIAL_ROWS = ("rows 1000", "rows 4000"), 120_000  # the runs from which all others are forecast
SCALING = 0.9  # assumed: the share that is left of eight times as many operations per second


def layer_operations(width: int, inner: int, pieces: float, queries: float | None = None) -> float:
    """Operations of one layer forward for one text, or for so many of its pieces alone (keys and values for all)."""
    queries = pieces if queries is None else queries
    keys_values = 4 * width**2 * pieces
    per_query = 4 * width**2 + 4 * width * inner + 4 * width * pieces  # query, output; feed-forward; attention
    return keys_values + per_query * queries


def training_operations(config, pieces: float, frozen: int, passes: float = 1, keeps: bool = False) -> float:
    """Operations to fine-tune a BERT on one text of so many pieces, its last layer computed at [CLS] alone.

    Args:
        config: of transformers, for the number of layers and their shape.
        frozen: so many lower layers do not learn.
        keeps: the frozen layers are computed once, not once for each pass.
    """
    shape = (config.hidden_size, getattr(config, "intermediate_size", None) or config.hidden_dim)
    whole, last = layer_operations(*shape, pieces), layer_operations(*shape, pieces, queries=1)
    layers = [whole] * (config.num_hidden_layers - 1) + [last]
    return sum(layers[:frozen]) * (1 if keeps else passes) + 3 * sum(layers[frozen:]) * passes


def peak_memory() -> int:
    """Bytes at the peak: of the GPU where there is one, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    if sys.platform == "linux":  # where ru_maxrss also knows the peak of the process that started this one
        return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: in bytes


def gpu_seconds(operations: float, gpus: int = 1) -> float:
    """Forecast for GPUs that nobody has measured here: the peak of the data sheet times the efficiency assumed."""
    return operations / (GPU_PEAK * GPU_EFFICIENCY * gpus * (SCALING if gpus > 1 else 1))


def duration(seconds: float) -> str:
    """Seconds as a person says them: "0.4 s", "37 s", "12 min", "3.5 h"."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}" if seconds < 10 * size else f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def start_and_rate(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """The seconds that any run takes, and operations per second after them, of two runs: each (operations, seconds)."""
    (fewer, shorter), (more, longer) = sorted([one, other])
    if more == fewer or longer <= shorter:  # the same run twice, or a disturbed one: all in proportion
        return 0.0, more / longer
    rate = (more - fewer) / (longer - shorter)
    start = max(0.0, shorter - fewer / rate)
    return start, more / (longer - start)


def forecasts(runs: dict[str, dict]) -> dict[str, dict]:
    """What the cost model says, from runs on this machine: {name: {"seconds", "operations", "train_rows"}}.

    `checks` has for each run the seconds that the two runs of `BASIS` alone would have forecast; `official` those for
    120,000 rows with our model and with BERT-base, on this machine and on GPUs.
    """
    basis = BASIS if set(BASIS) <= set(runs) else [name for name in runs if name.startswith("rows")][:2]
    start, rate = start_and_rate(*((runs[name]["operations"], runs[name]["seconds"]) for name in basis))
    checks = {name: start + run["operations"] / rate for name, run in runs.items()}
    official = {}
    for name in (basis[-1], "base"):
        factor = OFFICIAL_ROWS / runs[name]["train_rows"]
        operations = runs[name]["operations"] * factor
        official[name] = {"operations": operations, "here": start + (runs[name]["seconds"] - start) * factor}
        official[name] |= {"gpu": gpu_seconds(operations), "gpus": gpu_seconds(operations, 8)}
    return {"start": start, "rate": rate, "checks": checks, "official": official}
