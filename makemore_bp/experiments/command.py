"""A configuration as the command line that trains it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from makemore_bp.config import Config
from makemore_bp.training import run_folder


def shell(command: Iterable[str]) -> str:
    """A command line that a shell reads as these arguments of ``makemore-bp``."""
    return shlex.join(["makemore-bp", *command])


def training(config: Config) -> list[str]:
    """The arguments that train ``config``: every key in which it differs from the defaults."""
    default = run_folder.flat(Config())
    return ["train", *sets({k: v for k, v in run_folder.flat(config).items() if v != default[k]})]


def sets(settings: Mapping[str, Any]) -> list[str]:
    """Dotted keys and their values as options."""
    return [part for key, value in settings.items() for part in ("--set", f"{key}={flow(value)}")]


def flow(value: Any) -> str:
    """A value as YAML on one line, as --set reads it."""
    if isinstance(value, float):
        return repr(value) if value == value and abs(value) != float("inf") else str(value)
    plain = list(value) if isinstance(value, tuple) else value
    text: str = yaml.safe_dump(plain, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.removesuffix("...\n").strip()
