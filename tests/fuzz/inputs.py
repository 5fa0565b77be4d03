"""What the fuzzing feeds in: mostly near misses, for random bytes are refused at the door."""

from __future__ import annotations

import json
import struct
from hashlib import sha256
from typing import Any

from hypothesis import strategies as st

from makemore_bp import config
from makemore_bp.learning.exercises.templates import FILES
from makemore_bp.training.checkpoint_header import BLANK, KEY

# What terminals, parsers and file formats stumble over.
ODD = (
    "\x1b[2J", "\x1b]0;title\x07", "\u202e", "\u2066", "[red]", "[/]", "[bold", "\0", "\r", "\t",
    "\x7f", "\x9b", "\u2028", "\ufeff", "\u200d", "\u00a0", "\U0001f469", "\u0301", "%s", "{x}",
    "!!python/name:os.system", "&a", "*a", "<<", "~", "0x", "1e999", ".nan", "1:1:1", "=", "'", '"',
)  # fmt: skip
VALUES = (
    "0", "1", "-1", "2", "1e3", "1e400", "9" * 30, "0x" + "f" * 5000, "1:" * 300 + "1", ".nan",
    "null", "true", "[]", "{}", "[1, 2]", "{0: 0.1}", "{0: .inf}", "{0: 0.1, 0: 0.2}", "2001-13-01",
    "!!binary x", "!!timestamp x", "!!int ''", "~", "~nobody/x", "bundled:names", "bundled:",
    "&a 1", "*a", "'\\0'",
    '"\\ud800"', '"\\x1b[2J"', "[0.8, 0.1, 0.1]", "[.nan, 1, 0]", "torch", "native",
)  # fmt: skip
KEYS = (*config.all_keys(), "train", "data", "model", "", "x", "train.stepz", "data.path.x")

odd_text = st.lists(st.one_of(st.sampled_from(ODD), st.text(max_size=6)), max_size=8).map("".join)
value = st.one_of(st.sampled_from(VALUES), odd_text)

data_files = st.one_of(
    st.binary(max_size=400),
    st.lists(st.one_of(odd_text, st.text("abcdefé李", min_size=1, max_size=12)), max_size=40).map(
        lambda lines: "\n".join(lines).encode(errors="surrogatepass")
    ),
    st.integers(900, 5_000).map(lambda n: b"anna\n" + b"x" * n + b"\nbo\n"),
    st.tuples(st.sampled_from((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")), st.binary()).map(
        b"".join
    ),
)


def _yaml_file(pairs: list[tuple[str, str]]) -> str:
    lines: dict[str, list[str]] = {}
    for key, text in pairs:
        section, _, name = key.partition(".")
        lines.setdefault(section, []).append(f"  {name}: {text}" if name else f"  {text}")
    return "\n".join(f"{section}:\n" + "\n".join(body) for section, body in lines.items())


# Mostly small, now and then as large as a configuration may be.
size = st.one_of(*[st.integers(1, 100)] * 8, st.integers(1, 2_000), st.integers(1, 25_000))
yaml_files = st.one_of(
    odd_text,
    st.text(max_size=200),
    st.lists(st.tuples(st.sampled_from(KEYS), value), max_size=8).map(_yaml_file),
    size.map(lambda n: "[" * n),
    size.map(lambda n: "a: &a [" + "x," * n + "]\nb: [" + "*a," * 20 + "]"),
    size.map(lambda n: "\n".join(f"k{k}: &a{k} {k}" for k in range(n // 4))),
    size.map(lambda n: "train: {lr: {" + ", ".join(f"{k}: 0.1" for k in range(n // 4)) + "}}"),
)
overrides = st.one_of(
    odd_text,
    st.tuples(st.sampled_from(KEYS), st.sampled_from(("=", "", "==", " = ")), value).map("".join),
)


def _mutated(raw: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """``raw`` with pieces cut out (place, length) and others put in their place."""
    for place, length, piece in changes:
        at = place % (len(raw) + 1)
        raw = raw[:at] + piece + raw[at + length :]
    return raw


def damaged(raw: bytes) -> st.SearchStrategy[bytes]:
    """A file with a few pieces of it cut, replaced or added."""
    change = st.tuples(st.integers(0, len(raw)), st.integers(0, 40), st.binary(max_size=40))
    cut = st.integers(0, len(raw) - 1).map(lambda n: raw[:n])
    claim = st.integers(0, 2**64 - 1).map(lambda n: struct.pack("<Q", n) + raw[8:])
    return st.one_of(
        st.lists(change, min_size=1, max_size=4).map(lambda c: _mutated(raw, c)),
        cut,
        claim,
        st.binary(max_size=300),
        st.integers(1, 20_000).map(lambda n: struct.pack("<Q", n) + b"[" * n),
    ).filter(lambda other: other != raw)


_PLAIN: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), odd_text, st.just(10**400), st.just({}),
    st.lists(st.integers(), max_size=3), st.just(2**63), st.just("torch"),
)  # fmt: skip


def forge(raw: bytes, about: dict[str, Any], tensors: dict[str, Any]) -> bytes:
    """A checkpoint whose metadata and entries of tensors are replaced, with the right checksum."""
    (length,) = struct.unpack("<Q", raw[:8])
    outer = json.loads(raw[8 : 8 + length])
    inner = {**json.loads(outer["__metadata__"][KEY]), "checksum": BLANK, **about}
    for name, entry in tensors.items():
        outer[name] = {**outer.get(name, {}), **entry}
    header = json.dumps({**outer, "__metadata__": {KEY: json.dumps(inner)}}).encode()
    forged = struct.pack("<Q", len(header)) + header + raw[8 + length :]
    return forged.replace(BLANK.encode(), sha256(forged).hexdigest().encode(), 1)


def forgeries(raw: bytes, config_of: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """Checkpoints with a right checksum and wrong content."""
    keys = ("step", "vocabulary", "data_sha256", "engine", "torch", "config", "version", "format")
    changed_config = st.tuples(st.sampled_from(sorted(config_of)), _PLAIN).map(
        lambda change: {"config": {**config_of, change[0]: change[1]}}
    )
    about = st.one_of(st.dictionaries(st.sampled_from(keys), _PLAIN, max_size=2), changed_config)
    offsets = st.lists(st.integers(-5, 2**40), min_size=2, max_size=2)
    entry = st.dictionaries(
        st.sampled_from(("dtype", "shape", "data_offsets")),
        st.one_of(offsets, st.sampled_from(("F32", "F64", "I64", "U8", "BOOL", "F4", "x")), _PLAIN),
        max_size=2,
    )
    tensors = st.dictionaries(
        st.sampled_from(("C", "W1", "b1", "generator", "bnvar", "new")), entry, max_size=2
    )
    return st.tuples(about, tensors).map(lambda change: forge(raw, *change))


_LINES = [line.lstrip("# ") for _, text, _ in FILES.values() for line in text.splitlines()]
_CODE = (
    "dlogits = dlogprobs", "dh = dlogits @ W2.T", "def backward(h, W2):", "    return {}", "x = (",
    "dW1[0] = 1", "dC += 1", "import os", "for i in range(3): dh = i", "lambda: (yield)", "return",
    "async def f(): await x", "match x:\n  case [*y]: dh = y", "(dh := 1)", "del dh", "global dh",
    "f'{dh!r:>{n}}'", "dh: int = 3", "[dh for dh in x]", "with x as (dh, *y): pass", "dh = " * 50,
    "-" * 3000 + "1", "(" * 300, "x" + ".T" * 3000, "dh = '\\ud800'", "\x0c", "%matplotlib inline",
)  # fmt: skip
learner_files = st.one_of(
    st.binary(max_size=300),
    st.lists(st.one_of(st.sampled_from(_LINES), st.sampled_from(_CODE), odd_text), max_size=12).map(
        lambda lines: "\n".join(lines).encode(errors="surrogatepass")
    ),
)

metrics_files = st.one_of(
    st.binary(max_size=300),
    st.lists(
        st.one_of(
            st.fixed_dictionaries({"step": _PLAIN}).map(json.dumps),
            st.integers(0, 20).map(lambda step: json.dumps({"step": step, "loss": 1.0})),
            st.sampled_from(("[" * 5000, "{}", "null", '{"step": 1', "1" * 5000)),
            odd_text,
        ),
        max_size=8,
    ).map(lambda lines: "\n".join(lines).encode(errors="surrogatepass")),
)
