"""Why a learner's script did not come to its end, told to the learner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from makemore_bp.text import visible

MESSAGE = 2000  # characters of an error's own message


@dataclass(frozen=True)
class LearnerError:
    """kind: the exception's class, or ``stopped``; line: of the script, None if unknown; code: that
    line; text: what happened and what to do; names: what the line's names hold ("dh: (32, 64)");
    why: for a script that was stopped, ``time``, ``output`` or ``ended``; ``scratch`` for a line
    that defines nothing, after which the script was run on."""

    kind: str
    line: int | None
    code: str
    text: str
    names: tuple[str, ...] = ()
    why: str = ""

    def as_json(self) -> dict[str, Any]:
        """The fields as a mapping."""
        return {
            "kind": self.kind,
            "line": self.line,
            "code": self.code,
            "text": self.text,
            "names": list(self.names),
            "ran_on": self.why == "scratch",
        }


def paragraph(error: dict[str, Any]) -> str:
    """All of an error (as plain data), harmless for a terminal."""
    at = error.get("where") or (f"line {error['line']}" if error["line"] else "")
    where = f"{at.capitalize()}: " if at else ""
    code = f"\n    {visible(error['code'].strip(), 120)}" if error["code"].strip() else ""
    names = ", ".join(visible(name, 120) for name in error["names"])
    return f"{where}{visible(error['text'], 1200)}{code}" + (f"\n    {names}" if names else "")


def explained(
    error: BaseException, code: str, missing: str | None, near: Sequence[str], later: bool
) -> str:
    """An exception in words. ``missing`` is the name that a NameError speaks of, ``near`` are names
    like it, ``later`` says whether the script sets it somewhere."""
    kind, message = type(error).__name__, _message(error)
    told = f"{kind}: {message}" if message else kind
    if isinstance(error, SyntaxError) and code.lstrip()[:1] in ("%", "!"):
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
    if kind == "NameError" and missing:
        return told + _about_name(missing, near, later)
    if kind in ("ModuleNotFoundError", "ImportError"):
        return f"{told}. torch, F and random are in scope already; nothing else is needed."
    if kind in ("FileNotFoundError", "IsADirectoryError", "PermissionError"):
        return f"{told}. The batch, the parameters and the forward pass are in scope already."
    if "num_classes" in code or "one_hot" in code:
        return f"{told}. F.one_hot(...) without num_classes makes as many columns as the largest " \
               "index of this batch asks for; say num_classes=logits.shape[1]."  # fmt: skip
    if "must match the size" in message or "shapes cannot be multiplied" in message:
        return f"{told}. The shapes of what meets here do not fit together."
    return told


def _about_name(missing: str, near: Sequence[str], later: bool) -> str:
    others = [name for name in near if name != missing]
    if later:
        return f". It is set further down, or only inside a function: {missing} has no value yet."
    if others:
        return f". Did you mean {' or '.join(others)}?"
    return f". Nothing in the script sets {missing}, and the lecture's names do not include it."


def _message(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return str(error.msg)
    try:
        return str(error)[:MESSAGE]
    except Exception:  # an error class of the learner's own may not be able to show itself
        return ""


def look(value: Any) -> str:
    """What a value is, in a few words: its shape if it has one."""
    if hasattr(value, "shape"):
        return f"{tuple(value.shape)}"
    if isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"a {type(value).__name__}"
