"""The Kafka log on a broker with TLS, logins and access rights: every mistake has one clear message."""

from __future__ import annotations

import base64
import gc
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ACLResourcePatternType, ResourcePattern, ResourceType

from mendline.logs.base import LogError, LogRefusedError, TopicSettings
from mendline.logs.kafka import KafkaLog
from mendline.schemas.stream import NewRecord, Partition
from mendline.testing.kafka import LocalKafka
from mendline.testing.kafka.ports import free_ports
from tests.logs.certificates import HOUR, Authority
from tests.logs.conftest import CLIENTS
from tests.logs.support import Reading, poll_until

# The library leaves a socket that was refused to the garbage collector, which tells wherever it happens to run.
pytestmark = [
    pytest.mark.broker,
    pytest.mark.timeout(240),
    pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning"),
]

PATIENCE_MS = 4_000
SECURITY = "org.apache.kafka.common.security"
PROTOCOLS = {"LOGIN": "SASL_SSL", "CLIENTS": "SSL", "EXPIRED": "SSL"}
MARKER = "hunter2"
"""What every wrong secret is, so that no message may have it in it."""


@pytest.fixture(autouse=True)
def collect_garbage() -> Iterator[None]:
    """Collect refused sockets here, not in another test."""
    yield
    gc.collect()


@dataclass
class Secure:
    """A broker with a port for each way to be secure, and a folder with what its clients need."""

    kafka: LocalKafka
    ports: Mapping[str, int]
    folder: Path
    client: str = ""

    @property
    def ca(self) -> Path:
        """The authority of the broker's certificates."""
        return self.folder / "right" / "ca.pem"

    def secret(self, name: str) -> str:
        """Return the reference to a secret."""
        return f"file:{self.folder / name}"

    def log(self, port: str, host: str = "localhost", **options: Any) -> KafkaLog:
        """Return the log on a port."""
        url = f"kafka://{host}:{self.ports[port]}"
        return KafkaLog(url, {"bootstrap_timeout_ms": PATIENCE_MS, "client": self.client} | options)

    def agent(self, **options: Any) -> KafkaLog:
        """Return the log as the agent sees it, with changed options; one that is None is left out."""
        usual: dict[str, Any] = {"username": "agent", "password": self.secret("password"), "ca_file": self.ca}
        return self.log("LOGIN", **{name: value for name, value in (usual | options).items() if value is not None})

    def certified(self, name: str, authority: str = "right", **options: Any) -> KafkaLog:
        """Return the log as a client with a certificate sees it."""
        files = {
            "cert_file": self.folder / authority / f"{name}.pem",
            "key_file": self.folder / authority / f"{name}.key",
        }
        settings: dict[str, Any] = {"ca_file": self.ca, **files, **options}
        return self.log("CLIENTS", **settings)


@pytest.fixture(scope="module")
def broker(kafka_tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """Run a broker that knows a user `agent`, who may write `metrics`, read `commands` and be in groups `agent-…`."""
    folder = tmp_path_factory.mktemp("secure")
    ports = dict(zip(PROTOCOLS, free_ports(len(PROTOCOLS)), strict=True))
    overrides = listeners(ports) | logins() | certificates(folder)
    secrets = {"password": "secret", "plain": "plain secret", "bad": MARKER, "junk": MARKER, "key": "locked"}
    secrets |= {"token": token("agent", 3600), "old-token": token("agent", -3600)}
    for name, secret in secrets.items():
        (folder / name).write_text(f"{secret}\n")
    users = ["--add-scram", "SCRAM-SHA-512=[name=agent,password=secret]"]
    with LocalKafka(folder / "kafka", quick=True, overrides=overrides, format_options=users) as kafka:
        KafkaLog(kafka.url).ensure_topics([TopicSettings(name) for name in ("metrics", "commands", "other")])
        allow(kafka)
        yield Secure(kafka, ports | {"PLAIN": kafka.nodes[0].places.port}, folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module", params=CLIENTS)
def secure(broker: Secure, request: pytest.FixtureRequest) -> Secure:
    """Speak to the broker through each client."""
    return replace(broker, client=str(request.param))


def listeners(ports: Mapping[str, int]) -> dict[str, str]:
    """Return the broker's settings for its ports, and that it asks for rights."""
    own = ",".join(f"{name}://localhost:{port}" for name, port in ports.items())
    everywhere = f"PLAINTEXT://localhost:{{port}},{own},CONTROLLER://localhost:{{controller_port}}"
    protocols = ",".join(f"{name}:{protocol}" for name, protocol in PROTOCOLS.items())
    return {
        "listeners": everywhere,
        "advertised.listeners": everywhere,
        "listener.security.protocol.map": f"CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,{protocols}",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }


def logins() -> dict[str, str]:
    """Return the broker's settings for logins; its validator takes unsigned tokens."""
    modules = {
        "scram-sha-512": f"{SECURITY}.scram.ScramLoginModule required;",
        "plain": f'{SECURITY}.plain.PlainLoginModule required user_agent="plain secret";',
        "oauthbearer": f"{SECURITY}.oauthbearer.OAuthBearerLoginModule required;",
    }
    validator = f"{SECURITY}.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler"
    return {
        "listener.name.login.sasl.enabled.mechanisms": ",".join(modules).upper(),
        "listener.name.login.oauthbearer.sasl.server.callback.handler.class": validator,
    } | {f"listener.name.login.{name}.sasl.jaas.config": module for name, module in modules.items()}


def certificates(folder: Path) -> dict[str, str]:
    """Make two authorities, the broker's certificates and its clients'; return the broker's settings for them."""
    right, wrong = Authority(folder / "right"), Authority(folder / "wrong")
    right.client("agent")
    right.client("old", -HOUR)
    right.client("locked", password=b"locked")
    wrong.client("stranger")
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(right.keystore("localhost")),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(right.file),
        "listener.name.clients.ssl.client.auth": "required",
        "listener.name.expired.ssl.keystore.type": "PEM",
        "listener.name.expired.ssl.keystore.location": str(right.keystore("expired", -HOUR)),
    }


def token(user: str, seconds: int) -> str:
    """Return an unsigned token that expires so many seconds from now."""
    now = int(time.time())
    parts = ({"alg": "none"}, {"sub": user, "iat": now - 7200, "exp": now + seconds})
    return "".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") + "." for part in parts)


def allow(kafka: LocalKafka) -> None:
    """Give the agent its rights."""
    rights = [
        (ResourceType.TOPIC, "metrics", ACLResourcePatternType.LITERAL, ACLOperation.WRITE),
        (ResourceType.TOPIC, "commands", ACLResourcePatternType.LITERAL, ACLOperation.READ),
        (ResourceType.GROUP, "agent-", ACLResourcePatternType.PREFIXED, ACLOperation.READ),
    ]
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    admin.create_acls(
        [
            ACL("User:agent", "*", operation, ACLPermissionType.ALLOW, ResourcePattern(kind, name, pattern))
            for kind, name, pattern, operation in rights
        ]
    )
    admin.close()


RIGHT: Mapping[str, Callable[[Secure], KafkaLog]] = {
    "SCRAM-SHA-512": lambda it: it.agent(),
    "PLAIN": lambda it: it.agent(sasl_mechanism="PLAIN", password=it.secret("plain")),
    "OAUTHBEARER": lambda it: it.log("LOGIN", ca_file=it.ca, token=it.secret("token")),
    "OAUTHBEARER from a variable": lambda it: it.log("LOGIN", ca_file=it.ca, token="env:TEST_KAFKA_TOKEN"),
    "a certificate": lambda it: it.certified("agent"),
    "a certificate with a locked key": lambda it: it.certified("locked", key_password=it.secret("key")),
}

LOGIN = "the broker (does not accept this user and password|hangs up at the login): check .*username.*password"
TOKEN = "by OAUTHBEARER.*the broker does not accept this token: it must be a JWT .* not expired; get a new one"
MISTAKES: Mapping[str, tuple[Callable[[Secure], KafkaLog], str]] = {
    "wrong password": (lambda it: it.agent(password=it.secret("bad")), f"as 'agent', SCRAM-SHA-512.*{LOGIN}"),
    "wrong password, PLAIN": (
        lambda it: it.agent(password=it.secret("bad"), sasl_mechanism="PLAIN"),
        f"as 'agent', PLAIN.*{LOGIN}",
    ),
    "unknown user": (lambda it: it.agent(username="nobody"), f"as 'nobody'.*{LOGIN}"),
    "unknown mechanism": (
        lambda it: it.agent(sasl_mechanism="SCRAM-SHA-256"),
        "does not know this sasl_mechanism: ask|hangs up at the login: check sasl_mechanism",
    ),
    "expired token": (lambda it: it.log("LOGIN", ca_file=it.ca, token=it.secret("old-token")), TOKEN),
    "no token at all": (lambda it: it.log("LOGIN", ca_file=it.ca, token=it.secret("junk")), TOKEN),
    "missing token": (
        lambda it: it.log("LOGIN", ca_file=it.ca, token="file:/no/such/token"),
        "Kafka token file:/no/such/token: No such file",
    ),
    "no login where one is wanted": (
        lambda it: it.log("LOGIN", ca_file=it.ca),
        "hangs up without a login: set username and password, or token",
    ),
    "a login where none is wanted": (
        lambda it: it.log(
            "PLAIN", username="agent", password=it.secret("password"), security_protocol="SASL_PLAINTEXT"
        ),
        "asks for no login: use the one that does, or leave out",
    ),
    "no authority": (lambda it: it.agent(ca_file=None), "not signed by anyone trusted here: set ca_file"),
    "wrong authority": (
        lambda it: it.agent(ca_file=it.folder / "wrong" / "ca.pem"),
        "not signed by anyone.*set ca_file",
    ),
    "missing authority": (lambda it: it.agent(ca_file="/no/ca.pem"), "ca_file '/no/ca.pem': No such file"),
    "an authority that is none": (
        lambda it: it.agent(ca_file=it.folder / "password"),
        "ca_file .*password': holds no certificates in PEM",
    ),
    "another's certificate": (
        lambda it: it.log("EXPIRED", "127.0.0.1", ca_file=it.ca),
        "certificate is for another host name: use the name it was made for",
    ),
    "expired broker": (
        lambda it: it.log("EXPIRED", ca_file=it.ca),
        "the broker's certificate has expired or is not valid yet: it must be renewed",
    ),
    "no certificate": (
        lambda it: it.log("CLIENTS", ca_file=it.ca),
        "wants a certificate of this client: set cert_file and key_file",
    ),
    "expired certificate": (lambda it: it.certified("old"), r"cert_file .*old\.pem': expired on 20.*; have it renewed"),
    "a stranger's certificate": (
        lambda it: it.certified("stranger", "wrong"),
        "does not trust this client's certificate: cert_file must be signed by",
    ),
    "another's key": (
        lambda it: it.certified("agent", key_file=it.folder / "right" / "old.key"),
        "the key is not that of the certificate",
    ),
    "a key that is none": (
        lambda it: it.certified("agent", key_file=it.ca),
        "give a certificate and its key, both in PEM",
    ),
    "locked key": (lambda it: it.certified("locked"), r"locked\.key': is encrypted: set key_password"),
    "locked key, wrong password": (
        lambda it: it.certified("locked", key_password=it.secret("bad")),
        r"locked\.key': key_password is wrong",
    ),
    "no TLS where it is wanted": (lambda it: it.log("LOGIN"), "the port speaks TLS: set security_protocol to SSL"),
    "TLS where it is not": (lambda it: it.log("PLAIN", ca_file=it.ca), "the port does not speak TLS: use its TLS port"),
}


class Told(NamedTuple):
    """What a client was told that could not connect, nothing for one that could, and after how many seconds."""

    message: str
    seconds: float
    refused: bool = False


@pytest.fixture(scope="module")
def told(secure: Secure) -> Mapping[str, Told]:
    """Make all mistakes at once, since each waits; return what was said, and after how many seconds."""
    for name in ("SCRAM-SHA-512", "a certificate"):  # the first of its kind takes a new broker a second
        attempt(secure, name, RIGHT[name])
    with ThreadPoolExecutor(len(MISTAKES)) as threads:
        answers = threads.map(lambda name: attempt(secure, name, MISTAKES[name][0]), MISTAKES)
        return dict(zip(MISTAKES, answers, strict=True))


def attempt(secure: Secure, name: str, log: Callable[[Secure], KafkaLog]) -> Told:
    """Connect; return what was said of it."""
    begun = time.monotonic()
    try:
        log(secure).producer(name).close()
    except LogError as error:  # its text only, for its traceback would hold sockets
        return Told(str(error), time.monotonic() - begun, isinstance(error, LogRefusedError))
    return Told("", time.monotonic() - begun)


@pytest.mark.parametrize("way", RIGHT)
def test_every_way_to_be_known_works(secure: Secure, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """Each login and a certificate open the door; a token may also stand in a variable."""
    monkeypatch.setenv("TEST_KAFKA_TOKEN", token("agent", 60))
    assert attempt(secure, way, RIGHT[way]).message == ""


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_explained(told: Mapping[str, Told], mistake: str) -> None:
    """What is wrong is said within seconds in one line, with the place and what to do, and never with the secret."""
    message, seconds, refused = told[mistake]
    assert re.search(MISTAKES[mistake][1], message), message
    assert refused, message
    assert "\n" not in message
    assert MARKER not in message
    assert seconds < PATIENCE_MS / 1000 + 6


def test_the_least_rights_are_enough(secure: Secure) -> None:
    """An agent that may write one topic, read another and be in its own groups can do all it has to."""
    log = secure.agent()
    producer = log.producer("p")
    assert len(producer.append([NewRecord("metrics", b"x")]).result(30)) == 1
    planner = KafkaLog(secure.kafka.url).producer("planner")
    restart = b"restart, " + secure.client.encode()
    planner.append([NewRecord("commands", restart)]).result(30)
    group = f"agent-{secure.client}"
    consumer = log.consumer("host-1", group)
    consumer.subscribe(["commands"])
    reading = Reading(consumer, 30.0)
    poll_until([reading], lambda: restart in reading.values)
    consumer.close()
    again = log.consumer("host-2", group)
    again.subscribe(["commands"])
    begun = time.monotonic()
    Reading(again, 30.0).own(Partition("commands", 0))
    assert time.monotonic() - begun < 5
    again.close()
    producer.close()
    planner.close()


def test_missing_topics_name_the_commands(secure: Secure) -> None:
    """Who may not create topics is told what an administrator must run."""
    with pytest.raises(LogRefusedError) as told:
        secure.agent().ensure_topics([TopicSettings("new.topic", 4, retention_ms=86_400_000)])
    message = str(told.value)
    assert "new.topic (TopicAuthorizationFailedError" in message
    assert "kafka-topics.sh --bootstrap-server localhost:" in message
    assert "--create --topic new.topic --partitions 4" in message
    assert "--config message.timestamp.type=LogAppendTime --config retention.ms=86400000" in message


@pytest.mark.parametrize(("topic", "right"), [("other", "DESCRIBE"), ("commands", "WRITE")])
def test_forbidden_topics_do_not_end_producing(secure: Secure, topic: str, right: str) -> None:
    """A record for a forbidden topic is refused, by name; the next one for an allowed topic arrives (D6)."""
    producer = secure.agent().producer("p")
    with pytest.raises(LogRefusedError, match=f"{topic}.*may not {right}.*`mendline topics acls`"):
        producer.append([NewRecord(topic, b"x")]).result(30)
    assert len(producer.append([NewRecord("metrics", b"x")]).result(30)) == 1
    producer.close()


@pytest.mark.parametrize(
    ("group", "topic", "says"),
    [
        ("agent-new", "other", "other.*may not DESCRIBE"),
        ("agent-new", "metrics", "metrics.*may not READ"),
        ("planner", "commands", "planner.*may not READ this consumer group"),
    ],
)
def test_forbidden_reading_is_explained(secure: Secure, group: str, topic: str, says: str) -> None:
    """A topic or a group that is not this user's is refused instead of waited for, with the right that is missing."""
    consumer = secure.agent().consumer("host-1", group)
    reading = Reading(consumer, 20.0)

    def read() -> None:
        consumer.subscribe([topic])
        reading.read(1)

    with pytest.raises(LogRefusedError, match=f"{says}.*`mendline topics acls`"):
        read()
    consumer.close()


def test_a_topic_that_may_not_be_seen_cannot_be_assigned(secure: Secure) -> None:
    """Whether it exists is not told to who may not know, so the right is named."""
    consumer = secure.agent().consumer("host-1")
    with pytest.raises(LogRefusedError, match=r"other.*may not DESCRIBE.*`mendline topics acls`"):
        consumer.assign([Partition("other", 0)])
    consumer.close()
