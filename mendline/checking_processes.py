"""What `mendline check` looks at about how services are run, each by its own manager; nothing is changed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mendline.finding import Finding
from mendline.managers.docker import Docker, DockerError
from mendline.managers.rollouts import POD, counts
from mendline.managers.supervisord import Supervisord, SupervisordError

if TYPE_CHECKING:
    from mendline.schemas.settings import ProcessSettings, ServiceSettings

PATIENCE_S = 2.0


def check_process(about: str, service: ServiceSettings) -> Iterator[Finding]:
    """Yield what is found about the way in which a service is run."""
    process = service.process
    if process is None:
        return
    if process.command:
        yield check_program(f"{about}.process.command", process.command[0], process.cwd)
    elif process.unit:
        yield from _check_unit(f"{about}.process.unit", process.unit)
    elif process.program:
        yield _check_managed(f"{about}.process.program", process)
    elif process.container:
        yield _check_container(f"{about}.process.container", process)
    elif process.workload:
        yield _check_workload(f"{about}.process.workload", process)
    elif process.pidfile and not Path(process.pidfile).is_file():
        text = f"there is no {process.pidfile} now; well if the service is not up yet"
        yield Finding("warning", f"{about}.process.pidfile", text)


def _check_managed(about: str, process: ProcessSettings) -> Finding:
    name = process.program or ""
    try:
        found = Supervisord.of(process).program(name, PATIENCE_S)
    except (SupervisordError, TimeoutError) as error:
        return Finding("warning", about, f"{error}; well if it is not up yet")
    return Finding("ok", about, f"{name} is {found.state}; supervisord's own autorestart comes first")


def _check_container(about: str, process: ProcessSettings) -> Finding:
    name = process.container or ""
    try:
        found = Docker.of(process).container(name, PATIENCE_S)
    except (DockerError, TimeoutError) as error:
        return Finding("wrong", about, str(error))
    if found.healer != "no":
        text = f"Docker restarts it by itself (policy {found.healer}): two healers; Mendline defers to Docker"
        return Finding("warning", about, text)
    return Finding("ok", about, f"{name} is {found.ending}")


def _check_workload(about: str, process: ProcessSettings) -> Finding:
    from mendline.managers.kubernetes import Cluster, KubernetesError

    kind, _, name = (process.workload or "").partition("/")
    try:
        with Cluster.of(process) as cluster:
            if kind == POD:
                found = cluster.pod(name, PATIENCE_S)
                return (
                    Finding("ok", about, "it is there") if found else Finding("warning", about, "it is not there now")
                )
            number = counts(kind, cluster.workload(kind, name, PATIENCE_S))
    except (KubernetesError, TimeoutError) as error:
        return Finding("wrong", about, str(error))
    text = f"{number.available} of {number.wanted} pods are available; what Kubernetes does itself comes first"
    return Finding("ok", about, text)


def check_program(about: str, program: str, cwd: str | None) -> Finding:
    """Say whether this user can run `program`, in the folder `cwd`."""
    if cwd and not Path(cwd).is_dir():
        return Finding("wrong", about, f"its working directory {cwd} does not exist")
    found = shutil.which(program if "/" not in program or not cwd else str(Path(cwd, program)))
    if not found:
        return Finding("wrong", about, f"there is no program {program} that this user can run")
    return Finding("ok", about, found)


def _check_unit(about: str, unit: str) -> Iterator[Finding]:
    if not shutil.which("systemctl"):
        yield Finding("wrong", about, "there is no systemctl on this host")
        return
    command = ["systemctl", "show", unit, "--property=LoadState,ActiveState,Restart"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        yield Finding("wrong", about, f"systemctl did not answer within {PATIENCE_S:g} s")
        return
    if shown.returncode:
        said = " ".join(shown.stderr.split()) or f"it ended with status {shown.returncode}"
        yield Finding("wrong", about, f"systemd cannot be asked: {said}")
        return
    facts = dict(line.split("=", 1) for line in shown.stdout.splitlines() if "=" in line)
    if facts.get("LoadState") != "loaded":
        yield Finding("wrong", about, f"systemd knows no unit {unit}")
    elif facts.get("Restart", "no") != "no":
        text = f"systemd restarts it by itself (Restart={facts['Restart']}): two healers; Mendline defers to systemd"
        yield Finding("warning", about, text)
    else:
        yield Finding("ok", about, f"{unit} is {facts.get('ActiveState', 'unknown')}")
