"""Adds the native engine's kernel to the build; everything else stands in pyproject.toml.

The extension is optional: without a C compiler or cffi the package installs all the same and trains
with PyTorch.
"""

from __future__ import annotations

import sysconfig
from importlib.util import find_spec

from setuptools import setup

# One binary for every CPython from 3.11 on; free-threaded builds have no such interface yet.
STABLE = not sysconfig.get_config_var("Py_GIL_DISABLED")

setup(
    cffi_modules=["makemore_bp/engines/native/build.py:ffibuilder"] if find_spec("cffi") else [],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if STABLE else {},
)
