"""How a file and overrides become a configuration.

YAML is read by ``yaml_reading``, the values are checked by the schema. Every message names the file
and the line, or the override, that it speaks of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from makemore_bp import resources, yaml_reading
from makemore_bp.config.messages import explain, type_name, unknown_key
from makemore_bp.config.schema import BUNDLED, Config, all_keys
from makemore_bp.errors import RequestError
from makemore_bp.text import visible


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
    no valid configuration.
    """
    if source is None:
        return build({}, overrides, settings, where="the default configuration")
    path = _find(source)
    document = yaml_reading.read(path)
    value = {} if document.value is None else document.value
    if not isinstance(value, dict):
        raise RequestError(
            f"{visible(str(path))}: a configuration is a mapping of keys to values, "
            f"but this is a {type_name(value)}. Begin with a line such as 'train:'; a list of "
            "words is named by --set data.path=FILE."
        )
    return build(
        value,
        overrides,
        settings,
        where=visible(str(path)),
        lines=document.lines,
        folder=path.parent,
    )


def build(
    value: Mapping[str, Any],
    overrides: Sequence[str] = (),
    settings: Sequence[Setting] = (),
    *,
    where: str,
    lines: Mapping[str, int] | None = None,
    folder: Path | None = None,
) -> Config:
    """Makes a Config of a plain mapping and overrides; raises RequestError in terms of both."""
    merged = _deep_copy(value)
    data = merged.get("data")
    if folder is not None and isinstance(data, dict) and isinstance(data.get("path"), str):
        data["path"] = absolute(data["path"], folder)
    origin: dict[str, str] = {}
    for key, chosen, place in [*map(_parsed, overrides), *settings]:
        if key not in all_keys():
            raise RequestError(f"{place}: {unknown_key(key)}")
        _put(merged, key, chosen)
        origin[key] = place
    try:
        config = Config.model_validate(merged)
    except ValidationError as error:
        raise RequestError(explain(error, where, lines or {}, origin)) from None
    path = absolute(config.data.path, Path.cwd())
    return config.model_copy(update={"data": config.data.model_copy(update={"path": path})})


def data_path(path: str) -> Path:
    """The file that a ``data.path`` names; raises RequestError for an unknown bundled name."""
    if not path.startswith(BUNDLED):
        return Path(path)
    name, known = path.removeprefix(BUNDLED), resources.bundled("data", ".txt")
    if name not in known:
        raise RequestError(
            f"data.path: there is no bundled word list '{visible(name)}'. "
            f"There are: {', '.join(known)}."
        )
    return known[name]


def _find(source: str) -> Path:
    """A path that exists, or the bundled configuration of that name."""
    path, known = Path(source), resources.bundled("configs", ".yaml")
    try:
        exists = path.exists()
    except (OSError, ValueError):
        exists = False
    if exists or source not in known:
        if not exists and path.suffix == "" and path.name == source:
            raise RequestError(
                f"There is no configuration file '{visible(source)}' and no bundled "
                f"configuration of that name. Bundled are: {', '.join(known)}."
            )
        return path
    return known[source]


def absolute(path: str, folder: Path) -> str:
    """A ``data.path`` as seen from ``folder``; what is bundled stays as it is."""
    if path.startswith(BUNDLED):
        return path
    try:
        return str((folder / Path(path).expanduser()).absolute())
    except RuntimeError:  # a ~ that stands for nobody's home is a name like any other
        return str((folder / path).absolute())


def _deep_copy(value: Any) -> Any:
    return {k: _deep_copy(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def _parsed(override: str) -> Setting:
    """One ``key=value`` as typed after --set."""
    key, equals, text = override.partition("=")
    key, place = key.strip(), f"--set {visible(override)}"
    if not equals or not key:
        raise RequestError(
            f"{place}: an override has the form KEY=VALUE, for example --set train.steps=1000."
        )
    try:
        value = yaml_reading.parse(text).value
    except RequestError as error:
        raise RequestError(f"{place}: {error}") from None
    if key == "data.path" and isinstance(value, str):
        value = absolute(value, Path.cwd())
    return Setting(key, value, place)


def _put(merged: dict[str, Any], key: str, value: Any) -> None:
    """Puts a value into nested mappings under its dotted key."""
    section = merged
    *parents, last = key.split(".")
    for parent in parents:
        if not isinstance(section.get(parent), dict):
            section[parent] = {}
        section = section[parent]
    section[last] = value
