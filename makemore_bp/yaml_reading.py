"""YAML from strangers: only plain data, bounded in size, and no key that silently wins.

PyYAML does the parsing, in C where it was built with libyaml. What is added here are the limits
that a file from elsewhere needs, YAML 1.2's way of writing floats (``1e-3``), and the line of every
key for error messages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from makemore_bp.errors import RequestError
from makemore_bp.files import cannot_read
from makemore_bp.text import visible

MAX_BYTES = 64 * 1024
MAX_DEPTH = 20
MAX_ALIASES = 100
MAX_EXPANDED = 2**20  # characters that the aliases could make of the text
MAX_SCALAR = 10_000  # characters of one value; longer than any path

if TYPE_CHECKING:
    from yaml import SafeLoader as _SafeLoader
else:  # the same in C, ten times as fast, so that the largest file is read in half a second
    _SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SafeLoader):
    """SafeLoader that refuses duplicate keys and reads ``1e-3`` as a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[str, int] = {}
        for key_node, _ in node.value:
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in seen:
                raise RequestError(
                    f"line {line}: the key '{visible(key)}' stands there a second time "
                    f"(first in line {seen[key]}). Keep one of the two."
                )
            seen[key] = line
        return super().construct_mapping(node, deep=True)


_FLOAT = re.compile(
    r"""^[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?
        |[0-9][0-9_]*[eE][-+]?[0-9]+|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?
        |\.(?:inf|Inf|INF)|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$""",
    re.VERBOSE,
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))


@dataclass(frozen=True)
class Document:
    """What a file says, and on which line it says it (dotted key to line number)."""

    value: Any
    lines: dict[str, int]


def parse(text: str) -> Document:
    """Reads one YAML document.

    Raises RequestError, beginning with the line, for what is no plain, bounded YAML.
    """
    length = len(text.encode(errors="surrogatepass"))
    if length > MAX_BYTES:
        raise RequestError(
            f"it is {length:,} bytes long; a configuration has at most {MAX_BYTES:,}."
        )
    try:
        _refuse_bombs(text)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            lines = _lines(node)
            value = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise RequestError(_explain(error)) from None
    except UnicodeEncodeError:
        raise RequestError("it holds characters that are no Unicode text.") from None
    except (
        ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError
    ) as error:  # fmt: skip
        # SafeLoader lets through what its constructors raise, such as a date of month 13.
        raise RequestError(f"a value cannot be read: {visible(str(error))}.") from None
    return Document(value, lines)


def read(path: Path) -> Document:
    """Reads a YAML file; raises RequestError that names the file."""
    try:
        if not path.is_file():
            what = "is no regular file" if path.exists() else "does not exist"
            what = "is a folder, not a file" if path.is_dir() else what
            raise RequestError(f"{visible(str(path))} {what}. Name a YAML file.")
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise RequestError(
                f"{visible(str(path))} is longer than {MAX_BYTES:,} bytes, "
                "which is more than any configuration needs. Is it the right file?"
            )
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(
            f"{visible(str(path))} is not UTF-8 text (byte {error.start}). Save it as UTF-8, "
            "or name another file."
        ) from None
    except OSError as error:
        raise cannot_read(path, error) from None
    try:
        return parse(text)
    except RequestError as error:
        raise RequestError(f"{visible(str(path))}: {error}") from None


def _refuse_bombs(text: str) -> None:
    """Refuses what would explode later: deep nesting, many aliases, aliases inside anchors."""
    depth, aliases, anchored = 0, 0, 0
    inside: list[bool] = []
    for event in yaml.parse(text, Loader=_SafeLoader):
        mark = event.start_mark
        line = mark.line + 1 if mark else 0
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            inside.append(event.anchor is not None)
            anchored += event.anchor is not None
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
            anchored -= inside.pop()
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
            if anchored:
                raise RequestError(
                    f"line {line}: the alias *{visible(event.anchor or '')} inside an anchored "
                    "block. Such files can expand without bound; write the values out."
                )
        elif isinstance(event, yaml.ScalarEvent) and len(event.value) > MAX_SCALAR:
            raise RequestError(f"line {line}: a value of {len(event.value):,} characters.")
        if depth > MAX_DEPTH:
            raise RequestError(f"line {line}: nested more than {MAX_DEPTH} levels deep.")
        if aliases > min(MAX_ALIASES, MAX_EXPANDED // max(1, len(text))):
            raise RequestError(f"line {line}: too many aliases for a configuration.")


def _lines(node: yaml.Node | None, prefix: str = "") -> dict[str, int]:
    found: dict[str, int] = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{prefix}{key.value}"
            found[name] = key.start_mark.line + 1
            found |= _lines(value, f"{name}.")
    return found


def _explain(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}: " if mark is not None else ""
    problem = str(getattr(error, "problem", None) or error).splitlines()[0]
    if "could not determine a constructor" in problem:
        problem = "a tag that asks for more than plain data; tags are not accepted"
    return f"{where}this is not valid YAML: {visible(problem)}."
