"""Characters that matplotlib's own font does not have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib", reason="pictures need matplotlib")

from fontTools.fontBuilder import FontBuilder  # type: ignore[import-untyped]
from fontTools.pens.ttGlyphPen import TTGlyphPen  # type: ignore[import-untyped]
from matplotlib import font_manager
from matplotlib.axes import Axes

from makemore_bp.report import drawing, fonts
from makemore_bp.report.drawing import Picture
from tests.report.report_helpers import trained


def font(path: Path, family: str, characters: str) -> str:
    """A font in which every character is a filled square."""
    names = [".notdef", *(f"uni{ord(c):04X}" for c in characters)]
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 1000), (1000, 1000), (1000, 0)):
        pen.lineTo(corner)
    pen.closePath()
    square = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap(dict(zip(map(ord, characters), names[1:], strict=True)))
    builder.setupGlyf(dict.fromkeys(names, square))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    builder.setupHorizontalHeader(ascent=1000, descent=0)
    builder.setupNameTable({"familyName": family, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return str(path)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The files of the fonts that are installed: none, until a test adds some."""
    files: list[str] = []
    known = list(font_manager.fontManager.ttflist)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: list(files))
    fonts.covering.cache_clear()
    yield files
    font_manager.fontManager.ttflist[:] = known
    fonts.covering.cache_clear()


def labelled(text: str) -> Picture:
    def label(axes: Axes) -> None:
        axes.set_xticks([0, 1], [text, "a"])

    return Picture("x", "title", "alt", "how", label)


def test_a_font_that_has_the_characters_is_found_and_drawn_with(
    tmp_path: Path, installed: list[str]
) -> None:
    without = drawing.render(labelled("李"))
    assert without.boxes == {"李"}
    installed += [
        font(tmp_path / "a.ttf", "Latin Only", "ab"),
        font(tmp_path / "b.ttf", "Han", "李明"),
    ]
    fonts.covering.cache_clear()
    found = drawing.render(labelled("李"))
    assert found.boxes == frozenset() and found.png != without.png
    assert fonts.covering(frozenset("李")) == ["Han"]


def test_what_only_several_fonts_have_together_takes_all_of_them(
    tmp_path: Path, installed: list[str]
) -> None:
    installed += [font(tmp_path / "a.ttf", "One", "李"), font(tmp_path / "b.ttf", "Two", "明王")]
    (tmp_path / "c.ttf").write_bytes(b"not a font")
    installed.append(str(tmp_path / "c.ttf"))
    assert fonts.covering(frozenset("李明王")) == ["Two", "One"]
    assert drawing.render(labelled("李明王本")).boxes == {"本"}


def test_joiners_and_line_ends_need_no_glyph(installed: list[str]) -> None:
    assert drawing.render(labelled("a\u200db\nc")).boxes == frozenset()


def test_characters_without_a_font_are_named_once(
    cli: Any, tmp_path: Path, installed: list[str]
) -> None:
    path = tmp_path / "words.txt"
    path.write_text("李明\n明李\n李李明\n" * 9, encoding="utf-8")
    run = trained(path, tmp_path / "run", "train.steps=2")
    answer = cli("report", run)
    assert answer.code == 0 and answer.err.count("\n") == 1
    assert answer.err.startswith("No installed font has 明, 李. A PNG file shows boxes")
    assert cli("report", run, "--terminal").err == ""
