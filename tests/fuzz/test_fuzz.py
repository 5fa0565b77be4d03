"""Whatever is fed in, the answer is a result or a refusal in words: no other exception, no hang.

A second's worth of each kind here; `MAKEMORE_BP_FUZZ=50000 pytest tests/fuzz -s` feeds in that many
and tells the slowest input of each kind and how far the memory grew.
"""

from __future__ import annotations

import ast
import contextlib
import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from makemore_bp import config, yaml_reading
from makemore_bp.dataset import Vocabulary, statistics, words
from makemore_bp.errors import RequestError
from makemore_bp.learning import reading, scope
from makemore_bp.learning import source as sources
from makemore_bp.network.parameters import Sizes, generators, initialise
from makemore_bp.network.passes import LECTURE_ORDER
from makemore_bp.text import is_hidden
from makemore_bp.training import checkpoint, metrics
from makemore_bp.training.checkpoint import Checkpoint
from makemore_bp.training.evaluation import Statistics
from tests.fuzz import inputs

LONG = "MAKEMORE_BP_FUZZ" in os.environ
TOTAL = int(os.environ.get("MAKEMORE_BP_FUZZ", "1000"))
SECONDS = 1.0  # of processor time that one input may take
GROWTH = 100  # MiB by which the memory may grow over all inputs of a kind
WARM = 20  # inputs before measuring; the first ones import modules and fill caches
GRADIENTS = tuple("d" + name for name in LECTURE_ORDER)
SIZES = ("model.n_hidden=4", "model.n_embd=2", "train.lr={0: 0.1, 9: 0.05}")


def fuzz(share: float) -> Callable[[Any], Any]:
    """So many of all inputs; the same ones in every short run, others in every long one."""
    return settings(
        max_examples=max(10, int(share * TOTAL)),
        derandomize=not LONG,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )


class Meter:
    """Counts inputs of one kind and finds the slowest."""

    def __init__(self, kind: str) -> None:
        self.kind, self.inputs, self.refused, self.slowest = kind, 0, 0, (0.0, "")
        self.grown = 0.0

    @contextmanager
    def __call__(self, shown: object) -> Iterator[None]:
        peak, began = _peak(), time.process_time()
        gc.disable()  # what it would collect in here is hypothesis's
        try:
            yield
        except RequestError as error:
            self.refused += 1
            assert str(error) and not any(map(is_hidden, str(error))), ascii(str(error))
        finally:
            gc.enable()
        took = time.process_time() - began
        self.inputs += 1
        if self.inputs <= WARM:
            return
        self.grown += _peak() - peak
        self.slowest = max(self.slowest, (took, ascii(shown)[:60]))
        assert not LONG or took < SECONDS, f"{took:.1f} s"


@pytest.fixture
def meter(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Iterator[Meter]:
    meter = Meter(request.node.name.removeprefix("test_"))
    yield meter
    if LONG:
        with capsys.disabled():
            print(
                f"\n{meter.inputs:,} inputs, {meter.refused:,} refused, "
                f"{meter.grown:.0f} MiB grown; "
                f"slowest {meter.slowest[0]:.3f} s: {meter.slowest[1]}"
            )
        assert meter.grown < GROWTH


def _peak() -> float:
    """The most memory that this process ever held, in MiB."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 2**20 if sys.platform == "darwin" else used / 2**10


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one file that is written again and again."""
    return tmp_path_factory.mktemp("fuzz") / "input"


@pytest.fixture(scope="module")
def state() -> Checkpoint:
    g, g_batchnorm = generators(1)
    return Checkpoint(
        config=config.load(None, SIZES),
        step=7,
        vocabulary=Vocabulary("abé李"),
        data_sha256="ab" * 32,
        engine="torch",
        torch_version="2.13.0",
        parameters=initialise(Sizes(5, 3, 2, 4), g, g_batchnorm),
        statistics=Statistics(torch.zeros(1, 4), torch.ones(1, 4)),
        generator=g.get_state(),
        generator_batchnorm=g_batchnorm.get_state(),
    )


@pytest.fixture(scope="module")
def whole(state: Checkpoint, place: Path) -> bytes:
    state.save(place)
    return place.read_bytes()


@fuzz(0.2)
@given(raw=inputs.data_files)
def test_data_files(raw: bytes, meter: Meter, place: Path) -> None:
    place.write_bytes(raw)
    with meter(raw):
        facts = statistics.of(place)
        json.dumps(facts)
        read = words.read_all(place)
        assert all(word == word.strip() and "\n" not in word for word in read.words)


@fuzz(0.04)
@given(raw=inputs.data_files)
def test_what_data_info_shows(raw: bytes, meter: Meter, place: Path, cli: Any) -> None:
    place.write_bytes(raw)
    with meter(raw):
        answer = cli("data", "info", place)
        shown = answer.out + answer.err
        assert answer.code in (0, 2) and "Traceback" not in shown
        assert not any(is_hidden(c) for c in shown.replace("\n", ""))


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@fuzz(0.18)
@given(text=inputs.yaml_files)
def test_yaml_files(text: str, meter: Meter, place: Path) -> None:
    place.write_bytes(text.encode(errors="surrogatepass"))
    resolved = None
    with meter(text):
        resolved = config.load(str(place))
    if resolved is not None:
        again = yaml_reading.parse(resolved.to_yaml()).value
        assert config.build(again, where="again") == resolved


@fuzz(0.2)
@given(override=inputs.overrides)
def test_overrides(override: str, meter: Meter) -> None:
    with meter(override):
        config.load(None, [override])


@fuzz(0.14)
@given(data=st.data())
def test_damaged_checkpoints(data: st.DataObject, meter: Meter, place: Path, whole: bytes) -> None:
    raw = data.draw(inputs.damaged(whole))
    place.write_bytes(raw)
    with meter(raw):
        checkpoint.load(place)
        pytest.fail("a damaged checkpoint was loaded")


@fuzz(0.1)
@given(data=st.data())
def test_forged_checkpoints(
    data: st.DataObject, meter: Meter, place: Path, whole: bytes, state: Checkpoint
) -> None:
    raw = data.draw(inputs.forgeries(whole, state.config.model_dump(mode="json")))
    place.write_bytes(raw)
    with meter(raw[8:]):
        loaded = checkpoint.load(place)
        loaded.save(place)  # what is accepted is a state like any other


@fuzz(0.1)
@given(raw=inputs.learner_files)
def test_learner_files_before_they_are_run(raw: bytes, meter: Meter, place: Path) -> None:
    place.write_bytes(raw)
    with meter(raw):
        source = reading.read_script(place)
        scope.scope_of((), source)
        # The script's process reports these as the learner's own mistakes.
        with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
            tree = ast.parse(source)
            compile(source, "file", "exec", dont_inherit=True)
            sources.read_only(tree, GRADIENTS)
            sources.hidden_in_functions(tree, GRADIENTS)
            for statement in tree.body:
                sources.changed_by_name(statement)
                sources.may_change_anything(statement)
                sources.names_at(tree, statement.lineno)


@fuzz(0.04)
@given(raw=inputs.metrics_files, before=st.integers(0, 25))
def test_metrics_files(raw: bytes, before: int, meter: Meter, place: Path) -> None:
    path = place.parent / metrics.NAME
    path.write_bytes(raw)
    with meter(raw):
        metrics.Metrics(place.parent, before, (1, 5)).close()
        steps = [line["step"] for line in metrics.read(place.parent)]
        assert steps == sorted(set(steps)) and all(step < before for step in steps)


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@settings(
    max_examples=max(2, TOTAL // 2500),
    derandomize=not LONG,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
@given(raw=inputs.learner_files)
def test_learner_files_that_are_run(raw: bytes, place: Path, cli: Any) -> None:
    """Each in a process of its own, so these are few."""
    place.write_bytes(raw)
    answer = cli("gradcheck", "--file", place, "--timeout", 20, "--json")
    assert answer.code in (0, 1, 2) and "Traceback" not in answer.err
