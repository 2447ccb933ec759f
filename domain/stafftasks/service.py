"""Tasks of employees: gathered, asked for, followed until everybody's fate is known. Never commits.

The notice itself stays a row of the outbox that waits with the reason ``waits_for_staff``; what becomes of it is
written there, so whoever reads notices need not know this room. The slot of the caps that it took when it was judged is
moved to the moment when the person got it, or given back.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.notices import service as notices
from domain.shared import outbox
from domain.shared.records import record
from domain.stafftasks.rules import (
    CHECK_EVERY,
    GATHER,
    MOST_OPEN,
    NOT_FRIEND,
    STAFF_BUSY,
    WAITS_FOR_STAFF,
    life,
)


@record
class Wanted:
    """A notice that shall leave through an employee: ``said`` is the whole message."""

    effect_id: int
    person_id: int
    purpose: str
    account: str
    userid: str
    external_userid: str
    said: str
    expires_at: datetime | None


@record
class Task:
    """A task at work. ``people``: effect -> external_userid of those whose fate is open."""

    id: int
    account: str
    userid: str
    purpose: str
    said: str
    state: str
    msgid: str
    created_at: datetime
    expires_at: datetime
    asked_at: datetime | None
    reminded_at: datetime | None
    people: dict[int, str]


_LOCK = text("select pg_advisory_xact_lock(1937007982, hashtext(:name))")
"""One employee's gathering at a time, on however many workers. The first key is this room's own."""
_GATHERING = text("""
    update staff_task t set expires_at = least(t.expires_at, :until)
     where account = :account and userid = :userid and purpose = :purpose and digest = :digest and state = 'gathering'
       and not exists (select from staff_task_person p where p.task_id = t.id and p.external_userid = :external)
    returning id""")
_OPEN = text("""
    select count(*) from staff_task
     where account = :account and userid = :userid and state in ('gathering', 'asking', 'asked')""")
_BEGIN = text("""
    insert into staff_task (account, userid, purpose, said, digest, created_at, expires_at)
    values (:account, :userid, :purpose, :said, :digest, :now, :until)
        on conflict do nothing returning id""")
_JOIN = text("""
    insert into staff_task_person (effect_id, task_id, person_id, external_userid, joined_at)
    values (:effect, :task, :person, :external, :now)
        on conflict (effect_id) do update set task_id = excluded.task_id, person_id = excluded.person_id,
           external_userid = excluded.external_userid, joined_at = excluded.joined_at, state = 'waits', reason = '',
           ended_at = null
     where staff_task_person.state = 'refused'
    returning true""")


def join(session: Session, wanted: Wanted, now: datetime) -> str:
    """Put a notice into the employee's next task with this text; why not, '' when it is in.

    The row of the outbox is told in the same transaction: whoever claims it after a crash asks ``fate`` first.
    """
    session.execute(_LOCK, {"name": f"{wanted.account}/{wanted.userid}"})
    asked = {"account": wanted.account, "userid": wanted.userid, "purpose": wanted.purpose, "said": wanted.said,
             "digest": sha256(wanted.said.encode()).hexdigest()[:32], "external": wanted.external_userid,
             "until": life(wanted.expires_at, now), "now": now}
    task = session.execute(_GATHERING, asked).scalar()
    if task is None:
        if session.execute(_OPEN, asked).scalar_one() >= MOST_OPEN:
            return STAFF_BUSY
        task = session.execute(_BEGIN, asked).scalar()
    if task is None:  # the same words for the same person twice in ten minutes: the first is enough
        return "said_before"
    joined = session.execute(_JOIN, {"effect": wanted.effect_id, "task": task, "person": wanted.person_id,
                                     "external": wanted.external_userid, "now": now}).scalar()
    if not joined:
        return "said_before"
    notices.keep(session, wanted.effect_id, staff_task=task)
    return ""


def fate(session: Session, effect_id: int) -> tuple[str, str, datetime | None]:
    """State, reason and end of a notice that is or was in a task: waits, sent or refused."""
    row = session.execute(text("select state, reason, ended_at from staff_task_person where effect_id = :id"),
                          {"id": effect_id}).one()
    return row.state, row.reason, row.ended_at


_NEXT_TO_ASK = text("""
    select id from staff_task
     where account = any (:accounts) and (state = 'asking' or (state = 'gathering' and created_at <= :gathered))
       and (checked_at is null or checked_at <= :since)
     order by created_at, id limit 1 for update skip locked""")
_NEXT_TO_CHECK = text("""
    select id from staff_task where account = any (:accounts) and state = 'asked'
       and (checked_at is null or checked_at <= :since or expires_at <= :now and checked_at < expires_at)
     order by checked_at nulls first, id limit 1 for update skip locked""")
_TASK = text("""
    select t.id, t.account, t.userid, t.purpose, t.said, t.state, t.msgid, t.created_at, t.expires_at, t.asked_at,
           t.reminded_at, coalesce((select jsonb_object_agg(p.effect_id, p.external_userid) from staff_task_person p
                                     where p.task_id = t.id and p.state = 'waits'), '{}') as people
      from staff_task t where t.id = :id""")


def _load(session: Session, task_id: int) -> Task:
    row = session.execute(_TASK, {"id": task_id}).one()
    return Task(**{**row._mapping, "people": {int(effect): external for effect, external in row.people.items()}})


def next_to_ask(session: Session, accounts: Sequence[str], now: datetime) -> tuple[Task, bool] | None:
    """A task whose gathering is over, marked as being asked for; True: it was before, and its answer was lost."""
    found = session.execute(_NEXT_TO_ASK, {"accounts": list(accounts), "gathered": now - GATHER,
                                           "since": now - CHECK_EVERY}).scalar()
    if found is None:
        return None
    doubtful = session.execute(text("select state = 'asking' from staff_task where id = :id"), {"id": found}).scalar()
    session.execute(text("update staff_task set state = 'asking', asked_at = coalesce(asked_at, :now),"
                         " checked_at = :now where id = :id"), {"id": found, "now": now})
    return _load(session, found), bool(doubtful)


def next_to_check(session: Session, accounts: Sequence[str], now: datetime) -> Task | None:
    """A task that waits for a tap and was not looked at for a while, or is over."""
    found = session.execute(_NEXT_TO_CHECK, {"accounts": list(accounts), "since": now - CHECK_EVERY,
                                             "now": now}).scalar()
    if found is None:
        return None
    session.execute(text("update staff_task set checked_at = :now where id = :id"), {"id": found, "now": now})
    return _load(session, found)


def asked(session: Session, task: Task, msgid: str, strangers: Sequence[str], now: datetime) -> None:
    """The platform has made the task; who is no contact of the employee is not in it."""
    session.execute(text("update staff_task set state = 'asked', msgid = :msgid where id = :id"),
                    {"id": task.id, "msgid": msgid})
    gone = {effect for effect, external in task.people.items() if external in strangers}
    for effect in sorted(gone):
        _refuse(session, task, effect, NOT_FRIEND, now)
    if len(gone) == len(task.people):
        _over(session, task, "cancelled", NOT_FRIEND, now)


def has_msgid(session: Session, account: str, msgid: str) -> bool:
    """Whether the platform's task is one of ours already."""
    return bool(session.execute(text("select exists (select from staff_task where account = :account"
                                     " and msgid = :msgid)"), {"account": account, "msgid": msgid}).scalar())


def ask_anew(session: Session, task: Task, reason: str) -> None:
    """The platform surely has no such task: it is asked for again, after a pause. ``reason``: why it has none."""
    session.execute(text("update staff_task set state = 'gathering', asked_at = null, reason = :reason where id = :id"),
                    {"id": task.id, "reason": reason})


def reminded(session: Session, task: Task, now: datetime) -> None:
    session.execute(text("update staff_task set reminded_at = :now where id = :id"), {"id": task.id, "now": now})


def got_it(session: Session, task: Task, external_userid: str, at: datetime, now: datetime) -> None:
    """The employee sent it to this customer at ``at``."""
    for effect in _of(task, external_userid):
        if not _close(session, effect, "sent", "", now):
            continue
        notices.received(session, effect, at)
        _end_notice(session, effect, "done", "", {"way": "staff", "outcome": "sent", "account": task.account,
                                                  "task": task.id, "userid": task.userid}, at)


def maybe_got_it(session: Session, task: Task, now: datetime) -> None:
    """The employee sent it, and the platform does not say to whom: nobody is told a second time."""
    for external in set(task.people.values()):
        got_it(session, task, external, now, now)


def did_not_get_it(session: Session, task: Task, external_userid: str, reason: str, now: datetime) -> None:
    """The employee sent it, but not to this customer."""
    for effect in _of(task, external_userid):
        _refuse(session, task, effect, reason, now)


def finish(session: Session, task: Task, now: datetime) -> bool:
    """Close the task if everybody's fate is known."""
    left = session.execute(text("select exists (select from staff_task_person where task_id = :id"
                                " and state = 'waits')"), {"id": task.id}).scalar()
    if not left:
        _over(session, task, "sent", "", now)
    return not left


def not_sent(session: Session, task: Task, state: str, reason: str, now: datetime) -> None:
    """Whoever still waits does not get it: ``cancelled`` in time with nobody's tap, or ``dropped`` by the platform."""
    for effect in task.people:
        _refuse(session, task, effect, reason, now)
    _over(session, task, state, reason, now)


_OBJECTIONS = text("""
    select p.effect_id from staff_task_person p
      join outbox o on o.id = p.effect_id join staff_task t on t.id = p.task_id
     where p.task_id = :task and p.state = 'waits' and (
           o.state not in ('waiting', 'running')
        or exists (select from consent c where c.person_id = p.person_id and not c.given
                                           and c.purpose in (t.purpose, '*'))
        or exists (select from notice_switch w where w.purpose = t.purpose)
        or not exists (select from contact k where k.person_id = p.person_id and k.userid = t.userid
                          and k.external_userid = p.external_userid and k.ended_at is null))""")


def objectors(session: Session, task: Task) -> set[int]:
    """Effects that should not wait any more: the person said no or is gone, the purpose is switched off."""
    return set(session.execute(_OBJECTIONS, {"task": task.id}).scalars())


def guarded(session: Session, task: Task) -> dict[int, dict[str, Any]]:
    """Payloads of those of the task that a journey or a broadcast planned: effect -> payload."""
    rows = session.execute(text("""
        select id, payload from outbox where id = any (:ids) and (payload ? 'guard' or payload ? 'broadcast')"""),
        {"ids": list(task.people)})
    return {row.id: row.payload for row in rows}


def put_back(session: Session, task: Task, effects: Iterable[int], reason: str, now: datetime) -> None:
    """These are not asked for, or the task was withdrawn before anybody tapped: each notice is judged anew, as if it
    had just fallen due. The task is over when nobody is left in it."""
    for effect in sorted(effects):
        if _close(session, effect, "refused", reason, now):
            notices.release(session, effect)
            session.execute(text("update outbox set due_at = :now, reason = '', result = result - 'staff_task'"
                                 " where id = :id and state = 'waiting' and reason = :waits"),
                            {"id": effect, "now": now, "waits": WAITS_FOR_STAFF})
    outbox.ring(session, "notice")
    states = set(session.execute(text("select distinct state from staff_task_person where task_id = :id"),
                                 {"id": task.id}).scalars())
    if "waits" not in states:
        _over(session, task, *(("sent", "") if "sent" in states else ("cancelled", reason)), now)


def _of(task: Task, external_userid: str) -> list[int]:
    return [effect for effect, external in task.people.items() if external == external_userid]


def _refuse(session: Session, task: Task, effect: int, reason: str, now: datetime) -> None:
    if _close(session, effect, "refused", reason, now):
        notices.release(session, effect)
        _end_notice(session, effect, "refused", reason, {"account": task.account, "task": task.id}, now)


def _close(session: Session, effect: int, state: str, reason: str, now: datetime) -> bool:
    return session.execute(text("""
        update staff_task_person set state = :state, reason = :reason, ended_at = :now
         where effect_id = :effect and state = 'waits' returning true"""),
        {"effect": effect, "state": state, "reason": reason, "now": now}).scalar() is not None


def _end_notice(session: Session, effect: int, state: str, reason: str, result: Mapping[str, Any],
                at: datetime) -> None:
    session.execute(text("""
        update outbox set state = :state, reason = :reason, ended_at = :at, lease_until = null,
               result = result || cast(:result as jsonb)
         where id = :id and state = 'waiting' and reason = :waits"""),
        {"id": effect, "state": state, "reason": reason, "at": at, "result": msgspec.json.encode(result).decode(),
         "waits": WAITS_FOR_STAFF})


def _over(session: Session, task: Task, state: str, reason: str, now: datetime) -> None:
    session.execute(text("update staff_task set state = :state, reason = :reason, ended_at = :now, said = ''"
                         " where id = :id"), {"id": task.id, "state": state, "reason": reason, "now": now})


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """This room's part of a merge."""
    session.execute(text("update staff_task_person set person_id = :kept where person_id = :gone"),
                    {"kept": kept_id, "gone": gone_id})
    return {}
