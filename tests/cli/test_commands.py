"""The commands as a person types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from makemore_bp import config
from makemore_bp.cli import progress

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(cli: Any, small: list[str], tmp_path: Path) -> Path:
    """The folder of a small finished run."""
    folder = tmp_path / "run"
    assert cli("train", *small, "--out", folder, "--quiet").code == 0
    return folder


def test_train_shows_losses_beside_baselines_and_twenty_names(
    cli: Any, small: list[str], tmp_path: Path
) -> None:
    answer = cli("train", *small, "--out", tmp_path / "run")
    assert answer.code == 0
    for word in ("train", "validation", "test", "bigram", "uniform", "Fresh names: "):
        assert word in answer.out
    names = answer.out.split("Fresh names: ")[1].split("More of them")[0]
    assert names.count(",") == 19


def test_train_writes_the_folder_of_the_contract(run: Path) -> None:
    files = {"config.yaml", "metrics.jsonl", "checkpoint.safetensors", "summary.json"}
    assert files <= {path.name for path in run.iterdir()}
    assert config.load(str(run / "config.yaml")).train.steps == 30


def test_train_json_is_the_summary_and_the_folder(
    cli: Any, small: list[str], tmp_path: Path
) -> None:
    answer = cli("train", *small, "--out", tmp_path / "run", "--json")
    summary = json.loads(answer.out)
    assert summary["run"] == str(tmp_path / "run") and summary["steps"] == 30


def test_train_quiet_prints_nothing(cli: Any, small: list[str], tmp_path: Path) -> None:
    answer = cli("train", *small, "--out", tmp_path / "run", "--quiet")
    assert (answer.code, answer.out, answer.err) == (0, "", "")


def test_train_without_out_takes_the_next_free_folder(
    cli: Any, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for expected in ("runs/quick", "runs/quick-2", "runs/quick-3"):
        answer = cli("train", "quick", *small, "--json")
        assert json.loads(answer.out)["run"] == expected


def test_train_replaces_a_run_only_when_told_to(cli: Any, small: list[str], run: Path) -> None:
    before = (run / "checkpoint.safetensors").read_bytes()
    refused = cli("train", *small, "--out", run, "--set", "train.steps=10")
    assert refused.code == 2 and "--overwrite" in refused.err
    assert (run / "checkpoint.safetensors").read_bytes() == before
    replaced = cli("train", *small, "--out", run, "--overwrite", "--set", "train.steps=10")
    assert replaced.code == 0
    assert json.loads((run / "summary.json").read_text())["steps"] == 10


def test_where_nobody_watches_a_line_tells_the_beginning_and_every_evaluation(
    cli: Any, small: list[str], words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = cli("train", *small, "--out", tmp_path / "run").err.splitlines()
    assert told[0].startswith("Training ") and " parameters on " in told[0]
    for part in (str(words), "30 steps", str(tmp_path / "run"), "Engine: "):
        assert part in told[0]
    assert [line.split(":")[0].split() for line in told[1:]] == [
        ["step", n] for n in ["0", "10", "20"]
    ]
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    often = cli("train", *small, "--out", tmp_path / "again").err
    assert "of 30: loss" in often and "steps a second" in often


def test_the_bar_has_no_number_before_there_is_one_and_says_what_the_end_waits_for(
    cli: Any, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = StringIO()
    terminal = Console(file=screen, force_terminal=True, width=100, color_system=None)
    monkeypatch.setattr(progress, "Console", lambda **_: terminal)
    assert cli("train", *small, "--out", tmp_path / "run").err == ""
    shown = screen.getvalue()
    assert "nan" not in shown and "lr 0 " not in shown and "loss" in shown
    assert "step 30/30 evaluating" in shown


def test_a_list_of_words_is_trained_on_wherever_it_is_named(
    cli: Any, words: Path, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rest = [part for part in small if "data.path" not in part][1:]
    runs = [
        json.loads(cli("train", *named, *rest, "--json").out)["run"]
        for named in ([words.name], ["--data", words], ["quick", "--data", words])
    ]
    assert runs == ["runs/words", "runs/words-2", "runs/quick"]
    for run in runs:
        assert config.load(f"{run}/config.yaml").data.path == str(words)


def test_a_finished_run_is_not_touched_by_resuming_it(cli: Any, run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (run, *run.iterdir())}
    answer = cli("train", "--resume", run)
    assert answer.code == 0 and "is finished: its 30 steps are trained" in answer.out
    assert "--set train.steps=60" in answer.out and answer.err == ""
    assert cli("train", "--resume", run, "--quiet").out == ""
    summary = json.loads((run / "summary.json").read_text())
    assert json.loads(cli("train", "--resume", run, "--json").out) == {"run": str(run), **summary}
    assert {path: path.stat().st_mtime_ns for path in (run, *run.iterdir())} == before


@pytest.mark.parametrize("summary", ["", "[]", '{"steps": 3}', "[" * 5000])
def test_a_run_whose_summary_is_missing_or_odd_gets_one(cli: Any, run: Path, summary: str) -> None:
    (run / "summary.json").write_text(summary)
    assert cli("train", "--resume", run, "--quiet").code == 0
    assert json.loads((run / "summary.json").read_text())["steps"] == 30


def test_sample_prints_one_name_a_line_and_nothing_else(cli: Any, run: Path) -> None:
    answer = cli("sample", run, "-n", "7")
    assert answer.code == 0 and answer.err == ""
    assert len(answer.out.splitlines()) == 7


def test_sample_repeats_itself_for_a_seed_and_extends_for_a_number(cli: Any, run: Path) -> None:
    few, many = (cli("sample", run, "-n", n).out.splitlines() for n in (5, 2000))
    assert many[:5] == few
    assert cli("sample", run, "-n", "5", "--seed", "1").out.splitlines() != few


def test_sample_only_new_leaves_out_the_files_words(cli: Any, run: Path, words: Path) -> None:
    known = set(words.read_text().split())
    all_names = set(cli("sample", run, "-n", "3000", "--temperature", "0.5").out.splitlines())
    new_names = cli("sample", run, "-n", "50", "--temperature", "0.5", "--only-new").out
    assert not known & set(new_names.splitlines())
    assert len(all_names) > 0


def test_sample_begins_with_the_prefix(cli: Any, run: Path) -> None:
    names = cli("sample", run, "-n", "30", "--prefix", "ana").out.splitlines()
    assert len(names) == 30 and all(name.startswith("ana") for name in names)


def test_sample_top_k_of_one_always_draws_the_likeliest(cli: Any, run: Path) -> None:
    names = cli("sample", run, "-n", "10", "--top-k", "1", "--max-length", "40").out.splitlines()
    assert len(set(names)) == 1


@pytest.mark.parametrize("temperature", ["1e-320", "1e-310", "1e-300", "5e-324"])
def test_the_coldest_temperature_draws_the_likeliest(cli: Any, run: Path, temperature: str) -> None:
    likeliest = cli("sample", run, "-n", "2", "--top-k", "1", "--max-length", "40").out
    cold = cli("sample", run, "-n", "2", "--temperature", temperature, "--max-length", "40").out
    assert cold == likeliest


def test_a_prefix_is_spelt_as_the_runs_words_are(
    cli: Any, words: Path, small: list[str], tmp_path: Path
) -> None:
    words.write_text("caf\u00e9\ncafe\u0301s\n" * 20)
    composed = ["--set", "data.normalize=NFC"]
    assert cli("train", *small, *composed, "--out", tmp_path / "run", "--quiet").code == 0
    names = cli("sample", tmp_path / "run", "-n", "5", "--prefix", "cafe\u0301").out
    assert all(name.startswith("caf\u00e9") for name in names.splitlines())
    assert cli("sample", tmp_path / "run", "-n", "5", "--only-new").code == 0


def test_sample_json_holds_the_names(cli: Any, run: Path) -> None:
    found = json.loads(cli("sample", run, "-n", "4", "--json").out)["names"]
    assert found == cli("sample", run, "-n", "4").out.splitlines()


def test_eval_gives_the_losses_of_the_summary(cli: Any, run: Path) -> None:
    found = json.loads(cli("eval", run, "--json").out)
    summary = json.loads((run / "summary.json").read_text())
    for split in ("train_loss", "val_loss", "test_loss"):
        assert found[split] == pytest.approx(summary[split], abs=1e-6)
    assert "bigram" in cli("eval", run).out


def test_config_show_prints_what_reads_back(cli: Any, tmp_path: Path) -> None:
    shown = tmp_path / "shown.yaml"
    shown.write_text(cli("config", "show", "op-by-op", "--set", "train.lr=0.2").out)
    assert config.load(str(shown)) == config.load("op-by-op", ["train.lr=0.2"])


def test_config_check_names_each_file(cli: Any) -> None:
    answer = cli("config", "check", "lecture", "quick")
    assert answer.out.splitlines() == ["lecture: valid", "quick: valid"]


def test_config_check_tells_every_mistake_of_every_file(cli: Any, tmp_path: Path) -> None:
    for name, content in {"a": "train: {stepz: 1, lr: x}", "b": "data: {path: none.txt}"}.items():
        (tmp_path / f"{name}.yaml").write_text(content)
    answer = cli("config", "check", tmp_path / "a.yaml", "quick", tmp_path / "b.yaml")
    assert answer.code == 2 and answer.out == "quick: valid\n"
    for told in ("'train.stepz'", "train.lr: must be", "none.txt does not exist"):
        assert told in answer.err


def test_there_is_a_schema_for_experiments_too(cli: Any) -> None:
    schema = json.loads(cli("config", "schema", "--experiment").out)
    assert {"name", "base", "grid", "variants", "seeds"} <= set(schema["properties"])


def test_config_schema_describes_every_key(cli: Any) -> None:
    schema = json.loads(cli("config", "schema").out)
    found = set()
    for section, part in schema["properties"].items():
        name = part.get("$ref", "").rsplit("/", 1)[-1]
        if name:
            properties = schema["$defs"][name]["properties"]
            found |= {f"{section}.{key}" for key in properties}
            assert all("description" in value for value in properties.values())
        else:
            found.add(section)
    assert found == {"base", *config.all_keys()}


def test_data_info_counts(cli: Any, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("bo\nanna\n\nbo\n")
    facts = json.loads(cli("data", "info", path, "--json").out)
    assert (facts["words"], facts["distinct"], facts["blank_lines"]) == (3, 2, 1)
    assert facts["length"] == {"min": 2, "max": 4, "mean": 8 / 3}
    assert facts["repeated"] == [["bo", 2]]
    assert facts["examples"] == 11
    assert "a b n o" in cli("data", "info", path).out


def test_data_info_lists_refused_lines_harmlessly(cli: Any, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(b"anna\n\x1b[31mred\n[red]bo[/red]\n")
    answer = cli("data", "info", path)
    assert answer.code == 2
    assert "line 2" in answer.out and "\x1b" not in answer.out and "[red]bo[/red]" in answer.out


def test_data_info_remarks_on_two_spellings_and_shows_marks_that_stand_alone(
    cli: Any, tmp_path: Path
) -> None:
    path = tmp_path / "words.txt"
    path.write_text("caf\u00e9\ncafe\u0301\nb\u200do o\n", encoding="utf-8")
    shown = cli("data", "info", path).out
    assert "1 word is not in Unicode's composed form (NFC); in both forms: cafe\u0301" in shown
    assert "--set data.normalize=NFC" in shown
    assert "\u25cc\u0301" in shown and "\\u200d" in shown and "\\x20" in shown


def test_help_and_version_do_not_import_torch() -> None:
    code = (
        "import sys; sys.argv = ['makemore-bp', *sys.argv[1:]]\n"
        "from makemore_bp.cli import main\n"
        "try: main()\n"
        "finally: print('torch' in sys.modules, 'pydantic' in sys.modules)\n"
    )
    for option in ("--help", "--version"):
        answer = subprocess.run(
            [sys.executable, "-c", code, option],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert answer.stdout.splitlines()[-1] == "False False"


def test_an_interrupt_while_the_program_loads_ends_it_quietly() -> None:
    code = (
        "import sys\n"
        "class Interrupting:\n"
        "    def find_spec(name, *_):\n"
        "        if name == 'makemore_bp.cli.train': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting)\n"
        "from makemore_bp.cli import main\n"
        "main()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)
    assert (answer.returncode, answer.stdout, answer.stderr) == (130, b"", b"")


@pytest.mark.parametrize("columns", ["40", "80", "120"])
@pytest.mark.parametrize(
    "command",
    [
        "",
        "train",
        "sample",
        "eval",
        "gradcheck",
        "exercise",
        "report",
        "run list",
        "run compare",
        "config copy",
        "data info",
    ],
)
def test_every_command_explains_itself_in_any_window(
    cli: Any, command: str, columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    answer = cli(*command.split(), "--help")
    assert answer.code == 0 and "Usage" in answer.out
    assert max(map(len, answer.out.splitlines())) <= int(columns)
    assert "<bool>" not in answer.out and "9223372036854775807" not in answer.out


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--train.steps=100", "--set train.steps=100."),
        ("--max_iters=100", "--set train.steps=100."),
        ("--learning-rate", "--set train.lr=VALUE."),
        ("--seeds=3", ""),
        ("--n-hidden=3", "--set model.n_hidden=3."),
        ("--seed=3", "--set data.seed=3 or --set train.seed=3."),
        ("--\x1b[2J=3", ""),
    ],
)
def test_an_option_that_is_called_like_a_key_is_told_how_to_set_it(
    cli: Any, typed: str, meant: str
) -> None:
    answer = cli("train", typed)
    assert answer.code == 2 and "No such option" in answer.err and "\x1b" not in answer.err
    told = answer.err.partition("A configuration's key is set by ")[2].strip()
    assert told == meant


def test_shells_can_complete_the_commands(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    words = {"_MAKEMORE_BP_COMPLETE": "complete_bash", "COMP_WORDS": "makemore-bp tr"}
    for name, value in {**words, "COMP_CWORD": "1"}.items():
        monkeypatch.setenv(name, value)
    assert cli().out.strip() == "train"


def test_a_reader_that_closes_the_pipe_is_no_error(run: Path) -> None:
    command = f"{sys.executable} -m makemore_bp sample {run} -n 200000 | head -n 1"
    answer = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (answer.returncode, answer.stderr, len(answer.stdout.splitlines())) == (0, "", 1)


def test_a_full_output_device_is_said(shell: Any, run: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "w") as full:
        answer = subprocess.run(
            [sys.executable, "-m", "makemore_bp", "sample", str(run), "-n", "5"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    assert answer.returncode == 2 and "Traceback" not in answer.stderr
    assert "No space left" in answer.stderr


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8"])
def test_words_of_any_script_survive_any_locale(shell: Any, tmp_path: Path, locale: str) -> None:
    path = tmp_path / "words.txt"
    path.write_text("\n".join(["Åsa", "Zoë", "李明", "नेहा"] * 5), encoding="utf-8")
    settings = [
        "--set",
        f"data.path={path}",
        "--set",
        "train.steps=5",
        "--set",
        "train.batch_size=4",
    ]
    answer = shell(
        "train", *settings, "--out", tmp_path / "run", env={"LC_ALL": locale, "PYTHONUTF8": "0"}
    )
    assert answer.returncode == 0, answer.stderr
    assert "Fresh names" in answer.stdout


def test_a_narrow_window_wraps_and_does_not_break(
    shell: Any, small: list[str], tmp_path: Path
) -> None:
    for columns in ("20", "1", "0"):
        answer = shell(
            "train", *small, "--out", tmp_path / columns, env={"COLUMNS": columns, "LINES": "0"}
        )
        assert answer.returncode == 0, answer.stderr
        assert answer.stdout
