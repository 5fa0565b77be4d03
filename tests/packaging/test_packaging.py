"""What is installed is all that is needed, from any folder."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def project() -> dict[str, object]:
    plain = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert isinstance(plain, dict)
    return plain


def test_every_folder_with_code_is_in_the_list_of_packages() -> None:
    listed = set(project()["tool"]["setuptools"]["packages"])  # type: ignore[index]
    folders = {
        path.parent.relative_to(ROOT) for path in (ROOT / "makemore_bp").rglob("__init__.py")
    }
    found = {".".join(folder.parts) for folder in folders}
    bundled = {name for name in listed if name.startswith("makemore_bp.bundled.")}
    assert found == listed - bundled


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an sdist, and of the wheel that was made of it, of a copy of the sources, so
    that nothing built before gets in."""
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("built")
    source = folder / "source"
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
    )
    if tracked.returncode:
        pytest.skip("the sources are no git checkout, so what belongs to them is not known")
    for name in tracked.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(source)]
    made = subprocess.run(build, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def home(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel in it; the dependencies are those of the tests' own."""
    home = tmp_path_factory.mktemp("home")
    venv.create(home, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "install"]
    subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True, capture_output=True)
    (site,) = home.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text("\n".join(_dependencies()) + "\n")
    return home


def _dependencies() -> list[str]:
    """The folders of installed packages, without the one that would find our sources."""
    return [path for path in sys.path if path.endswith("site-packages")]


def test_the_sdist_holds_all_that_belongs_to_the_sources(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tracked = {str(path.relative_to(built / "source")) for path in (built / "source").rglob("*")}
    unpublished = {".ci", ".ci/run", ".gitignore", ".github"}
    missing = {name for name in tracked - names if not name.startswith(".github/")}
    assert missing <= unpublished


def test_the_wheel_holds_the_code_and_the_bundled_files(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    package = ROOT / "makemore_bp"
    for path in (path for kind in ("py", "js", "css") for path in package.rglob(f"*.{kind}")):
        assert str(path.relative_to(ROOT)) in names
    for folder, pattern in (("configs", "*.yaml"), ("data", "*.txt")):
        files = list((ROOT / folder).glob(pattern))
        assert files
        assert {f"makemore_bp/bundled/{folder}/{path.name}" for path in files} <= names
    assert "makemore_bp/py.typed" in names


def test_the_version_of_the_files_is_the_one_that_the_package_states(
    built: Path, home: Path
) -> None:
    from makemore_bp import __version__

    assert {path.name.split("-")[1].removesuffix(".tar.gz") for path in built.glob("make*")} == {
        __version__
    }
    said = subprocess.run([home / "bin" / "makemore-bp", "--version"], capture_output=True)
    assert said.stdout.decode() == f"makemore-bp {__version__}\n", said.stderr


# One process for all commands, because each would import PyTorch again.
COMMANDS = """
import sys
import makemore_bp
from makemore_bp.cli import main
assert makemore_bp.__file__.startswith(sys.prefix), makemore_bp.__file__
def run(*arguments):
    sys.argv = ["makemore-bp", *arguments]
    try:
        main()
    except SystemExit as stopped:
        assert not stopped.code, (arguments, stopped.code)
    sys.stdout.flush()
tiny = ["--set", "train.steps=20", "--set", "model.n_hidden=4"]
run("train", "quick", *tiny, "--out", "run")
run("train", "towns", *tiny, "--out", "towns", "--set", "engine=torch")
run("sample", "run", "-n", "2")
run("eval", "run")
run("report", "run")
run("exercise", "new", "exercises")
run("exercise", "new", "gru", "exercises")
run("experiment", "run", "batch-size", "--out", "grid", "--dry-run")
run("export", "run", "--format", "torch")
run("export", "run", "--format", "json")
"""


def test_the_installed_wheel_does_its_work_in_an_empty_folder(home: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [home / "bin" / "python", "-c", COMMANDS], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Fresh names" in done.stdout
    for made in ("run/report/report.html", "exercises/1_op_by_op.py", "run/export/network.py"):
        assert (tmp_path / made).is_file()
