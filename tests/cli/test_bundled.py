"""What comes with the program: listed, and copied as a file to begin with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from makemore_bp import config, resources
from makemore_bp.cli.data import LISTS
from makemore_bp.experiments import schema

FOLDERS = {"config": "configs", "experiment": "configs/experiments"}


@pytest.mark.parametrize("kind", FOLDERS)
def test_every_bundled_file_is_listed_with_a_line_on_it(
    cli: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    known = list(resources.bundled(FOLDERS[kind], ".yaml"))
    shown = cli(kind, "list").out.splitlines()
    assert [line.split()[0] for line in shown] == known
    about = {one["name"]: one["about"] for one in json.loads(cli(kind, "list", "--json").out)}
    assert list(about) == known
    assert all(text.endswith(".") and ". " not in text for text in about.values())


def test_word_lists_are_listed_with_their_number_of_words(cli: Any) -> None:
    assert set(LISTS) == set(resources.bundled("data", ".txt"))
    out = cli("data", "list").out
    assert "bundled:names" in out and "16,103" in out and "2,737 towns" in out


def test_a_copied_configuration_is_the_bundled_one_and_can_be_changed(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("config", "copy", "towns").out == "towns.yaml\n"
    assert config.load("towns.yaml") == config.load("towns")
    assert cli("config", "copy", "quick", "mine.yaml").code == 0
    assert config.load("mine.yaml") == config.load("quick")
    (tmp_path / "inside").mkdir()
    assert cli("experiment", "copy", "model-size", "inside").out == "inside/model-size.yaml\n"
    assert schema.read("inside/model-size.yaml").content == schema.read("model-size").content


def test_a_copy_never_takes_the_place_of_a_file(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("quick.yaml").write_text("mine")
    Path("link.yaml").symlink_to("nowhere")
    for named in ([], ["link.yaml"]):
        answer = cli("config", "copy", "quick", *named)
        assert answer.code == 2 and "is not replaced" in answer.err
    assert Path("quick.yaml").read_text() == "mine" and not Path("nowhere").exists()


def test_what_is_not_bundled_is_answered_with_what_is(cli: Any) -> None:
    answer = cli("experiment", "copy", "lr")
    assert answer.code == 2 and "learning-rate" in answer.err
