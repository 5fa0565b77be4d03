"""Makes this folder's helpers importable as ``tests.experiments.experiment_helpers``."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = str(Path(__file__).parent.parent.parent)
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

from tests.experiments.experiment_helpers import here  # noqa: E402, F401 - a fixture
from tests.report.report_helpers import sketched  # noqa: E402, F401 - a fixture
