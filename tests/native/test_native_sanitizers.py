"""The C files by themselves: under AddressSanitizer, UndefinedBehaviorSanitizer and
ThreadSanitizer, and compiled for another system.

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
KERNEL = ("kernel.c", "memory.c", "team.c", "step.c", "step_avx2.c", "step_avx512.c")
FLAGS = (
    "-pthread",
    "-std=c11",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-Wall",
)
MEMORY = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")
THREADS = ("-fsanitize=thread", "-g")


def compiler() -> str:
    """The C compiler that Python was built with, or any other."""
    configured = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    found = next((path for name in (configured, "cc", "gcc") if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no C compiler here")
    return found


def build(program: Path, options: tuple[str, ...], kernel: Path = SOURCES) -> None:
    sources = [str(kernel / name) for name in KERNEL] + [str(HERE / "driver.c")]
    command = [
        compiler(),
        "-O1",
        *FLAGS,
        *options,
        f"-I{kernel}",
        *sources,
        "-lm",
        "-o",
    ]
    subprocess.run([*command, str(program)], check=True, capture_output=True)


def run(program: Path) -> subprocess.CompletedProcess[str]:
    at_once = os.environ | {"TSAN_OPTIONS": "halt_on_error=1"}  # threads in disorder may never end
    return subprocess.run([program], capture_output=True, text=True, env=at_once)


def skip_unless_it_works(tmp_path: Path, sanitizers: tuple[str, ...]) -> None:
    """Skips where the compiler has no such sanitizer or programs built with it do not start."""
    source, program = tmp_path / "empty.c", tmp_path / "empty"
    source.write_text("int main(void) { return 0; }\n")
    command = [compiler(), *sanitizers, str(source), "-o", str(program)]
    for step in (command, [str(program)]):
        done = subprocess.run(step, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no sanitizers here: {done.stderr.strip()[:200]}")


# Without vector types, loops of different lengths would round differently.
PLAIN_C = ("-DMAKEMORE_BP_PLAIN_C", "-ffp-contract=off")


@pytest.mark.parametrize("options", [(), PLAIN_C])
def test_nothing_is_touched_that_is_not_the_kernels(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    skip_unless_it_works(tmp_path, MEMORY)
    program = tmp_path / "driver"
    build(program, (*MEMORY, *options))
    done = run(program)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "baseline clean" in done.stdout


def test_no_thread_touches_what_another_one_is_working_on(tmp_path: Path) -> None:
    skip_unless_it_works(tmp_path, THREADS)
    program = tmp_path / "driver"
    build(program, THREADS)
    done = run(program)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "baseline clean" in done.stdout


@pytest.mark.parametrize("meeting", range(6))
def test_a_missing_meeting_is_noticed(tmp_path: Path, meeting: int) -> None:
    """The sanitizer sees it if the threads do not wait for each other, wherever they should."""
    skip_unless_it_works(tmp_path, THREADS)
    sources = Path(shutil.copytree(SOURCES, tmp_path / "sources"))
    parts = (sources / "step.c").read_text().split("meet(me);")
    assert len(parts) == 7
    parts[meeting] += parts.pop(meeting + 1)
    (sources / "step.c").write_text("meet(me);".join(parts))
    program = tmp_path / "driver"
    build(program, (*THREADS, *PLAIN_C), sources)
    assert "data race" in run(program).stderr


def test_threads_change_no_bit_whatever_the_compiler_makes_of_sums(tmp_path: Path) -> None:
    """From version 14 on GCC takes the sums that it rounds once or twice from this parameter."""
    program = tmp_path / "driver"
    try:
        build(program, ("-O2", "--param=avoid-fma-max-bits=512"))
    except subprocess.CalledProcessError:
        pytest.skip("this compiler has no such parameter")
    done = run(program)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("options", [(), PLAIN_C])
def test_the_kernel_compiles_for_windows_without_a_warning(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    """With Windows's own threads, by a compiler for it that runs here."""
    cross = shutil.which("x86_64-w64-mingw32-gcc")
    if cross is None:
        pytest.skip("no compiler for Windows here")
    flags = ("-O1", "-std=c11", "-Wall", "-Wextra", "-Werror", *options, f"-I{SOURCES}")
    sources = [str(SOURCES / name) for name in KERNEL] + [str(HERE / "driver.c")]
    program = tmp_path / "driver.exe"
    subprocess.run([cross, *flags, *sources, "-o", str(program)], check=True)
    assert b"_beginthreadex" in program.read_bytes()
