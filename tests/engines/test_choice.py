"""What ``engine: auto`` picks."""

from __future__ import annotations

import pytest
import torch

from makemore_bp import config
from makemore_bp.engines import choice, native

SMALL: list[str] = []
LARGE = ["train.batch_size=4096", "model.n_hidden=1024"]


def picked(overrides: list[str], cores: int, monkeypatch: pytest.MonkeyPatch) -> choice.Choice:
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    return choice.choose(config.load(None, overrides), 27)


@pytest.mark.skipif(not native.available(), reason=str(native.why_not()))
@pytest.mark.parametrize(
    ("overrides", "cores", "engine"),
    [(SMALL, 1, "native"), (SMALL, 64, "native"), (LARGE, 2, "native"), (LARGE, 64, "torch")],
)
def test_pytorch_gets_large_steps_where_there_are_many_cores(
    overrides: list[str], cores: int, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = picked(overrides, cores, monkeypatch)
    assert found.engine == engine
    assert "million multiplications" in found.why


@pytest.mark.parametrize(
    ("override", "why"),
    [
        ("dtype=float64", "float32"),
        ("backward.batchnorm=op-by-op", "backward.batchnorm is op-by-op"),
        ("backward.cross_entropy=op-by-op", "backward.cross_entropy is op-by-op"),
    ],
)
def test_what_the_kernel_cannot_do_is_named(
    override: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = picked([override], 1, monkeypatch)
    assert found.engine == "torch"
    assert why in found.why
