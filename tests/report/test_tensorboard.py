"""The export for TensorBoard."""

from __future__ import annotations

import errno
import os
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

from makemore_bp.report import history
from tests.report.report_helpers import trained


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


def read_events(path: Path) -> dict[str, dict[float, float]]:
    """Values by tag and step. A record is its length, a checksum, the event, a checksum."""
    from tensorboardX.proto.event_pb2 import Event

    raw, at = path.read_bytes(), 0
    found: dict[str, dict[float, float]] = {}
    while at < len(raw):
        (length,) = struct.unpack_from("<Q", raw, at)
        event = Event.FromString(raw[at + 12 : at + 12 + length])
        for value in event.summary.value:
            found.setdefault(value.tag, {})[float(event.step)] = value.simple_value
        at += 12 + length + 4
    return found
