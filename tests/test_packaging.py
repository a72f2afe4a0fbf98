"""What is published: every module, importable wherever it is installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SUFFIXES = {".css", ".html", ".js", ".LICENSE", ".properties", ".py", ".svg", ".typed", ".xml", ".yaml"}
STAGES = ("producers", "processors", "detectors", "responders", "schemas")

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(600)]


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command, show what it says if it fails, and return what it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ran = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert 0 == ran.returncode, f"{command}:\n{ran.stdout}{ran.stderr}"
    return ran.stdout


def packaged(source: Path) -> set[str]:
    """Return every file of the package that stands in a source tree, under the name it is installed by."""
    found = [path for folder in ("mendline", *STAGES) for path in (source / folder).rglob("*") if path.is_file()]
    names = [path.relative_to(source).as_posix() for path in found if path.suffix in SUFFIXES]
    return {name if name.startswith("mendline/") else f"mendline/{name}" for name in names}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what git knows of, links as links."""
    folder = tmp_path_factory.mktemp("source")
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    for name in filter(None, listed.split("\0")):
        copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def sdist(source: Path) -> Path:
    """Build the sdist, as a release would."""
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", source, cwd=source)
    return next(source.glob("dist/*.tar.gz"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from the unpacked sdist alone."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    unpacked = next(folder.iterdir())
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", unpacked, cwd=unpacked)
    return next(unpacked.glob("dist/*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an environment of its own; return the folder of its commands.

    Its dependencies are those of the environment the tests run in: they are pinned, and not what is tested here.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True, with_pip=False)
    target = next(folder.glob("lib/python*/site-packages"))
    run(sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", "--no-deps", wheel, cwd=folder)
    ours = next(Path(sys.prefix).glob("lib/python*/site-packages"))
    dependencies = [
        str(path) for path in ours.iterdir() if not path.name.lower().startswith(("mendline", "__editable"))
    ]
    for name in dependencies:
        link = target / Path(name).name
        if not link.exists() and not name.endswith(".pth"):
            link.symlink_to(name)
    return folder / "bin"


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Make a working folder whose own packages have the same names as our folders, and break when imported."""
    for name in STAGES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('the wrong package')\n")
    return tmp_path


def copy(source: Path, target: Path) -> None:
    """Copy a file, or a link as a link."""
    if source.is_symlink() or source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            target.symlink_to(source.readlink())
        else:
            target.write_bytes(source.read_bytes())


def test_the_sdist_holds_every_module(source: Path, sdist: Path) -> None:
    """The links are followed: what stands behind them is in the sdist, under mendline/."""
    with tarfile.open(sdist) as archive:
        held = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert [] == sorted(packaged(source) - held)


def test_the_wheel_holds_every_module_and_nothing_beside(source: Path, wheel: Path) -> None:
    """Every module is in the wheel built from the sdist, and no generic name lies beside `mendline`."""
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    assert [] == sorted(packaged(source) - held)
    assert {"mendline"} == {name.split("/")[0] for name in held if ".dist-info/" not in name}


def test_the_wheel_works_beside_foreign_folders(installed: Path, foreign: Path) -> None:
    """Every module is imported from the wheel, also where the working folder has packages of the same names."""
    code = (
        "import importlib, pkgutil, mendline\n"
        "for found in pkgutil.walk_packages(mendline.__path__, 'mendline.'):\n"
        "    if not found.name.endswith('__main__'):\n"
        "        importlib.import_module(found.name)\n"
        "print(mendline.__file__)\n"
    )
    where = run(installed / "python", "-c", code, cwd=foreign)
    assert where.startswith(str(installed.parent))


def test_the_command_works_beside_foreign_folders(installed: Path, foreign: Path) -> None:
    """The installed command tells its version, and checks a configuration."""
    assert "0.1.0" in run(installed / "mendline", "--version", cwd=foreign)
    assert "Usage" in run(installed / "mendline", "check", "--help", cwd=foreign)
    run(installed / "mendline", "check", ROOT / "examples" / "quickstart" / "mendline.yaml", cwd=foreign)


def test_a_package_of_somebody_else_brings_detectors(installed: Path, tmp_path: Path) -> None:
    """The example package is installed, found by its names, checked and used, as docs/plugins.md says."""
    package = tmp_path / "package"
    shutil.copytree(ROOT / "examples" / "detectors", package, ignore=shutil.ignore_patterns("__pycache__"))
    python, mendline = installed / "python", installed / "mendline"
    options = ("--no-deps", "--no-build-isolation", "--no-index")
    run(sys.executable, "-m", "pip", "--python", python, "install", *options, package, cwd=tmp_path)
    listed = run(mendline, "plugins", "list", "--json", cwd=tmp_path)
    assert {"jump", "simple_jump", "zscore"} <= {json.loads(line)["name"] for line in listed.splitlines()}
    assert {"passed"} == {
        line.split()[0] for line in run(mendline, "plugins", "check", "jump:Jump", cwd=tmp_path).splitlines()
    }
    rows = [f"{1_700_000_000 + 60 * place},{place % 2 + 100 * (place == 90)}" for place in range(100)]
    (tmp_path / "load.csv").write_text("timestamp,value\n" + "\n".join(rows) + "\n")
    told = json.loads(run(mendline, "score", "load.csv", "--detector", "jump", "--json", cwd=tmp_path))
    assert (100, 1) == (told["rows"], len(told["faults"]))
