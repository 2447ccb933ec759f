"""What a message is worth to its sender is counted once, whichever process of the service its retries reach."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text

from bot.kit.context import Context
from bot.kit.conversation import Answer
from bot.kit.filters import Intent
from bot.kit.messages import Incoming
from bot.kit.router import Router
from bot.runtime.dispatch import Dispatcher
from bot.runtime.recent import Recent
from domain.platform import service as platform
from tests.fakes.shop import ACCOUNT, Shop

Message = Callable[..., Incoming]


@pytest.fixture
def li(shop: Shop, message: Message) -> None:
    """Somebody who wrote and tapped before, to this process, half a day ago."""
    shop.runtime.dispatcher.handle(message("你好"))
    shop.runtime.dispatcher.handle(tapped(message()))
    shop.clock.advance(12 * 3600)


def tapped(message: Incoming) -> Incoming:
    """The same said by a tap on a menu that was sent."""
    return replace(message, data={"bizmsgmenuid": "1"})


def other_process(shop: Shop) -> Dispatcher:
    """It has met the same people, and knows nothing of what was answered elsewhere."""
    return replace(shop.runtime.dispatcher, recent=Recent())


def use(shop: Shop, rights: int = 1) -> None:
    """Messages are sent to the sender."""
    for _ in range(rights):
        with shop.runtime.sessions.begin() as session:
            assert platform.take(session, ACCOUNT, "oLi", shop.clock.now())


def worth(shop: Shop) -> Any:
    with shop.runtime.engine.connect() as db:
        return db.execute(text(
            "select r.tap_left, r.tap_until, r.message_left, r.message_until, i.seen_at from send_right r"
            " join identity i on i.value = r.openid where r.openid = 'oLi'")).one()


KINDS: dict[str, Callable[[Incoming], Incoming]] = {"written": lambda message: message, "tapped": tapped}


@pytest.mark.parametrize("seconds", [0, 5, 50, 7200])
@pytest.mark.parametrize("kind", KINDS)
def test_a_retry_that_reaches_another_process_opens_no_window(
    shop: Shop, message: Message, li: None, kind: str, seconds: int
) -> None:
    incoming = KINDS[kind](message())
    reply = shop.runtime.dispatcher.handle(incoming)
    assert reply.text
    fresh = worth(shop)
    use(shop, 2)
    used = worth(shop)
    assert used != fresh
    shop.clock.advance(seconds)
    assert other_process(shop).handle(incoming) == reply
    assert worth(shop) == used


@pytest.mark.parametrize("kind", KINDS)
def test_a_retry_that_is_overtaken_by_its_first_try_opens_no_window(
    shop: Shop, message: Message, li: None, kind: str
) -> None:
    """The retry has read, and is still at work when the first try is answered, and a message is sent to its sender."""
    incoming, used = KINDS[kind](message()), list[Any]()

    def meanwhile(ctx: Context) -> Answer:
        if not used:
            shop.runtime.dispatcher.handle(incoming)
            use(shop)
            used.append(worth(shop))
        return ctx.say("chat.late", said="late")

    def nothing(_people: Sequence[int], _now: datetime) -> Sequence[tuple[str, Any]]:
        return ()

    router = Router("test")
    router.on(Intent("wallet.balance"), asks=nothing)(meanwhile)
    reply = replace(other_process(shop), router=router).handle(incoming)
    assert reply == shop.runtime.dispatcher.handle(incoming)
    assert [worth(shop)] == used
