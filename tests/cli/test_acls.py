"""The rights that `mendline topics acls` prints, given to users of a real broker: enough to work, and no more."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ACLResourcePatternType, ResourcePattern, ResourceType

from mendline.cli.acls import print_acls
from mendline.config import load_settings, log_of
from mendline.logs.base import LogRefusedError
from mendline.reading import read_batches, read_journal
from mendline.rights import ROLES
from mendline.schemas.records import Verification
from mendline.schemas.stream import NewRecord, Partition
from mendline.testing.kafka import LocalKafka
from tests.cli.support import Caller, Ran, ended, start, until, write_config

WORKING = ("agent", "process", "detect", "respond", "store")
FORMS = {"DescribeConfigs": "DESCRIBE_CONFIGS"}
LACKING = {
    "agent-1": ("agent", "Write", "mendline.metrics", "DESCRIBE"),
    "agent-2": ("agent", "Read", "mendline.commands", "DESCRIBE"),
    "process-1": ("process", "Read", "mendline.windows", "READ this consumer group"),
    "process-2": ("process", "Write", "mendline.journal", "DESCRIBE"),
    "detect-1": ("detect", "Read", "mendline.windows", "READ this topic"),
    "detect-2": ("detect", "Write", "mendline.metrics", "WRITE this topic"),
    "respond-1": ("respond", "Read", "mendline.journal", "READ this topic"),
    "respond-2": ("respond", "Write", "mendline.commands", "DESCRIBE"),
}
"""User: its role, and the right that it lacks: operation, name of the topic or group, and what it then may not do."""
USERS = (*ROLES, *LACKING)

Right = Mapping[str, str]


class Guarded:
    """A broker that knows a user for each role, and a configuration for each user."""

    def __init__(self, kafka: LocalKafka, folder: Path) -> None:
        """Write the configurations below `folder`."""
        self.kafka = kafka
        self._folder = folder
        self.admin = write_config(folder, log=kafka.url)

    def config(self, user: str, name: str = "host-1") -> Path:
        """Return the configuration of a user; those of one `name` are of one host and have its state."""
        folder = self._folder / user
        folder.mkdir(exist_ok=True)
        (folder / "password").write_text(f"{user}-secret\n")
        kafka = {"username": user, "password": "file:password", "sasl_mechanism": "PLAIN"}
        url = f"kafka://localhost:{self.kafka.nodes[0].places.spare}"
        settings: dict[str, Any] = {"kafka": kafka | {"security_protocol": "SASL_PLAINTEXT"}, "log": url, "name": name}
        watched = WATCHED if user == "agent" else {}
        return write_config(folder, **settings, **COMMON, **watched, state=str(self._folder / f"state-{name}"))

    def services(self) -> list[int]:
        """Return the process numbers of the service, the latest last."""
        starts = self._folder / "agent" / "starts"
        return [int(line) for line in starts.read_text().splitlines()] if starts.exists() else []

    def give(self, user: str, rights: Sequence[Right]) -> None:
        """Give a user rights."""
        admin = KafkaAdminClient(bootstrap_servers=self.kafka.bootstrap)
        admin.create_acls([acl(user, right) for right in rights])
        admin.close()


SERVICE = "import os, time; print(os.getpid(), file=open('starts', 'a'), flush=True); time.sleep(1000)"
COMMON: Mapping[str, Any] = {
    "host": {"interval": "200ms", "collect": ["load"]},
    "windows": {"pane": "1s", "widths": ["1s"]},
    "guards": {"cooldown": "0s"},
    "policies": [{"name": "web", "mode": "auto", "play": [{"action": "restart"}]}],
}
WATCHED: Mapping[str, Any] = {
    "services": {"web": {"process": {"command": [sys.executable, "-c", SERVICE]}, "allow": ["restart"]}}
}


def printed(config: Path, role: str) -> list[Right]:
    """Return what the command prints for a role."""
    ran = CliRunner().invoke(print_acls, ["--role", role, "--json", "-c", str(config)], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return [json.loads(line) for line in ran.output.splitlines()]


def acl(user: str, right: Right) -> ACL:
    """Return a right as the client gives it to a broker."""
    pattern = ResourcePattern(
        ResourceType[right["resource"].upper()], right["name"], ACLResourcePatternType[right["pattern"].upper()]
    )
    operation = ACLOperation[FORMS.get(right["operation"], right["operation"].upper())]
    return ACL(f"User:{user}", "*", operation, ACLPermissionType.ALLOW, pattern)


@pytest.fixture(scope="module")
def guarded(kafka_tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Run a broker on which each role has the rights that are printed for it, and those who lack one all others."""
    folder = tmp_path_factory.mktemp("guarded")
    ports = (
        "PLAINTEXT://localhost:{port},SASL_PLAINTEXT://localhost:{spare_port},CONTROLLER://localhost:{controller_port}"
    )
    users = " ".join(f'user_{user}="{user}-secret"' for user in USERS)
    overrides = {
        "listeners": ports,
        "advertised.listeners": ports,
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl_plaintext.plain.sasl.jaas.config": (
            f"org.apache.kafka.common.security.plain.PlainLoginModule required {users};"
        ),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    with LocalKafka(folder / "kafka", quick=True, overrides=overrides) as kafka:
        made = Guarded(kafka, folder)
        for role in ROLES:
            made.give(role, printed(made.admin, role))
        for user, (role, operation, name, _) in LACKING.items():
            made.give(
                user, [one for one in printed(made.admin, role) if (one["operation"], one["name"]) != (operation, name)]
            )
        assert ended(start(made.config("topics"), "topics", "create")).status == 0
        yield made


@pytest.fixture(scope="module")
def lacking(guarded: Guarded) -> Mapping[str, Ran]:
    """Start those who lack a right, each as a host of its own; return how each ended.

    One of each role at a time: two in a group may each own the partitions for which the other lacks a right, for ever.
    """
    return {user: ran for turn in ("-1", "-2") for user, ran in _ended_of_turn(guarded, turn).items()}


def _ended_of_turn(guarded: Guarded, turn: str) -> Mapping[str, Ran]:
    with ExitStack() as stack:
        running: dict[str, subprocess.Popen[str]] = {}
        for user, (role, *_) in LACKING.items():
            if user.endswith(turn):
                running[user] = start(guarded.config(user, name=user), role)
                stack.callback(running[user].kill)
        return {user: ended(process, 90) for user, process in running.items()}


@pytest.mark.parametrize("user", LACKING)
def test_a_missing_right_is_named(lacking: Mapping[str, Ran], user: str) -> None:
    """A role that may not do one of the things it has to do ends, and says which and where it is told what to allow."""
    _, _, name, right = LACKING[user]
    ran = lacking[user]
    assert ran.status == 3, ran
    assert "Traceback" not in ran.err, ran.err
    assert name in ran.err
    assert right in ran.err
    assert "`mendline topics acls` prints what must be allowed" in ran.err


def windows(guarded: Guarded) -> int:
    """Return how many records of windows there are."""
    with log_of(load_settings(guarded.admin)) as log:
        return sum(len(batch) for batch in read_batches(log, Partition("mendline.windows", 0)))


def mended(guarded: Guarded) -> int:
    """Return how often the journal tells that a fault was mended."""
    settings = load_settings(guarded.admin)
    with log_of(settings) as log:
        records = [one.record for one in read_journal(log, settings)]
    return sum(isinstance(one, Verification) and one.mended for one in records)


@contextmanager
def working(guarded: Guarded) -> Iterator[None]:
    """Run all roles, and end them in order; fail when one has complaints."""
    running = {role: start(guarded.config(role), role) for role in WORKING}
    try:
        yield
    finally:
        for process in running.values():
            process.send_signal(signal.SIGTERM)
        ran = {role: ended(process) for role, process in running.items()}
        for number in guarded.services():  # they outlive their agent
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
    assert dict.fromkeys(WORKING, 0) == {role: one.status for role, one in ran.items()}, ran
    assert not [one.err for one in ran.values() if "may not" in one.err]


def live(guarded: Guarded) -> None:
    """Run all roles until they have made windows and mended a service that was killed."""
    told, repairs, starts = windows(guarded), mended(guarded), len(guarded.services())
    with working(guarded):
        service = until("the service", lambda: guarded.services()[starts:])[0]
        until("a window", lambda: windows(guarded) > told)
        os.kill(service, signal.SIGKILL)
        until("the restart", lambda: mended(guarded) > repairs, 60)


@pytest.mark.usefixtures("lacking")
def test_with_exactly_these_rights_all_roles_work(guarded: Guarded) -> None:
    """Rounds become windows, a service that dies is restarted on command, and a second life does the same."""
    live(guarded)
    live(guarded)


@pytest.mark.parametrize("topic", ["windows", "journal", "commands", "state", "deadletter"])
def test_an_agent_writes_rounds_only(guarded: Guarded, topic: str) -> None:
    """Whoever has taken a host over can neither command others nor tell lies in the journal."""
    with log_of(load_settings(guarded.config("agent"))) as log:
        producer = log.producer("agent")
        with pytest.raises(LogRefusedError, match=f"mendline.{topic}.*may not (WRITE|DESCRIBE)"):
            producer.append([NewRecord(f"mendline.{topic}", b"x", partition=0)]).result(30)
        producer.close()


@pytest.mark.parametrize("topic", ["metrics", "windows", "journal", "state", "deadletter"])
def test_an_agent_reads_commands_only(guarded: Guarded, topic: str) -> None:
    """Nor can it look at what other hosts say."""
    partition = Partition(f"mendline.{topic}", 0)
    with log_of(load_settings(guarded.config("agent"))) as log:
        consumer = log.consumer("agent")

        def read() -> None:
            consumer.assign([partition])
            consumer.start(partition, 0)
            consumer.poll(20)

        with pytest.raises(LogRefusedError, match=r"may not \w+ this"):
            read()
        consumer.close()


def test_a_person_looks_and_gives_orders(call: Caller, guarded: Guarded) -> None:
    """All that people do works with a person's rights."""
    config = guarded.config("person")
    listed = call("topics", "list", "-c", config, "--json")
    facts = {one["topic"]: one for one in map(json.loads, listed.out.splitlines())}
    assert facts["mendline.journal"]["partitions"] == 1
    assert call("faults", "-c", config).status == 0
    assert call("stop-all", "-c", config, "--text", "test").status == 0


def test_up_needs_what_its_roles_need() -> None:
    """The rights of one host that does everything are those of the roles together."""
    parts = [ROLES[role] for role in WORKING]
    assert set(ROLES["up"].reads) == {one for part in parts for one in part.reads}
    assert set(ROLES["up"].writes) == {one for part in parts for one in part.writes}
    assert set(ROLES["up"].groups) == {one for part in parts for one in part.groups}


def test_the_commands_name_everything(call: Caller, tmp_path: Path) -> None:
    """They can be pasted as they are: broker, principal in quotes, topics under the prefix of the file."""
    config = write_config(tmp_path, log="kafka://one:1,two:2", topics={"prefix": "own"})
    ran = call("topics", "acls", "--role", "agent", "--principal", "User:CN=host 1", "-c", config)
    begin = "kafka-acls.sh --bootstrap-server one:1,two:2 --add --allow-principal 'User:CN=host 1' --operation"
    assert ran.out.splitlines() == [
        "# agent: observes its host and obeys commands",
        f"{begin} Write --topic own.metrics",
        f"{begin} Read --topic own.commands",
    ]


def test_a_principal_has_a_type(call: Caller, config: Path) -> None:
    """Kafka would take it only to refuse everybody."""
    ran = call("topics", "acls", "--principal", "host-1", "-c", config)
    assert ran.status == 2
    assert "such as User:host-1" in ran.err
