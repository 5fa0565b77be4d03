"""Why a gradient that is right is not exact: how PyTorch rounds where a learner's line does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from makemore_bp.learning.diagnosis.compare import same_bits
from makemore_bp.network.stage import Rule, call, reads

_REASONS = {
    "dprobs": (
        "autograd divides, dlogprobs / probs, with one rounding; (1.0 / probs) * dlogprobs rounds "
        "twice and differs in the last bit where 1/n is no power of two"
    ),
    "dcounts_sum": (
        "autograd's backward of counts_sum**-1 is the power -counts_sum**-2; a division such as "
        "-1.0 / counts_sum**2 rounds differently in the last bit"
    ),
    "dhpreact": (
        "PyTorch's tanh backward computes 1 - h*h with one rounding (a fused multiply-add), the "
        "expression (1 - h**2) rounds twice. When the lecture was recorded PyTorch did the same as "
        "the expression, so it showed exact there. torch.addcmul(torch.ones_like(h), h, h, "
        "value=-1) * dh takes the one rounding"
    ),
    "dlogits": (
        "the line computes in one step what autograd computes in eight, so the roundings on the "
        "way are not the same; the lecture's is approximate too"
    ),
    "dhprebn": (
        "the line computes in one step what autograd computes in many, so the roundings on the "
        "way are not the same; the lecture's is approximate too"
    ),
    "dC": (
        "additions in another order round differently; autograd adds the places of a character in "
        "the order in which they stand in the batch"
    ),
}
_OTHERWISE = "the line does the same in another order or form, which rounds differently"
ZERO = {
    "dlogit_maxes": "a constant taken off a whole row cancels in the softmax",
    "db1": "b1 shifts a whole column, and batchnorm takes the column's mean out again",
}


def why_close(
    name: str,
    gradients: Mapping[str, Tensor],
    reference: Mapping[str, Tensor],
    record: Mapping[str, Any],
    rule: Rule,
) -> str:
    """Why ``name`` (such as ``dhpreact``) agrees with autograd and is not exact: one sentence.

    ``gradients`` are the pass's own by dx, ``reference`` autograd's by tensor name, ``rule`` the
    local rule of ``name``.
    """
    inputs = [read for read in reads(rule) if read in gradients]
    off = [d for d in inputs if not same_bits(gradients[d], reference[d[1:]])]
    names = {**record, **{"d" + t: g for t, g in reference.items()}, **gradients}
    own_line_is_exact = same_bits(call(rule, names), gradients[name])
    zero = ""
    if name in ZERO:
        zero = f" Its true value is zero, for {ZERO[name]}; all that is left is rounding."
    if own_line_is_exact and off:
        return f"Its own line is exact; the last bits come from {' and '.join(off)}.{zero}"
    if _without_the_maximum(name, gradients):
        return (
            "dlogits equals dnorm_logits to the last bit: the branch through logit_maxes is left "
            "out. Its true value is zero, so that only rounding is missing."
        )
    also = f" The last bits of {' and '.join(off)} are off as well." if off else ""
    reason = _REASONS.get(name, _OTHERWISE)
    return f"{reason[0].upper()}{reason[1:]}.{also}{zero}"


def _without_the_maximum(name: str, gradients: Mapping[str, Tensor]) -> bool:
    return (
        name == "dlogits"
        and "dnorm_logits" in gradients
        and same_bits(gradients["dlogits"], gradients["dnorm_logits"])
    )
