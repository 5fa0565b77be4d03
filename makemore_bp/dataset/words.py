"""A file with a word a line, read and checked.

Any UTF-8 text is accepted: with or without a byte order mark (or one at the start of any line, as
in files that were joined), lines that end in LF or CRLF, any script. A line that would not survive
a terminal, or is not a word, is refused with its number: control characters, and more than
``MAX_LENGTH`` characters.
"""

from __future__ import annotations

import hashlib
import re
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from makemore_bp.config import Normalize
from makemore_bp.dataset.packed import Packed
from makemore_bp.errors import RequestError
from makemore_bp.files import cannot_read
from makemore_bp.text import Sentence, visible

MAX_LENGTH = 1000
MAX_BYTES = 4 * 2**30
BLOCK = 2**20  # bytes read at a time
MARK = "\ufeff"  # the byte order mark

CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_POINTER = b"version https://git-lfs.github.com/spec/"
_PLAIN = bytes([ord("\n"), *range(ord("!"), 127)])
_TAB = re.compile("\t")


@dataclass(frozen=True)
class Refused:
    """A line that is not a word: its number from 1, what is wrong with it, and the line itself."""

    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class WordFile:
    """What a file holds: the words in file order, duplicates included, and its SHA-256."""

    packed: Packed
    refused: list[Refused]
    blank: int
    sha256: str

    @cached_property
    def words(self) -> list[str]:
        """The words as texts."""
        return self.packed.texts()


@dataclass(frozen=True)
class _Lines:
    """What some whole lines hold, and how many there are; a refused line's number is from 1."""

    words: Packed
    refused: list[Refused]
    blank: int
    count: int


def read(path: Path, form: Normalize = "none") -> WordFile:
    """Reads a file of words; blank lines are skipped, surrounding spaces are stripped.

    ``form`` is the normal form that the words are brought into. Raises RequestError if the file as
    a whole cannot be used: missing, not a regular file, too large, not UTF-8. Lines that cannot be
    used are returned as ``refused``. The file is read in blocks, and only one of them at a time is
    there as text.
    """
    digest, blank, line = hashlib.sha256(), 0, 0
    parts: list[Packed] = []
    refused: list[Refused] = []
    for raw in _blocks(path):
        if not parts:
            _refuse_kind(raw, path)
        digest.update(raw)
        lines = _plain(raw) or _read(normalized(_decode(raw, path, line), form))
        parts.append(lines.words)
        refused += [replace(each, line=each.line + line) for each in lines.refused]
        blank, line = blank + lines.blank, line + lines.count
    return WordFile(Packed.joined(parts), refused, blank, digest.hexdigest())


def read_all(path: Path, form: Normalize = "none") -> WordFile:
    """Like ``read``, but raises RequestError if a line is refused or no word is left."""
    file = read(path, form)
    if file.refused:
        first, count = file.refused[0], len(file.refused)
        raise RequestError(
            "{path}, line {line}: {reason}: '{text}'{more}. Correct or remove the line; "
            "'makemore-bp data info FILE' lists them all.",
            path=path,
            line=first.line,
            reason=first.reason,
            text=Sentence(visible(first.text, 60)),
            more=f" ({count:,} lines are like that)" if count > 1 else "",
        )
    if not len(file.packed):
        raise RequestError("{path} holds no words. Put a word on each line.", path=path)
    return file


def normalized(text: str, form: Normalize) -> str:
    """``text`` in a normal form of Unicode; ``none`` leaves it as it is."""
    return text if form == "none" else unicodedata.normalize(form, text)


def _blocks(path: Path) -> Iterator[bytes]:
    """The file's bytes, some whole lines at a time."""
    try:
        _refuse_place(path)
        rest: list[bytes] = []
        with path.open("rb") as file:
            while piece := file.read(BLOCK):
                end = piece.rfind(b"\n") + 1
                if end:
                    yield b"".join([*rest, piece[:end]])
                    rest = []
                rest.append(piece[end:])
        if last := b"".join(rest):
            yield last
    except FileNotFoundError:
        raise RequestError(
            "{path} does not exist. Name a file with a word a line, or the bundled list, "
            "bundled:names.",
            path=path,
        ) from None
    except (OSError, ValueError) as error:
        raise cannot_read(path, error) from None


def _refuse_place(path: Path) -> None:
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise RequestError("{path} is a folder; a file with a word a line is needed.", path=path)
    if not stat.S_ISREG(status.st_mode):
        raise RequestError("{path} is not a regular file; copy its content to one.", path=path)
    if status.st_size > MAX_BYTES:
        raise RequestError(
            "{path} has {size:.1f} GiB; the limit is {limit} GiB. Use a part of it.",
            path=path,
            size=status.st_size / 2**30,
            limit=MAX_BYTES // 2**30,
        )


def _refuse_kind(raw: bytes, path: Path) -> None:
    """Raises RequestError if a file that begins like this is of another kind."""
    if raw.startswith(_POINTER):
        raise RequestError(
            "{path} is a pointer of Git LFS and not the file itself, which git lfs pull fetches.",
            path=path,
        )
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise RequestError("{path} is UTF-16 text. Save it as UTF-8.", path=path)


def _decode(raw: bytes, path: Path, line: int) -> str:
    """The text of lines that come behind ``line`` others, without the marks at their starts."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise RequestError(
            "{path}, line {line}: byte {byte:#04x} is not UTF-8. If this is text, save it as "
            "UTF-8; if it is not, name another file.",
            path=path,
            line=line + raw.count(b"\n", 0, error.start) + 1,
            byte=raw[error.start],
        ) from None
    return text.removeprefix(MARK).replace("\n" + MARK, "\n")


def _plain(raw: bytes) -> _Lines | None:
    """Lines of visible ASCII, straight from their bytes; None if there is anything else."""
    if raw.translate(None, _PLAIN):
        return None
    points = np.frombuffer(raw, dtype=np.uint8)
    is_end = points == ord("\n")
    ends = np.flatnonzero(is_end)
    if not raw.endswith(b"\n"):
        ends = np.append(ends, len(points))
    lengths = np.diff(ends, prepend=-1) - 1
    if int(lengths.max()) > MAX_LENGTH:
        return None
    filled = lengths[lengths > 0].astype(np.uint16)
    words = Packed.end_to_end(points[~is_end], filled)
    return _Lines(words, [], len(lengths) - len(filled), len(lengths))


def _read(text: str) -> _Lines:
    """Any lines."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()  # behind the last line end there is no line
    words = [line.strip() for line in lines]
    refused: list[Refused] = []
    # Searching the whole text is fast; only a block that holds something odd is gone through.
    suspicious = CONTROL.search(text.replace("\r\n", "\n")) or _TAB.search(text)
    if suspicious or max(map(len, words), default=0) > MAX_LENGTH:
        words, refused = _sift(lines)
    blank = sum(not line or line.isspace() for line in lines)
    return _Lines(Packed.of([word for word in words if word]), refused, blank, len(lines))


def _sift(lines: list[str]) -> tuple[list[str], list[Refused]]:
    words, refused = [], []
    for number, line in enumerate(lines, 1):
        word = line.removesuffix("\r").strip(" ")
        if reason := _fault(word):
            refused.append(Refused(number, reason, word))
        else:
            words.append(word.strip())
    return words, refused


def _fault(word: str) -> str | None:
    if (length := len(word.strip())) > MAX_LENGTH:
        return f"{length:,} characters, where a word has at most {MAX_LENGTH:,}"
    if "\x00" in word:
        return "holds a NUL character"
    if "\r" in word:
        return "holds the control character U+000D; lines end in LF or CRLF, not in CR alone"
    if control := CONTROL.search(word):
        return f"holds the control character U+{ord(control[0]):04X}"
    if "\t" in word.strip():
        return "holds a tab; is this a table? One word a line is needed"
    return None
