"""Taking messages in: one person's messages one after the other, retries with the stored reply, rights and bells."""

import threading
import time
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
    with engine.connect() as watcher:
        waits = text("select count(*) from pg_stat_activity where datname = current_database() "
                     "and wait_event_type = 'Lock'")
        while thread.is_alive() and not watcher.execute(waits).scalar_one():
            watcher.rollback()
            time.sleep(0.01)
    assert thread.is_alive(), "it did not wait"
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
