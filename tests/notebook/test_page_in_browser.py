"""The picture in a real browser, where one is installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from makemore_bp.learning.page.document import document
from makemore_bp.learning.page.learner import learner_pass
from makemore_bp.learning.page.model import Pass
from makemore_bp.network.passes import LECTURE_ORDER
from tests.notebook.cells_here import present
from tests.report import browser

BROWSER = browser.installed()
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
WIDTHS = (1280, 390)


def _judged() -> Pass:
    found = present("one mistake")
    return learner_pass("mine.ipynb", found.source, found.answer, found.blocks, found.truth)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[browser.Page, Path]]:
    assert BROWSER is not None
    folder = tmp_path_factory.mktemp("picture")
    path = folder / "pass.html"
    path.write_text(document(_judged()))
    with browser.page(BROWSER, folder / "profile") as page:
        yield page, path


def _open(opened: tuple[browser.Page, Path], width: int = 1280, dark: bool = False) -> browser.Page:
    page, path = opened
    page.resize(width)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    page.call("Emulation.setEmulatedMedia", media="", features=[scheme])
    fresh = path.with_name(f"{uuid4()}.html")  # the same address once more would not be loaded
    shutil.copyfile(path, fresh)
    page.open(fresh)
    return page


def _chosen(page: browser.Page) -> str:
    return str(page.evaluate("document.querySelector('.panel.chosen').dataset.name"))


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_shows_without_a_complaint_or_a_request_and_fits(
    opened: tuple[browser.Page, Path], width: int, dark: bool
) -> None:
    page = _open(opened, width, dark)
    complaints = page.named("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
    asked = [e["params"]["request"]["url"] for e in page.named("Network.requestWillBeSent")]
    assert complaints == []
    assert all(url.startswith(("file:", "data:", "about:")) for url in asked)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_it_begins_where_the_mistake_starts(opened: tuple[browser.Page, Path]) -> None:
    assert _chosen(_open(opened)) == "bnvar"


def test_every_tensor_is_reached_by_the_keyboard(opened: tuple[browser.Page, Path]) -> None:
    page = _open(opened)
    page.evaluate("document.querySelector('.box').focus()")
    reached = set()
    for _ in LECTURE_ORDER:
        reached.add(page.evaluate("document.activeElement.getAttribute('href')"))
        page.press("Tab")
    assert reached == {f"#d-{name}" for name in LECTURE_ORDER}
    page.evaluate("document.querySelector('.box').focus()")
    page.press("Enter", "\r")
    assert _chosen(page) == "logprobs"
    page.press("ArrowDown")
    assert _chosen(page) == "probs"
    page.press("n", "n")
    page.press("b", "b")
    assert _chosen(page) == "probs"


def test_a_click_or_a_touch_chooses_a_tensor(opened: tuple[browser.Page, Path]) -> None:
    for width, kind in zip(WIDTHS, ("mouse", "touch"), strict=True):
        page = _open(opened, width)
        box = "document.querySelector('a.box[href=\"#d-h\"]')"
        page.evaluate(f"{box}.scrollIntoView({{block: 'center'}})")
        x, y = page.evaluate(
            f"(() => {{ const b = {box}.getBoundingClientRect();"
            " return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        if kind == "mouse":
            for event in ("mousePressed", "mouseReleased"):
                page.call(
                    "Input.dispatchMouseEvent", type=event, x=x, y=y, button="left", clickCount=1
                )
        else:
            page.call("Emulation.setTouchEmulationEnabled", enabled=True)
            page.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
            page.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
            page.evaluate("new Promise(done => setTimeout(done, 100))")  # a click follows a touch
        assert _chosen(page) == "h", kind


def test_the_numbers_under_the_pointer_are_the_gradients(
    opened: tuple[browser.Page, Path],
) -> None:
    page = _open(opened)
    page.evaluate("document.querySelector('.panel.chosen canvas').focus()")
    page.press("ArrowRight")
    said = page.evaluate("document.querySelector('.panel.chosen .readout').textContent")
    found = present("one mistake")
    true = float(found.truth.reference["bnvar"][0, 1])
    own = -true  # the mistake is a sign
    words = said.split()
    assert "dbnvar[0, 1]" in said
    assert float(words[words.index("true") + 1]) == pytest.approx(true, rel=1e-5)
    assert float(words[words.index("yours") + 1]) == pytest.approx(own, rel=1e-5)
    assert float(words[words.index("difference") + 1]) == pytest.approx(own - true, rel=1e-5)


def test_on_paper_the_blamed_are_there_and_the_buttons_are_not(
    opened: tuple[browser.Page, Path],
) -> None:
    page = _open(opened)
    page.call("Emulation.setEmulatedMedia", media="print", features=[])
    shown = "getComputedStyle(document.querySelector('{}')).display"
    assert page.evaluate(shown.format(".buttons")) == "none"
    assert page.evaluate(shown.format(".panel.wrong")) == "block"
    assert page.evaluate(shown.format(".graph")) == "block"


def test_without_a_script_everything_can_be_read(opened: tuple[browser.Page, Path]) -> None:
    page, _ = opened
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        _open(opened)
        page.call("Emulation.setScriptExecutionDisabled", value=False)
        count = "[...document.querySelectorAll('.panel')].filter(p => p.offsetParent).length"
        assert page.evaluate(count) == len(LECTURE_ORDER)
    finally:
        page.call("Emulation.setScriptExecutionDisabled", value=False)
