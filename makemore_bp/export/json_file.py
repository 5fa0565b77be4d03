"""Every number of the network as JSON text, which any language reads.

A number of float32 is written with as few digits as lead back to it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from makemore_bp.export.trained import Format, Trained


def contents(trained: Trained) -> dict[str, bytes]:
    """One file: the facts, the equations in order, and the tensors as nested lists of rows."""
    content = {
        **trained.facts,
        "dtype": trained.saved.config.dtype,
        "constants": trained.constants,
        "equations": [f"{one.name} = {one.source}" for one in trained.equations],
        "tensors": {name: _rows(tensor) for name, tensor in trained.tensors.items()},
    }
    return {".json": (json.dumps(content, ensure_ascii=False) + "\n").encode()}


def _rows(tensor: Tensor) -> Any:
    return tensor.numpy().astype(str).astype(np.float64).tolist()


def use(path: Path) -> str:
    """Lines of Python that read it."""
    return f"""\
import json, pathlib
network = json.loads(pathlib.Path({str(path)!r}).read_text("utf-8"))
print(network["characters"], network["equations"], network["tensors"]["C"][0])"""


FORMAT = Format(".json", contents, use)
