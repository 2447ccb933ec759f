"""Answers of handlers that only read: without the sender's lock, many at once, and never another answer than so."""

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from bot.kit.context import Context
from bot.kit.conversation import Answer, State
from bot.kit.filters import Intent
from bot.kit.messages import Incoming, Reply
from bot.kit.router import Router
from bot.runtime.dispatch import Dispatcher
from domain.shared import trips
from tests.fakes.shop import Shop
from tests.together import at_once, until_waiting

Message = Callable[..., Incoming]
REQUEST: ContextVar[str] = ContextVar("request", default="")
"""Who is served: what a log is told of each request lies in such variables."""
NAME = "select id as person, nickname from person where id = any (%(people)s::bigint[])"


def asks_name(people: Sequence[int], _now: datetime) -> Sequence[tuple[str, Any]]:
    return [(NAME, {"people": people})]


def name(ctx: Context) -> str:
    found: str = trips.rows(ctx.session, NAME, {"people": [ctx.speaker.id]})[0].nickname
    return found


def reading(shop: Shop, handler: Callable[[Context], Answer]) -> Dispatcher:
    """The shop's dispatcher with one handler for 佣金, which says that it asks for the name."""
    router = Router("test")
    router.on(Intent("wallet.balance"), asks=asks_name)(handler)
    return replace(shop.runtime.dispatcher, router=router)


def say_name(ctx: Context) -> Answer:
    return ctx.say("chat.late", said=name(ctx))


class Gone:
    """Nobody can begin a transaction."""

    def begin(self) -> Any:
        raise ConnectionError


def without_transactions(dispatcher: Dispatcher) -> Dispatcher:
    return replace(dispatcher, sessions=Gone())


@contextmanager
def changing(shop: Shop, statement: str) -> Iterator[None]:
    """A transaction of somebody else, open inside the block."""
    with shop.runtime.engine.begin() as db:
        db.execute(text(statement))
        yield


def one(shop: Shop, query: str) -> Any:
    with shop.runtime.engine.connect() as db:
        return db.execute(text(query)).scalar_one()


def replies_at_once(dispatcher: Dispatcher, messages: Sequence[Incoming]) -> list[Reply]:
    """The replies to messages that come at the same time."""

    def handle(one: Incoming) -> Reply:
        REQUEST.set(one.sender)
        return dispatcher.handle(one)

    return at_once(*(partial(handle, one) for one in messages))


@pytest.fixture
def li(shop: Shop, message: Message) -> None:
    """Somebody who wrote before, to this process."""
    shop.runtime.dispatcher.handle(message("你好"))


def test_who_only_asks_is_answered_without_a_transaction_of_their_own(shop: Shop, message: Message, li: None) -> None:
    first, again = message(), message()
    usual = shop.runtime.dispatcher.handle(first)
    assert without_transactions(shop.runtime.dispatcher).handle(again) == usual
    assert one(shop, "select count(*) from inbox_message where state = 'done' and payload ->> 'text' = '佣金'"
                     " and person_id is not null") == 2


def test_different_words_travel_together(shop: Shop, message: Message) -> None:
    senders, words = [f"o{number}" for number in range(12)], ["佣金", "帮助", "谢谢"]
    for sender in senders:
        shop.runtime.dispatcher.handle(message("你好", sender))
    alone = {word: shop.runtime.dispatcher.handle(message(word, "o0")) for word in words}
    asked = [words[number % 3] for number in range(12)]
    for _ in range(3):
        together = [message(word, sender) for word, sender in zip(asked, senders, strict=True)]
        heard = replies_at_once(without_transactions(shop.runtime.dispatcher), together)
        assert heard == [alone[word] for word in asked]


def test_a_greeting_to_a_human_who_was_asked_for_reaches_them(shop: Shop, message: Message, li: None) -> None:
    shop.runtime.dispatcher.handle(message("人工 发错货了"))
    first, second = (shop.runtime.dispatcher.handle(message("在吗")) for _ in range(2))
    assert first.text and first != shop.runtime.dispatcher.handle(message("在吗", "oWang"))
    assert second.kind == "nothing", "the bot is silent while a human is waited for"


@pytest.mark.parametrize("words", ["佣金", "积分", "帮助", "你好", "在吗", "谢谢", "再见"])
def test_what_needs_no_lock_is_answered_as_under_it(shop: Shop, message: Message, li: None, words: str) -> None:
    locked = replace(shop.runtime.dispatcher, reading=None).handle(message(words))
    assert without_transactions(shop.runtime.dispatcher).handle(message(words)) == locked
    assert locked.text


def test_many_who_ask_at_once_hear_each_of_their_own(shop: Shop, message: Message) -> None:
    senders = [f"o{number}" for number in range(12)]
    for sender in senders:
        shop.runtime.dispatcher.handle(message("你好", sender))
    with shop.runtime.engine.begin() as db:
        db.execute(text("update person set nickname = 'n' || i.value from identity i where i.person_id = person.id"))
    dispatcher = without_transactions(reading(shop, say_name))
    for _ in range(3):
        replies = replies_at_once(dispatcher, [message(sender=sender) for sender in senders])
        assert [sender for sender, reply in zip(senders, replies, strict=True) if f"no{sender[1:]}" not in reply.text
                ] == []
    assert one(shop, "select count(*) from inbox_message m join person p on p.id = m.person_id"
                     " where strpos(m.reply ->> 'text', p.nickname) > 0 and p.nickname <> ''") == 36


def test_one_person_who_asks_twice_at_once_is_answered_twice(shop: Shop, message: Message, li: None) -> None:
    assert len(set(replies_at_once(shop.runtime.dispatcher, [message() for _ in range(8)]))) == 1
    assert one(shop, "select count(*) from inbox_message") == 9


def test_a_message_that_comes_eight_times_at_once_is_kept_once(shop: Shop, message: Message, li: None) -> None:
    incoming = message()
    assert len(set(replies_at_once(shop.runtime.dispatcher, [incoming] * 8))) == 1
    assert one(shop, "select count(*) from inbox_message") == 2


def test_a_message_that_is_on_one_crossing_many_times_has_one_reply(shop: Shop, message: Message, li: None) -> None:
    """Both boats are away with others when it comes, so all its tries go together."""
    for sender in ("oWang", "oZhao"):
        shop.runtime.dispatcher.handle(message("你好", sender))
    away, back, runs = threading.Barrier(3), threading.Event(), itertools.count()

    def slow(ctx: Context) -> Answer:
        if ctx.message.sender != "oLi":
            away.wait(10)
            assert back.wait(10)
        return ctx.say("chat.late", said=f"{name(ctx)} {next(runs)}")

    dispatcher, incoming, replies = reading(shop, slow), message(), list[Reply]()
    others = [threading.Thread(target=dispatcher.handle, args=(message(sender=who),)) for who in ("oWang", "oZhao")]
    tries = [threading.Thread(target=lambda: replies.append(dispatcher.handle(incoming))) for _ in range(6)]
    for thread in others:
        thread.start()
    away.wait(10)
    for thread in tries:
        thread.start()
    threading.Event().wait(0.3)  # for all to be waiting; who comes later changes nothing
    back.set()
    for thread in (*others, *tries):
        thread.join(10)
    assert (len(replies), len(set(replies))) == (6, 1)
    kept = "select reply ->> 'text' from inbox_message where payload ->> 'sender' = 'oLi' order by id desc limit 1"
    assert one(shop, kept) == replies[0].text


def test_a_retry_that_overtakes_the_first_try_leaves_one_reply(shop: Shop, message: Message, li: None) -> None:
    """The first try has read, and is still at work when its retry is answered; what it says then does not count."""
    inside, go, runs = threading.Event(), threading.Event(), list[int]()

    def slow(ctx: Context) -> Answer:
        said = f"{name(ctx)} {len(runs)}"
        runs.append(1)
        if len(runs) == 1:
            inside.set()
            assert go.wait(10)
        return ctx.say("chat.late", said=said)

    dispatcher, incoming, replies = reading(shop, slow), message(), list[Reply]()
    first = threading.Thread(target=lambda: replies.append(dispatcher.handle(incoming)))
    first.start()
    assert inside.wait(10)
    retry = dispatcher.handle(incoming)
    go.set()
    first.join(10)
    assert replies == [retry]
    assert one(shop, "select count(*) from inbox_message where kind = 'text'") == 2


@pytest.mark.parametrize("change", [
    "update person set nickname = 'new'",
    "update person set nickname = ''",  # as an erasure does, whatever they were called
    "insert into person (joined_at) values (now())",
])
def test_who_was_changed_since_they_were_read_is_read_again(
    shop: Shop, message: Message, li: None, change: str
) -> None:
    runs: list[str] = []

    def meanwhile(ctx: Context) -> Answer:
        runs.append(name(ctx))
        if len(runs) == 1:
            with changing(shop, change):
                pass
        return ctx.say("chat.late", said=f"{name_of(runs)} {len(runs)}")

    reply = reading(shop, meanwhile).handle(message())
    touched = not change.startswith("insert")
    assert len(runs) == 1 + touched
    assert str(len(runs)) in reply.text
    assert one(shop, "select reply ->> 'text' from inbox_message order by id desc limit 1") == reply.text


def name_of(runs: list[str]) -> str:
    return runs[-1]


def test_who_is_busy_with_another_message_is_waited_for(shop: Shop, message: Message, li: None) -> None:
    dispatcher, replies = reading(shop, say_name), list[Reply]()
    thread = threading.Thread(target=lambda: replies.append(dispatcher.handle(message())))
    with changing(shop, "update person set nickname = 'after'"):
        thread.start()
        assert until_waiting(shop.runtime.engine, ended=lambda: not thread.is_alive())
        assert replies == []
    thread.join(10)
    assert "after" in replies[0].text


def test_others_do_not_wait_for_who_is_busy(shop: Shop, message: Message, li: None) -> None:
    """As many are busy as there are boats; they are waited for by whoever brings their message, alone."""
    dispatcher, others = reading(shop, say_name), [f"oXin{number}" for number in range(4)]
    for sender in ("oWang", *others):
        shop.runtime.dispatcher.handle(message("你好", sender))
    busy = [threading.Thread(target=dispatcher.handle, args=(message(sender=who),)) for who in ("oLi", "oWang")]
    waits = text("select strpos(query, 'insert into inbox_message') from pg_stat_activity"
                 " where datname = current_database() and wait_event_type = 'Lock'")
    with shop.runtime.engine.connect() as watcher, changing(
            shop, "update person set nickname = 'busy' where id in (select person_id from identity"
                  " where value in ('oLi', 'oWang'))"):
        for thread in busy:
            thread.start()
        while len(found := watcher.execute(waits).scalars().all()) < len(busy):
            watcher.rollback()
        assert found == [0, 0], "nobody waits on a crossing"
        replies = replies_at_once(without_transactions(dispatcher), [message(sender=sender) for sender in others])
        assert len(replies) == 4
        assert all(thread.is_alive() for thread in busy)
    for thread in busy:
        thread.join(10)
    assert one(shop, "select count(*) from inbox_message where state = 'done'") == 12


def test_whoever_is_worked_for_by_another_thread_is_known_there(shop: Shop, message: Message) -> None:
    senders, seen = [f"o{number}" for number in range(12)], list[tuple[str, str]]()
    for sender in senders:
        shop.runtime.dispatcher.handle(message("你好", sender))

    def note(ctx: Context) -> Answer:
        seen.append((ctx.message.sender, REQUEST.get()))
        return say_name(ctx)

    for _ in range(3):
        replies_at_once(reading(shop, note), [message(sender=sender) for sender in senders])
    assert len(seen) == 36
    assert [pair for pair in seen if pair[0] != pair[1]] == []


def test_who_asks_more_than_was_foreseen_is_run_again_with_a_session(shop: Shop, message: Message, li: None) -> None:
    runs: list[int] = []

    def more(ctx: Context) -> Answer:
        runs.append(1)
        ctx.session.execute(text("update person set nickname = 'kept' where id = :id"), {"id": ctx.speaker.id})
        return ctx.say("chat.late", said="more")

    reply = reading(shop, more).handle(message())
    assert ("more" in reply.text, len(runs)) == (True, 2)
    assert one(shop, "select count(*) from person where nickname = 'kept'") == 1


def test_who_opens_a_dialogue_stands_in_it(shop: Shop, message: Message, li: None) -> None:
    place = State("test", "asked")
    reading(shop, lambda ctx: ctx.ask("chat.late", place, said=name(ctx))).handle(message())
    assert one(shop, "select state from conversation") == str(place)


def test_who_stands_in_a_dialogue_is_answered_there(shop: Shop, message: Message, li: None) -> None:
    """A known place means the sender's lock: the dialogue may be about to move."""
    reading(shop, lambda ctx: ctx.ask("chat.late", State("test", "asked"), said="")).handle(message())
    with pytest.raises(ConnectionError):
        without_transactions(reading(shop, say_name)).handle(message())
    reading(shop, say_name).handle(message())
    assert one(shop, "select count(*) from conversation") == 0


def test_a_fault_of_a_reader_is_kept_for_the_sweeper(shop: Shop, message: Message, li: None) -> None:
    def broken(ctx: Context) -> Answer:
        raise ZeroDivisionError(name(ctx))

    reading(shop, broken).handle(message())
    assert one(shop, "select count(*) from inbox_message where state = 'failed'") == 1


def test_who_writes_after_a_while_has_the_whole_window_again(shop: Shop, message: Message, li: None) -> None:
    shop.clock.advance(30 * 3600)
    without_transactions(shop.runtime.dispatcher).handle(message())
    assert one(shop, "select extract(epoch from r.message_until - m.received_at) / 3600 from send_right r,"
                     " (select max(received_at) as received_at from inbox_message) m") == 48
    assert one(shop, "select seen_at = (select max(received_at) from inbox_message) from identity"
                     " where value = 'oLi'")


BREAK = ("select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity where datname = current_database()"
         " and strpos(query, '{last}') > 0 and pid <> pg_backend_pid()")


def test_a_connection_that_broke_costs_nobody_an_answer(shop: Shop, message: Message, li: None) -> None:
    dispatcher = shop.runtime.dispatcher
    usual = dispatcher.handle(message())
    assert one(shop, BREAK.format(last="insert into inbox_message")) == 1
    with capture_logs() as told:
        assert dispatcher.handle(message()) == usual
    assert [line["event"] for line in told] == ["reading.sunk"], "or a crossing that always fails would only be slow"
    assert without_transactions(dispatcher).handle(message()) == usual


def test_a_connection_that_breaks_while_handlers_work_costs_nobody_an_answer(
    shop: Shop, message: Message, li: None
) -> None:
    runs: list[str] = []

    def breaks(ctx: Context) -> Answer:
        runs.append(name(ctx))
        if len(runs) == 1:
            assert one(shop, BREAK.format(last="person where id = any")) == 1
        return ctx.say("chat.late", said=str(len(runs)))

    assert "2" in reading(shop, breaks).handle(message()).text
    assert one(shop, "select count(*) from inbox_message where state = 'done' and kind = 'text'") == 2


def test_a_fault_of_one_handler_is_not_its_fellows(shop: Shop, message: Message) -> None:
    """Of all who travel together only the one whose handler fails is put off."""
    senders = [f"o{number}" for number in range(8)]
    for sender in senders:
        shop.runtime.dispatcher.handle(message("你好", sender))

    def sometimes(ctx: Context) -> Answer:
        if ctx.message.sender == "o3":
            raise ZeroDivisionError(name(ctx))
        return say_name(ctx)

    replies = replies_at_once(reading(shop, sometimes), [message(sender=sender) for sender in senders])
    assert len({reply.text for reply in replies}) == 2
    assert one(shop, "select count(*) from inbox_message where state = 'failed'") == 1
    assert one(shop, "select count(*) from inbox_message where state = 'done'") == 15
