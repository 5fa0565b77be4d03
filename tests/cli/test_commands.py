"""The commands as a person types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from makemore_bp import config

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
    assert answer.err == ""  # progress is silent where standard error is no terminal


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
    assert found == set(config.all_keys())


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


@pytest.mark.parametrize(
    "command", ["train", "sample", "eval", "gradcheck", "exercise", "report", "config", "data"]
)
def test_every_command_explains_itself(cli: Any, command: str) -> None:
    answer = cli(command, "--help")
    assert answer.code == 0 and "Usage" in answer.out


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
