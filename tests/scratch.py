"""Where the servers of tests keep their files: in memory when there is room for them.

Copying the template database costs 30 ms in memory and up to 800 ms on a busy disk, and nearly every test asks for one.
"""

import shutil
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")
_ROOM = 2 << 30
"""Bytes: containers often give 64 MiB of shared memory, which is not enough for two PostgreSQL."""


def directory(prefix: str) -> Path:
    """A new directory that PostgreSQL's own system user may enter. The caller removes it."""
    home = Path(tempfile.mkdtemp(prefix=prefix, dir=base()))
    home.chmod(0o755)
    return home


def base() -> Path:
    """Where such directories are made."""
    return _MEMORY if _has_room() else Path(tempfile.gettempdir())


def _has_room() -> bool:
    try:
        return shutil.disk_usage(_MEMORY).free > _ROOM
    except OSError:
        return False
