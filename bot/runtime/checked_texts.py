"""That the texts were checked is remembered beside the data, so that a process need not check them again.

The file is worth something only for the very texts, checks and libraries it was made of: it begins with their
fingerprint. It holds no more than what assets/copy says; one that is missing, foreign or cut short costs a check.
"""

import contextlib
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

Texts = dict[str, tuple[str, frozenset[str]]]
"""Key → the text as it is written, and every placeholder that it has."""
Maybe = dict[str, frozenset[str]]
"""Of the keys that have some: the placeholders that need not be filled."""

_CHECKS = ("checked_texts.py", "voice.py")
"""The code that decides whether a text is good."""


class CheckedTexts:
    """What ``path`` (None: nothing is kept) remembers of the files ``written``, by their names."""

    def __init__(self, path: Path | None, written: Mapping[str, bytes]) -> None:
        self._path, self._written = path, written

    def read(self) -> tuple[Texts, Maybe] | None:
        """The texts, when these very files were found good before."""
        if self._path is None:
            return None
        try:
            told = json.loads(self._path.read_bytes())
            if told["of"] != self._fingerprint():
                return None
            return ({key: (text, frozenset(wanted)) for key, (text, wanted) in told["texts"].items()},
                    {key: frozenset(names) for key, names in told["maybe"].items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def write(self, texts: Texts, maybe: Maybe) -> None:
        """Remember that they are good. A home that cannot be written costs time only."""
        if self._path is None:
            return
        told = {"of": self._fingerprint(), "maybe": {key: sorted(names) for key, names in maybe.items()},
                "texts": {key: (text, sorted(names)) for key, (text, names) in texts.items()}}
        with contextlib.suppress(OSError):
            number, aside = tempfile.mkstemp(dir=self._path.parent, prefix=f"{self._path.name}.")
            try:
                with os.fdopen(number, "w", encoding="utf-8") as file:
                    json.dump(told, file, ensure_ascii=False)
                os.replace(aside, self._path)
            except OSError:
                os.unlink(aside)
                raise

    def _fingerprint(self) -> str:
        known = hashlib.sha256(_of_the_checks())
        for name, content in self._written.items():
            known.update(f"{name} {len(content)}\n".encode())
            known.update(content)
        return known.hexdigest()


@cache
def _of_the_checks() -> bytes:
    """The code that checks, and the versions of what it checks with."""
    code = [Path(__file__).with_name(name).read_bytes() for name in _CHECKS]
    return b"\0".join([sys.version.encode(), version("jinja2").encode(), *code])
