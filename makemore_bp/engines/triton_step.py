"""A step in ten launches, whatever its size: five products by cuBLAS, and the kernels of
``triton_kernels`` between them, where the mathematics stands."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import prod

import torch
from torch import Tensor

from makemore_bp.dataset import Examples
from makemore_bp.engines import triton_kernels as kernels
from makemore_bp.engines.engine import Work
from makemore_bp.network.batchnorm import EPS
from makemore_bp.network.parameters import WEIGHTS

# In the row that all parameters make: those that a step adds up last, with a place for the loss;
# others that do not decay; then those that do.
IN_A_ROW = ("C", "b2", "loss", "bngain", "bnbias", "b1", *WEIGHTS)
FLOATS = 2**27  # in the one-hot rows that are held at a time: half a gigabyte in float32
# A program's, at most. A tile of rows has so few numbers that they stay in registers.
ROWS, TILE, UNITS, FEW_UNITS, PARAMETERS, SUMS = 128, 4096, 32, 16, 128, 32
# One rounding for a product and a sum, whatever this version of Triton would choose.
OPTIONS = {"enable_fp_fusion": True}
WIDE = {**OPTIONS, "num_warps": 8}


class TritonStep:
    """Updates the parameters of some work in place.

    parameters: by name, a copy of what it was given. gradients: the latest step's, likewise, with
    ``loss``. h, dlogits and dhpreact are that step's too; h has dropout's mask on it.
    """

    def __init__(
        self, work: Work, parameters: Mapping[str, Tensor], examples: Examples, steps: int
    ) -> None:
        """steps: the most that are made ready at once, if the memory does."""
        sizes, n, like = work.sizes, work.batch_size, parameters["C"]
        V, B, E, H = sizes.vocabulary, sizes.block_size, sizes.n_embd, sizes.n_hidden
        self._sizes, self._n, self._examples = sizes, n, examples
        self._shapes = {name: sizes.shapes.get(name, ()) for name in IN_A_ROW}
        self._row, self.parameters = in_a_row(self._shapes, like)
        self._gradients, self.gradients = in_a_row(self._shapes, like)
        self.set(parameters)
        self._characters = power_of_two(V)
        self._rows = min(ROWS, power_of_two(n), max(16, TILE // self._characters))
        self._activation = {
            "RELU": work.network.kind("activation") == "relu",
            "DROPOUT": work.dropout if work.network.drops else 0.0,
            "THRESHOLD": int(work.dropout * 2**32),
        }
        self._decay = work.weight_decay
        self.held = max(1, min(steps, FLOATS // (n * B * V)))
        empty = partial(torch.empty, dtype=like.dtype, device=like.device)
        ids = partial(torch.empty, dtype=torch.int32, device=like.device)
        self._X, self._Y = ids(self.held, n, B), ids(self.held, n)
        self._Z, self._M = empty(self.held, n, B * V), empty(self.held, B * V, B * V)
        self._P, self._R, self._S = empty(B, V, H), empty(B * V, H), empty(B * V, H)
        self.h, self.dlogits, self.dhpreact = empty(n, H), empty(n, V), empty(n, H)
        self._C_sums = empty(blocks(H, FEW_UNITS) * B, V * E)
        self._b2_sums = empty(blocks(n, self._rows), V + 1)

    def set(self, parameters: Mapping[str, Tensor]) -> None:
        """Goes on from these parameters."""
        for name, parameter in parameters.items():
            self.parameters[name].copy_(parameter)

    def prepare(self, indices: Tensor) -> None:
        """Makes the minibatches (steps, n) of the next steps ready, at most ``held``, in two
        launches."""
        steps, examples = len(indices), self._examples
        kernels.gather[(blocks(indices.numel(), self._rows),)](
            indices, examples.positions, examples.stream, self._X, self._Y, self._Z,
            indices.numel(), **self._context(), BN=self._rows, **OPTIONS,
        )  # fmt: skip
        Z = self._Z[:steps]
        torch.bmm(Z.mT, Z, out=self._M[:steps])

    def __call__(self, s: int, keys: Tensor, rates: Tensor, losses: Tensor) -> None:
        """Step ``s`` of those made ready: with dropout's key ``keys[s]`` at rate ``rates[s]``; its
        loss goes to ``losses[s]``."""
        p, sizes = self.parameters, self._sizes
        W1 = p["W1"].view(sizes.block_size, sizes.n_embd, sizes.n_hidden)
        torch.bmm(p["C"].expand(len(W1), -1, -1), W1, out=self._P)
        torch.mm(self._M[s], self._P.view(self._R.shape), out=self._R)
        self._hidden(s, keys)
        torch.mm(self.h, p["W2"], out=self.dlogits)
        self._loss(s)
        self._before_activation(s, keys)
        torch.mm(self._Z[s].T, self.dhpreact, out=self._S)
        torch.mm(self.h.T, self.dlogits, out=self.gradients["W2"])
        self._first_layer(s)
        self._update(s, rates, losses)

    def _hidden(self, s: int, keys: Tensor) -> None:
        p, n, H = self.parameters, self._n, self._sizes.n_hidden
        kernels.hidden[(blocks(n, self._rows), blocks(H, UNITS))](
            self._X, self._P, self._R, self._M, p["bngain"], p["bnbias"], keys, self.h, s, n, H,
            EPS=EPS, **self._activation, **self._context(), BN=self._rows, BH=UNITS,
            **WIDE,
        )  # fmt: skip

    def _loss(self, s: int) -> None:
        kernels.loss[(len(self._b2_sums),)](
            self.dlogits, self.parameters["b2"], self._Y, self._b2_sums, s, self._n,
            V=self._sizes.vocabulary, VB=self._characters, BN=self._rows, **WIDE,
        )  # fmt: skip

    def _before_activation(self, s: int, keys: Tensor) -> None:
        n, H = self._n, self._sizes.n_hidden
        kernels.before_activation[(blocks(n, self._rows), blocks(H, UNITS))](
            self.dlogits, self.parameters["W2"], self.h, keys, self.dhpreact, s, n, H,
            **self._activation, V=self._sizes.vocabulary, VB=self._characters, BN=self._rows,
            BH=UNITS, **WIDE,
        )  # fmt: skip

    def _first_layer(self, s: int) -> None:
        p, d, sizes = self.parameters, self.gradients, self._sizes
        kernels.first_layer[(blocks(sizes.n_hidden, FEW_UNITS), sizes.block_size)](
            p["C"], p["W1"], self._P, self._R, self._S, self._M, p["bngain"],
            d["W1"], d["bngain"], d["bnbias"], self._C_sums, s, self._n, sizes.n_hidden,
            EPS=EPS, **self._context(), E=sizes.n_embd, EB=power_of_two(sizes.n_embd), BH=FEW_UNITS,
            **OPTIONS,
        )  # fmt: skip

    def _update(self, s: int, rates: Tensor, losses: Tensor) -> None:
        p = self.parameters
        kernels.update[(blocks(len(self._row), PARAMETERS),)](
            self._row, self._gradients, self._C_sums, len(self._C_sums), self._b2_sums,
            len(self._b2_sums), rates, losses, s, len(self._row),
            p["b2"].storage_offset(), p["W1"].storage_offset(), DECAY=self._decay,
            VE=p["C"].numel(), V=self._sizes.vocabulary, BLOCK=PARAMETERS, ROWS=SUMS,
            **OPTIONS,
        )  # fmt: skip

    def _context(self) -> dict[str, int]:
        sizes = self._sizes
        return {"B": sizes.block_size, "V": sizes.vocabulary, "VB": self._characters}


def in_a_row(
    shapes: Mapping[str, tuple[int, ...]], like: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Zeros in one row, and its parts by name. A part starts at a multiple of 16 bytes, but for the
    loss, which stands behind b2."""
    starts, end = {}, 0
    for name, shape in shapes.items():
        starts[name] = end if name == "loss" else -(-end // 4) * 4
        end = starts[name] + prod(shape)
    row = torch.zeros(end, dtype=like.dtype, device=like.device)
    return row, {
        name: row[at : at + prod(shapes[name])].view(shapes[name]) for name, at in starts.items()
    }


def blocks(count: int, size: int) -> int:
    """How many blocks of a size hold so many."""
    return -(-count // size)


def power_of_two(count: int) -> int:
    """The least power of two from 16 on that is not smaller; what the length of a block must be."""
    return max(16, 1 << (count - 1).bit_length())
