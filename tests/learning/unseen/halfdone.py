# ruff: noqa: E501, SIM905
"""Half-done states: what is not finished is missing, and nothing is blamed for it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .bases import (
    ACCUMULATE,
    BRANCHES,
    EINSUM,
    FUNCTION,
    HELPERS,
    INPLACE,
    LECTURE,
    LONGHAND,
    METHODS,
    ROWS,
    TERSE,
)
from .case import GRADIENTS, Base, Case, Fault
from .fused import BACK_LECTURE, SOFTMAX

ZERO = {"dlogits", "dlogit_maxes", "db1"}  # where what is still missing is zero in truth


def touched(node: ast.stmt) -> set[str]:
    """The gradients that a statement assigns or changes in place."""
    found = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            found.add(inner.id)
        elif isinstance(inner, ast.Subscript) and isinstance(inner.ctx, ast.Store):
            if isinstance(inner.value, ast.Name):
                found.add(inner.value.id)
        elif (
            isinstance(inner, ast.Call)
            and isinstance(inner.func, ast.Attribute)
            and inner.func.attr.endswith("_")
            and isinstance(inner.func.value, ast.Name)
        ):
            found.add(inner.func.value.id)
    return found & set(GRADIENTS)


def states(base: Base) -> Iterator[tuple[int, str, frozenset[str], frozenset[str]]]:
    """Every prefix of the solution, statement by statement: text, what is missing, what is begun."""
    body = [node for node in ast.parse(base.text).body]
    lines = base.text.split("\n")
    last = {name: i for i, node in enumerate(body) for name in touched(node)}
    for count in range(len(body)):
        end = body[count - 1].end_lineno or 0 if count else 0
        if count < len(body) and count and body[count].lineno == end:
            continue  # two statements on one line
        text = "\n".join(lines[:end]) + "\n" if end else ""
        missing = {name for name in GRADIENTS if last[name] >= count}
        begun = {name for node in body[:count] for name in touched(node)} & missing
        yield count, text, frozenset(missing), frozenset(begun)


def half_done() -> Iterator[Case]:
    """All states of three right solutions."""
    for base in (LECTURE, ACCUMULATE, HELPERS):
        for count, text, missing, begun in states(base):
            if count:
                yield Case(
                    f"half-{base.name}-{count:02d}",
                    "half-done-states",
                    1,
                    text,
                    {},
                    missing,
                    right_already=frozenset(begun & ZERO),
                )


def at(base: Base, *counts: int) -> Iterator[Case]:
    for count, text, missing, begun in states(base):
        if count in counts:
            yield Case(
                f"half-{base.name}-{count:02d}",
                "half-done",
                1,
                text,
                {},
                missing,
                right_already=frozenset(begun & ZERO),
            )


def without(text: str, *lines: str) -> str:
    for line in lines:
        if text.count(line) != 1:
            raise ValueError(line)
        text = text.replace(line, "")
    return text


TODO = "\n".join(f"{name} = None  # TODO" for name in GRADIENTS[14:]) + "\n"
UPPER = LECTURE.text[: LECTURE.text.index("dbnraw = bngain")]
AFTER = set(GRADIENTS[14:]) | {"dbnbias"}


def by_hand() -> Iterator[Case]:
    yield Case(
        "half-todo-lines",
        "half-done",
        1,
        UPPER + "\n# still to do\ndbnbias = None\n" + TODO,
        {},
        frozenset(AFTER),
    )
    yield Case(
        "half-only-comments",
        "half-done",
        1,
        "# exercise 1\n# dlogprobs = ?\n# dprobs = ?\n",
        {},
        frozenset(GRADIENTS),
    )
    yield Case(
        "half-dots", "half-done", 1, UPPER + "dbnraw = ...\ndbnbias = ...\n", {}, frozenset(AFTER)
    )
    yield Case(
        "half-zeros-prepared",
        "half-done",
        1,
        UPPER
        + "dbnraw = torch.zeros_like(bnraw)  # TODO\ndbnbias = torch.zeros_like(bnbias)  # TODO\n",
        {},
        frozenset(AFTER),
        note="Two zeros_like that wait to be filled; nothing reads them.",
    )
    yield Case(
        "half-error-placeholder",
        "half-done",
        1,
        UPPER + "raise NotImplementedError('the batch norm comes tomorrow')\n",
        {},
        frozenset(AFTER),
        raises=True,
    )
    start = "".join(line + "\n" for line in ACCUMULATE.text.split("\n") if "zeros_like" in line)
    yield Case(
        "half-all-zeros",
        "half-done",
        1,
        start,
        {},
        frozenset(GRADIENTS),
        right_already=frozenset(ZERO - {"dlogits"}),
    )
    some = [
        "# bndiff = hprebn - bnmeani\n",
        "dhprebn += dbndiff\n",
        "dbnmeani -= dbndiff.sum(dim=0, keepdim=True)\n",
    ]
    cut = ACCUMULATE.text[: ACCUMULATE.text.index(some[0])]
    yield Case(
        "half-zeros-and-upper-half",
        "half-done",
        1,
        cut,
        {},
        frozenset("dbnmeani dhprebn dembcat dW1 db1 demb dC".split()),
        right_already=frozenset({"db1"}),
    )
    cut = LECTURE.text[: LECTURE.text.index("dcounts += ")]
    yield Case(
        "half-first-branch-of-dcounts",
        "half-done",
        1,
        cut + "cmp('counts_sum', dcounts_sum, counts_sum)\n",
        {},
        frozenset(GRADIENTS[4:]),
    )
    cut = LECTURE.text[: LECTURE.text.index("dbndiff += ")]
    yield Case(
        "half-first-branch-of-dbndiff",
        "half-done",
        1,
        cut + "cmp('bndiff2', dbndiff2, bndiff2)\n# next: dbndiff, second branch\n",
        {},
        frozenset(GRADIENTS[18:]),
    )
    # The table's loop is not written yet; and the other way round, the table is only prepared.
    cut = LECTURE.text[: LECTURE.text.index("for k in range")]
    yield Case("half-table-prepared", "half-done", 1, cut, {}, frozenset({"dC"}))
    # Parts of the lower half are there, without what stands between.
    yield Case(
        "half-exercise-4-nones",
        "half-done",
        4,
        BACK_LECTURE.text.replace(
            "    dembcat = dhprebn @ W1.T\n    dW1 = embcat.T @ dhprebn\n    db1 = dhprebn.sum(0)\n",
            "    dW1, db1 = None, None  # TODO\n",
        ).replace(
            "    demb = dembcat.view(emb.shape)\n    dC = torch.zeros_like(C)\n    for k in range(Xb.shape[0]):\n        for j in range(Xb.shape[1]):\n"
            "            ix = Xb[k,j]\n            dC[ix] += demb[k,j]\n",
            "    dC = None  # TODO\n",
        ),
        {},
        frozenset("dC dW1 db1".split()),
    )
    yield Case(
        "half-exercise-2-none",
        "half-done",
        2,
        "dlogits = None # TODO. my solution is 3 lines\n",
        {},
        frozenset({"dlogits"}),
    )
    yield Case(
        "half-exercise-2-exception",
        "half-done",
        2,
        SOFTMAX.text.replace("dlogits /= n\n", "raise SystemError('stop here')\n"),
        {},
        frozenset({"dlogits"}),
        raises=True,
    )
    yield Case(
        "half-exercise-3-none",
        "half-done",
        3,
        "dlogits = (probs - F.one_hot(Yb, vocab_size)) / n\ndhpreact = (dlogits @ W2.T) * (1 - h**2)\ndhprebn = None # TODO. my solution is 1 (long) line\n",
        {},
        frozenset({"dhprebn"}),
    )
    function = FUNCTION.text.replace(
        "dhprebn = dbndiff + torch.ones_like(hprebn) * dbnmeani / n\n", "dhprebn = None\n"
    )
    lower = function[function.index("    # first layer") : function.index("    return (")]
    function = function.replace(lower, "    dembcat = dW1 = db1 = demb = dC = None\n")
    yield Case(
        "half-function-nones",
        "half-done",
        1,
        function,
        {},
        frozenset("dhprebn dembcat dW1 db1 demb dC".split()),
    )


def with_a_mistake() -> Iterator[Case]:
    """Half done, and something in the done half is wrong."""
    for name, base, stop, gradient, old, new, says, means in (
        (
            "sign",
            LECTURE,
            "dhpreact = ",
            "dlogprobs",
            "= -1.0/n",
            "= 1.0/n",
            "sign",
            "The minus of the loss is missing.",
        ),
        (
            "input",
            LECTURE,
            "dbndiff2 = ",
            "dhpreact",
            "(1.0 - h**2)",
            "(1.0 - hpreact**2)",
            "wrong-input",
            "tanh's slope is 1 - h**2 in its output h.",
        ),
        (
            "power",
            TERSE,
            "dhpreact=",
            "dcounts_sum",
            "/counts_sum**2",
            "/counts_sum",
            "missing-factor factor operation",
            "The slope of x**-1 has the square below.",
        ),
        (
            "mean",
            ACCUMULATE,
            "# bndiff2 = ",
            "db2",
            "torch.sum(dlogits, dim=0)",
            "torch.mean(dlogits, dim=0)",
            "reduction factor operation",
            "The mean is taken where the sum belongs.",
        ),
        (
            "factor",
            METHODS,
            "dbnmeani = ",
            "dbnvar",
            ".mul(-0.5)",
            ".mul(-2)",
            "factor",
            "The factor is the exponent -0.5, not -2.",
        ),
        (
            "branch",
            LONGHAND,
            "# hprebn = ",
            "dbndiff",
            "dbndiff = dbndiff_through_raw + dbndiff_through_square",
            "dbndiff = dbndiff_through_raw - dbndiff_through_square",
            "sign",
            "The branch through the square is subtracted where it must be added.",
        ),
    ):
        text = base.text[: base.text.index(stop)]
        if text.count(old) != 1:
            raise ValueError(old)
        before = text[: text.index(old)]
        text = text.replace(old, new)
        line = text[before.rfind("\n") + 1 :].split("\n")[0]
        tree = ast.parse(text)
        missing = set()
        whole = ast.parse(base.text)
        for i, node in enumerate(whole.body):
            if i >= len(tree.body):
                missing |= touched(node)
        begun = {n for node in tree.body for n in touched(node)} & missing
        yield Case(
            f"half-{base.name}-wrong-{name}",
            "half-done-wrong",
            1,
            text,
            {gradient: Fault(line, tuple(says.split()), means)},
            frozenset(missing),
            right_already=frozenset(begun & ZERO),
        )


def cases() -> Iterator[Case]:
    yield from by_hand()
    for base, counts in (
        (BRANCHES, (4, 8, 13, 24, 28)),
        (EINSUM, (3, 7, 14)),
        (LONGHAND, (5, 9, 30)),
        (METHODS, (6, 9, 15)),
        (INPLACE, (2, 6, 9, 22, 30)),
        (ROWS, (2, 3, 4)),
        (TERSE, (2, 7, 12)),
    ):
        yield from at(base, *counts)
    yield from with_a_mistake()
