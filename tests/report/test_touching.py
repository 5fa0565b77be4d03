"""The pictures of a page under pointer, keyboard and fingers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="pictures need matplotlib")

from makemore_bp.report import history
from tests.report import browser
from tests.report.browser import Page
from tests.report.report_helpers import trained

LOSS = 'figure[data-picture="loss"]'


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser.page(browser.required(), tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(params=[1280, 390])
def page(tab: Page, reported: Path, request: pytest.FixtureRequest) -> Page:
    """The page of a run, in a window and on a phone."""
    tab.resize(request.param)
    tab.call("Emulation.setTouchEmulationEnabled", enabled=request.param < 500)
    tab.open(reported)
    return tab


def readout(page: Page, figure: str = LOSS) -> str:
    return str(page.evaluate(f"document.querySelector('{figure} .readout').textContent"))


def at(page: Page, across: float, up: float, figure: str = LOSS) -> tuple[float, float]:
    """A place in the window, by its parts of a picture's width and height, scrolled to."""
    box = page.evaluate(
        "(svg => { svg.scrollIntoView({block: 'center'}); const b = svg.getBoundingClientRect();"
        f" return [b.left, b.top, b.width, b.height]; }})(document.querySelector('{figure} > svg'))"
    )
    return box[0] + across * box[2], box[1] + (1 - up) * box[3]


def steps_shown(page: Page) -> list[float]:
    """The numbers below the axis of the loss."""
    texts = page.evaluate(
        f"[...document.querySelectorAll('{LOSS} .tick.across')].map(t => t.textContent)"
    )
    return [float(text.replace(",", "").replace("−", "-")) for text in texts]


def step_read(page: Page) -> float:
    found = re.match(r"step ([\d,]+): ", readout(page))
    assert found, readout(page)
    return float(found[1].replace(",", ""))


def is_whole(page: Page) -> bool:
    return bool(page.evaluate(f"document.querySelector('{LOSS} .small').hidden"))


def focus(page: Page, figure: str = LOSS) -> None:
    page.evaluate(f"document.querySelector('{figure} > svg').focus()")


def test_the_value_under_the_pointer_is_the_runs(page: Page, hostile_run: Path) -> None:
    seen = history.read(hostile_run)
    page.mouse("Moved", *at(page, 0.5, 0.5))
    label, value = re.match(r"step [\d,]+: (.*) ([\d.]+)$", readout(page)).groups()  # type: ignore[union-attr]
    series = {
        "minibatches, smoothed": dict(zip(seen.loss.steps, seen.loss.smoothed(), strict=True)),
        "train": dict(zip(seen.train.steps, seen.train.values, strict=True)),
        "val": dict(zip(seen.val.steps, seen.val.values, strict=True)),
    }[label]
    assert float(value) == pytest.approx(series[np.float64(step_read(page))], rel=1e-4)
    page.mouse("Moved", *at(page, 0.5, 1.3))
    assert readout(page).startswith(("Point", "Touch"))


def test_the_arrow_keys_go_from_value_to_value_and_line_to_line(page: Page) -> None:
    focus(page)
    page.press("ArrowRight")
    assert step_read(page) == 0
    page.press("ArrowRight")
    assert step_read(page) == 2 and "smoothed" in readout(page)
    page.press("ArrowDown")
    assert "train" in readout(page)
    page.press("ArrowUp")
    page.press("End")
    last = step_read(page)
    page.press("ArrowRight")
    assert step_read(page) == last == 58
    page.press("Escape")
    assert "step" not in readout(page)


def test_dragging_zooms_and_escape_shows_the_whole_again(page: Page) -> None:
    whole = steps_shown(page)
    start, end = at(page, 0.4, 0.5), at(page, 0.6, 0.5)
    page.drag(start, ((start[0] + end[0]) / 2, start[1]), end)
    zoomed = steps_shown(page)
    assert max(zoomed) - min(zoomed) < (max(whole) - min(whole)) / 2 and not is_whole(page)
    focus(page)
    page.press("Escape")
    assert steps_shown(page) == whole and is_whole(page)


def test_keys_zoom_around_what_is_read_and_never_past_the_whole(page: Page) -> None:
    whole = steps_shown(page)
    focus(page)
    for key in ("ArrowRight", "End", "+", "+"):
        page.press(key)
    assert step_read(page) == 58 and min(steps_shown(page)) > 30
    for _ in range(4):
        page.press("-")
    assert (min(steps_shown(page)), max(steps_shown(page))) == (min(whole), max(whole))


def test_a_button_shows_the_whole_again(page: Page) -> None:
    focus(page)
    page.press("+")
    assert not is_whole(page)
    page.evaluate(f"document.querySelector('{LOSS} .small').click()")
    assert is_whole(page)


def test_a_finger_reads_and_two_zoom(page: Page) -> None:
    whole = steps_shown(page)
    page.touch([at(page, 0.3, 0.5)], [at(page, 0.35, 0.5)])
    first = step_read(page)
    page.touch([at(page, 0.8, 0.5)])
    assert step_read(page) > first and is_whole(page)
    page.touch([at(page, 0.45, 0.5), at(page, 0.55, 0.5)], [at(page, 0.3, 0.5), at(page, 0.8, 0.5)])
    zoomed = steps_shown(page)
    assert max(zoomed) - min(zoomed) < (max(whole) - min(whole)) / 2 and not is_whole(page)


def test_a_line_is_switched_off_and_on(page: Page) -> None:
    drawn = f"document.querySelectorAll('{LOSS} svg.live path').length"
    button = f"[...document.querySelectorAll('{LOSS} .legend button')].at(-1)"
    before = page.evaluate(drawn)
    assert page.evaluate(f"{button}.textContent").startswith("val")
    page.evaluate(f"{button}.click()")
    assert page.evaluate(drawn) < before
    assert page.evaluate(f"{button}.getAttribute('aria-pressed')") == "false"
    focus(page)
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "ArrowDown"):
        page.press(key)
    assert "train" in readout(page)
    page.evaluate(f"{button}.click()")
    assert page.evaluate(drawn) >= before


def test_names_in_the_embedding_do_not_lie_upon_each_other_and_neighbours_are_told(
    page: Page,
) -> None:
    figure = 'figure[data-picture="embedding"]'
    boxes = page.evaluate(
        f"[...document.querySelectorAll('{figure} .letter')].map(t => t.getBBox())"
        ".map(b => [b.x, b.y, b.x + b.width, b.y + b.height])"
    )
    assert len(boxes) > 15
    for number, (left, top, right, bottom) in enumerate(boxes):
        for x1, y1, x2, y2 in boxes[:number]:
            across = min(right, x2) - max(left, x1)
            assert across <= 0 or min(bottom, y2) - max(top, y1) <= (bottom - top) / 2
    focus(page, figure)
    page.press("ArrowRight")
    assert re.match(r".+, nearest: (.+ \([\d.]+\)(, )?){5}$", readout(page, figure))


@pytest.mark.parametrize("name", ["dlogits", "following", "saturation"])
def test_the_cells_of_a_picture_can_be_read(page: Page, name: str) -> None:
    figure = f'figure[data-picture="{name}"]'
    page.mouse("Moved", *at(page, 0.5, 0.5, figure))
    assert re.match(r"(example|after) \S+, .+ \S+: −?[\d.e−]+$", readout(page, figure))
    focus(page, figure)
    page.press("Escape")
    page.press("ArrowRight")
    assert re.match(
        r"(example 0|after \.), (hidden unit 0|.*character \.): ", readout(page, figure)
    )


def test_without_a_script_the_pictures_stand_there_as_they_were_drawn(
    tab: Page, reported: Path
) -> None:
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    tab.open(reported)
    tab.call("Emulation.setScriptExecutionDisabled", value=False)
    assert tab.evaluate("document.querySelectorAll('figure > svg[role=img]').length") == 12
    assert tab.evaluate("document.querySelector('.playing').offsetParent") is None


def test_the_runs_of_an_experiment_are_read_and_switched_off_by_their_names(
    tab: Page, cli: Any, words: Path, tmp_path: Path
) -> None:
    for hidden in (2, 8, 30):
        trained(words, tmp_path / "sweep" / "runs" / f"h{hidden}", f"model.n_hidden={hidden}")
    shown = Path(cli("report", tmp_path / "sweep").out.strip())
    tab.resize(1280)
    tab.open(shown)
    assert tab.complaints() == []
    assert all(url == shown.as_uri() or url.startswith("data:") for url in tab.requests())
    figure = 'figure[data-picture="val-loss"]'
    buttons = f"[...document.querySelectorAll('{figure} .legend button')]"
    names = tab.evaluate(f"{buttons}.map(b => b.querySelector('span').textContent)")
    assert set(names) == {"h2", "h8", "h30"}
    focus(tab, figure)
    tab.press("ArrowRight")
    first = re.match(r"step [\d,]+: (h\d+) [\d.]+$", readout(tab, figure))
    assert first
    values = f"{buttons}.map(b => b.querySelector('output').textContent)"
    assert all(float(value) > 1 for value in tab.evaluate(values))
    tab.evaluate(f"{buttons}.find(b => b.textContent.startsWith('{first[1]}')).click()")
    focus(tab, figure)
    tab.press("ArrowRight")
    assert first[1] not in readout(tab, figure)
