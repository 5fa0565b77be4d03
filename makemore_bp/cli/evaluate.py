"""makemore-bp eval"""

from __future__ import annotations

import json

from makemore_bp.cli.options import Json, RunArgument
from makemore_bp.ranks import launch


def evaluate(run: RunArgument, as_json: Json = False) -> None:
    """The losses of a run on its training, validation and test words.

    Example: makemore-bp eval runs/lecture --json
    """
    from makemore_bp.ranks import group
    from makemore_bp.training import run_evaluation

    with group.here() as ranks:
        result = run_evaluation.evaluate(run, ranks)
    if not launch.speaks():
        return
    if as_json:
        print(json.dumps(result))
        return
    from makemore_bp.cli.tables import loss_table, output

    console = output()
    console.print(loss_table(result, result["baselines"]))
    console.print(f"After {result['step']:,} steps.")
