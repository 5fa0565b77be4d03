"""Checks a file with a forward pass of its own, in a process of its own."""

from __future__ import annotations

import ast
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makemore_bp.errors import RequestError
from makemore_bp.learning.checkers import TIMEOUT
from makemore_bp.learning.reading import read_script
from makemore_bp.processes import Child, Ended

# The lecture's parameters; network/parameters.py has them with PyTorch.
NAMES = ("C", "W1", "b1", "W2", "b2", "bngain", "bnbias")

_LOSSES = frozenset({"loss", "cost", "nll", "objective", "total_loss", "J", "L"})


@dataclass(frozen=True)
class OwnNetwork:
    """The verdict on a file: plain data as in ``gradcheck --json``, and what the file printed."""

    plain: Mapping[str, Any]
    output: str

    @property
    def passed(self) -> bool:
        """Whether the file came to its end and every gradient in it is right."""
        return bool(self.plain["passed"])

    def as_answer(self) -> dict[str, Any]:
        """The verdict as an answer for a file on the lecture's network has it."""
        tensors, error = self.plain["tensors"], self.plain["error"]
        return {
            "passed": self.passed,
            "loss": self.plain["loss"],
            "tensors": [{**tensor, "place": tensor["gradient"]} for tensor in tensors],
            "right": sum(tensor["status"] in ("exact", "close") for tensor in tensors),
            "expected": len(tensors),
            "exercise": None,
            "next": None,
            "error": error and _stopped(error),
            "timed_out": False,
            "too_much_output": False,
            "lent": [],
            "hidden_in_functions": [],
            "unknown": [],
            "changed": [],
            "notes": [self.plain["found"], *self.plain["notes"]],
            "output": self.output,
        }


def _stopped(text: str) -> dict[str, Any]:
    """Why a file did not come to its end, as ``failure.LearnerError`` has it."""
    return {"kind": "stopped", "line": None, "code": "", "text": text, "names": []}


def is_own_network(source: str) -> bool:
    """Whether a file computes the loss of a network that is not the lecture's: it makes a loss, and
    not all of the lecture's parameters."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return False
    stored = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    return bool(stored & _LOSSES) and not stored >= set(NAMES)


def own_network_check(
    path: Path,
    loss: str | None = None,
    said: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
    source: str | None = None,
) -> OwnNetwork:
    """Runs and judges the file at ``path``, or ``source`` in its place (a notebook's cells).

    loss: the loss's name, where it cannot be found; said: tensors by their gradients' names.
    Raises RequestError if the file cannot be read, has no loss, or no gradient.
    """
    text = read_script(path) if source is None else source
    request = {"path": str(path), "source": text, "loss": loss, "said": dict(said or {})}
    with tempfile.TemporaryDirectory(prefix="makemore-bp-") as name:
        folder = Path(name)
        (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
        with Child("makemore_bp.learning.derive.process", str(folder)) as child:
            ended = child.finish(timeout, folder / "journal.jsonl")
        answer = _read(folder / "answer.json", path, ended, timeout)
    if "refused" in answer:
        raise RequestError("{path}: {reason}", path=path, reason=answer["refused"])
    return OwnNetwork(answer, ended.output)


def _read(file: Path, path: Path, ended: Ended, timeout: float) -> dict[str, Any]:
    if file.exists():
        answer: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return answer
    if ended.timed_out:
        raise RequestError(
            "{path} did not come to its end within {timeout:g} seconds. Give it more time with "
            "--timeout, or leave the training out.", path=path, timeout=timeout,
        )  # fmt: skip
    if ended.too_much_output:
        raise RequestError("{path} prints too much; it was stopped.", path=path)
    lines = ended.output.strip().splitlines()
    raise RequestError(
        "{path} ended with the code {code}: {last}", path=path, code=ended.code,
        last=lines[-1] if lines else "it said nothing.",
    )  # fmt: skip
