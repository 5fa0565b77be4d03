"""Names for the numbers by which a gradient may be off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from makemore_bp.learning.diagnosis.kinds import Kind

CLOSE = 2e-7  # relative


def named(value: float, sizes: Mapping[str, float]) -> str | None:
    """``value`` as a learner would write it, by the names of sizes that the script has: n,
    1/(n-1), 2, ...; None for a number that means nothing."""
    for name, number in _candidates(sizes):
        for sign, prefix in ((1, ""), (-1, "-")):
            if abs(value - sign * number) <= CLOSE * abs(number):
                return prefix + name
    return None


def _candidates(sizes: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    yield from (("1", 1.0), ("2", 2.0), ("1/2", 0.5), ("4", 4.0), ("1/4", 0.25), ("3", 3.0))
    for name, n in sizes.items():
        if n < 1:
            continue
        yield from ((name, n), (f"1/{name}", 1 / n), (f"{name}**2", n * n))
        yield from ((f"1/{name}**2", 1 / n**2), (f"2*{name}", 2 * n), (f"2/{name}", 2 / n))
        if name == "n" and n > 1:
            yield from _bessel(n)
    for one, a in sizes.items():
        for other, b in sizes.items():
            if one != other and b and a:
                yield f"{one}/{other}", a / b


def _bessel(n: float) -> Iterator[tuple[str, float]]:
    yield from (("(n-1)", n - 1), ("1/(n-1)", 1 / (n - 1)), ("n/(n-1)", n / (n - 1)))
    yield from (("(n-1)/n", (n - 1) / n), ("n*(n-1)", n * (n - 1)), ("(n-1)**2", (n - 1) ** 2))
    yield from (("1/n - 1", 1 / n - 1), ("(n-1)*(1/n - 1)", (n - 1) * (1 / n - 1)))


def factor_text(value: float, sizes: Mapping[str, float], what: str) -> tuple[Kind, str]:
    """The kind, ``sign`` or ``factor``, and the sentence for something that is ``value`` times
    what it should be."""
    name = named(value, sizes)
    if name == "-1":
        return Kind.sign, f"{what} has the wrong sign"
    text = f"{what} is {name or f'{value:.4g}'} times what it should be"
    if name in ("n/(n-1)", "(n-1)/n"):
        text += (
            ". This is a mix-up of n and n - 1: only the variance divides by n - 1 (Bessel's "
            "correction), the means divide by n"
        )
    elif (name or "").startswith("-") or (name is None and value < 0):
        text += ", its sign included"
    return Kind.factor, text
