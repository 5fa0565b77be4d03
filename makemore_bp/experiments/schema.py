"""What an experiment's file may say."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from makemore_bp import config as configs
from makemore_bp import resources, yaml_reading
from makemore_bp.errors import RequestError
from makemore_bp.text import visible

SEED = "train.seed"
FOLDER = "configs/experiments"
Values = Annotated[list[Any], Field(min_length=1)]


class Schema(BaseModel):
    """The keys of an experiment's file."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=100)]
    base: str | dict[str, Any]
    grid: Annotated[dict[str, Values], Field(min_length=1)] = Field(default={})
    variants: Annotated[dict[str, dict[str, Any]], Field(min_length=1)] = Field(default={})
    seeds: Annotated[list[configs.Seed], Field(min_length=1)] = Field(default=[])

    @field_validator("variants", mode="before")
    @classmethod
    def _empty_variants(cls, value: Any) -> Any:
        """A variant that changes nothing may be written as a name alone."""
        if isinstance(value, dict):
            return {name: {} if keys is None else keys for name, keys in value.items()}
        return value


@dataclass(frozen=True)
class Experiment:
    """An experiment as its file describes it. ``lines`` are those of the file's dotted keys."""

    path: Path
    content: Schema
    lines: Mapping[str, int]

    def place(self, *keys: str) -> str:
        """The file, and the line of a key in it."""
        return _place(self.path, self.lines, ".".join(keys))


def read(source: str) -> Experiment:
    """Reads an experiment's file, or the bundled one of that name.

    Raises RequestError, naming file, line and key, for what is no experiment. The configurations
    that it asks for are not looked at.
    """
    path = _find(source)
    document = yaml_reading.read(path)
    value = {} if document.value is None else document.value
    if not isinstance(value, dict):
        raise RequestError(
            f"{visible(str(path))}: an experiment is a mapping of keys to values. "
            "Begin with a line such as 'name: learning-rate'."
        )
    try:
        content = Schema.model_validate(value)
    except ValidationError as error:
        raise RequestError(_explain(error, path, document.lines)) from None
    experiment = Experiment(path, content, document.lines)
    _refuse_conflicts(experiment)
    return experiment


def _find(source: str) -> Path:
    """A path that exists, or the bundled experiment of that name."""
    path, known = Path(source), resources.bundled(FOLDER, ".yaml")
    try:
        exists = path.exists()
    except (OSError, ValueError):
        exists = False
    if not exists and path.suffix == "" and path.name == source:
        if source in known:
            return known[source]
        raise RequestError(
            f"There is no experiment's file '{visible(source)}' and no bundled experiment of "
            f"that name. Bundled are: {', '.join(known)}."
        )
    return path


def _refuse_conflicts(experiment: Experiment) -> None:
    """Raises RequestError for unknown keys, keys that are set twice and values that are listed
    twice."""
    content = experiment.content
    for key, values in content.grid.items():
        _refuse_unknown(experiment, key, "grid")
        _refuse_repeated(experiment, values, "grid", key)
    for name, settings in content.variants.items():
        for key in settings:
            _refuse_unknown(experiment, key, "variants", name)
            if key in content.grid:
                _refuse_twice(experiment, key, f"variants.{name}", "grid")
    _refuse_repeated(experiment, content.seeds, "seeds")
    if content.seeds and SEED in content.grid:
        _refuse_twice(experiment, SEED, "grid", "seeds")
    for name, settings in content.variants.items():
        if content.seeds and SEED in settings:
            _refuse_twice(experiment, SEED, f"variants.{name}", "seeds")


def _refuse_unknown(experiment: Experiment, key: str, *parents: str) -> None:
    if key not in configs.all_keys():
        raise RequestError(
            f"{experiment.place(*parents, key)}: {visible('.'.join(parents))}: "
            f"{configs.unknown_key(key)}"
        )


def _refuse_repeated(experiment: Experiment, values: list[Any], *keys: str) -> None:
    for k, value in enumerate(values):
        if value in values[:k]:
            raise RequestError(
                f"{experiment.place(*keys)}: {': '.join(keys)}: the value {visible(str(value))} "
                "stands there a second time. Keep one of the two."
            )


def _refuse_twice(experiment: Experiment, key: str, first: str, second: str) -> None:
    raise RequestError(
        f"{experiment.place(first, key)}: {key} is set by {visible(first)} and by {second}; "
        "a run has one value for it. Take one of the two away."
    )


def _place(path: Path, lines: Mapping[str, int], key: str) -> str:
    """The file, and the line of a key or, where that is not known, of what it stands in."""
    while key and key not in lines:
        key = key.rpartition(".")[0]
    return visible(str(path)) + (f", line {lines[key]}" if key else "")


def _explain(error: ValidationError, path: Path, lines: Mapping[str, int]) -> str:
    """The first mistake that pydantic found, in one sentence with its place."""
    first = error.errors()[0]
    parts = [str(part) for part in first["loc"] if part not in ("str", "dict[str,any]")]
    if first["loc"][-1] == "[key]":
        return (
            f"{_place(path, lines, '.'.join(parts[:-1]))}: {visible(': '.join(parts[:-1]))}: "
            f"a key there is a text, not {visible(str(first['input']))}. Write it in quotes."
        )
    place = _place(path, lines, ".".join(parts))
    if first["type"] == "missing":
        return f"{place}: the key '{parts[0]}' is missing; {_MISSING[parts[0]]}."
    if first["type"] == "extra_forbidden":
        known = list(Schema.model_fields)
        near = difflib.get_close_matches(parts[0], known, 1, 0.5)
        hint = f"Did you mean '{near[0]}'?" if near else f"The keys are: {', '.join(known)}."
        return f"{place}: there is no key '{visible(parts[0])}'. {hint}"
    return f"{place}: {visible(': '.join(parts))}: {_WANTED[parts[0]]}; {_got(first)}"


_MISSING = {
    "name": "give the experiment a name, for example name: learning-rate",
    "base": "name the configuration that it starts from, for example base: lecture",
}
_WANTED = {
    "name": "a name is a text of 1 to 100 characters",
    "base": "a base is a configuration's path or name, or a mapping of keys",
    "grid": "a grid maps dotted keys to lists of values",
    "variants": "variants map names to mappings of dotted keys",
    "seeds": "seeds are a list of whole numbers from 0 up",
}


def _got(first: Mapping[str, Any]) -> str:
    value = first["input"]
    return f"it is {'empty' if value in ({}, [], '') else visible(repr(value), 60)}."
