"""A run's report for those without a screen for pictures."""

from __future__ import annotations

from rich.table import Table

from makemore_bp.cli.curve import show_curve
from makemore_bp.cli.tables import FoldedTable, loss_table, output
from makemore_bp.report.history import History, Series
from makemore_bp.report.observations import Observations, saturated
from makemore_bp.text import visible


def show_report(seen: Observations) -> None:
    """Losses, curve, saturation, updates and fresh words."""
    console = output()
    console.print(f"{visible(str(seen.folder))}: {seen.saved.step:,} steps")
    console.print(loss_table(seen.losses, seen.losses["baselines"]))
    show_curve(console, seen.history.loss)
    console.print(_told_of_saturation(seen))
    if any(map(len, seen.history.sizes["update_ratio"].values())):
        console.print(_updates(seen.history))
    right = sum(report.passed for report in seen.check.tensors)
    console.print(f"{right} of {len(seen.check.tensors)} gradients agree with autograd.")
    names = ", ".join(visible(word, 40) for word, new in seen.names.shown if new)
    console.print(f"{seen.names.new:,} of {seen.names.drawn:,} fresh words are new: {names}")


def _told_of_saturation(seen: Observations) -> str:
    now, start = (saturated(seen, record) for record in (seen.now, seen.start))
    name = seen.network.kind("activation")
    return (
        f"Of the outputs of {name} {float(now.double().mean()):.1%} are saturated "
        f"(hardly any gradient passes), {float(start.double().mean()):.1%} at the start; "
        f"{int(now.all(0).sum()):,} of {now.shape[1]:,} units stay so through a whole minibatch."
    )


def _updates(history: History) -> Table:
    ratios = history.sizes["update_ratio"]
    order = sorted(ratios, key=lambda name: _last(ratios[name]), reverse=True)
    table = FoldedTable(title="log10 of update to weight; about -3 is usual", title_justify="left")
    table.add_column("parameter")
    table.add_column("first", justify="right")
    table.add_column("last", justify="right")
    table.add_column("std of the gradient", justify="right")
    for name in order:
        gradient = history.sizes["gradient"][name].last
        table.add_row(
            visible(name, 20),
            *(f"{ratios[name].values[at]:.2f}" if len(ratios[name]) else "-" for at in (0, -1)),
            "-" if gradient is None else f"{gradient:.1e}",
        )
    return table


def _last(series: Series) -> float:
    return float("-inf") if series.last is None else series.last
