"""What a run over ranks does not do, said before the ranks meet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from makemore_bp import config
from makemore_bp.errors import RequestError
from makemore_bp.ranks.engine import refuse_what_ranks_cannot
from makemore_bp.ranks.launch import Place, place, speaks
from tests.ranks.rank_threads import Table, ThreadRanks


def started(monkeypatch: pytest.MonkeyPatch, rank: int) -> None:
    """As torchrun starts rank ``rank`` of 2."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    values = dict(zip(names, (rank, 2, rank, 2), strict=True))
    for name, value in (values | {"TORCHELASTIC_RUN_ID": "none"}).items():
        monkeypatch.setenv(name, str(value))


def test_a_process_knows_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    assert place() is None and speaks()
    started(monkeypatch, 1)
    assert place() == Place(1, 2, 1, 2) and not speaks()


def test_a_folder_must_be_named_and_rank_0_says_so(
    cli: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    started(monkeypatch, 0)
    answer = cli("train", "quick")
    assert answer.code == 2 and "by --out" in answer.err
    started(monkeypatch, 1)
    answer = cli("train", "quick")
    assert (answer.code, answer.out, answer.err) == (2, "", "")


def test_commands_that_need_one_process_run_on_rank_0(
    cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for rank in (0, 1):
        started(monkeypatch, rank)
        answer = cli("config", "show")
        assert answer.code == 0 and bool(answer.out) == (rank == 0)


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (["train.batch_size=2"], "leaves some of 3 ranks without"),
        (["engine=native"], "trains in one process"),
        (["device=cuda:0"], "is one device, and every rank"),
        (["device=cuda"], "is not there"),
    ],
)
def test_what_no_rank_can_run_is_refused(overrides: list[str], reason: str) -> None:
    ranks = ThreadRanks(Table(3), 0)
    ranks.local_rank = 999
    with pytest.raises(RequestError, match=reason):
        refuse_what_ranks_cannot(config.load(None, overrides), ranks)


def test_gradcheck_of_a_file_needs_one_process(
    cli: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started(monkeypatch, 0)
    answer = cli("gradcheck", "--case", "all")
    assert answer.code == 2 and "leave out torchrun" in answer.err
