"""The export for TensorBoard."""

from __future__ import annotations

import errno
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from makemore_bp.report import history
from tests.report.report_helpers import Nobody, trained


def test_without_tensorboardx_it_says_what_to_install(
    cli: Any, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(words, tmp_path / "run")
    for name in [name for name in sys.modules if name.startswith("tensorboardX.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    answer = cli("report", run, "--tensorboard", tmp_path / "board")
    assert answer.code == 2 and "pip install" in answer.err and "[tensorboard]" in answer.err
    assert not (tmp_path / "board").exists()


def test_the_event_file_holds_every_number(cli: Any, words: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="the export needs tensorboardX")
    run = trained(words, tmp_path / "run")
    answer = cli("report", run, "--tensorboard", tmp_path / "board")
    assert (answer.code, answer.out) == (0, f"{tmp_path / 'board' / 'run'}\n")
    assert not (run / "report").exists()
    (path,) = (tmp_path / "board" / "run").glob("events.out.tfevents.*")
    found = read_events(path)
    written = history.read(run)
    for tag, series in (
        ("loss/minibatch", written.loss),
        ("loss/train", written.train),
        ("learning_rate", written.rate),
        ("update_ratio/bngain", written.sizes["update_ratio"]["bngain"]),
    ):
        expected = dict(zip(series.steps, series.values, strict=True))
        assert len(expected) > 3
        assert found[tag] == pytest.approx(expected, rel=1e-6)
    assert len(found) == 4 + 3 * 7
    again = cli("report", run, "--tensorboard", tmp_path / "board")
    assert again.code == 2 and "holds an export already" in again.err


def test_a_full_disk_ends_the_export_with_a_paragraph_and_leaves_nothing(
    cli: Any, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboardX", reason="the export needs tensorboardX")
    run = trained(words, tmp_path / "run")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        answer = cli("report", run, "--tensorboard", tmp_path / "board")
    assert answer.code == 2 and answer.out == "" and "Traceback" not in answer.err
    assert "cannot be written" in answer.err and "No space left" in answer.err
    assert list((tmp_path / "board" / "run").iterdir()) == []
    assert cli("report", run, "--tensorboard", tmp_path / "board").code == 0


BOARD = "--tensorboard"


def test_a_run_writes_live_what_the_export_writes_afterwards(
    cli: Any, small: list[str], tmp_path: Path
) -> None:
    pytest.importorskip("tensorboardX", reason="the export needs tensorboardX")
    run, board = tmp_path / "run", tmp_path / "board"
    assert cli("train", *small, "--out", run, BOARD, board, "--quiet").code == 0
    assert cli("report", run, BOARD, tmp_path / "after").code == 0
    live, after = (
        [read_events(path) for path in (folder / "run").iterdir()]
        for folder in (board, tmp_path / "after")
    )
    assert live == after and len(live[0]["loss/minibatch"]) == 6


def test_events_are_there_while_the_run_goes_on(words: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="the export needs tensorboardX")
    from makemore_bp.report.tensorboard import Live

    seen: list[int] = []

    class Watching(Nobody):
        def advanced(self, step: int, losses: Tensor, lr: float) -> None:
            (path,) = (tmp_path / "board" / "run").iterdir()
            seen.append(len(read_events(path)["loss/minibatch"]))

    live = Live(tmp_path / "board", Watching())
    trained(words, tmp_path / "run", reporter=live)
    live.close()
    assert seen == sorted(seen) and seen[0] < seen[-1] == 30


@pytest.mark.parametrize("before", [True, False])
def test_a_run_that_goes_on_continues_its_events(
    cli: Any, small: list[str], tmp_path: Path, before: bool
) -> None:
    pytest.importorskip("tensorboardX", reason="the export needs tensorboardX")
    run, board = tmp_path / "run", tmp_path / "board"
    first = [BOARD, board] if before else []
    assert cli("train", *small, "--out", run, *first, "--quiet").code == 0
    longer = ("--resume", run, "--set", "train.steps=50", BOARD, board)
    assert cli("train", *longer, "--quiet").code == 0
    files = sorted((board / "run").iterdir())
    steps = [sorted(read_events(path)["loss/minibatch"]) for path in files]
    old, new = [*range(0, 30, 5)], [*range(30, 50, 5)]
    assert steps == ([old, new] if before else [old + new])
    assert restarts(files[-1]) == [30 if before else 0]


def test_without_tensorboardx_a_run_does_not_begin(
    cli: Any, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in sys.modules if name.startswith("tensorboardX.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    answer = cli("train", *small, BOARD, "board")
    assert answer.code == 2 and "[tensorboard]" in answer.err
    assert not Path("runs").exists() and not Path("board").exists()


def test_a_full_disk_of_the_board_stops_the_run_with_its_state_saved(
    cli: Any, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboardX", reason="the export needs tensorboardX")
    from makemore_bp.report import tensorboard

    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / "board" / "run").mkdir(parents=True)
    (tmp_path / "board" / "run" / "full").symlink_to("/dev/full")
    monkeypatch.setattr(tensorboard, "_name", lambda: "full")
    run = tmp_path / "run"
    answer = cli("train", *small, "--out", run, BOARD, tmp_path / "board")
    assert answer.code == 2 and "board/run/full cannot be written: No space left" in answer.err
    assert answer.err.count("Error: ") == 1 and "Traceback" not in answer.err
    monkeypatch.undo()
    again = ("--resume", run) if (run / "checkpoint.safetensors").exists() else ("--out", run)
    assert cli("train", *again, *(small if "--out" in again else []), "--quiet").code == 0


def restarts(path: Path) -> list[int]:
    """The steps at which a file says that the run begins or goes on."""
    return [event.step for event in events(path) if event.HasField("session_log")]


def events(path: Path) -> Iterator[Any]:
    """A record is its length, a checksum, the event, a checksum."""
    from tensorboardX.proto.event_pb2 import Event

    raw, at = path.read_bytes(), 0
    while at < len(raw):
        (length,) = struct.unpack_from("<Q", raw, at)
        yield Event.FromString(raw[at + 12 : at + 12 + length])
        at += 12 + length + 4


def read_events(path: Path) -> dict[str, dict[float, float]]:
    """Values by tag and step."""
    found: dict[str, dict[float, float]] = {}
    for event in events(path):
        for value in event.summary.value:
            found.setdefault(value.tag, {})[float(event.step)] = value.simple_value
    return found
