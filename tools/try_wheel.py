"""``python tools/try_wheel.py``: what is installed has the kernel, and trains with it."""

from __future__ import annotations

from tempfile import TemporaryDirectory

import makemore_bp as mb
from makemore_bp.engines.native import library

if __name__ == "__main__":
    if not library.available():
        raise SystemExit(f"The wheel has no kernel: {library.why_not()}.")
    with TemporaryDirectory() as folder:
        config = mb.load_config("quick", "train.steps=20", "engine=native")
        print(mb.train(config, f"{folder}/run").words(5))
