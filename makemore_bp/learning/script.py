"""A learner's own backward pass: a plain script, run in a process of its own and watched.

The script finds the names that the lecture's notebook has in scope (see namespace) and is
asked for nothing but to define gradients by the lecture's names: dlogprobs, dprobs, ...
"""

from __future__ import annotations

import json
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from makemore_bp.errors import RequestError
from makemore_bp.files import cannot_read
from makemore_bp.learning.child import Ended, run_module
from makemore_bp.learning.diagnosis.evidence import Evidence, Mutation, Version
from makemore_bp.learning.failure import LearnerError, error_of, stopped
from makemore_bp.network.parameters import NAMES
from makemore_bp.network.passes import LECTURE_ORDER, Network
from makemore_bp.text import visible

TIMEOUT = 30.0  # seconds
LARGEST_FILE = 1_000_000  # bytes of a script


class HasGradients(Protocol):
    """A reference: autograd's gradients by tensor name (``logits``, ``W1``, ...)."""

    @property
    def gradients(self) -> Mapping[str, Tensor]: ...


@dataclass(frozen=True)
class LearnerResult:
    """What a script left behind.

    gradients: by name dx, as the script left them. evidence: how they came to be. record: the true
    op-by-op forward pass. output: what it printed. lent: gradients that it reads and never defines;
    it was given autograd's. hidden: gradients that it defines inside functions only. unknown:
    d-names that are no gradient's. error: why it did not come to its end, None if it did.
    """

    path: Path
    source: str
    record: Mapping[str, Any]
    gradients: Mapping[str, Tensor]
    evidence: Evidence
    output: str
    lent: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    error: LearnerError | None = None
    timed_out: bool = False
    too_much_output: bool = False

    @property
    def mutated(self) -> Mapping[str, Mutation]:
        """The tensors of the forward pass that the script changed, by name."""
        return self.evidence.mutated


def read_script(path: Path) -> str:
    """The text of a learner's file. Raises RequestError if there is none to run."""
    shown = visible(str(path))
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise RequestError(f"{shown} is a folder; name a Python file with your backward pass.")
        if not stat.S_ISREG(status.st_mode):
            raise RequestError(f"{shown} is no regular file; name a Python file.")
        if status.st_size > LARGEST_FILE:
            raise RequestError(
                f"{shown} has {status.st_size:,} bytes; no backward pass is so long."
            )
        raw = path.read_bytes()
    except FileNotFoundError:
        raise RequestError(
            f"{shown} does not exist. Name a Python file with your backward pass; "
            "'makemore-bp exercise new' writes some to start from."
        ) from None
    except (OSError, ValueError) as error:
        raise cannot_read(path, error) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise RequestError(
            f"{shown}, line {line}: byte {raw[error.start]:#04x} is not UTF-8. Save the file as "
            "UTF-8 text."
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise RequestError(f"{shown}, line {line}: a NUL character. Is this a Python file?")
    if not text.strip():
        raise RequestError(
            f"{shown} is empty. Write your backward pass into it, beginning with dlogprobs."
        )
    return text


def run_learner(
    path: Path,
    parameters: Mapping[str, Tensor],
    Xb: Tensor,
    Yb: Tensor,
    timeout: float = TIMEOUT,
    reference: HasGradients | None = None,
) -> LearnerResult:
    """Runs the script at ``path`` beside the forward pass of a batch Xb (n, block_size), Yb (n).

    ``reference`` saves computing autograd's gradients anew. Raises RequestError if the file cannot
    be read; whatever goes wrong in the script itself is told in the result.
    """
    source = read_script(path)
    if reference is None:
        from makemore_bp.gradcheck.batch import Batch
        from makemore_bp.gradcheck.reference import reference as autograd_reference

        reference = autograd_reference(Batch(Network(), parameters, Xb, Yb))
    with torch.no_grad():
        record = Network.of().forward({k: p.detach() for k, p in parameters.items()}, Xb, Yb)
    with tempfile.TemporaryDirectory(prefix="makemore-bp-") as name:
        folder = Path(name)
        write_request(folder, path, source, timeout, record, reference.gradients)
        ended = run_module("makemore_bp.learning.process", folder, timeout)
        return collect(folder, path, source, record, reference.gradients, ended, timeout)


def write_request(
    folder: Path,
    path: Path,
    source: str,
    timeout: float,
    record: Mapping[str, Any],
    gradients: Mapping[str, Tensor],
    **more: Any,
) -> None:
    """Writes what the script's process reads."""
    request = {
        "path": str(path),
        "source": source,
        "timeout": timeout,
        "threads": torch.get_num_threads(),
        **more,
    }
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    tensors = {f"record/{k}": v for k, v in record.items() if isinstance(v, Tensor)}
    tensors |= {f"gradient/{name}": gradients[name] for name in LECTURE_ORDER}
    plain = {key: t.detach().cpu().contiguous().clone() for key, t in tensors.items()}
    save_file(plain, folder / "inputs.safetensors")


def read_journal(folder: Path) -> Iterator[dict[str, Any]]:
    """The lines that the script's process wrote; the last may be cut off."""
    try:
        lines = (folder / "journal.jsonl").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    for line in lines.splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            return


def collect(
    folder: Path,
    path: Path,
    source: str,
    record: Mapping[str, Any],
    expected: Mapping[str, Tensor],
    ended: Ended,
    timeout: float,
) -> LearnerResult:
    """The result of a script whose process has ended, from what it wrote into ``folder``."""
    events = list(read_journal(folder))
    history: dict[str, list[Version]] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    mutated: dict[str, Mutation] = {}
    notes: list[str] = []
    facts: dict[str, Any] = {"lent": [], "hidden": [], "shared": [], "unknown": []}
    error: LearnerError | None = None
    for event in events:
        kind = event["event"]
        if kind == "gradient":
            true = expected[event["name"][1:]]
            tensor = _tensor(folder, event, true.dtype)
            shapes[event["name"]] = tuple(tensor.shape)
            tensor = _broadcast(event["name"], tensor, true)
            version = Version(event["step"], event["line"], event["source"], event["own"], tensor)
            history.setdefault(event["name"], []).append(version)
        elif kind == "gone":
            history.pop(event["name"], None)
        elif kind == "mutated":
            tensor = _tensor(folder, event, torch.float32)
            mutated[event["name"]] = Mutation(event["line"], event["source"], tensor)
        elif kind == "note":
            notes.append(f"line {event['line']}: {event['text']}")
        elif kind == "error":
            error = error_of(event, source)
        else:
            facts |= {key: value for key, value in event.items() if key in facts}
    for name, versions in history.items():
        shape = tuple(versions[-1].tensor.shape)
        if shapes[name] != shape:
            notes.append(
                f"{name} has the shape {shapes[name]}, its tensor {shape}; broadcasting makes up "
                "for it. sum(..., keepdim=True) keeps the shape."
            )
    if error is None and not (events and events[-1]["event"] == "end"):
        error = stopped(ended, events, folder / "stuck.txt", path, source, timeout)
    return LearnerResult(
        path=path,
        source=source,
        record=record,
        gradients={name: versions[-1].tensor for name, versions in history.items()},
        evidence=Evidence(
            {name: tuple(versions) for name, versions in history.items()},
            mutated,
            frozenset(frozenset(names) for names in facts["shared"]),
        ),
        output=ended.output,
        lent=tuple(facts["lent"]),
        hidden=tuple(name for name in facts["hidden"] if name not in history),
        unknown=tuple(facts["unknown"]),
        notes=tuple(notes),
        error=error,
        timed_out=ended.timed_out,
        too_much_output=ended.too_much_output,
    )


def _tensor(folder: Path, event: Mapping[str, Any], dtype: torch.dtype) -> Tensor:
    """The tensor of an event; for one too large to keep, its shape without memory behind it."""
    if event["file"] is None:
        return torch.zeros((), dtype=dtype).expand(event.get("shape", ()))
    return load_file(folder / event["file"])["tensor"]


def _broadcast(name: str, tensor: Tensor, true: Tensor) -> Tensor:
    """The tensor with the leading axes of length 1 that it lacks, as the lecture's dbnmeani does.

    Whatever reads it sees the same numbers. A parameter's gradient must have its very shape, or
    the update would not know what to do with it.
    """
    missing = true.shape[: max(0, true.dim() - tensor.dim())]
    same = tensor.dim() and tensor.shape == true.shape[len(missing) :]
    if name[1:] in NAMES or not same or any(length != 1 for length in missing):
        return tensor
    return tensor.reshape(true.shape)
