"""What is known of a service on its host: its process, probes, data, files, and what may be done to it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from mendline.schemas.base import Frozen
from mendline.schemas.secrets import Reference
from mendline.schemas.settings.units import Duration, Name, Size


class ProcessSettings(Frozen):
    """How a service is run: by one of `command`, `unit`, `program`, `container`, `workload`, `pidfile`, `match`."""

    command: tuple[str, ...] | None = Field(default=None, description="argument vector that Mendline runs itself")
    unit: str | None = Field(default=None, description="systemd unit")
    program: str | None = Field(default=None, description="program of supervisord, with its group: GROUP:NAME")
    supervisord: str = Field(
        default="unix:///var/run/supervisor.sock",
        pattern=r"^(unix:///|http://)\S+$",
        description="its server: unix:///PATH or http://HOST:PORT",
    )
    supervisord_user: str = Field(default="", description="user of the server, if it asks for one")
    supervisord_password: Reference | None = Field(default=None, description="that user's password")
    container: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="container of Docker, by its name"
    )
    docker: str = Field(
        default="unix:///var/run/docker.sock", pattern=r"^unix:///\S+$", description="Docker's socket: unix:///PATH"
    )
    workload: str | None = Field(
        default=None,
        pattern=r"^(deployment|statefulset|daemonset|pod)/[a-z0-9]([a-z0-9.-]*[a-z0-9])?$",
        description="of Kubernetes: deployment/NAME, statefulset/NAME, daemonset/NAME or pod/NAME",
    )
    namespace: str = Field(
        default="default", pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", description="namespace of the workload"
    )
    kubeconfig: str | None = Field(
        default=None, description="file that says how its cluster is reached; default: the one that Mendline runs in"
    )
    pidfile: str | None = Field(default=None, description="file that holds the process id")
    match: str | None = Field(default=None, description="regular expression over the command line")
    start: tuple[str, ...] = Field(
        default=(), description="argument vector that starts what `pidfile` or `match` finds, and leaves it running"
    )
    stop: tuple[str, ...] = Field(default=(), description="argument vector that stops it; both or none")
    cwd: str | None = Field(default=None, description="working directory for `command`")
    environment: dict[str, str] = Field(default_factory=dict, description="added to Mendline's own environment")
    stop_signal: Literal["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGKILL"] = Field(
        default="SIGTERM", description="asks the process to end"
    )
    grace: Duration = Field(
        default=10_000, description="time between the stop signal and SIGKILL, to all that the service started"
    )
    output: str | None = Field(default=None, description="file for standard output and error; default under `state`")
    output_max: Size = Field(default=16 * 2**20, description="the output file is rotated beyond this size")

    @model_validator(mode="after")
    def _one_way(self) -> ProcessSettings:
        ways = ("command", "unit", "program", "container", "workload", "pidfile", "match")
        given = [name for name in ways if getattr(self, name)]
        if len(given) != 1:
            msg = f"give exactly one of {', '.join(ways)} (given: {', '.join(given) or 'none'})"
            raise ValueError(msg)
        if bool(self.start) != bool(self.stop) or (self.start and given[0] not in ("pidfile", "match")):
            msg = "start and stop go together, and with pidfile or match only"
            raise ValueError(msg)
        return self


class ProbeSettings(Frozen):
    """A question put to a service again and again. Exactly one of `http`, `tcp`, `dns` is given."""

    http: str | None = Field(default=None, description="URL to get")
    tcp: str | None = Field(default=None, description="host:port to connect to")
    dns: str | None = Field(default=None, description="host name to resolve")
    name: str = Field(default="", description="how the probe is called; default: what it asks")
    every: Duration = Field(
        default=1000, ge=20, description="time between two probes while the answer is awaited or not"
    )
    timeout: Duration = Field(default=1000, ge=10, description="an answer that takes longer is a failure")
    status: tuple[int, int] = Field(default=(200, 399), description="lowest and highest HTTP status that is success")
    body: str | None = Field(default=None, description="regular expression that the body must contain")
    ca_file: str | None = Field(default=None, description="authorities for https, PEM; default: the system's")
    fail_after: Duration = Field(
        default=5000,
        description="without any success for this long something is wrong: hung, overloaded, unreachable …",
    )

    @model_validator(mode="after")
    def _one_way(self) -> ProbeSettings:
        given = [name for name in ("http", "tcp", "dns") if getattr(self, name)]
        if len(given) != 1:
            msg = f"give exactly one of http, tcp, dns (given: {', '.join(given) or 'none'})"
            raise ValueError(msg)
        return self

    @field_validator("status")
    @classmethod
    def _lowest_first(cls, status: tuple[int, int]) -> tuple[int, int]:
        if status[0] > status[1]:
            msg = f"no status is both at least {status[0]} and at most {status[1]}; write the lowest first"
            raise ValueError(msg)
        return status

    @property
    def label(self) -> str:
        """The probe's name, or what it asks."""
        return self.name or self.http or self.tcp or self.dns or ""


class DataSettings(Frozen):
    """Data of a service of which snapshots are kept, and that may be restored from them.

    In `check`, `save` and `restore`, `{path}` stands for where the data in question lie: those in place, a copy to be
    looked at, or the folder that `save` fills and `restore` reads.
    """

    kind: Literal["files", "sqlite", "command"] = Field(
        default="files",
        description="a file or a folder of files; an SQLite database; or what only commands can save and restore",
    )
    path: str | None = Field(default=None, description="the file or folder; not with kind `command`")
    save: tuple[str, ...] = Field(default=(), description="kind `command`: fills the empty folder {path}")
    restore: tuple[str, ...] = Field(default=(), description="kind `command`: brings back what lies in {path}")
    check: tuple[str, ...] = Field(
        default=(), description="argument vector that says by its exit status whether the data are good"
    )
    corrupt: tuple[int, ...] = Field(
        default=(1,), description="exit statuses of `check` that say: corrupt. 0: good; any other proves nothing"
    )
    immutable: bool = Field(
        default=False, description="its content never changes: a difference from the newest snapshot is corruption"
    )
    check_every: Duration = Field(default=60_000, ge=100, description="time between two checks of the data in place")
    confirm: int = Field(default=2, ge=1, le=100, description="checks in a row that must say so before it is a fault")
    every: Duration = Field(default=3_600_000, ge=1000, description="time between two snapshots")
    keep: int = Field(default=7, ge=1, le=10_000, description="newest snapshots that are kept")
    daily: int = Field(default=7, ge=0, le=10_000, description="days of each of which the last is kept besides")
    broken: int = Field(default=1, ge=0, le=100, description="corrupt copies that are kept after a restore")
    timeout: Duration = Field(default=300_000, ge=100, description="bound of each run of `check`, `save`, `restore`")
    stop: bool = Field(
        default=True, description="stop the service while its data are exchanged; not where `restore` needs it to run"
    )

    @model_validator(mode="after")
    def _whole(self) -> DataSettings:
        by_command = self.kind == "command"
        if by_command and not (self.save and self.restore):
            msg = "kind command needs both save and restore"
            raise ValueError(msg)
        if by_command and (self.path or self.immutable):
            msg = "kind command has no path, and nothing to compare; leave path and immutable out"
            raise ValueError(msg)
        if not by_command and (self.save or self.restore or not self.path):
            msg = f"kind {self.kind} needs path, and neither save nor restore"
            raise ValueError(msg)
        return self


class CommandSettings(Frozen):
    """A command that a step may name. No shell takes part, and nothing of it comes over the log."""

    argv: tuple[str, ...] = Field(
        min_length=1, description="argument vector; the program by its whole path, or on PATH"
    )
    timeout: Duration = Field(default=30_000, ge=100, description="it and what it started is killed then")
    user: str | None = Field(default=None, description="who runs it; default: Mendline's own user. Others need root")
    retry: tuple[int, ...] = Field(
        default=(75,), description="exit statuses that say: try again; 75 is EX_TEMPFAIL. 0: done; any other: failed"
    )


_FORMATS: dict[str, Literal["yaml", "json", "toml", "ini"]] = {
    ".yaml": "yaml",
    ".yml": "yaml",
    ".json": "json",
    ".toml": "toml",
}


class AdjustableSettings(Frozen):
    """A number of a service that a step may change by an offset: a key in a file, or behind two commands."""

    file: str | None = Field(default=None, description="the file that holds it; not with `read` and `write`")
    key: str | tuple[str | int, ...] = Field(
        default="", description="where it stands in the file: server.workers, pools.0.size, or a list of names"
    )
    format: Literal["yaml", "json", "toml", "ini"] | None = Field(
        default=None, description="of the file; default: by the end of its name, else ini (key = value)"
    )
    read: tuple[str, ...] = Field(default=(), description="argument vector that prints the number and nothing else")
    write: tuple[str, ...] = Field(default=(), description="argument vector that sets it: {value} is the number")
    min: float = Field(description="it is never set below")
    max: float = Field(description="it is never set above")
    apply: str = Field(
        default="",
        description="what makes it count: `restart`, or one of the service's `commands`; empty: nothing is needed",
    )

    return_after: Duration = Field(
        default=600_000, description="a number that is to return does so this long after its fault was over"
    )

    @model_validator(mode="after")
    def _whole(self) -> AdjustableSettings:
        by_file, by_commands = bool(self.file and self.key), bool(self.read and self.write)
        if by_file == by_commands or (by_file and (self.read or self.write)) or (by_commands and self.file):
            msg = "give either file and key, or read and write"
            raise ValueError(msg)
        if by_commands and not any("{value}" in part for part in self.write):
            msg = "write has no {value}: it would set the same each time"
            raise ValueError(msg)
        if self.min > self.max:
            msg = f"min {self.min:g} is above max {self.max:g}"
            raise ValueError(msg)
        return self

    @property
    def format_of_file(self) -> Literal["yaml", "json", "toml", "ini"]:
        """The format that is given, or follows from the file's name."""
        ending = (self.file or "").rpartition("/")[2].rpartition(".")
        return self.format or _FORMATS.get(f".{ending[2]}", "ini")


class RollbackSettings(Frozen):
    """How versions of a service's `config` are judged and taken over, for `rollback_config` and `update_config`."""

    good_after: Duration = Field(
        default=60_000, description="a version is good when the service was well with it for so long"
    )
    check: str = Field(
        default="",
        description="one of the service's `commands`: exit status 0 says that files are valid. {path} in its arguments "
        "is a folder where they lie by their whole paths, before they are in place",
    )
    apply: str = Field(
        default="restart", description="what makes files count: `restart`, or one of the service's `commands`"
    )


class ServiceSettings(Frozen):
    """One service on this host: how it is found, probed, and what may be done to it."""

    process: ProcessSettings | None = None
    probes: tuple[ProbeSettings, ...] = ()
    config: tuple[str, ...] = Field(default=(), description="configuration files, watched and kept in versions")
    rollback: RollbackSettings = RollbackSettings()
    data: dict[Name, DataSettings] = Field(default_factory=dict, description="data that may be restored, by name")
    commands: dict[Name, CommandSettings] = Field(
        default_factory=dict, description="commands that the action `command` may run here, by name"
    )
    adjustable: dict[Name, AdjustableSettings] = Field(
        default_factory=dict, description="numbers that the action `adjust` may change here, by name"
    )
    logs: tuple[str, ...] = Field(
        default=(), description="log files of which the action `diagnose` attaches the end, secrets masked"
    )
    labels: dict[Name, str] = Field(
        default_factory=dict, description="words by which policies may choose it, such as team: shop"
    )
    depends_on: tuple[Name, ...] = Field(default=(), description="services that must be up before, and stop after it")
    actions: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="settings of actions of your own, by the action's name: docs/plugins.md"
    )
    allow: tuple[str, ...] = Field(default=(), description="actions this host permits here; its word is the last")

    @model_validator(mode="after")
    def _rollback_is_possible(self) -> ServiceSettings:
        for key, name in (("check", self.rollback.check), ("apply", self.rollback.apply)):
            if name and name not in self.commands and (key, name) != ("apply", "restart"):
                msg = f"rollback.{key} is {name!r}, but commands has: {', '.join(self.commands) or 'none'}"
                raise ValueError(msg)
        check = self.commands.get(self.rollback.check)
        if check and check.user and any("{path}" in part for part in check.argv):
            msg = f"commands.{self.rollback.check} has a user, who may not read {{path}}: leave the user out"
            raise ValueError(msg)
        return self
