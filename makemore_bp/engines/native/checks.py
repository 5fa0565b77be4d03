"""What the kernel refuses before it reads: tensors of another type, layout, shape or range.

Nothing is converted. What comes out is what C takes: pointers, numbers and structures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from makemore_bp.engines.native.library import either, ffi, lib
from makemore_bp.network.parameters import Sizes

ACTIVATIONS = ("tanh", "relu")  # that the kernel knows
MOST_THREADS = 1024

_POINTERS = {torch.float32: "float *", torch.int64: "int64_t *"}


def pointer(
    name: str, tensor: Tensor, shape: tuple[int, ...] | None, dtype: torch.dtype = torch.float32
) -> Any:
    """Where the numbers of ``tensor`` lie, as long as the tensor lives. Without ``shape``, any will
    do.

    Raises TypeError or ValueError, with ``name`` in the message, if it is not what is asked for.
    """
    _require(name, tensor, dtype)
    if shape is not None and tensor.shape != shape:
        raise ValueError(f"{name} must have the shape {shape}")
    return ffi.cast(_POINTERS[dtype], tensor.data_ptr())


def pointers(tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> list[Any]:
    """Those of several float32 tensors, in the order of ``shapes``."""
    return [pointer(name, tensors[name], shape) for name, shape in shapes.items()]


def sizes_of(parameters: Mapping[str, Tensor]) -> Sizes:
    """The network's sizes, from the shapes of C and W1; the rest is checked against them."""
    for name in ("C", "W1"):
        _require(name, parameters[name], torch.float32)
        if parameters[name].dim() != 2 or not parameters[name].numel():
            raise ValueError(f"{name} must have two dimensions, neither of them 0")
    (vocabulary, n_embd), (fan_in, n_hidden) = parameters["C"].shape, parameters["W1"].shape
    if fan_in % n_embd:
        raise ValueError(
            f"W1 has {fan_in} rows, which is not a multiple of the {n_embd} columns of C"
        )
    return Sizes(vocabulary, fan_in // n_embd, n_embd, n_hidden)


def rates(lrs: Tensor) -> tuple[Any, int]:
    """Where the learning rates lie, and for how many steps they are."""
    where = pointer("lrs", lrs, None)
    if lrs.dim() != 1 or not lrs.numel():
        raise ValueError("lrs must have one dimension, and at least one step")
    return where, lrs.numel()


def examples(sizes: Sizes, stream: Tensor, positions: Tensor) -> tuple[Any, Any]:
    """The structure ``Examples``, and what keeps its memory alive and in its place."""
    _require("stream", stream, torch.uint8, torch.int16, torch.int32)
    _require("positions", positions, torch.int32, torch.int64)
    for name, tensor in (("stream", stream), ("positions", positions)):
        if tensor.dim() != 1:
            raise ValueError(f"{name} must have one dimension")
    _refuse_ids(stream, sizes.vocabulary)
    _refuse_positions(positions, len(stream), sizes.block_size)
    # A tensor that is an array as well cannot be resized.
    kept = [ffi.from_buffer(tensor.detach().numpy()) for tensor in (stream, positions)]
    fields = {
        "stream": kept[0],
        "stream_width": stream.itemsize,
        "stream_length": len(stream),
        "positions": kept[1],
        "positions_width": positions.itemsize,
        "examples": len(positions),
    }
    return ffi.new("Examples *", fields), kept


def refuse_options(batch_size: int, dropout: float, weight_decay: float, threads: int) -> None:
    """Raises ValueError for the first of them that is out of range."""
    if batch_size < 2:
        raise ValueError("batch_size must be at least 2: batchnorm divides by batch_size - 1")
    if not 0 <= dropout < 1:
        raise ValueError("dropout must be 0 or more, and less than 1")
    if not 0 <= weight_decay <= torch.finfo(torch.float32).max:
        raise ValueError("weight_decay must be 0 or more, and finite")
    if not 1 <= threads <= MOST_THREADS:
        raise ValueError(f"threads must be between 1 and {MOST_THREADS}")


def activation(name: str) -> int:
    """Its number in kernel.h."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation must be {either(ACTIVATIONS)}, not {name!r}")
    return int(getattr(lib, name.upper()))


def _require(name: str, tensor: Tensor, *dtypes: torch.dtype) -> None:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name} must be a tensor, not {type(tensor).__name__}")
    if tensor.dtype not in dtypes:
        words = either(str(dtype).removeprefix("torch.") for dtype in dtypes)
        raise TypeError(f"{name} must be {words}, not {str(tensor.dtype).removeprefix('torch.')}")
    if not tensor.is_cpu:
        raise TypeError(f"{name} must be on the CPU, not on {tensor.device}")
    if not tensor.is_contiguous() or tensor.is_neg():
        raise ValueError(f"{name} must be C-contiguous")


def _refuse_ids(stream: Tensor, vocabulary: int) -> None:
    at = _first_outside(stream, vocabulary)
    if at is not None:
        raise ValueError(f"stream[{at}] is not an id of a vocabulary of {vocabulary}")


def _refuse_positions(positions: Tensor, length: int, block_size: int) -> None:
    at = _first_outside(positions, length - block_size)
    if at is not None:
        raise ValueError(
            f"positions[{at}] leaves no room for a context of {block_size} and its target in a "
            f"stream of {length}"
        )


def _first_outside(numbers: Tensor, end: int) -> int | None:
    """Where the first number stands that is not from 0 to below ``end``."""
    if not len(numbers) or (int(numbers.min()) >= 0 and int(numbers.max()) < end):
        return None
    wide = numbers.long()
    return int(((wide < 0) | (wide >= end)).nonzero()[0])
