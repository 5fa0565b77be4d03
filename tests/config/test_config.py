"""How a file and overrides become a configuration, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from makemore_bp import config, resources, yaml_reading
from makemore_bp.errors import RequestError


def refusal(content: str, folder: Path, *overrides: str) -> str:
    path = folder / "config.yaml"
    path.write_text(content)
    with pytest.raises(RequestError) as error:
        config.load(str(path), overrides)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_the_default_is_the_lectures_recipe() -> None:
    default = config.load()
    assert default == config.load("lecture")
    assert default.train.lr == {0: 0.1, 100_000: 0.01}
    assert (default.train.steps, default.model.n_hidden) == (200_000, 200)


@pytest.mark.parametrize("name", resources.bundled("configs", ".yaml"))
def test_every_bundled_configuration_is_valid(name: str) -> None:
    assert config.load(name) == config.load(str(resources.folder("configs") / f"{name}.yaml"))


def test_what_is_shown_reads_back_equal(tmp_path: Path) -> None:
    shown = config.load(None, ["train.lr={0: 1e-2, 50: 0.001}", "data.seed=7"])
    path = tmp_path / "again.yaml"
    path.write_text(shown.to_yaml())
    assert config.load(str(path)) == shown


def test_overrides_are_yaml_values_and_the_last_one_wins() -> None:
    resolved = config.load(
        None, ["train.lr=5e-2", "train.steps=2e4", "train.steps=10", "data.split=[0.5, 0.25, 0.25]"]
    )
    assert resolved.train.lr == 0.05
    assert resolved.train.steps == 10
    assert resolved.data.split == (0.5, 0.25, 0.25)


def test_a_data_path_is_relative_to_the_file_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    file = tmp_path / "sub" / "config.yaml"
    file.write_text("data: {path: words.txt}\n")
    monkeypatch.chdir(tmp_path)
    assert config.load(str(file)).data.path == str(tmp_path / "sub" / "words.txt")
    overridden = config.load(str(file), ["data.path=words.txt"])
    assert overridden.data.path == str(tmp_path / "words.txt")


def test_the_largest_configuration_that_is_accepted_can_be_written_and_read_again() -> None:
    last = 2**63 - 1
    rates = {step: 1.2345678901234567e-05 for step in (0, *range(last - 498, last + 1))}
    path = "/" + "\x01" * 4095
    largest = config.build({"train": {"lr": rates}, "data": {"path": path}}, where="here")
    assert config.build(yaml_reading.parse(largest.to_yaml()).value, where="again") == largest
    for change in ({"train": {"lr": {**rates, 1: 0.1}}}, {"data": {"path": path + "x"}}):
        with pytest.raises(RequestError, match="at most"):
            config.build(change, where="here")


def test_a_schedule_gives_the_rate_of_the_latest_first_step() -> None:
    schedule = {0: 0.1, 100: 0.01}
    assert [config.learning_rate(schedule, s) for s in (0, 99, 100, 5000)] == [0.1, 0.1, 0.01, 0.01]
    assert config.learning_rate(0.5, 7) == 0.5


@pytest.mark.parametrize("first", [0, 1, 9, 10, 11, 29, 30])
@pytest.mark.parametrize("count", [1, 2, 10, 25, 40])
def test_the_rates_of_many_steps_are_those_of_each(first: int, count: int) -> None:
    steps = range(first, first + count)
    for schedule in (0.5, {0: 0.1}, {0: 0.3, 30: 0.1, 10: 0.2}):
        one_by_one = [config.learning_rate(schedule, step) for step in steps]
        assert config.learning_rates(schedule, steps) == one_by_one
    cosine = config.load(None, ["train.lr={0: 0.0, 20: 0.3, 35: 0.1}", "train.schedule=cosine"])
    assert cosine.train.rates(steps) == [cosine.train.rate(step) for step in steps]


def test_a_cosine_goes_from_each_rate_to_the_next() -> None:
    rates, lr = {0: 0.0, 10: 0.4, 110: 0.1}, config.learning_rate
    assert [lr(rates, step, "cosine") for step in (0, 10, 110, 999)] == [0.0, 0.4, 0.1, 0.1]
    assert [lr(rates, step, "cosine") for step in (5, 60)] == pytest.approx([0.2, 0.25])
    assert lr(rates, 35, "cosine") == pytest.approx(0.1 + 0.3 * (1 + 0.5**0.5) / 2)
    falling = [lr(rates, step, "cosine") for step in range(10, 111)]
    assert falling == sorted(set(falling), reverse=True)
    assert config.load(None, ["train.lr={0: 1.0, 2: 0.0}", "train.schedule=cosine"]).train.rate(
        1
    ) == pytest.approx(0.5)


@pytest.mark.parametrize("lr", ["0.1", "{0: 0.1}"])
def test_a_cosine_with_nowhere_to_go_is_refused(lr: str) -> None:
    with pytest.raises(RequestError, match="lr must have two or more"):
        config.load(None, [f"train.lr={lr}", "train.schedule=cosine"])


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.stepz=3", "train.steps"),
        ("steps=3", "train.steps"),
        ("modle.n_hidden=3", "model.n_hidden"),
        ("train=3", "is a section"),
        ("train.steps", "KEY=VALUE"),
        ("=3", "KEY=VALUE"),
        ("train.lr=.inf", "finite"),
        ("train.lr=.nan", "finite"),
        ("train.lr=true", "number or a schedule"),
        ("train.lr={10: 0.1}", "no rate for step 0"),
        ("train.lr=fast", "number or a schedule"),
        ("train.lr=-0.1", "greater than or equal to 0"),
        ("train.schedule=sine", "'steps' or 'cosine'"),
        ("train.dropout=1", "less than 1"),
        ("train.dropout=-0.1", "greater than or equal to 0"),
        ("train.dropout=.nan", "train.dropout"),
        ("train.dropout=half", "valid number"),
        ("train.weight_decay=-1e-3", "greater than or equal to 0"),
        ("train.weight_decay=.inf", "less than or equal to"),
        ("train.weight_decay=.nan", "train.weight_decay"),
        ("train.batch_size=1", "greater than or equal to 2"),
        ("train.steps=0", "greater than or equal to 1"),
        ("train.steps=ten", "valid integer"),
        ("train.steps=1.5", "valid integer"),
        ("train.seed=-1", "greater than or equal to 0"),
        ("train.steps=99999999999999999999", "less than"),
        ("data.split=[0.5, 0.5, 0.5]", "sum to 1.5"),
        ("data.split=[0.5, 0.5]", "three shares"),
        ("data.split=[1.5, -0.25, -0.25]", "less than or equal to 1"),
        ("model.n_hidden=0", "greater than or equal to 1"),
        ("backward.batchnorm=magic", "'op-by-op' or 'fused'"),
        ("engine=jax", "'auto', 'torch' or 'native'"),
        ("device=tpu", "cpu, cuda, cuda:N or mps"),
        ("dtype=float16", "'float32' or 'float64'"),
        ("data.path=", "a path is not empty"),
        ("max_iters=5", "'train.steps'"),
        ("train.learning-rate=5", "'train.lr'"),
        ("train.steps=!!python/name:os.system", "more than plain data"),
        ("train.lr={0: 0.1", "not valid YAML"),
    ],
)
def test_an_impossible_override_is_refused_by_name(override: str, expected: str) -> None:
    with pytest.raises(RequestError) as error:
        config.load(None, [override])
    assert expected in str(error.value)
    assert str(error.value).startswith(f"--set {override}")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            "train:\n  stepz: 3\n",
            "line 2: there is no key 'train.stepz'. Did you mean",
        ),
        ("modle: {n_hidden: 3}\n", "Did you mean 'model'"),
        ("train: 3\n", "line 1: train: must be a mapping"),
        ("- 1\n- 2\n", "this is a list"),
        ("just words\n", "this is a text"),
        ("train:\n  steps: 3\n  steps: 4\n", "line 3: the key 'steps' stands there a second time"),
        ("train: [\n", "line 2: this is not valid YAML"),
        ("\ttrain: 3\n", "line 1: this is not valid YAML"),
        ("a: !!python/object/apply:os.system [ls]\n", "more than plain data"),
        ("a: &a [*a]\n", "inside an anchored"),
        ("train: {steps: 1:30}\n", "(it is '1:30')"),
        ("train: {lr: {0: 0.1, 00: 0.2}}\n", "the keys '0' (line 1) and '00' are the same"),
        ("train: {lr: {1: 0.1, true: 0.2}}\n", "the keys '1' (line 1) and 'true' are the same"),
        ("train: {lr: {5: 0.1, 5.0: 0.2}}\n", "the keys '5' (line 1) and '5.0' are the same"),
        ("data: {path: 2024}\n", "should be a valid string (it is 2024). Put it in quotes."),
        ("model:\n  n_hidden: 'x'\n", "line 2: model.n_hidden: should be a valid integer"),
        ("train:\n  lr:\n    0: 0.1\n    x: 3\n", "train.lr"),
        ("engine: native\ndtype: float64\n", "engine: native computes float32"),
        ("device: mps\ndtype: float64\n", "mps has no float64"),
        ("x: " + "[" * 50 + "]" * 50, "levels deep"),
        ("a: &a 1\nb: [" + "*a, " * 101 + "]", "aliases"),
        ("#" * 70_000, "longer than"),
    ],
)
def test_an_impossible_file_is_refused_with_its_line(
    tmp_path: Path, content: str, expected: str
) -> None:
    message = refusal(content, tmp_path)
    assert str(tmp_path / "config.yaml") in message
    assert expected in message


def test_an_alias_bomb_is_refused_before_it_expands(tmp_path: Path) -> None:
    levels = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        levels.append(f"{name}: &{name} [{', '.join(['*' + before] * 9)}]")
    assert "alias" in refusal("\n".join(levels), tmp_path)


def test_an_override_is_blamed_rather_than_the_file(tmp_path: Path) -> None:
    message = refusal("train:\n  steps: 5\n", tmp_path, "train.steps=x")
    assert message.startswith("--set train.steps=x")


def test_an_unknown_name_is_answered_with_the_bundled_ones() -> None:
    with pytest.raises(RequestError, match="lecture, op-by-op, quick, towns"):
        config.load("nosuchthing")


def test_numbers_in_yaml_1_2_notation_are_numbers() -> None:
    assert yaml_reading.parse("[1e-3, 1.5, -2e4, 7, .5]").value == [0.001, 1.5, -2e4, 7, 0.5]
    assert yaml.safe_load("1e-3") == "1e-3"  # which is why the reader adds its own rule


def test_plain_values_are_what_yaml_1_2_takes_them_for() -> None:
    plain = "[010, 01, 0x1F, 0o17, 1_000, -007, no, on, 1:30, 1:30.5, 2024-01-31, =, true, ~]"
    expected = [10, 1, 31, 15, 1000, -7, "no", "on", "1:30", "1:30.5", "2024-01-31", "=", True]
    assert yaml_reading.parse(plain).value == [*expected, None]


def test_a_count_with_leading_zeros_is_decimal_and_a_step_may_be_written_as_a_float() -> None:
    resolved = config.load(None, ["train.steps=010", "train.lr={0: 0.1, 1e5: 0.01}"])
    assert resolved.train.steps == 10 and resolved.train.lr == {0: 0.1, 100_000: 0.01}


@pytest.mark.parametrize(
    "name",
    ["words #2.txt", "[x].txt", "@q.txt", "no", "2024", "a: b", "'x'", '"x"', "{a}", "*a", "&a",
     "!x", "- x", " x ", "x #", "~", "null", "%x", "`x`", "|", ">", "x\ny", "ä", "1e3", "\t"],
)  # fmt: skip
def test_a_text_key_takes_what_follows_the_sign_as_it_stands(name: str) -> None:
    path = config.load(None, [f"data.path=/words/{name}"]).data.path
    assert path == f"/words/{name}"
    assert config.load(None, [config.override("data.path", path)]).data.path == path


@pytest.mark.parametrize(
    ("key", "value"),
    [("train.lr", {0: 0.1, 9: 1e-5}), ("data.split", (0.5, 0.25, 0.25)), ("engine", "torch")],
)
def test_an_override_that_is_written_reads_back(key: str, value: object) -> None:
    section, _, name = f".{key}".rpartition(".")
    found = config.load(None, [config.override(key, value)])
    part = getattr(found, section.strip(".")) if section.strip(".") else found
    assert getattr(part, name) == value


def test_every_mistake_is_told_with_its_place(tmp_path: Path) -> None:
    message = refusal(
        "train:\n  stepz: 3\n  batch_size: 1\n  lr: {0: x}\nengine: jax\n", tmp_path, "dtype=half"
    )
    for line, told in ((2, "'train.stepz'"), (3, "train.batch_size:"), (4, "train.lr:")):
        assert f"config.yaml, line {line}: " in message and told in message
    assert "--set dtype=half: dtype:" in message and "line 5: engine:" in message


def test_a_long_list_of_mistakes_is_cut(tmp_path: Path) -> None:
    message = refusal("".join(f"key{k}: {k}\n" for k in range(30)), tmp_path)
    assert "There are 20 more." in message


def test_what_two_keys_do_together_is_blamed_on_both(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"^--set engine=native and --set dtype=float64: engine"):
        config.load("lecture", ["engine=native", "dtype=float64"])
    mixed = refusal("engine: native\n", tmp_path, "device=cuda")
    assert "config.yaml, line 1 and --set device=cuda: engine: native computes" in mixed
    with pytest.raises(RequestError, match=r"--set train.schedule=cosine and --set train.lr=0.1: "):
        config.load("lecture", ["train.lr=0.1", "train.schedule=cosine"])


@pytest.mark.parametrize("name", ["mine.py", "mine.ipynb"])
def test_a_learners_file_is_sent_to_the_check(name: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=f"makemore-bp gradcheck --file .*{name}"):
        config.load(str(tmp_path / name))


def test_a_list_of_words_is_told_from_a_configuration(tmp_path: Path) -> None:
    found = {}
    for name, content in {
        "words.txt": "anna\nbo\n", "long": "anna\n" * 20_000, "odd.txt": "a: b: c\n- [\n",
        "latin.txt": "bj\xf6rn", "config.txt": "train: {steps: 3}\n", "empty.txt": "",
        "words.yaml": "anna\nbo\n", "mine.py": "x", "broken": "train:\n\tsteps: 3\n",
        "flow": "{train: {steps: 3}}", "twice": "engine: torch\nengine: native\n",
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(content.encode("latin-1"))
        found[name] = config.is_word_list(str(tmp_path / name))
    words = {"words.txt", "long", "latin.txt", "empty.txt"}
    assert {name for name, is_one in found.items() if is_one} == words
    assert not any(map(config.is_word_list, ("quick", str(tmp_path), "a\0b", "x" * 5000)))


def test_the_schema_tells_editors_the_bounds() -> None:
    definitions = config.Config.model_json_schema()["$defs"]
    steps = definitions["Train"]["properties"]["steps"]
    assert (steps["minimum"], steps["exclusiveMaximum"]) == (1, 2**63)
    assert definitions["Model"]["properties"]["block_size"]["maximum"] == 1000
    text = str(definitions)
    assert "'ge'" not in text and "'lt'" not in text and "'le'" not in text


def test_messages_show_hostile_keys_escaped(tmp_path: Path) -> None:
    message = refusal('"\\e[31mred": 3\n', tmp_path)
    assert "\x1b" not in message and "\\x1b[31mred" in message
