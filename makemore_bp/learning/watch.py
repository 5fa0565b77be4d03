"""Watches a learner's script from statement to statement: which gradients it made, changed or
reached by accident, and which tensors of the forward pass it changed.

Everything is written to a journal at once, so that it survives whatever the script does next.
"""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from makemore_bp.learning.diagnosis.compare import same_bits
from makemore_bp.learning.source import changed_by_name, may_change_anything

LARGEST = 50_000_000  # entries; of a larger tensor only the shape is kept


class Journal:
    """A file with a JSON object a line, and the tensors that the lines speak of beside it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._process = os.getpid()

    def write(self, **entry: Any) -> None:
        """Adds a line. A forked copy of the process writes nothing."""
        if os.getpid() == self._process:
            with (self._folder / "journal.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")

    def keep(self, tensor: Tensor) -> str:
        """Writes a tensor to a file of its own and returns the file's name."""
        self._count += 1
        name = f"{self._count:06d}.safetensors"
        if os.getpid() == self._process:
            save_file({"tensor": tensor.detach().contiguous().clone()}, self._folder / name)
        return name


class Watch:
    """Compares the namespace after each statement with what it was before."""

    def __init__(
        self,
        journal: Journal,
        names: dict[str, Any],
        forward: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
    ) -> None:
        """``forward`` are untouched copies of the forward tensors, ``gradients`` autograd's by the
        names dx; both give the shapes, the second also the names to look for."""
        self._journal = journal
        self._names = names
        self._forward = dict(forward)
        self._identities = {name: id(names[name]) for name in forward}
        self._expected = gradients
        self._seen: dict[str, Tensor] = {}
        self._shown: dict[str, Any] = {}

    def lend(self, names: tuple[str, ...]) -> None:
        """Puts autograd's gradients of these names where the script will look for them."""
        for name in names:
            self._names[name] = self._expected[name].clone()
            self._seen[name] = self._expected[name].clone()

    def after(self, step: int, statement: ast.stmt, source: str) -> None:
        """Writes down what ``statement`` changed."""
        unknown = may_change_anything(statement)
        own = changed_by_name(statement)
        for name in self._expected:
            self._look_at_gradient(name, step, statement.lineno, source, unknown or name in own)
        for name in list(self._forward):
            self._look_at_forward(name, statement.lineno, source)

    def end(self) -> None:
        """Writes down which gradients share memory, and d-names that nobody knows."""
        places: dict[int, list[str]] = {}
        for name in self._expected:
            value = self._names.get(name)
            if isinstance(value, Tensor) and value.layout == torch.strided and value.numel():
                places.setdefault(value.untyped_storage().data_ptr(), []).append(name)
        unknown = [
            name
            for name, value in self._names.items()
            if isinstance(name, str)
            and name.startswith("d")
            and isinstance(value, Tensor)
            and name not in self._expected
        ]
        shared = [names for names in places.values() if len(names) > 1]
        self._journal.write(event="end", shared=shared, unknown=unknown)

    def _look_at_gradient(self, name: str, step: int, line: int, source: str, own: bool) -> None:
        value = self._names.get(name)
        tensor, note = as_tensor(value, self._expected[name])
        if tensor is None:
            if name in self._seen:
                del self._seen[name]
                self._journal.write(event="gone", name=name, step=step, line=line)
        elif name not in self._seen or not same_bits(self._seen[name], tensor):
            self._seen[name] = tensor.clone()
            too_large = tensor.numel() > LARGEST
            kept = None if too_large else self._journal.keep(tensor)
            self._journal.write(
                event="gradient", name=name, step=step, line=line, source=source, own=own,
                file=kept, shape=list(tensor.shape),
            )  # fmt: skip
        if note and self._shown.get(name) != note:
            self._shown[name] = note
            self._journal.write(event="note", name=name, line=line, text=f"{name} {note}")

    def _look_at_forward(self, name: str, line: int, source: str) -> None:
        value, before = self._names.get(name), self._forward[name]
        if not isinstance(value, Tensor):
            return
        in_place = id(value) == self._identities[name]
        same = same_bits(value.detach(), before) if in_place else _alike(value.detach(), before)
        if not same:
            del self._forward[name]
            kept = self._journal.keep(value) if value.numel() <= LARGEST else None
            self._journal.write(
                event="mutated", name=name, line=line, source=source, file=kept, in_place=in_place
            )


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether a tensor that the script computed anew is the old one up to rounding."""
    if one.shape != other.shape or one.is_complex():
        return False
    return torch.allclose(one.to(other.dtype), other, rtol=1e-3, atol=1e-5)


def as_tensor(value: Any, expected: Tensor) -> tuple[Tensor | None, str]:
    """A learner's gradient as a tensor of the pass's precision, and a note if it was none.

    None, ``...`` and things that are no numbers count as not defined.
    """
    if value is None or value is Ellipsis:
        return None, ""
    if type(value).__module__ == "numpy" and hasattr(value, "dtype"):
        try:
            return torch.as_tensor(value).to(expected.dtype), "is a NumPy array, not a tensor"
        except (TypeError, ValueError):
            return None, "is a NumPy array of things that are no numbers"
    if isinstance(value, bool | int | float):
        note = f"is a plain {type(value).__name__}, not a tensor"
        return torch.tensor(float(value), dtype=expected.dtype), note
    if not isinstance(value, Tensor):
        return None, f"is of type {type(value).__name__}, not a tensor"
    if value.is_complex() or value.is_quantized or value.is_meta:
        return None, f"is a tensor of type {value.dtype}, where {expected.dtype} is expected"
    tensor = value.detach()
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    if tensor.dtype == expected.dtype:
        return tensor, ""
    note = f"has the type {tensor.dtype} where {expected.dtype} is expected; it was converted"
    return tensor.to(expected.dtype), note.replace("torch.", "")
