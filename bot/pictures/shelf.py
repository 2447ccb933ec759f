"""Finished parts of pictures on disk, so that a new process need not draw them again.

A part is kept under a name made of everything that decides its pixels: what it is, the code of this room, the versions
of the libraries that draw, the fonts. So nothing is ever out of date, and two processes that draw the same part write
the same file. A file that is cut short, foreign or damaged is drawn again and replaced; a folder that cannot be
written only costs time. The least recently used files leave when there are too many bytes.

Large pictures are kept as they lie in memory: reading one takes less than copying it twice. Checking all its bytes
would double that, so ``is_sound``, which a worker asks when it starts, does it, and ``get`` looks at head and length.
"""

import contextlib
import hashlib
import mmap
import os
import struct
import tempfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

import PIL
import uharfbuzz
from PIL import Image

from bot.pictures import fonts

MOST_BYTES: Final = 128_000_000
"""All styles with all motifs of the shipped assets take 75 MB."""
_HEAD: Final = struct.Struct(">4s4sHH?I16s")
"""Magic, mode, width, height, whether packed, checksum of the body as stored, name."""
_MAGIC: Final = b"HTP1"
_BANDS: Final = {"L": 1, "RGB": 3, "RGBA": 4}
_MAP_FLAGS: Final = mmap.MAP_PRIVATE | getattr(mmap, "MAP_POPULATE", 0)
_MOST_SIDE: Final = 4_096
_SUFFIX: Final = ".part"
_LEFT_OVER_SECONDS: Final = 3_600
"""A half-written file of this age belongs to nobody."""


class Shelf:
    """Pictures by what they show. Safe between threads and between processes."""

    def __init__(self, folder: Path | None, most_bytes: int = MOST_BYTES) -> None:
        """``folder`` is made when something is put there; None keeps nothing."""
        self._folder, self._most_bytes = folder, most_bytes

    @property
    def keeps(self) -> bool:
        """Whether there is a folder, and writing to it has not failed yet."""
        return self._folder is not None

    def get(self, facts: object, make: Callable[[], Image.Image], *, packed: bool = False) -> Image.Image:
        """A new picture, of what ``facts`` (their ``repr``) describe completely: from disk or from ``make``.

        ``packed`` deflates it: for pictures that are mostly empty. Modes L, RGB and RGBA.
        """
        folder = self._folder
        if folder is None:
            return make()
        name = _name(facts)
        path = folder / (name.hex() + _SUFFIX)
        kept = _read(path, name)
        if kept is None:
            kept = make()
            self._write(path, name, kept, packed)
        return kept

    def is_sound(self, facts: object) -> bool:
        """Whether its file is there and undamaged; what is not is removed."""
        folder = self._folder
        if folder is None:
            return False
        name = _name(facts)
        path = folder / (name.hex() + _SUFFIX)
        if _read(path, name, every_byte=True) is not None:
            return True
        with contextlib.suppress(OSError):
            path.unlink()
        return False

    def _write(self, path: Path, name: bytes, picture: Image.Image, packed: bool) -> None:
        """Under another name first, so that nobody ever reads half a file, not even after a power failure."""
        body = zlib.compress(picture.tobytes(), 1) if packed else picture.tobytes()
        head = _HEAD.pack(_MAGIC, picture.mode.encode(), *picture.size, packed, zlib.crc32(body), name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            number, draft = tempfile.mkstemp(prefix=".", dir=path.parent)
            try:
                _make_room(path.parent, self._most_bytes - len(body), os.fstat(number).st_mtime)
                with os.fdopen(number, "wb") as file:
                    file.writelines((head, body))
                    file.flush()
                    os.fsync(number)
                os.replace(draft, path)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(draft)
                raise
        except OSError:  # full, read-only, not ours: this process tries no more
            self._folder = None


def _read(path: Path, name: bytes, every_byte: bool = False) -> Image.Image | None:
    """The picture of a file that is ours and whole; None for any other."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, _MAP_FLAGS, mmap.PROT_READ) as data:
            os.utime(file.fileno())
            with memoryview(data) as view:
                return _picture(view, name, every_byte)
    except (OSError, ValueError, zlib.error):  # ValueError: an empty file
        return None


def _picture(data: memoryview, name: bytes, every_byte: bool) -> Image.Image | None:
    if len(data) < _HEAD.size:
        return None
    magic, mode, width, height, packed, checksum, whose = _HEAD.unpack_from(data)
    kind = mode.rstrip(b"\0").decode("latin-1")
    size = width * height * _BANDS.get(kind, 0)
    with data[_HEAD.size:] as body:
        if (magic, whose) != (_MAGIC, name) or not size or max(width, height) > _MOST_SIDE:
            return None
        if (packed or every_byte) and checksum != zlib.crc32(body):
            return None
        if packed:
            pixels = zlib.decompressobj().decompress(body, size + 1)
            return Image.frombytes(kind, (width, height), pixels) if len(pixels) == size else None
        return Image.frombytes(kind, (width, height), body) if len(body) == size else None


def _make_room(folder: Path, most_bytes: int, now: float) -> None:
    """Removes the least recently used files until the rest has ``most_bytes``, and drafts that nobody finished."""
    found = []
    for entry in os.scandir(folder):
        with contextlib.suppress(OSError):  # another process removed it
            stat = entry.stat()
            if entry.name.endswith(_SUFFIX):
                found.append((stat.st_mtime, stat.st_size, entry.path))
            elif entry.name.startswith(".") and now - stat.st_mtime > _LEFT_OVER_SECONDS:
                os.unlink(entry.path)
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= most_bytes:
            return
        with contextlib.suppress(OSError):
            os.unlink(path)
        total -= size


def _name(facts: object) -> bytes:
    return hashlib.blake2b(f"{_edition()}{facts!r}".encode(), digest_size=16).digest()


@cache
def _edition() -> str:
    """Changes with everything but the facts that pixels depend on."""
    numpy = Path(PIL.__file__).parents[1] / "numpy" / "version.py"  # a neighbour; importing it would take 20 MB
    drawn_by = hashlib.blake2b(f"{PIL.__version__} {uharfbuzz.__version__}".encode(), digest_size=16)
    for source in (*sorted(Path(__file__).parent.glob("*.py")), *([numpy] if numpy.exists() else [])):
        drawn_by.update(source.read_bytes())
    sizes = [file.stat().st_size for file in (fonts.TEXT_FILE, fonts.EMOJI_FILE, fonts.SERIF_FILE)]
    return f"{drawn_by.hexdigest()} {sizes}"
