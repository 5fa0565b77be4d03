"""Softmax, the losses, and layer normalisation: whole formulas with a short way back."""

from __future__ import annotations

from torch import Tensor

from makemore_bp.learning.derive.rules.operation import (
    Flow,
    Handed,
    Operation,
    UnknownOperation,
    number,
    rule,
)


@rule("softmax", "x dim")
def softmax(op: Operation) -> Handed:
    """Only what lies above the row's own average, weighed by the probabilities, moves the numbers:
    the same added to all of them changes nothing.

    y[j] = exp(x[j]) / sum of exp(x). The slope of y[j] with respect to x[k] is y[j] * (j == k)
    - y[j] * y[k]. Adding up over j:

        dx = y * (dy - sum over the row of dy * y)
    """
    inner = op.code("dy * y")
    mean = op.code("inner.sum(dim, keepdim=True)", inner=inner)
    yield Flow(op.operand(), op.code("y * (dy - s)", s=mean))


@rule("log_softmax", "x dim")
def log_softmax(op: Operation) -> Handed:
    """Every number gets its own gradient, less its probability times the sum of all of the row.

    y = x - log(sum of exp(x)). The second term's slope is the softmax, p = exp(y):

        dx = dy - p * (sum over the row of dy)
    """
    total = op.code("g.sum(dim, keepdim=True)", g=op.full())
    yield Flow(op.operand(), op.code("dy - torch.exp(y) * s", s=total))


@rule("cross_entropy", "x target weight", label_smoothing=0.0, reduction="mean")
def cross_entropy(op: Operation) -> Handed:
    """Predicted probability minus the target: at the right answer the probability less one.

    For a row with target t, y = -log(softmax(x)[t]), whose slope is softmax(x) - one_hot(t). The
    mean over the rows divides by their number. With label smoothing s the target is not one and
    zeros, but (1 - s) of that and s / V for every one of the V classes.
    """
    x, target = op.operand(), op.operand("target")
    logits, classes = op.value(x), op.value(target)
    plain = set(op.arguments) <= {"x", "target", "label_smoothing", "reduction"}
    if not plain or logits.dim() != 2 or op.constant("reduction") == "none":
        raise UnknownOperation
    if classes.is_floating_point():
        wanted = target
    else:
        if int(classes.min()) < 0:
            raise UnknownOperation
        wanted = op.code("torch.nn.functional.one_hot(target, x.shape[1])")
    smoothing = op.constant("label_smoothing")
    if smoothing:
        s = op.arguments["label_smoothing"]
        wanted = op.code("(1 - s) * t + s / x.shape[1]", t=wanted, s=s)
    probabilities = op.code("torch.softmax(x, 1)")
    if classes.is_floating_point():
        probabilities = op.code("p * t.sum(1, keepdim=True)", p=probabilities, t=wanted)
    slope = op.code("p - t", p=probabilities, t=wanted)
    yield Flow(x, op.code(f"s{_per_row(op)} * dy", s=slope))


def _per_row(op: Operation) -> str:
    return " / x.shape[0]" if op.constant("reduction") == "mean" else ""


@rule("nll_loss", "x target", reduction="mean")
def nll_loss(op: Operation) -> Handed:
    """Of each row the loss reads one number, the one at the target, and takes the mean.

    y = -1/n * sum over rows i of x[i, target[i]]: dx is -dy / n at the targets, else 0
    """
    if len(op.shape(op.operand())) != 2 or op.constant("reduction") == "none":
        raise UnknownOperation
    if set(op.arguments) - {"x", "target", "reduction"} or int(op.constant("target").min()) < 0:
        raise UnknownOperation
    hot = op.code("torch.nn.functional.one_hot(target, x.shape[1])")
    yield Flow(op.operand(), op.code(f"-hot{_per_row(op)} * dy", hot=hot))


@rule("mse_loss", "x target", reduction="mean")
def mse_loss(op: Operation) -> Handed:
    """The further off, the stronger the pull: twice the difference, shared among all numbers.

    y = mean of (x - target)**2: dx = 2 * (x - target) / n * dy, and the target gets the opposite
    """
    if op.shape(op.operand()) != op.shape(op.operand("target")):
        raise UnknownOperation
    reduction = op.constant("reduction")
    n = op.value(op.operand()).numel() if reduction == "mean" else 1.0
    yield Flow(op.operand(), op.code("2 * (x - target) / n * dy", n=n))
    yield Flow(op.operand("target"), op.code("2 * (target - x) / n * dy", n=n))


@rule("binary_cross_entropy_with_logits", "x target", reduction="mean")
def logistic_loss(op: Operation) -> Handed:
    """Predicted probability minus the target, shared among all numbers.

    y = -t * log(p) - (1 - t) * log(1 - p) with p = sigmoid(x). The logarithms cancel the slope of
    the sigmoid, p * (1 - p): dx = p - t, divided by the number of entries for the mean.
    """
    n = _entries(op)
    yield Flow(op.operand(), op.code("(torch.sigmoid(x) - target) / n * dy", n=n))


@rule("binary_cross_entropy", "x target", reduction="mean")
def probability_loss(op: Operation) -> Handed:
    """The less probable the right answer, the stronger the pull.

    y = -t * log(x) - (1 - t) * log(1 - x): dx = (x - t) / (x * (1 - x)), divided by the number of
    entries for the mean.
    """
    n = _entries(op)
    yield Flow(op.operand(), op.code("(x - target) / (x * (1 - x)) / n * dy", n=n))


def _entries(op: Operation) -> float:
    if set(op.arguments) - {"x", "target", "reduction"}:
        raise UnknownOperation
    value = op.value(op.operand())
    assert isinstance(value, Tensor)
    return value.numel() if op.constant("reduction") == "mean" else 1.0


@rule("layer_norm", "x shape weight bias eps", eps=1e-5)
def layer_norm(op: Operation) -> Handed:
    """The whole row moves its mean and its spread, so each number's gradient loses what all of the
    row have in common: their average, and their part along the normalised row.

    y = (x - mean) / sqrt(var + eps), mean and biased variance along the last axis. Directly,
    through the mean and through the variance, put together:

        dx = (dy - mean(dy) - y * mean(dy * y)) / sqrt(var + eps)

    A gain and a bias are a product and a sum behind it.
    """
    if len(op.constant("shape")) != 1 or op.given("weight") or op.given("bias"):
        raise UnknownOperation
    eps, dy = number(op.constant("eps")), op.full()
    root = op.code("torch.sqrt(x.var(-1, unbiased=False, keepdim=True) + e)", e=eps)
    template = "(dy - dy.mean(-1, keepdim=True) - y * (dy * y).mean(-1, keepdim=True)) / s"
    yield Flow(op.operand(), op.code(template, dy=dy, s=root))


@rule("dropout", "x p training", p=0.5, training=True)
def dropout(op: Operation) -> Handed:
    """What was dropped gets nothing, and what was kept is scaled by the same 1 / (1 - p).

    y = mask * x, where the mask is 0 with probability p and else 1 / (1 - p): dx = mask * dy. The
    mask must be the same on the way back, so the line is written with a name for it.
    """
    if not op.constant("training"):
        yield Flow(op.operand(), op.dy)
        return
    raise UnknownOperation
