"""The Kafka log on a broker with TLS, passwords and access rights: every mistake has one clear message."""

from __future__ import annotations

import datetime as dt
import gc
import ipaddress
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ACLResourcePatternType, ResourcePattern, ResourceType

from mendline.logs.base import LogError, LogRefusedError, TopicSettings
from mendline.logs.kafka import KafkaLog
from mendline.schemas.stream import NewRecord, Partition
from mendline.testing.kafka import LocalKafka
from tests.logs.support import Reading

# The library leaves a socket that was refused to the garbage collector, which tells wherever it happens to run.
pytestmark = [
    pytest.mark.broker,
    pytest.mark.timeout(240),
    pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning"),
]

JAAS = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


@pytest.fixture(autouse=True)
def collect_garbage() -> Iterator[None]:
    """Collect refused sockets here, not in another test."""
    yield
    gc.collect()


@dataclass
class Secure:
    """A broker with a TLS port beside the plain one, and its certificate authority's file."""

    kafka: LocalKafka
    ca: Path
    wrong_ca: Path
    client: str = "kafka-python"

    @property
    def url(self) -> str:
        return f"kafka://localhost:{self.kafka.nodes[0].places.spare}"

    def log(self, **options: Any) -> KafkaLog:
        """Return the log as the agent sees it, with changed options."""
        agent: dict[str, Any] = {
            "username": "agent",
            "password": "secret",
            "ca_file": self.ca,
            "bootstrap_timeout_ms": 3000,
        }
        agent["client"] = self.client
        return KafkaLog(self.url, {k: v for k, v in (agent | options).items() if v is not None})


@pytest.fixture(scope="module")
def secured(kafka_tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """Run a broker that knows a user `agent`, who may write `metrics`, read `commands` and be in groups `agent-…`."""
    folder = tmp_path_factory.mktemp("secure")
    ca, chain = make_certificates(folder / "right")
    wrong_ca, _ = make_certificates(folder / "wrong")
    listeners = "PLAINTEXT://localhost:{port},SASL_SSL://localhost:{spare_port}"
    overrides = {
        "listeners": f"{listeners},CONTROLLER://localhost:{{controller_port}}",
        "advertised.listeners": f"{listeners},CONTROLLER://localhost:{{controller_port}}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": JAAS,
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(chain),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(ca),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    users = ["--add-scram", "SCRAM-SHA-512=[name=agent,password=secret]"]
    with LocalKafka(folder / "kafka", overrides=overrides, format_options=users) as kafka:
        KafkaLog(kafka.url).ensure_topics([TopicSettings(name) for name in ("metrics", "commands", "other")])
        allow(kafka)
        yield Secure(kafka, ca, wrong_ca)
    shutil.rmtree(folder)


@pytest.fixture
def secure(secured: Secure, client: str) -> Secure:
    """Return that broker, to be reached through each client."""
    return replace(secured, client=client)


def allow(kafka: LocalKafka) -> None:
    """Give the agent its rights, which are the least that docs/kafka.md names."""
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


def make_certificates(folder: Path) -> tuple[Path, Path]:
    """Make an authority and a broker's key and certificate; return the authority's file and the broker's."""
    folder.mkdir()
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = _certificate("test authority", ca_key, "test authority", ca_key, authority=True)
    broker = _certificate("localhost", key, "test authority", ca_key, authority=False)
    ca_pem = ca.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "ca.pem").write_bytes(ca_pem)
    (folder / "chain.pem").write_bytes(private + broker.public_bytes(serialization.Encoding.PEM) + ca_pem)
    return folder / "ca.pem", folder / "chain.pem"


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    authority: bool,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"password": "wrong"}, r"as 'agent', SCRAM-SHA-512\): the broker (does not accept|hangs up at the login)"),
        ({"username": "nobody"}, "as 'nobody'.*(does not accept|hangs up at the login)"),
        ({"sasl_mechanism": "PLAIN"}, "does not know this sasl_mechanism|hangs up at the login: check sasl_mechanism"),
        ({"ca_file": None}, "not signed by anyone trusted here: set ca_file"),
        ({"security_protocol": "PLAINTEXT"}, "the port speaks TLS: set security_protocol"),
        ({"ca_file": Path("/no/such/file")}, "No such file"),
    ],
)
def test_mistakes_are_explained(secure: Secure, options: dict[str, Any], says: str) -> None:
    """Whatever is wrong with the settings is said at once, with the place and what to do."""
    log = secure.log(**options)
    begun = time.monotonic()
    with pytest.raises(LogRefusedError, match=says):
        log.producer("p")
    assert time.monotonic() - begun < 10


def test_a_wrong_authority_is_explained(secure: Secure) -> None:
    """A broker whose certificate another authority signed is not talked to."""
    with pytest.raises(LogRefusedError, match="set ca_file"):
        secure.log(ca_file=secure.wrong_ca).consumer("c", "agent-1")


def test_tls_to_a_plain_port_is_explained(secure: Secure) -> None:
    """A plain port that is spoken to in TLS gives away what it is."""
    options = {"ca_file": str(secure.ca), "bootstrap_timeout_ms": 3000, "client": secure.client}
    with pytest.raises(LogError, match="does not speak TLS"):
        KafkaLog(secure.kafka.url, options).producer("p")


def test_the_least_rights_are_enough(secure: Secure) -> None:
    """An agent that may write one topic, read another and be in its own groups can do all it has to."""
    log = secure.log()
    producer = log.producer("p")
    assert len(producer.append([NewRecord("metrics", b"x")]).result(30)) == 1
    admin = KafkaLog(secure.kafka.url)
    planner = admin.producer("planner")
    planner.append([NewRecord("commands", b"restart")]).result(30)
    consumer = log.consumer("host-1", "agent-1")
    consumer.subscribe(["commands"])
    reading = Reading(consumer, 30.0)
    assert reading.read(1) == [b"restart"]
    consumer.close()
    again = log.consumer("host-2", "agent-1")
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
        secure.log().ensure_topics([TopicSettings("new.topic", 4, retention_ms=86_400_000)])
    message = str(told.value)
    assert "new.topic (TopicAuthorizationFailedError" in message
    assert "kafka-topics.sh --bootstrap-server localhost:" in message
    assert "--create --topic new.topic --partitions 4" in message
    assert "--config message.timestamp.type=LogAppendTime --config retention.ms=86400000" in message


def test_forbidden_topics_do_not_end_producing(secure: Secure) -> None:
    """A record for a forbidden topic is refused, by name; the next one for an allowed topic arrives (D6)."""
    producer = secure.log().producer("p")
    for topic in ("other", "commands"):
        with pytest.raises(LogRefusedError, match=r"Authorization|does not exist"):
            producer.append([NewRecord(topic, b"x")]).result(30)
    assert len(producer.append([NewRecord("metrics", b"x")]).result(30)) == 1
    producer.close()


@pytest.mark.parametrize(
    ("group", "topic", "says"),
    [("agent-1", "other", "Authorization|does not exist"), ("planner", "commands", "READ on this consumer group")],
)
def test_forbidden_reading_is_explained(secure: Secure, group: str, topic: str, says: str) -> None:
    """A topic or a group that is not this user's is refused instead of waited for."""
    consumer = secure.log().consumer("host-1", group)
    reading = Reading(consumer, 20.0)

    def read() -> None:
        consumer.subscribe([topic])
        reading.read(1)

    refused: Callable[[], None] = read
    with pytest.raises(LogRefusedError, match=says):
        refused()
    consumer.close()
