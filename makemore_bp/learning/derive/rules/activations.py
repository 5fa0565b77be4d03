"""The functions that make a layer more than a linear one, entry by entry."""

from __future__ import annotations

from makemore_bp.learning.derive.rules.elementwise import unary
from makemore_bp.learning.derive.rules.operation import Flow, Handed, Operation, rule


@rule("tanh")
def tanh(op: Operation) -> Handed:
    """The slope of tanh is one minus the square of its output: 1 where the unit is at rest, 0 where
    it is saturated.

    y = tanh(x): dx = (1 - y**2) * dy. addcmul takes 1 - y * y with a single rounding, as PyTorch's
    own backward does, so that the result is the same to the last bit.
    """
    yield from unary(op, "torch.addcmul(torch.ones_like(y), y, y, value=-1) * dy")


@rule("sigmoid expit")
def sigmoid(op: Operation) -> Handed:
    """The slope of the sigmoid is its output times one minus its output.

    y = 1 / (1 + exp(-x)): dx = y * (1 - y) * dy
    """
    yield from unary(op, "y * (1 - y) * dy")


@rule("relu", "x inplace")
def relu(op: Operation) -> Handed:
    """What was cut off on the way forward gets nothing on the way back; the rest passes unchanged.

    y = max(x, 0): dx = dy where x > 0, else 0. y > 0 says the same.
    """
    yield from unary(op, "(x > 0) * dy")


@rule("leaky_relu", "x slope inplace", slope=0.01)
def leaky_relu(op: Operation) -> Handed:
    """Below zero the line has another slope, and so has the way back.

    y = x where x > 0, else slope * x: dx = dy where x > 0, else slope * dy
    """
    slope = op.arguments.get("negative_slope", op.arguments.get("slope"))
    yield Flow(op.operand(), op.code("torch.where(x > 0, dy, k * dy)", k=slope or 0.01))


@rule("elu", "x alpha inplace", alpha=1.0)
def elu(op: Operation) -> Handed:
    """Above zero the slope is 1, below it that of the exponential.

    y = x where x > 0, else alpha * (exp(x) - 1), with the slope alpha * exp(x) = y + alpha
    """
    alpha = op.constant("alpha")
    yield Flow(op.operand(), op.code("torch.where(x > 0, dy, (y + k) * dy)", k=alpha))


@rule("gelu", "x", approximate="none")
def gelu(op: Operation) -> Handed:
    """A product: the number times the probability that a normal draw lies below it.

    y = x * P(x) with P(x) = (1 + erf(x / sqrt(2))) / 2, whose slope is the normal density p(x). By
    the product rule dx = (P(x) + x * p(x)) * dy. The approximation by tanh has y = x * (1 + t) / 2,
    t = tanh(u), u = sqrt(2/pi) * (x + 0.044715 * x**3), differentiated in the same way.
    """
    if op.constant("approximate") == "tanh":
        u = op.code("0.7978845608028654 * (x + 0.044715 * x**3)")
        t = op.code("torch.tanh(u)", u=u)
        slope = op.code("0.7978845608028654 * (1 + 0.134145 * x**2)")
        template = "(0.5 * (1 + t) + 0.5 * x * (1 - t**2) * s) * dy"
        yield Flow(op.operand(), op.code(template, t=t, s=slope))
        return
    below = op.code("0.5 * (1 + torch.erf(x * 0.7071067811865476))")
    density = op.code("0.3989422804014327 * torch.exp(-0.5 * x**2)")
    yield Flow(op.operand(), op.code("(P + x * p) * dy", P=below, p=density))


@rule("silu", "x inplace")
def silu(op: Operation) -> Handed:
    """A product of the number with its sigmoid, so the product rule.

    y = x * s with s = sigmoid(x): dx = (s + x * s * (1 - s)) * dy = s * (1 + x * (1 - s)) * dy
    """
    s = op.code("torch.sigmoid(x)")
    yield Flow(op.operand(), op.code("s * (1 + x * (1 - s)) * dy", s=s))


@rule("softplus", "x")
def softplus(op: Operation) -> Handed:
    """The slope of log(1 + exp(x)) is the sigmoid.

    y = log(1 + exp(x)): dx = exp(x) / (1 + exp(x)) * dy
    """
    yield from unary(op, "torch.sigmoid(x) * dy")


@rule("logsigmoid log_sigmoid", "x")
def logsigmoid(op: Operation) -> Handed:
    """The slope of log(sigmoid(x)) is the sigmoid of the negative.

    y = -log(1 + exp(-x)): dx = sigmoid(-x) * dy
    """
    yield from unary(op, "torch.sigmoid(-x) * dy")
