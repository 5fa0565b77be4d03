"""What a script or a notebook calls; docs/api.md shows it at work.

Whatever cannot be done raises ``makemore_bp.errors.RequestError``, with a sentence that says what
to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from torch import Tensor

from makemore_bp import config as configs
from makemore_bp import sampling
from makemore_bp.config import Config
from makemore_bp.dataset import Vocabulary
from makemore_bp.engines import configured
from makemore_bp.export import writing as exports
from makemore_bp.gradcheck.batch import Batch, first_step
from makemore_bp.gradcheck.check import Check
from makemore_bp.gradcheck.check import check as check_batch
from makemore_bp.network.passes import Network
from makemore_bp.training import run_evaluation, run_folder, start
from makemore_bp.training.checkpoint import Checkpoint
from makemore_bp.training.loop import SILENT, Reporter

if TYPE_CHECKING:
    from makemore_bp.learning.live.verdict import Verdict


@dataclass(frozen=True)
class Run:
    """A run on disk, as its latest state left it.

    folder: where it lies; saved: that state.
    """

    folder: Path
    saved: Checkpoint

    @property
    def config(self) -> Config:
        """The resolved configuration."""
        return self.saved.config

    @property
    def step(self) -> int:
        """How many minibatches it has been trained on."""
        return self.saved.step

    @property
    def network(self) -> Network:
        """The network that its configuration asks for."""
        return configured.network(self.saved.config)

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The parameters by the lecture's names: C, W1, b1, W2, b2, bngain, bnbias."""
        return self.saved.parameters

    @property
    def vocabulary(self) -> Vocabulary:
        """Characters to ids and back."""
        return self.saved.vocabulary

    def losses(self) -> dict[str, Any]:
        """``train_loss``, ``val_loss`` and ``test_loss`` in nats a character, with ``step`` and the
        ``baselines``; computed from its words, which must still be there."""
        return run_evaluation.evaluate(self.folder)

    def words(self, number: int = 20, **settings: Any) -> list[str]:
        """So many fresh words. ``settings``: seed, temperature, top_k, prefix, max_length, as
        ``makemore-bp sample`` has them."""
        sampler = sampling.Sampler(self.saved, sampling.Settings(**settings))
        return list(islice(sampler.words(), number))

    def export(self, format: str, out: str | Path | None = None) -> Path:
        """Writes the network as ``onnx``, ``torch`` or ``json`` to the file ``out``, or to
        FOLDER/export/network with the format's ending. Returns the file."""
        return exports.export(self.folder, format, None if out is None else Path(out))[0]


def load_config(source: str | Path | None = None, *overrides: str) -> Config:
    """The configuration of a YAML file, or the bundled one of that name, or without either the
    lecture's; each override is ``KEY=VALUE``, such as ``train.steps=1000``."""
    return configs.load(None if source is None else str(source), list(overrides))


def train(
    config: Config | None = None,
    folder: str | Path | None = None,
    *,
    overwrite: bool = False,
    reporter: Reporter = SILENT,
) -> Run:
    """Trains a new run in ``folder``, or in one of its own under ``runs/``. Prints nothing; a
    reporter is told how it goes on.

    Raises DivergedError if a loss or a weight is no longer finite, and Interrupted after a Ctrl-C,
    with the state saved in both cases.
    """
    named = run_folder.claimed("run") if folder is None else nullcontext(Path(folder))
    with named as place:
        start.new(config or load_config(), place, reporter, overwrite)
    return open_run(place)


def resume(folder: str | Path, *overrides: str, reporter: Reporter = SILENT) -> Run:
    """Goes on with a run; ``resume(folder, "train.steps=300000")`` trains it longer. Ends in the
    same bits as a run that was never stopped. Raises what ``train`` raises."""
    start.resume(Path(folder), overrides, reporter)
    return open_run(folder)


def open_run(folder: str | Path) -> Run:
    """The run in ``folder``."""
    return Run(Path(folder), run_folder.read(Path(folder)))


def first_batch(config: Config | None = None) -> Batch:
    """The minibatch on which a run of ``config`` takes its first step, with the network and its
    parameters. ``forward()`` and ``backward()`` of it give every tensor and gradient by name."""
    return first_step(config or load_config()).batch


@overload
def check(what: Batch, gradients: Mapping[str, Tensor] | None = None) -> Check: ...
@overload
def check(what: Mapping[str, Any], *, picture: bool = False) -> Verdict: ...
def check(
    what: Batch | Mapping[str, Any],
    gradients: Mapping[str, Tensor] | None = None,
    *,
    picture: bool = False,
) -> Check | Verdict:
    """Every gradient of the network's own pass on a batch against autograd's, or every one of
    ``gradients``, by the names ``dlogits``, ..., ``dC``.

    ``check(globals())`` in a notebook judges the gradients that stand there, on its own tensors;
    with ``picture`` it shows the pass. Raises RequestError if there is no forward pass to judge by.
    """
    if isinstance(what, Batch):
        return check_batch(what, gradients)
    from makemore_bp.learning.live.magic import check as judged

    return judged(what, picture)
