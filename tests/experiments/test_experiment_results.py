"""How results are ranked and shown."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from makemore_bp.errors import RequestError
from makemore_bp.experiments import folder as folders
from makemore_bp.experiments import formats, plot, results
from makemore_bp.experiments.folder import Plan
from makemore_bp.experiments.results import Results


def record(varied: dict[str, Any], seed: int | None) -> folders.Record:
    return {
        "varied": varied,
        "seed": seed,
        "settings": {},
        "command": ["train", "quick", "--set", f"train.seed={seed}"],
        "config": {},
        "data_sha256": "",
    }


def finished(path: Path, val_loss: float | None, speed: float = 1000.0) -> None:
    path.mkdir(parents=True)
    summary = {"train_loss": 2.0, "val_loss": val_loss, "test_loss": 9.0, "engine": "torch"}
    summary |= {"steps_per_second": speed, "seconds": 1.0}
    (path / "summary.json").write_text(json.dumps(summary))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three groups of two seeds: finished, with one failure, with nothing but failures."""
    rates = {0.01: (2.5, 2.7), 0.1: (2.1, None), 10.0: (None, None)}
    plan: dict[str, folders.Record] = {}
    for rate, losses in rates.items():
        for seed, loss in enumerate(losses, 1):
            name = f"lr={rate}_seed={seed}"
            plan[name] = record({"train.lr": rate}, seed)
            path = tmp_path / folders.RUNS / name
            if loss is None:
                folders.write_failure(path, "diverged", "The run has diverged.", 17)
            else:
                finished(path, loss)
    folders.write(tmp_path, Plan("trial | one", plan))
    return tmp_path


@pytest.fixture
def found(folder: Path) -> Results:
    return results.read(folder)


def test_groups_are_ranked_by_their_mean_and_failures_come_last(found: Results) -> None:
    assert [group.varied["train.lr"] for group in found.groups] == [0.1, 0.01, 10.0]
    assert [group.finished for group in found.groups] == [1, 2, 0]
    spread = found.groups[1].val_loss
    assert spread is not None and spread.std is not None
    assert spread.mean == pytest.approx(2.6)
    assert spread.std == pytest.approx(0.02**0.5)  # of two values: their distance over sqrt 2
    assert found.groups[0].val_loss == results.Spread(2.1, None)
    assert found.best is not None and found.best.name == "lr=0.1_seed=1"


def test_the_test_loss_is_in_no_ranking_and_no_table(found: Results) -> None:
    head, rows = formats.table(found, times=True)
    assert "test" not in " ".join(head)
    assert "9.0" not in " ".join(map(str, rows))


def test_json_has_every_run_and_no_times_unless_asked(found: Results) -> None:
    plain = formats.as_json(found)
    assert [run["status"] for run in plain["runs"]].count("diverged") == 3
    assert plain["runs"][3]["reason"] == "diverged at step 17"
    assert plain["best"]["command"] == "makemore-bp train quick --set train.seed=1"
    assert "seconds" not in json.dumps(plain)
    assert formats.as_json(found, times=True)["runs"][0]["steps_per_second"] == 1000.0


def test_csv_has_a_line_for_every_run(found: Results) -> None:
    rows = list(csv.DictReader(io.StringIO(formats.as_csv(found))))
    assert [row["run"] for row in rows] == [run.name for run in found.runs]
    assert (rows[0]["train.lr"], rows[0]["seed"], rows[0]["val_loss"]) == ("0.01", "1", "2.5")
    assert rows[5]["reason"] == "diverged at step 17" and rows[5]["val_loss"] == ""


def test_markdown_is_a_table_of_means_and_deviations(found: Results) -> None:
    lines = formats.as_markdown(found).splitlines()
    assert lines[:3] == [
        "| train.lr | val loss | train loss | runs |",
        "| --- | ---: | ---: | ---: |",
        "| 0.1 | 2.1000 | 2.0000 | 1 of 2 |",
    ]
    assert lines[3] == "| 0.01 | 2.6000 ± 0.1414 | 2.0000 ± 0.0000 | 2 |"
    assert any("diverged at step 17" in line for line in lines[5:])
    assert lines[-1] == "Best: `makemore-bp train quick --set train.seed=1`"


def test_show_prints_one_format_at_a_time(cli: Any, folder: Path) -> None:
    assert json.loads(cli("experiment", "show", folder, "--json").out)["name"] == "trial | one"
    assert cli("experiment", "show", folder, "--csv").out.startswith("run,train.lr,seed,")
    assert cli("experiment", "show", folder, "--markdown").out.startswith("| train.lr |")
    shown = cli("experiment", "show", folder).out
    assert "The best again: makemore-bp train quick" in shown and "diverged at step 17" in shown
    assert "steps/s" not in shown and "steps/s" in cli("experiment", "show", folder, "--times").out
    both = cli("experiment", "show", folder, "--json", "--csv")
    assert both.code == 2 and "exclude each other" in both.err


def test_a_run_without_validation_words_ranks_last(tmp_path: Path) -> None:
    plan = {name: record({"variant": name}, None) for name in ("none", "some")}
    for name, loss in (("none", None), ("some", 2.5)):
        finished(tmp_path / folders.RUNS / name, loss)
    folders.write(tmp_path, Plan("x", plan))
    assert [group.varied["variant"] for group in results.read(tmp_path).groups] == ["some", "none"]


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"format": 3}', "nonsense", None])
def test_a_folder_that_is_no_experiment_is_refused(
    cli: Any, tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / folders.PLAN).write_text(content)
    for path in (tmp_path, tmp_path / "nowhere"):
        answer = cli("experiment", "show", path)
        assert answer.code == 2 and answer.out == "" and "Traceback" not in answer.err


def test_a_plot_has_the_format_of_its_name(cli: Any, folder: Path) -> None:
    pytest.importorskip("matplotlib")
    assert cli("experiment", "show", folder, "--plot", folder / "p.png").code == 0
    assert (folder / "p.png").read_bytes().startswith(b"\x89PNG")
    refused = cli("experiment", "show", folder, "--plot", folder / "p.nonsense")
    assert refused.code == 2 and "FILE.png" in refused.err and refused.out == ""


def test_one_numeric_key_is_drawn_over_a_logarithmic_axis(
    found: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = pytest.importorskip("matplotlib.figure")
    drawn: list[Any] = []
    monkeypatch.setattr(figure.Figure, "savefig", lambda self, *_, **__: drawn.append(self))
    plot.draw(found, tmp_path / "p.png")
    (axes,) = drawn[0].axes
    assert axes.get_xscale() == "linear"  # 0.01 to 0.1, the finished ones, is one decade
    assert axes.get_xlabel() == "train.lr" and axes.get_ylabel() == "validation loss"
    line = axes.lines[0]
    assert list(line.get_xdata()) == [0.01, 0.1]
    assert list(line.get_ydata()) == pytest.approx([2.6, 2.1])


def test_what_is_no_number_is_drawn_as_a_ranking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = pytest.importorskip("matplotlib.figure")
    plan = {name: record({"variant": name, "train.lr": 0.1}, None) for name in ("$a_b$", "b")}
    for k, name in enumerate(plan):
        finished(tmp_path / folders.RUNS / name, 2.0 - k / 10)
    folders.write(tmp_path, Plan("$\\nonsense", plan))
    drawn: list[Any] = []
    save = figure.Figure.savefig

    def watched(self: Any, *arguments: Any, **options: Any) -> None:
        drawn.append(self)
        save(self, *arguments, **options)

    monkeypatch.setattr(figure.Figure, "savefig", watched)
    plot.draw(results.read(tmp_path), tmp_path / "p.png")
    (axes,) = drawn[0].axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["b, 0.1", "\\$a_b\\$, 0.1"]


def test_without_matplotlib_the_plot_says_what_to_install(
    cli: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    answer = cli("experiment", "show", folder, "--plot", folder / "p.png")
    assert answer.code == 2 and "pip install 'makemore-bp[report]'" in answer.err


def test_nothing_finished_is_nothing_to_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    folders.write(tmp_path, Plan("x", {"a": record({"train.lr": 1}, None)}))
    with pytest.raises(RequestError, match="nothing to plot"):
        plot.draw(results.read(tmp_path), tmp_path / "p.png")
