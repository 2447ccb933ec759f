"""Request bodies: never more than the cap in memory, and JSON without the parts on which parsers disagree."""

import json
from typing import Any

import msgspec
from flask import Request

from handlers.web.api.problems import Refusal, invalid
from handlers.web.api.shapes import Fault

MAX_EVENT_BODY = 1024 * 1024
MAX_SMALL_BODY = 16 * 1024

_CHUNK = 64 * 1024
_SHORTEST_MEMBER = len('"":0,')


def read(request: Request, most: int) -> bytes:
    """The raw body. Raises Refusal 413 as soon as it is known to exceed ``most`` bytes, also without a length."""
    if (request.content_length or 0) > most:
        raise too_large(most)
    parts: list[bytes] = []
    size = 0
    while chunk := request.stream.read(min(_CHUNK, most + 1 - size)):
        parts.append(chunk)
        size += len(chunk)
        if size > most:
            raise too_large(most)
    return b"".join(parts)


def too_large(most: int) -> Refusal:
    advice = " Send fewer events at once." if most == MAX_EVENT_BODY else ""
    return Refusal(413, "too_large", f"A body may have {most} bytes.{advice}", headers={"Connection": "close"})


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in ``body``. Raises Refusal 422 for anything else.

    UTF-8 only and no byte order mark; no NaN, Infinity, number beyond 64 bit floats, lone surrogate or nesting
    deeper than the interpreter's limit; no name twice at the top, where parsers would disagree which one was signed.
    """
    try:
        content = msgspec.json.decode(body)
    except RecursionError:
        raise _malformed("is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeError, ValueError):
        raise _malformed("is not valid JSON in UTF-8") from None
    if not isinstance(content, dict):
        raise _malformed("must be an object")
    if name_twice(body):
        raise _malformed("has a name twice at the top")
    return content


def name_twice(body: bytes) -> bool:
    """Whether the top object has a name twice. ``body`` is known to be valid JSON.

    Written again without spaces, the object only shrinks; a second member of a name takes away five bytes or more.
    So most bodies are done after one quick pass, and only the others are parsed again with all their members.
    """
    members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    if len(body) - len(msgspec.json.encode(members)) < _SHORTEST_MEMBER:
        return False
    counts: list[bool] = []

    def note(pairs: list[tuple[str, Any]]) -> None:
        counts.append(len({name for name, _ in pairs}) != len(pairs))

    try:
        json.loads(body.decode(), object_pairs_hook=note)
    except (ValueError, RecursionError):
        return True
    return counts[-1]


def _malformed(message: str) -> Refusal:
    return invalid([Fault("", message)])
