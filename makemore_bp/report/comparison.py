"""Several runs side by side: the page of an experiment's folder."""

from __future__ import annotations

from makemore_bp.experiments import formats
from makemore_bp.experiments.results import Result, Results
from makemore_bp.report import history as histories
from makemore_bp.report import page
from makemore_bp.report.drawing import Rendered, render
from makemore_bp.report.experiment_pictures import experiment_pictures
from makemore_bp.report.history import History
from makemore_bp.report.page import Section


def comparison(found: Results) -> tuple[str, list[Rendered]]:
    """The HTML of the page of an experiment, or of any runs, and its pictures."""
    seen = {run.name: _history(run) for run in found.runs}
    rendered = [render(picture) for picture in experiment_pictures(found, seen)]
    finished = sum(group.finished for group in found.groups)
    lead = page.paragraph(f"{len(found.runs)} runs, {finished} of them finished.")
    sections = [
        Section("ranking", "Ranking", _ranking(found)),
        Section("pictures", "Pictures", page.pictures(rendered)),
        Section("runs", "Every run", _runs(found)),
        Section("reproduce", "The best run again", _best(found)),
    ]
    return page.page(f"Experiment {found.name}", lead, sections, rendered), rendered


def _history(run: Result) -> History:
    seen = histories.read(run.folder)
    seen.end_with(run.steps, run.train_loss, run.val_loss)
    return seen


def _ranking(found: Results) -> str:
    head, rows = formats.table(found, times=True)
    return page.table(
        "Nats per character, the lowest validation loss first; runs that differ only in their seed "
        "share a row, with mean and standard deviation",
        head,
        rows,
    )


def _runs(found: Results) -> str:
    rows = [
        (run.name, *map(_loss, (run.val_loss, run.train_loss)), run.what_happened)
        for group in found.groups
        for run in group.runs
    ]
    return page.table(
        "In the order of the ranking", ("run", "val loss", "train loss", "state"), rows
    )


def _best(found: Results) -> str:
    if found.best is None:
        return page.paragraph("No run has come to its end yet.")
    return page.paragraph(f"{found.best.name}:") + page.code(found.best.command)


def _loss(loss: float | None) -> str:
    return "-" if loss is None else formats.figure(loss)
