"""makemore-bp sample"""

from __future__ import annotations

import json
import sys
from itertools import islice
from typing import Annotated

import typer

from makemore_bp.cli.options import Json, RunArgument
from makemore_bp.errors import RequestError
from makemore_bp.text import visible


def sample(
    run: RunArgument,
    number: Annotated[int, typer.Option("-n", min=0, max=sys.maxsize, help="How many words.")] = 20,
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=2**63 - 1, help="The same seed, the same words.")
    ] = 2_147_483_657,
    temperature: Annotated[
        float,
        typer.Option("--temperature", help="Below 1 likelier words, above 1 wilder ones."),
    ] = 1.0,
    top_k: Annotated[
        int | None,
        typer.Option(
            "--top-k", min=1, help="Draw from the K likeliest characters.", show_default=False
        ),
    ] = None,
    prefix: Annotated[str, typer.Option("--prefix", help="What every word begins with.")] = "",
    only_new: Annotated[
        bool, typer.Option("--only-new", help="Leave out the words of the data file.")
    ] = False,
    max_length: Annotated[
        int, typer.Option("--max-length", min=1, help="End a word after so many characters.")
    ] = 1000,
    as_json: Json = False,
) -> None:
    """Draw words from a trained run, one a line and nothing else."""
    if not 0 < temperature < float("inf"):
        raise RequestError(
            f"--temperature {temperature:g}: must be a finite number above 0. For the likeliest "
            "words take a small one, such as 0.1, or --top-k 1."
        )
    from makemore_bp import config, sampling
    from makemore_bp.dataset import words as word_files
    from makemore_bp.training import run_folder

    if len(prefix) >= max_length:
        raise RequestError("--prefix is not shorter than --max-length.")
    checkpoint = run_folder.read(run)
    settings = sampling.Settings(seed, temperature, top_k, prefix, max_length)
    words = sampling.Sampler(checkpoint, settings).words()
    if only_new:
        path = config.data_path(checkpoint.config.data.path)
        words = sampling.unseen(words, frozenset(word_files.read_all(path).words))
    drawn = islice(words, number)
    if as_json:
        print(json.dumps({"run": str(run), "seed": seed, "names": list(drawn)}))
        return
    terminal = sys.stdout.isatty()
    for word in drawn:
        sys.stdout.write((visible(word, max_length) if terminal else word) + "\n")
