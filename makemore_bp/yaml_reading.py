"""YAML from strangers: only plain data, bounded in size, and no key that silently wins.

PyYAML does the parsing, in C where it was built with libyaml. What is added here are the limits
that a file from elsewhere needs, YAML 1.2's plain values (where ``1e-3`` and ``010`` are decimal
numbers, and ``no``, ``1:30`` and ``2024-01-31`` are text), and the line of every key for error
messages.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from makemore_bp.errors import RequestError
from makemore_bp.files import cannot_read
from makemore_bp.text import sentence

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
    """SafeLoader that refuses equal keys and takes plain values for what YAML 1.2 does."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[Any, yaml.Node] = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise _twice(key_node, seen[key])
            if isinstance(key, Hashable):
                seen[key] = key_node
        return super().construct_mapping(node, deep=True)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        text = self.construct_scalar(node).replace("_", "").lower()
        digits = text.lstrip("+-")
        base = {"0x": 16, "0o": 8, "0b": 2}.get(digits[:2], 10)
        number = int(digits if base == 10 else digits[2:], base)
        return -number if text.startswith("-") else number


def _twice(node: yaml.Node, first: yaml.Node) -> RequestError:
    line, before = (where.start_mark.line + 1 for where in (node, first))
    if node.value == first.value:
        return RequestError(
            "line {line}: the key '{key}' stands there a second time (first in line {before}). "
            "Keep one of the two.",
            line=line,
            key=node.value,
            before=before,
        )
    return RequestError(
        "line {line}: the keys '{other}' (line {before}) and '{key}' are the same. Keep one of "
        "the two.",
        line=line,
        other=first.value,
        key=node.value,
        before=before,
    )


_PLAIN = (  # tag, what it looks like, and with which characters that can begin
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("int", r"[-+]?(?:[0-9][0-9_]*|0x[0-9a-fA-F_]+|0o[0-7_]+|0b[01_]+)", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+"
        r"|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("merge", "<<", "<"),
)
for _tag, _pattern, _first in _PLAIN:
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}",
        re.compile(f"^(?:{_pattern})$"),
        [*_first, *([""] if _tag == "null" else [])],
    )
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


@dataclass(frozen=True)
class Document:
    """What a file says, and on which line it says it (dotted key to line number)."""

    value: Any
    lines: dict[str, int]


def parse(text: str) -> Document:
    """Reads one YAML document.

    Raises RequestError, beginning with the line, for what is not plain, bounded YAML.
    """
    length = len(text.encode(errors="surrogatepass"))
    if length > MAX_BYTES:
        raise RequestError(
            "it is {length:,} bytes long; a configuration has at most {most:,}.",
            length=length,
            most=MAX_BYTES,
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
        raise _explained(error) from None
    except UnicodeEncodeError:
        raise RequestError("it holds characters that are not Unicode text.") from None
    except (
        ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError
    ) as error:  # fmt: skip
        # SafeLoader lets through what its constructors raise, such as a date of month 13.
        raise RequestError("a value cannot be read: {reason}.", reason=error) from None
    return Document(value, lines)


def read(path: Path) -> Document:
    """Reads a YAML file; raises RequestError that names the file."""
    try:
        if not path.is_file():
            what = "is not a regular file" if path.exists() else "does not exist"
            what = "is a folder, not a file" if path.is_dir() else what
            raise RequestError("{path} {what}. Name a YAML file.", path=path, what=what)
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise RequestError(
                "{path} is longer than {most:,} bytes, which is more than any configuration needs. "
                "If it is a list of words, name it by --set data.path=FILE.",
                path=path,
                most=MAX_BYTES,
            )
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(
            "{path} is not UTF-8 text (byte {byte}). Save it as UTF-8, or name another file.",
            path=path,
            byte=error.start,
        ) from None
    except OSError as error:
        raise cannot_read(path, error) from None
    try:
        return parse(text)
    except RequestError as error:
        raise RequestError("{path}: {error}", path=path, error=error) from None


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
                    "line {line}: the alias *{name} inside an anchored block. Such files can "
                    "expand without bound; write the values out.",
                    line=line,
                    name=event.anchor or "",
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


def _explained(error: yaml.YAMLError) -> RequestError:
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or error).splitlines()[0]
    if "could not determine a constructor" in problem:
        problem = "a tag that asks for more than plain data; tags are not accepted"
    where = sentence("line {line}: ", line=mark.line + 1) if mark is not None else ""
    return RequestError("{where}this is not valid YAML: {problem}.", where=where, problem=problem)
