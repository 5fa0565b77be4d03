"""How a file and overrides become a configuration.

YAML is read by ``yaml_reading``, the values are checked by the schema. Every message names the file
and the line, or the override, that it speaks of.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

from makemore_bp import resources, yaml_reading
from makemore_bp.config.bases import absolute, deep_copy, layered, see_data_from
from makemore_bp.config.messages import explain, unknown_key
from makemore_bp.config.schema import BUNDLED, Config, all_keys, is_text
from makemore_bp.errors import RequestError
from makemore_bp.text import LONGEST_PATH, Sentence, visible

_LIKE_A_CONFIGURATION = re.compile(rb"^\s*(?:[\w.]+\s*:(?:\s|$)|\{)", re.MULTILINE)


class Setting(NamedTuple):
    """One dotted key with its value, and the place that a message about it names."""

    key: str
    value: Any
    place: str


def load(
    source: str | None = None, overrides: Sequence[str] = (), settings: Sequence[Setting] = ()
) -> Config:
    """Reads a configuration file and applies ``key.subkey=value`` overrides to it.

    ``source`` is a path, or the name of a bundled configuration (``quick``), or None for the
    defaults, which are the lecture's recipe. Relative data paths in a file are relative to that
    file, in an override to the working folder. ``settings`` are overrides that are values already.
    Raises RequestError, naming file and line, the override or the setting's place, for whatever is
    not a valid configuration.
    """
    if source is None:
        return build({}, overrides, settings, where="the default configuration")
    path = _find(source)
    value, lines, inherited = layered(path)
    return build(value, overrides, settings, where=str(path), lines=lines, inherited=inherited)


def is_word_list(source: str) -> bool:
    """Whether ``source`` is a file, not named as YAML or code, without a line that looks like a
    configuration's."""
    path = Path(source)
    try:
        if path.suffix.lower() in (".yaml", ".yml", ".py", ".ipynb") or not path.is_file():
            return False
        with path.open("rb") as file:
            return not _LIKE_A_CONFIGURATION.search(file.read(yaml_reading.MAX_BYTES))
    except (OSError, ValueError):  # no file can have this name, or it cannot be read
        return False


def build(
    value: Mapping[str, Any],
    overrides: Sequence[str] = (),
    settings: Sequence[Setting] = (),
    *,
    where: str,
    lines: Mapping[str, int] | None = None,
    folder: Path | None = None,
    inherited: Mapping[str, str] | None = None,
) -> Config:
    """Makes a Config of a plain mapping and overrides; raises RequestError in terms of both.

    A relative data path is relative to ``folder``. ``inherited`` has the places of keys that come
    from other files than ``where``.
    """
    merged = deep_copy(value)
    if folder is not None:
        see_data_from(merged, folder)
    origin = dict(inherited or {})
    for key, chosen, place in [*map(_parsed, overrides), *settings]:
        if key not in all_keys():
            raise RequestError("{place}: {what}", place=_whole(place), what=unknown_key(key))
        _put(merged, key, chosen)
        origin[key] = place
    try:
        config = Config.model_validate(merged)
    except ValidationError as error:
        raise RequestError("{told}", told=explain(error, where, lines or {}, origin)) from None
    path = absolute(config.data.path, Path.cwd())
    return config.model_copy(update={"data": config.data.model_copy(update={"path": path})})


def data_path(path: str) -> Path:
    """The file that a ``data.path`` names; raises RequestError for an unknown bundled name."""
    if not path.startswith(BUNDLED):
        return Path(path)
    name, known = path.removeprefix(BUNDLED), resources.bundled("data", ".txt")
    if name not in known:
        raise RequestError(
            "data.path: there is no bundled word list '{name}'. There are: {known}.",
            name=name,
            known=", ".join(known),
        )
    return known[name]


def _find(source: str) -> Path:
    """A path that exists, or the bundled configuration of that name."""
    path, known = Path(source), resources.bundled("configs", ".yaml")
    if path.suffix in (".py", ".ipynb"):
        raise RequestError(
            "{path} is not a configuration, which is a YAML file. To check a backward pass of your "
            "own: makemore-bp gradcheck --file {path}",
            path=path,
        )
    try:
        exists = path.exists()
    except (OSError, ValueError):
        exists = False
    if exists or source not in known:
        if not exists and path.suffix == "" and path.name == source:
            raise RequestError(
                "There is no configuration file '{name}' and no bundled configuration of that "
                "name. Bundled are: {known}.",
                name=source,
                known=", ".join(known),
            )
        return path
    return known[source]


def override(key: str, value: Any) -> str:
    """``KEY=VALUE`` as --set reads it: a text as it stands, anything else as YAML."""
    return f"{key}={value if is_text(key) else flow(value)}"


def flow(value: Any) -> str:
    """A value as YAML on one line."""
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    plain = list(value) if isinstance(value, tuple) else value
    text: str = yaml.safe_dump(
        plain, default_flow_style=True, sort_keys=False, width=math.inf, allow_unicode=True
    )
    return text.removesuffix("...\n").strip()


def _parsed(typed: str) -> Setting:
    """One ``key=value`` as typed after --set."""
    key, equals, text = typed.partition("=")
    key, place = key.strip(), f"--set {typed}"
    if not equals or not key:
        raise RequestError(
            "{place}: an override has the form KEY=VALUE, for example --set train.steps=1000.",
            place=_whole(place),
        )
    if is_text(key):
        if any("\ud800" <= character <= "\udfff" for character in text):  # no YAML could hold it
            raise RequestError(
                "{place}: this is not Unicode text. Rename the file.", place=_whole(place)
            )
        chosen = absolute(text, Path.cwd()) if key == "data.path" and text else text
        return Setting(key, chosen, place)
    try:
        return Setting(key, yaml_reading.parse(text).value, place)
    except RequestError as error:
        raise RequestError("{place}: {error}", place=_whole(place), error=error) from None


def _whole(place: str) -> Sentence:
    return Sentence(visible(place, LONGEST_PATH))


def _put(merged: dict[str, Any], key: str, value: Any) -> None:
    """Puts a value into nested mappings under its dotted key."""
    section = merged
    *parents, last = key.split(".")
    for parent in parents:
        if not isinstance(section.get(parent), dict):
            section[parent] = {}
        section = section[parent]
    section[last] = value
