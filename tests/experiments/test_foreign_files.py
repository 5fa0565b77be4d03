"""Files of an experiment that another version, another program or an editor has written."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from makemore_bp.cli.experiment_progress import ExperimentProgress
from makemore_bp.experiments import runner, schema
from makemore_bp.experiments.stored import Plan
from makemore_bp.training import run_folder
from tests.experiments.experiment_helpers import PoolHere, entry, small_base, write

FOLDER = object()  # a folder where the file should be
GOOD = {"train_loss": 2.0, "val_loss": 2.5, "test_loss": 2.6}
ENDLESS = "1" + "0" * 400

SUMMARIES: dict[Any, str] = {
    "": "is not JSON",
    "[]": "should be a valid dictionary",
    "null": "should be a valid dictionary",
    "{": "is not JSON",
    "[" * 100_000: "is not JSON",
    "\x00\x01": "is not JSON",
    "{}": "the key 'train_loss' is missing",
    '{"accuracy": 0.9, "epoch": 3}': "the key 'train_loss' is missing",
    FOLDER: "is not a regular file",
    **{
        json.dumps({**GOOD, key: value}).replace(f'"{ENDLESS}"', ENDLESS): said
        for key, value, said in [
            ("val_loss", "2.5", "val_loss should be a valid number, and it is '2.5'"),
            ("val_loss", [2.5], "val_loss should be a valid number"),
            ("val_loss", True, "val_loss should be a valid number"),
            ("val_loss", float("nan"), "val_loss should be a finite number"),
            ("val_loss", float("inf"), "val_loss should be a finite number"),
            ("val_loss", ENDLESS, "val_loss should be a"),
            ("val_loss", 1e308, "val_loss should be a smaller number"),
            ("train_loss", {}, "train_loss should be a valid number"),
            ("test_loss", "\x1b[2J", "test_loss should be a valid number"),
            ("steps", -1, "steps should be greater than or equal to 0"),
            ("steps", ENDLESS, "steps should be less than"),
            ("steps", 1.5, "steps should be a valid integer"),
            ("engine", 3, "engine should be a valid string"),
            ("steps_per_second", "fast", "steps_per_second should be a valid number"),
            ("seconds", [], "seconds should be a valid number"),
        ]
    },
}
FAILURES: dict[Any, str] = {
    "3": "should be a valid dictionary",
    '{"status": "sad", "reason": ""}': "status should be 'diverged' or 'failed'",
    '{"status": "failed"}': "the key 'reason' is missing",
    '{"status": "failed", "reason": 3}': "reason should be a valid string",
    '{"status": "diverged", "reason": "", "step": "x"}': "step should be a valid integer",
    f'{{"status": "diverged", "reason": "", "step": {ENDLESS}}}': "step should be less than",
    FOLDER: "is not a regular file",
}
PLAN = {
    "format": "makemore-bp experiment",
    "version": 1,
    **Plan(name="trial", runs={"a": entry({"train.lr": 0.1})}).model_dump(),
}


def plan(**changes: Any) -> str:
    return json.dumps({**PLAN, **changes})


def plan_of(without: str = "", **changes: Any) -> str:
    one = {**entry({"train.lr": 0.1}).model_dump(), **changes}
    one.pop(without, None)
    return plan(runs={"a": one})


PLANS: dict[Any, str] = {
    "nonsense": "is not JSON",
    "[]": "should be a valid dictionary",
    "{}": "the key 'format' is missing",
    '{"format": 3}': "format should be 'makemore-bp experiment'",
    plan(version=2): "is of version 2, and this makemore-bp reads version 1",
    plan(version="1"): "version should be a valid integer",
    plan(name=3): "name should be a valid string",
    plan(runs=[]): "runs should be a valid dictionary",
    plan(runs={"a": 3}): "runs.a should be a valid dictionary",
    plan(runs={"../../a": {}}): "should be the name of a folder",
    plan(runs={"/etc": {}}): "should be the name of a folder",
    plan(runs={"": {}}): "should be the name of a folder",
    plan(aside=3): "aside should be a valid dictionary",
    plan_of(varied=[]): "runs.a.varied should be a valid dictionary",
    plan_of(seed="1"): "runs.a.seed should be a valid integer",
    plan_of(command="train"): "runs.a.command should be a valid list",
    plan_of(command=[1]): "runs.a.command.0 should be a valid string",
    plan_of(config=[]): "runs.a.config should be a valid dictionary",
    plan_of(without="data_sha256"): "'runs.a.data_sha256' is miss",
    FOLDER: "is not a regular file",
}  # fmt: skip
METRICS: list[Any] = [
    "",
    "nonsense\n",
    '{"step": 0}\n{"step": 5}\n',
    '{"step": 0, "loss": 2.5}\n{"step": 5, "loss": 2.4, "val_loss": 2.5}\n',
    '{"step": 0, "loss": "x", "lr": [], "val_loss": {}, "train_loss": true}\n',
    f'{{"step": 0, "loss": {ENDLESS}, "lr": {ENDLESS}, "val_loss": -{ENDLESS}}}\n',
    f'{{"step": {ENDLESS}, "loss": 2, "lr": 1}}\n{{"step": -{ENDLESS}, "loss": 2, "lr": 1}}\n',
    '{"step": 0, "loss": 1e308, "lr": 1e308}\n{"step": 1, "loss": 1e308, "lr": 1e-308}\n' * 3,
    '{"step": 0, "loss": NaN, "lr": Infinity, "parameters": 3}\n',
    '{"step": 0, "loss": 2, "lr": 1, "parameters": {"W1": {"weight": "x"}, "_": {"weight": 1}}}\n',
    '{"step": 9, "loss": 2, "lr": 1}\n{"step": 3, "loss": 2, "lr": 1}\n{"step": 3}\n',
    FOLDER,
]


def put(path: Path, content: Any) -> None:
    if path.exists():
        path.unlink()
    if content is FOLDER:
        path.mkdir()
    else:
        path.write_text(content)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment with two finished runs, and its file beside it."""
    place = tmp_path_factory.mktemp("made")
    (place / "words.txt").write_text("anna\nbob\ncleo\ndora\nemil\n" * 8)
    base = small_base(place / "words.txt", steps=5)
    file = write(place / "trial.yaml", base=base, variants={"a": {}, "b": {"train.lr": 1.0}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "Pool", PoolHere)
        runner.run(schema.read(str(file)), place / "out", ExperimentProgress(quiet=True))
    return place


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "out", tmp_path / "out"))


@pytest.fixture
def commands(made: Path, tmp_path: Path, folder: Path) -> list[list[object]]:
    """What reads an experiment's folder, each in its own way."""
    file = made / "trial.yaml"
    return [
        ["experiment", "show", folder],
        ["report", folder],
        ["experiment", "run", file, "--out", folder, "--dry-run"],
    ]


@pytest.mark.usefixtures("here", "sketched")
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        *(("runs/a/summary.json", content, said) for content, said in SUMMARIES.items()),
        *(("runs/a/failure.json", content, said) for content, said in FAILURES.items()),
        *(("experiment.json", content, said) for content, said in PLANS.items()),
    ],
    ids=lambda value: str(value)[:40] if value is not FOLDER else "folder",
)
def test_what_cannot_be_understood_is_answered_with_the_file_and_the_key(
    cli: Any, folder: Path, commands: list[list[object]], name: str, content: Any, said: str
) -> None:
    if "failure" in name:
        (folder / "runs" / "a" / "summary.json").unlink()
    put(folder / name, content)
    for command in commands:
        answer = cli(*command)
        assert (answer.code, answer.out) == (2, ""), command
        assert answer.err.count("\n") == 1 and "\x1b" not in answer.err
        assert str(folder / name) in answer.err and said in answer.err


@pytest.mark.usefixtures("here", "sketched")
@pytest.mark.parametrize("content", METRICS, ids=range(len(METRICS)))
def test_metrics_are_drawn_as_far_as_they_are_numbers(
    cli: Any, folder: Path, commands: list[list[object]], content: Any
) -> None:
    put(folder / "runs" / "a" / "metrics.jsonl", content)
    for command in commands[:-1]:
        answer = cli(*command)
        assert (answer.code, answer.err) == (0, ""), command
    (folder / "runs" / "a" / "summary.json").unlink()
    assert cli(*commands[-1]).code == 0
    if find_spec("tensorboardX"):  # the export needs it
        assert cli("report", folder, "--tensorboard", folder / "board").code == 0


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("../../x", [1, 2]),
        ("\x1b[2J|`", [float("nan"), float("inf")]),
        ("train.lr", [int(ENDLESS), -int(ENDLESS)]),
        ("train.lr", [[1, [2]], {"0": {"1": None}}]),
        ("_", ["$\\frac{", "\ud800"]),
    ],
)
def test_whatever_was_varied_can_be_shown(
    cli: Any, folder: Path, commands: list[list[object]], key: str, values: list[Any]
) -> None:
    runs = {
        name: entry({key: value}).model_dump() for name, value in zip("ab", values, strict=True)
    }
    put(folder / "experiment.json", plan(runs=runs))
    show = ["experiment", "show", folder]
    options = ["--csv"], ["--json", "--times"], ["--markdown"], ["--plot", folder / "p.png"]
    for command in [*commands[:-1], *([*show, *more] for more in options)]:
        answer = cli(*command)
        assert (answer.code, answer.err) == (0, ""), command
        assert "\x1b" not in answer.out


def test_keys_of_a_later_version_are_passed_over(cli: Any, folder: Path) -> None:
    known = json.loads((folder / "experiment.json").read_text())
    known["runs"]["a"]["colour"] = known["theme"] = "green"
    put(folder / "experiment.json", json.dumps(known))
    put(folder / "runs" / "a" / "summary.json", json.dumps({**GOOD, "accuracy": ["?"]}))
    found = json.loads(cli("experiment", "show", folder, "--json").out)
    assert found["runs"][0]["val_loss"] == 2.5


def test_a_link_that_leads_nowhere_is_not_taken_for_a_missing_file(cli: Any, folder: Path) -> None:
    path = folder / "runs" / "a" / run_folder.FAILURE
    (folder / "runs" / "a" / "summary.json").unlink()
    path.symlink_to(folder / "nowhere")
    answer = cli("experiment", "show", folder)
    assert answer.code == 2 and "failure.json is not a regular file" in answer.err
