"""What a run is: every key, with its default, its bounds and what it means.

pydantic checks the values and writes the JSON Schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic.fields import FieldInfo

from makemore_bp.config.schedule import Schedule, learning_rate, learning_rates
from makemore_bp.text import visible

# So that every resolved configuration, written out in full, can be read again.
MAX_RATES = 500
MAX_PATH = 4096  # bytes
BASE = "A bundled configuration, or a file relative to this one, that this one changes."
BUNDLED = "bundled:"  # a data.path such as bundled:names is a word list that travels with us


def _whole(value: Any) -> Any:
    """YAML reads ``2e5`` as a float; where a count is asked for, it is one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Together(ValueError):
    """A mistake that several keys make together; ``keys`` are those."""

    def __init__(self, keys: Sequence[str], message: str) -> None:
        super().__init__(message)
        self.keys = keys


Switch = Literal["op-by-op", "fused"]
EngineName = Literal["auto", "torch", "native"]
ENGINES: tuple[str, ...] = get_args(EngineName)[1:]
Normalize = Literal["none", "NFC", "NFD", "NFKC", "NFKD"]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, lt=2**63), BeforeValidator(_whole)]
Seed = Annotated[int, Field(ge=0, lt=2**63), BeforeValidator(_whole)]
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

    normalize: Normalize = "none"
    """Unicode's normal form to bring the words into, so that one spelling of a letter is one."""

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
    """The sizes of the network, and its non-linearity."""

    block_size: Annotated[int, Field(ge=1, le=1000), BeforeValidator(_whole)] = 3
    """Characters of context; no word is longer than 1,000."""
    n_embd: Count = 10
    """Length of a character's embedding vector."""
    n_hidden: Count = 200
    """Units of the hidden layer."""
    activation: Literal["tanh", "relu"] = "tanh"
    """The hidden layer's non-linearity."""


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
    batch_size: Annotated[int, Field(ge=2, lt=2**63), BeforeValidator(_whole)] = 32
    """Examples a minibatch; at least 2, because the unbiased variance divides by n - 1."""
    lr: LearningRate | dict[Seed, LearningRate] = Field(
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
    """Steps from one line with the minibatch loss to the next."""
    eval_every: Count = 10_000
    """Steps from one evaluation on the training and validation set to the next."""
    checkpoint_every: Count = 10_000
    """Steps from one saved state to the next."""

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
            raise Together(
                ["train.schedule", "train.lr"],
                f"schedule: {self.schedule} goes from one rate to the next, so lr must have two "
                "or more, such as {0: 0.1, 200000: 0.0}",
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
    engine: EngineName = "auto"
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
        wrong = {"dtype": self.dtype != "float32", "device": self.device != "cpu"}
        if self.engine == "native" and any(wrong.values()):
            raise Together(
                ["engine", *(key for key in wrong if wrong[key])],
                "engine: native computes float32 on the CPU only; take engine: torch for dtype "
                f"{self.dtype} on {self.device}",
            )
        if self.device == "mps" and self.dtype == "float64":
            raise Together(["device", "dtype"], "device: mps has no float64; take dtype: float32")
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


def json_schema() -> dict[str, Any]:
    """What a configuration's file may say, for editors: every key, and the base."""
    schema = Config.model_json_schema()
    base = {"type": "string", "title": "Base", "description": BASE}
    return {**schema, "properties": {"base": base, **schema["properties"]}}


def all_keys() -> list[str]:
    """Every dotted key, in the order of the schema."""
    return [name for name, _ in _fields(Config)]


def is_text(key: str) -> bool:
    """Whether the value of this key is a text."""
    kinds = {name: field.annotation for name, field in _fields(Config)}
    return kinds.get(key) is str or get_origin(kinds.get(key)) is Literal


def _fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _fields(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name, field
