"""Names for the numbers by which a gradient may be off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CLOSE = 2e-5  # relative; n and n - 1 differ by far more at any batch that is small enough to check


def named(value: float, record: Mapping[str, Any]) -> str:
    """``value`` as a learner would write it: n, 1/(n-1), 2, ... or its digits."""
    for name, number in _candidates(record).items():
        for sign, prefix in ((1, ""), (-1, "-")):
            if abs(value - sign * number) <= CLOSE * abs(number):
                return prefix + name
    return f"{value:.6g}"


def _candidates(record: Mapping[str, Any]) -> dict[str, float]:
    n = int(record["n"])
    vocabulary, n_hidden = record["W2"].shape[1], record["W2"].shape[0]
    candidates = {
        "1": 1.0,
        "2": 2.0,
        "1/2": 0.5,
        "n": n,
        "1/n": 1 / n,
        "(n-1)": n - 1,
        "1/(n-1)": 1 / (n - 1) if n > 1 else 0,
        "n/(n-1)": n / (n - 1) if n > 1 else 0,
        "(n-1)/n": (n - 1) / n,
        "n**2": n**2,
        "1/n**2": 1 / n**2,
        "n*(n-1)": n * (n - 1),
        "2*n": 2 * n,
        "2/n": 2 / n,
        "4": 4.0,
        "1/4": 0.25,
        "V": vocabulary,
        "1/V": 1 / vocabulary,
        "n/V": n / vocabulary,
        "n_hidden": n_hidden,
        "1/n_hidden": 1 / n_hidden,
    }
    return {name: number for name, number in candidates.items() if number}


def factor_text(value: float, record: Mapping[str, Any], what: str) -> tuple[str, str]:
    """The kind, ``sign`` or ``factor``, and the sentence for something that is ``value`` times
    what it should be."""
    name = named(value, record)
    if name == "-1":
        return "sign", f"{what} has the wrong sign"
    text = f"{what} is {name} times what it should be"
    if name in ("n/(n-1)", "(n-1)/n"):
        text += (
            ". This is a mix-up of n and n - 1: only the variance divides by n - 1 (Bessel's "
            "correction), the means divide by n"
        )
    elif name.startswith("-"):
        text += ", its sign included"
    return "factor", text
