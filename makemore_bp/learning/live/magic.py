"""``%gradcheck`` in a notebook, after ``%load_ext makemore_bp``.

%gradcheck                      judges what the notebook holds at this moment
%gradcheck --picture            the same with the pass as a picture
%gradcheck --explain dbnvar     derives a gradient
%gradcheck --solution dbnvar    shows its line
%%gradcheck                     above a cell: runs it, then judges
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from makemore_bp.errors import RequestError
from makemore_bp.learning.live.present import check_names
from makemore_bp.learning.live.verdict import Verdict

USAGE = "%gradcheck takes nothing, --picture, --explain NAME or --solution NAME."


def check(names: Mapping[str, Any], picture: bool = False) -> Verdict:
    """The verdict on a namespace, such as ``globals()``. Raises RequestError if it holds no forward
    pass to judge by."""
    return Verdict(check_names(names), picture)


def load(shell: Any) -> None:
    """Gives an IPython shell the magic."""

    def gradcheck(line: str, cell: str | None = None) -> Any:
        if cell is not None:
            shell.run_cell(cell)
        try:
            return _answer(line.split(), shell.user_ns)
        except RequestError as error:
            print(error, file=sys.stderr)
            return None

    gradcheck.__doc__ = __doc__
    shell.register_magic_function(gradcheck, "line_cell", "gradcheck")


def _answer(words: list[str], names: Mapping[str, Any]) -> Any:
    from makemore_bp.gradcheck import derivations

    match words:
        case []:
            return check(names)
        case ["--picture"]:
            return check(names, picture=True)
        case ["--explain", name]:
            return Markdown(derivations.explain(name))
        case ["--solution", name]:
            return Markdown(f"```python\n{derivations.solution(name)}\n```")
    raise RequestError(USAGE)


class Markdown(str):
    """Text that a notebook lays out, and anything else shows as it is."""

    def _repr_markdown_(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        return str(self)
