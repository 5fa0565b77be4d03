"""The names that a learner's script finds: those that the lecture's notebook has in scope."""

from __future__ import annotations

import dis
import random
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from makemore_bp.network.batchnorm import EPS
from makemore_bp.network.parameters import NAMES

# The names of the lecture's first cells, where its data is read.
WORDS = {"stoi", "itos", "words", "Xtr", "Ytr", "Xdev", "Ydev", "Xte", "Yte"}
SEED = 2147483647  # of the generator g, the lecture's


def namespace(record: Mapping[str, Any], gradients: Mapping[str, Tensor]) -> dict[str, Any]:
    """The names for a script: modules, sizes, the batch, parameters and every forward tensor.

    ``record`` is that of the op-by-op forward pass, ``gradients`` are autograd's by tensor name.
    As in the notebook after loss.backward(), every tensor has its gradient in ``.grad``.
    """
    n, block_size = record["Xb"].shape
    names = dict(record)
    names |= {
        "torch": torch,
        "F": F,
        "random": random,
        "g": torch.Generator().manual_seed(SEED),
        "n": n,
        "batch_size": n,
        "block_size": block_size,
        "vocab_size": record["C"].shape[0],
        "n_embd": record["C"].shape[1],
        "n_hidden": record["b1"].shape[0],
        "parameters": [record[name] for name in NAMES],
        "loss_fast": F.cross_entropy(record["logits"], record["Yb"]),
        "hpreact_fast": _batchnorm(record),
    }
    names["display"] = lambda *_, **__: None
    names["get_ipython"] = lambda: _Silent("ipython")
    for name, gradient in gradients.items():
        names[name].grad = gradient.clone()
    names["cmp"] = comparison(record, gradients)
    return names


def words_of(data: Any) -> dict[str, Any]:
    """The names of the lecture's first cells, for a data set: words, stoi, itos and the splits."""
    vocabulary = data.vocabulary
    itos = dict(enumerate([".", *vocabulary.characters]))
    names: dict[str, Any] = {"stoi": {c: i for i, c in itos.items()}, "itos": itos}
    for suffix, split in (("tr", data.train), ("dev", data.val), ("te", data.test)):
        X, Y = split.batch(torch.arange(len(split)))
        names |= {f"X{suffix}": X, f"Y{suffix}": Y}
    return names | {"words": _spelt(itos, names["Ytr"])}


def _spelt(itos: Mapping[int, str], Y: Tensor) -> list[str]:
    """The words of the training split, letter by letter from its examples."""
    letters = "".join(itos[id] for id in Y.tolist())
    return letters.removesuffix(".").split(".")


def _batchnorm(record: Mapping[str, Any]) -> Tensor:
    hprebn, bngain, bnbias = (record[name] for name in ("hprebn", "bngain", "bnbias"))
    centred = hprebn - hprebn.mean(0, keepdim=True)
    variance = hprebn.var(0, keepdim=True, unbiased=True)
    result: Tensor = bngain * centred / torch.sqrt(variance + EPS) + bnbias
    return result


def comparison(
    record: Mapping[str, Any], gradients: Mapping[str, Tensor]
) -> Callable[[Any, Any, Any], None]:
    """The function ``cmp(s, dt, t)`` that the lecture's cells call: it prints how the gradient
    ``dt`` compares with autograd's of the tensor ``t``, under the name ``s``."""
    names = {id(tensor): name for name, tensor in record.items()}

    def cmp(s: Any, dt: Any, t: Any = None) -> None:
        name = names.get(id(t), str(s))
        truth = gradients.get(name)
        label = f"{s!s:15s} | "
        if truth is None:
            print(f"{label}there is no gradient of this name to compare with")
        elif not isinstance(dt, Tensor):
            print(f"{label}is not a tensor but {type(dt).__name__}")
        elif dt.shape != truth.shape:
            print(f"{label}shape {tuple(dt.shape)} where {tuple(truth.shape)} is expected")
        else:
            own = dt.detach().to(truth.dtype)
            exact, close = bool((own == truth).all()), torch.allclose(own, truth)
            distance = (own - truth).abs().max().item()
            print(f"{label}exact: {exact!s:5s} | approximate: {close!s:5s} | maxdiff: {distance}")

    return cmp


_PICTURES = ("matplotlib", "matplotlib.pyplot", "matplotlib.colors", "matplotlib.cm")


class _Silent(types.ModuleType):
    """A module that draws nothing: whatever is asked of it can be called, indexed, assigned to,
    unpacked into any two or more, and does nothing."""

    __path__: list[str] = []  # noqa: RUF012  (a module's own attribute: it lets submodules load)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_: Any, **__: Any) -> Any:
        return self

    def __iter__(self) -> Any:
        return iter((self,) * _unpacked(sys._getframe(1)))

    def __getitem__(self, _: Any) -> Any:
        return self

    def __setitem__(self, _: Any, __: Any) -> None: ...

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: Any) -> None: ...

    def __len__(self) -> int:
        return 2


def _unpacked(frame: types.FrameType) -> int:
    """How many names a frame is about to unpack into: ``fig, (a, b, c) = plt.subplots(3)``."""
    for instruction in dis.get_instructions(frame.f_code):
        if instruction.offset >= frame.f_lasti and instruction.opname == "UNPACK_SEQUENCE":
            return int(instruction.arg or 2) if instruction.offset == frame.f_lasti else 2
    return 2


@contextmanager
def silent_matplotlib() -> Iterator[None]:
    """Within this context the notebook's ``import matplotlib.pyplot as plt`` does no harm: no
    window can open, and the import works where matplotlib is not installed."""
    before = {name: sys.modules.get(name) for name in _PICTURES}
    sys.modules.update(dict.fromkeys(_PICTURES, _Silent("matplotlib")))
    try:
        yield
    finally:
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module
