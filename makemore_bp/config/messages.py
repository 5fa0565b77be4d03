"""What is said of a configuration that is not valid: where, what, and the nearest that would be."""

from __future__ import annotations

import difflib
import math
import reprlib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from makemore_bp.config.schema import Together, all_keys
from makemore_bp.text import Sentence, sentence, visible

SHOWN = 10  # mistakes that one message tells

# What other trainers call it.
_OTHER_WORDS = {
    "train.steps": "max_iters max_steps num_steps n_steps iters iterations epochs num_epochs",
    "train.lr": "learning_rate base_lr",
    "train.weight_decay": "wd l2",
    "train.batch_size": "bs minibatch",
    "train.eval_every": "eval_interval eval_steps",
    "train.log_every": "log_interval log_steps logging_steps",
    "train.checkpoint_every": "save_every save_interval save_steps",
    "train.schedule": "lr_schedule scheduler lr_scheduler",
    "model.block_size": "context context_length context_size window seq_len",
    "model.n_embd": "emb embd embedding emb_dim embedding_dim d_model",
    "model.n_hidden": "hidden hidden_size hidden_dim n_hid",
    "data.path": "data dataset input input_file words file",
    "engine": "backend",
    "dtype": "precision",
}
_KNOWN_AS = {word: key for key, words in _OTHER_WORDS.items() for word in words.split()}


def unknown_key(key: str) -> Sentence:
    """What to say of a dotted key that the schema does not have: the nearest that it has."""
    known = all_keys()
    if key == "base":
        return Sentence("a base is named in a file, as in 'base: quick', or as CONFIG.")
    if key in {name.split(".")[0] for name in known if "." in name}:
        inside = ", ".join(name for name in known if name.startswith(key + "."))
        return Sentence(f"'{key}' is a section. Set one of its keys: {inside}.")
    meant = " or ".join(f"'{name}'" for name in nearest_keys(key))
    hint = f"Did you mean {meant}?" if meant else f"The keys are: {', '.join(known)}."
    return sentence("there is no key '{key}'. {hint}", key=key, hint=Sentence(hint))


def keys_called(name: str) -> list[str]:
    """The keys whose last part is that of ``name``, or that other trainers call so."""
    last = name.split(".")[-1].replace("-", "_")
    same = [key for key in all_keys() if key.split(".")[-1] == last]
    return same or [_KNOWN_AS[last]] if last in _KNOWN_AS else same


def nearest_keys(name: str) -> list[str]:
    """The keys that may be meant by a name that is none: called so, or of a similar spelling."""
    known = all_keys()
    sections = sorted({key.split(".")[0] for key in known if "." in key})
    short = {key.split(".")[-1]: key for key in known}
    if found := keys_called(name):
        return found
    if near := difflib.get_close_matches(name, [*known, *sections], 1, 0.6):
        return near
    return [short[key] for key in difflib.get_close_matches(name.split(".")[-1], short, 1, 0.6)]


def explain(
    error: ValidationError, where: str, lines: Mapping[str, int], origin: Mapping[str, str]
) -> Sentence:
    """Every mistake that pydantic found, a sentence each with its place."""
    found: dict[str, tuple[str, Any]] = {}
    for one in error.errors():
        key = _key(one)
        owner = next((k for k in all_keys() if key == k or key.startswith(k + ".")), key)
        # A schedule is not a number: what is wrong in it is told by a later mistake of its key.
        if owner not in found or _is_about_the_form(found[owner][1]):
            found[owner] = key, one
    told = []
    for owner, (key, one) in found.items():
        place = _place(one, key, owner, where, lines, origin)
        told.append(sentence("{place}: {what}", place=place, what=_told(one, key, owner)))
    more = f" There are {len(told) - SHOWN:,} more." if len(told) > SHOWN else ""
    return Sentence(" ".join(told[:SHOWN]) + more)


def _key(one: Mapping[str, Any]) -> str:
    # A union's members (the two forms of train.lr) follow the field's name: they are no keys.
    path = [str(part) for part in one["loc"] if part not in ("float", "constrained-float")]
    return ".".join(part for part in path if not part.startswith(("dict[", "function-", "[key]")))


def _is_about_the_form(one: Mapping[str, Any]) -> bool:
    return one["type"] == "float_type" and isinstance(one["input"], Mapping)


def _place(
    one: Mapping[str, Any],
    key: str,
    owner: str,
    where: str,
    lines: Mapping[str, int],
    origin: Mapping[str, str],
) -> Sentence:
    """The override or the file and line that a mistake is in; all of them, if it takes several."""

    def place(*keys: str) -> str:
        for name in keys:
            if name in origin:
                return origin[name]
        line = next((lines[name] for name in keys if name in lines), None)
        return f"{where}, line {line}" if line else ""

    cause = one.get("ctx", {}).get("error")
    if isinstance(cause, Together):
        places = [place(name) for name in cause.keys]
    else:
        places = [place(owner, key) if owner in origin else place(key, owner)]
    said = dict.fromkeys(filter(None, places))
    return Sentence(visible(" and ".join(said) or where, 1000))


def _told(one: Mapping[str, Any], key: str, owner: str) -> Sentence:
    """What pydantic says of a value, in the words of the other messages."""
    if one["type"] == "extra_forbidden":
        return unknown_key(key)
    subject = f"{owner}: " if owner else ""
    got, message = one["input"], str(one["msg"])
    if one["type"] in ("model_type", "model_attributes_type"):
        message = f"must be a mapping of keys to values, not a {type_name(got)}"
    message = message.removeprefix("Value error, ").replace("Input should", "should")
    shown = "" if _needs_no_value(one) else f" (it is {visible(_show(got), 60)})"
    quotes = " Put it in quotes." if one["type"] == "string_type" and got is not None else ""
    return Sentence(f"{visible(subject)}{message}{shown}.{quotes}")


def _needs_no_value(one: Mapping[str, Any]) -> bool:
    kinds = ("value_error", "model_type", "model_attributes_type")
    return isinstance(one["input"], Mapping) or one["type"] in kinds


def _show(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, float) and not math.isfinite(value):
        return {math.inf: ".inf", -math.inf: "-.inf"}.get(value, ".nan")
    if isinstance(value, int) and value.bit_length() > 200:  # Python writes no endless numbers
        return f"a number of {value.bit_length():,} bits"
    return repr(value[:200]) if isinstance(value, str) else reprlib.repr(value)


def type_name(value: Any) -> str:
    """What a value is called in YAML."""
    names = {list: "list", str: "text", int: "number", float: "number", bool: "true or false"}
    return names.get(type(value), "mapping" if isinstance(value, dict) else type(value).__name__)
