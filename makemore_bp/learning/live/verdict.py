"""The verdict on a namespace as a notebook shows it: HTML, or the same words as text."""

from __future__ import annotations

from html import escape
from typing import Any

from makemore_bp.gradcheck.words import HEADINGS
from makemore_bp.learning.live.present import Present
from makemore_bp.learning.page.graph import MARKS
from makemore_bp.learning.page.panel import MEANINGS
from makemore_bp.learning.wording import Blame, Wording, worded

# Notebooks say in their own ways whether they are dark; where none does, the system decides.
_DARK = (
    'body[data-jp-theme-light="false"]', "body.vscode-dark", "body.vscode-high-contrast",
    'html[theme="dark"]',
)  # fmt: skip
_LIGHT_COLOURS = "--good:#00765a;--bad:#b34400;--heir:#7a5800;--none:#6b717b;--line:#d9dde3"
_DARK_COLOURS = "--good:#3fcf9f;--bad:#ff9457;--heir:#e3b94a;--none:#9aa1ac;--line:#444b57"
_RULES = """
.mbp{font:14px/1.5 system-ui,sans-serif;max-width:60rem}
.mbp p{margin:.15em 0 .5em}.mbp .verdict{font-weight:600}
.mbp .blame{border-left:4px solid var(--bad);padding:.1em 0 .1em .8em;margin:.5em 0}
.mbp .blame b,.mbp .failure{color:var(--bad)}
.mbp .blame pre{margin:.2em 0;white-space:pre;overflow-x:auto;font-size:13px;
background:none;color:inherit;padding:0}
.mbp ul{list-style:none;display:flex;flex-wrap:wrap;gap:.3em;padding:0;margin:.4em 0}
.mbp li{border:1px solid var(--tone);color:var(--tone);border-radius:.4em;padding:0 .5em;
margin:0;font:12px/1.7 ui-monospace,monospace;white-space:nowrap}
.mbp .exact,.mbp .close{--tone:var(--good)}.mbp .wrong,.mbp .shape{--tone:var(--bad)}
.mbp .inherits{--tone:var(--heir)}.mbp .missing{--tone:var(--none);border-style:dashed}
.mbp table{border-collapse:collapse;font-size:13px;margin:.4em 0}
.mbp th,.mbp td{text-align:left;padding:.1em 1em .1em 0;border-bottom:1px solid var(--line)}
.mbp td.n{text-align:right;font-variant-numeric:tabular-nums}
.mbp summary{cursor:pointer}.mbp iframe{width:100%;height:46rem;border:1px solid var(--line)}
"""


class Verdict:
    """What there is to say of a namespace.

    ``passed`` and ``as_json()`` are those of ``gradcheck --file --json``; shown in a notebook it is
    HTML, elsewhere text.
    """

    def __init__(self, present: Present, picture: bool = False) -> None:
        self._present, self._picture = present, picture

    @property
    def passed(self) -> bool:
        """Whether every gradient that is asked for is right."""
        return bool(self._present.answer["passed"])

    def as_json(self) -> dict[str, Any]:
        """The verdict as plain data."""
        return self._present.answer

    def page(self) -> str:
        """The pass as a picture: a whole HTML page."""
        from makemore_bp.learning.page.document import document
        from makemore_bp.learning.page.learner import learner_pass

        found = self._present
        return document(
            learner_pass("This notebook", found.source, found.answer, found.blocks, found.truth)
        )

    def __repr__(self) -> str:
        said = self._said
        blames = [
            "\n".join([blame.heading, *(f"    {line}" for line in blame.code), *_texts(blame)])
            for blame in said.blames
        ]
        marks = " ".join(f"{t['name']} {MARKS[t['status']]}" for t in self._tensors)
        return "\n".join(
            [marks, *blames, *said.reasons, *said.remarks, *_failure(said), said.verdict]
        )

    def _repr_html_(self) -> str:
        said = self._said
        failure = "".join(f'<p class="failure">{escape(text)}</p>' for text in _failure(said))
        return (
            f'{style()}<div class="mbp"><p class="verdict">{escape(said.verdict)}</p>'
            f"{self._marks()}{''.join(map(_blame, said.blames))}{failure}"
            f"{_paragraphs(said.remarks)}{_reasons(said)}{self._table()}{self._frame()}</div>"
        )

    @property
    def _said(self) -> Wording:
        return worded(self._present.answer, self._present.source.text)

    @property
    def _tensors(self) -> list[dict[str, Any]]:
        tensors: list[dict[str, Any]] = self._present.answer["tensors"]
        return tensors

    def _marks(self) -> str:
        items = "".join(
            f'<li class="{t["status"]}" title="{t["status"]}: {MEANINGS[t["status"]]}">'
            f"{escape(t['name'])} {MARKS[t['status']]}</li>"
            for t in self._tensors
        )
        return f"<ul>{items}</ul>"

    def _table(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(t['name'])}</td><td>{' × '.join(map(str, t['shape']))}</td>"
            f"<td>{t['status']}</td><td class=n>{_difference(t['max_abs_diff'])}</td></tr>"
            for t in self._tensors
        )
        headings = "".join(f"<th>{word}</th>" for word in HEADINGS[:4])
        return (
            f"<details><summary>All of them</summary><table><tr>{headings}</tr>{rows}</table>"
            "</details>"
        )

    def _frame(self) -> str:
        if not self._picture:
            return ""
        return f'<iframe title="The pass as a picture" srcdoc="{escape(self.page())}"></iframe>'


def style() -> str:
    """The style of a verdict, for light and dark notebooks."""
    dark = ",".join(f"{where} .mbp" for where in _DARK)
    unsaid = 'body:not([data-jp-theme-light="true"]):not(.vscode-light) .mbp'
    return (
        f"<style>.mbp{{{_LIGHT_COLOURS}}}{dark}{{{_DARK_COLOURS}}}"
        f"@media (prefers-color-scheme:dark){{{unsaid}{{{_DARK_COLOURS}}}}}{_RULES}</style>"
    )


def _difference(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}"


def _blame(blame: Blame) -> str:
    code = "\n".join(map(escape, blame.code))
    shown = f"<pre>{code}</pre>" if code else ""
    return (
        f'<div class="blame"><b>{escape(blame.heading)}</b>{shown}'
        f"{_paragraphs((blame.text, blame.more))}</div>"
    )


def _texts(blame: Blame) -> list[str]:
    return [f"  {text}" for text in (blame.text, blame.more) if text]


def _failure(said: Wording) -> list[str]:
    return [f"{said.ended} {said.failure}"] if said.failure else []


def _reasons(said: Wording) -> str:
    if not said.reasons:
        return ""
    reasons = _paragraphs(said.reasons)
    return f"<details><summary>Why close, and not exact</summary>{reasons}</details>"


def _paragraphs(texts: tuple[str, ...]) -> str:
    return "".join(f"<p>{escape(text)}</p>" for text in texts if text)
