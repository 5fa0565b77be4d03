"""A configuration that is based on another one: ``base: quick``, ``base: ../ours.yaml``.

The base is a bundled configuration or a file, whose path is relative to the file that names it, and
may have a base itself. What a file says counts for more than what its base says, key by key.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from makemore_bp import resources, yaml_reading
from makemore_bp.config.messages import type_name
from makemore_bp.config.schema import BUNDLED, all_keys
from makemore_bp.errors import RequestError
from makemore_bp.text import LONGEST_PATH, Sentence, visible
from makemore_bp.yaml_reading import Document

BASE = "base"


def layered(path: Path) -> tuple[dict[str, Any], dict[str, int], dict[str, str]]:
    """What a file and its bases say together, the lines of the file's own keys, and the places of
    the keys that come from a base.

    Raises RequestError, which names the file and the line, for a base that is missing, is based on
    itself or is no configuration.
    """
    layers = _layers(path)
    (_, top), *below = layers
    value: dict[str, Any] = {}
    places: dict[str, str] = {}
    for file, document in reversed(below):
        value = _over(value, document.value)
        places |= {key: f"{file}, line {line}" for key, line in document.lines.items()}
    value = _over(value, top.value)
    inherited = {key: place for key, place in places.items() if key not in top.lines}
    return value, top.lines, inherited


def _beside(name: str, folder: Path) -> Path | None:
    """The file that a base names: one beside ``folder``'s files, else the bundled one; None if it
    is neither."""
    try:
        if (folder / name).is_file():
            return folder / name
    except (OSError, ValueError):  # no file can have this name
        return None
    return resources.bundled("configs", ".yaml").get(name)


def _layers(path: Path) -> list[tuple[Path, Document]]:
    """A file, its base, the base of that, and so on, without the key that names them."""
    layers: list[tuple[Path, Document]] = []
    seen: list[Path] = []
    here: Path | None = path
    place = Sentence()
    while here is not None:
        document = _read(here, place)
        seen.append(here.resolve())
        layers.append((here, document))
        place = _place(here, document)
        following = _base(document.value, here, place)
        if following is not None and following.resolve() in seen:
            raise _circle(place, [*seen[seen.index(following.resolve()) :], following])
        here = following
    return layers


def _read(path: Path, named: Sentence) -> Document:
    """A configuration's file as a mapping; ``named`` is the place that names it as a base."""
    try:
        document = yaml_reading.read(path)
        value = {} if document.value is None else document.value
        if not isinstance(value, dict):
            raise RequestError(
                "{path}: a configuration is a mapping of keys to values, but this is a {kind}. "
                "Begin with a line such as 'train:'; a list of words is named by --set "
                "data.path=FILE.",
                path=path,
                kind=type_name(value),
            )
    except RequestError as error:
        if not named:
            raise
        raise RequestError("{named}: {error}", named=named, error=error) from None
    value = deep_copy(value)
    see_data_from(value, path.parent)
    return Document(value, document.lines)


def _place(path: Path, document: Document) -> Sentence:
    """Where a file names its base; a key that is merged in by ``<<`` has no line."""
    line = f", line {document.lines[BASE]}" if BASE in document.lines else ""
    return Sentence(f"{visible(str(path), LONGEST_PATH)}{line}: {BASE}")


def _base(value: dict[str, Any], path: Path, place: Sentence) -> Path | None:
    """The file that a configuration names as its base, if it names one; the key is taken away."""
    if BASE not in value:
        return None
    named = value.pop(BASE)
    if not isinstance(named, str):
        raise RequestError(
            "{place} must be a bundled configuration's name or a file's path, and it is {got}.",
            place=place,
            got="empty" if named is None else f"a {type_name(named)}",
        )
    found = _beside(named, path.parent)
    if found is None:
        raise RequestError(
            "{place}: there is no file {file} and no bundled configuration of that name. Bundled "
            "are: {known}.",
            place=place,
            file=path.parent / named,
            known=", ".join(resources.bundled("configs", ".yaml")),
        )
    return found


def _circle(place: Sentence, files: list[Path]) -> RequestError:
    return RequestError(
        "{place}: the files are based on each other in a circle ({files}). Take the base away from "
        "one of them.",
        place=place,
        files=Sentence(" -> ".join(visible(file.name) for file in files)),
    )


def _over(below: Mapping[str, Any], above: Mapping[str, Any], section: str = "") -> dict[str, Any]:
    """Two mappings as one; sections are put together, and values, such as a schedule, replaced."""
    merged = dict(below)
    for key, value in above.items():
        name, before = f"{section}{key}", merged.get(key)
        whole = name in all_keys() or not isinstance(before, dict) or not isinstance(value, dict)
        merged[key] = value if whole else _over(before or {}, value, f"{name}.")
    return merged


def see_data_from(value: dict[str, Any], folder: Path) -> None:
    """Makes the data path of a configuration absolute, as seen from the folder of its file."""
    data = value.get("data")
    if isinstance(data, dict) and isinstance(data.get("path"), str):
        data["path"] = absolute(data["path"], folder)


def absolute(path: str, folder: Path) -> str:
    """A ``data.path`` as seen from ``folder``; what is bundled stays as it is."""
    if path.startswith(BUNDLED):
        return path
    try:
        return str((folder / Path(path).expanduser()).absolute())
    except RuntimeError:  # a ~ that stands for no home is a name like any other
        return str((folder / path).absolute())


def deep_copy(value: Any) -> Any:
    """A value whose mappings are its own, so that they can be changed."""
    return {k: deep_copy(v) for k, v in value.items()} if isinstance(value, Mapping) else value
