"""The specification of the shop's API, made from its table."""

from functools import cache
from typing import Any

from handlers.web.api import event_shapes
from handlers.web.api.event_door import MAX_EVENTS
from handlers.web.api.operations import Operation
from handlers.web.api.signature import TOLERANCE_SECONDS
from handlers.web.api.specification import Api, document
from handlers.web.api.table import EVERY_OPERATION, OPERATIONS, PREFIX

VERSION = "1.0.0"

_SIGNED: list[dict[str, list[str]]] = [{"webhookId": [], "webhookTimestamp": [], "webhookSignature": []}]
_KEYED: list[dict[str, list[str]]] = [{"apiKey": []}]

_PATH_PARAMETERS = {
    "source": "The name of your system, as in the shop's accounts file.",
    "person_id": "A person's id.",
    "code": "The coupon's code.",
    "channel": "Where the order was sold.",
    "order_id": "The order's number there.",
}

_SECURITY = {
    "apiKey": {"type": "http", "scheme": "bearer", "description": "The api_key of the accounts file."},
    "webhookId": {"type": "apiKey", "in": "header", "name": "webhook-id",
                  "description": "Unique for this message; visible ASCII without a full stop."},
    "webhookTimestamp": {"type": "apiKey", "in": "header", "name": "webhook-timestamp",
                         "description": f"Unix seconds, within {TOLERANCE_SECONDS} s of now."},
    "webhookSignature": {"type": "apiKey", "in": "header", "name": "webhook-signature", "description": (
        "v1,<base64 HMAC-SHA256 of id.timestamp.body under the decoded whsec_ secret>; several entries are "
        "separated by spaces, one must hold. Standard Webhooks, www.standardwebhooks.com.")},
}


@cache
def specification() -> dict[str, Any]:
    """The whole document. Callers must not change it."""
    return document(Api(
        title="Huitou API", version=VERSION, description=(
            "Report what happens in the shop, read what became of it. Money is integer fen, rates are basis points, "
            "times are ISO 8601 with an offset. Answers may gain fields; ignore what you do not know."),
        prefix=PREFIX, operations=OPERATIONS, schemes=_SECURITY, every=EVERY_OPERATION, places=_PATH_PARAMETERS,
        security=lambda operation: _KEYED if operation.call else _SIGNED, finish=_examples, taken=_taken,
    ))


def _examples(components: dict[str, Any]) -> None:
    for kind, data in event_shapes.EXAMPLES.items():
        name = "".join(part.title() for part in kind.split("."))
        components[name]["examples"] = [event_shapes.example(kind)]
        components[name]["properties"]["data"].setdefault("examples", [data])


def _taken(operation: Operation) -> str:
    return f"Stored, up to {MAX_EVENTS} events." if operation.call is None else "Done."
