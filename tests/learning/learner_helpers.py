"""Runs a learner's script in this process, for tests that look at many scripts."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from functools import cache
from pathlib import Path

from torch import Tensor

from makemore_bp.gradcheck.judge import judge
from makemore_bp.learning.child import Ended
from makemore_bp.learning.diagnosis import Finding, examine
from makemore_bp.learning.exercises.checking import Batch, example_batch
from makemore_bp.learning.process import Script
from makemore_bp.learning.scope import scope_of
from makemore_bp.learning.script import LearnerResult, collect
from makemore_bp.learning.watch import Journal
from makemore_bp.network.passes import Network
from makemore_bp.network.stage import Record


@cache
def batch() -> Batch:
    """The batch that the exercises are checked on."""
    return example_batch()


@cache
def record() -> Record:
    """Its op-by-op forward pass."""
    return Network().forward(batch().parameters, batch().Xb, batch().Yb)


def run_here(source: str) -> LearnerResult:
    """What ``run_learner`` gives, without a process of its own."""
    tensors = {name: t.clone() for name, t in record().items() if isinstance(t, Tensor)}
    gradients = dict(batch().reference.gradients)
    main = sys.modules["__main__"]
    with tempfile.TemporaryDirectory() as name:
        folder, path = Path(name), Path("my_backward.py")
        script = Script(source, str(path), Journal(folder), tensors, gradients)
        try:
            with contextlib.redirect_stdout(io.StringIO()) as out:
                script.run()
        finally:
            sys.modules["__main__"] = main
        ended = Ended(0, out.getvalue(), False, False)
        return collect(folder, path, source, record(), gradients, ended, 1.0)


def findings(source: str) -> dict[str, Finding]:
    """What is said of every gradient of a script that comes to its end."""
    result = run_here(source)
    assert result.error is None, result.error.paragraph()
    scope = scope_of(result.gradients, source)
    reference = batch().reference
    reports = judge(result.gradients, reference, scope.rules)
    return examine(
        reports, result.gradients, reference.gradients, record(), scope.rules, result.evidence
    )


def blamed(source: str) -> dict[str, str]:
    """The gradients that a script gets wrong by their own rule, each with the kind of mistake."""
    return {
        name: finding.diagnosis.kind
        for name, finding in findings(source).items()
        if finding.status in ("wrong", "shape") and finding.diagnosis is not None
    }
