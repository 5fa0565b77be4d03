"""From a wrong gradient to the kind of mistake that made it.

    forms.py      a rule of the heart as a tree
    changes.py    one change at a time to such a tree, each a possible mistake
    table.py      mistakes in the loops over the embedding
    compare.py    when two tensors agree, when one is a multiple of another
    numbers.py    names for the factors by which a gradient may be off
    evidence.py   what is known of the script: versions of a gradient, changed forward tensors
    verdict.py    all hypotheses tried, and the choice among those that fit
    rounding.py   why a gradient that is right is not exact
    examination.py  the judge's reports and the script's history, put together

A hypothesis counts only if it reproduces the learner's tensor to rounding. If none does, the kind
is ``unknown``.
"""

from makemore_bp.learning.diagnosis.evidence import Evidence, Mutation, Version
from makemore_bp.learning.diagnosis.examination import Finding, examine
from makemore_bp.learning.diagnosis.rounding import why_close
from makemore_bp.learning.diagnosis.verdict import KINDS, Diagnosis, diagnose, idea

__all__ = [
    "KINDS",
    "Diagnosis",
    "Evidence",
    "Finding",
    "Mutation",
    "Version",
    "diagnose",
    "examine",
    "idea",
    "why_close",
]
