"""What a namespace holds at this moment, judged where it is: nothing is run again.

The truth is the namespace's own. If its parameters and batch give, by the lecture's forward pass,
the logits and the loss that it holds, the lecture's rules say where a mistake starts. Otherwise it
is another network, and each gradient is held against what autograd says of its tensor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from makemore_bp.errors import RequestError
from makemore_bp.gradcheck.judge import TensorReport, judge
from makemore_bp.gradcheck.reference import Reference, autograd_reference
from makemore_bp.learning.check import LearnerCheck
from makemore_bp.learning.diagnosis import Finding, examine
from makemore_bp.learning.live.history import evidence_of, history_of
from makemore_bp.learning.notebook import Source
from makemore_bp.learning.scope import scope_of
from makemore_bp.learning.script import LearnerResult
from makemore_bp.learning.watch import as_tensor
from makemore_bp.network.parameters import NAMES
from makemore_bp.network.passes import LECTURE_ORDER

_BATCH = ("Xb", "Yb")
_NEAR = {"rtol": 1e-3, "atol": 1e-6}  # between one way to compute a tensor and another


@dataclass(frozen=True)
class Present:
    """A check of a namespace. true: autograd's gradients by tensor name; source: the cells that
    made the learner's."""

    check: LearnerCheck
    true: Mapping[str, Tensor]
    source: Source


def check_names(names: Mapping[str, Any]) -> Present:
    """Judges the gradients in a namespace, such as ``globals()`` of a notebook.

    Raises RequestError if it holds no forward pass that they could be judged by.
    """
    reference, remarks = _reference(names)
    gradients, notes = _gradients(names, reference.gradients)
    source = history_of(names, gradients)
    evidence = evidence_of(source, gradients)
    scope = scope_of(gradients, "")
    reports = [
        report
        for report in judge(gradients, reference, scope.rules)
        if report.name in scope.expected or report.status != "missing"
    ]
    findings = examine(
        reports, gradients, reference.gradients, reference.record, scope.rules, evidence
    )
    result = LearnerResult(
        path=Path("notebook"),
        source=source.text,
        record=reference.record,
        gradients=gradients,
        evidence=evidence,
        output="",
        notes=(*remarks, *notes),
    )
    final = tuple(_with(report, findings[report.name]) for report in reports)
    return Present(LearnerCheck(result, scope, final, findings), reference.gradients, source)


def _with(report: TensorReport, finding: Finding) -> TensorReport:
    diagnosis = finding.diagnosis.as_json() if finding.diagnosis is not None else None
    return replace(report, status=finding.status, diagnosis=diagnosis)


def _reference(names: Mapping[str, Any]) -> tuple[Reference, tuple[str, ...]]:
    """Autograd's gradients of the namespace's own batch and parameters: the namespace's own where
    it has them, so that ``exact`` means equal to the very numbers that its ``cmp`` compares with.
    """
    missing = [name for name in (*NAMES, *_BATCH) if not isinstance(names.get(name), Tensor)]
    if missing:
        raise RequestError(
            "There is no tensor called {names} here. Run the cells of the forward pass first: "
            "gradients are judged on its own tensors, by the lecture's names.",
            names=", ".join(missing),
        )
    parameters = {name: names[name].detach() for name in NAMES}
    try:
        reference = autograd_reference(parameters, *(names[name] for name in _BATCH))
    except (RuntimeError, IndexError) as error:
        raise RequestError(
            "The parameters and the batch here do not fit together: {reason}.",
            reason=str(error).splitlines()[0].rstrip("."),
        ) from None
    other = [name for name in _forward(names) if not _near(names[name], reference.record[name])]
    if other:
        raise RequestError(
            "{name} is not what the lecture's forward pass makes of the parameters and the batch "
            "here. If they were changed since (by a step of training, or another minibatch), run "
            "the forward pass again. A network of your own is checked by "
            "'makemore-bp gradcheck --file NOTEBOOK'.",
            name=other[0],
        )
    own = {name: names[name].grad for name in LECTURE_ORDER if _has_gradient(names.get(name))}
    kept = {name: g for name, g in own.items() if _near(g, reference.gradients[name])}
    stale = tuple(name for name in own if name not in kept)
    return Reference(reference.record, reference.gradients | kept), tuple(_stale(stale))


def _stale(names: tuple[str, ...]) -> Iterator[str]:
    if names:
        shown = ", ".join(f"{name}.grad" for name in names)
        yield (
            f"Not of this forward pass, so not compared with: {shown}. Does loss.backward() add to "
            "gradients of an earlier call?"
        )


def _forward(names: Mapping[str, Any]) -> Iterator[str]:
    return (name for name in LECTURE_ORDER if isinstance(names.get(name), Tensor))


def _has_gradient(value: Any) -> bool:
    if not isinstance(value, Tensor) or not (value.is_leaf or value.retains_grad):
        return False
    return value.grad is not None


def _near(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or one.is_complex():
        return False
    scale = float(other.abs().max()) if other.numel() else 0.0
    close = (one.detach().to(other.dtype) - other).abs() <= _NEAR["rtol"] * scale + _NEAR["atol"]
    return bool(close.all())


def _gradients(
    names: Mapping[str, Any], true: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The learner's gradients by dx, each with the axes of length 1 that broadcasting makes up for;
    and remarks on those that are no tensors."""
    gradients, notes = {}, []
    for name, expected in true.items():
        tensor, note = as_tensor(names.get(f"d{name}"), expected)
        if tensor is not None:
            gradients[f"d{name}"] = _same_axes(name, tensor, expected)
        if note:
            notes.append(f"d{name} {note}")
    return gradients, tuple(notes)


def _same_axes(name: str, tensor: Tensor, expected: Tensor) -> Tensor:
    missing = expected.shape[: max(0, expected.dim() - tensor.dim())]
    fits = tensor.dim() and tensor.shape == expected.shape[len(missing) :]
    if name in NAMES or not fits or any(length != 1 for length in missing):
        return tensor
    return tensor.reshape(expected.shape)
