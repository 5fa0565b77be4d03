"""`makemore-bp report` as a person types it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib", reason="pictures need matplotlib")

from matplotlib.axes import Axes

from makemore_bp.report import drawing, observations
from makemore_bp.report.drawing import Picture
from makemore_bp.report.layer_pictures import layer_pictures, output_pictures
from makemore_bp.training import run_folder
from tests.report.report_helpers import trained


@pytest.fixture
def run(words: Path, tmp_path: Path) -> Path:
    return trained(words, tmp_path / "run")


@pytest.mark.usefixtures("sketched")
def test_the_page_and_its_pictures_stand_in_the_runs_folder(cli: Any, run: Path) -> None:
    answer = cli("report", run)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == f"{run / 'report' / 'report.html'}\n"
    assert (run / "report" / "report.html").is_file() and (run / "report" / "loss.png").is_file()
    assert cli("report", run).code == 0  # again, over the first


@pytest.mark.usefixtures("sketched")
def test_out_names_a_folder_or_a_file(cli: Any, run: Path, tmp_path: Path) -> None:
    assert cli("report", run, "--out", tmp_path / "new" / "place").code == 0
    assert (tmp_path / "new" / "place" / "report.html").is_file()
    assert cli("report", run, "--out", tmp_path / "mine.html").code == 0
    assert (tmp_path / "mine.html").is_file() and (tmp_path / "mine-loss.png").is_file()
    assert not (run / "report").exists()


@pytest.mark.usefixtures("sketched")
def test_a_file_that_is_no_report_is_not_replaced(cli: Any, run: Path, tmp_path: Path) -> None:
    page = tmp_path / "thesis.html"
    page.write_text("<h1>Years of work</h1>")
    answer = cli("report", run, "--out", page)
    assert answer.code == 2 and "--out" in answer.err
    assert page.read_text() == "<h1>Years of work</h1>" and not list(tmp_path.glob("*.png"))


@pytest.mark.usefixtures("sketched")
def test_a_place_that_cannot_be_written_is_refused_with_a_way_out(cli: Any, run: Path) -> None:
    (run / "report").write_text("a file where the folder would stand")
    answer = cli("report", run)
    assert answer.code == 2 and answer.out == ""
    assert "cannot be written" in answer.err and "--out" in answer.err


@pytest.mark.usefixtures("sketched")
def test_a_read_only_folder_is_refused_with_a_way_out(cli: Any, run: Path, tmp_path: Path) -> None:
    if not hasattr(os, "geteuid") or os.geteuid() == 0:
        pytest.skip("permissions do not bind this user")
    run.chmod(0o500)
    try:
        answer = cli("report", run)
    finally:
        run.chmod(0o700)
    assert answer.code == 2 and "--out" in answer.err


def test_without_matplotlib_it_says_what_to_install(
    cli: Any, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    answer = cli("report", run)
    assert answer.code == 2 and "pip install" in answer.err and "[report]" in answer.err
    assert not (run / "report").exists()


def test_train_and_the_terminal_report_do_not_need_matplotlib(
    shell: Any, run: Path, small: list[str], tmp_path: Path
) -> None:
    (tmp_path / "matplotlib.py").write_text("raise ImportError('not here')\n")
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    environment = {"PYTHONPATH": path, "FORCE_COLOR": "1"}
    for arguments in (["train", *small, "--out", tmp_path / "b"], ["report", run, "--terminal"]):
        answer = shell(*arguments, env=environment)
        assert answer.returncode == 0, answer.stderr
        assert "Loss of the minibatches" in answer.stdout


def test_broken_settings_of_matplotlib_do_not_matter(
    shell: Any, words: Path, tmp_path: Path
) -> None:
    trained(words, tmp_path / "sweep" / "runs" / "a")
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: many\nnonsense: 3\n")
    answer = shell("report", tmp_path / "sweep", cwd=tmp_path, env={"MPLBACKEND": "nonsense"})
    assert (answer.returncode, answer.stderr) == (0, "")


def test_what_is_no_run_is_refused(cli: Any, tmp_path: Path) -> None:
    for more in ([], ["--terminal"]):
        answer = cli("report", tmp_path, *more)
        assert answer.code == 2 and "not the folder of a run" in answer.err


def test_changed_data_is_refused(cli: Any, run: Path, words: Path) -> None:
    words.write_text(words.read_text() + "one more\n")
    answer = cli("report", run)
    assert answer.code == 2 and "SHA-256" in answer.err


@pytest.mark.usefixtures("sketched")
def test_a_run_without_sizes_says_so(cli: Any, run: Path) -> None:
    path = run / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        line.pop("parameters", None)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert cli("report", run).code == 0
    assert "recorded no sizes" in (run / "report" / "report.html").read_text()
    assert not (run / "report" / "updates.png").exists()
    assert cli("report", run, "--terminal").code == 0


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize(
    "metrics",
    ["", "[1]\n", '{"step": "x", "loss": 2}\n', '{"step": 0, "loss": NaN}\n{"step": 2', None,
     '{"step": 0, "loss": 3.0, "lr": 0, "train_loss": "?", "parameters": {"C": [1], "W1": {}}}\n'],
)  # fmt: skip
def test_damaged_metrics_are_used_as_far_as_they_go(
    cli: Any, run: Path, metrics: str | None
) -> None:
    path = run / "metrics.jsonl"
    path.unlink() if metrics is None else path.write_text(metrics)
    for more in ([], ["--terminal"]):
        answer = cli("report", run, *more)
        assert answer.code == 0 and answer.err == ""


def test_the_smallest_networks_have_pictures_too(tmp_path: Path, cli: Any) -> None:
    path = tmp_path / "words.txt"
    path.write_text("aa\na\naaa\n" * 9)
    small = ("model.n_hidden=1", "model.n_embd=1", "train.steps=1", "data.split=[1, 0, 0]")
    run = trained(path, tmp_path / "run", *small)
    answer = cli("report", run)
    assert (answer.code, answer.err) == (0, "")
    assert (run / "report" / "embedding.png").stat().st_size > 1000


def test_many_characters_and_units_make_no_huge_picture(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("\n".join(chr(0x4E00 + k) * 2 for k in range(1500)), encoding="utf-8")
    run = trained(path, tmp_path / "run", "model.n_hidden=1500", "train.steps=2")
    seen = observations.observe(run)
    for picture in (layer_pictures(seen)[0], *output_pictures(seen)):
        assert 1000 < len(drawing.render(picture).svg) < 300_000


@pytest.mark.usefixtures("sketched")
def test_an_unfinished_run_is_reported_as_it_stands(words: Path, tmp_path: Path, cli: Any) -> None:
    run = trained(words, tmp_path / "run", "train.steps=40")
    saved = run_folder.read(run)
    longer = saved.config.model_copy(
        update={"train": saved.config.train.model_copy(update={"steps": 999})}
    )
    type(saved)(**{**vars(saved), "config": longer}).save(run / run_folder.CHECKPOINT)
    (run / run_folder.SUMMARY).unlink()
    assert cli("report", run).code == 0
    assert "40 of 999 steps" in (run / "report" / "report.html").read_text()


def test_the_terminal_report_is_text_and_writes_nothing(cli: Any, run: Path) -> None:
    answer = cli("report", run, "--terminal")
    assert (answer.code, answer.err) == (0, "")
    for part in (
        "bigram",
        "Loss of the minibatches",
        "█",
        "saturated",
        "bngain",
        "autograd",
        "new",
    ):
        assert part in answer.out
    assert not (run / "report").exists()


def test_a_terminal_without_block_characters_gets_plain_ones(shell: Any, run: Path) -> None:
    answer = shell("report", run, "--terminal", env={"PYTHONIOENCODING": "ascii"})
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.isascii() and "\\u" not in answer.stdout and "::" in answer.stdout


def test_train_draws_a_curve_on_a_terminal_only(
    cli: Any, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Loss of the minibatches" not in cli("train", *small, "--out", tmp_path / "a").out
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "Loss of the minibatches" in cli("train", *small, "--out", tmp_path / "b").out


def test_names_on_a_terminal_are_harmless(cli: Any, words: Path, tmp_path: Path) -> None:
    run = trained(words, tmp_path / "\x1b[31mred")
    answer = cli("report", run, "--terminal")
    assert answer.code == 0 and "\x1b" not in answer.out


def test_a_missing_glyph_is_no_error() -> None:
    def label(axes: Axes) -> None:
        axes.set_xlabel("\u1200\u0e01")

    picture = Picture("x", "\U00010380", "alt", "how", label)
    assert drawing.render(picture).png.startswith(b"\x89PNG")


def test_a_moved_run_is_still_reported(cli: Any, run: Path, tmp_path: Path) -> None:
    moved = Path(shutil.move(run, tmp_path / "elsewhere"))
    assert cli("report", moved, "--terminal").code == 0
