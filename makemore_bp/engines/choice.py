"""Which engine runs a configuration, and why, in one line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from makemore_bp.config import Config
from makemore_bp.dataset import Examples
from makemore_bp.engines import Engine, native
from makemore_bp.engines.cuda_graphs import CudaGraphs
from makemore_bp.engines.distributed_engine import DistributedEngine
from makemore_bp.engines.graph_engine import GraphEngine
from makemore_bp.engines.masks import Masks
from makemore_bp.engines.torch_engine import TorchEngine
from makemore_bp.errors import RequestError
from makemore_bp.network.passes import Network
from makemore_bp.network.ranks import ALONE, Ranks

# The multiplications of a step for which the kernel takes one more thread. With fewer for each,
# threads gain little (benchmarks/crossover.py) and lose much where something else takes a core.
THREAD_WORTH = 20_000_000


@dataclass(frozen=True)
class Choice:
    """An engine's name and the reason for it."""

    engine: str
    why: str


def choose(config: Config, vocabulary: int) -> Choice:
    """The engine for a configuration.

    Raises RequestError if it names an engine that cannot run it, or a device that is not there.
    """
    _refuse_missing(config.device)
    reason = obstacle(config)
    if config.engine == "native":
        if reason:
            raise RequestError(f"engine: native cannot run here: {reason}. Take engine: torch.")
        return Choice("native", "as configured")
    if config.engine == "torch":
        return Choice("torch", f"as configured{_graphs(config)}")
    if reason:
        return Choice("torch", f"{reason}{_graphs(config)}")
    work = multiplications(config, vocabulary)
    share = threads(work)
    by = f", shared by {share:,} threads" if share > 1 else ""
    return Choice("native", f"the fastest for {work / 1e6:,.1f} million multiplications a step{by}")


def choose_distributed(config: Config, local_rank: int, size: int) -> Choice:
    """The engine for a configuration on one of ``size`` ranks.

    Raises RequestError if it cannot run there: the native engine, a batch that leaves a rank
    without a row, or a device that this rank does not have.
    """
    if config.engine == "native":
        raise RequestError("engine: native trains in one process. Take engine: auto or torch.")
    if config.device not in ("cpu", "cuda"):
        raise RequestError(
            f"device: {config.device} is one device, and every rank needs its own. Take device: "
            "cpu, or cuda, of which each rank of a machine takes the next."
        )
    if config.train.batch_size < size:
        raise RequestError(
            f"train.batch_size = {config.train.batch_size:,} leaves some of {size:,} ranks without "
            "an example. Make the batch larger or start fewer ranks."
        )
    _refuse_missing(rank_device(config.device, local_rank))
    return Choice("torch", f"{size:,} rank{'s' * (size > 1)} over torch.distributed")


def rank_device(device: str, local_rank: int) -> str:
    """The device of a rank: GPUs are dealt out one by one."""
    return device if device == "cpu" else f"{device}:{local_rank}"


def make(
    choice: Choice,
    config: Config,
    parameters: Mapping[str, Tensor],
    examples: Examples,
    step: int = 0,
    ranks: Ranks = ALONE,
) -> Engine:
    """The chosen engine, holding a copy of ``parameters``; the next step is number ``step``."""
    train = config.train
    if choice.engine == "native":
        from makemore_bp.engines.native_engine import NativeEngine

        return NativeEngine(
            parameters,
            examples,
            train.batch_size,
            train.dropout,
            train.weight_decay,
            train.seed,
            step,
            threads(multiplications(config, len(parameters["C"]))),
        )
    drops = train.dropout > 0
    switches = (config.backward.cross_entropy, config.backward.batchnorm, drops)
    drawn = masks(config) if drops else None
    rest = (parameters, examples, config.device, train.weight_decay, drawn, step)
    if ranks is not ALONE:
        return DistributedEngine(ranks, Network.distributed(*switches), *rest)
    network = Network.of(*switches)
    if _is_cuda(config.device):
        return GraphEngine(train.batch_size, CudaGraphs(config.device), network, *rest)
    return TorchEngine(network, *rest)


def masks(config: Config) -> Masks:
    """Dropout's masks in a run of ``config``, on its device and in its precision."""
    train, shape = config.train, (config.train.batch_size, config.model.n_hidden)
    return Masks(train.dropout, train.seed, shape, getattr(torch, config.dtype), config.device)


def multiplications(config: Config, vocabulary: int) -> int:
    """The multiplications of a step's six matrix products."""
    model = config.model
    weights = model.n_hidden * (model.block_size * model.n_embd + vocabulary)
    return 3 * config.train.batch_size * weights


def threads(work: int) -> int:
    """How many threads the native engine takes for a step of so many multiplications.

    At most as many as PyTorch, so that what holds PyTorch back (``OMP_NUM_THREADS``, a process
    bound to some of the cores) holds both.
    """
    return max(1, min(torch.get_num_threads(), work // THREAD_WORTH))


def obstacle(config: Config) -> str | None:
    """Why the native engine cannot run a configuration, or None."""
    if config.device != "cpu":
        return f"the native engine runs on the CPU, not on {config.device}"
    if config.dtype != "float32":
        return f"the native engine computes in float32, not in {config.dtype}"
    switches = {
        "backward.cross_entropy": config.backward.cross_entropy,
        "backward.batchnorm": config.backward.batchnorm,
    }
    for key, value in switches.items():
        if value != "fused":
            return f"the native engine runs the fused backward passes, and {key} is {value}"
    return native.why_not()


def _is_cuda(device: str) -> bool:
    return torch.device(device).type == "cuda"


def _graphs(config: Config) -> str:
    return "; its steps are replayed as CUDA graphs" if _is_cuda(config.device) else ""


def _refuse_missing(device: str) -> None:
    """Raises RequestError if this machine does not have the device."""
    kind, _, number = device.partition(":")
    present = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }[kind]
    if int(number or 0) >= present:
        raise RequestError(
            f"device: {device} is not there; PyTorch sees {present} such devices. "
            "Take device: cpu, or install a PyTorch built for it."
        )
