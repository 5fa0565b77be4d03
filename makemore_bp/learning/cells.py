"""The text of one notebook cell as plain Python of as many lines.

A notebook's commands (``%matplotlib inline``, ``!wget ...``, ``%%bash``, ``help?``) are no Python.
Each is replaced by ``pass``, so that a line keeps its number, or by the Python that it wraps
(``%time x = f()``, ``%%time``).
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

# Cell magics below whose first line stands Python that runs in the notebook's namespace.
_WRAP_CELLS = {"time", "capture", "prun", "debug", "gradcheck"}
_WRAP_LINES = {"time", "prun"}
_COMMAND = re.compile(r"^(\s*)([%!?].*|.*[^\s?#]\?{1,2}\s*)$")
_ASSIGNED = re.compile(r"^(\s*)[\w.,\s\[\]]+=\s*(![^=]|%[A-Za-z]).*$")
_MAGIC = re.compile(r"^%{1,2}(\w+)\s*(.*)$")


@dataclass(frozen=True)
class Cell:
    """lines: Python, as many as the cell has. left_out: the number of each line that is a command,
    from 1, with its text. error: line and reason where what is left is still not Python."""

    lines: tuple[str, ...]
    left_out: tuple[tuple[int, str], ...] = ()
    error: tuple[int, str] | None = None


def python_of(text: str) -> Cell:
    """The Python of a cell's text."""
    lines = text.splitlines()
    left_out = tuple(_replace_commands(lines)) if _error(lines) is not None else ()
    return Cell(tuple(lines), left_out, _error(lines))


def _replace_commands(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Replaces the commands in ``lines`` and gives each with its number."""
    first = next((k for k, line in enumerate(lines) if line.strip()), 0)
    found = _MAGIC.match(lines[first].strip()) if lines else None
    if found and lines[first].lstrip().startswith("%%"):
        yield first + 1, lines[first].strip()
        wrapped = found[1] in _WRAP_CELLS
        kept = lines[first + 1 :] if wrapped else [""] * (len(lines) - first - 1)
        lines[first:] = ["pass", *kept]
        if not wrapped:
            return
    for k, line in enumerate(lines):
        if _is_command(line) and not _goes_on(lines[:k]):
            yield k + 1, line.strip()
            _leave_out(lines, k)


def _is_command(line: str) -> bool:
    if line.lstrip().startswith("#"):
        return False
    return (
        bool(_COMMAND.match(line) or _ASSIGNED.match(line)) and _error([line.strip()]) is not None
    )


def _leave_out(lines: list[str], k: int) -> None:
    """Replaces the command in line ``k``, and the lines that a backslash joins to it."""
    indent = lines[k][: len(lines[k]) - len(lines[k].lstrip())]
    found = _MAGIC.match(lines[k].strip())
    wrapped = found is not None and found[1] in _WRAP_LINES and found[2]
    joined = lines[k].rstrip().endswith("\\")
    lines[k] = indent + (found[2] if wrapped and found else "pass")
    while joined and k + 1 < len(lines):
        k += 1
        joined = lines[k].rstrip().endswith("\\")
        lines[k] = ""


def _goes_on(before: list[str]) -> bool:
    """Whether the next line belongs to a statement or a string that an earlier line began."""
    text = "\n".join([*before, ""])
    try:
        for _ in tokenize.generate_tokens(io.StringIO(text).readline):
            pass
    except tokenize.TokenError:
        return True
    except SyntaxError:
        return False
    return False


def _error(lines: list[str]) -> tuple[int, str] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse("\n".join(lines))
    except SyntaxError as error:
        return min(error.lineno or 1, max(1, len(lines))), error.msg
    except (ValueError, RecursionError, MemoryError) as error:
        return 1, str(error) or "it is nested too deeply"
    return None


def needs(text: str) -> set[str]:
    """The names that a cell reads when it runs and has not set before."""
    needed, known = set[str](), set[str]()
    for statement in ast.parse(text).body:
        needed |= needs_of(statement) - known
        known |= _bound(statement)
    return needed


def needs_of(statement: ast.stmt) -> set[str]:
    """The same for one statement; a loop's or a block's own names are not among them."""
    read = {
        node.id
        for node in _at_once(statement)
        if isinstance(node, ast.Name)
        and (isinstance(node.ctx, ast.Load) or node in _extended(statement))
    }
    read -= _of_comprehensions(statement)
    return read - _bound(statement) if hasattr(statement, "body") else read


def _of_comprehensions(statement: ast.stmt) -> set[str]:
    """The names of ``[... for i, s in ...]``, which are nobody else's."""
    found = (n.target for n in _at_once(statement) if isinstance(n, ast.comprehension))
    return {name.id for target in found for name in ast.walk(target) if isinstance(name, ast.Name)}


def _extended(statement: ast.stmt) -> list[ast.expr]:
    """What ``+=`` and the like read before they set it."""
    return [node.target for node in _at_once(statement) if isinstance(node, ast.AugAssign)]


def binds(text: str) -> set[str]:
    """The names that a cell sets when it runs; ``x += 1`` alone does not make an x."""
    return set().union(*map(_bound, ast.parse(text).body))


def _bound(statement: ast.stmt) -> set[str]:
    extended = _extended(statement)
    bound = set()
    for node in _at_once(statement):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            bound |= set() if node in extended else {node.id}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).partition(".")[0])
    return bound - _of_comprehensions(statement)


def _at_once(node: ast.AST) -> Iterator[ast.AST]:
    """A statement and all in it that runs with it; what stands in a function runs later."""
    yield node
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        for child in ast.iter_child_nodes(node):
            yield from _at_once(child)
