"""Many hand-ins at once: every file in a process of its own, one table for all."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from makemore_bp.cli.exercise import app
from makemore_bp.learning.grading import COLUMNS, Grade, as_csv, commonest
from tests.learning.learner_faults import BATCHNORM, CROSS_ENTROPY


@pytest.fixture(scope="module")
def class_room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hand-ins")
    (folder / "ada.py").write_text(CROSS_ENTROPY)
    (folder / "ben.py").write_text(CROSS_ENTROPY.replace("-= 1", "+= 1"))
    (folder / "cleo").mkdir()
    (folder / "cleo" / "3.py").write_text(BATCHNORM)
    (folder / "cleo" / "bad.py").write_bytes(b"\xff")
    return folder


def test_every_hand_in_has_a_row_and_the_class_a_summary(class_room: Path) -> None:
    result = CliRunner().invoke(app, ["grade", str(class_room), "--json"])
    answer = json.loads(result.stdout)
    rows = {(row["hand-in"], row["file"]): row for row in answer["hand-ins"]}
    assert result.exit_code == 1
    assert {key: row["passed"] for key, row in rows.items()} == {
        ("ada", "ada.py"): True,
        ("ben", "ben.py"): False,
        ("cleo", "3.py"): True,
        ("cleo", "bad.py"): False,
    }
    assert (rows["ben", "ben.py"]["kinds"], rows["ben", "ben.py"]["lines"]) == (["sign"], [2])
    assert "not UTF-8" in rows["cleo", "bad.py"]["message"]
    assert answer["mistakes"] == [{"kind": "sign", "title": "a wrong sign", "hand-ins": 1}]


def test_a_folder_without_hand_ins_is_refused(tmp_path: Path) -> None:
    from makemore_bp.errors import RequestError
    from makemore_bp.learning.grading import graded

    for folder, text in ((tmp_path, "holds no hand-ins"), (tmp_path / "none", "is not a folder")):
        with pytest.raises(RequestError, match=text):
            list(graded(folder))


def grade(who: str, *kinds: str, message: str = "") -> Grade:
    return Grade(who, "1.py", 0, 26, False, kinds, (1,), message)


def test_a_mistake_counts_once_for_each_hand_in() -> None:
    grades = [grade("ada", "sign", "sign"), grade("ada", "sign"), grade("ben", "factor", "sign")]
    assert [(kind, number) for kind, _, number in commonest(grades)] == [("sign", 2), ("factor", 1)]


def test_no_cell_of_the_csv_is_taken_for_a_formula() -> None:
    header, row = csv.reader(io.StringIO(as_csv([grade("=1+1", message="@x")])))
    assert tuple(header) == COLUMNS
    assert (row[0], row[-1]) == ("'=1+1", "'@x")
