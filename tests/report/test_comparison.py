"""The page of an experiment's runs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib", reason="pictures need matplotlib")

from makemore_bp.report import experiment_folder
from tests.report.page_parsing import parsed
from tests.report.report_helpers import trained


@pytest.fixture
def experiment(words: Path, tmp_path: Path) -> Path:
    """Two finished runs of different size, one without a summary, and a folder that is no run."""
    folder = tmp_path / "sweep"
    for name, hidden in (("<i>small", 2), ("large", 30), ("stopped", 8)):
        trained(words, folder / "runs" / name, f"model.n_hidden={hidden}")
    (folder / "runs" / "stopped" / "summary.json").unlink()
    (folder / "runs" / "notes").mkdir()
    return folder


def test_runs_are_ranked_by_validation_loss(cli: Any, experiment: Path) -> None:
    answer = cli("report", experiment)
    assert (answer.code, answer.err) == (0, "")
    page = Path(answer.out.strip())
    assert page == experiment / "report" / "report.html"
    elements = parsed(page.read_text(encoding="utf-8"))
    expected = [run.name for run in experiment_folder.read(experiment)]
    assert [e.text for e in elements if e.attributes.get("scope") == "row"] == expected
    assert set(expected) == {"<i>small", "large", "stopped"}
    columns = [e.text for e in elements if e.attributes.get("scope") == "col"]
    assert "model.n_hidden" in columns and "train.lr" not in columns
    losses = [run.loss("val") for run in experiment_folder.read(experiment)]
    assert losses == sorted(loss for loss in losses if loss is not None)
    assert len([e for e in elements if e.tag == "svg"]) == 3
    pictures = {path.stem for path in page.parent.glob("*.png")}
    assert pictures == {"loss", "val-loss", "by-model.n_hidden"}
    assert re.search("3 runs, 2 of them finished", page.read_text())


@pytest.mark.usefixtures("sketched")
def test_runs_that_cannot_be_read_are_listed_all_the_same(cli: Any, experiment: Path) -> None:
    broken = experiment / "runs" / "large"
    (broken / "config.yaml").write_text("train: [")
    (broken / "summary.json").write_text("[]")
    (broken / "metrics.jsonl").write_text("nothing\n")
    assert cli("report", experiment).code == 0
    assert experiment_folder.read(experiment)[-1].name == "large"


@pytest.mark.usefixtures("sketched")
def test_more_runs_than_colours_are_drawn(cli: Any, experiment: Path) -> None:
    for number in range(12):
        shutil.copytree(experiment / "runs" / "large", experiment / "runs" / f"copy-{number:02}")
    assert cli("report", experiment).code == 0


def test_the_terminal_report_asks_for_one_run(cli: Any, experiment: Path) -> None:
    answer = cli("report", experiment, "--terminal")
    assert answer.code == 2 and "one run" in answer.err
