"""Words, names and numbers of strangers: shown harmlessly everywhere, untouched in --json."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from makemore_bp.text import is_hidden

# What a line of a word file may hold: turned around, invisible, markup, emoji, wide, combined.
ODD = [
    "\u202egnihtyreve",
    "[red]paint[/red]",
    "[bold",
    "a\u2066b\u2069",
    "z\u200bz",
    "é\u0301",
    ":smile:",
]
ODD_FOLDER = "run \x1b[31m[red]\u202e"


def harmless(text: str) -> bool:
    return not any(is_hidden(character) for character in text.replace("\n", ""))


@pytest.fixture
def odd_run(tmp_path: Path, cli: Any, small: list[str]) -> Path:
    """A run on odd words in a folder with an odd name."""
    (tmp_path / "wörter\x1b[2J.txt").write_text("\n".join(ODD * 12) + "\n", encoding="utf-8")
    folder = tmp_path / ODD_FOLDER
    named = ["--set", f"data.path={tmp_path}/wörter\x1b[2J.txt"]
    answer = cli("train", *small, *named, "--out", folder)
    assert answer.code == 0 and harmless(answer.out + answer.err), answer.err
    assert "\\x1b[31m[red]\\u202e" in answer.out.replace("\n", "")
    return folder


def test_every_command_shows_odd_words_and_names_harmlessly(odd_run: Path, cli: Any) -> None:
    data = odd_run.parent / "wörter\x1b[2J.txt"
    for arguments in (
        ["eval", odd_run],
        ["data", "info", data],
        ["config", "show", odd_run / "config.yaml"],
        ["config", "check", odd_run / "config.yaml"],
        ["sample", odd_run, "--prefix", "\x1b[2J\u202e!"],
        ["train", "--resume", odd_run, "--set", "train.lr=3"],
        ["train", "--resume", odd_run, "--set", "train.steps=\x1b[2J"],
        ["train", odd_run / "none\x1b[2J.yaml"],
        ["train", "--out", odd_run],
        ["gradcheck", "--file", odd_run / "none\x1b[2J\u202e.py"],
        ["exercise", "new", odd_run / "new\x1b[2J\u202e"],
        ["exercise", "check", odd_run / "none\x1b[2J\u202e"],
        ["sample", odd_run, "extra\x1b[2J\u202e"],
        ["nonsense\x1b[2J\u202e"],
        ["--nonsense\x1b[2J\u202e"],
    ):
        answer = cli(*arguments)
        assert harmless(answer.out + answer.err), (arguments, ascii(answer.out + answer.err))
        assert "Traceback" not in answer.err and answer.out + answer.err


def test_json_holds_what_was_there(odd_run: Path, cli: Any) -> None:
    facts = json.loads(cli("data", "info", odd_run.parent / "wörter\x1b[2J.txt", "--json").out)
    assert set(facts["characters"]) == set("".join(ODD))
    assert facts["distinct"] == len(ODD)
    sampled = json.loads(cli("sample", odd_run, "-n", 300, "--json").out)
    assert sampled["run"] == str(odd_run)
    assert any(set(name) & set("\u202e\u2066\u200b[") for name in sampled["names"])


def test_samples_are_escaped_on_a_terminal_and_plain_in_a_pipe(
    odd_run: Path, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = cli("sample", odd_run, "-n", 300).out
    assert any(character in plain for character in "\u202e\u2066\u200b")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert harmless(cli("sample", odd_run, "-n", 300).out)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"anna\n\x1b[31mred\n", "line 2: holds the control character U+001B: '\\x1b[31mred'"),
        (b"anna\nbo\0b\n", "line 2: holds a NUL character"),
        (b"anna\n\n" + b"x" * 1_000_000, "line 3: 1,000,000 characters"),
        (b"a\x9bb", "line 1: byte 0x9b is not UTF-8"),
        ("a\u0085b".encode(), "line 1: holds the control character U+0085"),
    ],
)
def test_what_no_terminal_survives_is_refused_with_its_line(
    content: bytes, told: str, cli: Any, tmp_path: Path
) -> None:
    (tmp_path / "[red]words").write_bytes(content)
    answer = cli("train", "--set", f"data.path={tmp_path}/[red]words", "--out", tmp_path / "run")
    assert answer.code == 2 and told in answer.err and "[red]words" in answer.err
    assert harmless(answer.err) and len(answer.err) < 1000
    info = cli("data", "info", tmp_path / "[red]words")
    assert info.code == 2 and harmless(info.out + info.err)
    assert len(info.out + info.err) < 5000
