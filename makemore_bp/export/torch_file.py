"""The network as a module of plain PyTorch, and its weights as safetensors beside it.

The lines of ``forward`` are the equations of the stages, with ``self.`` before what is learned or
measured.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from keyword import iskeyword
from pathlib import Path
from string import Template
from textwrap import indent

import safetensors.torch

from makemore_bp.errors import RequestError
from makemore_bp.export.trained import Format, Trained
from makemore_bp.export.writing import MARK
from makemore_bp.training.checkpoint_header import KEY

_SOURCE = Template('''\
"""A network that makemore-bp has trained, in plain PyTorch ($mark, version 1).

    from $stem import Network
    network = Network.load()
    print(network.sample(10), network(network.contexts(["", "a"])))

It needs torch and safetensors. The weights lie beside this file, in $stem.safetensors.
"""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from torch import nn

WEIGHTS = Path(__file__).with_suffix(".safetensors")
$constants


class Network(nn.Module):
    """Contexts of ids in, logits out. The boundary of a word has the id 0, and the character at
    place i of ``characters`` the id i + 1."""

    def __init__(self, tensors, characters, block_size):
        super().__init__()
        self.characters, self.block_size = characters, block_size
        for name, tensor in tensors.items():
            if name in ("bnmean", "bnvar"):  # measured over the training set, not learned
                self.register_buffer(name, tensor)
            else:
                self.register_parameter(name, nn.Parameter(tensor))

    @classmethod
    def load(cls, path=WEIGHTS):
        with safe_open(path, "pt") as file:
            facts = json.loads(file.metadata()["$key"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        return cls(tensors, facts["characters"], facts["block_size"])

    def forward(self, Xb):
        """Logits (n, V) of contexts Xb (n, block_size)."""
$forward
        return logits

    def contexts(self, beginnings):
        """The contexts (n, block_size) of the characters that follow these beginnings of words."""
        ids = {character: id for id, character in enumerate(self.characters, 1)}
        rows = [[0] * self.block_size + [ids[c] for c in word] for word in beginnings]
        return torch.tensor([row[-self.block_size :] for row in rows], device=self.C.device)

    @torch.no_grad()
    def sample(self, number=20, seed=2147483657, temperature=1.0, max_length=1000):
        """So many words; the first 1,024 are those that makemore-bp sample draws by this seed."""
        generator, words = torch.Generator().manual_seed(seed), []
        while len(words) < number:
            words += self._drawn([""] * 1024, generator, temperature, max_length)
        return words[:number]

    def _drawn(self, words, generator, temperature, max_length):
        contexts = self.contexts(words)
        alive = torch.arange(len(words), device=contexts.device)
        for _ in range(max_length):
            uniform = torch.rand(len(alive), 1, generator=generator).to(contexts.device)
            sums = (self(contexts).double() / temperature).softmax(1).cumsum(1)
            ids = torch.searchsorted(sums, uniform * sums[:, -1:], right=True)
            ids = ids.clamp(max=len(self.characters))
            going = ids[:, 0] != 0
            alive, ids = alive[going], ids[going]
            if not len(alive):
                break
            for place, id in zip(alive.tolist(), ids[:, 0].tolist()):
                words[place] += self.characters[id - 1]
            contexts = torch.cat((contexts[going], ids), 1)[:, 1:]
        return words
''')


class _OnSelf(ast.NodeTransformer):
    """Puts ``self.`` before some names, and writes ``F`` out, which the file does not import."""

    def __init__(self, names: set[str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id == "F":
            return ast.parse("torch.nn.functional", mode="eval").body
        return ast.Attribute(ast.Name("self"), node.id) if node.id in self._names else node


def contents(trained: Trained) -> dict[str, bytes]:
    """The weights, with the facts in their metadata, and the module.

    Raises RequestError for a file name that Python could not import.
    """
    if not trained.stem.isidentifier() or iskeyword(trained.stem):
        raise RequestError(
            "--out {stem}.py: Python cannot import a file of this name. Take letters, digits and "
            "underscores, such as my_network.py.",
            stem=trained.stem,
        )
    source = _SOURCE.substitute(
        mark=MARK,
        stem=trained.stem,
        key=KEY,
        constants="\n".join(f"{name} = {number!r}" for name, number in trained.constants.items()),
        forward=indent("\n".join(_statements(trained)), " " * 8),
    )
    weights = safetensors.torch.save(trained.tensors, {KEY: json.dumps(trained.facts)})
    return {".safetensors": weights, ".py": source.encode()}


def _statements(trained: Trained) -> Iterator[str]:
    on_self = _OnSelf(set(trained.tensors))
    for equation in trained.equations:
        expression = on_self.visit(ast.parse(equation.source, mode="eval"))
        yield f"{equation.name} = {ast.unparse(expression)}"


def use(path: Path) -> str:
    """Lines of Python that run it, in the folder of the file."""
    return f"""\
from {path.stem} import Network  # in the folder of the file, or with it on Python's path
network = Network.load()
print(network.sample(10), network(network.contexts(["", "a"])))"""


FORMAT = Format(".py", contents, use)
