"""The header of a checkpoint: what is said about the tensors, read with suspicion."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from makemore_bp.config import ENGINES, Config
from makemore_bp.dataset.words import CONTROL
from makemore_bp.engines import configured
from makemore_bp.errors import RequestError
from makemore_bp.network.parameters import Sizes

FORMAT = "makemore-bp checkpoint"
VERSION = 1
KEY = "makemore_bp"  # of the metadata
BLANK = "0" * 64  # what stands in the place of the checksum while it is computed
MAX_HEADER = 32 * 2**20  # the vocabulary is the only part that grows, to a million characters
MAX_PARTS = 200_000  # of JSON; a whole header has as many as its learning rate schedule
_SPARE = 2**20  # bytes for the two generators' states, a few kilobytes each
_FOREIGN = "its header is damaged, or it is a file of another kind."


@dataclass(frozen=True)
class Header:
    """The metadata, checked one by one, and ``end``: how many bytes of tensors there should be."""

    config: Config
    step: int
    vocabulary: str
    data_sha256: str
    engine: str
    torch_version: str
    checksum: bytes
    end: int

    @property
    def sizes(self) -> Sizes:
        """The sizes of the network whose parameters are in the file."""
        return configured.sizes(self.config, len(self.vocabulary) + 1)

    @property
    def largest(self) -> int:
        """The most bytes that the tensors of this configuration can take."""
        sizes = self.sizes
        numbers = sum(map(math.prod, sizes.shapes.values())) + 2 * sizes.n_hidden
        return numbers * (8 if self.config.dtype == "float64" else 4) + _SPARE


def read(raw: bytes) -> Header:
    """The header in these bytes; raises RequestError if they are not a header of this program's."""
    outer = _json(raw)
    try:
        tensors = [entry for name, entry in outer.items() if name != "__metadata__"]
        ends = [entry["data_offsets"][1] for entry in tensors]
        if not all(type(end) is int for end in ends):
            raise TypeError
    except (TypeError, KeyError, IndexError, AttributeError):
        raise RequestError(_FOREIGN) from None
    about = _about(outer)
    try:
        return _checked(about, max(ends, default=0))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise inconsistent(error) from None


def inconsistent(error: Exception) -> RequestError:
    """The refusal of what the checksum would let through."""
    what = str(error)
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return RequestError("its content is inconsistent ({what}).", what=what)


def _json(raw: bytes) -> Any:
    """What a piece of JSON says; many small lists would take far more memory than their text."""
    try:
        if sum(map(raw.count, (b"[", b"{", b",", b":"))) > MAX_PARTS:
            raise ValueError
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise RequestError(_FOREIGN) from None


def _about(outer: dict[str, Any]) -> dict[str, Any]:
    """The metadata, if this program wrote it in a version that is understood."""
    try:
        text = outer["__metadata__"][KEY]
    except (TypeError, KeyError):
        text = None
    about = _json(text.encode(errors="surrogatepass")) if isinstance(text, str) else None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise RequestError("it is a safetensors file, but not one of makemore-bp.")
    version = about.get("version")
    if type(version) is not int or version != VERSION:
        raise RequestError(
            "it has format version {version}; this program reads {known}.",
            version=str(version),
            known=VERSION,
        )
    return about


def _checked(about: dict[str, Any], end: int) -> Header:
    names = ("vocabulary", "data_sha256", "engine", "torch", "checksum")
    texts = {name: about[name] for name in names}
    if not all(isinstance(text, str) for text in texts.values()):
        raise ValueError("a text is expected where there is none")
    characters, step, engine = about["vocabulary"], about["step"], about["engine"]
    if type(step) is not int or not 0 <= step < 2**63:
        raise ValueError("its step is not a count")
    if not characters or len(set(characters)) < len(characters) or CONTROL.search(characters):
        raise ValueError("its vocabulary is not one of words")
    if engine not in ENGINES:
        raise ValueError(f"there is no engine {engine}")
    return Header(
        config=_config(about["config"]),
        step=step,
        vocabulary=characters,
        data_sha256=about["data_sha256"],
        engine=engine,
        torch_version=about["torch"],
        checksum=about["checksum"].encode(errors="replace"),
        end=end,
    )


def _config(plain: dict[str, Any]) -> Config:
    lr = plain["train"]["lr"]
    if isinstance(lr, dict):  # JSON has only text for keys
        plain["train"]["lr"] = {int(step): rate for step, rate in lr.items()}
    return Config.model_validate(plain)
