"""What waits, what was given up and what needs a human, as findings of the doctor. Reads only."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

from bot.runtime import wecom_doctor
from bot.runtime.findings import LOOK_UP, REMEDIES, Finding, counted
from domain.platform.service import alarm
from domain.stafftasks.rules import DID_NOT_SEND

OLD_BACKLOG = timedelta(minutes=5)
LONG_PARKED = timedelta(hours=1)
"""An event may come before its order; one that waits for longer is worth a look."""
LONG_WAIT = timedelta(days=1)
"""Nobody who asked for a human should wait longer, whatever the opening hours."""
UNTAPPED = timedelta(days=7)
NO_RIGHT = "no_right"
MANY_UNSEEN = 5_000
"""New orders that wait to be looked at: more than a minute's work."""


def findings(db: Connection, accounts: Mapping[str, str], now: datetime, real_now: datetime) -> Iterator[Finding]:
    """Everything that lies about. ``accounts``: app id -> our name; ``now`` is business time."""
    told = [
        *_late(db, now), *_events(db, now), *_dead(db), *_review(db, now), *_tickets(db, now), *_staff_tasks(db, now),
        *_rewards(db), *_people(db), *_waiting(db), *_holds(db, accounts, real_now),
    ]
    if all(finding.state == "green" for finding in told):
        yield Finding("backlog", "green", "nothing waits too long, nothing was given up")
    yield from told


def _late(db: Connection, now: datetime) -> Iterator[Finding]:
    oldest = db.scalar(text(
        "select least((select min(due_at) from outbox where state in ('waiting', 'running') and due_at <= :now),"
        " (select min(at) from earned_news))"), {"now": now})
    age = now - oldest if oldest else timedelta(0)
    if age > OLD_BACKLOG:
        yield Finding("backlog", "yellow", f"an effect has waited for {int(age.total_seconds() // 60)} minutes",
                      "check that workers and clock run, and their logs")


def _events(db: Connection, now: datetime) -> Iterator[Finding]:
    """Commerce events that need a human. What contradicts or was given up is money that is not booked: red."""
    rows = db.execute(text(
        "select o.state, count(*) as number from commerce_open o join commerce_event e on e.id = o.id "
        "where o.state in ('conflict', 'dead') or (o.state = 'parked' and e.received_at < :since) group by o.state"),
        {"since": now - LONG_PARKED}).all()
    count = {row.state: row.number for row in rows}
    if not count:
        return
    words = {"conflict": "contradict what is booked", "dead": "were given up", "parked": "wait for their order > 1 h"}
    cause = ", ".join(f"{count[state]} {meaning}" for state, meaning in words.items() if state in count)
    yield Finding("events", "yellow" if set(count) == {"parked"} else "red", f"commerce events: {cause}",
                  "python -m bot events stuck, then events retry or events dismiss")


def _review(db: Connection, now: datetime) -> Iterator[Finding]:
    """People who were promised an answer, and orders that the risk rules have not seen."""
    overdue = text("select count(*) from risk_case where state = 'appealed' and answer_due_at < :now")
    late = db.scalar(overdue, {"now": now})
    unseen = db.scalar(text("select count(*) from ((select from risk_queue limit :many) union all"
                            " (select from order_news, unnest(order_ids) limit :many)) queue"), {"many": MANY_UNSEEN})
    if late:
        yield Finding("appeals", "yellow",
                      counted(late, "person waits", "people wait") + " longer for an answer than was promised",
                      "python -m bot risk cases --late, then risk release or risk confiscate")
    if (unseen or 0) >= MANY_UNSEEN:
        yield Finding("risk", "yellow", f"{MANY_UNSEEN} orders or more were not looked at",
                      "check that workers run; see: select * from chore where name like 'risk.%'")


def _tickets(db: Connection, now: datetime) -> Iterator[Finding]:
    """People who asked for a human and were left alone."""
    row = db.execute(text("select count(*) as people, min(waits_since) as since from ticket where state = 'open'"
                          " and waits_for = 'shop' and waits_since < :before"), {"before": now - LONG_WAIT}).one()
    if row.people:
        hours = int((now - row.since).total_seconds() // 3_600)
        yield Finding("helpdesk", "yellow", counted(row.people, "person waits", "people wait")
                      + f" for a human for over a day, the first for {hours} hours",
                      "python -m bot helpdesk list, then helpdesk answer or helpdesk close")


def _staff_tasks(db: Connection, now: datetime) -> Iterator[Finding]:
    """Messages that leave through an employee's hands: those that wait for a tap, and those that never got one."""
    remedy = ("ask them to open 企业微信 → 客户联系 → 群发助手 and send or dismiss it; python -m bot notice tasks; "
              "with nobody to tap, set staff_messages = 0")
    waits = db.execute(text("select count(*) as number, string_agg(distinct userid, ', ') as who from staff_task"
                            " where state = 'asked' and asked_at < :before"), {"before": now - LONG_WAIT}).one()
    if waits.number:
        yield Finding("staff tasks", "yellow", counted(waits.number, "message waits", "messages wait")
                      + f" for a tap for over a day: {waits.who}", remedy)
    lost = db.execute(text(
        "select count(*) as number, string_agg(distinct t.userid, ', ') as who from staff_task_person p"
        " join staff_task t on t.id = p.task_id where p.state = 'refused' and p.reason = :why and p.ended_at > :since"),
        {"why": DID_NOT_SEND, "since": now - UNTAPPED}).one()
    if lost.number:
        yield Finding("staff messages", "yellow",
                      f"{lost.number} of the last 7 days were never sent, nobody tapped: {lost.who}", remedy)


def _rewards(db: Connection) -> Iterator[Finding]:
    """Buyers whose rewards could not be counted: each hour they are tried again, and get nothing until it works."""
    row = db.execute(text("select count(distinct person_id) as people, min(fault) as fault from programme_stale"
                          " where look_at is not null")).one()
    if row.people:
        yield Finding("rewards", "yellow",
                      counted(row.people, "buyer's", "buyers'") + f" rewards cannot be counted ({row.fault})",
                      "python -m bot reward parked says why for each; once mended, reward retry --as NAME counts "
                      "at once (every hour it is tried again anyway)")


def _people(db: Connection) -> Iterator[Finding]:
    """People who look like one and were not merged: what refused it does not go away by itself, or not unseen."""
    rows = db.execute(text("select conflict, count(*) as number, min(found_at) as since from person_merge_conflict"
                           " where settled_at is null group by conflict order by conflict")).all()
    if rows:
        number = sum(row.number for row in rows)
        cause = ", ".join(f"{row.number} {row.conflict}" for row in rows)
        yield Finding("people", "yellow",
                      counted(number, "pair of people looks like one and was", "pairs of people look like one and were")
                      + f" not merged ({cause}), the first since {min(row.since for row in rows):%Y-%m-%d}",
                      "python -m bot people conflicts shows them; look at both persons of each, then "
                      "people settle ID --how … --as NAME")


def _dead(db: Connection) -> Iterator[Finding]:
    effects = db.scalar(text("select count(*) from outbox where state = 'dead'"))
    states = db.execute(text(
        "select state, count(*) as number from inbox_message where state in ('failed', 'dead') group by state")).all()
    count = {row.state: row.number for row in states}
    if effects:
        yield Finding("dead letters", "yellow", counted(effects, "effect", "effects") + " given up",
                      "see why: select kind, reason, count(*) from outbox where state = 'dead' group by 1, 2")
    if count:
        yield Finding("messages", "yellow", counted(count.get("dead", 0), "message", "messages") + " given up, "
                      f"{count.get('failed', 0)} failed and tried again",
                      "see why: select state, kind, error, count(*) from inbox_message "
                      "where state in ('failed', 'dead') group by 1, 2, 3")


def _waiting(db: Connection) -> Iterator[Finding]:
    """Effects that wait, by reason; faults of our own, whose words differ each time, count as one."""
    rows = db.execute(text(
        "select case when attempts > 0 and reason like '%: %' then 'failed' else reason end as why, count(*) "
        "from outbox where state = 'waiting' and reason <> '' group by 1 order by 1")).all()
    for why, number in rows:
        kind, _, code = str(why).partition(":")
        check = f"waiting ({why})"
        if why == NO_RIGHT:
            yield Finding(check, "green",
                          counted(number, "message waits", "messages wait") + " until their people write again")
        elif kind == "config":
            yield Finding(check, "red", counted(number, "effect waits", "effects wait")
                          + ": the platform refuses until somebody acts",
                          _remedy(code, LOOK_UP))
        elif kind == "back_off":
            yield Finding(check, "yellow", counted(number, "effect waits", "effects wait") + " for the platform",
                          _remedy(code, "they go out by themselves; if they stay, see platform.refused in the logs"))
        elif why == "failed":
            yield Finding(check, "yellow",
                          counted(number, "effect failed and is", "effects failed and are") + " tried again",
                          "see why: select kind, reason, count(*) from outbox where state = 'waiting' group by 1, 2")


def _holds(db: Connection, accounts: Mapping[str, str], real_now: datetime) -> Iterator[Finding]:
    """Interfaces that are not called for now, and until when (real time)."""
    rows = db.execute(text(
        "select app_id, api, outcome, errcode, detail, until from platform_hold where until > :now order by 1, 2"),
        {"now": real_now}).all()
    for row in rows:
        until = row.until.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        what = f"{row.api} is not called until {until}"
        if row.api == "*":
            what = f"nothing of the platform is called until {until}"
        elif (api := row.api.partition("#")[0]) and row.api == alarm(api):
            what = f"{api} was refused; until it works, nobody is promised anything of it"
        why = " ".join(filter(None, (f"{row.outcome}:{row.errcode}", row.detail)))
        name = accounts.get(row.app_id, row.app_id)
        otherwise = "it ends by itself; if it returns, see platform.refused in the logs"
        of_wecom = name.startswith("wecom.")  # the same number says other things there
        told = wecom_doctor.remedy(row.errcode) or otherwise if of_wecom else _remedy(row.errcode, otherwise)
        yield Finding(f"hold ({name})", "red" if row.outcome == "config" else "yellow",
                      f"{what} ({why})", told)


def _remedy(code: str | int, otherwise: str) -> str:
    return REMEDIES.get(int(code) if str(code).removeprefix("-").isdecimal() else 0, otherwise)
