"""makemore-bp config"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from makemore_bp.cli.options import ConfigArgument, Json, Overrides
from makemore_bp.text import visible

app = typer.Typer(no_args_is_help=True, help="Show and check configurations.")


@app.command()
def show(config: ConfigArgument = None, set_: Overrides = None, as_json: Json = False) -> None:
    """Print the resolved configuration: every key, with defaults and overrides."""
    from makemore_bp import config as configs

    resolved = configs.load(config, set_ or [])
    if as_json:
        print(json.dumps(resolved.model_dump(mode="json"), indent=2))
    else:
        print(resolved.to_yaml(), end="")


@app.command()
def check(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="YAML files.", show_default=False)
    ],
) -> None:
    """Validate configuration files, including the word lists that they name."""
    from makemore_bp import config as configs
    from makemore_bp.dataset import words

    for file in files:
        resolved = configs.load(file)
        words.read_all(configs.data_path(resolved.data.path))
        print(f"{visible(file)}: valid")


@app.command()
def schema() -> None:
    """Print the JSON Schema of a configuration, for editors that complete and check YAML."""
    from makemore_bp.config import Config

    print(json.dumps(Config.model_json_schema(), indent=2))
