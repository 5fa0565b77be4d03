"""A room imports only from those below it, and the heart from nothing but itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "makemore_bp"
# From the top floor down; rooms on one floor do not import from each other.
FLOORS = (
    {"__main__", "__init__"},
    {"cli"},
    {"api"},
    {"export"},
    {"report"},
    {"experiments", "learning"},
    {"sampling"},
    {"gradcheck"},
    {"training"},
    {"ranks"},
    {"engines"},
    {"dataset"},
    {"config", "network"},
    {"yaml_reading", "json_reading"},
    {"locks"},
    {"pages"},
    {"resources", "files", "signals", "processes", "threads"},
    {"errors"},
    {"text"},
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """The rooms that a module imports from, with the lines."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "makemore_bp":
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("makemore_bp."):
            yield str(node.module).split(".")[1], node.lineno
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("makemore_bp."):
                    yield alias.name.split(".")[1], node.lineno


def test_every_room_has_a_floor() -> None:
    rooms = {room_of(path) for path in PACKAGE.rglob("*.py")}
    assert rooms <= set(FLOOR), "name the new room in FLOORS"


def test_no_import_runs_upward() -> None:
    upward = [
        f"{path.relative_to(PACKAGE.parent)}:{line} imports {room}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for room, line in imported(path)
        if room in FLOOR and room != room_of(path) and FLOOR[room] <= FLOOR[room_of(path)]
    ]
    assert upward == []


def test_the_heart_imports_nothing_of_the_project_but_itself() -> None:
    for path in (PACKAGE / "network").glob("*.py"):
        assert {room for room, _ in imported(path)} <= {"network"}, path
