"""What an answer says, picked out of its plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from makemore_bp.learning.failure import paragraph

Answer = Mapping[str, Any]


def mistakes(answer: Answer) -> Iterator[Mapping[str, Any]]:
    """The gradients at fault, from the loss downwards."""
    yield from (tensor for tensor in answer["tensors"] if tensor.get("diagnosis"))


def place(tensor: Mapping[str, Any]) -> str:
    """What the script calls a gradient; where it has none, the lecture's name."""
    return str(tensor.get("place") or f"d{tensor['name']}")


def told(answer: Answer) -> str:
    """The most urgent thing to say of a learner's file, in a sentence or two."""
    for tensor in mistakes(answer):
        diagnosis = tensor["diagnosis"]
        return f"{place(tensor)} is wrong ({diagnosis['kind']}): {diagnosis['text']}"
    if answer["error"] is not None:
        return paragraph(answer["error"]).splitlines()[0]
    for tensor in answer["tensors"]:
        if tensor.get("unfinished"):
            return str(tensor["unfinished"])
    if answer["next"] is not None:
        begun = any(tensor["status"] != "missing" for tensor in answer["tensors"])
        return f"{'next' if begun else 'nothing defined yet, next'}: {answer['next']}"
    return "done" if answer["passed"] else "see gradcheck --file for the whole table"
