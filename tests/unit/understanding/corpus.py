"""Reads the phrases of tests/fixtures/phrases.toml and judges answers to them."""

import tomllib
import zlib
from dataclasses import dataclass
from pathlib import Path

from bot.runtime.understanding import Understanding, understand

_FILE = Path(__file__).parents[2] / "fixtures" / "phrases.toml"


@dataclass(frozen=True)
class Phrase:
    """``expected``: intent names that are right; "?" stands for asking back or none."""

    group: str
    text: str
    expected: tuple[str, ...]
    argument: str | None

    @property
    def held_out(self) -> bool:
        """A third of the phrases, never looked at while tuning, and all that were written afterwards."""
        return self.group in ("fresh", "walked") or zlib.crc32(self.text.encode()) % 3 == 0

    @property
    def heard(self) -> Understanding:
        return understand(self.text)

    @property
    def is_right(self) -> bool:
        heard = self.heard
        return (heard.intent or "?") in self.expected and self.argument in (None, heard.argument)


def phrases() -> list[Phrase]:
    groups = tomllib.loads(_FILE.read_text("utf-8"))
    return [
        Phrase(name, row[0], tuple(row[1].split("|")), row[2] if len(row) > 2 else None)
        for name, group in groups.items()
        for row in group["rows"]
    ]
