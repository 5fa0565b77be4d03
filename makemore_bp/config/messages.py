"""What is said of a configuration that is not valid: where, what, and the nearest that would be."""

from __future__ import annotations

import difflib
import math
import reprlib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from makemore_bp.config.schema import all_keys
from makemore_bp.text import visible


def unknown_key(key: str) -> str:
    """What to say of a dotted key that the schema does not have: the nearest that it has."""
    known = all_keys()
    sections = sorted({name.split(".")[0] for name in known if "." in name})
    short = {name.split(".")[-1]: name for name in known}
    if key in sections:
        inside = ", ".join(name for name in known if name.startswith(key + "."))
        return f"'{key}' is a section. Set one of its keys: {inside}."
    near = [name for name in known if name.split(".")[-1] == key.split(".")[-1]]
    near = near or difflib.get_close_matches(key, [*known, *sections], 1, 0.6)
    if not near:
        last = difflib.get_close_matches(key.split(".")[-1], short, 1, 0.6)
        near = [short[name] for name in last]
    meant = " or ".join(f"'{name}'" for name in near)
    hint = f"Did you mean {meant}?" if near else f"The keys are: {', '.join(known)}."
    return f"there is no key '{visible(key)}'. {hint}"


def explain(
    error: ValidationError, where: str, lines: Mapping[str, int], origin: Mapping[str, str]
) -> str:
    """The first mistake that pydantic found, in one sentence with its place."""
    first, *others = error.errors()
    if first["type"] == "float_type" and isinstance(first["input"], Mapping) and others:
        first = others[0]  # a schedule is no number; what is wrong in it comes after that
    # A union's members (the two forms of train.lr) follow the field's name: they are no keys.
    path = [str(part) for part in first["loc"] if part not in ("float", "constrained-float")]
    key = ".".join(part for part in path if not part.startswith(("dict[", "function-", "[key]")))
    known = all_keys()
    owner = next((name for name in known if key == name or key.startswith(name + ".")), key)
    if owner in origin:
        place = origin[owner]
    else:
        line = next((lines[k] for k in (key, owner) if k in lines), None)
        place = f"{where}, line {line}" if line else where
    if first["type"] == "extra_forbidden":
        return f"{place}: {unknown_key(key)}"
    subject = f"{visible(owner)}: " if owner else ""
    return f"{place}: {subject}{_sentence(first)}"


def _sentence(first: Mapping[str, Any]) -> str:
    """What pydantic says of a value, in the words of the other messages."""
    got, message = first["input"], str(first["msg"])
    message = message.removeprefix("Value error, ").replace("Input should", "should")
    if isinstance(got, Mapping) or first["type"] == "value_error":
        shown = ""
    else:
        shown = f" (it is {visible(_show(got), 60)})"
    if first["type"] in ("model_type", "model_attributes_type"):
        return f"must be a mapping of keys to values, not a {type_name(got)}."
    return f"{message}{shown}."


def _show(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, float) and not math.isfinite(value):
        return {math.inf: ".inf", -math.inf: "-.inf"}.get(value, ".nan")
    if isinstance(value, int) and value.bit_length() > 200:  # Python writes no endless numbers
        return f"a number of {value.bit_length():,} bits"
    return repr(value[:200]) if isinstance(value, str) else reprlib.repr(value)


def type_name(value: Any) -> str:
    """What a value is called in YAML."""
    names = {list: "list", str: "text", int: "number", float: "number", bool: "true or false"}
    return names.get(type(value), "mapping" if isinstance(value, dict) else type(value).__name__)
