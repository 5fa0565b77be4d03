"""Tables in windows of any width."""

from __future__ import annotations

from io import StringIO
from itertools import zip_longest

import pytest
from rich.console import Console

from makemore_bp.cli.tables import FoldedTable

HEAD = ("tensor", "shape", "status", "largest difference", "ulp")
ROW = ("counts_sum_inv", "32 x 3 x 10", "inherits", "1.6e-01", "> 1,000,000")


def lines(width: int) -> list[str]:
    table = FoldedTable()
    for number, name in enumerate(HEAD):
        table.add_column(name, no_wrap=number < 3)
    table.add_row(*ROW)
    out = StringIO()
    Console(file=out, width=width).print(table)
    return out.getvalue().splitlines()


def cells(lines: list[str], edge: str) -> list[str]:
    """What stands in each column of the lines that have such edges, without its blanks."""
    parts = [line.split(edge)[1:-1] for line in lines if line.startswith(edge)]
    return ["".join(column).replace(" ", "") for column in zip_longest(*parts, fillvalue="")]


@pytest.mark.parametrize("width", [30, 40, 50, 60, 66, 80, 200])
def test_a_narrow_window_cuts_nothing_off(width: int) -> None:
    shown = lines(width)
    assert max(map(len, shown)) <= width
    assert cells(shown, "┃") == [name.replace(" ", "") for name in HEAD]
    assert cells(shown, "│") == [cell.replace(" ", "") for cell in ROW]


def test_names_stay_in_one_piece_where_there_is_room_for_them() -> None:
    assert any("counts_sum_inv" in line for line in lines(80))
    assert any("counts_sum_inv" in line for line in lines(68))
