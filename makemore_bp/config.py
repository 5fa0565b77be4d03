"""The schema of a run, and how a file and overrides become one.

pydantic checks the values and writes the JSON Schema; YAML is read by ``yaml_reading``. What is
here besides: an unknown key is answered with the nearest known one, and every message names the
file and the line, or the override, that it speaks of.
"""

from __future__ import annotations

import difflib
import math
import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from makemore_bp import resources, yaml_reading
from makemore_bp.errors import RequestError
from makemore_bp.text import visible

# So that every resolved configuration, written out in full, can be read again.
MAX_RATES = 500
MAX_PATH = 4096  # bytes
BUNDLED = "bundled:"  # a data.path such as bundled:names is a word list that travels with us


def _whole(value: Any) -> Any:
    """YAML reads ``2e5`` as a float; where a count is asked for, it is one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Switch = Literal["op-by-op", "fused"]
Schedule = Literal["steps", "cosine"]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, BeforeValidator(_whole), Field(ge=1, lt=2**63)]
Seed = Annotated[int, BeforeValidator(_whole), Field(ge=0, lt=2**63)]
LearningRate = Annotated[float, Field(ge=0, le=3e38, allow_inf_nan=False)]  # float32's largest


class _Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True
    )


class Data(_Section):
    """Which words, and how they are split."""

    path: str = BUNDLED + "names"
    """A UTF-8 file with a word a line, relative to the configuration file, or bundled:NAME."""
    split: tuple[Fraction, Fraction, Fraction] = (0.8, 0.1, 0.1)
    """Shares of the words for training, validation and test; they sum to 1."""
    seed: Seed = 42
    """Seed of the shuffle before the split."""

    @field_validator("split", mode="before")
    @classmethod
    def _three_shares(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple) or len(value) != 3:
            raise ValueError("must be a list of three shares, such as [0.8, 0.1, 0.1]")
        return tuple(value)

    @field_validator("split")
    @classmethod
    def _sums_to_one(cls, value: tuple[float, float, float]) -> tuple[float, float, float]:
        if abs(sum(value) - 1) > 1e-9:
            raise ValueError(f"the three shares sum to {sum(value):g}, not to 1")
        return value

    @field_validator("path")
    @classmethod
    def _can_be_a_path(cls, value: str) -> str:
        if not value or "\0" in value:
            raise ValueError("a path is not empty and holds no NUL character")
        if len(value.encode(errors="surrogatepass")) > MAX_PATH:
            raise ValueError(f"a path has at most {MAX_PATH:,} bytes")
        return value


class Model(_Section):
    """The sizes of the network."""

    block_size: Annotated[int, BeforeValidator(_whole), Field(ge=1, le=1000)] = 3
    """Characters of context; no word is longer than 1,000."""
    n_embd: Count = 10
    """Length of a character's embedding vector."""
    n_hidden: Count = 200
    """Units of the hidden layer."""


class Backward(_Section):
    """Which of the two hand-written backward passes runs, stage by stage."""

    cross_entropy: Switch = "fused"
    """Cross-entropy one operation at a time, or in one line."""
    batchnorm: Switch = "fused"
    """Batch normalisation one operation at a time, or in one line."""


class Init(_Section):
    """What the first parameters are drawn around, where the lecture leaves a choice."""

    bngain: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """Mean of the batchnorm gain; its spread of 0.1 stays."""


class Train(_Section):
    """The training loop: stochastic gradient descent, plain unless asked otherwise."""

    steps: Count = 200_000
    """Number of minibatches."""
    batch_size: Annotated[int, BeforeValidator(_whole), Field(ge=2, lt=2**63)] = 32
    """Examples a minibatch; at least 2, because the unbiased variance divides by n - 1."""
    lr: LearningRate | dict[Annotated[int, Field(ge=0, lt=2**63)], LearningRate] = Field(
        default={0: 0.1, 100_000: 0.01}, validate_default=True
    )
    """Learning rate: one number, or a schedule {first step: rate} that has a rate for step 0."""
    schedule: Schedule = "steps"
    """How the rate goes from one entry of lr to the next: at once, or along half a cosine."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability with which a hidden output is switched off in a training step."""
    weight_decay: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """W1 and W2 lose lr * weight_decay of themselves in every step."""
    seed: Seed = 2_147_483_647
    """Seed of the initial parameters, of the minibatches and of dropout's masks."""
    log_every: Count = 100
    """Write the minibatch loss every so many steps."""
    eval_every: Count = 10_000
    """Evaluate on the training and validation set every so many steps."""
    checkpoint_every: Count = 10_000
    """Save the complete state every so many steps."""

    @field_validator("lr", mode="before")
    @classmethod
    def _number_or_schedule(cls, value: Any) -> Any:
        numbers = [*value, *value.values()] if isinstance(value, dict) else [value]
        if not all(type(number) in (int, float) for number in numbers):
            raise ValueError(
                "must be a number or a schedule such as {0: 0.1, 100000: 0.01}, with a space after "
                "each colon"
            )
        return value

    @field_validator("lr")
    @classmethod
    def _covers_step_0(cls, value: float | dict[int, float]) -> float | dict[int, float]:
        if isinstance(value, dict) and 0 not in value:
            raise ValueError("the schedule has no rate for step 0")
        if isinstance(value, dict) and len(value) > MAX_RATES:
            raise ValueError(f"the schedule has {len(value):,} rates; at most {MAX_RATES} are read")
        return dict(sorted(value.items())) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _goes_somewhere(self) -> Train:
        if self.schedule != "steps" and not (isinstance(self.lr, dict) and len(self.lr) > 1):
            raise ValueError(
                f"schedule: {self.schedule} goes from one rate to the next, so lr must have two "
                "or more, such as {0: 0.1, 200000: 0.0}"
            )
        return self

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        return learning_rate(self.lr, step, self.schedule)

    def rates(self, steps: range) -> list[float]:
        """The learning rates of consecutive steps."""
        return learning_rates(self.lr, steps, self.schedule)


class Config(_Section):
    """A run: the words, the network, its backward passes and the training loop."""

    data: Data = Data()
    model: Model = Model()
    init: Init = Init()
    backward: Backward = Backward()
    train: Train = Train()
    engine: Literal["auto", "torch", "native"] = "auto"
    """How a chunk of steps is executed; auto takes the fastest that can do it."""
    device: str = "cpu"
    """Where the tensors live: cpu, cuda, cuda:N or mps."""
    dtype: Literal["float32", "float64"] = "float32"
    """Precision of parameters and gradients."""

    @field_validator("device")
    @classmethod
    def _known_device(cls, value: str) -> str:
        if not re.fullmatch(r"cpu|cuda(:\d{1,3})?|mps", value):
            raise ValueError(f"must be cpu, cuda, cuda:N or mps, not {visible(repr(value))}")
        return value

    @model_validator(mode="after")
    def _engine_can_do_it(self) -> Config:
        if self.engine == "native" and (self.dtype != "float32" or self.device != "cpu"):
            raise ValueError(
                "engine: native computes float32 on the CPU only; take engine: torch "
                f"for dtype {self.dtype} on {self.device}"
            )
        if self.device == "mps" and self.dtype == "float64":
            raise ValueError("device: mps has no float64; take dtype: float32")
        return self

    def to_yaml(self) -> str:
        """The configuration as a YAML document; reading it back gives an equal one."""
        plain = self.model_dump(mode="json")
        if isinstance(self.train.lr, dict):
            plain["train"]["lr"] = dict(self.train.lr)  # JSON would turn the steps into strings
        text: str = yaml.safe_dump(
            plain, sort_keys=False, default_flow_style=None, allow_unicode=False
        )
        return text


def learning_rate(
    lr: float | Mapping[int, float], step: int, schedule: Schedule = "steps"
) -> float:
    """The rate at ``step``: the number itself, or what the entries around ``step`` make of it.

    ``steps`` keeps the latest entry's rate. ``cosine`` goes from it to the next entry's along half
    a cosine, reaches that at the entry's step, and keeps it after the last one.
    """
    if not isinstance(lr, Mapping):
        return lr
    first = max(entry for entry in lr if entry <= step)
    after = min((entry for entry in lr if entry > step), default=None)
    if schedule == "steps" or after is None:
        return lr[first]
    gone = (1 - math.cos(math.pi * (step - first) / (after - first))) / 2
    return lr[first] + gone * (lr[after] - lr[first])


def learning_rates(
    lr: float | Mapping[int, float], steps: range, schedule: Schedule = "steps"
) -> list[float]:
    """The rates at consecutive ``steps``, found once for all steps between two changes."""
    if schedule == "cosine":
        return [learning_rate(lr, step, schedule) for step in steps]
    changes = sorted(step for step in lr if step in steps[1:]) if isinstance(lr, Mapping) else []
    rates: list[float] = []
    for first, end in pairwise([steps.start, *changes, steps.stop]):
        rates += [learning_rate(lr, first)] * (end - first)
    return rates


class Setting(NamedTuple):
    """One dotted key with its value, and the place that a message about it names."""

    key: str
    value: Any
    place: str


def load(
    source: str | None = None, overrides: Sequence[str] = (), settings: Sequence[Setting] = ()
) -> Config:
    """Reads a configuration file and applies ``key.subkey=value`` overrides to it.

    ``source`` is a path, or the name of a bundled configuration (``quick``), or None for the
    defaults, which are the lecture's recipe. Relative data paths in a file are relative to that
    file, in an override to the working folder. ``settings`` are overrides that are values already.
    Raises RequestError, naming file and line, the override or the setting's place, for whatever is
    no valid configuration.
    """
    if source is None:
        return build({}, overrides, settings, where="the default configuration")
    path = _find(source)
    document = yaml_reading.read(path)
    value = {} if document.value is None else document.value
    if not isinstance(value, dict):
        raise RequestError(
            f"{visible(str(path))}: a configuration is a mapping of keys to values, "
            f"but this is a {_type_name(value)}. Begin with a line such as 'train:'; a list of "
            "words is named by --set data.path=FILE."
        )
    return build(
        value,
        overrides,
        settings,
        where=visible(str(path)),
        lines=document.lines,
        folder=path.parent,
    )


def build(
    value: Mapping[str, Any],
    overrides: Sequence[str] = (),
    settings: Sequence[Setting] = (),
    *,
    where: str,
    lines: Mapping[str, int] | None = None,
    folder: Path | None = None,
) -> Config:
    """Makes a Config of a plain mapping and overrides; raises RequestError in terms of both."""
    merged = _deep_copy(value)
    data = merged.get("data")
    if folder is not None and isinstance(data, dict) and isinstance(data.get("path"), str):
        data["path"] = absolute(data["path"], folder)
    origin: dict[str, str] = {}
    for key, chosen, place in [*map(_parsed, overrides), *settings]:
        if key not in all_keys():
            raise RequestError(f"{place}: {unknown_key(key)}")
        _put(merged, key, chosen)
        origin[key] = place
    try:
        config = Config.model_validate(merged)
    except ValidationError as error:
        raise RequestError(_explain(error, where, lines or {}, origin)) from None
    path = absolute(config.data.path, Path.cwd())
    return config.model_copy(update={"data": config.data.model_copy(update={"path": path})})


def data_path(path: str) -> Path:
    """The file that a ``data.path`` names; raises RequestError for an unknown bundled name."""
    if not path.startswith(BUNDLED):
        return Path(path)
    name, known = path.removeprefix(BUNDLED), resources.bundled("data", ".txt")
    if name not in known:
        raise RequestError(
            f"data.path: there is no bundled word list '{visible(name)}'. "
            f"There are: {', '.join(known)}."
        )
    return known[name]


def all_keys() -> list[str]:
    """Every dotted key, in the order of the schema."""
    return list(_keys(Config))


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name


def _find(source: str) -> Path:
    """A path that exists, or the bundled configuration of that name."""
    path, known = Path(source), resources.bundled("configs", ".yaml")
    try:
        exists = path.exists()
    except (OSError, ValueError):
        exists = False
    if exists or source not in known:
        if not exists and path.suffix == "" and path.name == source:
            raise RequestError(
                f"There is no configuration file '{visible(source)}' and no bundled "
                f"configuration of that name. Bundled are: {', '.join(known)}."
            )
        return path
    return known[source]


def absolute(path: str, folder: Path) -> str:
    """A ``data.path`` as seen from ``folder``; what is bundled stays as it is."""
    if path.startswith(BUNDLED):
        return path
    try:
        return str((folder / Path(path).expanduser()).absolute())
    except RuntimeError:  # a ~ that stands for nobody's home is a name like any other
        return str((folder / path).absolute())


def _deep_copy(value: Any) -> Any:
    return {k: _deep_copy(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def _parsed(override: str) -> Setting:
    """One ``key=value`` as typed after --set."""
    key, equals, text = override.partition("=")
    key, place = key.strip(), f"--set {visible(override)}"
    if not equals or not key:
        raise RequestError(
            f"{place}: an override has the form KEY=VALUE, for example --set train.steps=1000."
        )
    try:
        value = yaml_reading.parse(text).value
    except RequestError as error:
        raise RequestError(f"{place}: {error}") from None
    if key == "data.path" and isinstance(value, str):
        value = absolute(value, Path.cwd())
    return Setting(key, value, place)


def _put(merged: dict[str, Any], key: str, value: Any) -> None:
    """Puts a value into nested mappings under its dotted key."""
    section = merged
    *parents, last = key.split(".")
    for parent in parents:
        if not isinstance(section.get(parent), dict):
            section[parent] = {}
        section = section[parent]
    section[last] = value


def unknown_key(key: str) -> str:
    """What to say of a dotted key that the schema does not have: the nearest that it has."""
    known = all_keys()
    sections = sorted({name.split(".")[0] for name in known if "." in name})
    short = {name.split(".")[-1]: name for name in known}
    if key in sections:
        inside = ", ".join(name for name in known if name.startswith(key + "."))
        return f"'{key}' is a section. Set one of its keys: {inside}."
    near = [name for name in known if name.split(".")[-1] == key.split(".")[-1]]
    near = near or difflib.get_close_matches(key, [*known, *sections], 1, 0.6)
    if not near:
        last = difflib.get_close_matches(key.split(".")[-1], short, 1, 0.6)
        near = [short[name] for name in last]
    meant = " or ".join(f"'{name}'" for name in near)
    hint = f"Did you mean {meant}?" if near else f"The keys are: {', '.join(known)}."
    return f"there is no key '{visible(key)}'. {hint}"


def _explain(
    error: ValidationError, where: str, lines: Mapping[str, int], origin: Mapping[str, str]
) -> str:
    """The first mistake that pydantic found, in one sentence with its place."""
    first, *others = error.errors()
    if first["type"] == "float_type" and isinstance(first["input"], Mapping) and others:
        first = others[0]  # a schedule is no number; what is wrong in it comes after that
    # A union's members (the two forms of train.lr) follow the field's name: they are no keys.
    path = [str(part) for part in first["loc"] if part not in ("float", "constrained-float")]
    key = ".".join(part for part in path if not part.startswith(("dict[", "function-", "[key]")))
    known = all_keys()
    owner = next((name for name in known if key == name or key.startswith(name + ".")), key)
    if owner in origin:
        place = origin[owner]
    else:
        line = next((lines[k] for k in (key, owner) if k in lines), None)
        place = f"{where}, line {line}" if line else where
    if first["type"] == "extra_forbidden":
        return f"{place}: {unknown_key(key)}"
    subject = f"{visible(owner)}: " if owner else ""
    return f"{place}: {subject}{sentence(first)}"


def sentence(first: Mapping[str, Any]) -> str:
    """What pydantic says of a value, in the words of the other messages."""
    got, message = first["input"], str(first["msg"])
    message = message.removeprefix("Value error, ").replace("Input should", "should")
    if isinstance(got, Mapping) or first["type"] == "value_error":
        shown = ""
    else:
        shown = f" (it is {visible(_show(got), 60)})"
    if first["type"] in ("model_type", "model_attributes_type"):
        return f"must be a mapping of keys to values, not a {_type_name(got)}."
    return f"{message}{shown}."


def _show(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, float) and not math.isfinite(value):
        return {math.inf: ".inf", -math.inf: "-.inf"}.get(value, ".nan")
    if isinstance(value, int) and value.bit_length() > 200:  # Python writes no endless numbers
        return f"a number of {value.bit_length():,} bits"
    return repr(value[:200]) if isinstance(value, str) else reprlib.repr(value)


def _type_name(value: Any) -> str:
    names = {list: "list", str: "text", int: "number", float: "number", bool: "true or false"}
    return names.get(type(value), "mapping" if isinstance(value, dict) else type(value).__name__)
