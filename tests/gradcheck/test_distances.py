"""Distances in units in the last place."""

from __future__ import annotations

import math
import struct

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from makemore_bp.gradcheck.judge import ulp_distance

FLOATS = st.floats(allow_nan=False, width=64)
FINITE = st.floats(allow_nan=False, allow_infinity=False, width=64)


def double(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def distance(a: float, b: float) -> int:
    return int(ulp_distance(double(a), double(b)))


@given(FLOATS)
def test_a_number_is_at_no_distance_from_itself(a: float) -> None:
    assert distance(a, a) == 0


@given(FLOATS, FLOATS)
def test_distance_is_symmetric(a: float, b: float) -> None:
    assert distance(a, b) == distance(b, a) >= 0


@given(FINITE, st.integers(0, 20))
def test_so_many_steps_up_are_so_many_units(a: float, steps: int) -> None:
    b = a
    for _ in range(steps):
        b = math.nextafter(b, math.inf)
    assert b == math.inf or distance(a, b) == steps


@given(FINITE)
def test_zero_has_no_sign_and_steps_are_counted_through_it(a: float) -> None:
    assert distance(0.0, -0.0) == 0
    if abs(a) < 1e-300:
        assert distance(a, -a) == 2 * distance(a, 0.0)


@given(st.floats(allow_nan=False, width=32), st.floats(allow_nan=False, width=32))
def test_in_float32_the_steps_are_those_of_float32(a: float, b: float) -> None:
    def place(value: float) -> int:
        bits = struct.unpack("<i", struct.pack("<f", value))[0]
        return int(bits if bits >= 0 else -(bits & 0x7FFFFFFF))

    found = ulp_distance(torch.tensor([a]), torch.tensor([b]))
    assert int(found) == abs(place(a) - place(b))


def test_infinity_is_one_step_above_the_largest_number() -> None:
    largest = torch.finfo(torch.float64).max
    assert distance(largest, math.inf) == 1


def test_nans_are_alike_and_infinitely_far_from_numbers() -> None:
    assert distance(math.nan, math.nan) == 0
    assert distance(math.nan, 1.0) == torch.iinfo(torch.int64).max


def test_a_distance_that_overflows_is_the_largest_there_is() -> None:
    assert distance(-math.inf, math.inf) == torch.iinfo(torch.int64).max
