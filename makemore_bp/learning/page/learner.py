"""A learner's pass through the lecture's network, as a page's values."""

from __future__ import annotations

from typing import Any

from makemore_bp.learning.answer import Answer
from makemore_bp.learning.blocks import Blocks, Home
from makemore_bp.learning.lecture import LectureTruth
from makemore_bp.learning.notebook import Source, in_cells
from makemore_bp.learning.page.lecture import passed_through
from makemore_bp.learning.page.model import Judgement, Line, Pass
from makemore_bp.learning.values import as_tensor
from makemore_bp.learning.wording import Blame, worded
from makemore_bp.network.passes import Network


def learner_pass(
    title: str, source: Source, answer: dict[str, Any], blocks: Blocks | None, truth: LectureTruth
) -> Pass:
    """The page of a learner's pass. ``blocks`` are what the script executed, None if it is not
    Python; ``source`` knows where its lines stand."""
    answer = in_cells(answer, source)
    said = worded(answer, source.text)
    blames = {blame.name: blame for blame in said.blames}
    judgements = {
        tensor["name"]: _judgement(tensor, blames.get(tensor["name"]), blocks, truth, source)
        for tensor in answer["tensors"]
    }
    remarks = (said.verdict, *filter(None, [said.failure]))
    return passed_through(title, Network(), truth.reference, judgements, remarks, own=True)


def _judgement(
    tensor: Answer, blame: Blame | None, blocks: Blocks | None, truth: LectureTruth, source: Source
) -> Judgement:
    name = tensor["name"]
    home = blocks.home(name) if blocks is not None else None
    said = (tensor.get("unfinished"), tensor.get("why_close"))
    mine: tuple[Line, ...] = ()
    own = None
    if blocks is not None and home is not None:
        mine = _statements(blocks, home, source)
        own, _ = as_tensor(home.value, truth.reference[name])
    return Judgement(
        status=str(tensor["status"]),
        said=(blame.text,) if blame is not None else tuple(filter(None, said)),
        mine=mine,
        own=own,
        heading=blame.heading if blame is not None else "",
    )


def _statements(blocks: Blocks, home: Home, source: Source) -> tuple[Line, ...]:
    """The statements that wrote a gradient."""
    nodes = [home.block.units[write].node for write in home.writes]
    text = blocks.trace.source.segment
    return tuple(Line(source.place(node.lineno), text(node)) for node in nodes)
