"""What ``engine: auto`` picks."""

from __future__ import annotations

import pytest
import torch

from makemore_bp import config
from makemore_bp.dataset import Examples
from makemore_bp.engines import choice, configured, native

EXAMPLES = Examples(torch.zeros(9, dtype=torch.uint8), torch.arange(5, dtype=torch.int32), 3)
SMALL: list[str] = []
LARGE = ["train.batch_size=4096", "model.n_hidden=1024"]


def picked(overrides: list[str], cores: int, monkeypatch: pytest.MonkeyPatch) -> choice.Choice:
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    resolved = config.load(None, overrides)
    return choice.choose(resolved, configured.work(resolved, 27, EXAMPLES))


@pytest.mark.skipif(not native.available(), reason=str(native.why_not()))
@pytest.mark.parametrize(
    ("overrides", "cores", "why"),
    [
        (SMALL, 64, "million multiplications a step"),
        (LARGE, 1, "million multiplications a step"),
        (LARGE, 2, "shared by 2 threads"),
        (LARGE, 64, "shared by 35 threads"),  # more would have too little to do
    ],
)
def test_large_steps_are_shared_by_threads_where_there_are_cores(
    overrides: list[str], cores: int, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = picked(overrides, cores, monkeypatch)
    assert found.engine == "native"
    assert found.why.endswith(why)


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


@pytest.mark.skipif(not native.available(), reason=str(native.why_not()))
@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        (["device=cuda"], "1.1 million multiplications is faster on the CPU, with device: cpu"),
        (["device=cuda", "train.batch_size=512"], "replayed as CUDA graphs"),
        (["device=cuda", "dtype=float64"], "replayed as CUDA graphs"),  # not the kernel's
        (["train.batch_size=512"], "17.5 million multiplications is faster on the GPU"),
        (SMALL, "the fastest for 1.1 million multiplications a step"),
    ],
)
def test_beside_a_gpu_the_faster_device_is_named(
    overrides: list[str], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    found = picked(overrides, 1, monkeypatch)
    assert why in found.why
    assert ("is faster on" in found.why) is ("is faster on" in why)


def test_without_a_gpu_no_other_device_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "faster on" not in picked(LARGE, 1, monkeypatch).why
