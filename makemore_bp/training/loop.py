"""The training loop: one for every engine.

A run is a sequence of chunks of steps. Between chunks, at steps that the configuration names, the
state is saved, losses are evaluated and lines are written; within a chunk the engine is alone with
its minibatches. How a run is cut into chunks changes nothing in its numbers, so neither does
where it was stopped and resumed.

Several ranks run the same loop side by side, on the same chunks, and stop at the same step; rank 0
alone writes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from makemore_bp import __version__
from makemore_bp.config import Config
from makemore_bp.dataset import Dataset
from makemore_bp.engines import configured
from makemore_bp.engines.choice import Choice
from makemore_bp.engines.engine import Work
from makemore_bp.engines.fixed_order import fixed_order
from makemore_bp.errors import DivergedError, LostRankError, RequestError
from makemore_bp.ranks.group import ALONE, Group
from makemore_bp.signals import Interrupted, Stop
from makemore_bp.training import baselines, evaluation, run_folder
from makemore_bp.training.checkpoint import Checkpoint
from makemore_bp.training.evaluation import Statistics, Weighted
from makemore_bp.training.metrics import Metrics, Unwritten
from makemore_bp.training.parameter_statistics import parameter_statistics

CHUNK_SECONDS = 0.1  # how long a request to stop may wait, and how often progress is shown
AT_A_STOP = 2**14  # contexts that batchnorm's statistics are measured on when a stop must not wait
MAX_CHUNK = 20_000  # steps; their indices stay small whatever the speed


@dataclass(frozen=True)
class Beginning:
    """What is about to be trained: from ``step`` to ``steps``, by which engine, on which words, how
    many parameters, and the folder that it is written to."""

    step: int
    steps: int
    choice: Choice
    words: str
    parameters: int
    folder: Path


class Reporter(Protocol):
    """Who wants to know how the run goes on."""

    def started(self, beginning: Beginning) -> None:
        """The loop begins."""

    def advanced(self, step: int, losses: Tensor, lr: float) -> None:
        """The steps up to ``step`` are done; ``losses`` are those of the last chunk."""

    def evaluated(self, step: int, train_loss: float, val_loss: float | None) -> None:
        """The losses before ``step`` on the whole training and validation sets."""


class Silent:
    """A reporter that keeps it to itself."""

    def started(self, beginning: Beginning) -> None:
        pass

    def advanced(self, step: int, losses: Tensor, lr: float) -> None:
        pass

    def evaluated(self, step: int, train_loss: float, val_loss: float | None) -> None:
        pass


SILENT = Silent()


@dataclass
class State:
    """What changes from step to step, besides the engine's parameters."""

    step: int
    parameters: dict[str, Tensor]
    g: torch.Generator
    g_batchnorm: torch.Generator

    @classmethod
    def fresh(cls, config: Config, vocabulary: int) -> State:
        """The start of a run, drawn from its seed as the lecture draws it."""
        start = configured.start(config, vocabulary)
        return cls(0, start.parameters, start.g, start.g_batchnorm)

    @classmethod
    def saved(cls, checkpoint: Checkpoint) -> State:
        """Where a checkpoint left off."""
        g, g_batchnorm = torch.Generator(), torch.Generator()
        try:
            g.set_state(checkpoint.generator)
            g_batchnorm.set_state(checkpoint.generator_batchnorm)
        except (RuntimeError, TypeError):
            raise RequestError("The checkpoint's generator states are damaged.") from None
        return cls(checkpoint.step, checkpoint.parameters, g, g_batchnorm)


@dataclass
class Training:
    """A run of ``config`` on ``data`` in ``folder``, from ``state`` to its last step."""

    config: Config
    data: Dataset
    work: Work
    choice: Choice
    folder: Path
    state: State
    reporter: Reporter
    stop: Stop
    chunk_seconds: float = CHUNK_SECONDS
    ranks: Group = ALONE

    began: float = field(default_factory=time.perf_counter)
    _trained_seconds: float = field(default=0.0, init=False)
    _trained_steps: int = field(default=0, init=False)
    _chunk: int = field(default=1, init=False)
    _statistics: tuple[int, Statistics] | None = field(default=None, init=False)
    _saved: int | None = field(default=None, init=False)
    _began_at: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        data, ranks, state = self.data, self.ranks, self.state
        self._engine = self.choice.make(self.work, state.parameters, state.step)
        V, device = len(data.vocabulary), self.config.device
        self._splits = {
            name: Weighted(data[name], V, device, ranks, self._pause)
            for name in ("train", "val", "test")
        }
        self._writes = ranks.rank == 0

    def run(self, resumed: bool = False) -> dict[str, Any]:
        """Trains to the last step and returns the summary, which is also written.

        Raises Interrupted when asked to stop, after saving; DivergedError when a loss or a weight
        is not finite, with the last good state on disk; RequestError if the disk is full;
        LostRankError if another rank has ended.
        """
        # What a stop has saved at the very end has the statistics of a few contexts only.
        ended = self.state.step == self.config.train.steps
        self._saved = self.state.step if resumed and not ended else None
        self._began_at = self.state.step
        train = self.config.train
        self._metrics = (
            Metrics(self.folder, self.state.step, (train.log_every, train.eval_every))
            if self._writes
            else Unwritten()
        )
        try:
            self.reporter.started(self._beginning())
            while self.state.step < self.config.train.steps:
                self._until(self._next_pause())
            self._save()
            summary = self._summary()
        except Interrupted:  # in an evaluation; else this state is saved already
            self._save(hurried=True)
            raise
        except LostRankError as lost:
            raise LostRankError(f"{lost} The last state, {self._kept()}.") from None
        finally:
            self._metrics.close()
        if self._writes:
            summary = run_folder.write_summary(self.folder, summary)
        return summary

    def _beginning(self) -> Beginning:
        steps, words = self.config.train.steps, self.config.data.path
        parameters = sum(p.numel() for p in self.state.parameters.values())
        return Beginning(self.state.step, steps, self.choice, words, parameters, self.folder)

    def _next_pause(self) -> int:
        """The next step at which something happens between chunks."""
        train, step = self.config.train, self.state.step
        due = [(step // every + 1) * every for every in (train.eval_every, train.checkpoint_every)]
        return min(*due, train.steps)

    def _until(self, pause: int) -> None:
        """Saves and evaluates if this step asks for it, then trains up to ``pause``."""
        step, train = self.state.step, self.config.train
        if step % train.checkpoint_every == 0:
            self._save()
        losses = self._evaluate() if step % train.eval_every == 0 else {}
        while self.state.step < pause:
            self._answer_stop()
            self._train_chunk(min(self._chunk, pause - self.state.step), losses)
            losses = {}
        self._answer_stop()

    def _train_chunk(self, steps: int, evaluated: dict[str, Any]) -> None:
        first, train = self.state.step, self.config.train
        shape = (steps, train.batch_size)
        indices = torch.randint(0, len(self.data.train), shape, generator=self.state.g)
        rates = train.rates(range(first, first + steps))
        if evaluated and self._writes:
            evaluated = evaluated | {"parameters": self._observe(indices[0], rates[0])}
        began = time.perf_counter()
        losses = self._engine.advance(indices, rates)
        seconds = time.perf_counter() - began
        self._trained_seconds += seconds
        self._trained_steps += steps
        self.state.step += steps
        # Half the time, twice the steps: a chunk takes about chunk_seconds, whatever the engine.
        fitting = steps * self.chunk_seconds / max(seconds, 1e-9)
        self._chunk = max(1, min(MAX_CHUNK, 2 * steps, math.ceil(fitting)))
        self._log(first, losses, rates, evaluated)
        self.reporter.advanced(self.state.step, losses, rates[-1])

    def _observe(self, indices: Tensor, lr: float) -> dict[str, dict[str, float | None]]:
        """The sizes of parameters and gradients, nothing dropped out, on the next minibatch."""
        network, device = self.work.network.dropping(False), self.work.device
        Xb, Yb = (ids.to(device) for ids in self.data.train.batch(indices))
        with fixed_order(device):
            return parameter_statistics(network, self._engine.parameters(), Xb, Yb, lr)

    def _log(
        self,
        first: int,
        losses: Tensor,
        rates: Sequence[float],
        evaluated: dict[str, Any],
    ) -> None:
        """Writes the lines of a chunk; stops the run at a loss that is not finite."""
        broken = torch.nonzero(~torch.isfinite(losses))
        good = int(broken[0]) if len(broken) else len(losses)
        every = self.config.train.log_every
        due = range(-first % every, good, every)
        for offset in sorted({*due, *([0] if evaluated and good else [])}):
            extra = evaluated if offset == 0 else {}
            line = {"loss": float(losses[offset]), "lr": rates[offset], **extra}
            self._metrics.write(first + offset, line)
        self._metrics.flush()
        if good < len(losses):
            self._diverged(first + good, f"the loss is {float(losses[good])}", rates[good])

    def _diverged(self, step: int, what: str, lr: float) -> None:
        raise DivergedError(
            f"The run has diverged: at step {step:,} {what}. {self._cause(lr)} The last good "
            f"state, {self._kept()}.",
            step,
        )

    def _cause(self, lr: float) -> str:
        decay = self.config.train.weight_decay
        if lr * decay > 1:
            return (
                f"The likely cause is the weight decay: a step takes {lr:g} * {decay:g} = "
                f"{lr * decay:g} times W1 and W2 off themselves; try a smaller train.weight_decay."
            )
        return f"The likely cause is the learning rate ({lr:g} there); try a smaller train.lr."

    def _kept(self) -> str:
        saved = (self._began_at or None) if self._saved is None else self._saved
        return "nothing was saved" if saved is None else f"step {saved:,} is kept"

    def _answer_stop(self) -> None:
        """Stops all ranks if one was asked to; else they take the longest chunk that one wants."""
        signal, self._chunk = self.ranks.largest([self.stop.signal or 0, self._chunk])
        if signal:
            self._save(hurried=True)
            raise Interrupted(signal)

    def _pause(self) -> None:
        """Gives an evaluation up if the run was asked to stop. Ranks answer together, after it."""
        if self.ranks is ALONE:
            self.stop.check()

    def _calibrated(self, hurried: bool = False) -> Statistics:
        if self._statistics is None or self._statistics[0] != self.state.step:
            train = self._splits["train"]
            measured = evaluation.calibrate(
                self.work.network,
                self._engine.parameters(),
                train.thinned(AT_A_STOP) if hurried else train,
            )
            self._statistics = (self.state.step, measured)
        return self._statistics[1]

    def _loss(self, split: str) -> float | None:
        return evaluation.loss(
            self.work.network, self._engine.parameters(), self._calibrated(), self._splits[split]
        )

    def _evaluate(self) -> dict[str, float | None]:
        losses = {"train_loss": self._loss("train"), "val_loss": self._loss("val")}
        self._refuse_infinite(losses)
        assert losses["train_loss"] is not None  # the training split is never empty
        self.reporter.evaluated(self.state.step, losses["train_loss"], losses["val_loss"])
        return losses

    def _refuse_infinite(self, losses: dict[str, float | None]) -> None:
        for name, value in losses.items():
            if value is not None and not math.isfinite(value):
                step = self.state.step
                rate = self.config.train.rate(max(0, step - 1))
                self._diverged(step, f"{name} is {value}", rate)

    def _save(self, hurried: bool = False) -> None:
        """Saves the state, unless this very state is saved already; ``hurried`` for a stop."""
        if self._saved == self.state.step:
            return
        self._metrics.sync()
        state = self.state
        rate = self.config.train.rate(max(0, state.step - 1))
        for name, parameter in self._engine.parameters().items():
            if not bool(torch.isfinite(parameter).all()):
                self._diverged(state.step, f"{name} is no longer finite", rate)
        checkpoint = Checkpoint(
            config=self.config,
            step=state.step,
            vocabulary=self.data.vocabulary,
            data_sha256=self.data.sha256,
            engine=self._engine.name,
            torch_version=torch.__version__,
            parameters=self._engine.parameters(),
            statistics=self._calibrated(hurried),
            generator=state.g.get_state(),
            generator_batchnorm=state.g_batchnorm.get_state(),
        )
        if self._writes:
            checkpoint.save(self.folder / run_folder.CHECKPOINT)
            self._saved = state.step
        self.ranks.largest([state.step])  # no rank counts on a state before it is on the disk
        self._saved = state.step

    def _summary(self) -> dict[str, Any]:
        losses = {f"{split}_loss": self._loss(split) for split in ("train", "val", "test")}
        self._refuse_infinite(losses)
        speed = self._trained_steps / self._trained_seconds if self._trained_steps else None
        return {
            "steps": self.config.train.steps,
            **losses,
            "baselines": {
                "uniform": baselines.uniform(len(self.data.vocabulary)),
                "bigram": baselines.bigram(self.data, self._pause) if self._writes else None,
            },
            "steps_per_second": speed,
            "seconds": time.perf_counter() - self.began,
            "engine": self._engine.name,
            "versions": {"makemore_bp": __version__, "torch": torch.__version__},
        }
