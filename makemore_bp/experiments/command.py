"""A configuration as the command line that trains it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from makemore_bp.config import Config, override
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
    return [part for key, value in settings.items() for part in ("--set", override(key, value))]
