"""The question before recurring work: each chore is named as soon as there is something for it, and not before."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from domain.journeys.service import KEPT
from domain.migrations import files
from domain.settlements.service import BEYOND
from handlers.jobs import CHORES
from tests.conftest import MORNING

NOW = MORNING
OCTOBER = date(2026, 10, 1)
END_OF_NOVEMBER = datetime(2026, 11, 30, 16, 0, tzinfo=UTC)
Rows = tuple[tuple[str, dict[str, Any]], ...]

ANY_TIME: tuple[tuple[set[str], Rows], ...] = (
    ({"programme.refresh", "insight.refresh", "risk.scan", "milestones.tend"}, (("order_news", {"order_ids": [1]}),)),
    ({"programme.refresh"}, (("programme_stale", {}),)),
    ({"insight.refresh"}, (("insight_stale", {}),)),
    ({"risk.scan"}, (("risk_queue", {}),)),
    ({"milestones.tend"}, (("milestone_due", {}),)),
    ({"notices.broadcast"}, (("notice_broadcast", {"state": "running"}),)),
    ({"audit.seal"}, (("audit_event", {"id": 1_000}),)),
    ({"audit.seal"}, (("audit_event", {"id": 1_000}), ("audit_seal", {"event_id": 999}))),
    ({"month.tell"}, (("month_close", {"month": OCTOBER, "closed_at": NOW, "told_upto": BEYOND - 1}),)),
    ({"month.late"}, (("month_close", {"month": OCTOBER, "closed_at": NOW, "told_upto": BEYOND}),
                      ("settlement_late", {"month": OCTOBER}))),
    ({"month.close"}, (("month_close", {"month": date(2026, 11, 1)}),)),
    ({"payouts.recall", "risk.settle"}, (("account_hold", {"person_id": 7}),
                                         ("withdrawal", {"person_id": 7, "state": "paying"}))),
    ({"risk.settle"}, (("account_hold", {"person_id": 7}), ("withdrawal", {"person_id": 8, "state": "paying"}))),
    ({"risk.settle"}, (("risk_case", {"state": "confiscated"}),)),
    ({"risk.settle"}, (("commission_line", {"held_at": NOW}),)),
    ({"staff.tasks"}, (("staff_task", {"state": "gathering"}),)),
    ({"staff.tasks"}, (("staff_task", {"state": "asking"}),)),
    ({"staff.tasks"}, (("staff_task", {"state": "asked"}),)),
    ({"risk.sweep"}, (("risk_watch", {}),)),
    ({"helpdesk.settle"}, (("ticket", {"state": "open", "waits_for": "person"}),)),
    ({"experiments.tend"}, (("experiment", {"state": "running"}),)),
    ({"roles.confirm"}, (("role_grant", {"confirmed_at": None, "revoked_at": None}),)),
    ({"shots.tidy"}, (("shot", {"state": "draft"}),)),
    ({"shots.tidy"}, (("shot", {"state": "approved"}),)),
    ({"pay.reconcile"}, (("transfer_bill", {"due_at": None}),)),
    *(({"occasions.birthdays", "occasions.friends", "occasions.at_risk", "occasions.best"}, (("journey", {
        "state": state}),)) for state in ("live", "paused")),
)
"""Chores and rows for them, whatever the time is."""

FROM_NOW_ON: tuple[tuple[set[str], Rows], ...] = (
    ({"programme.refresh"}, (("programme_stale", {"look_at": NOW}),)),
    ({"milestones.tend"}, (("milestone", {"state": "provisional", "check_at": NOW}),)),
    ({"payouts.drive"}, (("transfer_bill", {"due_at": NOW}),)),
    ({"points.turn"}, (("point_lot", {"state": "pending", "active_at": NOW}),)),
    ({"points.turn"}, (("point_lot", {"state": "active", "expires_at": NOW}),)),
    ({"programme.turn"}, (("reward", {"state": "provisional", "final_at": NOW}),)),
    ({"journeys.settle"}, (("journey_event", {"state": "done", "heard_at": NOW - KEPT - timedelta(seconds=1)}),)),
    ({"approvals.expire"}, (("approval", {"state": "open", "expires_at": NOW}),)),
    ({"month.release"}, (("settlement", {"held_fen": 1, "release_at": NOW}),)),
    ({"month.release"}, (("service_act", {"released_at": None, "revoked_at": None, "release_at": NOW}),)),
    ({"coupons.expire"}, (("coupon", {"state": "issued", "valid_until": NOW}),)),
    ({"insight.turn"}, (("person_insight", {"look_again_at": NOW}),)),
)
"""Chores and rows that are for them from NOW on, and not a second before."""

DUMMY: dict[str, Any] = {"bigint": 1, "integer": 1, "smallint": 1, "text": "x", "boolean": False, "jsonb": "{}",
                         "timestamp with time zone": NOW, "date": OCTOBER, "ARRAY": [], "bytea": b"", "json": "{}"}


@pytest.fixture
def db(engine: Engine) -> Iterator[Connection]:
    """A database in which rows may stand alone."""
    with engine.connect() as connection:
        connection.execute(text("set local session_replication_role = replica"))
        yield connection
        connection.rollback()


def put(db: Connection, rows: Rows) -> None:
    """The rows, with something in every column that must have something."""
    for table, given in rows:
        must = db.execute(text(
            "select column_name, data_type from information_schema.columns where table_schema = 'public'"
            " and table_name = :table and is_nullable = 'NO' and column_default is null and is_identity = 'NO'"
            " and is_generated = 'NEVER'"), {"table": table})
        values = {name: DUMMY[kind] for name, kind in must} | given
        for check in db.scalars(text("select conname from pg_constraint where contype = 'c'"
                                     " and conrelid = to_regclass(:table)"), {"table": table}).all():
            db.execute(text(f'alter table {table} drop constraint "{check}"'))
        db.execute(text(f"drop index if exists ix_{table}_broken"))  # keeps such rules, too (0075)
        places = ", ".join(f":{name}" for name in values)
        db.execute(text(f"insert into {table} ({', '.join(values)}) overriding system value values ({places})"), values)


def wanted(db: Connection, moment: datetime) -> set[str]:
    return set(db.execute(text("select chores_wanted(:names, :now)"), {
        "names": CHORES.names(), "now": moment}).scalar_one())


@pytest.mark.parametrize(("names", "rows"), ANY_TIME)
def test_what_lies_there_is_wanted_at_any_time(db: Connection, names: set[str], rows: Rows) -> None:
    before = wanted(db, NOW)
    put(db, rows)
    assert wanted(db, NOW) == before | names != before


@pytest.mark.parametrize(("names", "rows"), FROM_NOW_ON)
def test_what_has_a_time_is_wanted_from_that_moment_on(db: Connection, names: set[str], rows: Rows) -> None:
    put(db, rows)
    a_second = timedelta(seconds=1)
    assert not wanted(db, NOW - a_second) & names
    assert wanted(db, NOW) >= names
    assert wanted(db, NOW + timedelta(days=1)) >= names


def test_who_is_frozen_waits(db: Connection) -> None:
    put(db, (("account_hold", {"person_id": 7}), ("settlement", {"person_id": 7, "held_fen": 1, "release_at": NOW}),
             ("service_act", {"person_id": 7, "released_at": None, "revoked_at": None, "release_at": NOW}),
             ("reward", {"person_id": 7, "state": "provisional", "final_at": NOW})))
    assert not wanted(db, NOW) & {"month.release", "programme.turn"}
    db.execute(text("update account_hold set lifted_at = :now"), {"now": NOW})
    assert wanted(db, NOW) >= {"month.release", "programme.turn"}


def test_a_first_month_is_closed_once_it_is_over(db: Connection) -> None:
    """Orders are booked nearly as they were paid: the first that was booked need not be the oldest."""
    end_of_october = datetime(2026, 10, 31, 16, 0, tzinfo=UTC)
    assert "month.close" not in wanted(db, NOW)
    put(db, (("customer_order", {"id": 1, "channel": "a", "paid_at": end_of_october}),))
    assert "month.close" not in wanted(db, NOW)
    put(db, (("customer_order", {"id": 2, "channel": "b", "paid_at": end_of_october - timedelta(seconds=1)}),))
    assert "month.close" in wanted(db, NOW)
    assert "month.close" not in wanted(db, end_of_october - timedelta(seconds=1))


def test_the_month_after_the_last_is_closed_once_it_is_over(db: Connection) -> None:
    put(db, (("month_close", {"month": OCTOBER, "closed_at": NOW, "told_upto": BEYOND}),))
    assert "month.close" not in wanted(db, END_OF_NOVEMBER - timedelta(seconds=1))
    assert "month.close" in wanted(db, END_OF_NOVEMBER)


def test_a_month_is_judged_until_it_was_to_the_end(db: Connection) -> None:
    assert "roles.assess" in wanted(db, NOW)
    put(db, (("role_assessment", {"month": OCTOBER, "ended_at": None}),))
    assert "roles.assess" in wanted(db, NOW)
    db.execute(text("update role_assessment set ended_at = :now"), {"now": NOW})
    assert "roles.assess" not in wanted(db, NOW)
    assert "roles.assess" not in wanted(db, END_OF_NOVEMBER - timedelta(seconds=1))
    assert "roles.assess" in wanted(db, END_OF_NOVEMBER)


def test_newcomers_are_compared_up_to_the_last(db: Connection) -> None:
    assert "people.recall" in wanted(db, NOW)
    put(db, (("recall_place", {"upto": 5}), ("identity", {"id": 5})))
    assert "people.recall" not in wanted(db, NOW)
    put(db, (("identity", {"id": 6, "value": "y"}),))
    assert "people.recall" in wanted(db, NOW)


def test_journeys_that_drain_or_whose_people_are_late_are_looked_at(db: Connection) -> None:
    put(db, (("journey", {"id": 5, "state": "live"}), ("enrolment_due", {"journey_id": 5, "due_at": NOW})))
    assert "journeys.settle" not in wanted(db, NOW)
    assert "journeys.settle" in wanted(db, NOW + timedelta(seconds=1))
    db.execute(text("delete from enrolment_due"))
    assert "journeys.settle" not in wanted(db, NOW + timedelta(seconds=1))
    db.execute(text("update journey set state = 'draining'"))
    assert "journeys.settle" in wanted(db, NOW)


def test_points_that_live_may_be_warned_of(db: Connection) -> None:
    put(db, (("point_lot", {"state": "active", "expires_at": NOW}),))
    assert "points.warn" not in wanted(db, NOW)
    assert "points.warn" in wanted(db, NOW - timedelta(seconds=1))


def test_only_what_was_asked_for_is_named_and_what_nobody_knows_is_wanted(db: Connection) -> None:
    put(db, (("order_news", {"order_ids": [1]}),))
    found = db.execute(text("select chores_wanted(array['brand.new', 'risk.sweep', 'risk.scan'], :now)"), {"now": NOW})
    assert found.scalar_one() == ["brand.new", "risk.scan"]


def test_every_chore_is_asked_for_or_declared_to_be_always_wanted() -> None:
    named = re.findall(r"'([a-z_]+\.[a-z_]+)'", files.functions()["chores_wanted"])
    assert sorted(named) == CHORES.names()
