"""Why a gradient that is right is not exact: how PyTorch rounds where a learner's line does not."""

from __future__ import annotations

_REASONS = {
    "probs": (
        "autograd divides, dlogprobs / probs, with one rounding; (1.0 / probs) * dlogprobs rounds "
        "twice and differs in the last bit where 1/n is not a power of two"
    ),
    "counts_sum": (
        "autograd's backward of counts_sum**-1 is the power -counts_sum**-2; a division such as "
        "-1.0 / counts_sum**2 rounds differently in the last bit"
    ),
    "hpreact": (
        "PyTorch's tanh backward computes 1 - h*h with one rounding (a fused multiply-add), the "
        "expression (1 - h**2) rounds twice. When the lecture was recorded PyTorch did the same as "
        "the expression, so it showed exact there. torch.addcmul(torch.ones_like(h), h, h, "
        "value=-1) * dh takes the one rounding"
    ),
    "C": (
        "additions in another order round differently; autograd adds the places of a character in "
        "the order in which they stand in the batch"
    ),
}
_OTHERWISE = "the line does the same in another order or form, which rounds differently"
_FUSED = (
    "the line computes in one step what autograd computes in several, so the roundings on the way "
    "are not the same; the lecture's is approximate too"
)
_ZERO = {
    "logit_maxes": ", for a constant taken off a whole row cancels in the softmax",
    "b1": ", for b1 shifts a whole column, and batchnorm takes the column's mean out again",
}


def why_close(
    name: str, off: list[str], own_line_is_exact: bool, fused: bool, zero: bool, all_zero: bool
) -> str:
    """Why the gradient of ``name`` agrees with autograd and is not exact, in a sentence or two.

    off: the gradients (by their place) that it reads and that are not exact; fused: whether it
    passes over tensors in between; zero: whether its true value is zero, all_zero: whether it is
    zero itself.
    """
    because = _ZERO.get(name, "")
    if all_zero:
        return f"Zero is its true value{because}; autograd's holds nothing but rounding."
    note = f" Its true value is zero{because}; all that is left is rounding." if zero else ""
    if own_line_is_exact and off:
        return f"Its own line is exact; the last bits come from {' and '.join(off)}.{note}"
    also = f" The last bits of {' and '.join(off)} are off as well." if off else ""
    reason = _FUSED if fused else _REASONS.get(name, _OTHERWISE)
    return f"{reason[0].upper()}{reason[1:]}.{also}{note}"
