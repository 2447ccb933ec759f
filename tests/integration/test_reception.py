"""Taking messages in: one person's messages one after the other, retries with the stored reply, rights and bells."""

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from bot.kit.messages import Incoming
from bot.runtime import bootstrap, reception
from domain.inbox import service as inbox
from domain.notices.service import NO_RIGHT, Notice, tell
from domain.platform import service as platform
from domain.shared import outbox, trips
from tests.together import until_waiting

NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
APP = "wx1"


def said(number: int, sender: str = "oLi", **more: object) -> Incoming:
    given = {"kind": "text", "text": "佣金", **more}
    return Incoming("wechat", "shop", sender, dedupe_key=f"msg:{number}", sent_at=NOW, **given)  # type: ignore[arg-type]


def opened(session: Session, message: Incoming) -> reception.Heard:
    return reception.hear(session, message, APP, NOW)


def handled(session: Session, message: Incoming, guest: reception.Guest, reply: dict[str, Any]) -> None:
    """The message's last statement and COMMIT."""
    trips.close(session, inbox.handled(message.account, message.dedupe_key, message.kind, message.to_json(),
                                       guest.speaker.id, reply, NOW))


def meanwhile(engine: Engine, message: Incoming) -> tuple[threading.Thread, list[reception.Heard]]:
    """Opens ``message`` in another transaction; returns once that one waits for a lock."""
    found: list[reception.Heard] = []

    def work() -> None:
        with sessionmaker(engine).begin() as session:
            found.append(opened(session, message))

    thread = threading.Thread(target=work)
    thread.start()
    assert until_waiting(engine, ended=lambda: not thread.is_alive())
    return thread, found


def test_the_second_message_sees_where_the_first_left_the_dialogue(session: Session, engine: Engine) -> None:
    opened(session, said(1))
    session.commit()
    first = opened(session, said(2))
    assert first.guest and first.guest.place.state == ""
    thread, found = meanwhile(engine, said(3))
    inbox.go_to(session, first.guest.speaker.id, "shop", "wallet.why", {"page": 2}, NOW)
    session.commit()
    thread.join()
    assert found[0].guest and (found[0].guest.place.state, found[0].guest.place.memory) == ("wallet.why", {"page": 2})


def test_a_retry_waits_for_the_first_try_and_gets_its_reply(session: Session, engine: Engine) -> None:
    first = opened(session, said(1))
    assert first.guest
    thread, found = meanwhile(engine, said(1))
    handled(session, said(1), first.guest, {"kind": "text", "text": "¥1"})
    thread.join()
    assert (found[0].guest, found[0].reply) == (None, {"kind": "text", "text": "¥1"})


def test_a_stranger_who_is_heard_twice_at_once_becomes_one_person(session: Session, engine: Engine) -> None:
    """Nobody is there to lock when the first message of a stranger comes; then the identity's own key is waited for."""
    first = opened(session, said(1, "oNew"))
    assert first.guest
    thread, found = meanwhile(engine, said(1, "oNew"))
    handled(session, said(1, "oNew"), first.guest, {"kind": "text", "text": "hello"})
    thread.join()
    assert (found[0].guest, found[0].reply) == (None, {"kind": "text", "text": "hello"})
    assert session.execute(text("select count(*) from person")).scalar_one() == 1


def test_one_key_is_kept_once_whoever_brings_it(session: Session, engine: Engine) -> None:
    """Two senders with one key lock nothing of each other's: the unique key refuses the second, with all it did."""
    first = opened(session, said(1)).guest
    with pytest.raises(IntegrityError), sessionmaker(engine).begin() as other:
        second = opened(other, said(1, "oXin")).guest
        assert first and second
        handled(session, said(1), first, {"kind": "text", "text": "¥1"})
        handled(other, said(1, "oXin"), second, {"kind": "text", "text": "¥2"})
    assert session.execute(text("select reply ->> 'text' from inbox_message")).scalars().all() == ["¥1"]
    assert platform.left(session, "shop", "oXin", NOW).total == 0


def test_who_was_merged_while_their_message_waited_is_met_as_who_they_are_now(session: Session, engine: Engine) -> None:
    kept, gone = opened(session, said(1)).guest, opened(session, said(2, "oXin")).guest
    assert kept and gone
    session.commit()
    session.execute(text("select 1 from person for update"))
    thread, found = meanwhile(engine, said(3, "oXin"))
    ids = {"kept": kept.speaker.id, "gone": gone.speaker.id}
    session.execute(text("update identity set person_id = :kept where person_id = :gone"), ids)
    session.execute(text("update person set merged_into = :kept where id = :gone"), ids)
    session.commit()
    thread.join()
    assert found[0].guest and found[0].guest.speaker.id == kept.speaker.id


def test_a_retry_takes_over_when_the_first_try_rolls_back(session: Session, engine: Engine) -> None:
    assert opened(session, said(1)).guest
    thread, found = meanwhile(engine, said(1))
    session.rollback()
    thread.join()
    assert found[0].guest


def test_two_people_do_not_wait_for_each_other(session: Session, engine: Engine) -> None:
    assert opened(session, said(1)).guest
    with sessionmaker(engine).begin() as other:
        other.execute(text("set local lock_timeout = '2s'"))
        assert opened(other, said(2, "oXin")).guest


def test_who_writes_follows_and_who_only_taps_may_not(session: Session) -> None:
    writer = opened(session, said(1)).guest
    event = opened(session, said(2, "oXin", kind="event", event="view")).guest
    assert writer and event and (writer.speaker.followed_before, event.speaker.followed_before) == (True, False)


@pytest.mark.parametrize(("message", "left"), [
    (said(1), platform.Left(5, 0)),
    (said(1, data={"bizmsgmenuid": "1"}), platform.Left(0, 3)),
    (said(1, kind="event", event="menu"), platform.Left(0, 3)),
    (said(1, kind="event", event="follow"), platform.Left(0, 3)),
    (said(1, kind="event", event="view"), platform.Left(0, 0)),
])
def test_what_somebody_does_opens_its_window(session: Session, message: Incoming, left: platform.Left) -> None:
    opened(session, message)
    assert platform.left(session, "shop", "oLi", NOW) == left


def answered(session: Session, message: Incoming, at: datetime) -> None:
    """Heard at ``at``, and closed with what the sender is owed."""
    heard = reception.hear(session, message, APP, at)
    assert heard.guest
    trips.close(session, *heard.owed, inbox.handled(message.account, message.dedupe_key, message.kind,
                                                    message.to_json(), heard.guest.speaker.id, {}, at))


@pytest.mark.parametrize(("message", "window"), [
    (said(2), timedelta(hours=48)), (said(2, kind="event", event="menu"), timedelta(minutes=1)),
])
def test_who_writes_again_has_the_whole_window_again(session: Session, message: Incoming, window: timedelta) -> None:
    answered(session, replace(message, dedupe_key="msg:1"), NOW)
    platform.take(session, "shop", "oLi", NOW)
    later = NOW + window / 2
    answered(session, message, later)
    most = platform.MESSAGE_RIGHTS if message.kind == "text" else platform.TAP_RIGHTS
    assert platform.left(session, "shop", "oLi", later + window * 0.99).total == most
    assert platform.left(session, "shop", "oLi", later + window).total == 0


def test_a_right_that_was_used_comes_back_with_the_next_message(session: Session) -> None:
    answered(session, said(1), NOW)
    platform.take(session, "shop", "oLi", NOW)
    answered(session, said(2), NOW + timedelta(seconds=10))
    assert platform.left(session, "shop", "oLi", NOW + timedelta(seconds=10)) == platform.Left(5, 0)


def test_a_full_window_of_a_few_minutes_ago_stays_as_it_is(session: Session) -> None:
    answered(session, said(1), NOW)
    answered(session, said(2), NOW + timedelta(minutes=5))
    assert platform.left(session, "shop", "oLi", NOW + timedelta(hours=47, minutes=59)) == platform.Left(5, 0)


def test_who_is_forgotten_by_their_own_message_gets_no_window_for_it(session: Session) -> None:
    answered(session, said(1), NOW)
    heard = reception.hear(session, said(2), APP, NOW + timedelta(hours=1))
    assert heard.guest and heard.owed
    platform.close(session, "shop", "oLi")
    trips.close(session, *heard.owed)
    assert platform.left(session, "shop", "oLi", NOW + timedelta(hours=1)) == platform.Left(0, 0)


def test_who_was_not_seen_for_long_is_seen_now(session: Session) -> None:
    answered(session, said(1), NOW)
    answered(session, said(2), tomorrow := NOW + timedelta(days=1))
    assert session.scalars(text("select seen_at from identity")).all() == [tomorrow]


def test_who_left_and_writes_follows_again(session: Session) -> None:
    answered(session, said(1), NOW)
    session.execute(text("update identity set unfollowed_at = :at"), {"at": NOW + timedelta(hours=1)})
    answered(session, said(2), NOW + timedelta(hours=2))
    assert session.scalars(text("select unfollowed_at from identity")).all() == [None]


def test_notices_that_waited_for_a_right_are_woken_and_only_these(session: Session) -> None:
    guest = opened(session, said(1)).guest
    assert guest
    for idem in ("waits", "later"):
        tell(session, Notice(guest.speaker.id, "service", idem, "chat.help", {}), NOW)
    tomorrow = NOW + timedelta(days=1)
    session.execute(text("update outbox set due_at = :at"), {"at": tomorrow})
    session.execute(text("update outbox set reason = :reason where key = 'notice:waits'"), {"reason": NO_RIGHT})
    outbox.rung(session)
    opened(session, said(2))
    due = session.execute(text("select key, due_at from outbox order by key")).all()
    assert [tuple(row) for row in due] == [("notice:later", tomorrow), ("notice:waits", NOW)]
    assert outbox.rung(session) == {"notice", "slow"}


def test_a_connection_that_died_while_it_rested_is_replaced(database_url: str) -> None:
    engine = bootstrap.connect(database_url, pool_size=1, max_overflow=0)
    admin = create_engine(database_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as db:
        pid = db.execute(text("select pg_backend_pid()")).scalar_one()
    with admin.connect() as other:
        other.execute(text("select pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    time.sleep(bootstrap.RESTED_SECONDS)
    with engine.connect() as db:
        assert db.execute(text("select pg_backend_pid()")).scalar_one() != pid
    engine.dispose()
    admin.dispose()
