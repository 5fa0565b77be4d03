"""What a checkpoint holds, and what is refused in its place."""

from __future__ import annotations

import json
import os
import random
import struct
from pathlib import Path

import pytest
import safetensors.torch
import torch

from makemore_bp import config
from makemore_bp.dataset import Vocabulary
from makemore_bp.errors import DivergedError, RequestError
from makemore_bp.network.parameters import Sizes, generators, initialise
from makemore_bp.training import checkpoint
from makemore_bp.training.checkpoint import Checkpoint
from makemore_bp.training.evaluation import Statistics

SIZES = ("model.n_hidden=4", "model.n_embd=2")


def example(**changes: object) -> Checkpoint:
    resolved = config.load(None, [*SIZES, "train.lr={0: 0.1, 9: 0.05}"])
    g, g_batchnorm = generators(1)
    values: dict[str, object] = {
        "config": resolved,
        "step": 7,
        "vocabulary": Vocabulary("ab\x22\\'é李"),
        "data_sha256": "ab" * 32,
        "engine": "torch",
        "torch_version": "2.13.0",
        "parameters": initialise(Sizes(8, 3, 2, 4), g, g_batchnorm),
        "statistics": Statistics(torch.zeros(1, 4), torch.ones(1, 4)),
        "generator": g.get_state(),
        "generator_batchnorm": g_batchnorm.get_state(),
    }
    return Checkpoint(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint.safetensors"
    example().save(path)
    return path


def test_what_is_saved_is_loaded(saved: Path) -> None:
    before, after = example(), checkpoint.load(saved)
    for name in ("config", "step", "vocabulary", "data_sha256", "engine", "torch_version"):
        assert getattr(before, name) == getattr(after, name)
    for name, tensor in before.parameters.items():
        assert torch.equal(tensor, after.parameters[name])
    assert torch.equal(before.generator, after.generator)
    assert torch.equal(before.generator_batchnorm, after.generator_batchnorm)
    assert torch.equal(before.statistics.bnvar, after.statistics.bnvar)


def test_equal_states_have_equal_files(tmp_path: Path) -> None:
    for name in "ab":
        example().save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_path_that_looks_like_a_checksum_confuses_nothing(tmp_path: Path) -> None:
    odd = config.load(None, [*SIZES, f"data.path=/{'0' * 64}.txt"])
    example(config=odd).save(tmp_path / "checkpoint")
    assert checkpoint.load(tmp_path / "checkpoint").config == odd


def test_a_file_cut_at_any_length_is_refused(saved: Path) -> None:
    raw = saved.read_bytes()
    for length in range(len(raw)):
        saved.write_bytes(raw[:length])
        with pytest.raises(RequestError, match="not a usable checkpoint"):
            checkpoint.load(saved)


def test_a_file_with_any_byte_changed_is_refused(saved: Path) -> None:
    raw = bytearray(saved.read_bytes())
    generator = random.Random(1)
    every = 1 if os.environ.get("MAKEMORE_BP_ALL_BYTES") else 7
    for place in range(generator.randrange(every), len(raw), every):
        original = raw[place]
        raw[place] ^= 1 << generator.randrange(8)
        saved.write_bytes(raw)
        with pytest.raises(RequestError, match="not a usable checkpoint"):
            checkpoint.load(saved)
        raw[place] = original


def test_bytes_after_the_end_are_refused(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes() + b"\0")
    with pytest.raises(RequestError, match="bytes long"):
        checkpoint.load(saved)


def test_a_header_of_any_length_is_read(tmp_path: Path) -> None:
    """The file begins with the header's length, and one of these begins as a pickle does."""
    first_bytes = set()
    for length in range(0, 256, 8):
        odd = config.load(None, [*SIZES, f"data.path=/{'a' * length}"])
        path = tmp_path / str(length)
        example(config=odd).save(path)
        first_bytes.add(path.read_bytes()[0])
        assert checkpoint.load(path).config == odd
    assert 0x80 in first_bytes


def test_a_pickle_is_refused_unopened(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    for raw in (b"\x80\x04cos\nsystem\n(S'touch owned'\ntR.", b"PK\x03\x04" + b"\0" * 100):
        path.write_bytes(raw)
        with pytest.raises(RequestError, match="pickle or an archive"):
            checkpoint.load(path)


def test_a_header_whose_length_begins_like_a_pickle_is_a_header(tmp_path: Path) -> None:
    first_bytes = set()
    for length in range(0, 256, 4):
        odd = config.load(None, [*SIZES, f"data.path=/{'x' * length}"])
        example(config=odd).save(tmp_path / "checkpoint")
        first_bytes.add((tmp_path / "checkpoint").read_bytes()[:1])
        assert checkpoint.load(tmp_path / "checkpoint").config == odd
    assert b"\x80" in first_bytes


def test_another_programs_safetensors_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(RequestError, match="not one of makemore-bp"):
        checkpoint.load(path)


def test_a_header_that_lies_is_refused(saved: Path) -> None:
    raw = saved.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    outer = json.loads(raw[8 : 8 + length])
    outer["C"] = {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}
    header = json.dumps(outer).encode()
    path = saved
    for raw, message in (
        (struct.pack("<Q", len(header)) + header, "by its header it should be"),
        (struct.pack("<Q", 2**63) + b"{}", "claims to be"),
        (struct.pack("<Q", 1000) + b"{}", "cut off"),
        (struct.pack("<Q", 20_000) + b"[" * 20_000, "damaged"),
    ):
        path.write_bytes(raw)
        with pytest.raises(RequestError, match=message):
            checkpoint.load(path)


def test_gigabytes_of_zeros_are_refused_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    with path.open("wb") as file:
        file.truncate(8 * 2**30)
    with pytest.raises(RequestError, match="claims to be 0 bytes"):
        checkpoint.load(path)


def test_another_format_version_is_refused_by_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    monkeypatch.setattr(checkpoint, "VERSION", 99)
    example().save(path)
    monkeypatch.undo()
    with pytest.raises(RequestError, match="format version 99"):
        checkpoint.load(path)


def test_nothing_that_is_not_finite_is_saved(saved: Path) -> None:
    before = saved.read_bytes()
    parameters = example().parameters
    parameters["W1"][0, 0] = float("nan")
    with pytest.raises(DivergedError, match="W1"):
        example(parameters=parameters).save(saved)
    assert saved.read_bytes() == before


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()
    for call in ("fsync", "replace"):

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, call, full)
        with pytest.raises(RequestError, match="No space left"):
            example(step=8).save(saved)
        monkeypatch.undo()
        assert saved.read_bytes() == before
        assert list(saved.parent.iterdir()) == [saved]
