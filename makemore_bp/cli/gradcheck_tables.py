"""How a check of gradients is shown to a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.table import Table

from makemore_bp.cli.tables import FoldedTable, output
from makemore_bp.gradcheck.cases import Outcome
from makemore_bp.gradcheck.check import Check
from makemore_bp.gradcheck.finite_differences import DifferenceReport
from makemore_bp.gradcheck.judge import TensorReport

STYLES = {
    "exact": "green",
    "close": "green",
    "wrong": "bold red",
    "inherits": "yellow",
    "shape": "bold red",
    "missing": "dim",
}


def show_check(check: Check, differences: Sequence[DifferenceReport], title: str) -> None:
    """The table of one check, and a line that sums it up."""
    out = output()
    out.print(title)
    out.print(tensor_table(check.tensors, {report.name: report for report in differences}))
    right = sum(report.passed for report in check.tensors)
    exact = sum(report.exact for report in check.tensors)
    out.print(
        f"{right} of {len(check.tensors)} gradients are right, {exact} of them to the last bit. "
        f"Loss {check.loss:.4f}."
    )
    if differences:
        out.print(_told_of_differences(differences))


def tensor_table(
    reports: Iterable[TensorReport], differences: dict[str, DifferenceReport] | None = None
) -> Table:
    """A row for each gradient, in the lecture's order."""
    table = FoldedTable()
    table.add_column("tensor", no_wrap=True)
    table.add_column("shape", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("largest difference", justify="right")
    table.add_column("ulp", justify="right")
    if differences:
        table.add_column("finite differences", justify="right")
    for report in reports:
        row = [report.name, _shape(report), report.status, *_distances(report)]
        if differences:
            row.append(_difference(differences.get(report.name)))
        table.add_row(*row, style=STYLES[report.status] if not report.passed else None)
    return table


def show_cases(outcomes: Sequence[Outcome]) -> None:
    """A row for each case, a column for each pair of switches; below, what is wrong and where."""
    out = output()
    switches = list(dict.fromkeys((o.cross_entropy, o.batchnorm) for o in outcomes))
    table = FoldedTable(title="Gradients that are right, in both precisions", title_justify="left")
    table.add_column("cross-entropy\nbatchnorm", no_wrap=True)
    for pair in switches:
        table.add_column("\n".join(pair), justify="right")
    for case in dict.fromkeys(outcome.case for outcome in outcomes):
        of_case = [outcome for outcome in outcomes if outcome.case == case]
        passed = all(outcome.check.passed for outcome in of_case)
        cells = [
            _count(o for o in of_case if (o.cross_entropy, o.batchnorm) == p) for p in switches
        ]
        table.add_row(case, *cells, style=None if passed else "bold red")
    out.print(table)
    for line in _failures(outcomes):
        out.print(line)
    right = sum(outcome.check.passed for outcome in outcomes)
    exact = sum(all(r.exact for r in outcome.check.tensors) for outcome in outcomes)
    out.print(f"{right} of {len(outcomes)} settings pass, {exact} of them to the last bit.")


def _count(outcomes: Iterable[Outcome]) -> str:
    """The fewest right gradients that either precision has."""
    checks = [outcome.check for outcome in outcomes]
    right = min(sum(report.passed for report in check.tensors) for check in checks)
    return f"{right} of {len(checks[0].tensors)}"


def _failures(outcomes: Iterable[Outcome]) -> Iterator[str]:
    for o in outcomes:
        for report in o.check.tensors:
            if not report.passed:
                where = f"{o.case}, {o.dtype}, {o.cross_entropy} / {o.batchnorm}"
                yield f"{where}: {report.name} {report.status}"


def show_markdown(text: str) -> None:
    """A text in Markdown, laid out for the window."""
    from rich.markdown import Markdown

    output().print(Markdown(text))


def _shape(report: TensorReport) -> str:
    return " x ".join(map(str, report.shape))


def _distances(report: TensorReport) -> tuple[str, str]:
    if report.got is not None:
        return f"got {' x '.join(map(str, report.got)) or 'a scalar'}", ""
    if report.max_abs_diff is None or report.max_ulp is None:
        return "", ""
    difference = f"{report.max_abs_diff:.1e}" if report.max_abs_diff else "0"
    # Across zero, or at a not-a-number, steps are counted in billions and say nothing.
    return difference, f"{report.max_ulp:,}" if report.max_ulp < 1_000_000 else "> 1,000,000"


def _difference(report: DifferenceReport | None) -> str:
    if report is None:
        return ""
    if not report.entries:
        return "at a kink"
    return f"{report.max_error:.1e}" + ("" if report.passed else " wrong")


def _told_of_differences(differences: Sequence[DifferenceReport]) -> str:
    entries = sum(report.entries for report in differences)
    kinks = sum(report.kinks for report in differences)
    wrong = [report.name for report in differences if not report.passed]
    verdict = f"wrong for {', '.join(wrong)}" if wrong else "agree with all"
    at_kinks = f"; {kinks} more lie at a kink of the loss and were left out" if kinks else ""
    return f"Finite differences in float64, {entries} entries looked at: {verdict}{at_kinks}."
