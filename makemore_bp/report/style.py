"""The page's style sheet: light and dark, narrow and wide, and on paper."""

from __future__ import annotations

from makemore_bp.report.drawing import PALETTE

_LIGHT = "--page: #ffffff; --panel: #f6f7f9;"
_DARK = "--page: #16181d; --panel: #1f2229;"
_RULES = """
* { box-sizing: border-box; stroke-linejoin: round; stroke-linecap: butt; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
main, header, footer { max-width: 72rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 1.5rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; padding-bottom: .25rem;
  border-bottom: 1px solid var(--grid); }
h3 { font-size: 1rem; margin: 0 0 .25rem; }
p { margin: .25rem 0 .75rem; max-width: 46rem; overflow-wrap: anywhere; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1rem; padding: 0; }
a { color: var(--blue); }
.pictures { display: grid; gap: 1.25rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
figure { margin: 0; padding: .9rem; background: var(--panel); border-radius: .5rem;
  max-width: 46rem; }
figure svg { display: block; width: 100%; height: auto; }
svg text { font-family: system-ui, sans-serif; }
figcaption { font-size: .9rem; }
figcaption p { margin: 0 0 .5rem; }
.table { overflow-x: auto; margin: .5rem 0 1rem; }
table { border-collapse: collapse; font-size: .9rem; }
caption { text-align: left; color: var(--muted); padding-bottom: .35rem; }
th, td { padding: .2rem .9rem .2rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--grid); white-space: nowrap; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
td.long { white-space: normal; overflow-wrap: anywhere; min-width: 12rem; }
pre { background: var(--panel); border-radius: .5rem; padding: .75rem; white-space: pre-wrap;
  overflow-wrap: anywhere; font: .85rem/1.45 ui-monospace, monospace; }
ul.names { columns: 9rem; padding: 0; list-style: none; margin: 0 0 1rem; }
ul.names li { overflow-wrap: anywhere; }
.known { color: var(--muted); font-style: italic; }
footer { color: var(--muted); font-size: .85rem; padding: 2rem 1rem; }
@media (max-width: 30rem) { figure { padding: .5rem; } }
@media print { nav { display: none; } figure, .table, li { break-inside: avoid; }
  h2 { break-after: avoid; } figure, pre { background: none; border: 1px solid var(--grid); }
  .pictures { grid-template-columns: 1fr 1fr; } main { padding: 0; } body { font-size: 10pt; } }
"""


def sheet() -> str:
    """The style sheet. Paper is light, whatever the screen is."""
    light, dark = (
        extra + "".join(f" --{name}: {pair[side]};" for name, pair in PALETTE.items())
        for side, extra in enumerate((_LIGHT, _DARK))
    )
    return (
        f":root {{ color-scheme: light dark; {light} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}{_RULES}"
    )
