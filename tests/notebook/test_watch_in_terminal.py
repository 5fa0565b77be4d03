"""``exercise watch`` in a real terminal: save the file, see the answer."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import pytest

from makemore_bp.learning.exercises.writing import write_exercises

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a pty")
if sys.platform != "win32":
    from tests.notebook.terminal import terminal

READY = "q quit"
ALMOST = "dlogits = F.softmax(logits, 1)\ndlogits[range(n), Yb] -= 1\n"


def _plain(shown: str) -> str:
    return " ".join(re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", shown).split())


def test_a_save_is_answered_keys_are_obeyed_and_ctrl_c_leaves_quietly(tmp_path: Path) -> None:
    folder = tmp_path / "exercises"
    write_exercises(folder)
    second = folder / "2_cross_entropy.py"
    with terminal("exercise", "watch", folder) as watch:
        shown = _plain(watch.wait_for(READY))
        assert "1_op_by_op.py, 0 of 26" in shown
        assert "0 of 4 exercises are done." in shown

        text = second.read_text()
        second.write_text(text + ALMOST)
        shown = _plain(watch.wait_for(READY))
        assert "2_cross_entropy.py, 0 of 1" in shown
        assert "dlogits, line" in shown
        watch.press("s")
        assert "once the exercise is done" in _plain(watch.wait_for(READY))

        second.write_text(text + ALMOST + "dlogits /= n\n")
        shown = _plain(watch.wait_for(READY))
        assert "2_cross_entropy.py, 1 of 1" in shown
        assert "1 of 4 exercises are done." in shown
        watch.press("s")
        assert "dlogits = " in _plain(watch.wait_for(READY))

        second.write_bytes(b"\xff")
        assert "not UTF-8" in _plain(watch.wait_for(READY))

        watch.press("n")
        assert "3_batchnorm.py" in _plain(watch.wait_for(READY))
        watch.press("h")
        assert "neither shifts a column" in " ".join(_plain(watch.wait_for(READY)).split())
        watch.press("d")
        assert "dbngain" in _plain(watch.wait_for(READY))

        watch.press("\x03")
        assert watch.end() == 130
        assert "Traceback" not in watch.shown and "Abort" not in watch.shown
        assert watch.settings == watch.before


def test_any_file_is_watched_and_sigterm_restores_the_terminal(tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("dlogprobs = -logprobs\n")
    with terminal("gradcheck", "--file", mine, "--watch") as watch:
        assert "✗ logprobs" in _plain(watch.wait_for(READY))
        mine.write_text("dlogprobs = torch.zeros_like(logprobs)\ndlogprobs[range(n), Yb] = -1/n\n")
        assert "✓ logprobs" in _plain(watch.wait_for(READY))
        watch.process.send_signal(signal.SIGTERM)
        assert watch.end() == 143
        assert watch.settings == watch.before
