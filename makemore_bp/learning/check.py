"""A learner's file from beginning to end: run it, judge it, say what is wrong and what is next.

This is the half that computes; it runs in the file's own process (see ``worker``). What it gives is
plain data, which the command line shows.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

import torch

from makemore_bp.gradcheck.judge import Status
from makemore_bp.learning import source as sources
from makemore_bp.learning.blocks import Blocks, same
from makemore_bp.learning.diagnosis.examination import Finding, examine
from makemore_bp.learning.diagnosis.world import near
from makemore_bp.learning.lecture import LectureTruth
from makemore_bp.learning.limits import Limits
from makemore_bp.learning.namespace import namespace, silent_matplotlib
from makemore_bp.learning.own_pass import before_training, own_pass
from makemore_bp.learning.scope import Scope, scope_of
from makemore_bp.learning.script import Script
from makemore_bp.learning.trace import Trace

SEED = 2147483647  # of the global generators, so that two runs of a script are alike


@silent_matplotlib()
def check_text(
    text: str,
    path: str,
    truth: LectureTruth,
    limits: Limits,
    more: Mapping[str, Any] | None = None,
    watch: Callable[[Script], None] = lambda script: None,
    draw: Callable[[dict[str, Any], Blocks | None, LectureTruth], str] | None = None,
) -> dict[str, Any]:
    """Runs and judges a learner's text beside the forward pass of ``truth``.

    ``more`` are further names for the script; ``watch`` is called when it is about to run.
    ``draw`` makes a page of the answer, which is added to it as ``page``.
    """
    text, training = before_training(text)
    script = Script(text, path, {**_given(truth), **(more or {})}, truth.reference, limits)
    blocks = None
    if script.parse():
        script.lend(truth.reference)
        torch.manual_seed(SEED)
        watch(script)
        trace, truth = own_pass(script.run(), truth)
        blocks = Blocks(trace, list(truth.reference))
        answer = judged(script, blocks, truth)
    else:
        answer = _answer(script, truth, None, {}, scope_of((), text))
    if training is not None:
        answer["notes"].append(
            f"The loop on line {training} trains the network and was not run; what stands above it "
            "is judged. 'makemore-bp exercise check' judges a training."
        )
    return answer if draw is None else answer | {"page": draw(answer, blocks, truth)}


def judged(script: Script, blocks: Blocks, truth: LectureTruth) -> dict[str, Any]:
    """The answer for a script that has run."""
    defined = [name for name in truth.reference if _written(blocks, name)]
    scope = scope_of(["d" + name for name in defined], script.text)
    findings = examine(blocks, truth, scope.expected, script.lent)
    if script.error is not None:
        findings = {name: _not_finished(f, script, name) for name, f in findings.items()}
    return _answer(script, truth, blocks.trace, findings, scope)


def _given(truth: LectureTruth) -> dict[str, Any]:
    record = {
        name: value.clone() if isinstance(value, torch.Tensor) else value
        for name, value in truth.judged.record.items()
    }
    return namespace(record, truth.reference)


def _written(blocks: Blocks, name: str) -> bool:
    home = blocks.home(name)
    return home is not None and bool(home.writes) and home.value is not None


def _not_finished(finding: Finding, script: Script, name: str) -> Finding:
    """A gradient in whose statements the script came to its end by an error is not finished."""
    assert script.error is not None
    line = script.error.line
    at = [n for n in script.source.statements if n.lineno <= (line or 0) <= (n.end_lineno or 0)]
    broken = {target for node in at for target in sources.targets(node)}
    if finding.status not in ("wrong", "shape") or finding.place not in broken:
        return finding
    text = f"{finding.place} is not finished: line {line} fails."
    report = type(finding.report)(name, finding.report.shape, Status.MISSING)
    return Finding(report, finding.place, finding.line, unfinished=text)


def _answer(
    script: Script,
    truth: LectureTruth,
    trace: Trace | None,
    findings: Mapping[str, Finding],
    scope: Scope,
) -> dict[str, Any]:
    right = [name for name in scope.expected if name in findings and findings[name].right]
    error, tree = script.error, script.source.tree
    shown = {d: f for d, f in findings.items() if d in scope.expected or f.status != "missing"}
    begun = {"d" + n for n, f in findings.items() if f.status != "missing" or f.unfinished}
    return {
        "passed": error is None and len(right) == len(scope.expected),
        "loss": float(truth.judged.record["loss"]),
        "tensors": [_tensor(name, finding) for name, finding in shown.items()],
        "exercise": scope.exercise,
        "right": len(right),
        "expected": len(scope.expected),
        "next": scope.next(begun),
        "error": error.as_json() if error is not None else None,
        "timed_out": error is not None and error.why == "time",
        "too_much_output": error is not None and error.why == "output",
        "lent": ["d" + name for name in script.lent],
        "hidden_in_functions": _hidden(tree, shown, truth),
        "unknown": _unknown(script, trace, shown, truth),
        "changed": _changed(trace, truth),
        "notes": _notes(shown),
        "output": script.output,
    }


def _tensor(name: str, finding: Finding) -> dict[str, Any]:
    said = {
        "place": finding.place or None,
        "line": finding.line,
        "why_close": finding.why_close,
        "unfinished": finding.unfinished,
    }
    return finding.report.as_json() | {key: value for key, value in said.items() if value}


def _notes(findings: Mapping[str, Finding]) -> list[str]:
    notes = [f"line {f.line}: {f.place} {f.note}"
             for f in findings.values() if f.note]  # fmt: skip
    taken = [f"{f.place} for d{name}" for name, f in findings.items()
             if f.place and f.place != "d" + name]  # fmt: skip
    if taken:
        notes.append("Taken by another name: " + ", ".join(taken) + ".")
    return notes


def _hidden(tree: ast.Module, findings: Mapping[str, Finding], truth: LectureTruth) -> list[str]:
    known = [f"d{n}" for n in truth.reference]
    found = {f"d{n}" for n, f in findings.items() if f.status != "missing"}
    return [d for d in sources.hidden_in_functions(tree, known) if d not in found]


def _unknown(
    script: Script,
    trace: Trace | None,
    findings: Mapping[str, Finding],
    truth: LectureTruth,
) -> list[str]:
    """d-names that are no gradient of the forward pass."""
    places = {f.place for f in findings.values()}
    return [
        name
        for name, value in (trace.end.names.items() if trace is not None else ())
        if name.startswith("d")
        and isinstance(value, torch.Tensor)
        and name not in places
        and name[1:] not in truth.reference
    ]


def _changed(trace: Trace | None, truth: LectureTruth) -> list[dict[str, Any]]:
    """The tensors of the forward pass that the script changed into something else."""
    found = []
    for name, tensor in truth.tensors.items():
        if trace is None or not isinstance(tensor, torch.Tensor):
            continue
        value = trace.end.names.get(name)
        if isinstance(value, torch.Tensor) and not near(value.detach(), tensor):
            line, in_place = _change(trace, name)
            found.append({"name": name, "line": line, "in_place": in_place})
    return found


def _change(trace: Trace, name: str) -> tuple[int | None, bool]:
    """The line that first changed a tensor, and whether in place."""
    top = [step for step in trace.steps if step.frame == 0]
    afters = [*(step.before for step in top[1:]), trace.end]
    for step, after in zip(top, afters, strict=True):
        if not same(step.before.names.get(name), after.names.get(name)):
            stays = step.before.storages.get(name) == after.storages.get(name)
            return trace.source.statements[step.statement].lineno, stays
    return None, False
