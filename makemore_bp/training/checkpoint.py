"""The complete state of a run as one safetensors file: data only, no code can hide in it.

The tensors are the parameters, the two generators' states and batchnorm's statistics. Everything
else stands as one JSON object in the file's metadata, with a checksum over the whole file: the
SHA-256 of its bytes with the 64 digits of the checksum replaced by zeros. No time of day is in it,
so equal runs have equal files.

A file is taken for one only step by step, from the outside in: a regular file, a header of bounded
size, sizes that agree with the configuration in it, the checksum over blocks, and only then the
tensors. So a foreign or forged file costs no more memory than a whole one of its configuration.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from makemore_bp.config import Config
from makemore_bp.dataset import Vocabulary
from makemore_bp.errors import DivergedError, RequestError
from makemore_bp.files import cannot_read, write_whole
from makemore_bp.network.parameters import NAMES
from makemore_bp.training import checkpoint_header
from makemore_bp.training.checkpoint_header import BLANK, FORMAT, KEY, MAX_HEADER, VERSION, Header
from makemore_bp.training.evaluation import Statistics

_BLOCK = 2**20
_BINARY = getattr(os, "O_BINARY", 0)  # what Windows needs to leave bytes as they are


@dataclass(frozen=True)
class Checkpoint:
    """A run just before ``step``: so many minibatches have been trained on."""

    config: Config
    step: int
    vocabulary: Vocabulary
    data_sha256: str
    engine: str
    torch_version: str
    parameters: dict[str, Tensor]
    statistics: Statistics
    generator: Tensor
    generator_batchnorm: Tensor

    def save(self, path: Path) -> None:
        """Writes the file; at every instant there is one whole checkpoint, the old or the new.

        Raises DivergedError for a state that is not finite, RequestError if it cannot be written.
        """
        tensors = self._tensors()
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise DivergedError(f"{name} is no longer finite at step {self.step:,}.", self.step)
        about = {
            "checksum": BLANK,  # before anything that a user has written
            "format": FORMAT,
            "version": VERSION,
            "step": self.step,
            "config": self.config.model_dump(mode="json"),
            "vocabulary": self.vocabulary.characters,
            "data_sha256": self.data_sha256,
            "engine": self.engine,
            "torch": self.torch_version,
        }
        raw = safetensors.torch.save(tensors, {KEY: json.dumps(about)})
        at = raw.index(BLANK.encode())
        digest = hashlib.sha256(raw).hexdigest().encode()
        write_whole(path, raw[:at] + digest + raw[at + len(digest) :])

    def _tensors(self) -> dict[str, Tensor]:
        return {
            **{name: p.detach().cpu().contiguous() for name, p in self.parameters.items()},
            "bnmean": self.statistics.bnmean.cpu(),
            "bnvar": self.statistics.bnvar.cpu(),
            "generator": self.generator,
            "generator_batchnorm": self.generator_batchnorm,
        }


def load(path: Path) -> Checkpoint:
    """Reads and verifies a checkpoint.

    Raises RequestError, saying what is wrong, for anything that is not the whole, unchanged file
    that ``save`` wrote.
    """
    return load_raw(path)[1]


def load_raw(path: Path) -> tuple[bytes, Checkpoint]:
    """Like ``load``; gives the file's bytes as well, for processes that cannot read it."""
    try:
        # Without O_NONBLOCK a named pipe would wait for somebody to write into it.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise RequestError("it is not a regular file.")
            header, raw = _read(file)
        return raw, _assemble(header, raw)
    except RequestError as error:
        raise RequestError(
            "{path} is not a usable checkpoint: {error} Take a copy of it from a backup, or train "
            "again.",
            path=path,
            error=error,
        ) from None
    except OSError as error:
        raise cannot_read(path, error) from None


def loads(raw: bytes) -> Checkpoint:
    """The checkpoint of such bytes."""
    return _assemble(*_read(io.BytesIO(raw)))


def _read(file: BinaryIO) -> tuple[Header, bytes]:
    """The header and all bytes of a file whose sizes and checksum are right."""
    start = file.read(8)
    if len(start) < 8:
        raise RequestError("it is cut off within its first 8 bytes.")
    (length,) = struct.unpack("<Q", start)
    if length > MAX_HEADER and start.startswith((b"\x80", b"PK")):
        raise RequestError("it is a pickle or an archive, which could run code, and is not opened.")
    if start == b"version ":
        raise RequestError("it is a pointer of Git LFS and not the file itself (git lfs pull).")
    actual = file.seek(0, 2)
    if not 2 <= length <= MAX_HEADER:
        raise RequestError(f"its header claims to be {length:,} bytes long.")
    if length + 8 > actual:
        raise RequestError("it is cut off within its header.")
    file.seek(8)
    raw_header = file.read(length)
    header = checkpoint_header.read(raw_header)
    by_header = 8 + length + header.end
    if actual != by_header:
        raise RequestError(
            f"it is {actual:,} bytes long, but by its header it should be {by_header:,}."
        )
    if header.end > header.largest:  # such as a hole of gigabytes that a forger has described
        raise RequestError(f"it is {actual:,} bytes long, more than its configuration explains.")
    _verify(file, raw_header, header.checksum)
    file.seek(0)
    return header, file.read(actual)


def _verify(file: BinaryIO, raw_header: bytes, stated: bytes) -> None:
    """Raises RequestError unless the checksum is that of the file, which is read in blocks."""
    if len(stated) != len(BLANK) or raw_header.count(stated) != 1:
        raise RequestError("its checksum is damaged.")
    digest = hashlib.sha256(struct.pack("<Q", len(raw_header)))
    digest.update(raw_header.replace(stated, BLANK.encode()))
    file.seek(8 + len(raw_header))
    while block := file.read(_BLOCK):
        digest.update(block)
    if digest.hexdigest().encode() != stated:
        raise RequestError("its checksum does not match: some of its bytes have changed.")


def _assemble(header: Header, raw: bytes) -> Checkpoint:
    """Builds the checkpoint; what the checksum lets through was written by ``save``, or forged."""
    try:
        tensors = safetensors.torch.load(raw)
        row = (1, header.sizes.n_hidden)
        for name, shape in {**header.sizes.shapes, "bnmean": row, "bnvar": row}.items():
            _check(name, tensors[name], shape, header.config.dtype)
        for name in ("generator", "generator_batchnorm"):
            torch.Generator().set_state(tensors[name])  # RuntimeError if it is none
        return Checkpoint(
            config=header.config,
            step=header.step,
            vocabulary=Vocabulary(header.vocabulary),
            data_sha256=header.data_sha256,
            engine=header.engine,
            torch_version=header.torch_version,
            parameters={name: tensors[name] for name in NAMES},
            statistics=Statistics(tensors["bnmean"], tensors["bnvar"]),
            generator=tensors["generator"],
            generator_batchnorm=tensors["generator_batchnorm"],
        )
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise checkpoint_header.inconsistent(error) from None


def _check(name: str, tensor: Tensor, shape: tuple[int, ...], dtype: str) -> None:
    if tensor.shape != shape or str(tensor.dtype) != f"torch.{dtype}":
        raise ValueError(f"{name} has the wrong shape or precision")
    if not bool(torch.isfinite(tensor).all()):
        raise ValueError(f"{name} is not finite")
