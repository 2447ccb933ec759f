"""``python -m bot order send``: signed order events to a running instance, as a shop's system would send them."""

import base64
import hashlib
import hmac
import json
import random
import sys
import time
import urllib.error
import urllib.request
import uuid
from datetime import UTC, datetime
from typing import Any

import click

from bot.runtime.cli.common import MAX_ID, complain, json_option, load_settings
from bot.runtime.secret import Secret
from bot.runtime.settings import Settings


@click.group()
def order() -> None:
    """Send order events, for trying things out."""


@order.command()
@click.option("--order-id", default="", help="Number of the order (default: a new one).")
@click.option("--sku", default="RICE-5KG", show_default=True, help="What was bought.")
@click.option("--title", default="", help="Title of the product (default: the sku).")
@click.option("--category", default="fmcg", show_default=True, help="Category of the product.")
@click.option("--fen", type=click.IntRange(1, MAX_ID), default=9900, show_default=True,
              help="Paid for the goods, in fen.")
@click.option("--quantity", type=click.IntRange(1, MAX_ID), default=1, show_default=True, help="How many.")
@click.option("--buyer-openid", required=True, help="OpenID of the buyer.")
@click.option("--app-id", default="", help="AppID of that OpenID (default: the first account of the settings).")
@click.option("--share-code", default="", help="Referral code that the order came with.")
@click.option("--refund", "refund_fen", type=click.IntRange(0, MAX_ID), default=0, help="Then refund this many fen.")
@click.option("--receive", is_flag=True, help="Then report the goods as received.")
@click.option("--no-pay", is_flag=True, help="Leave out order.paid: only refund or receive (with --order-id).")
@click.option("--dup", type=click.IntRange(1, 50), default=1, show_default=True, help="Send every event this often.")
@click.option("--shuffle", is_flag=True, help="Send in random order.")
@click.option("--source", default="", help="Name of the shop system (default: the first of the settings).")
@click.option("--url", default="", help="Instance to send to (default: the one of the settings).")
@json_option
def send(as_json: bool, dup: int, shuffle: bool, source: str, url: str, **order: Any) -> None:
    """Send the events of one order: paid, and on request refunded and received.

    \b
    Examples:
      python -m bot order send --buyer-openid oNewcomer --sku RICE-5KG --fen 9900 --share-code k7Qm2x
      python -m bot order send --buyer-openid oNewcomer --refund 3300 --receive --dup 3 --shuffle
    """
    settings = load_settings(beside=True)
    source = source or next(iter(settings.api), "")
    if source not in settings.api:
        complain(f"there is no shop system {source!r} in the accounts file ([api.…])", 2)
    if not order["app_id"]:
        order["app_id"] = next((account.app_id for account in settings.wechat.values()), "")
    events = events_of(order, datetime.now(UTC)) * dup
    if shuffle:
        random.shuffle(events)
    secret = settings.api[source].webhook_secrets[0]
    target = f"{url.rstrip('/') or _address(settings)}/api/v1/events/{source}"
    results = [{"type": event["type"], "id": event["id"], **post(target, event, secret)} for event in events]
    if as_json:
        click.echo(json.dumps(results, ensure_ascii=False, indent=2))
    else:
        for result in results:
            click.echo(f"{result['type']:<16} {result['id']:<40} {result['status']} {result['answer']}")
    sys.exit(0 if all(result["status"] == 202 for result in results) else 1)


def events_of(order: dict[str, Any], now: datetime) -> list[dict[str, Any]]:
    """The events that ``order`` (the command's options) asks for, in the order in which they happen."""
    number, at = order["order_id"] or f"T{uuid.uuid4().hex[:10].upper()}", now.isoformat(timespec="seconds")
    common = {"order_id": number, "channel": "mall"}
    events = []
    if not order["no_pay"]:
        line = {"line_id": "1", "sku": order["sku"], "title": order["title"] or order["sku"],
                "category": order["category"], "quantity": order["quantity"], "paid_fen": order["fen"]}
        paid = {**common, "currency": "CNY", "paid_at": at, "lines": [line], "paid_fen": order["fen"],
                "shipping_fen": 0, "buyer": {"openid": order["buyer_openid"], "app_id": order["app_id"]}}
        if order["share_code"]:
            paid["share_code"] = order["share_code"]
        events.append(("order.paid", "paid", paid))
    if order["receive"]:
        events.append(("order.received", "received", {**common, "received_at": at}))
    if order["refund_fen"]:
        refund = f"R-{uuid.uuid4().hex[:8]}"
        line = {"line_id": "1", "refund_fen": order["refund_fen"], "quantity": 0}
        events.append(("order.refunded", refund, {**common, "refund_id": refund, "refunded_at": at, "lines": [line]}))
    return [{"id": f"evt_{number}_{name}", "type": kind, "occurred_at": at, "data": data}
            for kind, name, data in events]


def signed_headers(secret: Secret, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of Standard Webhooks for ``body``."""
    key = base64.b64decode(secret.reveal().removeprefix("whsec_"))
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp),
            "webhook-signature": "v1," + base64.b64encode(digest).decode()}


def post(target: str, event: dict[str, Any], secret: Secret) -> dict[str, Any]:
    """Send one event; returns ``{"status", "answer"}``, status 0 when nobody answered."""
    body = json.dumps(event, ensure_ascii=False).encode()
    headers = signed_headers(secret, event["id"], int(time.time()), body) | {"content-type": "application/json"}
    request = urllib.request.Request(target, body, headers, method="POST")  # noqa: S310 - an address of ours
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            return {"status": response.status, "answer": response.read().decode(errors="replace").strip()}
    except urllib.error.HTTPError as error:
        with error:
            return {"status": error.code, "answer": error.read().decode(errors="replace").strip()}
    except OSError as error:
        return {"status": 0, "answer": f"no answer from {target}: {getattr(error, 'reason', error)}"}


def _address(settings: Settings) -> str:
    return f"http://127.0.0.1:{settings.port}"
