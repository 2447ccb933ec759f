"""What a test looks at after a process was killed: what people were told, and what the service says of itself."""

import http.client

from tests.e2e.conftest import Earner, World


def told(world: World, earner: Earner, order: str, times: int | None) -> None:
    """How often an earner was told of an order; None: once, or not at all if the end of the try was not seen."""
    told = sum("佣金到账" in said and f"为什么 {order}」" in said for said in world.api.texts(earner.phone.openid))
    assert told == times if times is not None else told <= 1, f"{order} was told {told} times"


def notice(world: World, order: str) -> tuple[str, bool | None]:
    """State of the notice of an order's commission, and whether its end was not seen."""
    rows = world.house.sql("select state, (result ->> 'maybe_sent')::bool from outbox where kind = 'notice.text' and "
                           "payload -> 'facts' ->> 'order_no' = %s and payload ->> 'key' = 'money.earned'", order)
    return (rows[0][0], rows[0][1]) if rows else ("", None)


def has_pictures(world: World, openid: str, count: int) -> None:
    """So many, and no more."""
    assert len(world.api.pictures(openid)) == count


def ready(world: World) -> int:
    """What /readyz says; 0 if nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", world.house.port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
