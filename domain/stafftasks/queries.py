"""Who has the person, how many messages of employees they had, which tasks there are."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.shared.records import record
from domain.stafftasks.rules import month_begins


@record
class TaskView:
    """One task: how many people it is for, how many got it, and how many did not, by reason."""

    id: int
    account: str
    userid: str
    purpose: str
    state: str
    reason: str
    said: str
    waits: int
    sent: int
    refused: dict[str, int]
    created_at: datetime
    expires_at: datetime
    asked_at: datetime | None
    reminded_at: datetime | None
    ended_at: datetime | None


@record
class Employee:
    """Who has the person, in which corp, and what the person is called there."""

    account: str
    userid: str
    external_userid: str


def employee_of(session: Session, person_id: int, accounts: list[str]) -> Employee | None:
    """The employee whom the person added last, of those corps that use this way. Half friends WeCom would refuse."""
    row = session.execute(text("""
        select account, userid, external_userid from contact
         where person_id = :person and ended_at is null and not half and account = any (:accounts)
         order by coalesce(added_at, since) desc, id desc limit 1"""),
        {"person": person_id, "accounts": accounts}).first()
    return Employee(**row._mapping) if row else None


def had(session: Session, person_id: int, now: datetime) -> int:
    """Messages of employees that the person got in this calendar month, with those that wait for a tap."""
    return int(session.execute(text("""
        select count(*) from staff_task_person where person_id = :person
           and (state = 'waits' or (state = 'sent' and ended_at >= :since))"""),
        {"person": person_id, "since": month_begins(now)}).scalar_one())


def tasks(session: Session, limit: int, open_only: bool = False) -> list[TaskView]:
    """The newest first."""
    rows = session.execute(text("""
        select t.id, t.account, t.userid, t.purpose, t.state, t.reason, t.said, t.created_at, t.expires_at, t.asked_at,
               t.reminded_at, t.ended_at, c.waits, c.sent, c.refused
          from staff_task t cross join lateral (
               select coalesce(sum(n) filter (where state = 'waits'), 0)::int as waits,
                      coalesce(sum(n) filter (where state = 'sent'), 0)::int as sent,
                      coalesce(jsonb_object_agg(reason, n) filter (where state = 'refused'), '{}') as refused
                 from (select state, reason, count(*) as n from staff_task_person p where p.task_id = t.id
                        group by 1, 2) counted) c
         where not :open or t.ended_at is null order by t.id desc limit :limit"""), {"limit": limit, "open": open_only})
    return [TaskView(**row._mapping) for row in rows]


def of_person(session: Session, person_id: int) -> list[TaskView]:
    """The tasks that still hold a message for the person."""
    ids = set(session.execute(text("select task_id from staff_task_person where person_id = :person"
                                   " and state = 'waits'"), {"person": person_id}).scalars())
    return [one for one in tasks(session, 1_000, open_only=True) if one.id in ids]
