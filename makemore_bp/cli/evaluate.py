"""makemore-bp eval"""

from __future__ import annotations

import json

from makemore_bp.cli.options import Json, RunArgument


def evaluate(run: RunArgument, as_json: Json = False) -> None:
    """The loss of a run on its training, validation and test words."""
    from makemore_bp.training import run_evaluation

    result = run_evaluation.evaluate(run)
    if as_json:
        print(json.dumps(result))
        return
    from rich.console import Console

    from makemore_bp.cli.tables import loss_table

    console = Console(highlight=False, markup=False, emoji=False)
    console.print(loss_table(result, result["baselines"]))
    console.print(f"After {result['step']:,} steps.")
