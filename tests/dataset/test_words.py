"""What a file of words may hold, and what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from makemore_bp import config, dataset
from makemore_bp.dataset import mapped, statistics, words
from makemore_bp.errors import RequestError


def write(folder: Path, content: bytes) -> Path:
    path = folder / "words.txt"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"anna\nbo\n", ["anna", "bo"]),
        (b"anna\nbo", ["anna", "bo"]),
        (b"\xef\xbb\xbfanna\r\nbo\r\n", ["anna", "bo"]),
        (b"\xef\xbb\xbfanna\n\xef\xbb\xbfbo\r\n\xef\xbb\xbf", ["anna", "bo"]),  # joined files
        ("an\ufeffna\n".encode(), ["an\ufeffna"]),
        (b"\n\n  anna  \n\n\nbo\n\n", ["anna", "bo"]),
        (b"bo\nbo\n", ["bo", "bo"]),
        (b"a.b\n", ["a.b"]),
        (b"new york\n", ["new york"]),
        ("Zoë\nО́льга\n李\nनेहा\n".encode(), ["Zoë", "О́льга", "李", "नेहा"]),
        ("cafe\u0301\n".encode(), ["cafe\u0301"]),
    ],
)
def test_any_utf8_file_with_a_word_a_line_is_read(
    tmp_path: Path, content: bytes, expected: list[str]
) -> None:
    file = words.read_all(write(tmp_path, content))
    assert file.words == expected


LINES = st.lists(
    st.one_of(
        st.sampled_from(["", " ", "\u3000", "anna", " bo ", "new york", "\ufeffzoe", "\ufeff"]),
        st.sampled_from(
            ["a\tb", "a\x00b", "a\rb", "\x1c", "\x85", "x" * 1001, "é" * 1000, "e\u0301"]
        ),
        st.text("ab \u00e9\u0301\u674e\U0001f600\ufeff\u3000\t", max_size=6),
    ),
    max_size=12,
)


def plainly(content: bytes, form: config.Normalize) -> tuple[list[str], list[int], int]:
    """The words, the numbers of refused lines and the count of blank ones, a line at a time."""
    lines = content.decode().split("\n")
    if lines[-1].removeprefix("\ufeff") == "":
        lines.pop()
    found, refused, blank = [], [], 0
    for number, line in enumerate(lines, 1):
        text = words.normalized(line.removeprefix("\ufeff"), form)
        blank += text.strip() == ""
        inner = text.removesuffix("\r").strip(" ")
        if words.CONTROL.search(inner) or "\t" in inner.strip() or len(inner.strip()) > 1000:
            refused.append(number)
        elif inner.strip():
            found.append(inner.strip())
    return found, refused, blank


@given(LINES, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.integers(1, 20))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("form", ["none", "NFC", "NFD"])
def test_any_file_is_read_as_one_reads_it_line_by_line_whatever_the_blocks(
    tmp_path: Path,
    form: config.Normalize,
    lines: list[str],
    end: str,
    ended: bool,
    block: int,
) -> None:
    content = (end.join(lines) + end * ended).encode()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(words, "BLOCK", block)
        file = words.read(write(tmp_path, content), form)
    found, refused, blank = plainly(content, form)
    assert file.words == found
    assert ([each.line for each in file.refused], file.blank) == (refused, blank)
    assert file.sha256 == hashlib.sha256(content).hexdigest()


@given(st.lists(st.binary(max_size=4), max_size=6), st.integers(1, 9))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_byte_that_is_not_utf8_is_named_with_its_line_whatever_the_blocks(
    tmp_path: Path, lines: list[bytes], block: int
) -> None:
    content = b"\xef\xbb\xbfanna\n" + b"\n".join(lines)
    try:
        content.decode()
    except UnicodeDecodeError as error:
        at = error.start
    else:
        return
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(words, "BLOCK", block)
        with pytest.raises(RequestError) as refused:
            words.read(write(tmp_path, content))
    line = content.count(b"\n", 0, at) + 1
    assert f"line {line}: byte {content[at]:#04x} is not UTF-8" in str(refused.value)


def test_blank_lines_are_counted_but_not_the_end_of_the_last_line(tmp_path: Path) -> None:
    assert words.read(write(tmp_path, b"a\n\n \nb\n")).blank == 2


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (b"anna\nb\x00o\n", 2, "NUL"),
        (b"anna\n\x1b[31mred\n", 2, "U+001B"),
        (b"anna\rbo\n", 1, "U+000D"),
        (b"a\nb\nc\td\n", 3, "tab"),
        (b"a\n" + b"x" * 1001 + b"\n", 2, "1,001 characters"),
        ("a\nb\u2028c\n".encode(), 2, "U+2028"),
        ("a\nb\u0085c\n".encode(), 2, "U+0085"),
    ],
)
def test_a_line_that_is_not_a_word_is_refused_with_its_number(
    tmp_path: Path, content: bytes, line: int, reason: str
) -> None:
    path = write(tmp_path, content)
    (refused,) = words.read(path).refused
    assert (refused.line, reason in refused.reason) == (line, True)
    with pytest.raises(RequestError, match=f"line {line}:"):
        words.read_all(path)


def test_the_message_about_a_refused_line_shows_control_characters_escaped(tmp_path: Path) -> None:
    path = write(tmp_path, b"a\nb\x1b]0;title\x07\n")
    with pytest.raises(RequestError) as error:
        words.read_all(path)
    assert "\x1b" not in str(error.value) and "\\x1b" in str(error.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "no words"),
        (b"\n \n", "no words"),
        ("anna\n".encode("utf-16"), "UTF-16"),
        (b"anna\nbj\xf6rn\n", "line 2: byte 0xf6 is not UTF-8"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 3\n", "git lfs pull"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not UTF-8"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    with pytest.raises(RequestError, match=expected):
        words.read_all(write(tmp_path, content))


def test_a_missing_file_a_folder_and_a_device_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.txt", tmp_path, Path("/dev/zero"), Path("x" * 5000)):
        with pytest.raises(RequestError):
            words.read_all(path)


TWO_FORMS = "caf\u00e9\ncafe\u0301\ncafe\nnai\u0308ve\n"


@pytest.mark.parametrize(
    ("form", "characters"),
    [
        ("none", "acefinv\u00e9\u0301\u0308"),
        ("NFC", "acefnv\u00e9\u00ef"),
        ("NFD", "acefinv\u0301\u0308"),
        ("NFKC", "acefnv\u00e9\u00ef"),
    ],
)
def test_words_may_be_brought_into_one_form(
    tmp_path: Path, form: config.Normalize, characters: str
) -> None:
    path = write(tmp_path, TWO_FORMS.encode())
    data = dataset.load(config.Data(path=str(path), normalize=form, split=(1.0, 0.0, 0.0)), 3)
    assert data.vocabulary.characters == "".join(sorted(characters))
    assert data.sha256 == words.read(path).sha256


def test_two_forms_of_a_word_are_remarked_on(tmp_path: Path) -> None:
    facts = statistics.of(write(tmp_path, (TWO_FORMS + "cafe\u0301\n").encode()))
    assert facts["spellings"] == {"not_composed": 3, "twice": ["cafe\u0301"]}
    plain = statistics.of(write(tmp_path, "caf\u00e9\nbo\n".encode()))
    assert plain["spellings"] == {"not_composed": 0, "twice": []}


def test_the_default_leaves_every_word_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path, TWO_FORMS.encode())
    assert words.read_all(path, config.Data().normalize).words == TWO_FORMS.split()


def test_a_user_without_a_home_is_told_to_name_a_folder_for_the_encoded_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    for name in (mapped.FOLDER, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RequestError, match="MAKEMORE_BP_CACHE"):
        mapped.folder()
    monkeypatch.setenv(mapped.FOLDER, "/there")
    assert mapped.folder() == Path("/there")
