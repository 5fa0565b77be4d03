"""The ways in which the tool says no."""

from __future__ import annotations


class RequestError(Exception):
    """The request cannot be carried out: usage, configuration, data, a damaged file.

    The message is one readable paragraph that names the file, the line or key, and the mend.
    The command line prints it and exits with 2.
    """


class DivergedError(Exception):
    """The run was carried out and went wrong: a loss or a weight is no longer finite.

    The command line prints the message and exits with 1. ``step`` is where it showed, if known.
    """

    def __init__(self, message: str, step: int | None = None) -> None:
        super().__init__(message)
        self.step = step


class LostRankError(Exception):
    """Another process of a run over several has ended, so this one cannot go on.

    The command line prints the message and exits with 1.
    """
