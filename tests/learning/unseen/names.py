# ruff: noqa: E501, SIM905
"""Other names for the gradients: dL_dW1, grad_W1, W1_grad, a dictionary, W1.grad, any name at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from .bases import BRANCHES, CHECKED, LECTURE, METHODS, TERSE
from .case import GRADIENTS, Base, Case, Edit, edit, on, right
from .fused import BACK_HELPERS, BACK_LECTURE, LAST, SOFTMAX

PATTERN = re.compile(r"\b(" + "|".join(GRADIENTS) + r")\b")
FANCY = dict(
    zip(
        GRADIENTS,
        """
    alpha beta gamma_inv gamma_sum gamma_all shifted_back peak raw_scores hidden_back second_weights
    second_bias before_tanh scale_back shift_back standardised_back inv_std_back var_back squares_back
    centred_back mean_back before_norm flat_back first_weights first_bias vectors_back table_back
""".split(),
        strict=True,
    )
)

STYLES: dict[str, Callable[[str], str]] = {
    "dL_d": lambda t: f"dL_d{t}",
    "dloss_d": lambda t: f"dloss_d{t}",
    "grad_": lambda t: f"grad_{t}",
    "_grad": lambda t: f"{t}_grad",
    "d_": lambda t: f"d_{t}",
    "g": lambda t: f"g{t}",
    "dict": lambda t: f'grads["{t}"]',
    "dict-d": lambda t: f"grads['d{t}']",
    "namespace": lambda t: f"grad.{t}",
    "attribute": lambda t: f"{t}.grad",
}
BEFORE = {
    "dict": "grads = {}\n",
    "dict-d": "grads = dict()\n",
    "namespace": "from types import SimpleNamespace\ngrad = SimpleNamespace()\n",
}


def renamed(base: Base, style: str) -> Base:
    """The same solution with the gradients named in this style."""
    name = STYLES[style]
    text = PATTERN.sub(lambda match: name(match.group()[1:]), base.text)
    names = {gradient: name(gradient[1:]) for gradient in GRADIENTS}
    return Base(f"{base.name}-named-{style}", base.exercise, BEFORE.get(style, "") + text, names)


def translated(one: Edit, style: str) -> Edit:
    def words(text: str) -> str:
        return PATTERN.sub(lambda match: STYLES[style](match.group()[1:]), text)

    return replace(
        one,
        old=words(one.old),
        new=words(one.new),
        line=None if one.line is None else words(one.line),
        also=tuple(words(text) for text in one.also),
    )


L_SIGN = edit(
    "dbnmeani",
    "dbnmeani = (-dbndiff).sum(0, keepdim=True)",
    "dbnmeani = (dbndiff).sum(0, keepdim=True)",
    "sign",
    "The mean is subtracted in the forward pass; the minus is missing.",
)
L_TANH = edit(
    "dhpreact",
    "dhpreact = (1.0 - h**2) * dh",
    "dhpreact = (1.0 - h) * dh",
    "operation missing-factor",
    "tanh's slope is 1 - h**2; the square is missing.",
)
L_INPUT = edit(
    "dW2",
    "dW2 = h.T @ dlogits",
    "dW2 = hpreact.T @ dlogits",
    "wrong-input",
    "hpreact is used where h, what the layer read, belongs.",
)
L_TERM = edit(
    "dcounts",
    "dcounts += torch.ones_like(counts) * dcounts_sum\n",
    "",
    "missing-term",
    "The branch through counts_sum is left out.",
    "dcounts = counts_sum_inv * dprobs",
)
L_TABLE = edit(
    "dC",
    "dC[ix] += demb[k,j]",
    "dC[ix] = demb[k,j]",
    "overwritten",
    "= where += belongs: a letter that occurs again loses what it had.",
)
L_BESSEL = edit(
    "dbndiff2",
    "(1.0/(n-1))",
    "(1.0/n)",
    "factor",
    "The forward pass divides by n-1 (Bessel), here it is n.",
)
L_MEAN = edit(
    "db2",
    "db2 = dlogits.sum(0)",
    "db2 = dlogits.mean(0)",
    "reduction factor operation",
    "The mean over the batch is taken where the sum belongs.",
)
L_PAREN = edit(
    "dbndiff2",
    "(1.0/(n-1))",
    "(1.0/n-1)",
    "parentheses factor",
    "n-1 needs parentheses of its own.",
)
L_GAIN = edit(
    "dbngain",
    "dbngain = (bnraw * dhpreact).sum(0, keepdim=True)",
    "dbngain = (bngain * dhpreact).sum(0, keepdim=True)",
    "wrong-input",
    "The other factor of the product is bnraw, not bngain itself.",
)
L_DOUBLE = edit(
    "dembcat",
    "dembcat = dhprebn @ W1.T",
    "dembcat = dhprebn @ W1.T + dhprebn @ W1.T",
    "extra-term factor",
    "The product is counted twice.",
)


def any_names() -> Iterator[Case]:
    """Names that say nothing; cmp or allclose says which tensor each belongs to."""

    def swap(text: str) -> str:
        return PATTERN.sub(lambda match: FANCY[match.group()], text)

    told = Base("checked-any-names", 1, swap(CHECKED.text), FANCY)
    yield right(told)
    for one in (
        edit(
            "dhpreact",
            "dhpreact = dh * (torch.ones_like(h) - h ** 2)",
            "dhpreact = dh * (torch.ones_like(h) + h ** 2)",
            "sign",
            "tanh's slope is 1 minus h**2.",
        ),
        edit(
            "dbnvar",
            "torch.pow(bnvar + 1e-5, -3/2)",
            "torch.pow(bnvar + 1e-5, -1/2)",
            "factor operation missing-factor",
            "The exponent must go down by one, to -3/2.",
        ),
        edit(
            "dcounts",
            "dcounts = dcounts + dcounts_sum     # 2nd use, broadcast\n",
            "",
            "missing-term",
            "The branch through the sum is left out.",
            "dcounts = dprobs * counts_sum_inv",
        ),
        edit(
            "dC",
            "dC[flat_index[i]] += flat_grad[i]",
            "dC[flat_index[i]] = flat_grad[i]",
            "overwritten",
            "= where += belongs: a letter that occurs again loses what it had.",
        ),
    ):
        moved = replace(
            one,
            old=swap(one.old),
            new=swap(one.new),
            line=None if one.line is None else swap(one.line),
        )
        yield on("names", told, moved)
    lines = "".join(
        f"print('{g[1:]}', torch.allclose({FANCY[g]}, {g[1:]}.grad, atol=1e-6))\n"
        for g in GRADIENTS
    )
    close = Base("lecture-any-names-allclose", 1, swap(LECTURE.text) + "\n" + lines, FANCY)
    yield right(close)
    for one in (L_TANH, L_BESSEL, L_TERM):
        moved = replace(
            one,
            old=swap(one.old),
            new=swap(one.new),
            line=None if one.line is None else swap(one.line),
        )
        yield on("names", close, moved)


def functions() -> Iterator[Case]:
    """The backward function of exercise 4 by another name."""
    for base, name in ((BACK_LECTURE, "manual_backward"), (BACK_HELPERS, "my_backprop")):
        text = base.text.replace("def backward(", f"def {name}(")
        other = Base(f"{base.name}-called-{name}", 4, text, {"backward": name})
        yield right(other)
        yield on(
            "names",
            other,
            edit(
                "dbngain",
                LAST,
                "return dC, dW1, db1, dW2, db2, dbnbias, dbngain\n",
                "exchanged",
                "dbngain and dbnbias are exchanged in the return.",
                "return dC, dW1, db1, dW2, db2, dbnbias, dbngain",
            ),
            Edit(
                "dbnbias",
                LAST,
                LAST,
                ("exchanged",),
                "dbngain and dbnbias are exchanged in the return.",
                "return dC, dW1, db1, dW2, db2, dbnbias, dbngain",
            ),
        )
    other = Base(
        "backward-lecture-called-grads_by_hand",
        4,
        BACK_LECTURE.text.replace("def backward(", "def grads_by_hand("),
        {"backward": "grads_by_hand"},
    )
    yield on(
        "names",
        other,
        edit(
            "dhpreact",
            "(1.0 - h**2) * dh",
            "(1.0 + h**2) * dh",
            "sign",
            "tanh's slope is 1 minus h**2.",
        ),
    )
    yield on(
        "names",
        other,
        edit(
            "db2",
            "dlogits.sum(0)",
            "dlogits.mean(0)",
            "reduction factor operation",
            "The mean is taken where the sum belongs.",
        ),
    )


def cases() -> Iterator[Case]:
    for style, edits in (
        ("dL_d", (L_SIGN, L_TERM)),
        ("dloss_d", (L_TANH,)),
        ("grad_", (L_INPUT, L_BESSEL)),
        ("_grad", (L_TABLE, L_MEAN)),
        ("d_", (L_PAREN,)),
        ("g", (L_GAIN,)),
        ("dict", (L_TANH, L_TERM, L_TABLE)),
        ("dict-d", (L_SIGN,)),
        ("namespace", (L_DOUBLE, L_INPUT)),
        ("attribute", (L_TANH, L_MEAN, L_TERM)),
    ):
        base = renamed(LECTURE, style)
        yield right(base)
        for one in edits:
            yield on("names", base, translated(one, style))
    for style, base in (
        ("grad_", BRANCHES),
        ("_grad", METHODS),
        ("dL_d", TERSE),
        ("dict", CHECKED),
        ("attribute", BRANCHES),
    ):
        yield right(renamed(base, style))
    two = renamed(SOFTMAX, "grad_")
    yield right(two)
    yield on(
        "names",
        two,
        edit(
            "dlogits",
            "[range(n), Yb] -= 1",
            "[range(n), Yb] += 1",
            "sign",
            "1 must be taken off at the target.",
        ),
    )
    yield from any_names()
    yield from functions()
