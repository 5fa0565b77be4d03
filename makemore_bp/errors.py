"""The ways in which the tool says no.

A message is a sentence with ``{names}`` in it, and the values go beside it: they may come from
strangers, and are escaped here once (see ``text.sentence``).

    raise RequestError("{path} cannot be read: {reason}.", path=path, reason=reason)
"""

from __future__ import annotations

from typing import Any

from makemore_bp.text import sentence


class _Told(Exception):
    """An exception whose message is harmless for a terminal."""

    escaped = True

    def __init__(self, message: str, **values: Any) -> None:
        super().__init__(sentence(message, **values))


class RequestError(_Told):
    """The request cannot be carried out: usage, configuration, data, a damaged file.

    The message is one readable paragraph that names the file, the line or key, and the fix.
    The command line prints it and exits with 2.
    """


class DivergedError(_Told):
    """The run was carried out and went wrong: a loss or a weight is no longer finite.

    The command line prints the message and exits with 1. ``step`` is where it showed, if known.
    """

    def __init__(self, message: str, step: int | None = None, **values: Any) -> None:
        super().__init__(message, **values)
        self.step = step


class LostRankError(_Told):
    """Another process of a run over several has ended or was stopped, so this one cannot go on.

    The command line prints the message and exits with 1.
    """


NO_MEMORY = "There is not enough memory for this. Make the model, batch or data smaller."


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out; PyTorch has none of its own for the CPU."""
    told = ("allocate", "calculation overflowed")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in told)
    )
