"""A namespace judged as it is."""

from __future__ import annotations

import pytest
import torch

import makemore_bp
from makemore_bp.errors import RequestError
from makemore_bp.learning.live.magic import check
from makemore_bp.learning.live.verdict import Verdict
from tests.notebook.cells_here import execute, namespace, present
from tests.notebook.notebooks import (
    BACKWARD,
    BATCH,
    EXERCISE_2,
    EXERCISE_3,
    FORWARD,
    HEAD,
    LECTURE,
    TRAINING,
)

READY = (*HEAD, LECTURE, BATCH, FORWARD)


@pytest.mark.parametrize("name", ["whole", "colab", "functions", "other sizes"])
def test_a_right_notebook_is_right_on_its_own_tensors(name: str) -> None:
    answer = present(name).answer
    assert (answer["right"], answer["passed"]) == (26, True)


def test_half_done_is_half_done() -> None:
    answer = present("half done").answer
    assert (answer["right"], answer["next"]) == (11, "dhpreact")
    assert not any(t["status"] in ("wrong", "inherits", "shape") for t in answer["tensors"])


def test_a_mistake_is_blamed_at_its_line_and_below_it_only_inherited() -> None:
    found = present("one mistake")
    status = {tensor["name"]: tensor["status"] for tensor in found.answer["tensors"]}
    assert [name for name, word in status.items() if word == "wrong"] == ["bnvar"]
    assert status["bndiff2"] == status["C"] == "inherits"
    assert "dbnvar, In [9], line 21" in repr(Verdict(found))


def test_exact_means_equal_to_the_gradients_that_the_notebooks_own_cmp_reads() -> None:
    names = namespace((*READY, BACKWARD))
    reports = {report["name"]: report for report in check(names).as_json()["tensors"]}
    assert reports["logprobs"]["status"] == "exact"
    for name, report in reports.items():
        same = bool((names[f"d{name}"] == names[name].grad).all())
        assert report["exact"] == same, name


def test_gradients_of_an_earlier_pass_are_said_and_left_out() -> None:
    names = namespace((*READY, BACKWARD))
    names["W2"].grad = names["W2"].grad * 2
    verdict = check(names)
    assert verdict.passed
    assert "W2.grad" in repr(verdict)


def test_parameters_that_moved_on_are_not_blamed_on_the_gradients() -> None:
    names = namespace((*READY, BACKWARD, TRAINING.format(steps=2)))
    with pytest.raises(RequestError, match="run the forward pass again"):
        check(names)


def test_what_its_statements_do_not_give_any_more_is_out_of_date() -> None:
    names = namespace((*READY, BACKWARD))
    execute(names, BATCH)
    execute(names, FORWARD)
    verdict = check(names)
    assert not verdict.passed
    assert "Out of date: dlogprobs, dprobs" in repr(verdict)
    execute(names, BACKWARD)
    assert check(names).passed


def test_nothing_in_the_namespace_is_changed() -> None:
    names = namespace((*READY, BACKWARD))
    before = {name: (id(value), str(value)) for name, value in names.items()}
    check(names)
    assert {name: (id(value), str(value)) for name, value in names.items()} == before


def test_a_later_fused_line_does_not_make_an_earlier_gradient_wrong() -> None:
    verdict = check(namespace((*READY, BACKWARD, EXERCISE_2, EXERCISE_3)))
    assert verdict.passed


def test_without_a_forward_pass_the_missing_names_are_said() -> None:
    with pytest.raises(RequestError, match="no tensor called W1, b1"):
        check({"C": torch.zeros(3, 2)})


def test_the_last_cell_that_made_a_gradient_is_the_one_that_is_shown() -> None:
    names = namespace((*READY, BACKWARD))
    execute(names, "print(1)")
    execute(names, "# again\ndhpreact = -(1.0 - h**2) * dh")
    assert "dhpreact, In [11], line 2" in repr(check(names))


def test_html_and_text_say_the_same_words() -> None:
    verdict = Verdict(present("one mistake"))
    html, text = verdict._repr_html_(), repr(verdict)
    for words in ("dbnvar, In [9], line 21", "18 of 26 gradients are right."):
        assert words in html
        assert words in text


def test_what_a_notebook_names_cannot_become_markup() -> None:
    names = namespace((*READY, BACKWARD, "dlogits = dlogits * 0  # <img src=x onerror=alert(1)>"))
    assert "<img" not in check(names)._repr_html_()


class _Shell:
    """As much of IPython as the extension asks for."""

    def __init__(self, names: dict[str, object]) -> None:
        self.user_ns, self.magics = names, dict[str, object]()

    def register_magic_function(self, function: object, kind: str, name: str) -> None:
        assert kind == "line_cell"
        self.magics[name] = function

    def run_cell(self, cell: str) -> None:
        execute(self.user_ns, cell)


def test_the_magic_judges_explains_and_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    shell = _Shell(namespace((*READY, BACKWARD)))
    makemore_bp.load_ipython_extension(shell)
    gradcheck = shell.magics["gradcheck"]
    assert gradcheck("").passed  # type: ignore[operator]
    assert not gradcheck("", "dh = -dh").passed  # type: ignore[operator]
    assert "dbnvar" in gradcheck("--explain dbnvar")  # type: ignore[operator]
    assert "dh = dlogits @ W2.T" in gradcheck("--solution dh")  # type: ignore[operator]
    assert "srcdoc" in gradcheck("--picture")._repr_html_()  # type: ignore[operator]
    assert gradcheck("--pictures") is None  # type: ignore[operator]
    assert "%gradcheck takes" in capsys.readouterr().err
