"""What may stand in a checkpoint's place: refused in a sentence, in bounded time and memory."""

from __future__ import annotations

import json
import os
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from makemore_bp.errors import RequestError
from makemore_bp.training import checkpoint, run_folder
from makemore_bp.training.checkpoint_header import BLANK, FORMAT, KEY
from tests.fuzz.inputs import forge

MEMORY = 200 * 2**20  # bytes that any refusal may take: the largest header, read and counted


def sparse(header: bytes, size: int) -> Callable[[Path], None]:
    """A file of ``size`` bytes of which only the header is on the disk."""

    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.write(struct.pack("<Q", len(header)) + header)
            file.truncate(8 + len(header) + size)

    return make


def described(config: dict[str, Any], size: int) -> bytes:
    """A header of this program's that explains a file of ``size`` bytes."""
    about = {
        "format": FORMAT, "version": 1, "checksum": "1" * 64, "config": config, "step": 1,
        "vocabulary": "ab", "data_sha256": "", "engine": "torch", "torch": "2",
    }  # fmt: skip
    tensor = {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}
    return json.dumps({"__metadata__": {KEY: json.dumps(about)}, "C": tensor}).encode()


LARGE = {"train": {"lr": 0.1}, "model": {"n_hidden": 2**28}}
ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a folder": (lambda path: path.mkdir(), "regular file|directory"),
    "a named pipe": (lambda path: os.mkfifo(path), "not a regular file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    "a terminal": (lambda path: path.symlink_to("/dev/tty"), "not a regular file|cannot be read"),
    "a link to itself": (lambda path: path.symlink_to(path.name), "symbolic links"),
    "a link to nothing": (lambda path: path.symlink_to("nothing"), "No such file"),
    "a pointer of Git LFS": (
        lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:4"),
        "git lfs pull",
    ),
    "gigabytes of zeros": (sparse(b"", 8 * 2**30), "claims to be 0 bytes"),
    "a header of 32 MiB": (sparse(b"[[]," * 2**23, 0), "damaged"),
    "a header of text": (sparse(b'"' + b"x" * 2**24 + b'"', 0), "another kind"),
    "a number without end": (sparse(b"9" * 2**20, 0), "damaged"),
    "a hole that the header describes": (
        sparse(described({"train": {"lr": 0.1}}, 2**33), 2**33),
        "more than its configuration explains",
    ),
    "a hole that the configuration explains": (
        sparse(described(LARGE, 2**30), 2**30),
        "checksum does not match",
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_checkpoint_is_refused_with_little_memory(name: str, tmp_path: Path) -> None:
    make, told = ODD[name]
    path = tmp_path / "checkpoint.safetensors"
    make(path)
    tracemalloc.start()
    try:
        with pytest.raises(RequestError, match=told):
            checkpoint.load(path)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({"version": 0}, "format version 0; this program reads 1"),
        ({"version": 2}, "format version 2; this program reads 1"),
        ({"version": "\x1b[31m"}, r"format version \\x1b\[31m"),
        ({"version": True}, "format version True"),
        ({"step": -1}, "step is not a count"),
        ({"step": 1e400}, "step is not a count"),
        ({"step": "3"}, "step is not a count"),
        ({"vocabulary": "a\x1b[2J\n"}, "vocabulary is not one of words"),
        ({"vocabulary": "aa"}, "vocabulary is not one of words"),
        ({"vocabulary": ["a", "b"]}, "text is expected"),
        ({"vocabulary": "abc"}, "C has the wrong shape|explains"),
        ({"data_sha256": None}, "text is expected"),
        ({"engine": "rocket\x1b"}, r"no engine rocket\\x1b"),
        ({"config": {}}, "inconsistent"),
        ({"config": {"train": {"lr": {"x": 1}}}}, "inconsistent"),
        ({"config": {"train": {"lr": 0.1}, "model": {"n_hidden": 2**62}}}, "wrong shape"),
    ],
)
def test_a_forged_checkpoint_is_refused_though_its_checksum_is_right(
    about: dict[str, Any], told: str, run: Path
) -> None:
    path = run / run_folder.CHECKPOINT
    raw = path.read_bytes()
    path.write_bytes(forge(raw, {}, {}))
    checkpoint.load(path)  # so it is the change that is refused
    path.write_bytes(forge(raw, about, {}))
    with pytest.raises(RequestError, match=told):
        checkpoint.load(path)


def test_a_number_that_is_not_finite_is_refused_though_the_checksum_is_right(run: Path) -> None:
    path = run / run_folder.CHECKPOINT
    raw = bytearray(path.read_bytes())
    (length,) = struct.unpack("<Q", raw[:8])
    begin, _ = json.loads(raw[8 : 8 + length])["W1"]["data_offsets"]
    raw[8 + length + begin : 12 + length + begin] = struct.pack("<f", float("nan"))
    path.write_bytes(forge(bytes(raw), {}, {}))
    with pytest.raises(RequestError, match="W1 is not finite"):
        checkpoint.load(path)
    assert BLANK.encode() not in path.read_bytes()
