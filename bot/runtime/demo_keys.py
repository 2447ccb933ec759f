"""The pairs of keys that a demo makes for itself: its merchant's, and its platform's.

What reads keys (``pem``) is loaded by those who have some: it is 9 MB, most of it a second OpenSSL.
"""

import os
import secrets
from dataclasses import field
from pathlib import Path

from domain.shared.records import record


@record
class Pair:
    """A private key and its certificate, both PEM; ``serial`` in upper-case hex as WeChat Pay prints it."""

    key: str = field(repr=False)
    certificate: str

    @property
    def serial(self) -> str:
        from bot.runtime import pem

        return pem.serial(self.certificate)


def demo_pairs(home: Path) -> tuple[Pair, Pair] | None:
    """The demo's merchant and platform pairs in ``home``/pay; None before ``make_demo_pairs`` ran there."""
    try:
        merchant, platform = ((home / "pay" / f"{name}.pem").read_text() for name in ("merchant", "platform"))
    except FileNotFoundError:
        return None
    return _apart(merchant), _apart(platform)


def make_demo_pairs(home: Path) -> None:
    """Make the pairs that are missing. Safe when several processes start at once: the first file wins."""
    from bot.runtime import pem

    folder = home / "pay"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("merchant", "platform"):
        if not (folder / f"{name}.pem").exists():
            _keep(folder / f"{name}.pem", pem.make_pair(f"Huitou demo {name}"))


def _keep(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _apart(text: str) -> Pair:
    cut = text.index("-----BEGIN CERTIFICATE")
    return Pair(text[:cut], text[cut:])
