"""How a check of gradients is shown to a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from makemore_bp.cli.tables import FoldedTable, gradient_table, output
from makemore_bp.gradcheck.cases import Outcome
from makemore_bp.gradcheck.check import Check
from makemore_bp.gradcheck.finite_differences import DifferenceReport


def show_check(check: Check, differences: Sequence[DifferenceReport], title: str) -> None:
    """The table of one check, and a line that sums it up."""
    out = output()
    out.print(title)
    beside = {report.name: _difference(report) for report in differences}
    tensors = (report.as_json() for report in check.tensors)
    out.print(gradient_table(tensors, beside, "finite differences"))
    if not check.forward_is_right:
        out.print(
            f"The forward pass is off: its loss is {check.own_loss}, and autograd's is "
            f"{check.loss}. No gradient is blamed: what is not right follows from that."
        )
    right = sum(report.passed for report in check.tensors)
    exact = sum(report.exact for report in check.tensors)
    out.print(
        f"{right} of {len(check.tensors)} gradients are right, {exact} of them to the last bit. "
        f"Loss {check.loss:.4f}."
    )
    if differences:
        out.print(_told_of_differences(differences))


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


def _difference(report: DifferenceReport) -> str:
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
