"""How the check does on the labelled files. A script, which prints every miss and then the counts:

    python -m tests.learning.unseen.evaluate [--part 3/8] [--batch 33] [--hidden 200] [NAME ...]

A part is every eighth file, from the third on. With NAMEs only files in whose name one occurs are
checked. ``--all`` prints what is right as well, to be read. The whole takes six minutes of
processor time. The rows "by family" count the faults whose kind and line are both right.
"""

from __future__ import annotations

import argparse
import ast
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from makemore_bp.learning.check import check_text
from makemore_bp.learning.job import example_truth
from makemore_bp.learning.limits import Limits

from . import everything
from .case import Case, Fault

# What the check says, where a label knows only a wider word.
WIDER = {
    "epsilon": {"eps"},
    "extra-factor": {"extra-term", "factor", "wrong-input", "missing-factor", "operation"},
    "reduction": {"shape"},
}


def statements(script: str, line: int) -> set[str]:
    """Every statement that a line stands in, and the line itself."""
    spans = (node for node in ast.walk(ast.parse(script)) if isinstance(node, ast.stmt))
    here = {
        (ast.get_source_segment(script, node) or "").strip()
        for node in spans
        if node.lineno <= line <= (node.end_lineno or line)
    }
    return here | {script.splitlines()[line - 1].strip()}


def kind_is_right(kind: str, fault: Fault) -> bool:
    return bool({kind, *WIDER.get(kind, ())} & set(fault.says))


def line_is_right(case: Case, line: int, fault: Fault) -> bool:
    """Whether the line is one of the statement at fault."""
    return line > 0 and not statements(case.script, line).isdisjoint(
        text.strip() for whole in (fault.line, *fault.also) for text in (whole, *whole.split("\n"))
    )


def judged(case: Case, answer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is right and what is not: the name of a count and a miss in words, or nothing."""
    blamed = {f"d{t['name']}": t for t in answer["tensors"] if t["status"] in ("wrong", "shape")}
    more, less = set(blamed) - case.blamed - case.either, case.blamed - set(blamed)
    half = "half-done blame" if case.group == "half-done" and not case.faults else "blame"
    said = {name: blamed[name]["diagnosis"]["text"] for name in sorted(more)}
    yield half, f"blamed besides: {said}, not blamed: {sorted(less)}" if more or less else ""
    size = "single" if len(case.faults) == 1 else "several"
    for name in blamed.keys() & case.faults.keys():
        fault, diagnosis = case.faults[name], blamed[name]["diagnosis"]
        line = diagnosis.get("line") or blamed[name]["line"] or 0
        got = f"{name}: {diagnosis['kind']}, line {line}: {diagnosis['text']}"
        told = f"{got}\n    it is {'/'.join(fault.says)}: {fault.means}\n    {fault.line!r}"
        kind, place = kind_is_right(diagnosis["kind"], fault), line_is_right(case, line, fault)
        yield f"kind, {size}", "" if kind else told
        yield f"line, {size}", "" if place else told
        yield f"by family: {case.group}", "" if kind and place else " "
        yield "named at all", "" if diagnosis["kind"] != "unknown" else " "
        if kind and place:
            yield "told", told


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--part", default="1/1")
    options.add_argument("--batch", type=int, default=32)
    options.add_argument("--hidden", type=int, default=64)
    options.add_argument("--all", action="store_true")
    options.add_argument("names", nargs="*")
    given = options.parse_args()
    first, of = map(int, given.part.split("/"))
    torch.set_num_threads(1)
    vars(sys)["__stdout__"] = None  # what the files print
    truth = example_truth(given.batch, given.hidden)
    right, every = Counter[str](), Counter[str]()
    seconds: dict[str, float] = {}
    for position, case in enumerate(everything()):
        other_size = (given.batch, given.hidden) != (32, 64) and not case.sizes
        named = not given.names or any(name in case.name for name in given.names)
        if position % of != first - 1 or other_size or not named:
            continue
        began = time.process_time()
        try:
            answer = check_text(case.script, "mine.py", truth, Limits(60.0))
            counted = list(judged(case, answer))
        except Exception:
            counted = [("no traceback", traceback.format_exc())]
        seconds[case.name] = time.process_time() - began
        for count, miss in counted:
            every[count] += count != "told"
            right[count] += not miss
            if miss.strip() and (given.all or count != "told"):
                print(f"{case.name} ({count}): {miss}", flush=True)
    for count in sorted(+every):
        print(f"{count:30} {right[count]:5} of {every[count]}")
    slowest = sorted(seconds, key=seconds.__getitem__)[-3:]
    print(f"{sum(seconds.values()):.0f} s of processor time for {len(seconds)} files; the slowest:",
          ", ".join(f"{name} {seconds[name]:.1f}" for name in slowest))  # fmt: skip


if __name__ == "__main__":
    main()
