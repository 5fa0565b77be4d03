"""The process in which a file with a forward pass of its own is run and judged:
``python -m makemore_bp.learning.derive.process FOLDER``.

FOLDER is private to one run and holds request.json; the answer is written to answer.json there. The
file is the learner's own code, and has a process so that it can loop or crash without harm.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from makemore_bp.errors import RequestError
from makemore_bp.learning.derive.checking import check_program
from makemore_bp.learning.derive.reading import line_of
from makemore_bp.learning.derive.recorder import record_until_error
from makemore_bp.learning.namespace import silent_matplotlib


@silent_matplotlib()
def main(folder: Path) -> None:
    """Answers the request in ``folder``."""
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    sys.path.append(str(Path(request["path"]).resolve().parent))
    (folder / "journal.jsonl").write_text('{"event": "started"}\n', encoding="utf-8")
    answer = json.dumps(_answer(request))
    (folder / "answer.json").write_text(answer, encoding="utf-8")


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    path = request["path"]
    try:
        program, error = record_until_error(request["source"], path)
    except SyntaxError as wrong:
        return {"refused": f"line {wrong.lineno}: {wrong.msg}."}
    told = None
    if error is not None:
        told = f"line {line_of(error, path)}: {type(error).__name__}: {error}"
    try:
        return check_program(program, request["loss"], request["said"], told).as_json()
    except RequestError as refused:
        return {"refused": f"{refused} {told or ''}".strip()}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
