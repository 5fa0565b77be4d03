"""Makes the extension ``_kernel`` from the C files beside this one; setup.py runs it.

cffi reads the declarations of kernel.h, so they are stated once, and the compiler holds the calls
against them. The module that it writes takes numbers and pointers, lets other threads run during a
call, and serves every CPython from 3.11 on.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from cffi import FFI

FOLDER = "makemore_bp/engines/native"
SOURCES = ("kernel.c", "memory.c", "team.c", "step.c", "step_avx2.c", "step_avx512.c")
HEADERS = ("kernel.h", "network.h", "batch.h", "products.h", "vectors.h", "team.h", "thread.h", "extent.h")

if sys.platform == "win32":
    FLAGS = ["/O2", "/std:c11", "/experimental:c11atomics", "/fp:precise"]
else:
    FLAGS = [
        "-O3",
        "-std=c11",
        "-ffp-contract=fast",  # a * b + c may be one instruction with one rounding
        "-fno-math-errno",  # a root need not report errors, so roots can be taken in vectors
        "-fno-trapping-math",  # nobody watches the floating-point exception flags
        "-fvisibility=hidden",  # no name of ours meets one of another library
        "-pthread",
    ]

_preprocessor = re.compile(r"^#.*\n", re.MULTILINE)

ffibuilder = FFI()
ffibuilder.cdef(_preprocessor.sub("", Path(FOLDER, "kernel.h").read_text(encoding="utf-8")))
ffibuilder.set_source(
    "makemore_bp.engines.native._kernel",
    '#include "kernel.h"',
    include_dirs=[FOLDER],
    sources=[f"{FOLDER}/{name}" for name in SOURCES],
    depends=[f"{FOLDER}/{name}" for name in (*HEADERS, "step.c")],
    extra_compile_args=FLAGS,
    extra_link_args=[flag for flag in FLAGS if flag == "-pthread"],
    optional=True,
)
