"""The step of few launches: the heart's numbers, by Triton's interpreter where no GPU is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from makemore_bp import config
from makemore_bp.engines import choice, configured, triton_engine
from makemore_bp.engines.cuda_graphs import Calls
from makemore_bp.engines.graph_engine import GraphEngine
from makemore_bp.engines.torch_engine import TorchEngine
from makemore_bp.engines.triton_engine import TritonEngine
from makemore_bp.network.parameters import Sizes, generators, initialise
from makemore_bp.network.passes import Network
from tests.engines.launches import Launches
from tests.words import examples_of
from tests.works import work
