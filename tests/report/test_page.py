"""What the HTML file holds, and what it must not."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="pictures need matplotlib")

from makemore_bp.report import observations
from makemore_bp.report.drawing import render
from makemore_bp.report.layer_pictures import layer_pictures
from makemore_bp.report.loss_pictures import loss_pictures
from tests.report.page_parsing import Element, parsed

PICTURES = {
    "loss", "splits", "hprebn", "hpreact", "tanh", "saturation", "gradients", "updates",
    "gradient-histogram", "dlogits", "embedding", "following",
}  # fmt: skip
REFERRING = {"src", "href", "xlink:href", "srcset", "data", "action", "poster", "background"}


@pytest.fixture(scope="module")
def elements(reported: Path) -> list[Element]:
    return parsed(reported.read_text(encoding="utf-8"))


def named(elements: list[Element], tag: str) -> list[Element]:
    return [element for element in elements if element.tag == tag]


def test_nothing_in_the_page_refers_to_anything_outside_it(elements: list[Element]) -> None:
    references = [
        value or ""
        for element in elements
        for key, value in element.attributes.items()
        if key in REFERRING
    ]
    assert len(references) > 20
    assert all(reference.startswith(("#", "data:")) for reference in references)
    for element in elements:
        for text in (element.text if element.tag == "style" else "", *element.attributes.values()):
            urls = re.findall(r"url\(\s*['\"]?([^)]*)", text or "")
            assert "@import" not in (text or "") and all(url[0] == "#" for url in urls)


def test_only_the_pages_own_script_can_run(elements: list[Element]) -> None:
    tags = {element.tag for element in elements}
    assert not tags & {"iframe", "object", "embed", "base", "form", "img"}
    assert not any(key.startswith("on") for element in elements for key in element.attributes)
    data, script = named(elements, "script")
    assert data.attributes["type"] == "application/json" and json.loads(data.text)["pictures"]
    assert "<script" not in data.text.lower()
    digest = base64.b64encode(hashlib.sha256(script.text.encode()).digest()).decode()
    (policy,) = (e for e in named(elements, "meta") if "http-equiv" in e.attributes)
    content = policy.attributes["content"] or ""
    assert content.startswith("default-src 'none'")
    assert f"script-src 'sha256-{digest}'" in content


def test_text_from_outside_stands_there_as_text(elements: list[Element]) -> None:
    assert named(elements, "h1")[0].text == "Run <script>alert(1)<&\"'$a$"
    assert any("<img src=x onerror=alert(1)>.txt" in e.text for e in named(elements, "td"))
    labels = {element.text for element in named(elements, "text")}
    assert {"<", ">", "&", "$", "李", "נ"} <= labels


def test_fresh_words_are_escaped(reported: Path, hostile_run: Path) -> None:
    drawn = [word for word, _ in observations.observe(hostile_run).names.shown]
    assert any("<" in word or "&" in word for word in drawn)
    shown = [element.text for element in parsed(reported.read_text()) if element.tag == "bdi"]
    assert shown == [word or "(nothing)" for word in drawn]


def test_every_picture_is_there_with_a_description_and_a_sentence(
    elements: list[Element], reported: Path
) -> None:
    pictures = named(elements, "svg")
    shown = [figure.attributes["data-picture"] for figure in named(elements, "figure")]
    assert len(pictures) == len(shown) and set(shown) == PICTURES
    for picture in pictures:
        assert picture.attributes["role"] == "img"
        assert len(picture.attributes["aria-label"] or "") > 40
    files = {path.stem: path.read_bytes() for path in reported.parent.glob("*.png")}
    assert set(files) == PICTURES
    assert all(content.startswith(b"\x89PNG") for content in files.values())


def test_names_of_elements_are_unique_and_references_meet_them(elements: list[Element]) -> None:
    counts = Counter(e.attributes["id"] for e in elements if e.attributes.get("id"))
    assert set(counts.values()) == {1}
    for element in elements:
        for key in ("href", "xlink:href", "aria-labelledby", "clip-path"):
            value = (element.attributes.get(key) or "").removeprefix("url(").removesuffix(")")
            if value.startswith("#") or (key == "aria-labelledby" and value):
                assert value.removeprefix("#") in counts


def test_tables_have_headers_and_captions(elements: list[Element]) -> None:
    tables = named(elements, "table")
    assert len(tables) == 7
    assert len(named(elements, "caption")) == len(tables)
    scopes = Counter(e.attributes["scope"] for e in named(elements, "th"))
    assert scopes["col"] > 10 and scopes["row"] > 20


def test_the_colours_are_the_pages_in_light_and_dark(reported: Path) -> None:
    page = reported.read_text()
    drawn, sheet = page.split("</style>")[1], page.split("</style>")[0]
    assert "prefers-color-scheme: dark" in sheet and "@media print" in sheet
    assert "var(--blue)" in drawn
    for light in re.findall(r"--\w+: (#\w{6})", sheet.split("@media")[0]):
        assert light not in drawn.lower()


def test_every_colour_of_text_and_lines_stands_out_in_light_and_dark(reported: Path) -> None:
    sheet = reported.read_text().split("</style>")[0]
    for theme in sheet.split("@media")[:2]:
        colours = dict(re.findall(r"--(\w+): #(\w{6})", theme))
        backgrounds = [colours.pop("page"), colours.pop("panel")]
        del colours["grid"]  # faint on purpose
        assert len(colours) == 6
        for background in backgrounds:
            assert all(contrast(colour, background) >= 4.5 for colour in colours.values())


def contrast(one: str, other: str) -> float:
    """The ratio of two colours' luminance, as WCAG defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return float(sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True)))

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_the_page_is_small(reported: Path) -> None:
    assert 50_000 < reported.stat().st_size < 3_000_000


def test_equal_runs_give_equal_pictures_whatever_matplotlib_is_told(
    reported: Path, hostile_run: Path
) -> None:
    import matplotlib

    seen = observations.observe(hostile_run)
    some = [loss_pictures(seen.history, seen.losses)[0], layer_pictures(seen)[-1]]
    with matplotlib.rc_context({"lines.linewidth": 9, "font.size": 30, "axes.grid": False}):
        rendered = [render(picture) for picture in some]
    page = reported.read_text(encoding="utf-8")
    for one in rendered:
        assert one.svg in page
        assert one.png == reported.with_name(f"{one.picture.name}.png").read_bytes()
