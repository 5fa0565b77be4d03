"""The page of an experiment's runs."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib", reason="pictures need matplotlib")

from matplotlib.figure import Figure

from makemore_bp.experiments import results
from makemore_bp.report import experiment_pictures, history
from tests.experiments.experiment_helpers import trained as planned
from tests.report.page_parsing import parsed
from tests.report.report_helpers import trained


@pytest.fixture
def experiment(words: Path, tmp_path: Path) -> Path:
    """Runs without a plan: two of different size, one unfinished, and a folder that is not one."""
    folder = tmp_path / "sweep"
    for name, hidden in (("<i>small", 2), ("large", 30), ("stopped", 8)):
        trained(words, folder / "runs" / name, f"model.n_hidden={hidden}")
    (folder / "runs" / "stopped" / "summary.json").unlink()
    (folder / "runs" / "notes").mkdir()
    return folder


def test_a_folder_of_runs_is_ranked_by_validation_loss(cli: Any, experiment: Path) -> None:
    answer = cli("report", experiment)
    assert (answer.code, answer.err) == (0, "")
    page = Path(answer.out.strip())
    assert page == experiment / "report" / "report.html"
    elements = parsed(page.read_text(encoding="utf-8"))
    found = results.read_any(experiment)
    ranked = [str(group.varied["model.n_hidden"]) for group in found.groups]
    names = [run.name for group in found.groups for run in group.runs]
    assert [e.text for e in elements if e.attributes.get("scope") == "row"] == ranked + names
    assert set(names) == {"<i>small", "large", "stopped"} and names[-1] == "stopped"
    columns = [e.text for e in elements if e.attributes.get("scope") == "col"]
    assert "model.n_hidden" in columns and "train.lr" not in columns
    assert len([e for e in elements if e.tag == "svg"]) == 3
    pictures = {path.stem for path in page.parent.glob("*.png")}
    assert pictures == {"loss", "val-loss", "by-model.n_hidden"}
    assert re.search("3 runs, 2 of them finished", page.read_text())


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("summary.json", "[]", "summary.json should be"),
        ("summary.json", '{"train_loss": "x"}', "summary.json: train_loss should be"),
        ("config.yaml", "train: [", "not valid YAML"),
    ],
)
def test_a_file_that_cannot_be_understood_is_named(
    cli: Any, experiment: Path, file: str, content: str, said: str
) -> None:
    (experiment / "runs" / "large" / file).write_text(content)
    answer = cli("report", experiment)
    assert answer.code == 2 and answer.out == "" and answer.err.count("\n") == 1
    assert str(experiment / "runs" / "large") in answer.err and said in answer.err
    assert not (experiment / "report").exists()


@pytest.mark.usefixtures("sketched")
def test_more_runs_than_colours_are_drawn(cli: Any, experiment: Path) -> None:
    for number in range(12):
        shutil.copytree(experiment / "runs" / "large", experiment / "runs" / f"copy-{number:02}")
    assert cli("report", experiment).code == 0


def test_the_terminal_report_asks_for_one_run(cli: Any, experiment: Path) -> None:
    answer = cli("report", experiment, "--terminal")
    assert answer.code == 2 and "one run" in answer.err


@pytest.fixture
def figures() -> Callable[..., Figure]:
    """Draws one of the pictures of an experiment's folder."""

    def draw(folder: Path, name: str) -> Figure:
        found = results.read(folder)
        seen = {run.name: history.read(folder / "runs" / run.name) for run in found.runs}
        pictures = {p.name: p for p in experiment_pictures.experiment_pictures(found, seen)}
        figure = Figure()
        pictures[name].draw(figure.subplots())
        return figure

    return draw


def test_every_group_is_in_the_legend_whatever_its_name_begins_with(
    tmp_path: Path, figures: Callable[..., Figure]
) -> None:
    runs = {"_best": ({"variant": "_b"}, None, 2.1), "other": ({"variant": "o"}, None, 2.2)}
    figure = figures(planned(tmp_path, runs), "val-loss")
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["_best", "other"]


def test_seeds_of_one_group_share_a_colour_and_a_name(
    tmp_path: Path, figures: Callable[..., Figure]
) -> None:
    runs = {
        f"lr={rate}_seed={seed}": ({"train.lr": rate}, seed, 2.5 - rate)
        for rate in (0.1, 0.2)
        for seed in (1, 2)
    }
    figure = figures(planned(tmp_path, runs), "loss")
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["lr=0.2", "lr=0.1"]
    colours = [line.get_color() for line in figure.axes[0].lines]
    assert len(colours) == 4 and len(set(colours)) == 2


def test_a_number_that_varies_has_its_loss_drawn_over_it(
    tmp_path: Path, figures: Callable[..., Figure]
) -> None:
    runs = {
        f"{rate}-{seed}": ({"train.lr": rate}, seed, loss + seed / 10)
        for rate, loss in ((0.01, 2.5), (0.1, 2.1))
        for seed in (1, 2)
    }
    (axes,) = figures(planned(tmp_path, runs), "by-train.lr").axes
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "train.lr" and axes.get_ylabel() == "validation loss"
    (bars,) = axes.containers
    assert list(bars[0].get_xdata()) == [0.01, 0.1]
    assert list(bars[0].get_ydata()) == pytest.approx([2.65, 2.25])


def test_the_lowest_point_of_every_picture_is_the_best_group(tmp_path: Path) -> None:
    runs = {
        f"{hidden}-{rate}": ({"model.n_hidden": hidden, "train.lr": rate}, None, loss)
        for (hidden, rate), loss in {
            (8, 0.1): 2.0, (8, 0.2): 3.0, (9, 0.1): 2.6, (9, 0.2): 2.1,
        }.items()
    }  # fmt: skip
    found = results.read(planned(tmp_path, runs))
    told = {p.name: p.alt for p in experiment_pictures.experiment_pictures(found, {})}
    assert "2.0000, is that of model.n_hidden = 8." in told["by-model.n_hidden"]
    assert "2.0000, is that of train.lr = 0.1." in told["by-train.lr"]
    assert told["ranking"].endswith("The best: 8-0.1, 2.0000.")


def test_what_is_not_a_number_is_drawn_as_a_ranking(
    tmp_path: Path, figures: Callable[..., Figure]
) -> None:
    runs = {"a": ({"variant": "$a_b$"}, None, 2.0), "b": ({"variant": "b"}, None, 1.9)}
    (axes,) = figures(planned(tmp_path, runs), "ranking").axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["b", "a"]


def test_a_plot_has_the_format_of_its_name(cli: Any, tmp_path: Path) -> None:
    folder = planned(tmp_path / "x", {"$nonsense^": ({"variant": "$a_b$"}, None, 2.0)})
    assert cli("experiment", "show", folder, "--plot", tmp_path / "p.png").code == 0
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    refused = cli("experiment", "show", folder, "--plot", tmp_path / "p.nonsense")
    assert refused.code == 2 and "FILE.png" in refused.err and refused.out == ""


def test_without_matplotlib_the_plot_says_what_to_install(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = planned(tmp_path / "x", {"a": ({}, None, 2.0)})
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    answer = cli("experiment", "show", folder, "--plot", tmp_path / "p.png")
    assert answer.code == 2 and "pip install 'makemore-bp[report]'" in answer.err


@pytest.mark.usefixtures("sketched")
def test_an_experiment_of_which_nothing_is_finished_has_a_page_and_no_plot(
    cli: Any, tmp_path: Path
) -> None:
    folder = planned(tmp_path / "x", {"a": ({"train.lr": 1}, None, 2.0)})
    (folder / "runs" / "a" / "summary.json").unlink()
    answer = cli("experiment", "show", folder, "--plot", tmp_path / "p.png")
    assert answer.code == 2 and "nothing to plot" in answer.err
    assert cli("report", folder).code == 0
    assert "No run has come to its end yet." in (folder / "report" / "report.html").read_text()
