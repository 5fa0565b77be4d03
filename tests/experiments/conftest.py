"""The fixtures of this folder's tests."""

from __future__ import annotations

from tests.experiments.experiment_helpers import here  # noqa: F401 - a fixture
from tests.report.report_helpers import sketched  # noqa: F401 - a fixture
