"""Homes, working folders, locales, paths and interpreters that are not as usual."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from makemore_bp.errors import RequestError
from makemore_bp.files import write_whole
from tests.processes import finished

ROOT = Path(__file__).parents[2]
TINY = ["model.n_hidden=4", "train.steps=5", "train.batch_size=4"]


# Several commands in one interpreter; its exit code is theirs where none has failed.
SEVERAL = """
import sys
from makemore_bp.cli import main
line = [*sys.argv[1:], "then"]
while line:
    end = line.index("then")
    sys.argv, line = ["makemore-bp", *line[:end]], line[end + 1 :]
    try:
        main()
    except SystemExit as stopped:
        if stopped.code:
            raise
"""


def several(*commands: Sequence[object], **options: Any) -> Any:
    """Runs commands one after the other until one fails."""
    first, *others = commands
    line = [*first, *(word for command in others for word in ("then", *command))]
    return program(*line, start=("-c", SEVERAL), **options)


def program(
    *arguments: object,
    flags: tuple[str, ...] = (),
    start: Any = ("-m", "makemore_bp"),
    **options: Any,
) -> Any:
    """Runs the command in a process; ``env`` is added to the environment, None takes away."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    python = [*options.pop("before", ()), sys.executable, *flags]
    return subprocess.run(
        [*python, *start, *map(str, arguments)],
        env={key: value for key, value in environment.items() if value is not None},
        capture_output=True,
        text=True,
        **options,
    )  # fmt: skip


def overrides(*values: str) -> list[str]:
    return [part for value in (*TINY, *values) for part in ("--set", value)]


@pytest.mark.parametrize("home", [None, "/proc"])
def test_a_home_that_is_missing_or_cannot_be_written_matters_to_nobody(
    home: str | None, words: Path
) -> None:
    here = words.parent
    answer = finished(
        "train", *overrides("data.path=words.txt"), "--out", "run", cwd=here,
        env={"HOME": home, "XDG_CACHE_HOME": home, "XDG_CONFIG_HOME": home},
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_tilde_that_stands_for_nobody_is_a_name(cli: Any) -> None:
    answer = cli("train", "--set", "data.path=~nobody-of-this-name/words.txt")
    assert answer.code == 2 and "does not exist" in answer.err


def test_a_read_only_working_folder_is_named(words: Path) -> None:
    setpriv = shutil.which("setpriv")
    if os.geteuid() == 0 and setpriv is None:
        pytest.skip("root may write everywhere, and there is no setpriv to become somebody else")
    folder = words.parent / "read-only"
    folder.mkdir(mode=0o555)
    # Nobody must be able to reach the interpreter, the package and the folder.
    before = (
        [setpriv, "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    )
    for above in (folder, *folder.parents):
        if os.geteuid() == 0 and str(above).startswith("/tmp/pytest"):
            above.chmod(above.stat().st_mode | 0o055)
    if program("--version", before=before, cwd=folder).returncode != 0:
        pytest.skip("another user cannot run this interpreter")
    for arguments in (["train", *overrides()], ["exercise", "new"]):
        answer = program(*arguments, before=before, cwd=folder)
        assert answer.returncode == 2 and "Permission denied" in answer.stderr, answer.stderr
        assert "Traceback" not in answer.stderr and len(answer.stderr.splitlines()) == 1


def test_a_working_folder_that_was_deleted_is_told(tmp_path: Path) -> None:
    line = (
        f"mkdir gone && cd gone && rmdir ../gone && '{sys.executable}' -m makemore_bp config show"
    )
    answer = subprocess.run(
        ["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert answer.returncode == 2 and "working folder" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("utf8", ["0", "1"])
def test_words_and_names_of_other_scripts_survive_the_locale_c(utf8: str, tmp_path: Path) -> None:
    locale = {
        "LC_ALL": "C", "LANG": None, "PYTHONUTF8": utf8, "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": None,
    }  # fmt: skip
    place = tmp_path / "Wörter 李"
    place.mkdir()
    # Where Python itself is told to know ASCII only, a file cannot name what the system cannot.
    name = "naïve.txt" if utf8 == "1" else "naive.txt"
    (place / name).write_text("zoë\nbjörn\n李娜\n" * 10, encoding="utf-8")
    (place / "run.yaml").write_text(f"data: {{path: {name}}}\n", encoding="utf-8")
    out = place / "läuft"
    train = ["train", place / "run.yaml", *overrides(), "--out", out]
    answer = several(train, ["sample", out, "-n", 3], ["data", "info", place / name], env=locale)
    assert answer.returncode == 0 and "Traceback" not in answer.stderr, answer.stderr


def test_a_name_that_is_no_unicode_is_refused_or_used_but_never_a_traceback(words: Path) -> None:
    name = os.fsdecode(b"w\xff.txt")
    try:
        (words.parent / name).write_bytes(words.read_bytes())
    except OSError:
        pytest.skip("this file system takes only names in UTF-8")
    here = words.parent
    assert finished("data", "info", name, cwd=here).returncode == 0
    refused = finished("train", *overrides(), "--set", f"data.path={name}", cwd=here)
    assert refused.returncode == 2 and "not Unicode text. Rename the file" in refused.stderr
    run = finished("train", *overrides("data.path=words.txt"), "--out", name + "run", cwd=here)
    assert run.returncode == 0 and "\\udcff" in run.stdout


def test_very_long_paths_work_up_to_the_systems_limit_and_are_refused_beyond(
    words: Path, cli: Any
) -> None:
    deep = words.parent
    while len(str(deep)) < 1500:
        deep = deep / ("d" * 200)
    trained = cli("train", *overrides(f"data.path={words}"), "--out", deep)
    assert trained.code == 0
    assert cli("eval", deep).code == 0
    again = cli("train", "--resume", deep, "--set", "train.lr=7")
    assert again.code == 2
    for beyond in (deep / ("d" * 300), Path(str(deep) * 4)):
        for command in (["train", *overrides(), "--out", beyond], ["sample", beyond],
                        ["data", "info", beyond], ["train", beyond], ["exercise", "new", beyond],
                        ["gradcheck", "--file", beyond]):  # fmt: skip
            answer = cli(*command)
            assert answer.code == 2 and "Traceback" not in answer.err and answer.err


def test_paths_in_a_file_are_relative_to_it_and_a_moved_run_still_works(
    words: Path, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = words.parent
    (here / "settings").mkdir()
    (here / "settings" / "run.yaml").write_text("data: {path: ../words.txt}\n")
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    assert cli("train", "../settings/run.yaml", *overrides(), "--out", "run").code == 0
    (here / "elsewhere" / "run").rename(here / "moved")
    monkeypatch.chdir("/")
    moved = here / "moved"
    assert cli("sample", moved, "-n", 2).code == 0
    assert cli("eval", moved).code == 0
    assert cli("train", "--resume", moved, "--set", "train.steps=7").code == 0


def test_data_that_is_gone_is_needed_only_by_what_reads_it(
    words: Path, run: Path, cli: Any
) -> None:
    words.rename(words.parent / "other.txt")
    assert cli("sample", run, "-n", 2).code == 0
    longer = ["train", "--resume", run, "--set", "train.steps=35"]
    for arguments in (["eval", run], ["sample", run, "--only-new"], longer):
        answer = cli(*arguments)
        assert answer.code == 2 and "words.txt does not exist" in answer.err
    assert (run / "summary.json").exists()
    named = ["--set", f"data.path={words.parent / 'other.txt'}", "--set", "train.steps=35"]
    assert cli("train", "--resume", run, *named).code == 0


def test_python_may_leave_out_assertions_and_documentation(words: Path) -> None:
    out = words.parent / "run"
    answer = program("train", *overrides(f"data.path={words}"), "--out", out, flags=("-OO",))
    assert answer.returncode == 0 and "Traceback" not in answer.stderr, answer.stderr


def test_no_device_is_replaced_by_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(RequestError, match="not a regular file"):
        write_whole(pipe, b"x")
    assert pipe.is_fifo()


def test_a_name_as_long_as_the_system_allows_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    write_whole(path, b"x")
    assert path.read_bytes() == b"x" and list(tmp_path.iterdir()) == [path]
