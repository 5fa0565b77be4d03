"""The compiled kernel, or why it is not there; and the instruction set that it runs on."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

from makemore_bp.errors import RequestError

PACKAGE = "makemore_bp.engines.native"
VARIABLE = "MAKEMORE_BP_ISA"

ffi: Any = None
lib: Any = None
_missing: str | None = None
try:
    from makemore_bp.engines.native import _kernel
except ImportError as error:
    _missing = str(error)
else:
    ffi, lib = _kernel.ffi, _kernel.lib


def why_not() -> str | None:
    """Why the kernel cannot be used on this installation, in one line, or None if it can."""
    if _missing is None:
        return None
    if find_spec(f"{PACKAGE}._kernel") is None:
        return "the native engine was not built; install the package where a C compiler is found"
    return f"the native engine cannot be loaded ({_missing})"


def available() -> bool:
    """Whether the kernel can be used on this installation."""
    return why_not() is None


def instruction_sets() -> tuple[str, ...]:
    """The instruction sets that ``MAKEMORE_BP_ISA`` may name on this machine, narrowest first."""
    return tuple(_present())


def instruction_set() -> tuple[str, int]:
    """The instruction set that runs, and its number in kernel.h.

    Raises RequestError if ``MAKEMORE_BP_ISA`` names one that is not there.
    """
    present = _present()
    wanted = os.environ.get(VARIABLE, "").strip().lower() or list(present)[-1]
    if wanted not in present:
        raise RequestError(
            "{variable} is {wanted}, which is not an instruction set that the kernel has on this "
            "machine. Take {names}, or unset {variable} to get the widest.",
            variable=VARIABLE,
            wanted=os.environ[VARIABLE],
            names=either(present),
        )
    return wanted, present[wanted]


def either(words: Iterable[str]) -> str:
    """The words as a choice: ``a, b or c``."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def _present() -> dict[str, int]:
    if _missing is not None:
        return {}
    numbers = {"baseline": lib.BASELINE, "avx2": lib.AVX2, "avx512": lib.AVX512}
    return {name: number for name, number in numbers.items() if lib.has_instruction_set(number)}
