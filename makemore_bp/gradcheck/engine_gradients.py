"""The gradients that the native engine computes, for a setting."""

from __future__ import annotations

from torch import Tensor

from makemore_bp.config import Config
from makemore_bp.engines import native
from makemore_bp.engines.choice import obstacle
from makemore_bp.errors import RequestError
from makemore_bp.gradcheck.setting import Setting


def native_gradients(config: Config, setting: Setting) -> dict[str, Tensor]:
    """The kernel's gradients by name (``dlogits``, ..., ``dC``).

    Raises RequestError if the native engine cannot run ``config``.
    """
    if reason := obstacle(config):
        raise RequestError(f"--engine native: {reason}.")
    examples, train = setting.data.train, config.train
    kernel = native.NativeKernel(
        setting.parameters,
        examples.stream,
        examples.positions,
        train.batch_size,
        dropout=train.dropout,
        seed=train.seed,
    )
    gradients = kernel.gradients(setting.indices)
    del gradients["loss"]
    return gradients
