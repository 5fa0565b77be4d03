"""What an experiment's file may say."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from makemore_bp import config as configs
from makemore_bp import resources, yaml_reading
from makemore_bp.errors import RequestError
from makemore_bp.text import LONGEST_PATH, visible

SEED = "train.seed"
FOLDER = "configs/experiments"
MOST_BITS = 1000  # of a number
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
class Source:
    """An experiment's file. ``lines`` are those of its dotted keys."""

    path: Path
    lines: Mapping[str, int]

    def place(self, *keys: str) -> str:
        """The file, and the line of a key in it, harmless for a terminal."""
        line = self._line(keys)
        return visible(str(self.path), LONGEST_PATH) + (f", line {line}" if line else "")

    def refusal(self, keys: Sequence[str], said: str, /, **values: Any) -> RequestError:
        """An error that begins with the file and the line of a key in it."""
        line = self._line(keys)
        where = "{path}, line {line}: " if line else "{path}: "
        return RequestError(where + said, path=self.path, line=line, **values)

    def _line(self, keys: Sequence[str]) -> int | None:
        """The line of a key or, where that is not known, of what it stands in."""
        key = ".".join(keys)
        while key and key not in self.lines:
            key = key.rpartition(".")[0]
        return self.lines.get(key)


@dataclass(frozen=True)
class Experiment(Source):
    """An experiment as its file describes it."""

    content: Schema


def read(source: str) -> Experiment:
    """Reads an experiment's file, or the bundled one of that name.

    Raises RequestError, naming file, line and key, for what is not an experiment. The
    configurations that it asks for are not looked at.
    """
    path = _find(source)
    document = yaml_reading.read(path)
    value = {} if document.value is None else document.value
    if not isinstance(value, dict):
        raise RequestError(
            "{path}: an experiment is a mapping of keys to values. "
            "Begin with a line such as 'name: learning-rate'.",
            path=path,
        )
    if _is_endless(value):
        raise RequestError("{path} holds a number that is too long for any key.", path=path)
    try:
        experiment = Experiment(path, document.lines, Schema.model_validate(value))
    except ValidationError as error:
        raise _explain(error, Source(path, document.lines)) from None
    _refuse_conflicts(experiment)
    return experiment


def _is_endless(value: Any) -> bool:
    """Whether there is a whole number in a document that Python would not write out."""
    if isinstance(value, dict):
        return any(map(_is_endless, [*value, *value.values()]))
    if isinstance(value, list):
        return any(map(_is_endless, value))
    return isinstance(value, int) and value.bit_length() > MOST_BITS


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
            "There is no file '{source}' and no bundled experiment of that name. "
            "Bundled are: {known}.",
            source=source,
            known=", ".join(known),
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
        raise experiment.refusal(
            (*parents, key),
            "{parents}: {error}",
            parents=".".join(parents),
            error=RequestError(configs.unknown_key(key)),
        )


def _refuse_repeated(experiment: Experiment, values: list[Any], *keys: str) -> None:
    for k, value in enumerate(values):
        if value in values[:k]:
            raise experiment.refusal(
                keys,
                "{keys}: the value {value} stands there a second time. Keep one of the two.",
                keys=": ".join(keys),
                value=str(value),
            )


def _refuse_twice(experiment: Experiment, key: str, first: str, second: str) -> None:
    raise experiment.refusal(
        (first, key),
        "{key} is set by {first} and by {second}; a run has one value for it. "
        "Take one of the two away.",
        key=key,
        first=first,
        second=second,
    )


def _explain(error: ValidationError, source: Source) -> RequestError:
    """The first mistake that pydantic found, in one sentence with its place."""
    first = error.errors()[0]
    keys = [str(part) for part in first["loc"] if part not in ("str", "dict[str,any]")]
    if first["loc"][-1] == "[key]":
        said = "{keys}: a key there is a text, not {got}. Write it in quotes."
        inside = keys[:-1]
        got = str(first["input"])
        return source.refusal(inside, said, keys=": ".join(inside), got=got)
    if first["type"] == "missing":
        said = f"the key '{keys[0]}' is missing; {_MISSING[keys[0]]}."
        return source.refusal(keys, said)
    if first["type"] == "extra_forbidden":
        return source.refusal(
            keys, "there is no key '{key}'. {hint}", key=keys[0], hint=_hint(keys[0])
        )
    said = f"{{keys}}: {_WANTED[keys[0]]}; it is {{got}}."
    return source.refusal(keys, said, keys=": ".join(keys), got=_got(first["input"]))


def _hint(key: str) -> str:
    known = list(Schema.model_fields)
    near = difflib.get_close_matches(key, known, 1, 0.5)
    return f"Did you mean '{near[0]}'?" if near else f"The keys are: {', '.join(known)}."


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


def _got(value: Any) -> str:
    return "empty" if value in ({}, [], "") else repr(value)[:60]
