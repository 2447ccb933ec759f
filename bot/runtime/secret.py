"""Secrets in memory: a wrapper that never shows its value, the instance's own key, and keys derived from it."""

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import NoReturn

MIN_KEY_LENGTH = 32
"""Characters of HUITOU_SECRET_KEY. The generated one has 64."""


class Secret:
    """Text that stays out of logs, tracebacks and pickles. Ask ``reveal()`` where it is really needed."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        """Constant time, as comparisons of secrets should be."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: object) -> "Secret":
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not serialised: hand over its name, not its value")


def derive(key: Secret, purpose: str) -> bytes:
    """32 bytes that depend on ``key`` and ``purpose`` and tell nothing of either. One purpose, one key."""
    return hmac.new(key.reveal().encode(), f"huitou/{purpose}".encode(), hashlib.sha256).digest()


def kept_key(path: Path) -> Secret:
    """The key in ``path``, generated when there is none yet; file mode 0600.

    Safe when several processes start at once: a finished file is linked into place, the first link wins and
    everybody reads the winner. Raises OSError when the directory cannot be written.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_urlsafe(48))
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
        finally:
            draft.unlink()
    return Secret(path.read_text().strip())
