"""Train the makemore character network by hand-written backward passes, and check your own.

    import makemore_bp as mb

    run = mb.train(mb.load_config("quick", "train.steps=1000"), "runs/mine")
    print(run.losses()["val_loss"], run.words(5))

docs/api.md tells the rest. Everything is imported when it is first used, so that the command line
can answer without PyTorch.

api.py              what stands above
cli/                what a person types and sees
export/             a trained network as a file for use elsewhere
report/             pictures of a run, and of many
experiments/        grids of runs, their results and their ranking
learning/           a learner's own pass: run, judged, explained
gradcheck/          the instrument: every gradient against autograd and finite differences
sampling.py         words from a trained run
training/           the start of a run, the loop, evaluation, checkpoints, a run's folder
ranks/              all that concerns several processes
engines/            how a chunk of steps is executed
network/            the heart: a file for each stage, forward above backward
dataset/            words, vocabulary, examples, splits
config/             the configuration of a run
yaml_reading.py     YAML, read strictly
json_reading.py     JSON, read against a model of it
resources.py        the files that travel with the package
signals.py          Ctrl-C and its like as a request that is answered between two chunks
processes.py        child processes: started, listened to, ended with all that they started
pages/              what all HTML pages have in common
locks.py            a folder held for one process, where locks work and where they do not
threads.py          how many threads PyTorch takes for small work
files.py            files that are written whole or not at all
errors.py           the ways in which the tool says no
text.py             text from strangers, made harmless

A folder imports only from those below it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from makemore_bp.api import (
        Run,
        check,
        first_batch,
        load_config,
        open_run,
        resume,
        train,
    )

__version__ = "0.1.0"
__all__ = [
    "Run",
    "check",
    "first_batch",
    "load_config",
    "open_run",
    "resume",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from makemore_bp import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


def load_ipython_extension(shell: object) -> None:
    """Called by ``%load_ext makemore_bp`` in a notebook."""
    from makemore_bp.learning.live.magic import load

    load(shell)
