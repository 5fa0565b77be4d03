"""``python tools/lowest.py > lowest.txt``: the lowest versions that pyproject.toml allows, as
constraints for pip."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
EXTRAS = ("report", "tensorboard", "onnx")  # what a user runs; tools for development stay new


def lowest() -> list[str]:
    """``name==version`` of every dependency's lower end; raises ValueError for one without."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    extras = [one for extra in EXTRAS for one in project["optional-dependencies"][extra]]
    return [_end(requirement) for requirement in [*project["dependencies"], *extras]]


def _end(requirement: str) -> str:
    end = re.fullmatch(r"([\w-]+)>=([\d.]+)", requirement)
    if end is None:
        raise ValueError(f"{requirement} has no lower end")
    return f"{end[1]}=={end[2]}"


if __name__ == "__main__":
    print("# Written by tools/lowest.py from pyproject.toml.", *lowest(), sep="\n")
