"""Certificates for tests: an authority, what it signs, and files in PEM as Kafka and its clients take them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

HOUR = dt.timedelta(hours=1)


@dataclass(frozen=True)
class Pair:
    """A key and its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    def key_pem(self, password: bytes | None = None) -> bytes:
        """Return the key, encrypted if there is a password."""
        how: KeySerializationEncryption = BestAvailableEncryption(password) if password else NoEncryption()
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)


class Authority:
    """Signs certificates for `localhost` by its name, and not by its address."""

    def __init__(self, folder: Path) -> None:
        """Make the authority's key, and the folder with its certificate, `ca.pem`."""
        folder.mkdir()
        self._folder = folder
        self._own = _make("test authority", None, HOUR)
        self.file = folder / "ca.pem"
        self.file.write_bytes(self._own.pem)

    def keystore(self, name: str, lasts: dt.timedelta = HOUR) -> Path:
        """Return a file with a broker's key and certificates; one that lasts a negative time is expired."""
        pair = _make(name, self._own, lasts)
        file = self._folder / f"{name}.keystore.pem"
        file.write_bytes(pair.key_pem() + pair.pem + self._own.pem)
        return file

    def client(self, name: str, lasts: dt.timedelta = HOUR, password: bytes | None = None) -> tuple[Path, Path]:
        """Return the files of a client's certificate and of its key."""
        pair = _make(name, self._own, lasts)
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        certificate.write_bytes(pair.pem)
        key.write_bytes(pair.key_pem(password))
        return certificate, key


def _make(name: str, issuer: Pair | None, lasts: dt.timedelta) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    signer = issuer.key if issuer else key
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 48 * HOUR)
        .not_valid_after(now + lasts)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(_usage(authority=issuer is None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return Pair(key, certificate)


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
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
