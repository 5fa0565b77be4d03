"""The colours of pages and pictures, and the style sheet that every page begins with."""

from __future__ import annotations

from pathlib import Path

# Blue, vermilion, green and purple of Okabe and Ito, darkened or lightened until each stands out
# from its background; told apart with any colour vision. Name: light, dark.
PALETTE = {
    "ink": ("#1d1f24", "#e7e9ee"),
    "muted": ("#686d76", "#a0a6b1"),
    "grid": ("#dfe2e7", "#343943"),
    "blue": ("#0069a8", "#62b7f0"),
    "vermilion": ("#c04a00", "#ff9457"),
    "green": ("#00765a", "#3fcf9f"),
    "purple": ("#8d4a9c", "#d6a3e6"),
}
_BACKGROUNDS = {"page": ("#ffffff", "#16181d"), "panel": ("#f6f7f9", "#1f2229")}
_BASE = Path(__file__).with_name("base.css")


def sheet() -> str:
    """The colours as variables, and what all pages share. Paper is light even for a dark screen."""
    light, dark = (
        " ".join(f"--{name}: {pair[side]};" for name, pair in (_BACKGROUNDS | PALETTE).items())
        for side in (0, 1)
    )
    return (
        f":root {{ color-scheme: light dark; {light} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
        + _BASE.read_text(encoding="utf-8")
    )
