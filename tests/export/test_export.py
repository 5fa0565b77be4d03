"""What an exported network computes is what ``eval`` and ``sample`` compute."""

from __future__ import annotations

import ast
import importlib.util
import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import makemore_bp as mb
from makemore_bp.errors import RequestError
from makemore_bp.export.trained import Trained
from makemore_bp.export.writing import FORMATS, MARK, export
from makemore_bp.network.passes import Network
from makemore_bp.network.stage import Record, Stage

CYRILLIC = "анна борис вера галина дмитрий ёлка жанна зоя иван"
CHINESE = "北京 上海 南京 广州 天津 重庆 成都 武汉 西安"
LATIN = "anna bella carla dora emma fiona greta hanna ida"
KINDS = {
    "lecture": (LATIN, "model.n_hidden=200"),
    "float64-relu": (CYRILLIC, "dtype=float64", "model.activation=relu", "model.block_size=5"),
    "chinese": (CHINESE, "model.block_size=2", "model.n_embd=4", "model.n_hidden=30"),
    "dropout": (LATIN, "train.dropout=0.2", "model.block_size=1", "model.activation=relu"),
}


@pytest.fixture(scope="module", params=KINDS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> mb.Run:
    """A trained run of each kind of network."""
    folder = tmp_path_factory.mktemp("export")
    text, *settings = KINDS[request.param]
    (folder / "words.txt").write_text(text.replace(" ", "\n") + "\n", encoding="utf-8")
    overrides = [f"data.path={folder / 'words.txt'}", "train.steps=300", "train.batch_size=8"]
    return mb.train(mb.load_config("quick", *overrides, *settings), folder / "run")


@pytest.fixture
def contexts(run: mb.Run) -> Tensor:
    """A thousand contexts of random ids."""
    g = torch.Generator().manual_seed(1)
    return torch.randint(len(run.vocabulary), (1000, run.config.model.block_size), generator=g)


def logits(run: mb.Run, contexts: Tensor) -> Tensor:
    statistics = run.saved.statistics
    return run.network.logits(run.parameters, statistics.bnmean, statistics.bnvar, contexts)


def module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("exported_network", path)
    assert spec and spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_the_module_of_plain_pytorch_gives_the_same_bits_and_draws_the_same_words(
    run: mb.Run, contexts: Tensor
) -> None:
    path, _ = export(run.folder, "torch")
    network = module(path).Network.load()
    with torch.no_grad():
        assert torch.equal(network(contexts), logits(run, contexts))
    assert network.sample(50, seed=5) == run.words(50, seed=5)
    assert network.sample(50, seed=5, temperature=0.5) == run.words(50, seed=5, temperature=0.5)
    assert len(network.sample(1500)) == 1500


def test_the_module_imports_nothing_but_torch_and_safetensors_and_can_be_trained(
    run: mb.Run, contexts: Tensor
) -> None:
    path, _ = export(run.folder, "torch")
    tree = ast.parse(path.read_text("utf-8"))
    froms = {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    plain = {n.name for node in ast.walk(tree) if isinstance(node, ast.Import) for n in node.names}
    assert froms | plain == {"json", "pathlib", "torch", "safetensors"}
    network = module(path).Network.load()
    network(contexts).sum().backward()
    assert {name for name, one in network.named_parameters() if one.grad is not None} == set(
        run.parameters
    )


def test_onnxruntime_gives_the_same_next_characters_for_batches_of_any_size(
    run: mb.Run, contexts: Tensor
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    path, _ = export(run.folder, "onnx")
    session = onnxruntime.InferenceSession(path)
    for rows in (contexts, contexts[:1]):
        (found,) = session.run(["logits"], {"Xb": rows.numpy()})
        expected = logits(run, rows)
        assert found.dtype == expected.numpy().dtype
        exact = run.config.dtype == "float64"
        # Two sums of float32 numbers in another order differ by some units in the last place.
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12 if exact else 4e-6)
        chances = torch.from_numpy(found).softmax(1) - expected.softmax(1)
        assert float(chances.abs().max()) < 1e-6
    facts = session.get_modelmeta().custom_metadata_map
    assert facts["characters"] == run.vocabulary.characters
    assert json.loads(facts["config"]) == run.config.model_dump(mode="json")


def test_the_json_holds_every_bit_and_all_that_a_reader_without_packages_needs(
    run: mb.Run, contexts: Tensor
) -> None:
    path, _ = export(run.folder, "json")
    saved = json.loads(path.read_text("utf-8"))
    for name, expected in Trained(run.saved, "network").tensors.items():
        assert torch.equal(torch.tensor(saved["tensors"][name], dtype=expected.dtype), expected)
    assert saved["characters"] == run.vocabulary.characters
    assert saved["config"] == run.config.model_dump(mode="json")
    rows = contexts[:20]
    for row, expected in zip(rows.tolist(), logits(run, rows).tolist(), strict=True):
        assert by_hand(saved, row) == pytest.approx(expected, rel=1e-5, abs=1e-5)


def by_hand(saved: dict[str, Any], context: list[int]) -> list[float]:
    """The logits of a context in plain Python."""
    t = saved["tensors"]

    def linear(x: list[float], W: list[list[float]], b: list[float]) -> list[float]:
        return [
            sum(p * w for p, w in zip(x, column, strict=True)) + bias
            for column, bias in zip(zip(*W, strict=True), b, strict=True)
        ]

    embcat = [number for id in context for number in t["C"][id]]
    h = []
    for j, x in enumerate(linear(embcat, t["W1"], t["b1"])):
        scale = t["bngain"][0][j] * (t["bnvar"][0][j] + saved["constants"]["EPS"]) ** -0.5
        x = scale * (x - t["bnmean"][0][j]) + t["bnbias"][0][j]
        h.append(math.tanh(x) if saved["config"]["model"]["activation"] == "tanh" else max(0.0, x))
    return linear(h, t["W2"], t["b2"])


@pytest.fixture
def small_run(words: Path, tmp_path: Path) -> Path:
    overrides = [f"data.path={words}", "train.steps=5", "model.n_hidden=4", "train.batch_size=4"]
    return mb.train(mb.load_config("quick", *overrides), tmp_path / "small").folder


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_says_where_it_is_and_how_it_is_used_and_may_be_written_again(
    format: str, small_run: Path, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if format == "onnx":
        pytest.importorskip("onnxruntime")
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    for _ in range(2):
        answer = cli("export", small_run, "--format", format)
        assert answer.code == 0, answer.err
    path = Path(answer.out.strip())
    assert path.parent == small_run / "export" and MARK.encode() in path.read_bytes()[:1024]
    monkeypatch.syspath_prepend(path.parent)
    heading, *lines = answer.err.splitlines()
    assert heading == "To use it:"
    exec("\n".join(lines), {})
    sys.modules.pop("network", None)
    assert opened == ([path.resolve().as_uri()] if format == "html" else [])


def test_what_is_no_export_is_never_replaced(small_run: Path, cli: Any) -> None:
    checkpoint = (small_run / "checkpoint.safetensors").read_bytes()
    for format, out in (("json", "summary.json"), ("torch", "checkpoint.py")):
        answer = cli("export", small_run, "--format", format, "--out", small_run / out)
        assert answer.code == 2 and "is not an export of makemore-bp" in answer.err
    assert not (small_run / "checkpoint.py").exists()
    assert (small_run / "checkpoint.safetensors").read_bytes() == checkpoint
    assert "steps" in json.loads((small_run / "summary.json").read_text())


@pytest.mark.parametrize(
    ("format", "out", "said"),
    [
        ("pickle", "x.pkl", "There are html, onnx, torch, json"),
        ("json", "network.txt", "ends in .json"),
        ("torch", "my-network.py", "Python cannot import a file of this name"),
        ("torch", "class.py", "Python cannot import a file of this name"),
        ("json", "words.txt/network.json", "words.txt"),
    ],
)
def test_what_cannot_be_done_is_one_paragraph_and_leaves_nothing(
    format: str, out: str, said: str, small_run: Path, cli: Any, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    answer = cli("export", small_run, "--format", format, "--out", tmp_path / out)
    assert answer.code == 2 and answer.err.startswith("Error: ") and said in answer.err
    assert answer.err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_of_two_files_neither_is_left_if_one_cannot_be_written(small_run: Path, cli: Any) -> None:
    folder = small_run / "export"
    (folder / "network.py").mkdir(parents=True)
    answer = cli("export", small_run, "--format", "torch")
    assert answer.code == 2 and "network.py is not a regular file" in answer.err
    assert [path.name for path in folder.iterdir()] == ["network.py"]


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    small_run: Path, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "makemore_bp.export.onnx_file", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    answer = cli("export", small_run, "--format", "onnx")
    assert answer.code == 2 and "pip install 'makemore-bp[onnx]'" in answer.err


def forward(hpreact: Tensor) -> Record:
    h = F.gelu(hpreact)
    return locals()


def test_an_operation_without_a_translation_is_refused_by_name_and_plain_pytorch_takes_it(
    small_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx")
    other = replace(Network(), activation=Stage("GELU", forward, backward=()))
    monkeypatch.setattr("makemore_bp.engines.configured.network", lambda config: other)
    with pytest.raises(RequestError, match=r"F\.gelu\(hpreact\)"):
        export(small_run, "onnx")
    path, _ = export(small_run, "torch")
    assert "h = torch.nn.functional.gelu(hpreact)" in path.read_text("utf-8")
    assert len(module(path).Network.load().sample(3)) == 3


def test_the_equations_of_a_trained_network_are_its_stages_own(small_run: Path) -> None:
    run = mb.open_run(small_run)
    names = [one.name for one in Trained(run.saved, "network").equations]
    assert names == ["emb", "embcat", "hprebn", "scale", "hpreact", "h", "logits"]
