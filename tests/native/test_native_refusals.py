"""What the kernel refuses: nothing is converted, and nothing outside an array is ever read."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from makemore_bp.engines import native

Change = Callable[[Tensor], Tensor]


def with_parameter(case: Any, name: str, change: Change) -> Any:
    return replace(case, parameters=case.parameters | {name: change(case.parameters[name])})


@pytest.mark.parametrize(
    ("name", "change", "complaint"),
    [
        ("C", lambda t: t[:, :9].contiguous(), "no multiple of the 9 columns of C"),
        ("C", lambda t: t[0], "C must have two dimensions"),
        ("C", lambda t: t[:0], "C must have two dimensions, neither of them 0"),
        ("W1", lambda t: t[:29], "W1 has 29 rows"),
        ("W1", lambda t: t.T.contiguous(), r"b1 must have the shape \(30,\)"),
        ("W1", lambda t: t.T, "W1 must be C-contiguous"),
        ("b1", lambda t: t[:199], r"b1 must have the shape \(200,\)"),
        ("b1", lambda t: t[None], r"b1 must have the shape \(200,\)"),
        ("W2", lambda t: t[:, ::2], "W2 must be C-contiguous"),
        ("W2", lambda t: t[:, :26].contiguous(), r"W2 must have the shape \(200, 27\)"),
        ("b2", lambda t: t[:0], r"b2 must have the shape \(27,\)"),
        ("bngain", lambda t: t[0], r"bngain must have the shape \(1, 200\)"),
        ("bnbias", lambda t: t.expand(2, -1).contiguous(), r"bnbias must have the shape"),
    ],
)
def test_parameters_of_a_wrong_shape(
    case: Callable[..., Any], name: str, change: Change, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        with_parameter(case(), name, change).kernel()


@pytest.mark.parametrize("name", ["C", "W1", "b1", "W2", "b2", "bngain", "bnbias"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int32])
def test_parameters_of_a_wrong_dtype(
    case: Callable[..., Any], name: str, dtype: torch.dtype
) -> None:
    with pytest.raises(TypeError, match=f"{name} must be float32"):
        with_parameter(case(), name, lambda t: t.to(dtype)).kernel()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"dropout": 1.0}, "dropout must be 0 or more, and less than 1"),
        ({"dropout": -0.1}, "dropout must be 0 or more"),
        ({"dropout": float("nan")}, "dropout must be 0 or more"),
        ({"weight_decay": -1e-9}, "weight_decay must be 0 or more"),
        ({"weight_decay": 1e39}, "weight_decay must be 0 or more, and finite"),
        ({"weight_decay": float("nan")}, "weight_decay must be 0 or more"),
        ({"threads": 0}, "threads must be between 1 and 1024"),
        ({"threads": 1025}, "threads must be between 1 and 1024"),
    ],
)
def test_options_out_of_range(
    case: Callable[..., Any], options: dict[str, float], complaint: str
) -> None:
    some = case()
    with pytest.raises(ValueError, match=complaint):
        native.NativeKernel(some.parameters, some.stream, some.positions, 32, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.int64, torch.int8, torch.float32, torch.bool])
def test_a_stream_of_a_wrong_dtype(case: Callable[..., Any], dtype: torch.dtype) -> None:
    some = case()
    with pytest.raises(TypeError, match="stream must be uint8, int16 or int32"):
        replace(some, stream=some.stream.to(dtype)).kernel()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.float64])
def test_positions_of_a_wrong_dtype(case: Callable[..., Any], dtype: torch.dtype) -> None:
    some = case()
    with pytest.raises(TypeError, match="positions must be int32 or int64"):
        replace(some, positions=some.positions.to(dtype)).kernel()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
@pytest.mark.parametrize("width", [torch.int32, torch.int64])
def test_every_width_of_ids_and_positions_trains_alike(
    case: Callable[..., Any], dtype: torch.dtype, width: torch.dtype
) -> None:
    some = case()
    indices, lrs = some.indices(5), torch.full((5,), 0.1)
    expected = some.kernel().advance(indices, lrs)
    other = replace(some, stream=some.stream.to(dtype), positions=some.positions.to(width))
    assert torch.equal(other.kernel().advance(indices, lrs), expected)


@pytest.mark.parametrize("bad", [27, 32767, -1, -32768])
def test_an_id_outside_the_vocabulary(case: Callable[..., Any], bad: int) -> None:
    some = case()
    some = replace(some, stream=some.stream.to(torch.int16))
    some.stream[11] = bad
    with pytest.raises(ValueError, match=r"stream\[11\] is no id of a vocabulary of 27"):
        some.kernel()


@pytest.mark.parametrize("bad", [-1, 500, 2**31 - 1, -(2**31)])
def test_a_position_without_room_for_its_example(case: Callable[..., Any], bad: int) -> None:
    some = case()
    some.positions[4] = bad
    with pytest.raises(ValueError, match=r"positions\[4\] leaves no room for a context of 3"):
        some.kernel()


def test_the_last_position_with_room_is_accepted(case: Callable[..., Any]) -> None:
    some = case()
    some.positions.fill_(len(some.stream) - 4)
    assert some.kernel().gradients(some.indices(1)[0])["loss"].isfinite()


def test_a_stream_shorter_than_one_example(case: Callable[..., Any]) -> None:
    some = case()
    with pytest.raises(ValueError, match=r"positions\[0\] leaves no room"):
        replace(some, stream=some.stream[:3], positions=torch.zeros(1, dtype=torch.int32)).kernel()


@pytest.mark.parametrize("batch_size", [1, 0, -5])
def test_a_batch_that_has_no_variance(case: Callable[..., Any], batch_size: int) -> None:
    with pytest.raises(ValueError, match="batch_size must be at least 2"):
        case(batch_size=batch_size).kernel()


def test_a_batch_larger_than_memory(case: Callable[..., Any]) -> None:
    with pytest.raises(MemoryError):
        replace(case(), batch_size=2**55).kernel()


@pytest.mark.parametrize("bad", [-1, 500, 2**62, -(2**63)])
def test_an_index_that_names_no_example_is_refused_before_the_first_step(
    case: Callable[..., Any], bad: int
) -> None:
    some = case()
    kernel, indices = some.kernel(), some.indices(3)
    indices[2, 31] = bad
    with pytest.raises(ValueError, match=f"index {bad} is no example: there are 500"):
        kernel.advance(indices, torch.full((3,), 0.1))
    with pytest.raises(ValueError, match=f"index {bad} is no example"):
        kernel.gradients(indices[2])
    assert torch.equal(kernel.parameters()["W1"], some.parameters["W1"])


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda t: t[:, :31].contiguous(), ValueError),
        (lambda t: t[:2], ValueError),
        (lambda t: t[0], ValueError),
        (lambda t: t.int(), TypeError),
        (lambda t: t.double(), TypeError),
        (lambda t: t.T.contiguous().T, ValueError),
    ],
)
def test_indices_of_a_wrong_shape_or_dtype(
    case: Callable[..., Any], change: Change, error: type[Exception]
) -> None:
    some = case()
    with pytest.raises(error, match="indices must"):
        some.kernel().advance(change(some.indices(3)), torch.full((3,), 0.1))


@pytest.mark.parametrize(
    "lrs", [torch.full((3,), 0.1).double(), torch.full((3, 1), 0.1), torch.full((0,), 0.1)]
)
def test_learning_rates_of_a_wrong_shape_or_dtype(case: Callable[..., Any], lrs: Tensor) -> None:
    some = case()
    with pytest.raises((TypeError, ValueError), match="lrs must"):
        some.kernel().advance(some.indices(3), lrs)


def test_other_shapes_loaded_into_a_kernel(case: Callable[..., Any]) -> None:
    kernel = case().kernel()
    with pytest.raises(ValueError, match=r"W1 must have the shape \(30, 200\)"):
        kernel.load(case(n_hidden=100).parameters)


def test_examples_that_change_under_the_kernel_stop_it(case: Callable[..., Any]) -> None:
    some = case()
    kernel = some.kernel()
    some.positions.fill_(10**6)
    with pytest.raises(RuntimeError, match="examples were changed"):
        kernel.advance(some.indices(1), torch.full((1,), 0.1))


def test_examples_stay_alive_as_long_as_the_kernel(case: Callable[..., Any]) -> None:
    some = case(examples=100_000)
    kernel, indices = some.kernel(), some.indices(5)
    expected = some.kernel().advance(indices, torch.zeros(5))
    del some
    assert torch.equal(kernel.advance(indices, torch.zeros(5)), expected)


@pytest.mark.parametrize("name", ["sse9", "AVX2 ", "baseline2"])
def test_an_unknown_instruction_set(case: Callable[..., Any], name: str) -> None:
    with pytest.raises(ValueError, match="MAKEMORE_BP_ISA must be baseline, avx2 or avx512"):
        case().kernel(name)


def test_the_bare_class_refuses_what_is_no_array(case: Callable[..., Any]) -> None:
    case()
    kernel_class: Any = native._kernel.Kernel
    with pytest.raises(TypeError, match="the seven arrays"):
        kernel_class([], b"", b"", 32)
    with pytest.raises(TypeError, match="the seven arrays"):
        kernel_class(7, b"", b"", 32)
    with pytest.raises(TypeError, match="C must be an array"):
        kernel_class([1.0] * 7, b"", b"", 32)
    with pytest.raises(TypeError):
        kernel_class()


def test_results_are_not_written_to_what_is_read_only(case: Callable[..., Any]) -> None:
    some = case()
    arrays = [tensor.numpy() for tensor in some.parameters.values()]
    bare = native._kernel.Kernel(arrays, some.stream.numpy(), some.positions.numpy(), 32)
    indices, lrs = some.indices(1).numpy(), torch.zeros(1).numpy()
    with pytest.raises(ValueError, match="losses must be C-contiguous and writable"):
        bare.run(indices, lrs, memoryview(bytes(4)).cast("f"))
    with pytest.raises(TypeError, match="sequence of arrays, dC to dbnbias"):
        bare.gradients(indices[0], arrays[:3])


def test_without_the_extension_the_package_says_so_in_one_line() -> None:
    program = (
        "import sys; sys.modules['makemore_bp.engines.native._kernel'] = None\n"
        "from makemore_bp.engines import native\n"
        "print(native.available(), native.instruction_sets(), native.why_not())\n"
        "try: native.NativeKernel({}, None, None, 2)\n"
        "except RuntimeError as error: print(error)\n"
    )
    with patch.dict(os.environ, {"PYTHONPATH": os.pathsep.join(sys.path)}):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    first, second = done.stdout.splitlines()
    assert first == f"False () {second}"
    assert second.startswith("the native engine was not built; install")
