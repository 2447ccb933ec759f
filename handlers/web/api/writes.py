"""What a system of the shop may do besides reporting events: burn a coupon. Idempotent."""

from typing import Any

import msgspec

from domain.rewards import service as rewards
from domain.shared.errors import Conflict, DomainError, NotFound
from handlers.web.api import shapes
from handlers.web.api.problems import Refusal, invalid, missing
from handlers.web.api.reads import Asked, coupon_shape

_REASONS = {
    "coupon.used": "The coupon was used for another order.",
    "coupon.returned": "This order used the coupon before and gave it back.",
    "coupon.expired": "The coupon has expired.",
    "coupon.revoked": "The coupon was revoked.",
}


def redeem(asked: Asked) -> shapes.Coupon:
    """Use the coupon of the path for an order; the same order again gets the same answer, another one 409."""
    wanted: shapes.Redeem = asked.body
    try:
        used = rewards.redeem(asked.session, asked.path["code"], wanted.channel, wanted.order_id, asked.now)
    except NotFound:
        raise missing("coupon") from None
    except (Conflict, DomainError) as refusal:
        code = refusal.code.replace(".", "_")
        raise Refusal(409, code, _REASONS.get(refusal.code, "The coupon cannot be used.")) from None
    return coupon_shape(used)


def read_redeem(content: dict[str, Any]) -> shapes.Redeem:
    """The body, or Refusal 422 with every fault."""
    faults = []
    for name in ("order_id", "channel"):
        value = content.get(name)
        if not isinstance(value, str):
            faults.append(shapes.Fault(f"/{name}", "must be a string" if name in content else "is missing"))
        elif not 1 <= len(value) <= 64 or not value.isprintable() or value != value.strip():
            faults.append(shapes.Fault(f"/{name}", "must be 1 to 64 printable characters without spaces around them"))
    if faults:
        raise invalid(faults)
    return msgspec.convert({name: content[name] for name in ("order_id", "channel")}, shapes.Redeem)
