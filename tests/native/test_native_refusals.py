"""What the kernel refuses: nothing is converted, and nothing outside an array is ever read."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from makemore_bp.engines import native
from makemore_bp.engines.native import library
from makemore_bp.errors import RequestError
from makemore_bp.text import visible

Change = Callable[[Tensor], Tensor]


def with_parameter(case: Any, name: str, change: Change) -> Any:
    return replace(case, parameters=case.parameters | {name: change(case.parameters[name])})


@pytest.mark.parametrize(
    ("name", "change", "complaint"),
    [
        ("C", lambda t: t[:, :9].contiguous(), "not a multiple of the 9 columns of C"),
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
    with pytest.raises(ValueError, match=r"stream\[11\] is not an id of a vocabulary of 27"):
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
def test_an_index_that_is_not_an_examples_is_refused_before_the_first_step(
    case: Callable[..., Any], bad: int
) -> None:
    some = case()
    kernel, indices = some.kernel(), some.indices(3)
    indices[2, 31] = bad
    with pytest.raises(ValueError, match=f"index {bad} is not an example: there are 500"):
        kernel.advance(indices, torch.full((3,), 0.1))
    with pytest.raises(ValueError, match=f"index {bad} is not an example"):
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


@pytest.mark.parametrize("name", ["sse9", "avx", "baseline2", "avx2,avx512", "\x1b[31m"])
def test_an_unknown_instruction_set(case: Callable[..., Any], name: str) -> None:
    present = native.instruction_sets()
    with pytest.raises(RequestError) as refusal:
        case().kernel(name)
    message = str(refusal.value)
    assert message.startswith(
        f"MAKEMORE_BP_ISA is {visible(name)}, which is not an instruction set"
    )
    assert "\x1b" not in message
    assert all(isa in message for isa in present)


@pytest.mark.parametrize(
    "command",
    [
        ("train", "--set", "engine=auto", "--out", "run"),
        ("train", "--set", "engine=native", "--out", "run"),
        ("gradcheck", "--engine", "native"),
    ],
)
def test_a_command_with_an_unknown_instruction_set_says_so_and_leaves_nothing_behind(
    case: Callable[..., Any],
    cli: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
) -> None:
    case()
    monkeypatch.setenv("MAKEMORE_BP_ISA", "sse9")
    monkeypatch.chdir(tmp_path)
    result = cli(*command)
    assert result.code == 2
    assert "MAKEMORE_BP_ISA is sse9" in result.err and "Traceback" not in result.err
    assert not list(tmp_path.iterdir())


def test_an_instruction_set_that_the_processor_lacks(case: Callable[..., Any]) -> None:
    some = case()

    class Old:
        """The library on a processor that has the baseline only."""

        BASELINE, AVX2, AVX512 = 0, 1, 2

        @staticmethod
        def has_instruction_set(number: int) -> bool:
            return number == 0

    with patch.object(library, "lib", Old):
        assert native.instruction_sets() == ("baseline",)
        with pytest.raises(RequestError, match=r"avx512, which is not .* Take baseline, or unset"):
            some.kernel("avx512")


@pytest.mark.parametrize("spelling", [str.upper, str.title, lambda name: f" {name}\t"])
def test_an_instruction_set_in_another_spelling(
    case: Callable[..., Any], isa: str, spelling: Callable[[str], str]
) -> None:
    assert case().kernel(spelling(isa)).instruction_set == isa


@pytest.mark.parametrize("nothing", ["", " "])
def test_an_empty_name_leaves_the_choice_to_the_kernel(
    case: Callable[..., Any], nothing: str
) -> None:
    assert case().kernel(nothing).instruction_set == native.instruction_sets()[-1]


@pytest.mark.parametrize("name", ["C", "W1", "b1", "W2", "b2", "bngain", "bnbias"])
def test_parameters_that_are_not_tensors(case: Callable[..., Any], name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} must be a tensor, not list"):
        some = case()
        some.parameters[name] = some.parameters[name].tolist()
        some.kernel()


def test_other_things_that_are_not_tensors(case: Callable[..., Any]) -> None:
    some = case()
    kernel, indices, lrs = some.kernel(), some.indices(3), torch.zeros(3)
    with pytest.raises(TypeError, match="stream must be a tensor, not bytes"):
        replace(some, stream=b"abc").kernel()
    with pytest.raises(TypeError, match="positions must be a tensor, not ndarray"):
        replace(some, positions=some.positions.numpy()).kernel()
    with pytest.raises(TypeError, match="lrs must be a tensor, not list"):
        kernel.advance(indices, lrs.tolist())
    with pytest.raises(TypeError, match="indices must be a tensor, not list"):
        kernel.gradients(indices[0].tolist())


def test_tensors_that_are_not_in_this_machines_memory(case: Callable[..., Any]) -> None:
    some = case()
    kernel, indices = some.kernel(), some.indices(3)
    with pytest.raises(TypeError, match="b1 must be on the CPU, not on meta"):
        with_parameter(some, "b1", lambda t: t.to("meta")).kernel()
    with pytest.raises(TypeError, match="stream must be on the CPU, not on meta"):
        replace(some, stream=some.stream.to("meta")).kernel()
    with pytest.raises(TypeError, match="indices must be on the CPU, not on meta"):
        kernel.advance(indices.to("meta"), torch.zeros(3))


def test_a_tensor_that_pytorch_negates_only_when_it_is_read(case: Callable[..., Any]) -> None:
    lrs = torch.tensor([0.1j]).conj().imag
    assert lrs.is_contiguous() and lrs.is_neg()
    some = case()
    with pytest.raises(ValueError, match="lrs must be C-contiguous"):
        some.kernel().advance(some.indices(1), lrs)


def test_examples_cannot_be_resized_while_a_kernel_reads_them(case: Callable[..., Any]) -> None:
    some = case()
    kernel, indices = some.kernel(), some.indices(1)[0]
    for tensor in (some.stream, some.positions):
        with pytest.raises(RuntimeError, match="resize"):
            tensor.resize_(10**6)
    assert kernel.gradients(indices)["loss"].isfinite()


def test_what_is_handed_in_is_never_written_to(case: Callable[..., Any]) -> None:
    some, lrs = case(), torch.full((3,), 0.1)
    indices = some.indices(3)
    handed = [*some.parameters.values(), some.stream, some.positions, indices, lrs]
    before = [tensor.clone() for tensor in handed]
    kernel = some.kernel()
    kernel.advance(indices, lrs)
    kernel.gradients(indices[0])
    assert all(torch.equal(*pair) for pair in zip(handed, before, strict=True))


@pytest.mark.parametrize(
    ("name", "number"),
    [("seed", -1), ("seed", 2**64), ("step", -1), ("step", 2**64), ("batch_size", 2**64)],
)
def test_numbers_too_large_for_the_kernel(case: Callable[..., Any], name: str, number: int) -> None:
    some = case()
    options: dict[str, Any] = {"batch_size": 32, name: number}
    with pytest.raises(OverflowError):
        native.NativeKernel(some.parameters, some.stream, some.positions, **options)


@pytest.mark.parametrize("name", ["gelu", "", "ReLU", "tanh "])
def test_an_unknown_activation(case: Callable[..., Any], name: str) -> None:
    with pytest.raises(ValueError, match="activation must be tanh or relu, not '"):
        case().kernel(activation=name)


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
