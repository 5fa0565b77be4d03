"""A folder that is deleted, moved or begun again while a run writes, and damaged metrics."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from makemore_bp import config
from makemore_bp.errors import RequestError
from makemore_bp.training import metrics, run_folder, start
from makemore_bp.training.loop import Silent


class Meddler(Silent):
    """Does something to the folder when the run evaluates at a step."""

    def __init__(self, step: int = -1, deed: Callable[[], object] = lambda: None) -> None:
        self.step, self.deed = step, deed

    def evaluated(self, step: int, train_loss: float, val_loss: float | None) -> None:
        if step == self.step:
            self.deed()


def settings(words: Path) -> config.Config:
    values = ("model.n_hidden=4", "train.steps=40", "train.batch_size=4", "train.log_every=5")
    more = (f"data.path={words}", "train.eval_every=12", "train.checkpoint_every=10")
    return config.load(None, [*values, *more])


def test_a_folder_that_vanishes_stops_the_run_with_a_sentence(words: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    meddler = Meddler(12, lambda: shutil.rmtree(run))
    with pytest.raises(RequestError, match="its folder is not there"):
        start.new(settings(words), run, meddler)
    assert not run.exists()


def test_a_folder_that_is_moved_keeps_its_checkpoint_and_goes_on(
    words: Path, tmp_path: Path
) -> None:
    run, moved = tmp_path / "run", tmp_path / "moved"
    start.new(settings(words), tmp_path / "undisturbed", Meddler())
    with pytest.raises(RequestError, match="go on where it is now"):
        start.new(settings(words), run, Meddler(12, lambda: run.rename(moved)))
    assert run_folder.read(moved).step == 10
    start.resume(moved, [], Meddler())
    for name in (run_folder.CHECKPOINT, metrics.NAME):
        assert (moved / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()


def test_a_folder_that_was_begun_again_by_another_run_is_left_alone(
    words: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"

    def begin_again() -> None:
        shutil.rmtree(run)
        start.new(settings(words), run, Meddler())

    with pytest.raises(RequestError, match="no longer the file that this run writes"):
        start.new(settings(words), run, Meddler(12, begin_again))
    assert run_folder.read(run).step == 40 and (run / run_folder.SUMMARY).exists()
    assert [line["step"] for line in metrics.read(run)] == [
        0,
        5,
        10,
        12,
        15,
        20,
        24,
        25,
        30,
        35,
        36,
    ]


def test_metrics_that_are_damaged_before_the_checkpoint_are_not_cut_off(
    words: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    start.new(settings(words), run, Meddler())
    path = run / metrics.NAME
    lines = path.read_bytes().splitlines(keepends=True)
    for damage in (b"\0" * 40 + b"\n", b'{"step": 3}\n', b"[" * 9000 + b"\n", b'{"step": "5"}\n'):
        damaged = b"".join([*lines[:3], damage, *lines[4:]])
        path.write_bytes(damaged)
        with pytest.raises(RequestError, match="damaged behind line 3"):
            start.resume(run, ["train.steps=60"], Meddler())
        assert path.read_bytes() == damaged
    path.unlink()
    start.resume(run, ["train.steps=60"], Meddler())
    assert [line["step"] for line in metrics.read(run)] == [40, 45, 48, 50, 55]


def test_what_a_killed_process_left_behind_is_removed_and_nothing_else(
    words: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    start.new(settings(words), run, Meddler())
    left = run / f".{run_folder.CHECKPOINT}.abcdefg_"
    own = [run / ".checkpoint.safetensors", run / f"{run_folder.CHECKPOINT}.old", run / ".notes"]
    for path in (left, *own):
        path.write_text("x")
    start.resume(run, ["train.steps=60"], Meddler())
    assert not left.exists() and all(path.exists() for path in own)


def at_step_20(words: Path, folder: Path) -> Path:
    """A run that has been trained for 20 steps."""
    plain = settings(words)
    train = plain.train.model_copy(update={"steps": 20})
    start.new(plain.model_copy(update={"train": train}), folder, Meddler())
    return folder


def test_renamed_metrics_that_a_kill_has_cut_short_go_on_again(words: Path, tmp_path: Path) -> None:
    half, run = at_step_20(words, tmp_path / "half"), tmp_path / "run"
    lines = [b'{"step": 20, "loss": 1.0}\n', b'{"step": 24, "loss": 1.0}\n']
    for left in (lines, lines[:1], [lines[0], b'{"step": 2'], [b'{"step": 2']):
        shutil.copytree(half, run)
        (run / metrics.NAME).write_bytes(b"".join(left))
        start.resume(run, ["train.steps=26"], Meddler())
        assert [line["step"] for line in metrics.read(run)] == [20, 24, 25]
        shutil.rmtree(run)


@pytest.mark.parametrize("missing", [1, 2, 3, 4])
def test_a_line_that_is_missing_in_the_middle_is_damage(
    missing: int, words: Path, tmp_path: Path
) -> None:
    run = at_step_20(words, tmp_path / "run")
    path = run / metrics.NAME
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = b"".join(lines[:missing] + lines[missing + 1 :])
    path.write_bytes(damaged)
    with pytest.raises(RequestError, match=f"damaged behind line {missing}: the line of step"):
        start.resume(run, ["train.steps=40"], Meddler())
    assert path.read_bytes() == damaged
