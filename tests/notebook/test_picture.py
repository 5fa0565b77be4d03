"""The pass as a picture: what the page holds."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

from makemore_bp.gradcheck.batch import Batch
from makemore_bp.gradcheck.check import check
from makemore_bp.learning.live.present import Present
from makemore_bp.learning.page.document import document
from makemore_bp.learning.page.layout import layout
from makemore_bp.learning.page.learner import learner_pass
from makemore_bp.learning.page.lecture import walk
from makemore_bp.learning.page.model import Judgement, Line, Node, Pass
from makemore_bp.learning.page.numbers import encoded
from makemore_bp.network.passes import LECTURE_ORDER, Network
from tests.conftest import Cli
from tests.notebook.cells_here import present

LARGEST = 1_500_000  # bytes of a page


@cache
def _walk(switch: str = "op-by-op") -> Pass:
    found = present("whole")
    record = found.truth.judged.record
    parameters = {name: record[name] for name in ("C", "W1", "b1", "W2", "b2", "bngain", "bnbias")}
    network = Network.of(cross_entropy=switch, batchnorm=switch)
    judgement = check(Batch(network, parameters, record["Xb"], record["Yb"]))
    return walk("A walk", network, found.truth.reference, judgement)


@cache
def _judged() -> Pass:
    found = present("one mistake")
    return learner_pass("mine.ipynb", found.source, found.answer, found.blocks, found.truth)


def _own(found: Present, name: str) -> torch.Tensor:
    home = found.blocks.home(name)
    assert home is not None and isinstance(home.value, torch.Tensor)
    return home.value


class _Parser(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids += [found["id"] or ""] if "id" in found else []
        self.links += [found["href"] or ""] if tag == "a" else []
        for name in ("src", "href", "action", "data"):
            self.addresses += [found[name] or ""] if name in found else []


def test_every_tensor_has_a_place_a_panel_and_a_link() -> None:
    page = _Parser(document(_judged()))
    assert len(page.ids) == len(set(page.ids))
    for name in LECTURE_ORDER:
        assert f"d-{name}" in page.ids
        assert f"#d-{name}" in page.links


def test_nothing_on_the_page_leads_outside() -> None:
    for shown in (_walk(), _judged()):
        page = document(shown)
        assert all(a.startswith(("#", "data:,")) for a in _Parser(page).addresses)
        assert "http://" not in page and "https://" not in page


def test_only_the_pages_own_script_may_run() -> None:
    page = document(_walk())
    digest = re.search(r"script-src 'sha256-([^']+)'", page)
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert digest is not None and len(scripts) == 1
    assert base64.b64decode(digest[1]) == hashlib.sha256(scripts[0].encode()).digest()


def test_a_tensor_stands_below_all_that_is_computed_from_it() -> None:
    for shown in (_walk(), _walk("fused"), _judged()):
        spots = layout(shown)
        assert len({(spot.row, spot.column) for spot in spots.values()}) == len(spots)
        for node in shown.nodes:
            assert all(spots[upper].row < spots[node.name].row for upper in shown.above(node.name))


def test_the_fused_pass_leaves_out_what_has_no_gradient_and_stays_connected() -> None:
    shown = _walk("fused")
    assert "probs" not in shown.by_name
    assert shown.above("logits") == ("loss",)
    assert shown.above("hprebn") == ("hpreact",)
    assert len(layout(shown)) == len(shown.nodes) + 1


def test_where_a_mistake_starts_and_who_inherits_it() -> None:
    shown = _judged()
    assert shown.origins("W1") == ("bnvar",)
    assert shown.heirs("bnvar") == ("bndiff2", "bndiff", "hprebn", "embcat", "W1", "emb", "C")
    page = document(shown)
    assert "The mistake starts at" in page
    assert "In [9], line 21" in page


def test_the_numbers_are_those_of_the_gradients_to_the_last_bit() -> None:
    found = present("one mistake")
    given = json.loads(json.dumps(encoded(_judged())))
    for name in ("bnvar", "logits", "C", "emb", "b1"):
        raw = base64.b64decode(given[name]["truth"])
        numbers = torch.frombuffer(bytearray(raw), dtype=torch.float32)
        assert torch.equal(numbers, found.truth.reference[name].flatten())
    own = torch.frombuffer(bytearray(base64.b64decode(given["bnvar"]["own"])), dtype=torch.float32)
    assert torch.equal(own, _own(found, "bnvar").flatten())
    assert given["logprobs"]["own"] == "same"


def test_a_large_network_is_cropped_to_the_pages_size() -> None:
    node = Node("x", (3000, 2000), "", ("loss = x.sum()",), (), torch.randn(3000, 2000))
    large = Node(
        "y", (500, 4000), "", (), (), torch.randn(500, 4000), Judgement(own=torch.ones(500, 4000))
    )
    page = document(Pass("Large", (node, large), ("loss = x.sum() + y.sum()", ("x", "y"))))
    assert len(page.encode()) < LARGEST
    given = encoded(Pass("Large", (node, large), ("", ("x", "y"))))
    rows, columns = given["x"]["shown"]
    assert (given["x"]["rows"], given["x"]["columns"]) == (3000, 2000)
    assert rows * columns * 4 == len(base64.b64decode(given["x"]["truth"]))


def test_double_precision_keeps_its_bits() -> None:
    truth = torch.randn(2, 3, dtype=torch.float64)
    given = encoded(Pass("", (Node("x", (2, 3), "", (), (), truth),), ("", ("x",))))["x"]
    raw = bytearray(base64.b64decode(given["truth"]))
    assert given["bytes"] == 8
    assert torch.equal(torch.frombuffer(raw, dtype=torch.float64), truth.flatten())


def test_text_from_a_learners_file_cannot_become_markup() -> None:
    nasty = "</script><img src=x onerror=alert(1)>"
    verdict = Judgement("wrong", (nasty,), (Line(nasty, nasty),))
    node = Node("x", (1,), nasty, (nasty,), (), torch.ones(1), verdict, nasty, nasty, nasty)
    page = document(Pass(nasty, (node,), (nasty, ("x",)), (nasty,), own=True))
    assert "<img" not in page
    assert page.count("</script>") == 2


def test_the_command_writes_a_page_and_replaces_only_its_own(cli: Cli, tmp_path: Path) -> None:
    page = tmp_path / "pass.html"
    arguments = ("gradcheck", "--samples", 0, "--html", page)
    assert cli(*arguments).code == 0
    assert cli(*arguments).code == 0
    assert "<title>Backward, step by step" in page.read_text()
    page.write_text("<p>my own")
    refused = cli(*arguments)
    assert refused.code == 2
    assert "is not a page of makemore-bp" in refused.err
    assert page.read_text() == "<p>my own"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--watch",),
        ("--watch", "--file", "f.py", "--solution", "all"),
        ("--html", "p.html", "--explain", "dh"),
        ("--html", "p.html", "--case", "all"),
    ],
)
def test_options_that_do_not_go_together_are_refused(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert cli("gradcheck", *arguments).code == 2
