"""Runs that the tests of reports look at; they are only read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.report.report_helpers import sketched  # noqa: F401 - a fixture

# What breaks pages and pictures: markup, quotes, mathematics, other scripts, a turned direction.
WORDS = ["<script>", "&amp;", "a\"b'c", "$x$", "李明", "נועה", "anna", "hanna", "bo", "Zoë"]


@pytest.fixture(scope="session")
def hostile_words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A word file whose name and words are made of what HTML must escape."""
    folder = tmp_path_factory.mktemp("words")
    path = folder / "<img src=x onerror=alert(1)>.txt"
    path.write_text("\n".join(WORDS * 6) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def hostile_run(tmp_path_factory: pytest.TempPathFactory, hostile_words: Path) -> Path:
    """A finished run on those words, in a folder named like a script."""
    from tests.report.report_helpers import trained

    folder = tmp_path_factory.mktemp("runs") / "<script>alert(1)<&\"'$a$"
    return trained(hostile_words, folder)


@pytest.fixture(scope="session")
def reported(hostile_run: Path) -> Path:
    """The page of that run, with its pictures beside it."""
    from makemore_bp.report import observations, output, run_report

    where = output.place(hostile_run, None)
    output.write(where, *run_report.run_report(observations.observe(hostile_run)))
    return where.page
