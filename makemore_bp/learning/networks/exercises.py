"""An exercise from any forward pass: a file with the forward pass and room for each gradient."""

from __future__ import annotations

import difflib
import shlex
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from makemore_bp.errors import RequestError
from makemore_bp.learning.derive.checking import OwnCheck, check_program
from makemore_bp.learning.derive.derivation import Derivation
from makemore_bp.learning.derive.reading import derive
from makemore_bp.learning.derive.writing import forward_pass, whole_file

_HERE = Path(__file__).parent
_WIDTH = 98


@dataclass(frozen=True)
class Exercise:
    """One exercise: its name, its title, what is new in it, and the file with its forward pass."""

    name: str
    title: str
    new: str
    forward: Path


@cache
def exercises() -> tuple[Exercise, ...]:
    """All of them, from the simplest on."""
    facts = tomllib.loads((_HERE / "facts.toml").read_text(encoding="utf-8"))
    return tuple(
        Exercise(each["name"], each["title"], each["new"].strip(), _HERE / "forward" / each["file"])
        for each in facts["exercise"]
    )


def exercise(name: str) -> Exercise:
    """The exercise of a name. Raises RequestError if there is none."""
    found = {each.name: each for each in exercises()}
    if name not in found:
        near = difflib.get_close_matches(name, found, 1)
        raise RequestError(
            "There is no exercise of the name '{name}'. There are {known}."
            if not near
            else "There is no exercise of the name '{name}'. Did you mean {near}?",
            name=name,
            near=near[0] if near else "",
            known=", ".join(found),
        )
    return found[name]


def from_forward(path: Path) -> Exercise:
    """A teacher's own exercise, from a file with a forward pass."""
    title = path.stem.replace("_", " ").replace("-", " ").capitalize()
    return Exercise(path.stem, title, "", path)


def template(exercise: Exercise, file: Path, loss: str | None = None) -> str:
    """The exercise as a file to fill in, which will stand at ``file``.

    Raises RequestError if the forward pass cannot be read.
    """
    derivation = derive(exercise.forward, loss)
    return "\n".join([*_heading(exercise, file), *_rooms(derivation)]) + "\n"


def solution(exercise: Exercise, loss: str | None = None) -> str:
    """The same file, filled in, with the idea of each step."""
    return whole_file(derive(exercise.forward, loss))


def write(exercise: Exercise, folder: Path, loss: str | None = None) -> Path:
    """Writes the file to fill in into ``folder``; nothing is overwritten.

    Raises RequestError if it is there already or cannot be written.
    """
    path = folder / f"{exercise.name.replace('-', '_')}.py"
    text = template(exercise, path, loss)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise RequestError(
            "{path} is there already, and your work is not overwritten. Name another folder: "
            "makemore-bp exercise new NAME DIR.", path=path,
        ) from None  # fmt: skip
    except OSError as error:
        raise RequestError(
            "{path} cannot be written: {reason}. Name another folder: makemore-bp exercise new "
            "NAME DIR.", path=path, reason=error.strerror or str(error),
        ) from None  # fmt: skip
    return path


@dataclass(frozen=True)
class Progress:
    """How far a learner has come: the tensors whose gradients are right, and all that are asked."""

    right: tuple[str, ...]
    expected: tuple[str, ...]
    check: OwnCheck | None

    @property
    def next(self) -> str | None:
        """The first tensor whose gradient is not right yet."""
        return next((name for name in self.expected if name not in self.right), None)


def progress(path: Path, loss: str | None = None) -> Progress:
    """How far the exercise at ``path`` is done. Raises RequestError if it cannot be read."""
    derivation = derive(path, loss)
    expected = tuple(variable.name for variable in derivation.variables)
    try:
        check = check_program(derivation.program, loss)
    except RequestError:  # nothing is filled in yet
        return Progress((), expected, None)
    return Progress(tuple(name for name in expected if name in check.right), expected, check)


def _heading(exercise: Exercise, file: Path) -> Iterator[str]:
    yield f"# Exercise: {exercise.title}."
    yield "#"
    if exercise.new:
        for line in textwrap.wrap(" ".join(exercise.new.split()), _WIDTH):
            yield f"# {line}"
        yield "#"
    yield "# Check it with"
    yield "#"
    yield f"#     makemore-bp gradcheck --file {shlex.quote(str(file))}"
    yield "#"
    yield "# as often as you like, from the first line on. dx always has the shape of x."
    yield ""


def _rooms(derivation: Derivation) -> Iterator[str]:
    yield forward_pass(derivation)
    yield ""
    yield "# The backward pass: under each line, the gradients of what it reads."
    begun: set[str] = set()
    for part in derivation.parts:
        yield ""
        yield from (f"# {line}" for line in part.step.lines())
        for variable in dict.fromkeys(term.variable for term in part.terms):
            name = derivation.name(variable)
            shape = ", ".join(map(str, variable.value.shape))
            yield f"# {name} {'+=' if name in begun else '='}    ({shape})"
            begun.add(name)
