"""The command line that gives the same run again."""

from __future__ import annotations

import math
import shlex
from typing import Any

import yaml

from makemore_bp.config import Config
from makemore_bp.training import run_folder


def overrides(config: Config) -> list[str]:
    """``KEY=VALUE`` for every key in which ``config`` differs from the defaults."""
    default = run_folder.flat(Config())
    return [
        f"{key}={_yaml(value)}"
        for key, value in run_folder.flat(config).items()
        if value != default[key]
    ]


def command(config: Config) -> str:
    """``makemore-bp train`` with those overrides, quoted for a shell."""
    parts = [part for override in overrides(config) for part in ("--set", override)]
    return shlex.join(["makemore-bp", "train", *parts])


def _yaml(value: Any) -> str:
    plain = list(value) if isinstance(value, tuple) else value
    text: str = yaml.safe_dump(
        plain, default_flow_style=True, sort_keys=False, width=math.inf, allow_unicode=True
    )
    return text.removesuffix("...\n").strip()
