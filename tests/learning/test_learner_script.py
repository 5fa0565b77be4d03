"""A learner's script runs as a plain script would, and nothing that it does harms the check."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from makemore_bp.errors import RequestError
from makemore_bp.learning.checkers import Checkers
from makemore_bp.learning.failure import paragraph
from makemore_bp.learning.reading import read_script
from makemore_bp.learning.scope import scope_of
from tests.learning.learner_faults import BATCHNORM, CROSS_ENTROPY, OP_BY_OP
from tests.learning.learner_helpers import Answer, check, defined

FIRST = "dlogprobs = -F.one_hot(Yb, vocab_size) / n\n"


@pytest.fixture(scope="module")
def checkers() -> Iterator[Checkers]:
    with Checkers(jobs=1) as there:
        yield there


def run(checkers: Checkers, tmp_path: Path, source: str, timeout: float = 60.0) -> Answer:
    path = tmp_path / "my_backward.py"
    path.write_text(source, encoding="utf-8")
    return checkers.check(path, timeout)


def test_a_complete_solution_with_cmp_calls_passes(checkers: Checkers, tmp_path: Path) -> None:
    source = OP_BY_OP + "cmp('logprobs', dlogprobs, logprobs)\ncmp('C', dC, C)\n"
    found = run(checkers, tmp_path, source)
    assert found["passed"]
    assert found["next"] is None
    assert found["right"] == 26
    first, second = found["output"].splitlines()
    assert " ".join(first.split()) == ("logprobs | exact: True | approximate: True | maxdiff: 0.0")
    assert second.startswith("C ")


def test_a_gradient_without_its_leading_axis_of_1_is_right_as_in_the_lecture_and_said() -> None:
    """The lecture writes dbnmeani = (-dbndiff).sum(0), which broadcasting makes right."""
    result = check(OP_BY_OP.replace("(-dbndiff).sum(0, keepdim=True)", "(-dbndiff).sum(0)"))
    assert result["passed"]
    assert any("it has the shape (64,)" in note for note in result["notes"])


def test_one_rule_for_all_axes_of_1_that_lack_in_front() -> None:
    source = OP_BY_OP
    for line in ("(bnraw * dhpreact).sum(0", "dbnbias = dhpreact.sum(0", "(-dbndiff).sum(0"):
        source = source.replace(f"{line}, keepdim=True)", f"{line})")
    assert check(source)["passed"]


@pytest.mark.parametrize(
    ("line", "shape"),
    [
        ("db2 = torch.ones(1, 27)", (1, 27)),
        ("dcounts_sum_inv = torch.ones(32)", (32,)),  # along the wrong axis
        ("dbnmeani = torch.ones(65)", (65,)),
        ("dbnmeani = torch.ones(())", ()),
        ("dh = torch.ones(64)", (64,)),
    ],
)
def test_any_other_shape_stays_as_it_is(line: str, shape: tuple[int, ...]) -> None:
    (found,) = (t for t in check(line + "\n")["tensors"] if "got" in t)
    assert (found["status"], tuple(found["got"])) == ("shape", shape)


@pytest.mark.parametrize("source", [CROSS_ENTROPY, BATCHNORM, CROSS_ENTROPY + "loss_fast.item()"])
def test_a_fused_solution_passes_alone(checkers: Checkers, tmp_path: Path, source: str) -> None:
    found = run(checkers, tmp_path, source)
    assert found["passed"]
    assert found["expected"] == 1


def test_a_gradient_that_is_read_and_never_defined_is_lent() -> None:
    result = check(BATCHNORM)
    assert result["lent"] == ["dhpreact"]
    assert defined(result) == {"dhprebn"}


def test_a_gradient_that_is_defined_too_late_is_not_lent() -> None:
    result = check("dprobs = dlogprobs / probs\n" + FIRST)
    assert result["lent"] == []
    assert result["error"] is not None
    assert (result["error"]["kind"], result["error"]["line"]) == ("NameError", 1)
    assert "no value yet" in result["error"]["text"]


def test_every_name_of_the_notebook_is_in_scope() -> None:
    names = (
        "torch, F, random, g, n, Xb, Yb, C, W1, b1, W2, b2, bngain, bnbias, parameters, emb, "
        "embcat, hprebn, bnmeani, bndiff, bndiff2, bnvar, bnvar_inv, bnraw, hpreact, h, logits, "
        "logit_maxes, norm_logits, counts, counts_sum, counts_sum_inv, probs, logprobs, loss, "
        "loss_fast, hpreact_fast, vocab_size, n_embd, n_hidden, block_size, batch_size, cmp"
    )
    result = check(f"print(*[type(x).__name__ for x in ({names})])\n")
    assert result["error"] is None
    assert len(result["output"].split()) == names.count(",") + 1


def test_the_forward_tensors_have_autograds_gradients() -> None:
    result = check("dlogits = logits.grad\nprint(sum(p.grad.numel() for p in parameters))\n")
    (found,) = (t for t in result["tensors"] if t["name"] == "logits")
    assert found["exact"]
    assert result["output"].strip() == "4137"


def test_the_names_of_the_lectures_first_cells_are_in_scope(
    checkers: Checkers, tmp_path: Path
) -> None:
    source = "print(len(words) > 100, Xtr.shape[1], itos[0], stoi['.'])\nplt = get_ipython()\n"
    assert run(checkers, tmp_path, source)["output"].split() == ["True", "3", ".", "0"]


def test_plots_with_several_axes_do_no_harm() -> None:
    source = (
        "import matplotlib.pyplot as plt\n"
        "fig, (one, two, three) = plt.subplots(1, 3)\n"
        "fig, axes = plt.subplots(2)\n"
        "axes[0].plot([1])\n"
        "plt.rcParams['figure.dpi'] = 100\n"
    )
    assert check(source + FIRST)["error"] is None


def test_plots_do_no_harm(checkers: Checkers, tmp_path: Path) -> None:
    source = "import matplotlib.pyplot as plt\nplt.figure(figsize=(4, 4))\nplt.show()\n" + FIRST
    assert defined(run(checkers, tmp_path, source)) == {"dlogprobs"}


@pytest.mark.parametrize(
    ("source", "line", "kind", "text"),
    [
        ("x = = 1\n", 1, "SyntaxError", "invalid syntax"),
        ("%matplotlib inline\n", 1, "SyntaxError", "a command to the notebook"),
        ("return 1\n", 1, "SyntaxError", "outside function"),
        ("\n\nlogits @ counts\n", 3, "RuntimeError", "do not fit together"),
        ("dprobs = dlogprob / probs\n", 1, "NameError", "Did you mean"),
        ("loss.backward()\n", 1, "RuntimeError", "the backward pass is yours to write"),
        ("import sys\nsys.exit(1)\n", 2, "SystemExit", "ends itself here"),
        ("def f():\n    return f()\nf()\n", 2, "RecursionError", "without end"),
        ("open('no such file')\n", 1, "FileNotFoundError", "in scope already"),
        ("import no_such_module\n", 1, "ModuleNotFoundError", "nothing else is needed"),
        ("class E(Exception):\n    __str__ = None\nraise E\n", 3, "E", "E"),
    ],
)
def test_an_error_is_told_at_its_line(source: str, line: int, kind: str, text: str) -> None:
    error = check(source)["error"]
    assert error is not None
    assert (error["line"], error["kind"]) == (line, kind)
    assert text in error["text"]
    assert "Traceback" not in paragraph(error)


def test_an_error_shows_the_names_and_shapes_in_play() -> None:
    error = check(FIRST + "dcounts_sum_inv = counts @ dlogprobs\n")["error"]
    assert error is not None
    assert error["names"] == ["counts: (32, 27)", "dlogprobs: (32, 27)"]
    assert paragraph(error).startswith("Line 2: ")


def test_what_was_defined_before_an_error_is_kept() -> None:
    assert defined(check(FIRST + "x = 1 / 0\ndprobs = 1\n")) == {"dlogprobs"}


def test_a_line_that_fails_and_defines_nothing_does_not_end_the_check() -> None:
    result = check("dhprebn.grad_fn.nothing\n" + FIRST)
    assert defined(result) == {"dlogprobs"}
    assert (result["error"]["line"], result["error"]["ran_on"]) == (1, True)


def test_a_name_that_stands_nowhere_is_not_said_to_be_set_further_down() -> None:
    text = check("x = BATCH / 2\n")["error"]["text"]
    assert "further down" not in text
    assert "Nothing in the script sets BATCH" in text


@pytest.mark.parametrize(
    ("value", "note"),
    [
        ("1.5", "is a plain float"),
        ("probs.numpy()", "NumPy array"),
        ("probs.double()", "has the type float64 where float32 is expected"),
        ("[1, 2]", "is of type list"),
        ("(Yb > 3)", "has the type bool"),
    ],
)
def test_a_gradient_of_an_odd_type_is_noted(value: str, note: str) -> None:
    (said,) = check(f"dprobs = {value}\n")["notes"]
    assert said.startswith("line 1: dprobs ")
    assert note in said


def test_a_forward_tensor_changed_in_place_is_named_with_its_line() -> None:
    result = check(FIRST + "counts *= 2\nhpreact = torch.zeros(3)\nh = torch.tanh(hpreact)\n")
    assert {change["name"]: change["line"] for change in result["changed"]} == {
        "counts": 2,
        "hpreact": 3,
        "h": 4,
    }


def test_recomputing_a_forward_tensor_is_no_change() -> None:
    assert not check("h = torch.tanh(hpreact)\nprobs = F.softmax(logits, 1)\n")["changed"]


def test_names_that_are_no_gradients_and_gradients_hidden_in_functions_are_told() -> None:
    result = check("dcount = counts * 1\ndef f():\n    dprobs = 1\n    return dprobs\n")
    assert result["unknown"] == ["dcount"]
    assert result["hidden_in_functions"] == ["dprobs"]


def test_a_function_called_backward_is_called_and_looked_into() -> None:
    source = (
        "def backward(n, logits, Yb, h, W2):\n"
        "    dlogits = F.softmax(logits, 1)\n"
        "    dlogits[range(n), Yb] -= 1\n"
        "    dlogits /= n\n"
        "    return {'W2': h.T @ dlogits, 'db2': dlogits.sum(0)}\n"
    )
    assert defined(check(source)) == {"dlogits", "dW2", "db2"}


def test_an_endless_loop_is_stopped_at_the_line_where_it_was(
    checkers: Checkers, tmp_path: Path
) -> None:
    source = FIRST + "def spin():\n    while True:\n        pass\nspin()\n"
    result = run(checkers, tmp_path, source, timeout=1.5)
    assert result["timed_out"]
    assert defined(result) == {"dlogprobs"}
    assert result["error"] is not None
    assert result["error"]["line"] in (3, 4)


def test_endless_printing_is_stopped(checkers: Checkers, tmp_path: Path) -> None:
    result = run(checkers, tmp_path, FIRST + "while True:\n    print('x' * 1000)\n")
    assert result["too_much_output"]
    assert len(result["output"]) <= 200_000
    assert defined(result) == {"dlogprobs"}


@pytest.mark.parametrize(
    ("end", "text"),
    [
        ("import os\nos._exit(3)\n", "exit code 3"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "SIGSEGV"),
        ("input()\n", "nobody to answer"),
    ],
)
def test_a_process_that_ends_early_leaves_what_it_had(
    checkers: Checkers, tmp_path: Path, end: str, text: str
) -> None:
    result = run(checkers, tmp_path, FIRST + end)
    assert defined(result) == {"dlogprobs"}
    assert result["error"] is not None
    assert text in result["error"]["text"]


def test_what_a_script_has_forked_is_gone_afterwards(checkers: Checkers, tmp_path: Path) -> None:
    mark = tmp_path / "alive"
    source = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    time.sleep(4)\n"
        f"    open({str(mark)!r}, 'w')\n"
        "    os._exit(0)\n" + FIRST
    )
    assert defined(run(checkers, tmp_path, source)) == {"dlogprobs"}
    time.sleep(4.5)
    assert not mark.exists()


def test_a_folder_with_a_module_called_random_does_no_harm(
    checkers: Checkers, tmp_path: Path
) -> None:
    (tmp_path / "random.py").write_text("raise RuntimeError\n")
    (tmp_path / "helper.py").write_text("two = 2\n")
    result = run(checkers, tmp_path, "from helper import two\nprint(two, random.random() < 1)\n")
    assert result["output"].split() == ["2", "True"]


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"", "is empty"), (b"x = 1\ny = '\xff'\n", "line 2: byte 0xff"), (b"a\0b", "NUL")],
)
def test_a_file_that_cannot_be_run_is_refused(
    checkers: Checkers, tmp_path: Path, content: bytes, text: str
) -> None:
    path = tmp_path / "my_backward.py"
    path.write_bytes(content)
    with pytest.raises(RequestError, match=text):
        read_script(path)


def test_a_missing_file_and_a_folder_are_refused(checkers: Checkers, tmp_path: Path) -> None:
    for path, text in ((tmp_path / "none.py", "does not exist"), (tmp_path, "is a folder")):
        with pytest.raises(RequestError, match=text):
            read_script(path)


def test_what_comes_next_is_the_first_gradient_that_is_not_there() -> None:
    assert scope_of({}, "").next(set()) == "dlogprobs"
    assert scope_of({"dlogprobs"}, "").next({"dlogprobs"}) == "dprobs"
    assert scope_of((), "# Exercise 2: in one step\n").next(()) == "dlogits"
    assert scope_of((), "# Exercise 3: in one line\n").next(()) == "dhprebn"


def test_a_pass_that_is_fused_in_parts_owes_only_what_lies_outside_them() -> None:
    scope = scope_of({"dlogits", "dh", "dW2", "db2", "dhpreact", "dbngain", "dhprebn"})
    assert "probs" not in scope.expected
    assert "bndiff" not in scope.expected
    assert {"bnbias", "hprebn", "C"} <= set(scope.expected)
