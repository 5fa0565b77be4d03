"""makemore-bp eval"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from makemore_bp.cli.options import Json, RunArgument
from makemore_bp.ranks import launch
from makemore_bp.ranks.launch import Place


def evaluate(run: RunArgument, as_json: Json = False) -> None:
    """The loss of a run on its training, validation and test words."""
    from makemore_bp.training import run_evaluation

    here = launch.place()
    result = run_evaluation.evaluate(run) if here is None else _on_ranks(here, run)
    if not launch.speaks():
        return
    if as_json:
        print(json.dumps(result))
        return
    from makemore_bp.cli.tables import loss_table, output

    console = output()
    console.print(loss_table(result, result["baselines"]))
    console.print(f"After {result['step']:,} steps.")


def _on_ranks(here: Place, run: Path) -> dict[str, Any]:
    from makemore_bp.ranks.process_group import joined
    from makemore_bp.training import distributed_start, run_evaluation

    with joined(here) as group:
        result = run_evaluation.losses(*distributed_start.saved_run(run, group), group)
        group.meet()
        return result
