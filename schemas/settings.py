"""The configuration file as models: every setting, its default, and the reason for it.

Durations are written as `500ms`, `1s`, `10m`, `2h`, `7d` and kept in integer milliseconds; sizes as `64KiB`, `1GB`
and kept in bytes. Secrets are given by reference: `file:PATH`, whose first line it is, or `env:NAME`, a variable. Names
of fields are the keys of the YAML file.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from mendline.schemas.base import MOST_COUNT, Frozen
from mendline.schemas.playbooks import PLAYBOOKS
from mendline.schemas.secrets import Reference

MOST_SHOWN = 40
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)(ms|s|m|h|d)$")
_DURATION_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SIZE = re.compile(r"^(\d+(?:\.\d+)?)(B|KB|KiB|MB|MiB|GB|GiB)$")
_SIZE_BYTES = {"B": 1, "KB": 10**3, "KiB": 2**10, "MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30}


def duration_ms(value: object) -> object:
    """Return a duration such as `1.5s` in milliseconds; integers pass as they are.

    >>> duration_ms("1.5s")
    1500
    """
    if isinstance(value, str):
        found = _DURATION.match(value.strip())
        if not found:
            msg = f"{value!r} is no duration; write a number with ms, s, m, h or d, such as 500ms or 10m"
            raise ValueError(msg)
        return _whole(float(found[1]) * _DURATION_MS[found[2]], value)
    return value


def size_bytes(value: object) -> object:
    """Return a size such as `64KiB` in bytes; integers pass as they are."""
    if isinstance(value, str):
        found = _SIZE.match(value.strip())
        if not found:
            msg = f"{value!r} is no size; write a number with B, KB, KiB, MB, MiB, GB or GiB, such as 64MiB"
            raise ValueError(msg)
        return _whole(float(found[1]) * _SIZE_BYTES[found[2]], value)
    return value


def _whole(number: float, written: str) -> int:
    if number > MOST_COUNT:
        msg = f"{shortened(written)!r} is too much; write a smaller number"
        raise ValueError(msg)
    return round(number)


def shortened(text: str) -> str:
    """Return `text` as a message can show it.

    >>> shortened("9" * 300)
    '99999999999999999999…'
    """
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN // 2]}…"


LONGEST_MS = 100 * 365 * 86_400_000  # a century: every sum of times still fits into 64 bits
Duration = Annotated[int, BeforeValidator(duration_ms), Field(ge=0, le=LONGEST_MS)]
Size = Annotated[int, BeforeValidator(size_bytes), Field(ge=0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")]
Collector = Literal[
    "cpu", "load", "memory", "disk", "filesystem", "network", "tcp", "descriptors", "pressure", "sensors"
]


class HostSettings(Frozen):
    """What is observed of the host itself."""

    interval: Duration = Field(default=1000, ge=100, description="time between two collection rounds")
    collect: tuple[Collector, ...] = Field(
        default=("cpu", "load", "memory", "disk", "filesystem", "network", "tcp", "descriptors", "pressure", "sensors"),
        description="groups of host metrics",
    )
    deadline: Duration = Field(default=2000, description="a collector that takes longer is left out and reported")
    max_series: int = Field(default=5000, gt=0, description="series per source; more are dropped, and that is said")
    spool: Size = Field(
        default=64 * 2**20,
        description="disk under `state` for what waits while the log is away; 0: memory only, 8 MiB",
    )
    peers: dict[Name, str] = Field(
        default_factory=dict,
        description="name of a source: host:port; round-trip time; no answer is a fault of this host",
    )


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


class Condition(Frozen):
    """When a score or value counts: above or below a bound, for a time."""

    above: float | None = Field(default=None, description="counts when it is greater than this")
    below: float | None = Field(default=None, description="counts when it is less than this")
    hold: Duration = Field(default=0, alias="for", description="for at least this long, in event time")


class MatchSettings(Frozen):
    """Which series a detector looks at; every given field must match. Patterns are shell patterns."""

    metric: str = Field(default="*", description="name of the metric")
    service: str = Field(default="*", description="name of the service; empty: the host itself")
    source: str = Field(default="*", description="name of the host")
    attributes: dict[str, str] = Field(default_factory=dict, description="attributes that must match, by name")


class DetectorSettings(Frozen):
    """One detector at work."""

    name: Name = Field(description="stands in its faults; unique in the file")
    use: str = Field(description="a detector's registered name, or package.module:Class")
    match: MatchSettings = MatchSettings()
    window: Duration = Field(default=10_000, description="width of the windows it sees; 0: the rounds themselves")
    statistic: str = Field(
        default="auto",
        description="count, mean, std, min, max, last, sum, rate, pNN; auto: rate of counters, mean of gauges",
    )
    parameters: dict[str, Any] = Field(default_factory=dict, description="the detector's own settings")
    open: Condition | None = Field(default=None, description="when a fault opens; default: from the false-fault budget")
    clear: Condition | None = Field(default=None, description="when it clears; default: below 0.7 of open")
    severity: Literal["info", "warning", "critical"] = Field(
        default="warning", description="of its faults; warning, because a statistic alone is seldom an emergency"
    )
    kind: str = Field(default="", description="one word for what is wrong; default: the detector's own")


class PolicyMatch(Frozen):
    """Which faults a policy is about; every given field must match. Strings are shell patterns."""

    target: str = Field(default="*", description="HOST/SERVICE or SERVICE, shell pattern")
    group: str = Field(default="", description="only hosts of this one of the `groups`; default: all hosts")
    labels: dict[Name, str] = Field(
        default_factory=dict, description="`labels` that the service must have, by name; values are shell patterns"
    )
    detector: tuple[str, ...] = Field(default=("*",), description="names of detectors")
    kind: tuple[str, ...] = Field(default=("*",), description="kinds of fault, such as dead or hung")
    severity: tuple[Literal["info", "warning", "critical"], ...] = Field(
        default=("info", "warning", "critical"), description="severities of the fault"
    )
    series: str = Field(default="*", description="series of the evidence, with its attributes: METRIC{NAME=VALUE,…}")
    cause: Literal["any", "configuration", "dependency"] = Field(
        default="any",
        description="only where a configuration of the service was changed in the ten minutes before, or where a "
        "service that it depends on is down",
    )


class StepMatch(Frozen):
    """On which faults a step is done; on others it is left out. A fault may have another kind by now than at first."""

    kind: tuple[str, ...] = Field(default=("*",), description="kinds of fault, shell patterns")
    severity: tuple[Literal["info", "warning", "critical"], ...] = Field(
        default=("info", "warning", "critical"), description="severities of the fault"
    )


class StepSettings(Frozen):
    """One step of a playbook: an action, its bounds, how its effect is verified, and what comes after a failure."""

    when: StepMatch = StepMatch()
    action: str = Field(description="name of the action, or `ask` to leave it to a person")
    parameters: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="the action's own settings: names and numbers, never a command line"
    )
    timeout: Duration = Field(default=30_000, description="the action must have ended by then")
    verify: Duration = Field(default=10_000, description="the fault must have resolved by then")
    attempts: int = Field(
        default=3,
        gt=0,
        description="tries of this step before the next one, those included that did not last for the guards' `window`",
    )
    stable: Duration = Field(default=0, description="it counts as mended when the fault stayed away for so long")
    on_failure: Literal["next", "ask", "escalate", "stop"] = Field(
        default="next",
        description="after the last try: take the next step, leave the fault to a person, tell people that it could "
        "not be mended, or do nothing more, a person's approval included",
    )


class GuardSettings(Frozen):
    """Bounds on what may be done, and how often. Times are log time of the journal."""

    cooldown: Duration = Field(
        default=30_000,
        description="pause on a target between actions; doubled for each further one within `window`, with jitter",
    )
    attempts: int = Field(default=5, gt=0, description="actions on one target within `window` before the breaker opens")
    window: Duration = Field(default=600_000, description="over which attempts are counted")
    breaker: Duration = Field(default=1_800_000, description="how long an open breaker holds before one more try")
    concurrent: int = Field(default=2, gt=0, description="actions at work at the same time in the scope")
    fresh: Duration = Field(default=10_000, description="evidence older than this, or a blind pipeline, holds fire")
    blast_radius: float = Field(
        default=0.3, gt=0, le=1, description="share of targets of a service sick beyond which all is held"
    )
    patience: Duration = Field(
        default=600_000,
        description="so long a service waits until those that it depends on are mended; then a person is asked",
    )


class DriftSettings(Frozen):
    """Hosts that should have the same configuration of a service; one that has another has a fault, `drift`."""

    service: Name = Field(description="a service with `config` on these hosts")
    hosts: str = Field(default="*", description="which hosts, shell pattern; the first entry that means a host counts")
    declared: str = Field(
        default="",
        pattern=r"^([0-9a-f]{8,32})?$",
        description="beginning of the version they should have, as `mendline configs drift` shows it; empty: the one "
        "that most of them have",
    )
    hold: Duration = Field(
        default=600_000,
        gt=0,
        description="no host may have changed for so long: what is being rolled out is no drift. Log time",
    )


class PolicySettings(Frozen):
    """Which faults are mended, how, and how much a person has to say in it. The first policy that matches wins."""

    name: Name = Field(description="stands in its intents; unique in the file")
    when: PolicyMatch = PolicyMatch()
    mode: Literal["shadow", "ask", "auto"] = Field(default="shadow", description="record only, ask a person, or act")
    owner: str = Field(default="", description="who answers for it; stands in what asks for a person")
    playbook: str = Field(default="", exclude=True, description="one that comes with Mendline, instead of `play`")
    play: tuple[StepSettings, ...] = Field(min_length=1, description="what is tried, in this order")
    guards: GuardSettings | None = Field(default=None, description="instead of the common `guards`")
    flapping: Literal["hold", "act"] = Field(
        default="hold", description="what to do about a fault that comes and goes: nothing yet, or what the play says"
    )

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        """Write the playbook that is named in the place of `play`, and what it is about where `when` leaves it open."""
        if not isinstance(given, dict) or not given.get("playbook"):
            return given
        if "play" in given:
            msg = "give either play or playbook"
            raise ValueError(msg)
        name, when = given["playbook"], given.get("when") or {}
        if name not in PLAYBOOKS:
            msg = f"there is no playbook {name!r}; known are {', '.join(PLAYBOOKS)}"
            raise ValueError(msg)
        about = dict(PLAYBOOKS[name])
        play = about.pop("play")
        return given | {"play": play, "when": about | dict(when)} if isinstance(when, dict) else given


class WindowSettings(Frozen):
    """How rounds are aggregated. All widths are multiples of `pane`."""

    pane: Duration = Field(default=10_000, gt=0, description="the base window, aggregated once from its rounds")
    widths: tuple[Duration, ...] = Field(default=(10_000, 60_000), description="tumbling windows")
    hopping: tuple[tuple[Duration, Duration], ...] = Field(default=(), description="pairs of width and hop")
    grace: Duration = Field(default=0, description="a window waits this long in event time for rounds out of order")
    quantiles: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(
        default=(), description="such as 0.5, 0.99; kept for the base window only"
    )
    forget: Duration = Field(
        default=86_400_000, gt=0, description="a source silent for this long is forgotten, and windows it left open too"
    )

    @model_validator(mode="after")
    def _multiples_of_the_pane(self) -> WindowSettings:
        if not self.widths and not self.hopping:
            msg = "give at least one width, in widths or hopping"
            raise ValueError(msg)
        lengths = [*self.widths, *(length for pair in self.hopping for length in pair)]
        wrong = [length for length in lengths if length <= 0 or length % self.pane]
        if wrong:
            msg = f"{wrong[0]} ms is no multiple of the pane, {self.pane} ms"
            raise ValueError(msg)
        widths = [*self.widths, *(width for width, _ in self.hopping)]
        twice = [width for width in widths if widths.count(width) > 1]
        if twice:
            msg = f"{twice[0]} ms is given twice; one kind of windows for each width"
            raise ValueError(msg)
        return self


class DeadLetterSettings(Frozen):
    """When a stage stops because most of what it reads is unreadable, as after a bad deploy. Both must be exceeded."""

    least: int = Field(default=100, ge=1, description="unreadable records of a partition lately, at least")
    share: float = Field(default=0.5, gt=0, le=1, description="of the last 1,000 to 2,000 records; 1: never stop")


class TopicsSettings(Frozen):
    """Topics as they are made when missing."""

    prefix: str = Field(
        default="mendline", pattern=r"^[A-Za-z0-9._-]{1,64}$", description="of topics and groups: one deployment each"
    )
    partitions: int = Field(
        default=1, ge=1, le=10_000, description="of metrics and windows; 1 for the embedded log, more on Kafka"
    )
    metrics_retention: Duration = Field(default=7 * 86_400_000, description="raw rounds are large: a week")
    windows_retention: Duration = Field(default=30 * 86_400_000, description="windows are smaller: a month")
    journal_retention: Duration = Field(default=365 * 86_400_000, description="the record of what was done: a year")
    replication: int | None = Field(default=None, description="Kafka: copies of each partition; default: the broker's")
    dead_letters: DeadLetterSettings = DeadLetterSettings()

    def topic(self, name: Literal["metrics", "windows", "journal", "commands", "state", "deadletter"]) -> str:
        """Return the topic's full name."""
        return f"{self.prefix}.{name}"


class PhiSettings(Frozen):
    """When a source counts as silent by the rhythm it had, instead of after a fixed time."""

    phi: float = Field(
        default=8.0,
        gt=0.3,
        le=300,
        description="silent once this surprising: 8 is once in 100 million beats, were they Gaussian",
    )
    window: int = Field(default=100, ge=2, le=1000, description="intervals between beats that are remembered")
    least_deviation: Duration = Field(
        default=100, gt=0, description="standard deviation of the intervals that is assumed at least"
    )
    pause: Duration = Field(default=3000, description="acceptable pause, added to the mean interval")
    ready: int = Field(
        default=10, ge=2, le=1000, description="intervals that must be known; until then the fixed time counts"
    )

    @model_validator(mode="after")
    def _possible(self) -> PhiSettings:
        if self.ready > self.window:
            msg = f"ready {self.ready} is above window {self.window}: so many intervals are never known"
            raise ValueError(msg)
        return self


class LivenessSettings(Frozen):
    """When a source that says nothing is missed."""

    silent_after: Duration = Field(
        default=15_000, description="log time without a record of a source; at least 3 of its intervals"
    )
    silent: PhiSettings | None = Field(
        default=None, description="judge by each source's own rhythm (phi accrual) instead, once it is known"
    )
    expected: tuple[Name, ...] = Field(
        default=(), description="hosts that are missed even if they never came; who came once is without a list"
    )
    clear_hold: Duration = Field(default=0, description="a service must answer this long before its fault resolves")


class FaultSettings(Frozen):
    """When a fault flaps, is the same one again, or has been open for so long that it is the new usual."""

    flap_high: float = Field(
        default=30.0, gt=0, le=100, description="percent of changes in the last 20 windows from which a fault flaps"
    )
    flap_low: float = Field(default=5.0, gt=0, le=100, description="percent of changes below which it ceases to")
    again: Duration = Field(
        default=600_000, description="a fault that is back within this time of its end counts as the same again"
    )
    max_age: Duration = Field(
        default=86_400_000,
        description="an unusual value that lasts this long is the usual from then on, learned anew; 0: never. "
        "Rules do not age",
    )

    @model_validator(mode="after")
    def _hysteresis(self) -> FaultSettings:
        if self.flap_low > self.flap_high:
            msg = f"flap_low {self.flap_low:g} is above flap_high {self.flap_high:g}: a fault would flap and not flap"
            raise ValueError(msg)
        return self


class KafkaSettings(Frozen):
    """How to reach Kafka."""

    client: Literal["kafka-python", "librdkafka"] = Field(
        default="kafka-python",
        description="library that carries records; librdkafka, an extra, takes a fraction of the CPU",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] | None = Field(
        default=None, description="default: SASL_SSL with a username, SSL with a ca_file, else PLAINTEXT"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = Field(
        default=None, description="default: SCRAM-SHA-512 with a username, OAUTHBEARER with a token"
    )
    username: str | None = Field(default=None, description="SASL user; default: none, no SASL")
    password: Reference | None = Field(default=None, description="where its password stands: file:PATH or env:NAME")
    token: Reference | None = Field(
        default=None, description="where the OAuth token stands: file:PATH or env:NAME; read for each connection"
    )
    ca_file: str | None = Field(default=None, description="certificate authorities, PEM; default: the system's")
    cert_file: str | None = Field(default=None, description="this client's certificate, PEM")
    key_file: str | None = Field(default=None, description="its key, PEM")
    key_password: Reference | None = Field(default=None, description="where the key's password stands, if it has one")
    session_timeout: Duration = Field(default=10_000, ge=1000, description="a dead member is replaced after this long")


class KeysSettings(Frozen):
    """Ed25519 keys: what this host signs with and whom it believes. Missing keys are made under `state`."""

    directory: str | None = Field(default=None, description="default: `state`/keys")
    trust: tuple[str, ...] = Field(
        default=(), description="public keys (base64) of planners and people, beside the own ones"
    )
    agents: dict[Name, str | tuple[str, ...]] = Field(
        default_factory=dict,
        description="public keys (base64) of agents by host, one or a list, whose events and outcomes are believed "
        "for that host alone",
    )
    revoked: tuple[str, ...] = Field(
        default=(), description="ids of keys that are believed nowhere, wherever else they stand"
    )
    unsigned: Literal["refuse", "accept"] = Field(
        default="refuse",
        description="events without a signature from hosts that have no key in `agents`; accept them only for as long "
        "as agents run that do not sign yet",
    )


class ReflexSettings(Frozen):
    """While the log cannot be reached, and only then, the agent restarts exited services on its own."""

    attempts: int = Field(default=3, ge=0, description="restarts within `window`; 0: no reflex")
    window: Duration = Field(default=600_000, description="over which restarts are counted")


class EmailSettings(Frozen):
    """A mail server, and who gets letters by it."""

    to: tuple[str, ...] = Field(min_length=1, description="addresses")
    sender: str = Field(description="address that stands in From")
    server: str = Field(pattern=r"^.+:\d{1,5}$", description="host:port, such as smtp.example.com:587")
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="refused if the server does not offer it; tls: from the first byte, port 465"
    )
    username: str | None = Field(default=None, description="default: no login")
    password: Reference | None = Field(default=None, description="where it stands: file:PATH or env:NAME")
    ca_file: str | None = Field(default=None, description="authorities, PEM; default: the system's")

    @model_validator(mode="after")
    def _login_is_whole(self) -> EmailSettings:
        if bool(self.username) != bool(self.password):
            msg = "give both username and password, or neither"
            raise ValueError(msg)
        if self.password and self.security == "none":
            msg = "a password is not sent without encryption; use security starttls or tls"
            raise ValueError(msg)
        return self


class NotifySettings(Frozen):
    """Who hears of faults and what was done: a webhook (POST of JSON) or an e-mail. Exactly one of the two."""

    webhook: str | None = Field(
        default=None,
        description="URL that is told of each fault and what was done, or file:PATH or env:NAME where it stands",
    )
    email: EmailSettings | None = Field(default=None, description="who gets a letter instead")
    wait: Duration = Field(
        default=1000, description="what comes within this time of the first of its kind is told with it, in one message"
    )
    interval: Duration = Field(
        default=60_000, description="time between two messages of one kind; what comes between is told in the second"
    )
    repeat: Duration = Field(
        default=4 * 3_600_000, description="what is open and not acknowledged is told again so often; 0: never"
    )

    @model_validator(mode="after")
    def _one_way(self) -> NotifySettings:
        if bool(self.webhook) == bool(self.email):
            msg = "give exactly one of webhook, email"
            raise ValueError(msg)
        return self


class WatchdogSettings(Frozen):
    """A dead man's switch: a receiver outside that hears from Mendline while all of it works, and else alarms."""

    webhook: str | None = Field(
        default=None, description="URL that is told, or file:PATH or env:NAME where it stands; default: nobody is"
    )
    every: Duration = Field(default=60_000, gt=0, description="how often; the receiver should alarm after three times")


class MessagesSettings(Frozen):
    """What a long-running command says on standard error."""

    format: Literal["text", "json"] = Field(
        default="text", description="json: one object a line, for a program that collects logs"
    )


class EndpointSettings(Frozen):
    """Mendline's own metrics for Prometheus."""

    listen: str | None = Field(default=None, description="host:port, such as 127.0.0.1:9464; default: off")


LOOKS_AT_ALL = DetectorSettings(name="unusual", use="auto")
"""What detects where nobody configured detectors."""


class Settings(Frozen):
    """The whole file."""

    name: Name | None = Field(default=None, description="this host's name as a source; default: its host name")
    log: str = Field(default="sqlite://.mendline/log", description="sqlite://FOLDER, kafka://HOST:PORT,… or memory:")
    kafka: KafkaSettings = KafkaSettings()
    state: str = Field(
        default=".mendline/state", description="folder for what belongs to this host: epoch, ledger, keys, pids"
    )
    topics: TopicsSettings = TopicsSettings()
    host: HostSettings = HostSettings()
    services: dict[Name, ServiceSettings] = Field(default_factory=dict)
    windows: WindowSettings = WindowSettings()
    liveness: LivenessSettings = LivenessSettings()
    faults: FaultSettings = FaultSettings()
    detectors: tuple[DetectorSettings, ...] = Field(
        default=(LOOKS_AT_ALL,),
        validate_default=True,
        description="without this section `auto` looks at every series; an empty list: none does",
    )
    budget: float = Field(default=1.0, gt=0, description="false faults a day, over the whole fleet")
    series: int = Field(
        default=10_000, gt=0, le=MOST_COUNT, description="series in the whole fleet that share the budget"
    )
    groups: dict[Name, tuple[str, ...]] = Field(
        default_factory=dict, description="hosts by the name of their group, for policies; shell patterns"
    )
    policies: tuple[PolicySettings, ...] = ()
    guards: GuardSettings = GuardSettings()
    drift: tuple[DriftSettings, ...] = Field(
        default=(), description="hosts that should have the same configuration; where the planner runs"
    )
    notify: tuple[NotifySettings, ...] = ()
    watchdog: WatchdogSettings = WatchdogSettings()
    reflex: ReflexSettings = ReflexSettings()
    keys: KeysSettings = KeysSettings()
    metrics: EndpointSettings = EndpointSettings()
    messages: MessagesSettings = MessagesSettings()

    @field_validator("detectors")
    @classmethod
    def _in_a_width_that_is_made(
        cls, detectors: tuple[DetectorSettings, ...], info: ValidationInfo
    ) -> tuple[DetectorSettings, ...]:
        """Let what looks at all by default look at windows that are made: at the narrowest, if its own are not."""
        widths = info.data["windows"].widths if "windows" in info.data else ()
        is_default = detectors == (LOOKS_AT_ALL,) and "window" not in detectors[0].model_fields_set
        if not (is_default and widths) or LOOKS_AT_ALL.window in widths:
            return detectors
        return (LOOKS_AT_ALL.model_copy(update={"window": min(widths)}),)
