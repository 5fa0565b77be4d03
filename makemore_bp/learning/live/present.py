"""What a namespace holds at this moment, judged in this process.

The statements that made the gradients are executed again, on copies: on the tensors that the
namespace holds now, and without a change to it. So a mistake is looked for in them as in a file,
and a gradient is known to be out of date that its statements do not give any more.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from makemore_bp.errors import RequestError
from makemore_bp.gradcheck.batch import Batch
from makemore_bp.gradcheck.reference import Reference
from makemore_bp.gradcheck.reference import reference as autograd_reference
from makemore_bp.learning.blocks import Blocks
from makemore_bp.learning.check import judged
from makemore_bp.learning.lecture import LECTURE, LectureTruth
from makemore_bp.learning.limits import Limits
from makemore_bp.learning.live.history import history_of
from makemore_bp.learning.notebook import Source, in_cells
from makemore_bp.learning.own_pass import BATCH, near, other
from makemore_bp.learning.places import places
from makemore_bp.learning.script import Script
from makemore_bp.network.parameters import NAMES
from makemore_bp.network.passes import LECTURE_ORDER

SECONDS = 10.0  # that the statements may take


@dataclass(frozen=True)
class Present:
    """The answer on a namespace, as ``gradcheck --file --json`` gives it; source: the statements
    that made the gradients; blocks, truth: what they did, and what is right."""

    answer: dict[str, Any]
    source: Source
    blocks: Blocks
    truth: LectureTruth


def check_names(names: Mapping[str, Any]) -> Present:
    """Judges the gradients in a namespace, such as ``globals()`` of a notebook.

    Raises RequestError if it holds no forward pass that they could be judged by.
    """
    truth, remarks = _truth(names)
    homes = places(names, LECTURE_ORDER, {})
    given = {*truth.reference, *truth.judged.record, *BATCH}
    source = history_of(names, {place.root for place in homes.values()}, given)
    script = _again(source, names, truth)
    with _quiet():
        blocks = Blocks(script.run(), list(truth.reference))
    answer = judged(script, blocks, truth)
    stale = [str(p) for p in homes.values() if not _same(p.get(names), p.get(script.names))]
    answer["passed"] = answer["passed"] and not stale
    answer["notes"] += [*remarks, *_out_of_date(stale)]
    return Present(in_cells(answer, source), source, blocks, truth)


def _again(source: Source, names: Mapping[str, Any], truth: LectureTruth) -> Script:
    """The script of the statements, ready to run beside copies of all tensors."""
    copies = {
        name: value.detach().clone() if isinstance(value, Tensor) else value
        for name, value in names.items()
        if not name.startswith("__")
    }
    made = {place.root for place in places(names, LECTURE_ORDER, {}).values()}
    kept = {name: value for name, value in copies.items() if name not in made}
    script = Script(source.text, "<notebook>", kept, truth.reference, Limits(SECONDS))
    script.parse()
    return script


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What the statements print was seen when they were executed first."""
    names = vars(sys)  # a name that type checkers take for fixed
    out, names["__stdout__"] = names["__stdout__"], None
    try:
        yield
    finally:
        names["__stdout__"] = out


def _same(now: Any, again: Any) -> bool:
    if not isinstance(now, Tensor) or not isinstance(again, Tensor):
        return now is None or again is None
    return now.shape == again.shape and near(now, again)


def _out_of_date(names: list[str]) -> Iterator[str]:
    if names:
        yield (
            f"Out of date: {', '.join(names)}. Their statements give other numbers on the tensors "
            "as they are now. Run those cells again; the verdict is on what they give."
        )


def _truth(names: Mapping[str, Any]) -> tuple[LectureTruth, list[str]]:
    """Autograd's gradients of the namespace's own batch and parameters: the namespace's own where
    it has them, so that ``exact`` means equal to the very numbers that its ``cmp`` compares with.
    """
    missing = [name for name in (*NAMES, *BATCH) if not isinstance(names.get(name), Tensor)]
    if missing:
        raise RequestError(
            "There is no tensor called {names} here. Run the cells of the forward pass first: "
            "gradients are judged on its own tensors, by the lecture's names.",
            names=", ".join(missing),
        )
    parameters = {name: names[name].detach() for name in NAMES}
    try:
        reference = autograd_reference(Batch(LECTURE, parameters, *(names[name] for name in BATCH)))
    except (RuntimeError, IndexError) as error:
        raise RequestError(
            "The parameters and the batch here do not fit together: {reason}.",
            reason=str(error).splitlines()[0].rstrip("."),
        ) from None
    differs = other(names, reference.record)
    if differs is not None:
        raise RequestError(
            "{name} is not what the lecture's forward pass makes of the parameters and the batch "
            "here. If they were changed since (by a step of training, or another minibatch), run "
            "the forward pass again. A network of your own is checked by "
            "'makemore-bp gradcheck --file NOTEBOOK'.",
            name=differs,
        )
    own = {name: names[name].grad for name in LECTURE_ORDER if _has_gradient(names.get(name))}
    kept = {name: g for name, g in own.items() if near(g, reference.gradients[name])}
    stale = [f"{name}.grad" for name in own if name not in kept]
    truth = LectureTruth(Reference(LECTURE, reference.record, reference.gradients | kept))
    return truth, list(_stale(stale))


def _stale(names: list[str]) -> Iterator[str]:
    if names:
        yield (
            f"Not of this forward pass, so not compared with: {', '.join(names)}. Does "
            "loss.backward() add to gradients of an earlier call?"
        )


def _has_gradient(value: Any) -> bool:
    if not isinstance(value, Tensor) or not (value.is_leaf or value.retains_grad):
        return False
    return value.grad is not None
