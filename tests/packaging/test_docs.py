"""What the documentation shows runs, and what it links to is there."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [page for page in sorted(DOCS.glob("*.md")) if BLOCK.search(page.read_text("utf-8"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_python_block_of_a_page_runs_in_order(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    text = page.read_text("utf-8")
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start())
        exec(compile("\n" * (line + 1) + found[1], str(page), "exec"), names)


def test_the_page_about_python_is_among_them() -> None:
    assert "api.md" in [page.name for page in PAGES]


TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_every_link_within_the_sources_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text("utf-8")):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert "://" in link or target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)", target.read_text("utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", h).lower().replace(" ", "-") for h in headings}
            assert anchor in anchors, link


# A command at the beginning of an indented or fenced line, up to a comment or two blanks.
SHOWN = re.compile(r"^(?:    |\$ )makemore-bp (.*?)(?:  .*)?$", re.MULTILINE)
WITHIN = re.compile(r"(?:`|&& )makemore-bp ([^`&]+)")
# They never end, need the network, or train for minutes; their options are checked all the same.
NOT_RUN = ("exercise watch", "data fetch", "experiment", "--watch", "--case all")
TINY = ["--set", "train.steps=20", "--set", "model.n_hidden=4", "--set", "train.batch_size=4"]
FORWARD = """
import torch

x, W1 = torch.randn(4, 3), torch.randn(3, 2, requires_grad=True)
J = loss = torch.tanh(x @ W1).mean()
"""


def commands(text: str) -> list[list[str]]:
    shown = [re.split(r" [>|] ", found)[0] for found in SHOWN.findall(text)]
    return [shlex.split(found.replace("HAND-INS", "hand-ins")) for found in shown]


COMMANDED = [page for page in TEXTS if commands(page.read_text("utf-8"))]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files and the runs that the documentation speaks of."""
    import makemore_bp as mb

    folder = tmp_path_factory.mktemp("workshop")
    (folder / "words.txt").write_text("anna\nbo\ncarla\ndora\n" * 9)
    (folder / "names.txt").write_text("anna\nbo\ncarla\ndora\n" * 9)
    (folder / "forward.py").write_text(FORWARD)
    for name in ("my_backward.py", "my.py", "hand-ins/anna.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("dlogits = (F.softmax(logits, 1) - F.one_hot(Yb, 27)) / n\n")
    cell: dict[str, Any] = {
        "cell_type": "code",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }
    cells = [{**cell, "source": "# Exercise 2\ndlogits = F.softmax(logits, 1) / n"}]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "mine.ipynb").write_text(json.dumps(notebook))
    data = f"data.path={folder / 'words.txt'}"
    run = mb.train(mb.load_config("quick", data, *TINY[1::2]), folder / "runs" / "lecture").folder
    for name in ("words", "best", "large"):
        shutil.copytree(run, run.parent / name)
    return folder


@pytest.mark.parametrize("page", COMMANDED, ids=lambda page: page.name)
def test_every_command_of_a_page_runs_in_order(
    page: Path, workshop: Path, tmp_path: Path, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(workshop, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for command in runnable(page.read_text("utf-8")):
        answer = cli(*command)
        assert answer.code in (0, 1), f"{command}: {answer.err}"  # 1: the learner's file is wrong


def runnable(text: str) -> Iterator[list[str]]:
    from makemore_bp.engines.native import library

    left_out = NOT_RUN if library.available() else (*NOT_RUN, "--engine native")
    for command in commands(text):
        if not any(name in " ".join(command) for name in left_out):
            new = command[0] == "train" and "--resume" not in command
            yield [*command, *TINY, "--overwrite"] if new else command


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_every_command_that_is_mentioned_has_its_options(page: Path, cli: Any) -> None:
    text = page.read_text("utf-8")
    for command in [*commands(text), *map(shlex.split, WITHIN.findall(text))]:
        answer = cli(*(part for part in command if part not in ("--help", "...")), "--help")
        assert answer.code == 0, f"{command}: {answer.err}"
