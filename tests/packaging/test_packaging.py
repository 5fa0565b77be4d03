"""What is installed is all that is needed, from any folder."""

from __future__ import annotations

import os
import subprocess
import sys
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
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of a copy of the sources, so that nothing built before gets in."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
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
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    offline = ["--no-build-isolation"] if _has_setuptools() else []
    subprocess.run(
        [*command, *offline, "--wheel-dir", folder, source],
        check=True,
        capture_output=True,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )
    (found,) = folder.glob("*.whl")
    return found


def _has_setuptools() -> bool:
    command = [sys.executable, "-c", "import setuptools; assert setuptools.__version__ >= '77'"]
    return subprocess.run(command, capture_output=True).returncode == 0


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


def test_the_installed_wheel_trains_the_bundled_names_from_another_folder(
    wheel: Path, tmp_path: Path
) -> None:
    home = tmp_path / "venv"
    venv.create(home, with_pip=False, system_site_packages=False)
    (site,) = home.glob("lib/python*/site-packages")
    zipfile.ZipFile(wheel).extractall(site)
    # The dependencies are those of the environment that runs the tests; ours come from the wheel.
    (site / "dependencies.pth").write_text("\n".join(_dependencies()) + "\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    python = home / "bin" / "python"
    where = subprocess.run(
        [python, "-c", "import makemore_bp; print(makemore_bp.__file__)"],
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(site) in where.stdout
    settings = ["--set", "train.steps=20", "--set", "model.n_hidden=4"]
    trained = subprocess.run(
        [python, "-m", "makemore_bp", "train", "quick", *settings, "--out", "run"],
        cwd=elsewhere,
        capture_output=True,
        text=True,
    )
    assert trained.returncode == 0, trained.stderr
    assert "Fresh names" in trained.stdout


def _dependencies() -> list[str]:
    """The folders of installed packages, without the one that would find our sources."""
    return [path for path in sys.path if path.endswith("site-packages")]
