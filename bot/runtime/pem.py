"""PEM texts of keys and certificates: what is wrong with one, what it says, and how a pair is made."""

import secrets
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from cryptography.x509.oid import NameOID

RSA_BITS = 2048
"""What WeChat Pay asks of every key (WECHATPAY2-SHA256-RSA2048)."""
PAIR_YEARS = 5
"""How long a pair that we make is good."""


@lru_cache(maxsize=16)
def private_key_problem(text: str) -> str:
    """'' for an unencrypted RSA private key of 2048 bits or more, else what is wrong with it; never quotes it.

    Its numbers are multiplied, not proved to be prime, which takes 50 ms a key and every process of the house a while.
    """
    try:
        key = load_pem_private_key(text.encode(), password=None, unsafe_skip_rsa_key_validation=True)
    except TypeError:
        return "is protected by a password"
    except Exception:  # noqa: BLE001 - the library raises what its parser meets
        return "is no PEM private key"
    if isinstance(key, rsa.RSAPrivateKey) and not _fit(key.private_numbers()):
        return "is no PEM private key"
    return _rsa_problem(key.key_size if isinstance(key, rsa.RSAPrivateKey) else 0)


def _fit(key: rsa.RSAPrivateNumbers) -> bool:
    """Whether the numbers of a key belong together: one wrong digit, and they do not."""
    p, q, d, e = key.p, key.q, key.d, key.public_numbers.e
    return (min(p, q) > 1 and p * q == key.public_numbers.n and e * d % (p - 1) == 1 == e * d % (q - 1)
            and key.dmp1 == d % (p - 1) and key.dmq1 == d % (q - 1) and key.iqmp * q % p == 1)


def public_key_problem(text: str) -> str:
    """'' for an RSA public key of 2048 bits or more, else what is wrong with it."""
    try:
        key = load_pem_public_key(text.encode())
    except Exception:  # noqa: BLE001 - as above
        return "is no PEM public key"
    return _rsa_problem(key.key_size if isinstance(key, rsa.RSAPublicKey) else 0)


def _rsa_problem(bits: int) -> str:
    if not bits:
        return "is no RSA key"
    return "" if bits >= RSA_BITS else f"has {bits} bits only"


@lru_cache(maxsize=16)
def private_key(text: str) -> rsa.RSAPrivateKey:
    """The key of a text without a ``private_key_problem``. Raises ValueError naming the problem, never the key."""
    if problem := private_key_problem(text):
        raise ValueError(f"the private key {problem}")
    key = load_pem_private_key(text.encode(), password=None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


@lru_cache(maxsize=16)
def public_pem(private: str) -> str:
    """The public half of a private key without a ``private_key_problem``, PEM."""
    key = private_key(private)
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def certificate_problem(text: str) -> str:
    """What is wrong with a PEM certificate, '' when nothing is."""
    try:
        x509.load_pem_x509_certificate(text.encode())
    except ValueError:
        return "is not a PEM certificate"
    return ""


def certificate_ends(text: str) -> datetime:
    """Until when a certificate that has no problem is valid, UTC."""
    return x509.load_pem_x509_certificate(text.encode()).not_valid_after_utc


def serial(certificate: str) -> str:
    """The number of a certificate, in upper-case hex as WeChat Pay prints it."""
    return f"{x509.load_pem_x509_certificate(certificate.encode()).serial_number:X}"


def make_pair(name: str) -> str:
    """A new key and a certificate that it signs itself, in one text."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(int("1" + secrets.token_hex(19) + "1", 16)).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365 * PAIR_YEARS)).sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return private + certificate.public_bytes(Encoding.PEM).decode()
