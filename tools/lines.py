"""``python tools/lines.py``: how many lines of Python and C each folder of the package has."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "makemore_bp"
LANGUAGES = {".py": "Python", ".c": "C", ".h": "C"}


def count(package: Path) -> Counter[tuple[str, str]]:
    """The lines, as ``wc -l`` counts them, for each folder and language."""
    lines: Counter[tuple[str, str]] = Counter()
    for path in package.rglob("*"):
        if path.suffix in LANGUAGES:
            folder = path.parent.relative_to(package.parent).as_posix()
            lines[folder, LANGUAGES[path.suffix]] += path.read_bytes().count(b"\n")
    return lines


def main() -> None:
    """Prints a row for each folder, and the total."""
    lines = count(PACKAGE)
    folders = sorted({folder for folder, _ in lines})
    print(f"{'':40}{'Python':>8}{'C':>8}")
    for folder in folders:
        print(f"{folder:40}{lines[folder, 'Python']:8,}{lines[folder, 'C']:8,}")
    total = {name: sum(lines[folder, name] for folder in folders) for name in ("Python", "C")}
    print(f"{'total ' + format(sum(total.values()), ','):40}{total['Python']:8,}{total['C']:8,}")


if __name__ == "__main__":
    main()
