"""The kernel under AddressSanitizer and UndefinedBehaviorSanitizer.

``driver.c`` trains networks of odd sizes; the gaps between the kernel's tensors are poisoned, so
that reaching from one tensor into the next is caught as well.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "makemore_bp" / "engines" / "native"
KERNEL = ("network.c", "kernel.c", "kernel_avx2.c", "kernel_avx512.c")
FLAGS = ("-std=c11", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-Wall")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")


def compiler() -> str:
    """The C compiler that Python was built with, or any other."""
    configured = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    found = next((path for name in (configured, "cc", "gcc") if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no C compiler here")
    return found


def build(program: Path, *options: str) -> None:
    sources = [str(SOURCES / name) for name in KERNEL] + [str(HERE / "driver.c")]
    command = [
        compiler(),
        "-O1",
        *FLAGS,
        *SANITIZERS,
        *options,
        f"-I{SOURCES}",
        *sources,
        "-lm",
        "-o",
    ]
    subprocess.run([*command, str(program)], check=True, capture_output=True, timeout=300)


@pytest.fixture
def works(tmp_path: Path) -> None:
    """Skips where the compiler has no sanitizers or programs built with them do not start."""
    source, program = tmp_path / "empty.c", tmp_path / "empty"
    source.write_text("int main(void) { return 0; }\n")
    command = [compiler(), *SANITIZERS, str(source), "-o", str(program)]
    for step in (command, [str(program)]):
        done = subprocess.run(step, capture_output=True, text=True, timeout=60)
        if done.returncode:
            pytest.skip(f"no sanitizers here: {done.stderr.strip()[:200]}")


@pytest.mark.usefixtures("works")
@pytest.mark.parametrize("options", [(), ("-DMAKEMORE_BP_PLAIN_C",)])
def test_nothing_is_touched_that_is_not_the_kernels(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    program = tmp_path / "driver"
    build(program, *options)
    done = subprocess.run([str(program)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "baseline clean" in done.stdout
