"""What a step on a GPU launches, and what it moves; no GPU is needed.

    python benchmarks/launches.py             launches and megabytes a step, for growing steps
    python benchmarks/launches.py --compile   compiles every kernel for an H100; none may use TF32

The step runs on tensors without numbers, and what it would launch is written down. A launch moves
its operands, each counted once; what a cache saves or a second look costs is left out. cuBLAS may
split a product with a long sum over two launches, which cannot be seen from here.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

import torch  # noqa: E402
from torch import Tensor  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from makemore_bp.dataset import Examples  # noqa: E402
from makemore_bp.engines.engine import Work  # noqa: E402
from makemore_bp.network.parameters import Sizes  # noqa: E402
from makemore_bp.network.passes import Network  # noqa: E402

SIZES = [(batch, 200) for batch in (32, 512, 8192, 65_536, 2**20)] + [(32, 1024), (8192, 1024)]
TYPES = {"indices": "*i64", "positions": "*i32", "stream": "*u8", "X": "*i32", "Y": "*i32"}
NUMBERS = ("total", "s", "n", "H", "C_count", "b2_count", "size", "b2_at", "weights_at")


class Launch(NamedTuple):
    """One launch, and the bytes of its operands."""

    name: str
    moved: int


class Recording(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes down what is launched within this context."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.launches: list[Launch] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if not function.is_view:
            self.add(str(function), (*args, result))
        return result

    def add(self, name: str, operands: tuple[Any, ...]) -> None:
        moved = sum(t.numel() * t.element_size() for t in operands if isinstance(t, Tensor))
        self.launches.append(Launch(name, moved))


class Kernels:
    """Stands in for the module of that name, and launches nothing."""

    def __init__(self, add: Callable[[str, tuple[Any, ...]], None]) -> None:
        self._add = add

    def __getattr__(self, kernel: str) -> Any:
        def call(*operands: Any, **options: Any) -> None:
            self._add(kernel, operands)

        return defaultdict(lambda: call)


def launches(sizes: Sizes, batch: int, **more: Any) -> tuple[list[Launch], list[Launch]]:
    """Those of a step, and those that make minibatches ready, which serve all steps of a graph."""
    from makemore_bp.engines import triton_step

    empty = {name: torch.empty(shape, device="meta") for name, shape in sizes.shapes.items()}
    ids = torch.empty(1000, dtype=torch.uint8, device="meta")
    positions = torch.empty(900, dtype=torch.int32, device="meta")
    examples = Examples(ids, positions, sizes.block_size)
    network = Network.of(cross_entropy="fused", batchnorm="fused")
    work = Work(network, sizes, examples, batch, device="meta", **more)
    step = triton_step.TritonStep(work, empty, examples, 1)
    one = torch.empty(1, device="meta")
    indices = torch.empty(1, batch, dtype=torch.int64, device="meta")
    ready = recorded(triton_step, lambda: step.prepare(indices))
    return recorded(triton_step, lambda: step(0, indices[:, :2], one, one)), ready


def recorded(module: Any, work: Callable[[], None]) -> list[Launch]:
    """What some work with the module's kernels launches."""
    with Recording() as recording, mock.patch.object(module, "kernels", Kernels(recording.add)):
        work()
    return recording.launches


def compiled() -> None:
    """Prints what each kernel takes of an H100, for the lecture's network in float32."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from makemore_bp.engines import triton_kernels, triton_step

    values = {
        "B": 3, "V": 27, "VB": 32, "E": 10, "EB": 16, "BN": triton_step.ROWS, "EPS": 1e-5,
        "RELU": False, "DROPOUT": 0.1, "THRESHOLD": 2**31, "DECAY": 0.01, "VE": 270,
        "BLOCK": triton_step.PARAMETERS, "ROWS": triton_step.SUMS,
    }  # fmt: skip
    for name in ("gather", "hidden", "loss", "before_activation", "first_layer", "update"):
        kernel, first = getattr(triton_kernels, name), name == "first_layer"
        values["BH"] = triton_step.FEW_UNITS if first else triton_step.UNITS
        fixed = {arg: values[arg] for arg in kernel.arg_names if arg in values}
        types = {
            arg: TYPES.get(arg, "*i64" if arg == "keys" else "*fp32") for arg in kernel.arg_names
        }
        types |= {arg: "i32" for arg in NUMBERS if arg in types} | dict.fromkeys(fixed, "constexpr")
        wide = name in ("hidden", "loss", "before_activation")
        found = triton.compile(
            ASTSource(kernel, types, fixed),
            target=GPUTarget("cuda", 90, 32),
            options=triton_step.WIDE if wide else triton_step.OPTIONS,
        )
        tf32 = "with TF32" if "tf32" in found.asm["ptx"] else "no TF32"
        print(f"{name:18} {found.metadata.shared:7,} bytes of shared memory, {tf32}")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compile", action="store_true", help="compile the kernels for an H100")
    if parser.parse_args().compile:
        compiled()
        return
    print(f"{'batch':>9} {'n_hidden':>8} {'launches':>8} {'MB':>8}   for the minibatch, a graph")
    for batch, n_hidden in SIZES:
        run, ready = launches(Sizes(27, n_hidden=n_hidden), batch)
        moved = sum(launch.moved for launch in run) / 1e6
        print(f"{batch:9,} {n_hidden:8,} {len(run):8} {moved:8.1f}   {len(ready)} launches")
    for launch in run:
        print(f"{launch.name:24} {launch.moved / 1e6:8.1f} MB")


if __name__ == "__main__":
    main()
