"""Which gradients a learner's file owes, judged by which it defines.

The lecture's exercise 1 asks for all gradients one operation at a time, exercise 2 for dlogits
alone, exercise 3 for dhprebn alone, exercise 4 for the seven of the parameters. A file may say
which one it is in a comment, as the files of ``exercise new`` do: ``# Exercise 2: ...``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from makemore_bp.learning.reading import exercise_of
from makemore_bp.network import batchnorm, cross_entropy
from makemore_bp.network.parameters import NAMES
from makemore_bp.network.passes import LECTURE_ORDER

CROSS_ENTROPY = frozenset(rule.__name__ for rule in cross_entropy.op_by_op.backward) - {"dlogits"}
BATCHNORM = frozenset(rule.__name__ for rule in batchnorm.op_by_op.backward) - {
    "dbngain",
    "dbnbias",
    "dhprebn",
}


@dataclass(frozen=True)
class Scope:
    """What is asked for.

    expected: tensors, in the lecture's order, whose gradients a complete file defines; exercise:
    1 to 4, or None if the file is none of them.
    """

    expected: tuple[str, ...]
    exercise: int | None

    def next(self, defined: Collection[str]) -> str | None:
        """The first expected gradient (such as ``dlogprobs``) that is not among the defined."""
        missing = ("d" + name for name in self.expected if "d" + name not in defined)
        return next(missing, None)


def scope_of(defined: Collection[str], source: str = "") -> Scope:
    """What a file owes that defines these gradients (``dlogits``, ...) and has this source."""
    names, exercise = set(defined), exercise_of(source)
    if exercise is None:
        exercise = _recognised(names)
    fused_ce = exercise == 2 or (exercise != 1 and "dlogits" in names and not names & CROSS_ENTROPY)
    fused_bn = exercise == 3 or (exercise != 1 and "dhprebn" in names and not names & BATCHNORM)
    return Scope(_expected(exercise, names, fused_ce, fused_bn), exercise)


def _recognised(names: set[str]) -> int | None:
    if names == {"dlogits"}:
        return 2
    if "dhprebn" in names and names <= {"dhprebn", "dbngain", "dbnbias"}:
        return 3
    return None


def _expected(
    exercise: int | None, names: set[str], fused_ce: bool, fused_bn: bool
) -> tuple[str, ...]:
    if exercise == 2:
        asked = {"dlogits"} | names
    elif exercise == 3:
        asked = {"dhprebn"} | names
    elif exercise == 4:
        asked = {"d" + name for name in NAMES} | names
    else:
        left_out = (CROSS_ENTROPY if fused_ce else set()) | (BATCHNORM if fused_bn else set())
        asked = {"d" + name for name in LECTURE_ORDER} - left_out
    return tuple(name for name in LECTURE_ORDER if "d" + name in asked)
