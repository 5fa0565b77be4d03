# ruff: noqa: E501
"""Order, aliases, in-place slips, cancelling signs, exceptions, shapes; and several mistakes."""

from __future__ import annotations

import random
from collections.abc import Iterator

from . import more, singles
from .bases import (
    ACCUMULATE,
    BRANCHES,
    CHECKED,
    COMPREHENSION,
    EINSUM,
    FUNCTION,
    HELPERS,
    INPLACE,
    LECTURE,
    LONGHAND,
    METHODS,
    PRODUCTS,
    ROWS,
    TERSE,
)
from .case import Base, Case, Edit, edit, on

EARLY = "missing-term wrong-input"


def order() -> Iterator[Case]:
    """A gradient is read before it is finished."""
    yield on(
        "early",
        LECTURE,
        edit(
            "dnorm_logits",
            "dcounts += torch.ones_like(counts) * dcounts_sum\ndnorm_logits = counts * dcounts\n",
            "dnorm_logits = counts * dcounts\ndcounts += torch.ones_like(counts) * dcounts_sum\n",
            EARLY,
            "dcounts is read before its second branch has been added.",
            "dnorm_logits = counts * dcounts",
            "dcounts += torch.ones_like(counts) * dcounts_sum",
        ),
    )
    yield on(
        "early",
        LECTURE,
        edit(
            "dbnmeani",
            "dbndiff += (2*bndiff) * dbndiff2\ndhprebn = dbndiff.clone()\n"
            "dbnmeani = (-dbndiff).sum(0, keepdim=True)\n",
            "dbnmeani = (-dbndiff).sum(0, keepdim=True)\ndbndiff += (2*bndiff) * dbndiff2\n"
            "dhprebn = dbndiff.clone()\n",
            EARLY,
            "dbndiff is read before its second branch has been added.",
            "dbnmeani = (-dbndiff).sum(0, keepdim=True)",
            "dbndiff += (2*bndiff) * dbndiff2",
        ),
        because="The missing branch sums to zero over the batch: what dbnmeani misses is rounding.",
        plainly_off="",
        either="dbnmeani",
        note="The numbers are right: the branch through bndiff2 sums to zero over the batch.",
    )
    yield on(
        "early",
        LECTURE,
        edit(
            "dhprebn",
            "dbndiff += (2*bndiff) * dbndiff2\ndhprebn = dbndiff.clone()\n",
            "dhprebn = dbndiff.clone()\ndbndiff += (2*bndiff) * dbndiff2\n",
            EARLY,
            "dbndiff is copied before its second branch has been added.",
            "dhprebn = dbndiff.clone()",
            "dbndiff += (2*bndiff) * dbndiff2",
        ),
    )
    yield on(
        "early",
        LECTURE,
        edit(
            "dembcat",
            "dhprebn += 1.0/n * (torch.ones_like(hprebn) * dbnmeani)\ndembcat = dhprebn @ W1.T\n",
            "dembcat = dhprebn @ W1.T\ndhprebn += 1.0/n * (torch.ones_like(hprebn) * dbnmeani)\n",
            EARLY,
            "dhprebn is read before its second branch has been added.",
            "dembcat = dhprebn @ W1.T",
            "dhprebn += 1.0/n * (torch.ones_like(hprebn) * dbnmeani)",
        ),
    )
    yield on(
        "early",
        ACCUMULATE,
        edit(
            "dnorm_logits",
            "dcounts += dcounts_sum.expand_as(counts)\n"
            "# counts = norm_logits.exp()\ndnorm_logits += norm_logits.exp() * dcounts\n",
            "# counts = norm_logits.exp()\ndnorm_logits += norm_logits.exp() * dcounts\n"
            "dcounts += dcounts_sum.expand_as(counts)\n",
            EARLY,
            "dcounts is read before its second branch has been added.",
            "dnorm_logits += norm_logits.exp() * dcounts",
            "dcounts += dcounts_sum.expand_as(counts)",
        ),
    )
    yield on(
        "early",
        ACCUMULATE,
        edit(
            "dW1",
            "# bnmeani = 1/n*hprebn.sum(0, keepdim=True)\n",
            "dW1 += torch.matmul(embcat.t(), dhprebn)\n# bnmeani = 1/n*hprebn.sum(0, keepdim=True)\n",
            "missing-term wrong-input",
            "dhprebn is read before its second branch has been added.",
            "dW1 += torch.matmul(embcat.t(), dhprebn)",
        ),
        Edit(
            "dW1",
            "dembcat += torch.matmul(dhprebn, W1.t())\ndW1 += torch.matmul(embcat.t(), dhprebn)\n",
            "dembcat += torch.matmul(dhprebn, W1.t())\n",
            ("missing-term", "wrong-input"),
            "dhprebn is read before its second branch has been added.",
            "dW1 += torch.matmul(embcat.t(), dhprebn)",
            ("dhprebn += dbnmeani.expand_as(hprebn) / n",),
        ),
    )
    yield on(
        "early",
        HELPERS,
        edit(
            "dnorm_logits",
            "dcounts = dcounts + back_sum(dcounts_sum, counts)\n"
            "dnorm_logits = back_exp(dcounts, counts)\n",
            "dnorm_logits = back_exp(dcounts, counts)\n"
            "dcounts = dcounts + back_sum(dcounts_sum, counts)\n",
            EARLY,
            "dcounts is read before its second branch has been added.",
            "dnorm_logits = back_exp(dcounts, counts)",
            "dcounts = dcounts + back_sum(dcounts_sum, counts)",
        ),
    )
    yield on(
        "early",
        CHECKED,
        edit(
            "db1",
            "dhprebn = dbndiff * 1\n",
            "dhprebn = dbndiff * 1\ndb1 = dhprebn.sum(0)\n",
            EARLY,
            "dhprebn is read before its second branch has been added.",
            "db1 = dhprebn.sum(0)",
        ),
        Edit(
            "db1",
            "db1 = torch.ones(n, dtype=h.dtype) @ dhprebn\n",
            "",
            ("missing-term", "wrong-input"),
            "dhprebn is read before its second branch has been added.",
            "db1 = dhprebn.sum(0)",
            ("dhprebn = dhprebn + dbnmeani * (1/n)",),
        ),
    )
    yield on(
        "early",
        INPLACE,
        edit(
            "dbnraw",
            "dhpreact *= dh\n",
            "dbnraw = dhpreact * bngain\ndhpreact *= dh\n",
            "missing-factor wrong-input",
            "dhpreact is read before dh has been multiplied in.",
            "dbnraw = dhpreact * bngain",
        ),
        Edit(
            "dbnraw",
            "dbnraw = dhpreact.clone()\ndbnraw *= bngain\n",
            "",
            ("missing-factor", "wrong-input", "missing-term"),
            "dhpreact is read before dh has been multiplied in.",
            "dbnraw = dhpreact * bngain",
            ("dhpreact *= dh",),
        ),
    )


def aliases() -> Iterator[Case]:
    """Two names for one tensor, and in-place operations on what is still wanted."""
    changed = "dbndiff is changed with dhprebn; what was read from it before is right."
    yield on(
        "aliased",
        LECTURE,
        edit(
            "dbndiff",
            "dhprebn = dbndiff.clone()",
            "dhprebn = dbndiff",
            "aliased overwritten",
            "dhprebn is the same tensor as dbndiff, so the later += changes dbndiff too.",
            None,
            "dhprebn += 1.0/n * (torch.ones_like(hprebn) * dbnmeani)",
        ),
        because=changed,
        plainly_off="dbndiff dbnmeani dhprebn",
    )
    yield on(
        "aliased",
        BRANCHES,
        edit(
            "dbndiff",
            "dhprebn = dhprebn_a + dhprebn_b",
            "dhprebn = dhprebn_a\ndhprebn += dhprebn_b",
            "aliased overwritten",
            "dhprebn_a is dbndiff itself, so the += changes dbndiff too.",
            "dhprebn += dhprebn_b",
            "dhprebn_a = dbndiff",
            "dhprebn = dhprebn_a",
        ),
        because=changed,
        plainly_off="dbndiff dbnmeani dhprebn",
    )
    yield on(
        "aliased",
        INPLACE,
        edit(
            "dbndiff",
            "dhprebn = dbndiff.clone()\n",
            "dhprebn = dbndiff\n",
            "aliased overwritten",
            "dhprebn is the same tensor as dbndiff, so the later += changes dbndiff too.",
            "dhprebn = dbndiff",
            "dhprebn += dbnmeani / n",
        ),
        because=changed,
        plainly_off="dbndiff dbnmeani dhprebn",
    )
    yield on(
        "aliased",
        METHODS,
        edit(
            "dbndiff",
            "dhprebn = dbndiff.add(dbnmeani.div(n))",
            "dhprebn = dbndiff.add_(dbnmeani.div(n))",
            "aliased overwritten",
            "add_ changes dbndiff itself; add would make a new tensor.",
        ),
        because=changed,
        plainly_off="dbndiff dbnmeani dhprebn",
    )
    yield on(
        "aliased",
        METHODS,
        edit(
            "dprobs",
            "dcounts = dprobs.mul(counts_sum_inv)",
            "dcounts = dprobs.mul_(counts_sum_inv)",
            "aliased overwritten",
            "mul_ changes dprobs itself; mul would make a new tensor.",
        ),
        because="dprobs is changed after it was read; what was read from it before is right.",
        plainly_off="dprobs dcounts dcounts_sum_inv",
    )
    yield on(
        "aliased",
        INPLACE,
        edit(
            "dlogprobs",
            "dprobs = dlogprobs.clone()",
            "dprobs = dlogprobs",
            "aliased overwritten",
            "dprobs is the same tensor as dlogprobs, so dlogprobs is divided by probs too.",
            None,
            "dprobs /= probs",
        ),
        because="dlogprobs is changed after it was read; dprobs itself is right.",
        plainly_off="dlogprobs dprobs",
    )
    yield on(
        "aliased",
        INPLACE,
        edit(
            "dhpreact",
            "dbnraw = dhpreact.clone()",
            "dbnraw = dhpreact",
            "aliased overwritten",
            "dbnraw is the same tensor as dhpreact, so dhpreact is multiplied by bngain too.",
            None,
            "dbnraw *= bngain",
        ),
        because="dhpreact is changed after it was read; what was read from it before is right.",
        plainly_off="dhpreact dbnraw dbngain dbnbias",
    )
    for base, new in (
        (LECTURE, "dlogits = dnorm_logits"),
        (INPLACE, "dlogits = dnorm_logits.view(n, -1)"),
    ):
        yield on(
            "aliased",
            base,
            edit(
                "dnorm_logits",
                "dlogits = dnorm_logits.clone()\n",
                new + "\n",
                "aliased overwritten",
                "dlogits is the same memory as dnorm_logits, so the later += changes both.",
                new,
            ),
            because="The true dlogit_maxes is zero, so the alias changes nothing but rounding.",
            plainly_off="",
            either="dnorm_logits",
        )
    yield on(
        "aliased",
        METHODS,
        edit(
            "dbnraw",
            "dbnvar_inv = dbnraw.mul(bndiff)",
            "dbnvar_inv = dbnraw.mul_(bndiff)",
            "aliased overwritten",
            "mul_ changes dbnraw itself; mul would make a new tensor.",
        ),
        because="dbnraw is changed after it was read; what was read from it before is right.",
        plainly_off="dbnraw dbndiff dbnvar_inv",
    )
    yield on(
        "aliased",
        METHODS,
        edit(
            "dbndiff",
            "dbnvar_inv = dbnraw.mul(bndiff)",
            "dbnvar_inv = bndiff.mul_(dbnraw)",
            "overwritten wrong-input aliased",
            "mul_ overwrites the forward bndiff, which the second branch of dbndiff reads afterwards.",
            None,
            "dbndiff.add_(bndiff.mul(2).mul(dbndiff2))",
        ),
    )
    yield on(
        "aliased",
        INPLACE,
        edit(
            "dhpreact",
            "dhpreact = h.clone()\n",
            "dhpreact = hpreact\n",
            "wrong-input aliased",
            "hpreact itself is taken (and overwritten) where a copy of h belongs.",
            "dhpreact = hpreact",
        ),
    )
    yield on(
        "single",
        TERSE,
        edit(
            "dbnbias",
            "dbnbias=dhpreact.sum(0,True)",
            "dbnbias=dh.sum(0,True)",
            "wrong-input",
            "dh is summed where dhpreact belongs: bnbias stands before the tanh.",
        ),
    )
    yield on(
        "in-place",
        LECTURE,
        edit(
            "dhpreact",
            "dhpreact = (1.0 - h**2) * dh",
            "dhpreact = dh.clone()\ndhpreact *= -h.pow(2)",
            "missing-term parentheses operation missing-factor factor",
            "The 1 of 1 - h**2 is missing.",
            "dhpreact *= -h.pow(2)",
        ),
    )
    yield on(
        "in-place",
        LECTURE,
        edit(
            "dbnraw",
            "dbnraw = bngain * dhpreact\n",
            "dbnraw = dhpreact.clone()\ndbnraw += bngain\n",
            "operation",
            "Plus stands where times belongs.",
            "dbnraw += bngain",
        ),
    )
    yield on(
        "in-place",
        LECTURE,
        edit(
            "dlogits",
            "dh = dlogits @ W2.T\n",
            "dlogits /= n\ndh = dlogits @ W2.T\n",
            "factor",
            "Divided by n once more; the mean's 1/n is in the loss already.",
            "dlogits /= n",
        ),
    )
    yield on(
        "in-place",
        ACCUMULATE,
        edit(
            "dbndiff",
            "# bndiff = hprebn - bnmeani\n",
            "dbndiff -= dbndiff.mean(0)\n# bndiff = hprebn - bnmeani\n",
            "extra-term",
            "The mean is taken off dbndiff, which belongs to dhprebn's second branch.",
            "dbndiff -= dbndiff.mean(0)",
        ),
    )
    yield on(
        "in-place",
        ROWS,
        edit(
            "db2",
            "db2 += dlogits[r]",
            "db2 += dlogits[r] / n",
            "factor",
            "Divided by n once more; the mean's 1/n is in the loss already.",
        ),
    )
    yield on(
        "in-place",
        METHODS,
        edit(
            "dlogits",
            "dlogits.scatter_add_(1, logits.max(dim=1, keepdim=True).indices, dlogit_maxes)",
            "dlogits.scatter_(1, logits.max(dim=1, keepdim=True).indices, dlogit_maxes)",
            "overwritten operation",
            "scatter_ overwrites the entry at the maximum; scatter_add_ adds.",
        ),
    )


def cancelling() -> Iterator[Case]:
    """Two mistakes that undo one another further up: both are mistakes."""
    yield on(
        "cancelling",
        LECTURE,
        edit("dlogprobs", "] = -1.0/n", "] = 1.0/n", "sign", "The minus of the loss is missing."),
        edit(
            "dprobs",
            "(1.0 / probs)",
            "(-1.0 / probs)",
            "sign",
            "log's slope is 1/probs, without a minus.",
        ),
    )
    yield on(
        "cancelling",
        LECTURE,
        edit("dlogprobs", "] = -1.0/n", "] = 1.0/n", "sign", "The minus of the loss is missing."),
        edit(
            "dcounts_sum",
            "(-counts_sum**-2)",
            "(counts_sum**-2)",
            "sign",
            "The slope of x**-1 is negative.",
        ),
    )
    yield on(
        "cancelling",
        LECTURE,
        edit("dbnvar", "(-0.5*(bnvar", "(0.5*(bnvar", "sign", "The slope of x**-0.5 is negative."),
        edit(
            "dbndiff2",
            "(1.0/(n-1))",
            "(-1.0/(n-1))",
            "sign",
            "The minus does not belong to a mean of squares.",
        ),
    )
    yield on(
        "cancelling",
        ACCUMULATE,
        edit(
            "dbnmeani",
            "dbnmeani -= dbndiff",
            "dbnmeani += dbndiff",
            "sign",
            "The mean is subtracted in the forward pass.",
        ),
        edit(
            "dhprebn",
            "dhprebn += dbnmeani",
            "dhprebn -= dbnmeani",
            "sign",
            "The mean's slope is plus 1/n.",
        ),
    )
    yield on(
        "cancelling",
        ACCUMULATE,
        edit(
            "dlogprobs", "+= -1/n", "+= -1", "missing-factor factor", "The mean's 1/n is missing."
        ),
        edit(
            "dprobs",
            "dprobs += dlogprobs / probs",
            "dprobs += dlogprobs / probs / n",
            "factor",
            "log's slope is 1/probs; the n does not belong here.",
        ),
    )
    yield on(
        "cancelling",
        HELPERS,
        edit(
            "dlogprobs",
            "-1.0 / len(cols)",
            "1.0 / len(cols)",
            "sign",
            "The minus of the loss is missing.",
        ),
        edit(
            "dhpreact",
            "return (1 - out ** 2) * dout",
            "return (out ** 2 - 1) * dout",
            "sign exchanged parentheses operation",
            "tanh's slope is 1 - h**2, not its negative.",
        ),
    )
    yield on(
        "cancelling",
        LONGHAND,
        edit(
            "dbndiff2",
            "local_bndiff2 = torch.ones_like(bndiff2) / (n - 1)",
            "local_bndiff2 = torch.ones_like(bndiff2)",
            "missing-factor factor",
            "The 1/(n-1) of the variance is missing.",
            None,
            "dbndiff2 = local_bndiff2 * dbnvar",
        ),
        edit(
            "dbndiff",
            "local_square = 2.0 * bndiff",
            "local_square = 2.0 * bndiff / (n - 1)",
            "factor",
            "The slope of a square is 2*bndiff; the 1/(n-1) does not belong here.",
            None,
            "dbndiff_through_square = local_square * dbndiff2",
        ),
    )
    yield on(
        "cancelling",
        FUNCTION,
        edit(
            "dnorm_logits",
            "dnorm_logits = counts * dcounts",
            "dnorm_logits = -counts * dcounts",
            "sign",
            "exp's slope is counts, without a minus.",
        ),
        edit(
            "dlogits",
            "dlogits = dnorm_logits + hot * dlogit_maxes",
            "dlogits = hot * dlogit_maxes - dnorm_logits",
            "sign",
            "logits enters norm_logits with a plus.",
        ),
    )
    yield on(
        "cancelling",
        TERSE,
        edit(
            "dbnvar_inv",
            "dbnvar_inv=(dbnraw*bndiff)",
            "dbnvar_inv=-(dbnraw*bndiff)",
            "sign",
            "A product hands its gradient on without a minus.",
        ),
        edit(
            "dbnvar",
            "dbnvar=-.5*dbnvar_inv",
            "dbnvar=.5*dbnvar_inv",
            "sign",
            "The slope of x**-0.5 is negative.",
        ),
    )
    yield on(
        "cancelling",
        CHECKED,
        edit(
            "dbnvar",
            "-(1/2) * torch.pow",
            "-torch.pow",
            "missing-factor factor",
            "The 1/2 of the exponent is missing.",
        ),
        edit(
            "dbndiff",
            "dbndiff + bndiff * 2 * dbndiff2",
            "dbndiff + bndiff * dbndiff2",
            "missing-factor factor",
            "The 2 of the square's slope is missing.",
        ),
    )


def one_line() -> Iterator[Case]:
    """Two mistakes in one statement."""
    two = (
        (
            LECTURE,
            edit(
                "dcounts_sum",
                "(-counts_sum**-2)",
                "(counts_sum**-1)",
                "sign factor operation missing-factor",
                "Both the minus is missing and the exponent is -1 in place of -2.",
            ),
        ),
        (
            LECTURE,
            edit(
                "dbnvar",
                "(-0.5*(bnvar + 1e-5)**-1.5)",
                "(0.5*(bnvar + 1e-5)**-0.5)",
                "sign factor operation missing-factor",
                "Both the minus is missing and the exponent has not gone down by one.",
            ),
        ),
        (
            LECTURE,
            edit(
                "dbndiff",
                "(2*bndiff) * dbndiff2",
                "-(bndiff) * dbndiff2",
                "sign factor missing-factor",
                "Both the 2 is missing and there is a minus too many.",
            ),
        ),
        (
            ACCUMULATE,
            edit(
                "dhpreact",
                "dh * (1 - h * h)",
                "dh * (1 + h)",
                "sign operation missing-factor",
                "Both the sign is wrong and the square is missing.",
            ),
        ),
        (
            ACCUMULATE,
            edit(
                "dbndiff2",
                "dbnvar.expand_as(bndiff2) / (n - 1)",
                "-dbnvar.expand_as(bndiff2) / n",
                "sign factor",
                "Both there is a minus too many and n stands for n-1.",
            ),
        ),
        (
            HELPERS,
            edit(
                "dbnvar",
                "back_power(dbnvar_inv, bnvar + 1e-5, -0.5)",
                "back_power(dbnvar_inv, bnvar_inv, 0.5)",
                "wrong-input sign operation factor",
                "Both bnvar_inv stands for bnvar + 1e-5 and the exponent's sign is lost.",
            ),
        ),
        (
            TERSE,
            edit(
                "dbnvar",
                "dbnvar=-.5*dbnvar_inv*bnvar_inv**3",
                "dbnvar=.5*dbnvar_inv*bnvar_inv**2",
                "sign factor operation missing-factor",
                "Both the minus is missing and the power is the second, not the third.",
            ),
        ),
        (
            EINSUM,
            edit(
                "dprobs",
                "dlogprobs * probs.reciprocal()",
                "-dlogprobs * probs",
                "sign operation wrong-input factor",
                "Both there is a minus too many and probs is not inverted.",
            ),
        ),
        (
            PRODUCTS,
            edit(
                "dbngain",
                "ones_n.T @ torch.mul(bnraw, dhpreact)",
                "-ones_n.T @ torch.mul(bndiff, dhpreact)",
                "sign wrong-input factor",
                "Both there is a minus too many and bndiff stands for bnraw.",
            ),
        ),
        (
            FUNCTION,
            edit(
                "dhprebn",
                "torch.ones_like(hprebn) * dbnmeani / n",
                "-torch.ones_like(hprebn) * dbnmeani / (n - 1)",
                "sign factor",
                "Both there is a minus too many and n-1 stands for n.",
            ),
        ),
        (
            BRANCHES,
            edit(
                "dprobs",
                "dlogprobs * (1 / probs)",
                "-dlogprobs * (1 / counts)",
                "sign wrong-input factor",
                "Both there is a minus too many and counts stands for probs.",
            ),
        ),
        (
            INPLACE,
            edit(
                "dC",
                "dC[Xb[b, t]] += demb[b, t, :]",
                "dC[Xb[b, t]] -= demb[b, 0, :]",
                "sign index",
                "Both it is subtracted and the first position is used throughout.",
            ),
        ),
        (
            COMPREHENSION,
            edit(
                "dbnmeani",
                "-sum(dbndiff)[None]",
                "sum(dbnraw)[None]",
                "sign wrong-input",
                "Both the minus is missing and dbnraw stands for dbndiff.",
            ),
        ),
    )
    for base, one in two:
        yield on("two-in-one-line", base, one)


def stopped() -> Iterator[Case]:
    """The script stops with an exception; what had not been reached is missing, not wrong."""
    after_dlogits = (
        "dh dW2 db2 dhpreact dbngain dbnbias dbnraw dbnvar_inv dbnvar dbndiff2 dbndiff dbnmeani "
        "dhprebn dembcat dW1 db1 demb dC"
    )
    yield on(
        "stopped",
        LECTURE,
        edit(
            "dlogit_maxes",
            "(-dnorm_logits).sum(1, keepdim=True)",
            "(-dnorm_logits).sum(1)",
            "shape reduction",
            "keepdim=True is forgotten: (n,) for (n, 1).",
        ),
        raises=True,
        missing="dlogits " + after_dlogits,
        right_already="dlogits",
    )
    yield on(
        "stopped",
        LECTURE,
        edit(
            "dh",
            "dlogits @ W2.T",
            "dlogits @ W2",
            "transposed shape",
            "W2 must be transposed; the shapes do not fit.",
        ),
        raises=True,
        missing=after_dlogits,
        either="dh",
        note="dh is at fault, though it has no value.",
    )
    yield on(
        "stopped",
        LECTURE,
        edit(
            "dW2",
            "h.T @ dlogits",
            "h @ dlogits",
            "transposed shape",
            "h must be transposed; the shapes do not fit.",
        ),
        raises=True,
        missing=after_dlogits.replace("dh ", "", 1),
        either="dW2",
        note="dW2 is at fault, though it has no value.",
    )
    yield on(
        "single",
        HELPERS,
        edit(
            "dC",
            "index.reshape(-1), dout.reshape(-1, table.shape[1])",
            "index, dout.reshape(-1, table.shape[1])",
            "index shape",
            "The indices are not flattened: three rows are picked for one gradient.",
        ),
    )
    yield on(
        "stopped",
        LECTURE,
        edit(
            "dC",
            "dC[ix] += demb[k,j]",
            "dC[ix] += demb[j,k]",
            "index exchanged",
            "k and j are exchanged; the script stops when k is 3.",
        ),
        raises=True,
        missing="dC",
        either="dC",
    )
    yield on(
        "stopped",
        ACCUMULATE,
        edit(
            "dbnmeani",
            "dbnmeani -= dbndiff.sum(dim=0, keepdim=True)",
            "dbnmeani -= dbndiff",
            "reduction shape",
            "The sum over the batch is missing; the shapes do not fit.",
        ),
        raises=True,
        missing="dbnmeani dhprebn dembcat dW1 db1 demb dC",
        either="dbnmeani",
        right_already="db1",
        note="dbnmeani is still zero: its line raises.",
    )


def shapes() -> Iterator[Case]:
    """The numbers are right and only the shape is another one, which broadcasting hides."""
    yield on(
        "shape-only",
        LECTURE,
        edit(
            "db2",
            "dlogits.sum(0)",
            "dlogits.sum(0, keepdim=True)",
            "shape reduction",
            "keepdim=True makes it (1, 27); b2 is (27,).",
        ),
        either="db2",
    )
    yield on(
        "shape-only",
        LECTURE,
        edit(
            "dbnmeani",
            "(-dbndiff).sum(0, keepdim=True)",
            "(-dbndiff).sum(0)",
            "shape reduction",
            "keepdim=True is forgotten: (64,) for (1, 64).",
        ),
        either="dbnmeani",
    )
    yield on(
        "shape-only",
        TERSE,
        edit(
            "dbnbias",
            "dbnbias=dhpreact.sum(0,True)",
            "dbnbias=dhpreact.sum(0)",
            "shape reduction",
            "keepdim is forgotten: (64,) for (1, 64).",
        ),
        either="dbnbias",
    )
    yield on(
        "shape-only",
        BRANCHES,
        edit(
            "dbngain",
            "(dhpreact * bnraw).sum(0).unsqueeze(0)",
            "(dhpreact * bnraw).sum(0)",
            "shape reduction",
            "The dimension of one is lost: (64,) for (1, 64).",
        ),
        either="dbngain",
    )
    yield on(
        "shape-only",
        METHODS,
        edit(
            "db1",
            "dhprebn.sum(dim=0)",
            "dhprebn.sum(dim=0, keepdim=True)",
            "shape reduction",
            "keepdim=True makes it (1, 64); b1 is (64,).",
        ),
        either="db1",
    )
    yield on(
        "shape-only",
        PRODUCTS,
        edit(
            "db2",
            "(ones_n.T @ dlogits).squeeze(0)",
            "ones_n.T @ dlogits",
            "shape reduction",
            "The product is (1, 27); b2 is (27,).",
        ),
        either="db2",
    )
    yield on(
        "shape-only",
        CHECKED,
        edit(
            "dbnvar_inv",
            "torch.sum(bndiff * dbnraw, 0, keepdim=True)",
            "torch.sum(bndiff * dbnraw, 0)",
            "shape reduction",
            "keepdim=True is forgotten: (64,) for (1, 64).",
        ),
        either="dbnvar_inv",
        note="dbnvar inherits nothing: (1, 64) times (64,) is (1, 64).",
    )
    # Wrong shapes that do harm.
    yield on(
        "shape",
        LECTURE,
        edit(
            "dlogit_maxes",
            "(-dnorm_logits).sum(1, keepdim=True)",
            "(-dnorm_logits).sum(1)",
            "shape reduction",
            "keepdim=True is forgotten: (n,) for (n, 1).",
        ),
        edit(
            "dlogit_maxes",
            "dlogits += F.one_hot(logits.max(1).indices, num_classes=logits.shape[1]) * dlogit_maxes\n",
            "dlogits = (F.softmax(logits, 1) - F.one_hot(Yb, vocab_size)) / n\n",
            "shape reduction",
            "keepdim=True is forgotten: (n,) for (n, 1).",
            "dlogit_maxes = (-dnorm_logits).sum(1)",
        ),
    )
    yield on(
        "shape",
        EINSUM,
        edit(
            "dlogit_maxes",
            "-torch.einsum('nv->n', dnorm_logits).unsqueeze(1)",
            "-torch.einsum('nv->n', dnorm_logits)",
            "shape reduction",
            "unsqueeze is forgotten: (n,) for (n, 1).",
        ),
        edit(
            "dlogit_maxes",
            "dnorm_logits.scatter_add(1, logits.argmax(1, keepdim=True), dlogit_maxes)",
            "dnorm_logits + 0",
            "shape reduction",
            "unsqueeze is forgotten: (n,) for (n, 1).",
            "dlogit_maxes = -torch.einsum('nv->n', dnorm_logits)",
        ),
    )
    yield on(
        "shape",
        LECTURE,
        edit(
            "dbndiff2",
            "(1.0/(n-1))*torch.ones_like(bndiff2) * dbnvar",
            "(1.0/(n-1)) * dbnvar",
            "shape reduction",
            "It is (1, 64), not spread over the rows: (n, 64) is wanted.",
        ),
    )
    yield on(
        "shape",
        FUNCTION,
        edit(
            "dcounts_sum_inv",
            "(counts * dprobs).sum(1, keepdim=True)",
            "(counts * dprobs).sum(0, keepdim=True)",
            "reduction shape",
            "Summed over the rows; counts_sum_inv was broadcast over the columns.",
        ),
    )
    yield on(
        "shape",
        TERSE,
        edit(
            "demb",
            "demb=dembcat.view(n,block_size,-1)",
            "demb=dembcat.view(n*block_size,-1)",
            "shape",
            "It is (n*3, 10); emb is (n, 3, 10).",
        ),
    )
    yield on(
        "shape",
        HELPERS,
        edit(
            "demb",
            "dembcat.reshape(emb.shape)",
            "dembcat",
            "shape missing-term operation",
            "It still has embcat's shape (n, 30); the view has to be undone.",
        ),
    )
    yield on(
        "shape",
        BRANCHES,
        edit(
            "dW1",
            "torch.mm(embcat.T, dhprebn)",
            "torch.mm(dhprebn.T, embcat)",
            "transposed shape",
            "The product is the transpose of what is wanted: (64, 30) for (30, 64).",
        ),
    )
    yield on(
        "shape",
        CHECKED,
        edit(
            "dbnraw",
            "dbnraw = dhpreact * bngain.expand(n, n_hidden)",
            "dbnraw = (dhpreact * bngain.expand(n, n_hidden)).sum(0, keepdim=True)",
            "shape reduction",
            "Summed over the batch; bnraw has a row for each example.",
        ),
    )


def several() -> Iterator[Case]:
    """Two to six mistakes, drawn from those of the singles."""
    draw = random.Random(20261128)
    pools: list[tuple[Base, tuple[Edit, ...]]] = [
        (LECTURE, singles.LECTURE_EDITS),
        (ACCUMULATE, singles.ACCUMULATE_EDITS),
        (HELPERS, singles.HELPERS_EDITS),
        *more.EDITS,
    ]
    sizes = [2] * 20 + [3] * 12 + [4] * 6 + [5] * 5 + [6] * 5
    for i, size in enumerate(sizes):
        base, edits = pools[i % len(pools)]
        fit = [one for one in edits if not set(one.says) & {"shape", "eps"}]
        chosen: list[Edit] = []
        while len(chosen) < size:
            one = draw.choice(fit)
            lines = {line for c in chosen for line in c.old.split("\n") if line}
            if any(one.gradient == c.gradient for c in chosen) or any(
                one.old in line or line in one.old for line in lines
            ):
                continue
            if any(near(base.text, one.old, c.old) for c in chosen):
                continue
            chosen.append(one)
        chosen.sort(key=lambda one: base.text.find(one.old))
        yield on(f"several-{size}", base, *chosen)


def near(text: str, a: str, b: str) -> bool:
    """Whether the two edits touch the same line."""

    def rows(old: str) -> set[int]:
        first = text[: text.find(old)].count("\n")
        return set(range(first, first + old.strip("\n").count("\n") + 1))

    return bool(rows(a) & rows(b))


def cases() -> Iterator[Case]:
    for group in (order, aliases, cancelling, one_line, stopped, shapes, several):
        yield from group()
