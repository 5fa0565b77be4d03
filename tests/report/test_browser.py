"""The page in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="pictures need matplotlib")

from tests.report import browser
from tests.report.browser import Page

PICTURES = 12
# Of each picture its size on the screen and how much is drawn in it, and of each image inside
# whether it can be decoded.
MEASURE = """Promise.all([...document.querySelectorAll('figure > svg')].map(async svg => {
  const images = [...svg.querySelectorAll('image')].map(async inner => {
    const image = new Image();
    image.src = inner.href.baseVal;
    await image.decode();
    return image.naturalWidth > 1;
  });
  const box = svg.getBoundingClientRect();
  return {
    width: box.width, height: box.height,
    drawn: svg.querySelectorAll('path, image, use, text').length,
    images: (await Promise.all(images)).every(Boolean),
  };
}))"""
CONTRAST = "[document.body].map(b => getComputedStyle(b)).map(s => [s.color, s.backgroundColor])[0]"


@pytest.fixture(scope="module")
def opened(reported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser.page(browser.required(), tmp_path_factory.mktemp("profile")) as page:
        page.open(reported)
        yield page


@pytest.fixture
def reopened(opened: Page, reported: Path) -> None:
    opened.open(reported)


def test_the_page_opens_without_an_error_and_asks_for_nothing(opened: Page, reported: Path) -> None:
    opened.open(reported)
    asked = opened.requests()
    assert reported.as_uri() in asked
    assert all(url == reported.as_uri() or url.startswith("data:") for url in asked)
    assert opened.complaints() == []
    assert opened.evaluate("document.title") == "Run <script>alert(1)<&\"'$a$"


def test_a_page_with_errors_and_requests_would_be_noticed(opened: Page, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text("<img src='http://127.0.0.1:9/x.png'><script>console.error('no')</script>")
    opened.open(bad)
    asked = opened.requests()
    assert "http://127.0.0.1:9/x.png" in asked
    assert opened.named("Runtime.consoleAPICalled") and opened.named("Log.entryAdded")


@pytest.mark.usefixtures("reopened")
def test_every_picture_is_shown(opened: Page) -> None:
    pictures = opened.evaluate(MEASURE)
    assert len(pictures) == PICTURES
    for picture in pictures:
        assert picture["width"] > 300 and picture["height"] > 150
        assert picture["drawn"] > 10 and picture["images"]


@pytest.mark.usefixtures("reopened")
@pytest.mark.parametrize("width", [320, 390, 1200])
def test_no_window_is_too_narrow(opened: Page, width: int) -> None:
    opened.resize(width)
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    assert min(picture["width"] for picture in opened.evaluate(MEASURE)) > 0.7 * min(width, 500)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_are_the_readers_choice(opened: Page, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    opened.call("Emulation.setEmulatedMedia", media="screen", features=features)
    text, background = opened.evaluate(CONTRAST)
    brightness = {name: sum(map(int, rgb[4:-1].split(","))) for name, rgb in
                  (("text", text), ("background", background))}  # fmt: skip
    darker = "text" if scheme == "light" else "background"
    assert min(brightness, key=lambda name: brightness[name]) == darker
    assert abs(brightness["text"] - brightness["background"]) > 3 * 150


def test_paper_is_light_even_where_the_screen_is_dark(opened: Page) -> None:
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    opened.call("Emulation.setEmulatedMedia", media="print", features=features)
    assert opened.evaluate(CONTRAST)[1] == "rgb(255, 255, 255)"
    opened.call("Emulation.setEmulatedMedia", media="", features=[])
