"""Adds the native engine's kernel to the build; everything else stands in pyproject.toml.

cffi reads the declarations of kernel.h, so they are stated once, and writes the module ``_kernel``
that Python imports. The extension is optional: without a C compiler or cffi the package installs
all the same and trains with PyTorch. The C flags ask for nothing that the oldest 64-bit processor
lacks; which instructions run is decided when a kernel is made.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path
from typing import Any

from setuptools import setup

FOLDER = "makemore_bp/engines/native"
SOURCES = ("kernel.c", "memory.c", "team.c", "step.c", "step_avx2.c", "step_avx512.c")
INCLUDED = (
    "kernel.h",
    "network.h",
    "batch.h",
    "products.h",
    "vectors.h",
    "team.h",
    "thread.h",
    "extent.h",
    "step.c",
)

if sys.platform == "win32":
    FLAGS = ["/O2", "/std:c11", "/experimental:c11atomics", "/fp:precise"]
else:
    FLAGS = [
        "-O3",
        "-std=c11",
        "-ffp-contract=fast",  # a * b + c may be one instruction with one rounding
        "-fno-math-errno",  # a root need not report errors, so roots can be taken in vectors
        "-fno-trapping-math",  # nobody watches the floating-point exception flags
        "-fvisibility=hidden",  # none of the kernel's names meets that of another library
        "-pthread",
    ]

# One binary for every CPython from 3.11 on; free-threaded builds have no such interface yet.
STABLE = not sysconfig.get_config_var("Py_GIL_DISABLED")


def kernel() -> Any:
    """What cffi builds; it runs this file to ask for it."""
    from cffi import FFI

    declarations = Path(FOLDER, "kernel.h").read_text(encoding="utf-8")
    ffi = FFI()
    ffi.cdef(re.sub(r"(?m)^#.*\n", "", declarations))
    ffi.set_source(
        "makemore_bp.engines.native._kernel",
        '#include "kernel.h"',
        sources=[f"{FOLDER}/{name}" for name in SOURCES],
        depends=[f"{FOLDER}/{name}" for name in INCLUDED],
        include_dirs=[FOLDER],
        extra_compile_args=FLAGS,
        extra_link_args=[flag for flag in FLAGS if flag == "-pthread"],
        py_limited_api=STABLE,
        optional=True,
    )
    return ffi


if __name__ == "__main__":
    setup(
        cffi_modules=["setup.py:kernel"],
        options={"bdist_wheel": {"py_limited_api": "cp311"}} if STABLE else {},
    )
