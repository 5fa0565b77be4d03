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
    engine: Annotated[
        str, typer.Option(metavar="ENGINE", help="Whose gradients: torch or native.")
    ] = "torch",
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
    watch: Annotated[
        bool, typer.Option("--watch", help="Check --file each time it is saved.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="PAGE",
            help="Write the pass as a picture: one HTML page.",
            show_default=False,
        ),
    ] = None,
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
            "--explain, --solution, --case and --file do not go together, but for --solution with "
            "--file. Take one of them."
        )
    if watch and (file is None or html is not None or solution is not None or as_json):
        raise RequestError("--watch goes with --file, and without --html, --solution and --json.")
    if html is not None and (explain is not None or case is not None):
        raise RequestError("--html goes with --file or with a configuration's own pass.")
    if file is None and (explain is not None or solution is not None):
        _tell(explain, solution)
        return
    chosen = {
        "backward.cross_entropy": cross_entropy,
        "backward.batchnorm": batchnorm,
        "dtype": dtype,
    }
    overrides = [f"{key}={value.value}" for key, value in chosen.items() if value is not None]
    native = engine == "native"
    if native and config is None:
        overrides = ["backward.cross_entropy=fused", "backward.batchnorm=fused", *overrides]
    resolved = configs.load(config or DEFAULT, [*overrides, *(set_ or [])])
    alone = (case is not None, file is not None, native, html is not None)
    if launch.place() is not None and any(alone):
        raise RequestError(
            "Under torchrun the pass over several ranks is checked: leave out --case, --file, "
            "--html and --engine native, or leave out torchrun."
        )
    if case is not None:
        passed = _cases(case, as_json)
    elif file is not None:
        passed = _learner(file, resolved, timeout, solution, as_json, html, watch)
    else:
        passed = _engine(resolved, engine, samples, as_json, html)
    if not passed:
        raise typer.Exit(1)


def _tell(explain: str | None, solution: str | None) -> None:
    from makemore_bp.cli.gradcheck_tables import show_markdown
    from makemore_bp.gradcheck import derivations

    if explain is not None:
        show_markdown(derivations.explain(explain))
    elif solution is not None:
        print(derivations.solution(solution))


def _engine(resolved: Config, engine: str, samples: int, as_json: bool, html: Path | None) -> bool:
    """Checks the gradients that an engine computes: those of one process, or of all ranks."""
    from makemore_bp.cli.gradcheck_tables import show_check
    from makemore_bp.gradcheck.batch import first_step
    from makemore_bp.gradcheck.check import check, worst
    from makemore_bp.gradcheck.finite_differences import finite_differences
    from makemore_bp.ranks import group

    with group.here() as ranks:
        first = first_step(resolved, ranks)
        own = check(first.batch, first.gradients(engine, ranks))
        found = worst(ranks.texts(json.dumps(own.as_json())))
    if not launch.speaks():
        return found.passed
    differences = []
    if samples and engine == "torch" and ranks.size == 1:
        differences = finite_differences(first.batch, samples)
    passed = found.passed and all(report.passed for report in differences)
    if as_json:
        more: dict[str, Any] = {"finite_differences": [one.as_json() for one in differences]}
        more = {"ranks": ranks.size} if launch.place() is not None else more
        print(json.dumps({**found.as_json(), "passed": passed, **more}))
    else:
        show_check(found, differences, _title(resolved, engine) + _of_ranks(ranks.size))
    if html is not None:
        from makemore_bp.cli.picture import write_walk

        write_walk(html, found, first.batch, _title(resolved, engine))
    return passed


def _of_ranks(size: int) -> str:
    return f", {size} ranks, the worst of each" if launch.place() is not None else ""


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
    path: Path,
    resolved: Config,
    timeout: float,
    solution: str | None,
    as_json: bool,
    html: Path | None,
    watch: bool,
) -> bool:
    from makemore_bp.cli.learner_tables import show_learner
    from makemore_bp.learning.checkers import Checkers
    from makemore_bp.learning.notebook import read_source

    if resolved.train.dropout:
        raise RequestError(
            "--file checks the lecture's network, which has no dropout, and train.dropout is "
            "{dropout:g}. Add --set train.dropout=0.",
            dropout=resolved.train.dropout,
        )
    config = resolved.model_dump(mode="json")
    if watch:
        from makemore_bp.cli.watch import watch_file

        watch_file(path, timeout, config)
        return True
    with Checkers() as checkers:
        answer = checkers.check(path, timeout, config, page=html is not None)
    page = answer.pop("page", "")
    if as_json:
        print(json.dumps(answer))
    else:
        show_learner(answer, read_source(path).text, solution)
    if html is not None:
        from makemore_bp.cli.picture import write_page

        write_page(html, page)
    return bool(answer["passed"])
