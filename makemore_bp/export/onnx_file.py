"""The network as an ONNX graph: ids ``Xb`` (batch, block_size) in, ``logits`` (batch, V) out.

Each equation of the stages becomes nodes, operation by operation, and what it computes keeps its
name. PyTorch's own exporter would do as well, but wants two more packages and a trace, and gives
the tensors names of its own.
"""

from __future__ import annotations

import ast
import json
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from makemore_bp.errors import RequestError
from makemore_bp.export.trained import Format, Trained
from makemore_bp.export.writing import MARK
from makemore_bp.gradcheck.equations import Equation

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError:
    raise RequestError(
        "--format onnx needs the package onnx, which is not installed. Install it with "
        "pip install 'makemore-bp[onnx]', or pip install onnx."
    ) from None

# The oldest versions that hold all that is needed: every onnxruntime since 2020 opens them.
OPSET, IR_VERSION = 13, 7

_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "Add",
    ast.Sub: "Sub",
    ast.Mult: "Mul",
    ast.Div: "Div",
    ast.Pow: "Pow",
    ast.MatMult: "MatMul",
}
# Functions of torch that work entry by entry and are called in ONNX as they are in torch.
_FUNCTIONS = {"abs", "exp", "log", "relu", "sigmoid", "sqrt", "tanh"}


class _Nodes:
    """The nodes of some equations, and the numbers that stand in them as constants."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self._numbers = count(1)

    def add(self, equation: Equation) -> None:
        """Adds the nodes of an equation, the last of which gives its name to what it computes."""
        self._equation = equation
        operation, operands = self._parts(ast.parse(equation.source, mode="eval").body)
        self._node(operation, operands, equation.name)

    def constant(self, number: float, name: str) -> str:
        """Adds a number, and returns its name."""
        self.constants[name] = numpy_helper.from_array(np.array(number, self._dtype), name)
        return name

    def _node(self, operation: str, operands: list[ast.expr], name: str) -> str:
        inputs = [self._name(operand) for operand in operands]
        self.nodes.append(helper.make_node(operation, inputs, [name], name=name))
        return name

    def _name(self, operand: ast.expr) -> str:
        """The name of an operand, which may need nodes of its own."""
        match operand:
            case ast.Name(name):
                return name
            case ast.Constant(int() | float() as number):
                return self.constant(number, self._fresh())
            case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as number)):
                return self.constant(-number, self._fresh())
        operation, operands = self._parts(operand)
        return self._node(operation, operands, self._fresh())

    def _fresh(self) -> str:
        return f"{self._equation.name}_{next(self._numbers)}"

    def _parts(self, expression: ast.expr) -> tuple[str, list[ast.expr]]:
        """An expression's operation in ONNX, and what it is applied to."""
        match expression:
            case ast.BinOp(left, operator, right) if type(operator) in _OPERATORS:
                return _OPERATORS[type(operator)], [left, right]
            case ast.Subscript(table, ast.Name() as ids):
                return "Gather", [table, ids]
            case ast.Call(ast.Attribute(ast.Name("torch"), name), [operand]) if name in _FUNCTIONS:
                return name.capitalize(), [operand]
            case ast.Call(ast.Attribute(rows, "view")) if _flattens(expression, rows):
                return "Flatten", [rows]
        raise RequestError(
            "ONNX has no translation here for {source}, of which {name} is made. Take --format "
            "torch, which needs none.",
            source=ast.unparse(expression),
            name=self._equation.name,
        )


def _flattens(call: ast.Call, rows: ast.expr) -> bool:
    """Whether a call lays out each row of ``rows`` as one row of numbers."""
    name = ast.unparse(rows)
    return ast.unparse(call) == f"{name}.view({name}.shape[0], -1)"


def contents(trained: Trained) -> dict[str, bytes]:
    """One file. Raises RequestError for an operation that has no translation here."""
    tensors = {name: tensor.numpy() for name, tensor in trained.tensors.items()}
    dtype = tensors["C"].dtype
    found = _Nodes(dtype)
    for name, number in trained.constants.items():
        found.constant(number, name)
    for equation in trained.equations:
        found.add(equation)
    held = [numpy_helper.from_array(tensor, name) for name, tensor in tensors.items()]
    precision = helper.np_dtype_to_tensor_dtype(dtype)
    facts = trained.facts
    graph = helper.make_graph(
        found.nodes,
        "makemore",
        [helper.make_tensor_value_info("Xb", TensorProto.INT64, ["batch", facts["block_size"]])],
        [helper.make_tensor_value_info("logits", precision, ["batch", len(tensors["b2"])])],
        [*held, *found.constants.values()],
    )
    return {".onnx": _model(graph, facts)}


def _model(graph: onnx.GraphProto, facts: dict[str, Any]) -> bytes:
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(
        graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name=MARK
    )
    helper.set_model_props(
        model,
        {
            name: fact if isinstance(fact, str) else json.dumps(fact, ensure_ascii=False)
            for name, fact in facts.items()
        },
    )
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def use(path: Path) -> str:
    """Lines of Python that run it."""
    return f"""\
import numpy, onnxruntime
session = onnxruntime.InferenceSession({str(path)!r})
contexts = numpy.zeros((1, session.get_inputs()[0].shape[1]), numpy.int64)
print(session.run(["logits"], {{"Xb": contexts}})[0])"""


FORMAT = Format(".onnx", contents, use)
