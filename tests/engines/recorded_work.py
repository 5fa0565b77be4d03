"""What a CUDA graph does, on the CPU: operations are recorded once and replayed as they were.

A replay runs the same operations on the same memory with the same Python numbers, whatever has
become of them since. So work that has baked in what changes from step to step goes wrong here as it
would on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Recording(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The operations that are called within this context, with their operands and results."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[tuple[Callable[..., Any], Any, Any, Any]] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        self.calls.append((function, args, kwargs or {}, result))
        return result

    def names(self) -> set[str]:
        """The operations' names, such as ``aten.add.Tensor``."""
        return {str(function) for function, *_ in self.calls}

    def tensors(self) -> list[Tensor]:
        """All operands and results."""
        parts = [(args, kwargs, result) for _, args, kwargs, result in self.calls]
        return [leaf for leaf in tree_leaves(parts) if isinstance(leaf, Tensor)]

    def replay(self) -> None:
        """Runs the operations again; their results go to where they went the first time."""
        for function, args, kwargs, result in self.calls:
            again = function(*args, **kwargs)
            for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


class Capture:
    """Stands in for ``CudaGraphs``: warms up, records, and returns what replays."""

    def __init__(self) -> None:
        self.recordings: list[Recording] = []

    def __call__(self, work: Callable[[], None]) -> Callable[[], None]:
        work()
        with Recording() as recording:
            work()
        self.recordings.append(recording)

        def replay() -> None:
            with torch.inference_mode():
                recording.replay()

        return replay
