"""Reads the JSON of the page's own API: every field checked for its type, refused in Chinese."""

from typing import Any, cast

from flask import request

from bot.simulator import texts
from bot.simulator.errors import SimError
from bot.simulator.wire import json_of

MAX_WHOLE = 2**63 - 1
"""The largest number that the store can take."""


class Fields:
    """The JSON object of the current request. Raises SimError 415 or 422."""

    def __init__(self) -> None:
        body = json_of(request.get_data()) if request.is_json else None
        if not isinstance(body, dict):
            raise SimError(422 if request.is_json else 415, texts.NOT_JSON)
        self._body: dict[str, Any] = body

    def raw(self, name: str, default: Any = None) -> Any:
        return self._body.get(name, default)

    def text(self, name: str, default: str | None = None) -> str:
        value = cast(str, self._typed(name, str, default))
        if "\0" in value:
            raise SimError(422, texts.BAD_CHARACTERS)
        return value

    def whole(self, name: str, default: int | None = None) -> int:
        value = cast(int, self._typed(name, int, default))
        if abs(value) > MAX_WHOLE:
            raise SimError(422, texts.UNKNOWN_FIELD_TYPE.format(field=name))
        return value

    def flag(self, name: str) -> bool:
        return cast(bool, self._typed(name, bool, False))

    def number(self, name: str, default: float | None = None) -> float:
        value = self._body.get(name, default)
        if type(value) is int:
            return float(self.whole(name, value))
        return cast(float, self._typed(name, float, default))

    def maybe_text(self, name: str) -> str | None:
        return None if self._body.get(name) is None else self.text(name)

    def maybe_whole(self, name: str) -> int | None:
        return None if self._body.get(name) is None else self.whole(name)

    def _typed(self, name: str, kind: type, default: Any) -> Any:
        value = self._body.get(name, default)
        if value is None:
            raise SimError(422, texts.MISSING.format(field=name))
        if type(value) is not kind:
            raise SimError(422, texts.UNKNOWN_FIELD_TYPE.format(field=name))
        return value
