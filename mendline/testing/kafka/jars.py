"""Kafka's jars, fetched once by Maven into the user's cache folder, and the Java that runs them."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from mendline.testing.kafka.errors import JarsError, ToolMissingError

VERSION = "4.1.2"
JAVA_AT_LEAST = 17
PACKAGES = "openjdk-17-jre-headless and maven"


def cache_folder() -> Path:
    """Return where the jars of this Kafka version are kept: under $XDG_CACHE_HOME, or ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mendline" / f"kafka-{VERSION}"


def archive_path(java: str) -> Path:
    """Return where the classes are kept that a Java has read from the jars: another Java could not use them."""
    program = Path(java).resolve()
    which = zlib.crc32(f"{program} {program.stat().st_mtime_ns}".encode())
    return cache_folder().with_name(f"kafka-{VERSION}-{which:08x}.jsa")


def find_java() -> str:
    """Return the command of a Java that is new enough, from $JAVA_HOME or the PATH.

    Raises ToolMissingError that says what to install.
    """
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin") if home else None
    java = java or shutil.which("java")
    if not java:
        raise ToolMissingError(f"a local Kafka broker needs Java, which was not found: install {PACKAGES}")
    version = java_version(java)
    if version < JAVA_AT_LEAST:
        raise ToolMissingError(
            f"a local Kafka broker needs Java {JAVA_AT_LEAST} or newer, but {java} is Java {version}:"
            f" install {PACKAGES}, or point JAVA_HOME to a newer one"
        )
    return java


def java_version(java: str) -> int:
    """Return the major version of a Java command; 0 when it does not tell."""
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(?:1\.)?(\d+)', told.stderr)
    return int(found[1]) if found else 0


def fetch_jars(folder: Path | None = None) -> Path:
    """Return the folder of the jars, about 45 MB, fetched first if it is not there.

    The folder appears whole or not at all, and of several processes that want it one fetches and the others wait.
    Raises ToolMissingError without Maven, JarsError when Maven fails; with the jars in place Maven is not needed.
    """
    folder = folder or cache_folder()
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_name(f"{folder.name}.lock")):
            if not folder.is_dir():
                _fetch(folder)
    return folder


def _fetch(folder: Path) -> None:
    """Fetch beside the folder, then give the result its name."""
    maven = shutil.which("mvn")
    if not maven:
        raise ToolMissingError(f"fetching Kafka {VERSION} needs Maven (mvn), which was not found: install {PACKAGES}")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.") as scratch:
        jars = Path(scratch, "jars")
        _run_maven(maven, Path(scratch), jars)
        jars.rename(folder)


def _run_maven(maven: str, scratch: Path, jars: Path) -> None:
    """Have Maven copy Kafka and all it needs at run time into `jars`."""
    pom = scratch / "pom.xml"
    pom.write_text(resources.files(__package__).joinpath("pom.xml").read_text())
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={jars}", "-DincludeScope=runtime"]
    command = [maven, "-B", "-q", "-f", str(pom), f"-Dkafka.version={VERSION}", *goal]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode or not jars.is_dir():
        last = "\n".join((ran.stdout + ran.stderr).strip().splitlines()[-15:])
        raise JarsError(f"Maven could not fetch Kafka {VERSION}; check the network and Maven's settings:\n{last}")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file's lock, waiting for whoever has it."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
