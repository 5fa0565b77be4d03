"""What an experiment's file means, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from makemore_bp import config, resources
from makemore_bp.errors import RequestError
from makemore_bp.experiments import expansion, schema
from makemore_bp.experiments.expansion import Run


def runs(path: Path, content: str) -> list[Run]:
    file = path / "trial.yaml"
    file.write_text(content)
    return expansion.expand(schema.read(str(file)))


def test_a_grid_multiplies_and_seeds_repeat(tmp_path: Path) -> None:
    found = runs(
        tmp_path,
        "name: x\nbase: quick\nseeds: [1, 2]\n"
        "grid: {train.lr: [0.1, 1e-3], model.n_hidden: [8, 16, 32]}\n",
    )
    assert len(found) == 12
    assert len({run.name for run in found}) == 12
    assert found[0].name == "lr=0.1_n_hidden=8_seed=1"
    assert found[-1].config.train.lr == 0.001
    assert found[-1].config.model.n_hidden == 32
    assert found[-1].config.train.seed == 2
    assert {run.config.train.steps for run in found} == {5000}  # the base's own
    assert found[0].varied == {"train.lr": 0.1, "model.n_hidden": 8}


def test_variants_multiply_with_the_grid_and_may_be_empty(tmp_path: Path) -> None:
    found = runs(
        tmp_path,
        "name: x\nbase: quick\ngrid: {model.n_embd: [2, 3]}\n"
        "variants:\n  plain:\n  long run: {train.steps: 99, train.lr: {0: 0.1, 50: 0.01}}\n",
    )
    assert [run.name for run in found] == [
        "plain_n_embd=2", "plain_n_embd=3", "long-run_n_embd=2", "long-run_n_embd=3"
    ]  # fmt: skip
    assert [run.config.train.steps for run in found] == [5000, 5000, 99, 99]
    assert found[2].config.train.lr == {0: 0.1, 50: 0.01}


def test_without_anything_that_varies_there_is_one_run(tmp_path: Path) -> None:
    assert [run.name for run in runs(tmp_path, "name: x\nbase: quick\n")] == ["run"]


def test_names_of_runs_are_unique_and_fit_for_a_folder(tmp_path: Path) -> None:
    long = "a" * 300
    found = runs(
        tmp_path,
        "name: x\nbase: quick\nvariants:\n"
        f"  {long}: {{train.steps: 1}}\n  {long}b: {{train.steps: 2}}\n"
        "  a/b: {train.steps: 3}\n  a b: {train.steps: 4}\n  A B: {train.steps: 5}\n"
        "  '../..': {train.steps: 6}\n  '': {train.steps: 7}\n  名前: {train.steps: 8}\n",
    )
    names = [run.name for run in found]
    assert len({name.lower() for name in names}) == len(found) == 8
    assert all(0 < len(name.encode()) < 100 and "/" not in name for name in names)
    assert not any(name.startswith(".") for name in names)
    assert names[-1] == "名前"


@pytest.mark.parametrize(
    "base",
    [
        "quick",
        "{train: {steps: 7, lr: {0: 0.1, 5: 0.01}}, dtype: float64}",
        "{data: {path: words.txt}}",
        "mine.yaml",
    ],
)
def test_the_command_of_a_run_makes_its_configuration(tmp_path: Path, base: str) -> None:
    (tmp_path / "mine.yaml").write_text("train: {steps: 11}\ndata: {path: words.txt}\n")
    found = runs(
        tmp_path,
        f"name: x\nbase: {base}\nseeds: [3]\n"
        "variants: {a: {data.split: [0.5, 0.25, 0.25]}, b: {data.path: w.txt}}\n"
        "grid: {train.lr: [1e-5, {0: 0.5, 3: 0.25}], backward.batchnorm: [op-by-op]}\n",
    )
    assert len(found) == 4
    for run in found:
        assert run.command[0] == "train"
        source, *rest = run.command[1:]
        overrides = [part for part in [source, *rest] if "=" in part]
        loaded = config.load(None if source == "--set" else source, overrides)
        assert loaded == run.config


def test_paths_are_relative_to_the_experiments_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sub"
    folder.mkdir()
    (folder / "mine.yaml").write_text("train: {steps: 11}\n")
    monkeypatch.chdir(tmp_path)
    found = runs(folder, "name: x\nbase: mine.yaml\ngrid: {data.path: [w.txt, bundled:towns]}\n")
    assert found[0].config.train.steps == 11
    paths = [run.config.data.path for run in found]
    assert paths == [str(folder / "w.txt"), "bundled:towns"]


HEX = "f" * 5000
REFUSED = {
    "": "the key 'name' is missing",
    "name: x\n": "the key 'base' is missing",
    "- x\n": "is a mapping",
    "name: x\nbase: quick\ngird: {}\n": "line 3: there is no key 'gird'. Did you mean 'grid'?",
    "name: x\nname: y\nbase: quick\n": "line 2: the key 'name' stands there a second time",
    "name: 3\nbase: quick\n": "line 1: name: a name is a text",
    "name: x\nbase: 3\n": "line 2: base: a base is a configuration's path or name",
    "name: x\nbase: nosuch\n": "line 2: There is no configuration file 'nosuch'",
    "name: x\nbase: {train: {stepz: 3}}\n": "line 2: there is no key 'train.stepz'. Did you mean",
    "name: x\nbase: quick\ngrid: 3\n": "line 3: grid: a grid maps dotted keys to lists",
    "name: x\nbase: quick\ngrid: {}\n": "it is empty",
    "name: x\nbase: quick\ngrid:\n  train.lr: 0.1\n": "line 4: grid: train.lr: a grid maps",
    "name: x\nbase: quick\ngrid:\n  train.lr: []\n": "it is empty",
    "name: x\nbase: quick\ngrid:\n  trian.lr: [1]\n": "line 4: grid: there is no key 'trian.lr'. D",
    "name: x\nbase: quick\ngrid:\n  train: [1]\n": "line 4: grid: 'train' is a section",
    "name: x\nbase: quick\ngrid:\n  train.lr: [1, fast]\n": "line 4: train.lr: must be a number",
    "name: x\nbase: quick\ngrid:\n  train.lr: [.nan]\n": "line 4: train.lr: should be a finite",
    "name: x\nbase: quick\ngrid:\n  train.lr: [1, 1.0]\n": "line 4: grid: train.lr: the value 1.0",
    "name: x\nbase: quick\nvariants:\n  true: {}\n": "a key there is a text, not True",
    "name: x\nbase: quick\nvariants:\n  a: 3\n": "line 4: variants: a: variants map names",
    "name: x\nbase: quick\nvariants:\n  a: {train.lrr: 3}\n": "line 4: variants.a: there is no key",
    "name: x\nbase: quick\nvariants:\n  a: {train.lr: x}\n": "line 4: train.lr: must be a number",
    "name: x\nbase: quick\nseeds: 3\n": "line 3: seeds: seeds are a list of whole numbers",
    "name: x\nbase: quick\nseeds: [-1]\n": "line 3: seeds: 0: seeds are a list",
    "name: x\nbase: quick\nseeds: [1, 1]\n": "line 3: seeds: the value 1 stands there",
    "name: x\nbase: quick\nseeds: [1]\ngrid: {train.seed: [2]}\n": "set by grid and by seeds",
    "name: x\nbase: quick\nseeds: [1]\nvariants: {a: {train.seed: 2}}\n": "by variants.a and by se",
    "name: x\nbase: quick\ngrid: {train.lr: [1]}\nvariants: {a: {train.lr: 2}}\n": "and by grid",
    "name: x\nbase: {engine: native}\ngrid: {dtype: [float32, float64]}\n": "line 3: engine: n",
    "name: x\nbase: quick\ngrid: {train.lr: [1, !!python/name:os.system ]}\n": "more than plain",
    "name: x\nbase: quick\nseeds: [" + ", ".join(map(str, range(10_001))) + "]\n": "10,001 runs",
    f"name: x\nbase: quick\nseeds: [0x{HEX}]\n": "a number that is too long",
    f"name: x\nbase: quick\ngrid: {{train.lr: [1, [0x{HEX}]]}}\n": "number that is too long",
    '"\\e[31mred": 3\nname: x\nbase: quick\n': "\\x1b[31mred",
}


@pytest.mark.parametrize("content", REFUSED)
def test_an_impossible_experiment_is_refused_with_its_place(tmp_path: Path, content: str) -> None:
    with pytest.raises(RequestError) as error:
        runs(tmp_path, content)
    message = str(error.value)
    assert str(tmp_path / "trial.yaml") in message and REFUSED[content] in message
    assert "\n" not in message and "\x1b" not in message


def test_an_unknown_name_is_answered_with_the_bundled_ones() -> None:
    with pytest.raises(RequestError, match="learning-rate"):
        schema.read("nosuchthing")


@pytest.mark.parametrize("name", resources.bundled(schema.FOLDER, ".yaml"))
def test_every_bundled_experiment_is_valid_and_says_what_it_shows(name: str) -> None:
    experiment = schema.read(name)
    assert experiment.content.name == name
    assert experiment.path.read_text().startswith("# ")
    assert len(expansion.expand(experiment)) > 1


def test_there_are_six_bundled_experiments() -> None:
    assert len(resources.bundled(schema.FOLDER, ".yaml")) == 6


def test_a_refused_file_leaves_nothing_behind(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "trial.yaml").write_text("name: x\nbase: quick\ngrid: {train.lrr: [1]}\n")
    answer = cli("experiment", "run", tmp_path / "trial.yaml", "--out", tmp_path / "out")
    assert answer.code == 2 and answer.out == ""
    assert answer.err.startswith("Error: ") and answer.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
