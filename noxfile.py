"""The tests on every Python and on the lowest and newest dependencies, as far as they are at hand.

    nox                        all sessions whose Python is installed
    nox -s tests-3.12          one of them
    nox -s lowest -- tests/cli the lowest versions, and some of the tests

Each session installs PyTorch into an environment of its own under .nox/.
"""

from __future__ import annotations

import nox

nox.options.error_on_missing_interpreters = False
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The versions that are tested together (constraints.txt)."""
    session.install("-c", "constraints.txt", "-e", ".[dev]")
    session.run("pytest", *session.posargs)


@nox.session(python=PYTHONS[-1])
def newest(session: nox.Session) -> None:
    """The newest version of everything."""
    session.install("--upgrade", "-e", ".[dev]")
    session.run("pytest", *session.posargs)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """The lowest versions that pyproject.toml allows. Old packages use what newer ones deprecate,
    and stumble over a NUL, which no command line can hold."""
    session.install("-c", "lowest.txt", "-e", ".[dev,tensorboard]")
    session.run("pytest", "-W", "ignore::DeprecationWarning", "-k", "not NUL", *session.posargs)


@nox.session(python=PYTHONS[0])
def docs(session: nox.Session) -> None:
    """The documentation site, in site/."""
    session.install("-c", "constraints.txt", "-e", ".[docs]")
    session.run("mkdocs", "build", "--strict")
