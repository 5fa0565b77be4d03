"""Why a gradient that is right is not exact: how PyTorch rounds where a learner's line does not."""

from __future__ import annotations

from makemore_bp.network.passes import Network

_REASONS = {name: why for stage in Network().stages for name, why in stage.rounding.items()}
_ZERO = {name: why for stage in Network().stages for name, why in stage.zero.items()}
_OTHERWISE = "the line does the same in another order or form, which rounds differently"
_FUSED = (
    "the line computes in one step what autograd computes in several, so the roundings on the way "
    "are not the same; the lecture's is approximate too"
)


def why_close(
    name: str, off: list[str], own_line_is_exact: bool, fused: bool, zero: bool, all_zero: bool
) -> str:
    """Why the gradient of ``name`` agrees with autograd and is not exact, in a sentence or two.

    off: the gradients (by their place) that it reads and that are not exact; fused: whether it
    passes over tensors in between; zero: whether its true value is zero, all_zero: whether it is
    zero itself.
    """
    because = f", for {_ZERO[name]}" if name in _ZERO else ""
    if all_zero:
        return f"Zero is its true value{because}; autograd's holds nothing but rounding."
    note = f" Its true value is zero{because}; all that is left is rounding." if zero else ""
    if own_line_is_exact and off:
        return f"Its own line is exact; the last bits come from {' and '.join(off)}.{note}"
    also = f" The last bits of {' and '.join(off)} are off as well." if off else ""
    reason = _FUSED if fused else _REASONS.get(name, _OTHERWISE)
    return f"{reason[0].upper()}{reason[1:]}.{also}{note}"
