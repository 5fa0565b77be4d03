"""The whole network: which stages stand in which order, and its passes in both directions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from makemore_bp.network import (
    batchnorm,
    batchnorm_fused,
    cross_entropy,
    cross_entropy_fused,
    dropout,
    embedding,
    linear,
    relu,
    tanh,
)
from makemore_bp.network.stage import Record, Rule, Stage, call, reads, run_backward, run_forward

# The stages of which there is more than one kind, by the name under which each is asked for.
CHOICES: dict[str, dict[str, Stage]] = {
    "batchnorm": {"op-by-op": batchnorm.op_by_op, "fused": batchnorm_fused.fused},
    "activation": {"tanh": tanh.tanh, "relu": relu.relu},
    "cross_entropy": {"op-by-op": cross_entropy.op_by_op, "fused": cross_entropy_fused.fused},
}


@dataclass(frozen=True)
class Network:
    """The stages in forward order. ``Network()`` is the lecture's, one operation a line.

    A network is a value: it says which network, and holds no number of it. Parameters, batch and
    whatever else a stage reads are handed to its passes.
    """

    embedding: Stage = embedding.embedding
    hidden: Stage = linear.hidden
    batchnorm: Stage = batchnorm.op_by_op
    activation: Stage = tanh.tanh
    output: Stage = linear.output
    cross_entropy: Stage = cross_entropy.op_by_op

    @classmethod
    def of(cls, **choices: str) -> Network:
        """The network with the named kinds of stages (see ``CHOICES``), the rest the lecture's."""
        return cls(**{name: CHOICES[name][kind] for name, kind in choices.items()})

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The stages in forward order."""
        return tuple(getattr(self, field.name) for field in fields(self))

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The rules of all stages in the order of the backward pass, last stage first."""
        return tuple(rule for stage in reversed(self.stages) for rule in stage.backward)

    @cached_property
    def op_by_op(self) -> Network:
        """The same network with one operation a line."""
        plain = {
            field.name: stage.op_by_op or stage
            for field, stage in zip(fields(self), self.stages, strict=True)
        }
        return Network(**plain)

    @cached_property
    def tensors(self) -> tuple[str, ...]:
        """The tensors that have a gradient where the network runs one operation a line, in the
        order of its backward pass: for the lecture's network the 26 that it checks, in its order.
        """
        return tuple(rule.__name__[1:] for rule in self.op_by_op.rules)

    def kind(self, name: str) -> str:
        """The name in ``CHOICES`` of the stage ``name``."""
        return next(k for k, stage in CHOICES[name].items() if stage is getattr(self, name))

    @property
    def drops(self) -> bool:
        """Whether the network has dropout."""
        return "mask" in reads(self.output.forward)

    def dropping(self, drops: bool) -> Network:
        """The same network with dropout on the hidden layer, or without. With it the passes need a
        mask."""
        return replace(self, output=dropout.output if drops else linear.output)

    def forward(
        self, parameters: Mapping[str, Tensor], Xb: Tensor, Yb: Tensor, **given: Any
    ) -> Record:
        """Runs a batch through the network.

        Xb (n, block_size) and Yb (n) are integer ids. ``given`` is what else its stages read: mask
        (n, n_hidden) where it drops. Returns the record: the parameters, the batch, every
        intermediate tensor by its name, and the scalar ``loss``.
        """
        record = {**parameters, "Xb": Xb, "Yb": Yb, "n": Xb.shape[0], **given}
        return run_forward((stage.forward for stage in self.stages), record)

    def backward(self, record: Record) -> dict[str, Tensor]:
        """Every gradient of the pass by name, ``dlogits`` to ``dC``, each of its tensor's shape."""
        return run_backward(self.rules, record)

    def given(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """What the forward pass of ``record`` was given besides parameters and batch."""
        return {"mask": record["mask"]} if self.drops else {}

    def slope(self, record: Mapping[str, Any]) -> Tensor:
        """The activation's slope at each hidden output of a pass, (n, n_hidden): what its own rule
        makes of a gradient of 1."""
        (rule,) = self.activation.backward
        slope: Tensor = call(rule, {**record, "dh": torch.ones_like(record["h"])})
        return slope

    def hprebn(self, parameters: Mapping[str, Tensor], Xb: Tensor) -> Tensor:
        """hprebn (n, n_hidden) of contexts Xb (n, block_size): all that comes before batchnorm."""
        record = {**parameters, "Xb": Xb}
        before = self.stages[: self.stages.index(self.batchnorm)]
        hprebn: Tensor = run_forward((stage.forward for stage in before), record)["hprebn"]
        return hprebn

    @cached_property
    def inference(self) -> tuple[Callable[..., Record], ...]:
        """What takes contexts to their logits once the network is trained: the same stages with
        batchnorm's statistics given and nothing dropped out."""
        return tuple(stage.inference or stage.forward for stage in self.stages[:-1])

    def logits(
        self, parameters: Mapping[str, Tensor], bnmean: Tensor, bnvar: Tensor, Xb: Tensor
    ) -> Tensor:
        """Logits (n, V) of contexts Xb (n, block_size) by the trained network, with batchnorm's
        statistics (1, n_hidden)."""
        record = {**parameters, "Xb": Xb, "bnmean": bnmean, "bnvar": bnvar}
        logits: Tensor = run_forward(self.inference, record)["logits"]
        return logits


LECTURE_ORDER = Network().tensors
