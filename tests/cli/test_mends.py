"""What a message says besides what is wrong: where, and what to do about it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NUMBER_OR_SCHEDULE = "must be a number or a schedule such as {0: 0.1, 100000: 0.01}, with a space"

MENDS: dict[tuple[str, ...], str] = {
    ("train", "none.yaml"): "none.yaml does not exist. Name a YAML file.",
    ("train", "folder"): "folder is a folder, not a file. Name a YAML file.",
    (
        "config",
        "show",
        "binary",
    ): "binary is not UTF-8 text (byte 0). Save it as UTF-8, or name another",
    ("config", "show", "words.txt"): "a list of words is named by --set data.path=FILE.",
    ("gradcheck", "mine.py"): "own: makemore-bp gradcheck --file mine.py",
    ("train", "typo.yaml"): "typo.yaml, line 2: there is no key 'train.stepz'. Did you mean",
    ("train", "--set", "train.steps="): "train.steps: should be a valid integer (it is empty).",
    ("sample", "none", "--seed", str(2**63)): "must be below 2**63. Take a smaller one.",
    ("train", "--set", "train=5"): "'train' is a section. Set one of its keys: train.steps,",
    ("train", "--set", "seed=3"): "Did you mean 'data.seed' or 'train.seed'?",
    ("train", "--set", "path=3"): "Did you mean 'data.path'?",
    ("train", "--set", "train.lr={0:0.1}"): NUMBER_OR_SCHEDULE,
    ("train", "--set", "train.lr={0.5: 0.1}"): "should be a valid integer (it is 0.5).",
    ("train", "--set", "train.lr={0: x}"): NUMBER_OR_SCHEDULE,
    ("train", "--set", "train.lr=fast"): NUMBER_OR_SCHEDULE,
    ("train", "--set", "train.lr={0: -1}"): "train.lr: should be greater than or equal to 0 (it",
    ("train", "--set", "train.lr={0: 1, 9: .inf}"): "should be a finite number (it is .inf).",
    ("train", "--set", "data.path=one.txt"): "one.txt: none of its words (1) falls to the training",
    ("train", "--set", "data.path=cr.txt"): "U+000D; lines end in LF or CRLF, not in CR alone",
    ("data", "info", "none.txt"): "Name a file with a word a line, or the bundled list, bundled:",
    ("exercise", "new", "words.txt"): "Name another folder: makemore-bp exercise new DIR.",
    ("exercise", "new", "words.txt/new"): "Name another folder: makemore-bp exercise new DIR.",
    ("gradcheck", "--case", "all", "--file", "x"): "do not go together. Take one of them.",
    (
        "sample",
        "none",
        "--prefix",
        "abc",
        "--max-length",
        "3",
    ): "a larger --max-length or",
    ("experiment", "run", "none.yaml"): "none.yaml does not exist. Name a YAML file.",
}


@pytest.mark.parametrize("arguments", MENDS, ids=" ".join)
def test_a_message_names_the_mend(
    arguments: tuple[str, ...], cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "words.txt").write_text("anna\nbo\n")
    (tmp_path / "one.txt").write_text("anna\n")
    (tmp_path / "cr.txt").write_bytes(b"anna\rbo\rcleo\r")
    (tmp_path / "typo.yaml").write_text("train:\n  stepz: 5\n")
    answer = cli(*arguments)
    assert answer.code == 2 and MENDS[arguments] in answer.err
    assert answer.err.count("\n") == 1


def test_a_run_whose_words_have_moved_says_how_to_find_them(
    words: Path, small: list[str], cli: Any, tmp_path: Path
) -> None:
    run, moved = tmp_path / "run", tmp_path / "moved.txt"
    assert cli("train", *small, "--out", run, "--quiet").code == 0
    words.rename(moved)
    needing_them = ("eval", run), ("sample", run, "--only-new"), ("report", run, "--terminal")
    for arguments in needing_them:
        answer = cli(*arguments)
        assert answer.code == 2
        assert "makemore-bp train --resume RUN --set data.path=FILE" in answer.err
    assert cli("train", "--resume", run, "--set", f"data.path={moved}", "--quiet").code == 0
    for arguments in needing_them:
        assert cli(*arguments).code == 0


def test_a_run_that_is_further_already_says_what_to_do(
    small: list[str], cli: Any, tmp_path: Path
) -> None:
    assert cli("train", *small, "--out", tmp_path / "run", "--quiet").code == 0
    answer = cli("train", "--resume", tmp_path / "run", "--set", "train.steps=3")
    assert answer.code == 2 and "Name more steps, or train again" in answer.err


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("checkpoint.safetensors", ("sample", "run")),
        ("words.txt", ("data", "info", "words.txt")),
        ("quick.yaml", ("config", "check", "quick.yaml")),
        ("mine.py", ("gradcheck", "--file", "mine.py")),
    ],
)
def test_a_file_that_cannot_be_read_says_so(
    name: str,
    arguments: tuple[str, ...],
    small: list[str],
    cli: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Permissions do not bind every user, so the system is made to say no."""
    monkeypatch.chdir(tmp_path)
    assert cli("train", *small, "--out", tmp_path / "run", "--quiet").code == 0
    for empty in ("quick.yaml", "mine.py"):
        (tmp_path / empty).touch()

    def refusing(read: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(path: Any, *rest: Any, **more: Any) -> Any:
            if str(path).endswith(name):
                raise PermissionError(13, "Permission denied", str(path))
            return read(path, *rest, **more)

        return guarded

    monkeypatch.setattr(os, "open", refusing(os.open))
    monkeypatch.setattr(Path, "read_bytes", refusing(Path.read_bytes))
    monkeypatch.setattr(Path, "open", refusing(Path.open))
    answer = cli(*arguments)
    assert answer.code == 2
    assert f"{name} cannot be read: Permission denied. Change its permissions" in answer.err
