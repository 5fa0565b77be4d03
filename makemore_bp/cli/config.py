"""makemore-bp config"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from makemore_bp.cli import bundled
from makemore_bp.cli.options import ConfigArgument, Json, Overrides
from makemore_bp.errors import RequestError
from makemore_bp.text import visible

app = typer.Typer(no_args_is_help=True, help="Show, check and copy configurations.")

CONFIGS = bundled.Kind("configs", "configuration")


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
    """Validate configuration files, including the word lists that they name.

    Every file is read, whatever is wrong with the others. Example: makemore-bp config check *.yaml
    """
    refused = [error for file in files if (error := _fault(file)) is not None]
    if refused:
        raise RequestError(" ".join(map(str, refused)))


def _fault(file: str) -> RequestError | None:
    """What is wrong with a configuration; says that it is valid if nothing is."""
    from makemore_bp import config as configs
    from makemore_bp.dataset import words

    try:
        data = configs.load(file).data
        words.read_all(configs.data_path(data.path), data.normalize)
    except RequestError as error:
        return error
    print(f"{visible(file)}: valid")
    return None


@app.command()
def schema(
    experiment: Annotated[
        bool, typer.Option("--experiment", help="That of an experiment's file instead.")
    ] = False,
) -> None:
    """Print the JSON Schema of a configuration, for editors that complete and check YAML.

    Many editors read YAML by yaml-language-server. Save the schema, and begin a configuration with
    a comment that names it:

    makemore-bp config schema > makemore-bp.schema.json

    # yaml-language-server: $schema=makemore-bp.schema.json
    """
    from makemore_bp import config as configs
    from makemore_bp.experiments.schema import Schema

    schema = Schema.model_json_schema() if experiment else configs.json_schema()
    print(json.dumps(schema, indent=2))


@app.command("list")
def list_(as_json: Json = False) -> None:
    """The configurations that come with the program.

    Any of their names stands for the file: makemore-bp train quick
    """
    bundled.show(CONFIGS, as_json)


@app.command()
def copy(name: bundled.Name, file: bundled.Target = None) -> None:
    """Copy a bundled configuration, as a file to begin with.

    Example: makemore-bp config copy lecture ours.yaml
    """
    bundled.copy(CONFIGS, name, file)
