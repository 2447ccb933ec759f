"""What the files of assets say, read once a process: they do not change while it lives."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

Document = TypeVar("Document")


def written(load: Callable[[str], Document], path: Path) -> Document:
    """What ``load`` makes of the text of a file; nobody changes it. Raises what ``load`` raises, every time."""
    found: Document = _read(load, path)
    return found


@cache
def _read(load: Callable[[str], Any], path: Path) -> Any:
    return load(path.read_text("utf-8"))
