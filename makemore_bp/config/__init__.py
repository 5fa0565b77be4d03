"""The configuration of a run: what its keys are, and how YAML becomes one.

schema.py       every key, its default, its bounds and what it means
schedule.py     the learning rate of a step
bases.py        files that are based on other files
reading.py      files and overrides become a configuration
messages.py     what is said of one that is not valid
"""

from makemore_bp.config.bases import absolute
from makemore_bp.config.messages import keys_called, nearest_keys, unknown_key
from makemore_bp.config.reading import (
    Setting,
    build,
    data_path,
    flow,
    is_word_list,
    load,
    override,
)
from makemore_bp.config.schedule import learning_rate, learning_rates
from makemore_bp.config.schema import (
    BUNDLED,
    ENGINES,
    Config,
    Data,
    Normalize,
    Seed,
    all_keys,
    json_schema,
)

__all__ = [
    "BUNDLED",
    "ENGINES",
    "Config",
    "Data",
    "Normalize",
    "Seed",
    "Setting",
    "absolute",
    "all_keys",
    "build",
    "data_path",
    "flow",
    "is_word_list",
    "json_schema",
    "keys_called",
    "learning_rate",
    "learning_rates",
    "load",
    "nearest_keys",
    "override",
    "unknown_key",
]
