"""One message, one transaction: retries, races, faults and the sweeper."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from sqlalchemy import text

from bot.kit.context import Context
from bot.kit.conversation import Answer
from bot.kit.filters import Kind
from bot.kit.messages import Incoming, Reply
from bot.kit.router import Router
from bot.runtime.dispatch import Dispatcher
from domain.inbox import service as inbox
from domain.notices import service as notices
from tests.fakes.shop import Shop
from tests.together import at_once, until_waiting

Message = Callable[..., Incoming]


def with_handler(shop: Shop, handler: Callable[[Context], Answer]) -> Dispatcher:
    """The shop's dispatcher with one handler for every text."""
    router = Router("test")
    router.on(Kind("text"))(handler)
    return replace(shop.runtime.dispatcher, router=router)


def rows(shop: Shop, query: str) -> list[tuple[object, ...]]:
    with shop.runtime.sessions() as session:
        return [tuple(row) for row in session.execute(text(query))]


def test_a_retry_that_arrives_during_the_first_run_waits_and_gets_the_same_reply(shop: Shop, message: Message) -> None:
    runs: list[int] = []
    inside, go = threading.Event(), threading.Event()

    def slow(ctx: Context) -> Answer:
        runs.append(1)
        inside.set()
        assert go.wait(10)
        return ctx.say("chat.cancelled")

    dispatcher, incoming, replies = with_handler(shop, slow), message("慢"), list[Reply]()
    threads = [threading.Thread(target=lambda: replies.append(dispatcher.handle(incoming))) for _ in range(3)]
    threads[0].start()
    assert inside.wait(10)
    for thread in threads[1:]:
        thread.start()
    assert until_waiting(shop.runtime.engine, 2)
    assert replies == [], "nobody is answered before the first run has ended"
    go.set()
    for thread in threads:
        thread.join(10)
    assert len(runs) == 1
    assert len(set(replies)) == 1
    assert rows(shop, "select count(*) from inbox_message") == [(1,)]


def test_messages_of_one_person_are_handled_one_after_the_other(shop: Shop, message: Message) -> None:
    inside: list[str] = []
    most: list[int] = []
    lock = threading.Lock()

    def watched(ctx: Context) -> Answer:
        with lock:
            inside.append(ctx.message.dedupe_key)
            most.append(len(inside))
        time.sleep(0.02)
        with lock:
            inside.remove(ctx.message.dedupe_key)
        return ctx.say("chat.cancelled")

    dispatcher = with_handler(shop, watched)
    dispatcher.handle(message())
    at_once(*(partial(dispatcher.handle, message()) for _ in range(8)))
    assert max(most) == 1
    assert rows(shop, "select count(*) from inbox_message where state = 'done'") == [(9,)]


def test_people_do_not_wait_for_each_other(shop: Shop, message: Message) -> None:
    together = threading.Barrier(4)

    def meet(ctx: Context) -> Answer:
        together.wait(10)
        return ctx.say("chat.cancelled")

    dispatcher = with_handler(shop, meet)
    at_once(*(partial(dispatcher.handle, message(sender=f"o{n}")) for n in range(4)))
    assert rows(shop, "select count(*) from inbox_message where state = 'done'") == [(4,)]


def test_one_new_person_in_twenty_threads_is_one_person(shop: Shop, message: Message) -> None:
    at_once(*(partial(shop.runtime.dispatcher.handle, message(sender="oNew")) for _ in range(20)))
    assert rows(shop, "select count(distinct person_id), count(*) from inbox_message where state = 'done'") == [(1, 20)]


def test_a_failing_handler_leaves_nothing_but_the_failed_message(shop: Shop, message: Message) -> None:
    def fails(ctx: Context) -> Answer:
        notices.tell(ctx.session, notices.Notice(ctx.speaker.id, "service", "half-done", "chat.cancelled", {}), ctx.now)
        raise RuntimeError("broken on purpose")

    reply = with_handler(shop, fails).handle(message())
    assert "正在重新处理" in reply.text
    assert rows(shop, "select state, attempts, error from inbox_message") == [
        ("failed", 1, "RuntimeError: broken on purpose")]
    assert rows(shop, "select count(*) from outbox where kind = 'notice.text'") == [(0,)]


def test_a_retry_of_a_failed_message_is_acknowledged_and_left_to_the_sweeper(shop: Shop, message: Message) -> None:
    def fails(ctx: Context) -> Answer:
        raise RuntimeError("broken on purpose")

    incoming, dispatcher = message(), with_handler(shop, fails)
    dispatcher.handle(incoming)
    assert dispatcher.handle(incoming).kind == "nothing"
    assert rows(shop, "select attempts from inbox_message") == [(1,)]


def test_the_sweeper_handles_it_later_and_the_answer_goes_out_as_a_notice(shop: Shop, message: Message) -> None:
    def fails(ctx: Context) -> Answer:
        raise RuntimeError("broken on purpose")

    li = shop.person("李姐")
    with_handler(shop, fails).handle(message(sender=li.openid))
    assert not shop.runtime.dispatcher.retry_failed(), "not due yet"
    shop.wait(seconds=2)
    assert rows(shop, "select distinct state from inbox_message") == [("done",)]
    li.saw("让您久等了", "可提现 ¥0.00")


def test_a_message_that_fails_for_ever_is_dead_after_five_tries_and_blocks_nobody(
    shop: Shop, message: Message
) -> None:
    def fails(ctx: Context) -> Answer:
        raise RuntimeError("broken on purpose")

    dispatcher = with_handler(shop, fails)
    dispatcher.handle(message(sender="oBad"))
    for _ in range(5):
        shop.clock.advance(200)
        dispatcher.retry_failed()
    assert rows(shop, "select state, attempts from inbox_message") == [("dead", 5)]
    assert shop.runtime.dispatcher.handle(message(sender="oGood")).kind == "text"


def test_a_dialogue_is_forgotten_after_half_an_hour(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("换风格")
    shop.wait(minutes=31)
    li.says("2").sees("没太听懂")


def test_an_exact_command_leaves_a_dialogue(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("换风格")
    li.says("佣金").sees("可提现")
    li.says("2").sees("没太听懂")


def test_a_dialogue_asks_again_until_it_is_answered_or_cancelled(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("换风格").says("99").sees("1 到 5")
    li.says("取消").sees("已取消")
    li.says("2").sees("没太听懂")


def test_a_commit_whose_acknowledgement_was_lost_is_answered_with_the_stored_reply(
    shop: Shop, message: Message
) -> None:
    incoming = message()
    answered = shop.runtime.dispatcher.handle(incoming)
    with shop.runtime.sessions.begin() as session:
        stored = inbox.keep_failed(session, incoming.account, incoming.dedupe_key, "text", incoming.to_json(), "lost",
                                   shop.clock.now())
    assert stored == answered.to_json()
    assert rows(shop, "select state from inbox_message") == [("done",)]
