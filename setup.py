"""Adds the native engine's kernel to the build; everything else stands in pyproject.toml.

The extension is optional: without a C compiler the package installs all the same and trains with
PyTorch. The C flags ask for nothing that the oldest 64-bit processor lacks; which instructions run
is decided when the module is imported.
"""

from __future__ import annotations

import sys
import sysconfig

from setuptools import Extension, setup

FOLDER = "makemore_bp/engines/native"
SOURCES = ("binding.c", "network.c", "team.c", "kernel.c", "kernel_avx2.c", "kernel_avx512.c")

if sys.platform == "win32":
    FLAGS = ["/O2", "/std:c11", "/fp:precise"]
else:
    FLAGS = [
        "-O3",
        "-std=c11",
        "-ffp-contract=fast",  # a * b + c may be one instruction with one rounding
        "-fno-math-errno",  # a root need not report errors, so roots can be taken in vectors
        "-fno-trapping-math",  # nobody watches the floating-point exception flags
        "-pthread",
    ]

# One binary for every CPython from 3.11 on; free-threaded builds have no such interface yet.
STABLE = not sysconfig.get_config_var("Py_GIL_DISABLED")

setup(
    ext_modules=[
        Extension(
            "makemore_bp.engines.native._kernel",
            sources=[f"{FOLDER}/{source}" for source in SOURCES],
            depends=[f"{FOLDER}/kernel.h", f"{FOLDER}/team.h", f"{FOLDER}/kernel.c"],
            extra_compile_args=FLAGS,
            extra_link_args=[flag for flag in FLAGS if flag == "-pthread"],
            define_macros=[("Py_LIMITED_API", "0x030B0000")] if STABLE else [],
            py_limited_api=STABLE,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if STABLE else {},
)
