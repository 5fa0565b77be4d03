"""The configuration of a run: what its keys are, and how YAML becomes one.

schema.py       every key, with its default, its bounds and what it means
reading.py      how a file and overrides become a configuration
messages.py     what is said of one that is not valid
schedule.py     the learning rate of a step
"""

from makemore_bp.config.messages import unknown_key
from makemore_bp.config.reading import Setting, absolute, build, data_path, load
from makemore_bp.config.schedule import learning_rate, learning_rates
from makemore_bp.config.schema import ENGINES, Config, Data, Seed, all_keys

__all__ = [
    "ENGINES",
    "Config",
    "Data",
    "Seed",
    "Setting",
    "absolute",
    "all_keys",
    "build",
    "data_path",
    "learning_rate",
    "learning_rates",
    "load",
    "unknown_key",
]
