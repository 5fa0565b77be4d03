"""An experiment's grid, variants and seeds as runs, each with a name and a configuration."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makemore_bp import config as configs
from makemore_bp.config import Config, Setting, flow
from makemore_bp.errors import RequestError
from makemore_bp.experiments.command import sets
from makemore_bp.experiments.schema import SEED, Experiment

MAX_RUNS = 10_000
MAX_NAME = 80  # characters of a run's name, which is also its folder's


@dataclass(frozen=True)
class Run:
    """One run of an experiment.

    name        readable and unique in the experiment
    varied      what distinguishes it, in the file's order: ``variant``, then the grid's keys; the
                seed is not among them
    seed        the value of train.seed if the experiment varies it
    settings    every key that it sets on the base
    command     the arguments of ``makemore-bp`` that train it
    """

    name: str
    varied: dict[str, Any]
    seed: int | None
    settings: dict[str, Any]
    config: Config
    command: list[str]


def expand(experiment: Experiment, overrides: Sequence[str] = ()) -> list[Run]:
    """Every run, variants first, then the grid in its order, then the seeds. ``overrides``,
    ``KEY=VALUE`` each, change the base.

    Raises RequestError, naming the place in the file, if one of the configurations is not valid.
    """
    content = experiment.content
    given = [configs.parsed(typed) for typed in overrides]
    _refuse_varied(experiment, given)
    axes = [content.variants or [None], *content.grid.values(), content.seeds or [None]]
    count = 1
    for axis in axes:
        count *= len(axis)
    if count > MAX_RUNS:
        raise RequestError(
            "{path} asks for {count:,} runs; an experiment has at most {most:,}. "
            "Take values away, or make several experiments of it.",
            path=experiment.path,
            count=count,
            most=MAX_RUNS,
        )
    labels = _short(content.grid)
    runs: list[Run] = []
    taken: set[str] = set()
    for variant, *values, seed in itertools.product(*axes):
        chosen = dict(zip(content.grid, values, strict=True))
        name = _free(_name(variant, {labels[key]: chosen[key] for key in chosen}, seed), taken)
        runs.append(_run(experiment, name, variant, chosen, seed, given))
    return runs


def _refuse_varied(experiment: Experiment, given: list[Setting]) -> None:
    """Raises RequestError for an override of a key that the file varies."""
    content = experiment.content
    varied = {*content.grid, *(key for keys in content.variants.values() for key in keys)}
    for key, _, place in given:
        if key in varied or (key == SEED and content.seeds):
            raise RequestError(
                "{place}: {path} varies this key. Change the values there.",
                place=place,
                path=experiment.path,
            )


def _run(
    experiment: Experiment,
    name: str,
    variant: str | None,
    chosen: dict[str, Any],
    seed: Any,
    given: list[Setting],
) -> Run:
    settings = [Setting(key, value, experiment.place("grid", key)) for key, value in chosen.items()]
    if variant is not None:
        for key, value in experiment.content.variants[variant].items():
            settings.append(Setting(key, value, experiment.place("variants", variant, key)))
    if seed is not None:
        settings.append(Setting(SEED, seed, experiment.place("seeds")))
    settings = [*given, *(_absolute(one, experiment.path.parent) for one in settings)]
    source = _base(experiment)
    config = _config(experiment, name, source, settings)
    varied = ({} if variant is None else {"variant": variant}) | chosen
    values = {setting.key: setting.value for setting in settings}
    shown_seed = config.train.seed if SEED in values else None
    varied.pop(SEED, None)
    command = _command(source, values, experiment.path.parent)
    return Run(name, varied, shown_seed, values, config, command)


def _absolute(setting: Setting, folder: Path) -> Setting:
    """A data path in the file is relative to the file."""
    if setting.key == "data.path" and isinstance(setting.value, str):
        return setting._replace(value=configs.absolute(setting.value, folder))
    return setting


def _base(experiment: Experiment) -> str | dict[str, Any]:
    """The base as ``train`` understands it: a path, a bundled name, or nested mappings."""
    base = experiment.content.base
    if isinstance(base, dict):
        return base
    beside = experiment.path.parent / base
    try:
        return str(beside.absolute()) if beside.is_file() else base
    except (OSError, ValueError):
        return base


def _config(
    experiment: Experiment, name: str, source: str | dict[str, Any], settings: list[Setting]
) -> Config:
    shown = experiment.place()
    try:
        if isinstance(source, str):
            return configs.load(source, settings=settings)
        lines = {
            key.removeprefix("base."): line
            for key, line in experiment.lines.items()
            if key.startswith("base.")
        }
        return configs.build(
            source, settings=settings, where=shown, lines=lines, folder=experiment.path.parent
        )
    except RequestError as error:
        if str(error).startswith(f"{shown}: "):  # of no line: the keys together are not valid
            said = RequestError(str(error).removeprefix(f"{shown}: "))
            raise experiment.refusal((), "run {run}: {said}", run=name, said=said) from None
        if str(error).startswith(shown):
            raise
        raise experiment.refusal(("base",), "{error}", error=error) from None


def _command(source: str | dict[str, Any], settings: Mapping[str, Any], folder: Path) -> list[str]:
    if isinstance(source, str):
        return ["train", source, *sets(settings)]
    base = flat(source)
    if isinstance(path := base.get("data.path"), str):
        base["data.path"] = configs.absolute(path, folder)  # after --set it would be another file
    return ["train", *sets({**base, **settings})]


def flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted keys; a mapping that is a value, such as a schedule, stays one."""
    known = configs.all_keys()
    result: dict[str, Any] = {}
    for key, value in nested.items():
        dotted = f"{prefix}{key}"
        if isinstance(value, Mapping) and dotted not in known:
            result |= flat(value, f"{dotted}.")
        else:
            result[dotted] = value
    return result


def _short(keys: Iterable[str]) -> dict[str, str]:
    """Each dotted key without its section, where that stays unique."""
    all_keys = list(keys)
    last = [key.rpartition(".")[2] for key in all_keys]
    return {
        key: short if last.count(short) == 1 and short != "seed" else key
        for key, short in zip(all_keys, last, strict=True)
    }


def _name(variant: str | None, values: Mapping[str, Any], seed: int | None) -> str:
    parts = [] if variant is None else [slug(variant)]
    parts += [f"{key}={_plain(value)}" for key, value in values.items()]
    parts += [] if seed is None else [f"seed={seed}"]
    text = "_".join(parts)
    if len(text.encode()) > MAX_NAME:
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]
        text = text.encode()[: MAX_NAME - 9].decode(errors="ignore") + "-" + digest
    return text or "run"


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return slug(Path(value).stem)
    return slug(flow(value)) if isinstance(value, list | dict) else flow(value)


def slug(text: str) -> str:
    """The text without what a shell or a file system would trip over."""
    return re.sub(r"[^\w.+-]+", "-", text).strip("-.") or "x"


def _free(name: str, taken: set[str]) -> str:
    """NAME, NAME-2, ...; folders that differ only by upper and lower case are one on some disks."""
    candidate, number = name, 1
    while candidate.lower() in taken:
        number += 1
        candidate = f"{name}-{number}"
    taken.add(candidate.lower())
    return candidate
