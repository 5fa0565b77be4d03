"""Runs that are listed, compared, called by a name, and meant when none is named."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from makemore_bp import config
from makemore_bp.training import about, run_folder, start
from makemore_bp.training.loop import SILENT
from tests.report.report_helpers import sketched  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[2]
COLUMNS = ["name", "when", "words", "recipe", "steps", "train", "val"]
COLUMNS += ["engine", "speed", "state", "note"]


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that tests copy."""
    folder = tmp_path_factory.mktemp("once")
    words = folder / "words.txt"
    words.write_text("\n".join(f"{a}{b}na" for a in "abcdelmrst" for b in ("an", "o")) + "\n")
    settings = ["model.n_hidden=8", "train.steps=30", "train.batch_size=8", "train.log_every=5"]
    settings += [f"data.path={words}", "train.eval_every=10", "train.checkpoint_every=10"]
    start.new(config.load(None, settings), folder / "run")
    return folder / "run"


@pytest.fixture
def copied(trained_once: Path, tmp_path: Path) -> Callable[..., Path]:
    """Puts a run into a folder, with changes to its configuration and its summary."""

    def copy(name: str, *settings: str, **summary: Any) -> Path:
        folder = tmp_path / name
        shutil.copytree(trained_once, folder)
        changed = config.load(str(folder / run_folder.CONFIG), settings)
        run_folder.write_config(folder, changed)
        path = folder / run_folder.SUMMARY
        path.write_text(json.dumps({**json.loads(path.read_text()), **summary}))
        return folder

    return copy


def listed(cli: Any, folder: Path, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(cli("run", "list", folder, *options, "--json").out)[
        "runs"
    ]
    return found


def names(runs: list[dict[str, Any]]) -> list[str]:
    return [Path(run["run"]).name for run in runs]


def test_forty_runs_of_ten_recipes_are_listed_without_pytorch(
    copied: Callable[..., Path], tmp_path: Path
) -> None:
    for number in range(40):
        copied(f"runs/{number}", f"model.n_hidden={8 + number % 10}", f"train.seed={number}")
    code = (
        "import sys; sys.argv = ['makemore-bp', 'run', 'list', 'runs', '--json']\n"
        "from makemore_bp.cli import main\n"
        "try: main()\n"
        "finally: print('torch' in sys.modules, 'numpy' in sys.modules, file=sys.stderr)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert answer.stderr == "False False\n"
    runs = json.loads(answer.stdout)["runs"]
    assert len(runs) == 40 and len({run["recipe"]["model.n_hidden"] for run in runs}) == 10


def test_a_run_is_listed_with_what_it_was_and_what_it_reached(cli: Any, trained_once: Path) -> None:
    (run,) = listed(cli, trained_once)
    summary = json.loads((trained_once / "summary.json").read_text())
    for key in ("steps", "train_loss", "val_loss", "test_loss", "engine", "steps_per_second"):
        assert run[key] == summary[key]
    assert run["words"] == {"file": str(trained_once.parent / "words.txt"), "count": 20}
    assert run["recipe"]["model.n_hidden"] == 8 and "model.n_embd" not in run["recipe"]
    assert (run["state"], run["of"], run["started"]) == ("finished", 30, summary["started"])


@pytest.mark.parametrize("column", COLUMNS)
def test_any_column_sorts_the_list_in_both_directions(
    cli: Any, copied: Callable[..., Path], tmp_path: Path, column: str
) -> None:
    copied("runs/a", "train.lr=0.3", val_loss=2.5, train_loss=2.4, steps=30, steps_per_second=9.0)
    copied("runs/b", "train.lr=0.2", val_loss=2.1, train_loss=2.6, steps=20, steps_per_second=7.0)
    up, down = (names(listed(cli, tmp_path / "runs", "--sort", f"{s}{column}")) for s in ("", "-"))
    assert sorted(up) == sorted(down) == ["a", "b"]
    first = {"name": "a", "recipe": "b", "steps": "b", "train": "a", "val": "b", "speed": "b"}
    if column in first:
        assert up[0] == first[column] and down == up[::-1]


def test_what_has_no_value_in_a_column_comes_last_in_both_directions(
    cli: Any, copied: Callable[..., Path], tmp_path: Path
) -> None:
    for name, loss in (("none", None), ("low", 1.0), ("high", 3.0)):
        copied(f"runs/{name}", val_loss=loss)
    runs = tmp_path / "runs"
    assert names(listed(cli, runs, "--sort", "val")) == ["low", "high", "none"]
    assert names(listed(cli, runs, "--sort", "-val")) == ["high", "low", "none"]


def test_a_column_that_there_is_not_is_answered_with_those_that_there_are(cli: Any) -> None:
    answer = cli("run", "list", "--sort", "vall")
    assert answer.code == 2 and all(name in answer.err for name in ("vall", *COLUMNS))


@pytest.mark.parametrize("width", [40, 80, 120, 300])
def test_the_list_fits_its_window_and_keeps_the_column_that_it_is_sorted_by(
    cli: Any,
    copied: Callable[..., Path],
    tmp_path: Path,
    width: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(3):
        copied(f"runs/a-run-with-a-name-{number}", "train.lr={0: 0.2, 10: 0.1}", "model.n_embd=7")
    monkeypatch.setenv("COLUMNS", str(width))
    shown = cli("run", "list", tmp_path / "runs", "--sort", "speed").out
    assert max(map(len, shown.splitlines())) <= width
    head = shown.splitlines()[0].split()
    assert {"name", "speed"} <= set(head) and ("val" in head or width == 40)
    missing = {*COLUMNS} - {*head} - {"note"}
    told = shown.partition("A wider window has ")[2].replace("\n", " ")
    assert all(name in told for name in missing)


def test_the_state_of_a_run_is_read_from_its_folder(
    cli: Any, copied: Callable[..., Path], tmp_path: Path
) -> None:
    stopped, running = copied("runs/stopped"), copied("runs/running")
    copied("runs/finished")
    (stopped / "summary.json").unlink()
    (running / "summary.json").unlink()
    with run_folder.locked(running):
        runs = {run["run"]: run for run in listed(cli, tmp_path / "runs")}
    for path in (stopped, running, tmp_path / "runs" / "finished"):
        assert runs[str(path)]["state"] == path.name
    assert runs[str(stopped)]["steps"] == 25 and runs[str(stopped)]["of"] == 30
    assert runs[str(stopped)]["val_loss"] is not None


def test_a_list_does_not_keep_a_run_from_beginning(copied: Callable[..., Path]) -> None:
    from makemore_bp import locks

    run = copied("run")
    with run_folder.locked(run):
        assert locks.is_held(run)
    assert not locks.is_held(run)
    with run_folder.locked(run):
        pass


def test_a_mark_in_the_place_of_a_lock_counts_while_its_process_lives(tmp_path: Path) -> None:
    from makemore_bp import locks

    ended = subprocess.Popen(["true"])
    ended.wait()
    here = socket.gethostname()
    for process, host, held in (
        (os.getpid(), here, True),
        (ended.pid, here, False),
        (ended.pid, "elsewhere", True),
        ("no number", here, True),
    ):
        (tmp_path / locks.MARK).write_text(f"{process}\n{host}\n")
        assert locks.is_held(tmp_path) is held


def test_a_run_that_diverges_is_listed_as_such_until_it_goes_on(
    cli: Any, small: list[str], tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "wild"
    assert cli("train", *small, "--set", "train.lr=1e30", "--out", run, "--quiet").code == 1
    (found,) = listed(cli, tmp_path / "runs")
    assert found["state"] == "diverged"
    assert cli("train", *small, "--out", run, "--overwrite", "--quiet").code == 0
    (found,) = listed(cli, tmp_path / "runs")
    assert found["state"] == "finished" and not (run / run_folder.FAILURE).exists()


def test_the_runs_of_an_experiment_are_found_below_it(
    cli: Any, copied: Callable[..., Path], tmp_path: Path
) -> None:
    for name in ("all/alone", "all/sweep/runs/one", "all/sweep/runs/two"):
        copied(name)
    assert sorted(names(listed(cli, tmp_path / "all"))) == ["alone", "one", "two"]
    assert sorted(names(listed(cli, tmp_path / "all" / "sweep"))) == ["one", "two"]
    assert "sweep/runs/one" in cli("run", "list", tmp_path / "all").out


FORGED: dict[str, list[str | bytes]] = {
    "config.yaml": ["", "[", "train: {steps: x}", b"\xff\xfe", "a: " * 3000],
    "summary.json": ["[", "[]", '{"train_loss": "x"}', "[" * 5000],
    "about.json": ["{", '{"sessions": 3}', '{"sessions": [{"started": "noon"}]}', '{"words": -1}'],
    "failure.json": ["{}"],
}


@pytest.mark.parametrize(
    ("file", "content"), [(file, content) for file, all_ in FORGED.items() for content in all_]
)
def test_a_forged_file_is_named_and_its_run_passed_over(
    cli: Any, copied: Callable[..., Path], tmp_path: Path, file: str, content: str | bytes
) -> None:
    copied("runs/good")
    bad = copied("runs/bad")
    if file == "failure.json":
        (bad / "summary.json").unlink()
    (bad / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    answer = cli("run", "list", tmp_path / "runs")
    if content == "":  # all keys have defaults, so this is a configuration
        assert answer.err == "" and "bad" in answer.out
        return
    assert answer.code == 0 and "good" in answer.out and "bad" not in answer.out
    assert answer.err.startswith("Skipped: ") and str(bad) in answer.err
    assert answer.err.count("\n") == 1 and "Traceback" not in answer.err


def test_forged_metrics_hide_no_run(cli: Any, copied: Callable[..., Path], tmp_path: Path) -> None:
    run = copied("runs/odd")
    (run / "summary.json").unlink()
    for content in (b"", b"\x00" * 100, b'{"step": 1e999}\n', b'{"step": -5, "train_loss": "x"}\n'):
        (run / "metrics.jsonl").write_bytes(content)
        (found,) = listed(cli, tmp_path / "runs")
        assert (found["steps"], found["train_loss"], found["state"]) == (0, None, "stopped")


def test_folders_that_are_no_runs_are_named(
    cli: Any, copied: Callable[..., Path], tmp_path: Path
) -> None:
    copied("runs/good")
    half = copied("runs/half")
    for name in ("summary.json", "checkpoint.safetensors"):
        (half / name).unlink()
    (tmp_path / "runs" / "notes").mkdir()
    (tmp_path / "runs" / ".git").mkdir()
    (tmp_path / "runs" / "file").write_text("")
    answer = cli("run", "list", tmp_path / "runs", "--json")
    skipped = {Path(one["folder"]).name: one["reason"] for one in json.loads(answer.out)["skipped"]}
    assert set(skipped) == {"half", "notes"}
    assert "has saved nothing yet" in skipped["half"]


def test_a_folder_without_runs_and_one_that_is_not_there_are_said(cli: Any, tmp_path: Path) -> None:
    answer = cli("run", "list", tmp_path)
    assert (answer.code, answer.out) == (0, "") and "holds no runs" in answer.err
    answer = cli("run", "list", tmp_path / "none")
    assert answer.code == 2 and "There is no folder" in answer.err


def test_names_and_notes_cannot_move_the_cursor(
    cli: Any, copied: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    run = copied("runs/evil\x1b[2J")
    hostile = {"name": "\x1b]0;x\x07", "note": "[red]\x1b[31m\u202e", "words": 3, "sessions": []}
    (run / about.NAME).write_text(json.dumps(hostile))
    out = cli("run", "list", tmp_path / "runs").out
    assert "\x1b" not in out and "\u202e" not in out and "[red]" in out


def test_two_runs_are_compared_by_the_keys_that_differ_and_no_others(
    cli: Any, copied: Callable[..., Path]
) -> None:
    one = copied("one", "train.lr=0.3", val_loss=2.25)
    two = copied("two", "model.n_embd=7", val_loss=2.5)
    found = json.loads(cli("run", "compare", one, two, "--json").out)
    assert found["differences"] == {
        "model.n_embd": [10, 7],
        "train.lr": [0.3, {"0": 0.1, "100000": 0.01}],
    }
    assert [run["val_loss"] for run in found["runs"]] == [2.25, 2.5]
    shown = cli("run", "compare", one, two).out
    assert "model.n_embd" in shown and "model.n_hidden" not in shown
    assert "2.2500" in shown and "2.5000" in shown and shown.count("Loss of the minibatches") == 2


def test_runs_of_one_configuration_are_said_to_be(cli: Any, copied: Callable[..., Path]) -> None:
    answer = cli("run", "compare", copied("one"), copied("two"))
    assert "The configurations are the same." in answer.out


@pytest.mark.usefixtures("sketched")
def test_a_comparison_is_written_as_a_page_too(
    cli: Any, copied: Callable[..., Path], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    runs = copied("a/run", "train.lr=0.3"), copied("b/run")
    answer = cli("run", "compare", *runs, "--html", tmp_path / "both.html")
    assert answer.code == 0 and "both.html" in answer.out
    page = (tmp_path / "both.html").read_text(encoding="utf-8")
    assert all(str(run) in page for run in runs) and "train.lr" in page


def test_one_run_is_not_compared_and_none_is_named(cli: Any, copied: Callable[..., Path]) -> None:
    one = copied("one")
    assert cli("run", "compare", one).code == 2
    answer = cli("run", "compare", one, one.parent / "none")
    assert answer.code == 2 and "none is not the folder of a run" in answer.err


def test_a_name_is_a_title_and_a_folder(
    cli: Any, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    named = ("--name", "My best: try", "--note", "warmer")
    summaries = [json.loads(cli("train", *small, *named, "--json").out) for _ in range(2)]
    assert [one["run"] for one in summaries] == ["runs/My-best-try", "runs/My-best-try-2"]
    assert (summaries[0]["name"], summaries[0]["note"]) == ("My best: try", "warmer")
    assert "--name 'My best: try'" in summaries[0]["command"]
    shown = cli("run", "list").out
    assert "My-best-try-2" in shown and "warmer" in shown
    for name in ("", " ", "x" * 101):
        assert cli("train", "--name", name).code == 2


def test_the_summary_says_when_how_long_how_and_where(trained_once: Path) -> None:
    summary = json.loads((trained_once / "summary.json").read_text())
    began, ended = (datetime.fromisoformat(summary[key]) for key in ("started", "ended"))
    assert began <= ended <= datetime.now(UTC)
    assert summary["duration"] == (ended - began).total_seconds()
    assert set(summary["machine"]) == {"processor", "cores", "system", "python"}
    assert "run" not in summary["machine"]["system"]


def test_a_run_that_goes_on_keeps_its_name_and_adds_to_its_sessions(
    cli: Any, small: list[str], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert cli("train", *small, "--out", run, "--name", "x", "--note", "y", "--quiet").code == 0
    first = json.loads((run / "summary.json").read_text())
    assert cli("train", "--resume", run, "--set", "train.steps=60", "--quiet").code == 0
    both = json.loads((run / "summary.json").read_text())
    assert [both[key] for key in ("name", "note", "started", "command")] == [
        first[key] for key in ("name", "note", "started", "command")
    ]
    one, two = both["sessions"]
    assert one["started"] == first["started"] and "--resume" in two["command"]
    parts = [datetime.fromisoformat(s["ended"]) - datetime.fromisoformat(s["started"])
             for s in (one, two)]  # fmt: skip
    assert both["duration"] == pytest.approx(sum(part.total_seconds() for part in parts))
    refused = cli("train", "--resume", run, "--note", "z")
    assert refused.code == 2 and "--note" in refused.err


def test_a_session_that_was_killed_ended_with_its_last_state(tmp_path: Path) -> None:
    saved = tmp_path / "checkpoint"
    saved.write_bytes(b"")
    about.begin(tmp_path, about.Origin("x"), 3, "torch")
    began = about.moment(about.read(tmp_path).sessions[0].started)
    os.utime(saved, (0, began.timestamp() + 100))
    about.go_on(tmp_path, about.Origin(), "torch", saved)
    killed, now = about.read(tmp_path).sessions
    assert killed.seconds == pytest.approx(100, abs=0.01) and now.ended is None


def test_what_is_known_of_a_run_is_not_thrown_away_when_its_file_is_damaged(
    cli: Any, copied: Callable[..., Path]
) -> None:
    run = copied("run")
    (run / about.NAME).write_text("{")
    answer = cli("train", "--resume", run, "--set", "train.steps=40")
    assert answer.code == 2 and about.NAME in answer.err and "remove it" in answer.err
    assert (run / about.NAME).read_text() == "{"


def test_a_run_of_an_earlier_version_is_listed_and_goes_on(
    cli: Any, copied: Callable[..., Path]
) -> None:
    run = copied("runs/old")
    (run / about.NAME).unlink()
    (found,) = listed(cli, run.parent)
    assert (found["name"], found["started"], found["words"]["count"]) == (None, None, None)
    assert cli("train", "--resume", run, "--set", "train.steps=40", "--quiet").code == 0


@pytest.mark.parametrize("command", [["sample", "-n", "3"], ["eval"], ["report", "--terminal"]])
def test_without_a_run_the_latest_one_is_meant_and_named(
    cli: Any,
    copied: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
) -> None:
    old, new = copied("runs/z-old"), copied("runs/sweep/runs/new")
    os.utime(old / run_folder.CHECKPOINT, (0, 1_000_000_000))
    monkeypatch.chdir(tmp_path)
    meant, named = cli(*command), cli(command[0], new.relative_to(tmp_path), *command[1:])
    assert meant.err == "The latest run: runs/sweep/runs/new\n"
    assert (meant.code, meant.out) == (0, named.out) and named.err == ""
    if command[0] == "sample":
        assert len(meant.out.splitlines()) == 3


def test_without_any_run_there_is_nothing_to_mean(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in ("sample", "eval", "report"):
        answer = cli(command)
        assert answer.code == 2 and "There is no run under runs" in answer.err
    assert cli("sample", "--help").code == 0


def test_what_the_python_interface_trains_is_listed_too(tmp_path: Path, small: list[str]) -> None:
    start.new(config.load(None, small[1::2]), tmp_path / "run", SILENT)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["command"] is None and summary["sessions"][0]["engine"] == summary["engine"]
