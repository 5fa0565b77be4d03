"""Training runs as forks of a process that has PyTorch loaded: a hundred of them take minutes.

Each is a process of its own that a signal can kill.
"""

from __future__ import annotations

import multiprocessing
import sys
from multiprocessing.process import BaseProcess

LOADED = ["makemore_bp.cli.progress", "makemore_bp.training.start", "tests.faults.forked"]


def started(*arguments: object) -> BaseProcess:
    """A process that runs ``makemore-bp train ARGUMENTS``."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LOADED)
    process = context.Process(target=_train, args=([str(argument) for argument in arguments],))
    process.start()
    return process


def _train(arguments: list[str]) -> None:
    import torch

    from makemore_bp.cli import main

    torch.set_num_threads(1)  # a pool of threads does not survive a fork
    sys.argv = ["makemore-bp", "train", *arguments]
    main()
