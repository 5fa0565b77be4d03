"""The numbers that a page's script gets are those that stand on the axes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib", reason="pictures need matplotlib")

import numpy as np
from matplotlib.figure import Figure

from makemore_bp.report import history, numbers
from makemore_bp.report.drawing import BLUE, GREEN, MUTED, render
from makemore_bp.report.layer_pictures import output_pictures
from makemore_bp.report.observations import observe
from tests.report.page_parsing import parsed
from tests.report.report_helpers import trained


def live(page: Path) -> dict[str, Any]:
    data = [e for e in parsed(page.read_text("utf-8")) if e.attributes.get("id") == "data"]
    return dict(json.loads(data[0].text)["pictures"])


def test_the_losses_in_the_page_are_those_of_the_metrics(reported: Path, hostile_run: Path) -> None:
    seen = history.read(hostile_run)
    shown = live(reported)["loss"]
    by_label = {line["label"]: line for line in shown["lines"]}
    assert shown["legend"] == ["minibatches, smoothed", "train", "val"]
    assert by_label["minibatches, smoothed"]["x"] == seen.loss.steps.tolist()
    assert by_label["minibatches, smoothed"]["y"] == pytest.approx(seen.loss.smoothed(), rel=1e-4)
    assert by_label["val"]["y"][:-1] == pytest.approx(seen.val.values, rel=1e-4)
    assert {"uniform", "bigram"} <= {note["text"].partition("\n")[0] for note in shown["notes"]}
    assert [note["text"] for note in shown["notes"][2:]] == ["lr 0.1", "lr 0.01"]


def test_lines_guides_bands_and_gaps_are_read_from_the_axes() -> None:
    axes = Figure().subplots()
    axes.plot([1, 2, 3], [1.5, np.nan, 2.5], color=BLUE, linestyle="--", marker="s", label="a")
    axes.axhline(2, color=MUTED)
    axes.axvline(1, color=GREEN)
    axes.fill_between([1, 2], [0, 0], [1, 1], color=BLUE, alpha=0.25)
    axes.legend()
    found = numbers.numbers(axes)
    assert found is not None
    (line,) = found["lines"]
    assert (line["x"], line["y"], line["colour"]) == ([1, 2, 3], [1.5, None, 2.5], "blue")
    assert (line["label"], line["dash"], line["marker"]) == ("a", "--", "s")
    assert [(one.get("x"), one.get("y")) for one in found["guides"]] == [(None, 2), (1, None)]
    assert found["bands"][0]["alpha"] == 0.25 and found["legend"] == ["a"]
    json.dumps(found, allow_nan=False)


def test_a_long_line_is_thinned_and_a_crowd_of_lines_shares_the_room() -> None:
    axes = Figure().subplots()
    for _ in range(200):
        axes.plot(np.arange(10_000), np.ones(10_000), color=BLUE)
    found = numbers.numbers(axes)
    assert found is not None
    assert sum(len(line["x"]) for line in found["lines"]) <= numbers.POINTS


def test_the_largest_page_stays_below_three_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("\n".join(chr(0x4E00 + k) * 2 for k in range(1000)), encoding="utf-8")
    more = ("model.n_hidden=350", "train.steps=4", "train.batch_size=64")
    seen = observe(trained(path, tmp_path / "run", *more))
    from makemore_bp.report import playing

    network = json.dumps(playing.network(seen.saved))
    drawn = [render(picture) for picture in output_pictures(seen)]
    pictures = sum(len(one.svg) + len(json.dumps(one.live)) for one in drawn)
    assert 1_900_000 < len(network) < 2_100_000 and pictures < 600_000
