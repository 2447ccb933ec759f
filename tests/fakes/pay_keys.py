"""Key pairs for tests, made once a run: what a merchant and WeChat Pay would each keep to themselves."""

import base64
import textwrap
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

API_V3_KEY = "0123456789abcdef0123456789ABCDEF"


@dataclass(frozen=True)
class Keys:
    """A private key with a certificate for it."""

    private: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        return _pem(self.private)

    @property
    def public_pem(self) -> str:
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def certificate_pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def serial(self) -> str:
        return f"{self.certificate.serial_number:X}"


def made(serial: int, *, since: datetime | None = None, until: datetime | None = None,
         private: rsa.RSAPrivateKey | None = None) -> Keys:
    private = private or rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key())
        .serial_number(serial).not_valid_before(since or now - timedelta(days=30))
        .not_valid_after(until or now + timedelta(days=300)).sign(private, hashes.SHA256()))
    return Keys(private, certificate)


@cache
def merchant() -> Keys:
    return made(0x5157F09EFDC096DE15EBE81A47057A7201020304)


@cache
def platform() -> Keys:
    return made(0x7B1C2D3E4F5061728394A5B6C7D8E9F001020304)


@cache
def stranger() -> Keys:
    """Somebody else's: right in form, unknown to us."""
    return made(0x1111111111111111111111111111111111111111)


@cache
def small() -> str:
    return _pem(rsa.generate_private_key(public_exponent=65537, key_size=1024))


@cache
def elliptic() -> str:
    return _pem(ec.generate_private_key(ec.SECP256R1()))


@cache
def locked() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")).decode()


def mistyped(place: int) -> str:
    """The merchant's key with one bit wrong, in the ``place``-th fifth of it."""
    lines = merchant().pem.strip().splitlines()
    der = bytearray(base64.b64decode("".join(lines[1:-1])))
    der[len(der) * (place + 1) // 5] ^= 4
    return "\n".join((lines[0], *textwrap.wrap(base64.b64encode(der).decode(), 64), lines[-1], ""))


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
