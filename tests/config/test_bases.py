"""Configurations that are based on other ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from makemore_bp import config
from makemore_bp.errors import RequestError


def written(folder: Path, **files: str) -> Path:
    """Files NAME.yaml with these contents; the path of the first."""
    for name, content in files.items():
        (folder / f"{name}.yaml").write_text(content)
    return folder / f"{next(iter(files))}.yaml"


def refusal(path: Path) -> str:
    with pytest.raises(RequestError) as error:
        config.load(str(path))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_base_is_a_bundled_configuration_and_the_file_counts_for_more(tmp_path: Path) -> None:
    path = written(tmp_path, mine="base: quick\ntrain: {steps: 7}\nmodel: {n_hidden: 9}\n")
    expected = config.load("quick", ["train.steps=7", "model.n_hidden=9"])
    assert config.load(str(path)) == expected
    assert config.load(str(path), ["train.steps=8"]).train.steps == 8


def test_a_base_is_a_file_as_seen_from_the_one_that_names_it_and_has_a_base_itself(
    tmp_path: Path,
) -> None:
    (tmp_path / "inside").mkdir()
    written(tmp_path, top="base: op-by-op\ntrain: {steps: 5}\ndata: {path: words.txt}\n")
    path = written(tmp_path / "inside", mine="base: ../top.yaml\ntrain: {batch_size: 9}\n")
    found = config.load(str(path))
    assert (found.train.steps, found.train.batch_size) == (5, 9)
    assert found.backward.batchnorm == "op-by-op"
    assert Path(found.data.path).resolve() == tmp_path / "words.txt"


def test_a_file_beside_counts_for_more_than_a_bundled_name(tmp_path: Path) -> None:
    (tmp_path / "quick").write_text("train: {steps: 3}\n")
    assert config.load(str(written(tmp_path, mine="base: quick\n"))).train.steps == 3


def test_a_schedule_replaces_the_bases_schedule(tmp_path: Path) -> None:
    path = written(tmp_path, mine="base: quick\ntrain: {lr: {0: 0.3}}\n")
    assert config.load(str(path)).train.lr == {0: 0.3}


def test_a_mistake_is_told_with_the_file_and_the_line_that_it_stands_in(tmp_path: Path) -> None:
    path = written(
        tmp_path, mine="base: below.yaml\ntrain:\n  steps: x\n", below="\nmodel: {n_embd: y}\n"
    )
    said = refusal(path)
    assert f"{path}, line 3: train.steps" in said
    assert f"{tmp_path / 'below.yaml'}, line 2: model.n_embd" in said


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a": "train: {}\nbase: none.yaml"}, "a.yaml, line 2: base: there is no file"),
        ({"a": "base: nonesuch"}, "Bundled are: best, lecture"),
        ({"a": "base: a.yaml"}, "in a circle (a.yaml -> a.yaml)"),
        ({"a": "base: b.yaml", "b": "base: c.yaml", "c": "base: ./a.yaml"}, "c.yaml, line 1: base"),
        ({"a": "base: b.yaml", "b": "base: c.yaml", "c": "base: b.yaml"}, "b.yaml -> c.yaml -> b"),
        ({"a": "base: b.yaml", "b": "train: ["}, "a.yaml, line 1: base: "),
        ({"a": "base: b.yaml", "b": "- x"}, "b.yaml: a configuration is a mapping"),
        ({"a": "base: b.yaml", "b": "base: none"}, "b.yaml, line 1: base: there is no file"),
        ({"a": "base: 3"}, "and it is a number"),
        ({"a": "base: {train: {}}"}, "and it is a mapping"),
        ({"a": "base:"}, "and it is empty"),
        ({"a": "base: ."}, "a.yaml, line 1: base: there is no file"),
        ({"a": 'base: "x\\0y"'}, "a.yaml, line 1: base: there is no file"),
        ({"a": f"base: {'x' * 5000}"}, "a.yaml, line 1: base: there is no file"),
    ],
)
def test_a_base_that_cannot_be_is_refused_with_file_and_key(
    tmp_path: Path, files: dict[str, str], said: str
) -> None:
    assert said in refusal(written(tmp_path, **files))


def test_a_base_is_known_to_show_check_and_schema(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, mine="base: quick\ntrain: {steps: 7}\n", wrong="base: wrong.yaml\n")
    shown = cli("config", "show", "mine.yaml").out
    assert "base" not in shown and "steps: 7" in shown
    checked = cli("config", "check", "mine.yaml", "wrong.yaml")
    assert (checked.code, checked.out) == (2, "mine.yaml: valid\n") and "circle" in checked.err
    assert json.loads(cli("config", "schema").out)["properties"]["base"]["type"] == "string"


def test_a_runs_folder_has_the_whole_configuration_and_no_base(
    cli: Any, small: list[str], tmp_path: Path
) -> None:
    path = written(tmp_path, mine="base: quick\nmodel: {n_embd: 4}\n")
    assert cli("train", path, *small, "--out", tmp_path / "run", "--quiet").code == 0
    assert "base" not in (tmp_path / "run" / "config.yaml").read_text()


def test_a_base_cannot_be_set_and_the_answer_says_where_it_stands(cli: Any) -> None:
    answer = cli("config", "show", "--set", "base=quick")
    assert answer.code == 2 and "'base: quick'" in answer.err


def test_an_experiment_may_start_from_a_configuration_that_has_a_base(tmp_path: Path) -> None:
    from makemore_bp.experiments import expansion, schema

    written(tmp_path, ours="base: quick\nmodel: {n_embd: 4}\n")
    path = written(tmp_path, sweep="name: x\nbase: ours.yaml\ngrid: {train.steps: [7, 8]}\n")
    runs = expansion.expand(schema.read(str(path)))
    assert [run.config.train.steps for run in runs] == [7, 8]
    assert all(run.config.model.n_embd == 4 for run in runs)
    assert runs[0].config.train.lr == config.load("quick").train.lr
