"""The encoded words as a file that several processes map into memory, read-only.

A split of a hundred million examples is half a gigabyte: one byte or two a character and four a
position. Encoded once, it is written as a safetensors file and mapped, so that its pages are read
when they are needed, shared by all processes of the machine, and dropped when memory is short.

The file's name follows from the words' SHA-256 and from all that the encoding depends on; its
metadata repeat that and hold the SHA-256 of the tensors. A file that is damaged, cut off or of
another version is written again. It can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
from torch import Tensor

from makemore_bp import config
from makemore_bp.dataset import splits
from makemore_bp.dataset import words as word_files
from makemore_bp.dataset.examples import Examples
from makemore_bp.dataset.splits import SPLITS, Dataset
from makemore_bp.dataset.vocabulary import Vocabulary
from makemore_bp.errors import RequestError
from makemore_bp.files import cannot_read, cannot_write, replacing

VERSION = 2
FOLDER = "MAKEMORE_BP_CACHE"  # the environment variable that names the folder
_KEY = "makemore_bp"


@dataclass(frozen=True)
class Encoding:
    """All that the encoded words depend on."""

    version: int
    data_sha256: str
    split: tuple[float, float, float]
    seed: int
    normalize: str
    block_size: int

    @classmethod
    def of(cls, data: config.Data, block_size: int) -> Encoding:
        """Raises RequestError if the words cannot be read."""
        digest = _sha256(config.data_path(data.path))
        return cls(VERSION, digest, data.split, data.seed, data.normalize, block_size)

    @property
    def name(self) -> str:
        """The file's name."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:24] + ".safetensors"


def folder() -> Path:
    """Where the files lie: $MAKEMORE_BP_CACHE, or makemore-bp in the user's folder for caches.

    Raises RequestError if the user has no such folder.
    """
    if named := os.environ.get(FOLDER):
        return Path(named)
    if caches := os.environ.get("XDG_CACHE_HOME"):
        return Path(caches) / "makemore-bp"
    try:
        return Path.home() / ".cache" / "makemore-bp"
    except RuntimeError:  # a user id without an entry, as in some containers
        raise RequestError(
            "This user has no home folder to put the encoded words into. Name a folder for them "
            "by ${variable}.",
            variable=FOLDER,
        ) from None


def ensure(data: config.Data, block_size: int) -> Path:
    """The file of the encoded words, whole and checked; written if it is not there.

    It is written by a process of its own, because reading and shuffling the words takes some
    twenty times the memory of the result. Raises RequestError if the words cannot be used or the
    file cannot be written.
    """
    encoding = Encoding.of(data, block_size)
    path = folder() / encoding.name
    if not _whole(path, encoding):
        write_apart(path, encoding, data)
    return path


def write_apart(path: Path, encoding: Encoding, data: config.Data) -> None:
    """``write`` in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            pool.submit(write, path, encoding, data).result()
        except BrokenProcessPool:
            raise RequestError(
                "{words}: the process that encodes the words was ended from outside, most likely "
                "because it took too much memory. Encode them on a machine with more memory and "
                "copy {file} to {folder}.",
                words=Path(data.path),
                file=path.name,
                folder=path.parent,
            ) from None


def write(path: Path, encoding: Encoding, data: config.Data) -> None:
    """Reads, shuffles and encodes the words, and puts the file at ``path`` in one instant.

    Raises RequestError if the words cannot be used, or the file cannot be written.
    """
    dataset = splits.load(data, encoding.block_size)
    tensors: dict[str, Tensor] = {}
    for name in SPLITS:
        examples = dataset[name]
        tensors |= {f"{name}/stream": examples.stream, f"{name}/positions": examples.positions}
    about = asdict(encoding) | {"vocabulary": dataset.vocabulary.characters}
    about["checksum"] = _checksum(about, tensors)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            _save(temporary, tensors, about)
    except (OSError, RequestError) as error:
        told = error if isinstance(error, RequestError) else cannot_write(path, error)
        raise RequestError(
            "{told} ${variable} names another folder for the encoded words.",
            told=told,
            variable=FOLDER,
        ) from None


def _save(path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    try:
        safetensors.torch.save_file(tensors, path, {_KEY: json.dumps(about)})
    except safetensors.SafetensorError as error:
        raise OSError(0, str(error)) from None


def load(path: Path) -> Dataset:
    """The words of a file that ``ensure`` has checked, mapped: the tensors must not be changed.

    Raises RequestError if it is not such a file.
    """
    try:
        about, tensors = _read(path)
        vocabulary, block_size = Vocabulary(about["vocabulary"]), about["block_size"]
        train, val, test = (
            Examples(tensors[f"{name}/stream"], tensors[f"{name}/positions"], block_size)
            for name in SPLITS
        )
    except (OSError, safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise RequestError(
            "{path} cannot be read as encoded words: {reason}. Delete it; it will be written "
            "again.",
            path=path,
            reason=error,
        ) from None
    return Dataset(vocabulary, train, val, test, about["data_sha256"])


def _whole(path: Path, encoding: Encoding) -> bool:
    """Whether the file is there, is of this encoding and has not changed since it was written."""
    try:
        about, tensors = _read(path)
        expected = json.loads(json.dumps(asdict(encoding)))
        checksum = about.pop("checksum")
        same = all(about[key] == value for key, value in expected.items())
        return same and bool(checksum == _checksum(about, tensors))
    except (OSError, safetensors.SafetensorError, ValueError, KeyError, TypeError):
        return False


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not path.is_file():
        raise FileNotFoundError(path)
    with safetensors.safe_open(path, framework="pt") as file:
        about = json.loads((file.metadata() or {})[_KEY])
        names = file.keys()
        return dict(about), {name: file.get_tensor(name) for name in names}


def _checksum(about: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].numpy().view(np.uint8).data)
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    if not path.is_file():
        return word_files.read_all(path).sha256  # which says what is wrong with it
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise cannot_read(path, error) from None
