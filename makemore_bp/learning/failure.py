"""Why a learner's script did not come to its end, told to the learner."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makemore_bp.learning.child import OUTPUT_LIMIT, Ended
from makemore_bp.text import visible


@dataclass(frozen=True)
class LearnerError:
    """kind: the exception's class, or ``stopped``; line: of the script, None if unknown; code: that
    line; text: what happened and what to do; names: what the line's names hold ("dh: (32, 64)")."""

    kind: str
    line: int | None
    code: str
    text: str
    names: tuple[str, ...] = ()

    def paragraph(self) -> str:
        """All of it, harmless for a terminal."""
        where = f"Line {self.line}: " if self.line else ""
        code = f"\n    {visible(self.code.strip(), 120)}" if self.code.strip() else ""
        play = "\n    " + ", ".join(visible(name, 120) for name in self.names) if self.names else ""
        return f"{where}{visible(self.text, 1200)}{code}{play}"

    def as_json(self) -> dict[str, Any]:
        """The fields as a mapping."""
        return {
            "kind": self.kind,
            "line": self.line,
            "code": self.code,
            "text": self.text,
            "names": list(self.names),
        }


def error_of(event: Mapping[str, Any], source: str) -> LearnerError:
    """The error that a journal's line tells of."""
    kind, line = event["kind"], event["line"]
    code = _line(source, line)
    text = _explained(kind, event["text"], code, event)
    return LearnerError(kind, line, code, text, tuple(event["names"]))


def _line(source: str, number: int | None) -> str:
    lines = source.splitlines()
    return lines[number - 1] if number and number <= len(lines) else ""


def _explained(kind: str, message: str, code: str, event: Mapping[str, Any]) -> str:
    told = f"{kind}: {message}" if message else kind
    if kind in ("SyntaxError", "IndentationError", "TabError") and code.lstrip()[:1] in "%!":
        return (
            f"{told}. A line that starts with % or ! is a command to the notebook, not Python; "
            "remove it."
        )
    if kind == "SystemExit":
        return "The script ends itself here (exit). What it had defined by then is checked."
    if kind == "EOFError":
        return "The script asks for input, and there is nobody to answer. Remove the question."
    if kind == "RecursionError":
        return f"{told}. A function calls itself without end."
    if "does not require grad" in message:
        return (
            "There is nothing for autograd to go back through: the tensors here are plain numbers, "
            "because the backward pass is yours to write. Autograd's gradients are compared with "
            "yours without being asked; remove the call of backward()."
        )
    if kind == "NameError":
        return told + _name_hint(event)
    if kind in ("ModuleNotFoundError", "ImportError"):
        return f"{told}. torch, F and random are in scope already; nothing else is needed."
    if kind in ("FileNotFoundError", "IsADirectoryError", "PermissionError"):
        return f"{told}. The batch, the parameters and the forward pass are in scope already."
    if "must match the size" in message or "shapes cannot be multiplied" in message:
        return f"{told}. The shapes of what meets here do not fit together."
    return told


def _name_hint(event: Mapping[str, Any]) -> str:
    missing, near = event.get("missing"), [n for n in event.get("suggestion", ()) if n]
    if near and missing not in near:
        return f". Did you mean {' or '.join(near)}?"
    if missing:
        return f". It is set further down, or only inside a function: {missing} has no value yet."
    return ""


def stopped(
    ended: Ended,
    events: Sequence[Mapping[str, Any]],
    stuck: Path,
    path: Path,
    source: str,
    timeout: float,
) -> LearnerError:
    """The error of a script whose process ended before the script did."""
    lines = [event["line"] for event in events if event["event"] == "statement"]
    line = lines[-1] if lines else None
    if ended.timed_out:
        line = _line_when_stopped(stuck, path) or line
        text = (
            f"The script was still running after {timeout:g} seconds and was stopped. Does a loop "
            "never end? What it had defined by then is checked; --timeout gives it more time."
        )
    elif ended.too_much_output:
        text = (
            f"The script printed more than {OUTPUT_LIMIT // 1000} kB and was stopped. What it had "
            "defined by then is checked."
        )
    elif not events:
        last = ended.output.strip().splitlines()[-1:] or [f"exit code {ended.code}"]
        text = f"The process for the script could not be started: {last[0]}"
    elif ended.code < 0:
        text = (
            f"The process was killed here by {_signal(-ended.code)}. Did it need too much memory?"
        )
    else:
        text = (
            f"The script ended its process here (exit code {ended.code}). What it had defined by "
            "then is checked."
        )
    return LearnerError("stopped", line, _line(source, line), text)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _line_when_stopped(stuck: Path, path: Path) -> int | None:
    """The innermost line of the script itself in the note that the process left (faulthandler)."""
    try:
        note = stuck.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    for file, line in re.findall(r'File "(.*)", line (\d+) in ', note):
        if file == str(path).encode("ascii", "backslashreplace").decode():
            return int(line)
    return None
