"""makemore-bp gradcheck"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from makemore_bp.cli.options import ConfigArgument, Json, Overrides
from makemore_bp.errors import RequestError
from makemore_bp.ranks import launch

if TYPE_CHECKING:
    from makemore_bp.config import Config
    from makemore_bp.ranks.launch import Place

# Without CONFIG the lecture's exercise is checked: 64 hidden units, one operation at a time.
DEFAULT = "op-by-op"


class Switch(StrEnum):
    """The two ways to go back through a stage."""

    op_by_op = "op-by-op"
    fused = "fused"


class Precision(StrEnum):
    """The two precisions."""

    float32 = "float32"
    float64 = "float64"


class EngineName(StrEnum):
    """Whose gradients are checked."""

    torch = "torch"
    native = "native"


def gradcheck(
    config: ConfigArgument = None,
    set_: Overrides = None,
    cross_entropy: Annotated[
        Switch | None, typer.Option(help="Which backward pass.", show_default=False)
    ] = None,
    batchnorm: Annotated[
        Switch | None, typer.Option(help="Which backward pass.", show_default=False)
    ] = None,
    dtype: Annotated[
        Precision | None, typer.Option(help="Which precision.", show_default=False)
    ] = None,
    engine: Annotated[EngineName, typer.Option(help="Whose gradients.")] = EngineName.torch,
    samples: Annotated[
        int,
        typer.Option(
            min=0, help="Entries of each tensor held against finite differences; 0 for none."
        ),
    ] = 8,
    case: Annotated[
        str | None,
        typer.Option("--case", help="A hard case by name, or all.", show_default=False),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            help="Your own backward pass. The file is run, with your rights, in a process of "
            "its own.",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=86_400, help="Seconds that --file may take.")
    ] = 30.0,
    explain: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Derive one gradient.", show_default=False),
    ] = None,
    solution: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Show the line of one gradient; with --file, your own lines repaired (NAME: all, "
            "or one gradient).",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Hold every hand-written gradient against autograd and finite differences.

    Exit code 1 if one is wrong.
    """
    from makemore_bp import config as configs

    asked = [
        explain is not None,
        solution is not None and file is None,
        case is not None,
        file is not None,
    ]
    if sum(asked) > 1:
        raise RequestError(
            "--explain, --solution, --case and --file do not go together. Take one of them. "
            "(--solution with --file shows your lines repaired.)"
        )
    if file is None and (explain is not None or solution is not None):
        _tell(explain, solution)
        return
    chosen = {
        "backward.cross_entropy": cross_entropy,
        "backward.batchnorm": batchnorm,
        "dtype": dtype,
    }
    overrides = [f"{key}={value.value}" for key, value in chosen.items() if value is not None]
    if engine is EngineName.native and config is None:
        overrides = ["backward.cross_entropy=fused", "backward.batchnorm=fused", *overrides]
    resolved = configs.load(config or DEFAULT, [*overrides, *(set_ or [])])
    here = launch.place()
    if here is not None:
        alone = [case is not None, file is not None, engine is EngineName.native]
        if any(alone):
            raise RequestError(
                "Under torchrun the pass over several ranks is checked: leave out --case, --file "
                "and --engine native, or leave out torchrun."
            )
        passed = _over_ranks(resolved, here, as_json)
    elif case is not None:
        passed = _cases(case, as_json)
    elif file is not None:
        passed = _learner(file, resolved, timeout, solution, as_json)
    else:
        passed = _own(resolved, engine.value, samples, as_json)
    if not passed:
        raise typer.Exit(1)


def _tell(explain: str | None, solution: str | None) -> None:
    from makemore_bp.cli.gradcheck_tables import show_markdown
    from makemore_bp.gradcheck import derivations

    if explain is not None:
        show_markdown(derivations.explain(explain))
    elif solution is not None:
        print(derivations.solution(solution))


def _own(resolved: Config, engine: str, samples: int, as_json: bool) -> bool:
    from makemore_bp.cli.gradcheck_tables import show_check
    from makemore_bp.gradcheck import check, setting
    from makemore_bp.gradcheck.engine_gradients import native_gradients
    from makemore_bp.gradcheck.finite_differences import finite_differences

    s = setting.of(resolved)
    switches = (resolved.backward.cross_entropy, resolved.backward.batchnorm)
    gradients = native_gradients(resolved, s) if engine == "native" else None
    found = check.check(s.parameters, s.Xb, s.Yb, *switches, gradients, s.mask)
    differences = []
    if samples and engine == "torch":
        differences = finite_differences(s.parameters, s.Xb, s.Yb, *switches, samples, s.mask)
    passed = found.passed and all(report.passed for report in differences)
    if as_json:
        more = {"finite_differences": [report.as_json() for report in differences]}
        print(json.dumps({**found.as_json(), "passed": passed, **more}))
    else:
        show_check(found, differences, _title(resolved, engine))
    return passed


def _over_ranks(resolved: Config, here: Place, as_json: bool) -> bool:
    from makemore_bp.cli.gradcheck_tables import show_check
    from makemore_bp.engines.choice import choose_distributed
    from makemore_bp.gradcheck import setting
    from makemore_bp.gradcheck.distributed_check import check_ranks
    from makemore_bp.ranks.process_group import joined

    with joined(here) as group:
        with group.together():
            choose_distributed(resolved, here.local_rank, here.size)
            s = setting.of(resolved)
        found = check_ranks(s, resolved, group)
    if here.speaks and as_json:
        print(json.dumps({**found.as_json(), "ranks": here.size}))
    elif here.speaks:
        show_check(found, [], f"{_title(resolved, 'torch')}, {here.size} ranks, the worst of each")
    return found.passed


def _title(resolved: Config, engine: str) -> str:
    backward, train = resolved.backward, resolved.train
    dropout = f"dropout {train.dropout:g}, " if train.dropout else ""
    return (
        f"cross-entropy {backward.cross_entropy}, batchnorm {backward.batchnorm}, {dropout}"
        f"n_hidden {resolved.model.n_hidden}, batch {train.batch_size}, {resolved.dtype}, {engine}"
    )


def _cases(name: str, as_json: bool) -> bool:
    from makemore_bp.cli.gradcheck_tables import show_cases
    from makemore_bp.gradcheck import cases

    outcomes = list(cases.run_all(cases.named(name)))
    if as_json:
        print(json.dumps(_cases_as_json(outcomes)))
    else:
        show_cases(outcomes)
    return all(outcome.check.passed for outcome in outcomes)


def _cases_as_json(outcomes: list[Any]) -> dict[str, Any]:
    return {
        "passed": all(outcome.check.passed for outcome in outcomes),
        "cases": [
            {
                "case": outcome.case,
                "dtype": outcome.dtype,
                "cross_entropy": outcome.cross_entropy,
                "batchnorm": outcome.batchnorm,
                **outcome.check.as_json(),
            }
            for outcome in outcomes
        ],
    }


def _learner(
    path: Path, resolved: Config, timeout: float, solution: str | None, as_json: bool
) -> bool:
    from makemore_bp.cli.learner_tables import show_learner
    from makemore_bp.learning.checkers import Checkers
    from makemore_bp.learning.reading import read_script

    if resolved.train.dropout:
        raise RequestError(
            "--file checks the lecture's network, which has no dropout, and train.dropout is "
            "{dropout:g}. Add --set train.dropout=0.",
            dropout=resolved.train.dropout,
        )
    with Checkers() as checkers:
        answer = checkers.check(path, timeout, resolved.model_dump(mode="json"))
    if as_json:
        print(json.dumps(answer))
    else:
        show_learner(answer, read_script(path), solution)
    return bool(answer["passed"])
