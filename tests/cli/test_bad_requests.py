"""Requests that cannot be carried out: exit 2, one readable paragraph, nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TRAIN = ["train", "--out", "{here}/out"]


def data(content: bytes) -> Callable[[Path], list[str]]:
    def request(here: Path) -> list[str]:
        (here / "words.txt").write_bytes(content)
        return [*TRAIN, "--set", "data.path={here}/words.txt"]

    return request


def file(content: str | bytes) -> Callable[[Path], list[str]]:
    def request(here: Path) -> list[str]:
        raw = content if isinstance(content, bytes) else content.encode()
        (here / "config.yaml").write_bytes(raw)
        return [*TRAIN, "{here}/config.yaml"]

    return request


def typed(*arguments: str) -> Callable[[Path], list[str]]:
    return lambda here: list(arguments)


def key(override: str) -> Callable[[Path], list[str]]:
    return lambda here: [*TRAIN, "--set", override]


def no_run(content: bytes | None) -> Callable[[Path], list[str]]:
    def request(here: Path) -> list[str]:
        (here / "run").mkdir()
        if content is not None:
            (here / "run" / "checkpoint.safetensors").write_bytes(content)
        return ["sample", "{here}/run"]

    return request


def out_is_a_file(here: Path) -> list[str]:
    (here / "taken").write_text("mine")
    return ["train", "quick", "--out", "{here}/taken"]


def out_below_a_file(here: Path) -> list[str]:
    (here / "taken").write_text("mine")
    return ["train", "quick", "--out", "{here}/taken/run"]


BAD: dict[str, Callable[[Path], list[str]]] = {
    "missing data": key("data.path={here}/none.txt"),
    "data is a folder": key("data.path={here}"),
    "data is a device": key("data.path=/dev/zero"),
    "empty data": data(b""),
    "blank data": data(b"\n \n\n"),
    "binary data": data(bytes(range(256)) * 4),
    "data with NUL": data(b"anna\nb\0o\n"),
    "UTF-16 data": data("anna\nbo\n".encode("utf-16")),
    "Latin-1 data": data(b"bj\xf6rn\n"),
    "data with escapes": data(b"\x1b[31mred\n"),
    "a word of a million characters": data(b"x" * 1_000_000),
    "too few examples for a batch": data(b"a\n"),
    "no words to train on": data(b"anna\n"),
    "missing configuration": typed("train", "{here}/none.yaml"),
    "unknown bundled configuration": typed("train", "nosuchthing"),
    "configuration is a folder": typed("train", "{here}"),
    "broken YAML": file("train: [\n"),
    "YAML with tabs": file("train:\n\tsteps: 3\n"),
    "a list for a mapping": file("- train\n"),
    "a mistyped value": file("train:\n  steps: many\n"),
    "an unknown key": file("train:\n  step: 5\n"),
    "an unknown section": file("trian:\n  steps: 5\n"),
    "a duplicate key": file("train:\n  steps: 5\n  steps: 6\n"),
    "an alias bomb": file("a: &a [x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"),
    "YAML that carries code": file("x: !!python/object/apply:os.system ['touch owned']\n"),
    "a large configuration": file("#" * 100_000),
    "configuration in UTF-16": file("train: {steps: 5}".encode("utf-16")),
    "batch of one": key("train.batch_size=1"),
    "split that does not sum to one": key("data.split=[0.8, 0.1, 0.2]"),
    "learning rate not finite": key("train.lr=.nan"),
    "learning rate infinite": key("train.lr={0: .inf}"),
    "a network larger than memory": key("model.n_hidden=100000000000"),
    "native in float64": lambda here: [*TRAIN, "--set", "engine=native", "--set", "dtype=float64"],
    "a device that is not there": key("device=cuda:99"),
    "unknown override": key("train.stepps=5"),
    "override without a value": key("train.steps"),
    "unknown bundled data": key("data.path=bundled:nope"),
    "unknown option": typed("train", "--setp", "x"),
    "unknown command": typed("trian"),
    "output is a file": out_is_a_file,
    "output below a file": out_below_a_file,
    "output with a NUL": typed("train", "quick", "--out", "{here}/a\0b"),
    "output path too long": typed("train", "quick", "--out", "{here}/" + "x" * 5000),
    "output in /proc": typed("train", "quick", "--out", "/proc/nope/run"),
    "a folder that does not exist": typed("sample", "{here}/none"),
    "a folder that is no run": no_run(None),
    "an empty checkpoint": no_run(b""),
    "a pickle in a checkpoint's place": no_run(b"\x80\x04cos\nsystem\n(S'touch owned'\ntR."),
    "zeros in a checkpoint's place": no_run(b"\0" * 4096),
    "eval of no run": typed("eval", "{here}"),
    "resume of no run": typed("train", "--resume", "{here}"),
    "resume with a configuration": typed("train", "quick", "--resume", "{here}"),
    "temperature zero": typed("sample", "{here}", "--temperature", "0"),
    "temperature not a number": typed("sample", "{here}", "--temperature", "nan"),
    "negative number of samples": typed("sample", "{here}", "-n", "-1"),
    "data info of nothing": typed("data", "info", "{here}/none"),
    "fetch from no web address": typed("data", "fetch", "--out", "{here}/x", "--url", "file:///x"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_is_refused_in_a_paragraph(
    name: str, cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [part.replace("{here}", str(tmp_path)) for part in BAD[name](tmp_path)]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    answer = cli(*arguments)
    assert answer.code == 2
    assert answer.out == ""
    message = answer.err.strip()
    assert message and "Traceback" not in message and "\x1b" not in message
    if message.startswith("Error: "):  # ours; what typer refuses has its own frame
        assert "\n" not in message
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_there_are_more_than_forty_bad_requests() -> None:
    assert len(BAD) >= 40


def test_an_unwritable_folder_is_refused(shell: Any, small: list[str], tmp_path: Path) -> None:
    """For root nothing is unwritable, so the folder is one that no user can write to."""
    if not Path("/sys/kernel").is_dir():
        pytest.skip("this system has no /sys")
    answer = shell("train", *small, "--out", "/sys/kernel/run")
    assert answer.returncode == 2 and "cannot be written" in answer.stderr
    assert "Traceback" not in answer.stderr
