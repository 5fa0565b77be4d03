"""Changes of a call, and calls that are missing."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from makemore_bp.learning.diagnosis.kinds import Kind
from makemore_bp.learning.diagnosis.shapes import named
from makemore_bp.learning.diagnosis.walk import Spot, called

if TYPE_CHECKING:
    from makemore_bp.learning.diagnosis.edits import Words

Show = Callable[[ast.AST], str]
Changes = Iterator[tuple[ast.expr, Kind, str, float]]
SUMS = {"sum", "mean", "max", "min", "amax", "amin", "prod", "cumsum", "norm", "std", "var"}
FUNCTIONS = ("exp", "log", "tanh", "sqrt", "rsqrt", "sigmoid", "relu", "abs", "square",
             "reciprocal", "neg", "sin", "cos", "sign", "log2", "log10", "log1p",
             "expm1")  # fmt: skip
STARTS = ("zeros_like", "ones_like", "empty_like", "rand_like", "randn_like", "zeros", "ones",
          "empty", "clone")  # fmt: skip
_SOFTMAX = {"softmax": "log_softmax", "log_softmax": "softmax"}
_ORDERS = ("flip", "fliplr", "flipud", "roll", "sort")
OPERATIONS = ("add", "sub", "mul", "div", "matmul")


def of_call(spot: Spot, node: ast.Call, words: Words, show: Show) -> Changes:
    """Changes of a call itself."""
    name, subject = called(node), subject_of(node)
    if name in SUMS and subject is not None:
        yield from _reduction(node, name, subject, show)
    elif name in FUNCTIONS and subject is not None:
        yield from _function(node, name, subject, words, show)
    elif name in ("view", "reshape", "transpose", "permute", "flatten") and subject is not None:
        yield from _layout(node, name, subject, words, show)
    elif name in _SOFTMAX:
        text = f"{name} stands where {_SOFTMAX[name]} belongs"
        yield _renamed(node, _SOFTMAX[name]), Kind.operation, text, 2
        if subject is not None:
            text = f"{name} is applied to {show(subject)}, where {show(subject)} itself belongs"
            yield subject, Kind.operation, text, 2
    elif name in _ORDERS and subject is not None:
        text = f"{name} puts {show(subject)} into another order, here only"
        yield subject, Kind.place, text, 1.9
    elif name == "range" and len(node.args) == 2:
        yield from _range(node, show)
    elif name in OPERATIONS:
        yield from _operation(node, name, show)
    elif name in STARTS:
        yield from _start(node, name, subject, words, show)
    elif name in ("index_put_", "index_put") and not any(
        k.arg == "accumulate" for k in node.keywords
    ):
        keywords = [*node.keywords, ast.keyword("accumulate", ast.Constant(True))]
        yield ast.Call(node.func, node.args, keywords), Kind.overwritten, _ONLY_LAST, 1
    elif name in ("scatter_", "index_copy_"):
        other = {"scatter_": "scatter_add_", "index_copy_": "index_add_"}[name]
        yield _renamed(node, other), Kind.overwritten, _ONLY_LAST, 1
    elif name in ("argmax", "one_hot") or not name:
        pass
    if name == "argmax":
        yield ast.Name("Yb", ast.Load()), Kind.wrong_input, _TARGET, 3
    yield from _arguments(node, show)


_ONLY_LAST = "a row is assigned where it must be added to, so only the last place of each counts"
_TARGET = "the largest entry of each row is picked where the target, Yb, belongs"


def subject_of(node: ast.Call) -> ast.expr | None:
    """What a function is applied to: x in x.exp(), torch.exp(x) and F.softmax(x, 1)."""
    function = node.func
    if isinstance(function, ast.Attribute) and not (
        isinstance(function.value, ast.Name) and function.value.id in ("torch", "F", "np", "math")
    ):
        return function.value
    return node.args[0] if node.args and isinstance(function, ast.Attribute) else None


def flag(spot: Spot, node: ast.Constant) -> Changes:
    """keepdim, accumulate, unbiased: the other one."""
    parent = spot.parent
    name = parent.arg if isinstance(parent, ast.keyword) else None
    if name == "accumulate":
        yield ast.Constant(not node.value), Kind.overwritten, _ONLY_LAST, 1
    elif name in ("keepdim", "keepdims"):
        text = "the sum keeps an axis of length 1" if node.value else "the sum drops an axis"
        yield ast.Constant(not node.value), Kind.reduction, f"{text}: look at keepdim", 1.5
    elif name == "unbiased":
        text = f"unbiased={bool(node.value)} is not what the forward pass does: it divides by n - 1"
        yield ast.Constant(not node.value), Kind.factor, text, 2
    else:
        text = f"{bool(node.value)} is the wrong way"
        yield ast.Constant(not node.value), Kind.operation, text, 2


def _reduction(node: ast.Call, name: str, subject: ast.expr, show: Show) -> Changes:
    inner = show(subject)
    yield subject, Kind.reduction, f"{inner} must not be reduced here ({name})", 2.2
    if name != "sum":
        kind = Kind.factor if name == "mean" else Kind.operation
        text = f"the {name} of {inner} is taken where the sum belongs"
        if name == "mean":
            text += "; it divides by the number of terms"
        yield _renamed(node, "sum"), kind, text, 1.8
    elif name == "sum":
        text = f"the sum of {inner} is taken where the mean belongs"
        yield _renamed(node, "mean"), Kind.factor, text, 2
    was = _axis(node)
    for axis in (None, 0, 1, 2, (0, 1)):
        for keep in (False, True):
            if axis is None and keep:
                continue
            yield (
                _summed(subject, axis, keep, name),
                Kind.reduction,
                _other_axis(inner, name, was, axis, _keeps(node), keep),
                2.0 if axis == was else 2.2,
            )
            if name not in ("sum", "cumsum"):
                kind = Kind.factor if name == "mean" else Kind.operation
                text = f"the {name} of {inner} is taken where the sum{_along(axis)} belongs"
                yield _summed(subject, axis, keep), kind, text, 2.3


def _other_axis(
    inner: str, name: str, was: Any, axis: Any, kept: bool, keep: bool
) -> str:  # fmt: skip
    what = "summed" if name == "sum" else f"reduced ({name})"
    if was != axis:
        return f"{inner} is {what}{_along(was)}, where{_along(axis) or ' all of it'} belongs"
    if kept and not keep:
        return f"the sum keeps an axis of length 1: look at keepdim ({inner})"
    return f"the sum drops an axis that must stay, with length 1: look at keepdim ({inner})"


def _along(axis: Any) -> str:
    return " over everything" if axis is None else f" over axis {axis}"


def _axis(node: ast.Call) -> Any:
    """The axis that a reduction names; None for all, "?" if it cannot be read."""
    named = [k.value for k in node.keywords if k.arg in ("dim", "axis")]
    given = named or (node.args if subject_of(node) not in node.args else node.args[1:])
    if not given:
        return None
    try:
        return ast.literal_eval(given[0])
    except ValueError:
        return "?"


def _keeps(node: ast.Call) -> bool:
    return any(
        k.arg in ("keepdim", "keepdims")
        and isinstance(k.value, ast.Constant)
        and bool(k.value.value)
        for k in node.keywords
    )


def _summed(subject: ast.expr, axis: Any, keep: bool, name: str = "sum") -> ast.expr:
    arguments: list[ast.expr] = [] if axis is None else [ast.Constant(axis)]
    keywords = [ast.keyword("keepdim", ast.Constant(True))] if keep else []
    return ast.Call(ast.Attribute(subject, name, ast.Load()), arguments, keywords)


def _renamed(node: ast.Call, name: str) -> ast.expr:
    function = node.func
    if isinstance(function, ast.Attribute):
        return ast.Call(ast.Attribute(function.value, name, ast.Load()), node.args, node.keywords)
    return ast.Call(ast.Name(name, ast.Load()), node.args, node.keywords)


def _function(
    node: ast.Call, name: str, subject: ast.expr, words: Words, show: Show
) -> Changes:  # fmt: skip
    inner = show(subject)
    if isinstance(subject, ast.Name) and subject.id in words.gradients:
        text = f"{name} is applied to the gradient {inner}, which must be multiplied by the slope"
        for other in words.floats:
            product = ast.BinOp(subject, ast.Mult(), ast.Name(other, ast.Load()))
            yield product, Kind.operation, text, 3.2
    text = f"{name} is applied to {inner}, where {inner} itself belongs"
    yield subject, Kind.operation, text, 1.9
    for other in FUNCTIONS:
        if other != name:
            text = f"{name} of {inner} stands where {other} belongs"
            yield _renamed(node, other), Kind.operation, text, 2.4
    if name == "tanh":
        text = f"{show(node)} is the function of the forward pass where its slope belongs"
        square = ast.BinOp(subject, ast.Pow(), ast.Constant(2))
        yield ast.BinOp(ast.Constant(1.0), ast.Sub(), square), Kind.operation, text, 2.6
    slope = _SLOPES.get(name)
    if slope is not None:
        text = f"{show(node)} is the function of the forward pass itself where its slope belongs"
        yield slope(node, subject), Kind.operation, text, 3


def _operation(node: ast.Call, name: str, show: Show) -> Changes:
    """torch.add for torch.mul and its like."""
    for other in OPERATIONS:
        if other != name:
            kind = Kind.sign if {name, other} == {"add", "sub"} else Kind.operation
            text = f"{show(node)} has {name} where {other} belongs"
            yield _renamed(node, other), kind, text, 2


def _range(node: ast.Call, show: Show) -> Changes:
    """range(1, n + 1) for range(n)."""
    start, stop = node.args
    if isinstance(start, ast.Constant) and start.value == 1:
        stop = stop.left if isinstance(stop, ast.BinOp) and isinstance(stop.op, ast.Add) else stop
        text = f"{show(node)} counts from 1, and places are counted from 0"
        yield ast.Call(node.func, [stop], node.keywords), Kind.place, text, 1.9


def _one_minus_square(node: ast.expr, _: ast.expr) -> ast.expr:
    square = ast.BinOp(node, ast.Pow(), ast.Constant(2))
    return ast.BinOp(ast.Constant(1.0), ast.Sub(), square)


_SLOPES: dict[str, Callable[[ast.expr, ast.expr], ast.expr]] = {
    "tanh": _one_minus_square,
    "log": lambda _, x: ast.BinOp(ast.Constant(1.0), ast.Div(), x),
    "sqrt": lambda node, _: ast.BinOp(ast.Constant(0.5), ast.Div(), node),
    "rsqrt": lambda node, x: ast.BinOp(
        ast.BinOp(ast.Constant(-0.5), ast.Mult(), node), ast.Div(), x
    ),
    "sigmoid": lambda node, _: ast.BinOp(
        node, ast.Mult(), ast.BinOp(ast.Constant(1.0), ast.Sub(), node)
    ),
    "reciprocal": lambda node, _: ast.UnaryOp(
        ast.USub(), ast.BinOp(node, ast.Pow(), ast.Constant(2))
    ),
    "square": lambda _, x: ast.BinOp(ast.Constant(2), ast.Mult(), x),
}


def _layout(
    node: ast.Call, name: str, subject: ast.expr, words: Words, show: Show
) -> Changes:  # fmt: skip
    inner = show(subject)
    text = f"{name} lays the numbers of {inner} out anew where a transpose belongs"
    yield ast.Attribute(subject, "T", ast.Load()), Kind.transposed, text, 2.5
    for first, second in ((0, 1), (1, 2), (0, 2)):
        arguments: list[ast.expr] = [ast.Constant(first), ast.Constant(second)]
        turned = ast.Attribute(subject, "transpose", ast.Load())
        yield ast.Call(turned, arguments, []), Kind.transposed, text, 2.7
    text = f"{inner} must not be laid out anew here ({name})"
    yield subject, Kind.transposed, text, 2.3
    shape = ast.Attribute(ast.Name(words.tensor, ast.Load()), "shape", ast.Load())
    right = ast.Call(ast.Attribute(subject, "reshape", ast.Load()), [shape], [])
    text = f"the shape in {show(node)} is not that of {words.tensor}"
    yield right, Kind.transposed, text, 2.5


def _start(
    node: ast.Call, name: str, subject: ast.expr | None, words: Words, show: Show
) -> Changes:
    if name != "clone" and isinstance(node.func, ast.Attribute):
        for other in ("zeros_like", "ones_like", "zeros", "ones"):
            if other != name and other.endswith("_like") == name.endswith("_like"):
                value = {"z": "0", "o": "1"}.get(name[0], "whatever was in memory")
                text = f"{show(node)} starts from {value} where {other[:-1].split('_')[0]}s belong"
                yield _renamed(node, other), Kind.start, text.replace("zeross", "zeros"), 1.5
    if subject is not None and name == "clone":
        text = f"the start {show(node)} is not zero: what is added to it is added to its own values"
        zeros = ast.Attribute(ast.Name("torch", ast.Load()), "zeros_like", ast.Load())
        yield ast.Call(zeros, [subject], []), Kind.start, text, 3
    if name in ("ones_like", "zeros_like") and subject is not None:
        yield subject, Kind.wrong_input, f"{show(node)} stands where {show(subject)} belongs", 3


def _arguments(node: ast.Call, show: Show) -> Changes:
    """Two arguments exchanged, one too many."""
    arguments = node.args
    if any(isinstance(argument, ast.Starred) for argument in arguments):
        return
    for first in range(len(arguments)):
        for second in range(first + 1, len(arguments)):
            swapped = list(arguments)
            swapped[first], swapped[second] = swapped[second], swapped[first]
            one, other = show(arguments[first]), show(arguments[second])
            text = f"the arguments {one} and {other} are exchanged"
            yield ast.Call(node.func, swapped, node.keywords), Kind.exchanged, text, 2
    for gone in range(len(arguments) if len(arguments) > 1 else 0):
        rest = [*arguments[:gone], *arguments[gone + 1 :]]
        text = f"the argument {show(arguments[gone])} does not belong there"
        yield ast.Call(node.func, rest, node.keywords), Kind.operation, text, 3
    for keyword in node.keywords:
        others = [k for k in node.keywords if k is not keyword]
        if keyword.arg not in ("keepdim", "keepdims", "dim", "axis"):
            text = f"the argument {keyword.arg} does not belong there"
            yield ast.Call(node.func, arguments, others), Kind.operation, text, 3


def around(spot: Spot, words: Words, show: Show) -> Changes:
    """A call that is missing around an expression."""
    node = spot.node
    shown = show(node)
    for axis in (0, 1, (0, 1)):
        for keep in (True, False):
            text = f"the sum over axis {axis} is missing"
            if not isinstance(spot.parent, ast.Assign | ast.AugAssign | ast.Return):
                text += f" at {shown}"
            yield _summed(node, axis, keep), Kind.reduction, text, 2.9 if keep else 3
    ones = ast.Attribute(ast.Name("torch", ast.Load()), "ones_like", ast.Load())
    spread = ast.Call(ones, [ast.Name(words.tensor, ast.Load())], [])
    text = (
        "the gradient is not spread over the axis that the forward pass sums: every term of a sum "
        "gets the sum's gradient"
    )
    yield ast.BinOp(spread, ast.Mult(), node), Kind.reduction, text, 3
    shape = ast.Attribute(ast.Name(words.tensor, ast.Load()), "shape", ast.Load())
    laid = ast.Call(ast.Attribute(node, "reshape", ast.Load()), [shape], [])
    text = f"{shown} has not the shape of {words.tensor}, into which its numbers must be laid out"
    yield laid, Kind.transposed, text, 3
    if isinstance(node, ast.Name | ast.Subscript):
        for function in ("exp", "log", "tanh", "sigmoid"):
            called_ = ast.Call(ast.Attribute(node, function, ast.Load()), [], [])
            text = f"{shown} itself is used where {function} of it belongs"
            yield called_, Kind.wrong_input, text, 3
    if isinstance(node, ast.Call):
        for name in words.floats:
            text = f"{shown} stands where {name} belongs"
            yield named(name), Kind.wrong_input, text, 3.2
    if isinstance(node, ast.Call | ast.Attribute | ast.Name):
        for first, second in ((1, 2), (0, 2)):
            turned = ast.Call(
                ast.Attribute(node, "transpose", ast.Load()),
                [ast.Constant(first), ast.Constant(second)],
                [],
            )
            text = f"the axes {first} and {second} of {shown} are exchanged"
            yield turned, Kind.transposed, text, 3
    if isinstance(node, ast.Attribute) and node.attr == "indices":
        yield ast.Name("Yb", ast.Load()), Kind.wrong_input, _TARGET, 3
