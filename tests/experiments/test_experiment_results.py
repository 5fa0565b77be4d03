"""How results are ranked and shown."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from makemore_bp.experiments import folder as folders
from makemore_bp.experiments import formats, results
from makemore_bp.experiments.results import Results
from makemore_bp.experiments.stored import Entry, Plan
from makemore_bp.report.drawing import Picture
from makemore_bp.training import run_folder
from tests.experiments.experiment_helpers import entry, finished, trained
from tests.report.page_parsing import parsed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three groups of two seeds: finished, with one failure, with nothing but failures."""
    rates = {0.01: (2.5, 2.7), 0.1: (2.1, None), 10.0: (None, None)}
    plan: dict[str, Entry] = {}
    for rate, losses in rates.items():
        for seed, loss in enumerate(losses, 1):
            name = f"lr={rate}_seed={seed}"
            plan[name] = entry({"train.lr": rate}, seed)
            path = tmp_path / folders.RUNS / name
            if loss is None:
                run_folder.write_failure(path, "diverged", "The run has diverged.", 17)
            else:
                finished(path, loss)
    folders.write(tmp_path, Plan(name="trial | one", runs=plan))
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
    plan = {name: entry({"variant": name}, None) for name in ("none", "some")}
    for name, loss in (("none", None), ("some", 2.5)):
        finished(tmp_path / folders.RUNS / name, loss)
    folders.write(tmp_path, Plan(name="x", runs=plan))
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


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    """Five rates, four seeds each: the lowest mean is that of 0.55, the lowest run one of 0.6."""
    losses = {
        0.4: (2.61, 2.62, 2.63, 2.64),
        0.45: (2.57, 2.58, 2.59, 2.60),
        0.5: (2.55, 2.56, 2.57, 2.58),
        0.55: (2.53, 2.52, 2.54, 2.53),
        0.6: (2.60, 2.45, 2.61, 2.62),
    }
    return trained(
        tmp_path / "rates",
        {
            f"lr={rate}_seed={seed}": ({"train.lr": rate}, seed, loss)
            for rate, of_seeds in losses.items()
            for seed, loss in enumerate(of_seeds, 1)
        },
    )


def test_table_page_csv_markdown_json_and_plot_name_the_same_best(
    cli: Any, seeds: Path, sketched: list[Picture]
) -> None:
    best = "makemore-bp train quick --set train.seed=2"
    found = json.loads(cli("experiment", "show", seeds, "--json").out)
    assert found["groups"][0]["varied"] == {"train.lr": 0.55}
    assert found["best"] == {"run": "lr=0.55_seed=2", "val_loss": 2.52, "command": best}
    shown = cli("experiment", "show", seeds).out
    assert shown.index("0.55") < shown.index("0.6") and f"The best again: {best}" in shown
    assert cli("experiment", "show", seeds, "--markdown").out.splitlines()[2].startswith("| 0.55 ")
    rows = list(csv.DictReader(io.StringIO(cli("experiment", "show", seeds, "--csv").out)))
    assert [row["run"] for row in rows] == [run["name"] for run in found["runs"]]
    assert cli("experiment", "show", seeds, "--plot", seeds / "p.png").code == 0
    assert cli("report", seeds).code == 0
    assert {p.alt for p in sketched if p.name == "by-train.lr"} == {
        "The lowest mean, 2.5300, is that of train.lr = 0.55."
    }
    page = parsed((seeds / "report" / "report.html").read_text())
    rows_of_page = [e.text for e in page if e.attributes.get("scope") == "row"]
    assert rows_of_page[:5] == ["0.55", "0.5", "0.6", "0.45", "0.4"]
    assert rows_of_page[5] == "lr=0.55_seed=1"  # the runs follow in the order of their groups
    assert [e.text for e in page if e.tag == "pre"] == [best]
    told = [p.alt for p in sketched if p.name in ("loss", "val-loss")]
    assert all("The best: lr=0.55, 2.5300." in alt for alt in told) and len(told) == 2


def test_no_page_and_no_table_shows_a_test_loss(
    cli: Any, seeds: Path, sketched: list[Picture]
) -> None:
    cli("report", seeds)
    for text in (
        (seeds / "report" / "report.html").read_text(),
        cli("experiment", "show", seeds, "--times").out,
        cli("experiment", "show", seeds, "--markdown", "--times").out,
    ):
        assert "9.0" not in text and not re.search(r"\btest\b", text)


def test_cells_that_a_spreadsheet_would_compute_become_text(tmp_path: Path) -> None:
    variants = [
        "=cmd|' /C calc'!A0",
        "@SUM(1)",
        "+1+1",
        "-2",
        "＝1",
        "\x1b[31mred\n2",
        "plain, too",
    ]
    runs = {f"v{k}": ({"variant": name}, None, 2.5) for k, name in enumerate(variants)}
    text = formats.as_csv(results.read(trained(tmp_path / "x", runs)))
    assert [row["variant"] for row in csv.DictReader(io.StringIO(text))] == [
        "'=cmd|' /C calc'!A0", "'@SUM(1)", "'+1+1", "-2", "'＝1", "\\x1b[31mred\\x0a2", "plain, too"
    ]  # fmt: skip


def test_a_head_and_a_command_from_strangers_are_harmless_in_markdown(tmp_path: Path) -> None:
    one = entry({"a|b\x1b[2J": 1}).model_copy(update={"command": ["train", "\x1b[2J"]})
    finished(tmp_path / folders.RUNS / "run", 2.5)
    folders.write(tmp_path, Plan(name="x", runs={"run": one}))
    text = formats.as_markdown(results.read(tmp_path))
    assert text.startswith("| a\\|b\\x1b[2J |") and "\x1b" not in text


def test_runs_without_a_plan_are_told_apart_by_their_configurations(tmp_path: Path) -> None:
    for name, (rate, seed, loss) in {
        "a": (0.1, 1, 2.6),
        "b": (0.1, 2, 2.4),
        "c": (0.2, 1, 2.45),
    }.items():
        finished(tmp_path / folders.RUNS / name, loss)
        configuration = f"train: {{lr: {rate}, seed: {seed}, steps: 20}}\n"
        (tmp_path / folders.RUNS / name / "config.yaml").write_text(configuration)
    found = results.read_any(tmp_path)
    assert found.columns == ["train.lr"] and found.name == tmp_path.name
    assert [group.varied["train.lr"] for group in found.groups] == [0.2, 0.1]
    assert found.best is not None and found.best.name == "c"
    assert "--set train.lr=0.2" in found.best.command and "train.steps=20" in found.best.command


def test_a_loss_that_has_grown_out_of_all_measure_is_shown_in_short(tmp_path: Path) -> None:
    runs = {f"s{k}": ({"train.lr": 9}, k, loss) for k, loss in enumerate((1e299, 3e299))}
    _, rows = formats.table(results.read(trained(tmp_path / "x", runs)))
    assert rows[0][1] == "2e+299 ± 1.414e+299"
