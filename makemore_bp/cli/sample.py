"""makemore-bp sample"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from makemore_bp.cli import streams
from makemore_bp.cli.options import Json, RunArgument
from makemore_bp.errors import LostRankError, RequestError
from makemore_bp.ranks import launch
from makemore_bp.ranks.launch import Place
from makemore_bp.text import visible

if TYPE_CHECKING:
    from makemore_bp.sampling import Sampler, Settings
    from makemore_bp.training.checkpoint import Checkpoint

# At this and below only the likeliest character is left; smaller ones would divide by nothing.
COLDEST = 1e-200

Answer = Callable[["Checkpoint", Iterator[str]], None]  # shows as many words as were asked for


def sample(
    run: RunArgument,
    number: Annotated[int, typer.Option("-n", metavar="N", min=0, help="How many words.")] = 20,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="The same seed, the same words.")
    ] = 2_147_483_657,
    temperature: Annotated[
        float,
        typer.Option(
            "--temperature", metavar="T", help="Below 1 likelier words, above 1 wilder ones."
        ),
    ] = 1.0,
    top_k: Annotated[
        int | None,
        typer.Option(
            "--top-k",
            metavar="K",
            min=1,
            help="Draw from the K likeliest characters.",
            show_default=False,
        ),
    ] = None,
    prefix: Annotated[
        str, typer.Option("--prefix", metavar="TEXT", help="What every word begins with.")
    ] = "",
    only_new: Annotated[
        bool, typer.Option("--only-new", help="Leave out the words of the data file.")
    ] = False,
    max_length: Annotated[
        int,
        typer.Option("--max-length", metavar="N", min=1, help="The most characters of a word."),
    ] = 1000,
    as_json: Json = False,
) -> None:
    """Draw words from a trained run, one a line and nothing else.

    Example: makemore-bp sample runs/lecture -n 100 --temperature 0.8
    """
    _refuse_numbers(seed, temperature)
    from makemore_bp import sampling
    from makemore_bp.dataset import words as word_files
    from makemore_bp.training import run_folder, start

    if len(prefix) >= max_length:
        raise RequestError(
            "--max-length {max_length} leaves no room behind --prefix, which has {length:,} "
            "characters. Take a larger --max-length or a shorter --prefix.",
            max_length=max_length,
            length=len(prefix),
        )
    settings = sampling.Settings(seed, max(temperature, COLDEST), top_k, prefix, max_length)

    def answer(checkpoint: Checkpoint, words: Iterator[str]) -> None:
        if only_new:
            form = checkpoint.config.data.normalize
            known = word_files.read_all(start.words_of(checkpoint.config), form).words
            words = sampling.unseen(words, frozenset(known))
        drawn = islice(words, min(number, sys.maxsize))
        if as_json:
            print(json.dumps({"run": str(run), "seed": seed, "names": list(drawn)}))
            return
        terminal = sys.stdout.isatty()
        for word in drawn:
            sys.stdout.write((visible(word, max_length) if terminal else word) + "\n")

    here = launch.place()
    if here is not None:
        _on_ranks(here, run, settings, answer)
        return
    checkpoint = run_folder.read(run)
    answer(checkpoint, _sampler(checkpoint, settings).words())


def _refuse_numbers(seed: int, temperature: float) -> None:
    if not 0 < temperature < float("inf"):
        raise RequestError(
            "--temperature {temperature:g}: must be a finite number above 0. For the likeliest "
            "words take a small one, such as 0.1, or --top-k 1.",
            temperature=temperature,
        )
    if seed >= 2**63:
        raise RequestError("--seed {seed}: must be below 2**63. Take a smaller one.", seed=seed)


def _sampler(checkpoint: Checkpoint, settings: Settings) -> Sampler:
    """A sampler whose prefix is spelt as the words that the run was trained on."""
    from makemore_bp import sampling
    from makemore_bp.dataset.words import normalized

    prefix = normalized(settings.prefix, checkpoint.config.data.normalize)
    return sampling.Sampler(checkpoint, replace(settings, prefix=prefix))


def _on_ranks(here: Place, run: Path, settings: Settings, answer: Answer) -> None:
    from makemore_bp import signals
    from makemore_bp.ranks.process_group import joined
    from makemore_bp.ranks.sampling import draw
    from makemore_bp.training import start

    with joined(here) as group:
        checkpoint = start.saved_state(run, group)
        sampler = _sampler(checkpoint, settings)

        def use(words: Iterator[str]) -> None:
            failed: OSError | None = None
            try:
                answer(checkpoint, words)
            except OSError as error:
                failed = error
            failed = streams.finish() or failed
            # A reader that has gone away has seen enough (`| head`).
            if failed and not isinstance(failed, BrokenPipeError):
                raise RequestError(
                    "The words cannot be written: {reason}.", reason=failed.strerror or failed
                )

        try:
            with signals.caught() as stop, group.together():
                draw(sampler.block, use, group, stop)
        except signals.Interrupted as stopped:
            raise typer.Exit(stopped.exit_code) from None
        except LostRankError as lost:
            raise LostRankError(
                "{lost} The same seed draws the same words again, over any number of ranks.",
                lost=lost,
            ) from None
