"""The complete state of a run as one safetensors file: data only, no code can hide in it.

The tensors are the parameters, the two generators' states and batchnorm's statistics. Everything
else stands as one JSON object in the file's metadata, with a checksum over the whole file: the
SHA-256 of its bytes with the 64 digits of the checksum replaced by zeros. No time of day is in it,
so equal runs have equal files.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import safetensors.torch
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from torch import Tensor

from makemore_bp.config import Config
from makemore_bp.dataset import Vocabulary
from makemore_bp.errors import DivergedError, RequestError
from makemore_bp.files import write_whole
from makemore_bp.network.parameters import NAMES, Sizes
from makemore_bp.text import visible
from makemore_bp.training.evaluation import Statistics

FORMAT = "makemore-bp checkpoint"
VERSION = 1
MAX_HEADER = 32 * 2**20  # the vocabulary is the only part that grows, to a million characters
_KEY = "makemore_bp"
_BLANK = "0" * 64


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
                raise DivergedError(f"{name} is no longer finite at step {self.step:,}.")
        about = {
            "checksum": _BLANK,  # before anything that a user has written
            "format": FORMAT,
            "version": VERSION,
            "step": self.step,
            "config": self.config.model_dump(mode="json"),
            "vocabulary": self.vocabulary.characters,
            "data_sha256": self.data_sha256,
            "engine": self.engine,
            "torch": self.torch_version,
        }
        raw = safetensors.torch.save(tensors, {_KEY: json.dumps(about)})
        at = raw.index(_BLANK.encode())
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
    that ``save`` wrote. The header is looked at before the rest is read, so a large foreign file
    costs neither memory nor time.
    """
    try:
        with path.open("rb") as file:
            about, raw = _read(file)
        return _assemble(about, raw)
    except RequestError as error:
        raise RequestError(
            f"{visible(str(path))} is no usable checkpoint: {error} "
            "Take a copy of it from a backup, or train again."
        ) from None
    except OSError as error:
        raise RequestError(f"{visible(str(path))} cannot be read: {error.strerror}.") from None


def _read(file: BinaryIO) -> tuple[dict[str, Any], bytes]:
    """The metadata and all bytes of a file whose sizes and checksum are right."""
    start = file.read(8)
    if len(start) < 8:
        raise RequestError("it is cut off within its first 8 bytes.")
    (length,) = struct.unpack("<Q", start)
    if length > MAX_HEADER and start.startswith((b"\x80", b"PK")):
        raise RequestError("it is a pickle or an archive, which could run code, and is not opened.")
    actual = file.seek(0, 2)
    if not 2 <= length <= MAX_HEADER:
        raise RequestError(f"its header claims to be {length:,} bytes long.")
    if length + 8 > actual:
        raise RequestError("it is cut off within its header.")
    file.seek(8)
    header = _header(file.read(length))
    about = _about(header)
    expected = (
        8
        + length
        + max(
            (entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"),
            default=0,
        )
    )
    if actual != expected:
        raise RequestError(
            f"it is {actual:,} bytes long, but by its header it should be {expected:,}."
        )
    file.seek(0)
    raw = file.read(expected)
    digest = str(about["checksum"]).encode()
    if len(digest) != 64 or raw.count(digest) != 1:
        raise RequestError("its checksum is damaged.")
    if hashlib.sha256(raw.replace(digest, _BLANK.encode())).hexdigest().encode() != digest:
        raise RequestError("its checksum does not match: some of its bytes have changed.")
    return about, raw


def _header(raw: bytes) -> dict[str, Any]:
    try:
        header = json.loads(raw)
        for name, entry in header.items():
            if name != "__metadata__" and not isinstance(entry["data_offsets"][1], int):
                raise TypeError
    except (ValueError, RecursionError, TypeError, KeyError, IndexError, AttributeError):
        raise RequestError("its header is damaged, or it is a file of another kind.") from None
    return dict(header)


def _about(header: dict[str, Any]) -> dict[str, Any]:
    """The metadata, if this program wrote it in a version that is understood."""
    try:
        about = json.loads(header["__metadata__"][_KEY])
        ours = about["format"] == FORMAT
        version = about["version"]
        _ = about["checksum"]
    except (ValueError, RecursionError, TypeError, KeyError):
        ours = False
    if not ours:
        raise RequestError("it is a safetensors file, but not one of makemore-bp.")
    if version != VERSION:
        raise RequestError(
            f"it has format version {visible(str(version))}; this program reads {VERSION}."
        )
    return dict(about)


def _assemble(about: dict[str, Any], raw: bytes) -> Checkpoint:
    """Builds the checkpoint; what the checksum lets through was written by ``save``, or forged."""
    try:
        tensors = safetensors.torch.load(raw)
        config = _config(about["config"])
        vocabulary = Vocabulary(about["vocabulary"])
        sizes = Sizes(len(vocabulary), **config.model.model_dump())
        for name, shape in sizes.shapes.items():
            if tensors[name].shape != shape or str(tensors[name].dtype) != f"torch.{config.dtype}":
                raise ValueError(f"{name} has the wrong shape or precision")
        if any(tensors[name].shape != (1, sizes.n_hidden) for name in ("bnmean", "bnvar")):
            raise ValueError("its statistics have the wrong shape")
        return Checkpoint(
            config=config,
            step=int(about["step"]),
            vocabulary=vocabulary,
            data_sha256=about["data_sha256"],
            engine=about["engine"],
            torch_version=about["torch"],
            parameters={name: tensors[name] for name in NAMES},
            statistics=Statistics(tensors["bnmean"], tensors["bnvar"]),
            generator=tensors["generator"],
            generator_batchnorm=tensors["generator_batchnorm"],
        )
    except (SafetensorError, ValidationError, ValueError, KeyError, TypeError) as error:
        raise RequestError(f"its content is inconsistent ({visible(str(error))}).") from None


def _config(plain: dict[str, Any]) -> Config:
    lr = plain["train"]["lr"]
    if isinstance(lr, dict):  # JSON has only text for keys
        plain["train"]["lr"] = {int(step): rate for step, rate in lr.items()}
    return Config.model_validate(plain)
