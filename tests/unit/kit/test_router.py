"""Routes: the first that matches answers, and those that are not asked could not have matched."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest

from bot.kit.context import Context, Shop, Speaker
from bot.kit.conversation import Answer, Place, State
from bot.kit.filters import (
    AnyKind,
    Early,
    Event,
    Filter,
    InState,
    Intent,
    Kind,
    Moment,
    NeedsConfirmation,
    PictureAt,
    PlatformEvent,
    Unsure,
)
from bot.kit.messages import NOTHING, Incoming
from bot.kit.router import Router

NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
ASKED = State("draw", "which")
FILTERS: tuple[Filter, ...] = (
    Intent("draw.show"), NeedsConfirmation(), Unsure(), Event("follow"), PlatformEvent(("kf_create_session",)),
    Kind("image"), AnyKind(("text", "voice")), InState(ASKED), PictureAt(ASKED),
)


def contexts() -> Iterator[Context]:
    """Every kind of message at every place, meant in every way."""
    copy: Any = None
    kinds = (("text", ""), ("image", ""), ("event", "follow"), ("event", "menu"), ("event", "other"))
    for (kind, event), place, intent, exactly, confirm in product(
            kinds, ("", str(ASKED), "quiz:first"), ("", "draw.show", "yes"), (True, False), (True, False)):
        message = Incoming("wechat", "shop", "oLi", kind, "msg:1", NOW, event=event,
                           data={"raw_event": "KF_Create_Session"})
        yield Context(message, Speaker(1, "", ""), None, NOW, copy, Shop("", "", ""), Place(place), intent, "",
                      exactly, () if exactly else ("a",), confirm)


@pytest.mark.parametrize("one", FILTERS, ids=repr)
def test_what_may_not_match_does_not(one: Filter) -> None:
    passed = [ctx for ctx in contexts() if one.matches(ctx)]
    assert passed
    moments = [Moment(ctx.intent, ctx.message.kind, ctx.message.event, ctx.place.state) for ctx in passed]
    assert not isinstance(one, Early) or all(one.may_match(moment) for moment in moments)


def test_the_first_of_all_routes_that_matches_is_found() -> None:
    router, child = Router("all"), Router("child")
    for number, one in enumerate(FILTERS):
        (child if number % 2 else router).on(one)(lambda ctx: Answer(NOTHING))
    router.include(child)
    for ctx in contexts():
        first = next((route.handler for route in router.routes() if route.matches(ctx)), None)
        assert router.find(ctx) is first


def test_a_route_that_comes_later_is_found_too() -> None:
    router = Router("grows")
    ctx = next(ctx for ctx in contexts() if ctx.intent == "draw.show" and not ctx.confirm)
    assert router.find(ctx) is None
    assert router.asks("draw.show") is None

    @router.on(Intent("draw.show"), asks=lambda people, now: [("select %s", (people,))])
    def show(ctx: Context) -> Answer:
        return Answer(NOTHING)

    asks = router.asks("draw.show")
    assert router.find(ctx) is show
    assert asks is not None and asks([7], NOW) == [("select %s", ([7],))]
