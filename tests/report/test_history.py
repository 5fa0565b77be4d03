"""Series of numbers, the curve in characters, the projection, and the way back to the run."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from makemore_bp import config
from makemore_bp.cli.curve import HEIGHT, show_curve
from makemore_bp.experiments import command
from makemore_bp.report import history
from makemore_bp.report.history import Series

FINITE = st.floats(-1e6, 1e6)


def series(values: list[float]) -> Series:
    found = Series()
    for step, value in enumerate(values):
        found.add(step, value)
    return found


def shown(values: list[float], width: int = 60, encoding: str = "utf-8") -> list[str]:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding)
    show_curve(Console(file=out, width=width, height=20, highlight=False), series(values))
    out.flush()
    return raw.getvalue().decode(encoding).splitlines()


@settings(deadline=None)
@given(st.lists(FINITE, min_size=1, max_size=400))
def test_smoothing_stays_within_the_values_and_keeps_their_number(values: list[float]) -> None:
    smoothed = series(values).smoothed()
    assert len(smoothed) == len(values)
    slack = 1e-6 * (1 + max(map(abs, values)))
    assert smoothed.min() >= min(values) - slack and smoothed.max() <= max(values) + slack


@settings(deadline=None)
@given(st.lists(FINITE, max_size=300), st.integers(1, 50))
def test_thinning_leaves_no_more_than_was_asked_for(values: list[float], most: int) -> None:
    steps, kept = series(values).thinned(most)
    assert len(steps) == len(kept) <= most
    assert bool(len(kept)) == bool(values)


def test_what_is_no_number_is_not_added() -> None:
    found = Series()
    for value in (None, "2", True, float("nan"), float("inf"), [1]):
        found.add(0, value)
    assert len(found) == 0 and found.last is None
    found.add(7, 2)
    assert (found.steps.tolist(), found.values.tolist()) == ([7.0], [2.0])


def test_changes_of_the_learning_rate_are_found(tmp_path: Path) -> None:
    lines = [f'{{"step": {k}, "loss": 2, "lr": {0.1 if k < 5 else 0.01}}}\n' for k in range(9)]
    (tmp_path / "metrics.jsonl").write_text("".join(lines))
    assert history.read(tmp_path).rates() == [(0, 0.1), (5, 0.01)]


def test_lines_without_a_learning_rate_have_no_changes_of_it(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 0, "loss": 2}\n' * 3)
    assert history.read(tmp_path).rates() == []


def test_a_falling_loss_is_a_falling_curve() -> None:
    lines = shown([4.0 - k / 100 for k in range(300)])
    assert len(lines) == HEIGHT + 1 and all(len(line) <= 60 for line in lines[1:])
    assert lines[1].startswith("3.9") and lines[HEIGHT].startswith("1.0")
    heights = np.sum([[mark != " " for mark in line.split("│")[1]] for line in lines[1:]], axis=0)
    assert heights[0] == HEIGHT and heights[-1] == 1
    assert all(before >= after for before, after in pairwise(heights.tolist()))


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_the_curve_is_plain_where_the_encoding_has_no_blocks(encoding: str) -> None:
    lines = shown([3.0, 2.0, 1.0], encoding=encoding)
    assert len(lines) == HEIGHT + 1 and all(line.isascii() for line in lines)


def test_nothing_is_drawn_of_too_little_or_in_too_narrow_a_window() -> None:
    assert shown([]) == [] and shown([2.0]) == []
    assert shown([3.0, 2.0], width=10) == []
    assert len(shown([2.0, 2.0, 2.0])) == HEIGHT + 1


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "data.path": st.sampled_from(["/tmp/it's here.txt", "/a b/$x: {y}.txt", "bundled:towns"]),
        "data.split": st.just("[0.5, 0.25, 0.25]"),
        "model.n_hidden": st.integers(1, 9999),
        "train.lr": st.sampled_from(["0.05", "{0: 0.1, 7: 1.0e-05}", "1e-9"]),
        "backward.batchnorm": st.just("op-by-op"),
        "dtype": st.just("float64"),
    },
)


@settings(deadline=None)
@given(CHANGES)
def test_the_command_line_gives_the_same_configuration(changes: dict[str, object]) -> None:
    asked = [f"{key}={value}" for key, value in changes.items()]
    wanted = config.load(None, asked)
    first, *rest = command.training(wanted)
    assert first == "train" and rest[::2] == ["--set"] * len(rest[::2])
    assert config.load(None, rest[1::2]) == wanted


def test_the_default_recipe_needs_no_overrides() -> None:
    assert command.shell(command.training(config.load())) == "makemore-bp train"


def test_the_projection_keeps_distances_where_two_dimensions_are_all() -> None:
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    from makemore_bp.report.layer_pictures import project

    C = torch.randn(9, 2, generator=torch.Generator().manual_seed(1))
    found = project(C)
    points = torch.from_numpy(found.points)
    assert torch.allclose(torch.cdist(points, points), torch.cdist(C, C).double(), atol=1e-5)
    assert sum(found.shares) == pytest.approx(1) and found.shares[0] >= found.shares[1]
    assert sum(project(torch.ones(4, 3)).shares) == 0
