"""A plan from draft to live, by two people, and back; what the database itself refuses."""

from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from bot.runtime.bootstrap import ASSETS
from domain.audit.rules import Actor
from domain.commissions import service as commissions
from domain.commissions import versions
from domain.shared.clock import FixedClock, day_starts
from domain.shared.errors import Conflict, DomainError, NotFound
from domain.shared.wording import Wording
from domain.workflows import acts, publishing
from tests.conftest import MORNING
from tests.integration.plans.conftest import FIRST
from tests.together import at_once

WORDING = Wording.load((ASSETS / "sensitive_words.toml").read_text("utf-8"))
TODAY = date(2026, 11, 20)
BETTER: dict[str, Any] = {**FIRST.document(), "name": "冬季", "cap_bps": 4_800}
Sessions = sessionmaker[Session]
Team = dict[str, Actor]


def submitted(sessions: Sessions, team: Team, now: datetime, document: dict[str, Any] = BETTER,
              on: date | None = None) -> tuple[int, int]:
    """(draft, approval) of a draft that waits for its second person."""
    with sessions.begin() as session:
        row = publishing.start(session, document, team["operator"], now, on)
        asked = publishing.submit(session, row.id, WORDING, "换季", team["operator"], now)
        return row.id, asked.id


def decided(sessions: Sessions, approval: int, actor: Actor, now: datetime, approve: bool = True) -> None:
    with sessions.begin() as session:
        acts.decide(session, approval, approve, actor, now)


def states(sessions: Sessions, now: datetime) -> list[tuple[int, str]]:
    with sessions() as session:
        return [(one.version, one.state) for one in versions.versions(session, now)]


def live(sessions: Sessions, at: datetime) -> str:
    with sessions() as session:
        return commissions.live_plan(session, at).name


def test_a_draft_is_published_by_a_second_person_and_is_live_at_once(
    opened: Sessions, team: Team, clock: FixedClock
) -> None:
    draft, approval = submitted(opened, team, clock.now())
    with pytest.raises(DomainError, match=r"second_person|not_permitted"):
        decided(opened, approval, team["operator"], clock.now())
    assert live(opened, clock.now()) == "first-shop"
    later = clock.now() + timedelta(hours=3)
    decided(opened, approval, team["finance"], later)
    assert (live(opened, clock.now()), live(opened, later)) == ("first-shop", "冬季")
    with opened() as session:
        row = versions.draft(session, draft)
        assert (row.state, row.version, row.author) == ("published", 2, "小运营")
        log = session.execute(text("select act, operator from audit_event where act like 'plan.%' order by id")).all()
    assert [tuple(row) for row in log] == [("plan.draft", "小运营"), ("plan.publish", "周会计")]


def test_a_plan_begins_on_its_day_and_never_in_the_past(opened: Sessions, team: Team, clock: FixedClock) -> None:
    first_day = TODAY + timedelta(days=11)
    _, approval = submitted(opened, team, clock.now(), on=first_day)
    decided(opened, approval, team["owner"], clock.now())
    begins = day_starts(first_day)
    assert states(opened, clock.now()) == [(2, "scheduled"), (1, "live")]
    assert (live(opened, begins - timedelta(seconds=1)), live(opened, begins)) == ("first-shop", "冬季")
    assert states(opened, begins) == [(2, "live"), (1, "ended")]
    with opened.begin() as session:
        row = publishing.start(session, {**BETTER, "name": "迟到"}, team["operator"], clock.now(),
                               TODAY - timedelta(days=1))
        with pytest.raises(DomainError, match="date_over"):
            publishing.submit(session, row.id, WORDING, "x", team["operator"], clock.now())
    _, late = submitted(opened, team, clock.now(), {**BETTER, "name": "晚批"}, on=TODAY)
    with pytest.raises(DomainError, match="plan_date_over"):
        decided(opened, late, team["owner"], clock.now() + timedelta(days=2))
    decided(opened, late, team["owner"], clock.now() + timedelta(days=2), approve=False)


def test_of_two_that_publish_one_wins_and_the_other_is_told(opened: Sessions, team: Team, clock: FixedClock) -> None:
    asked = [submitted(opened, team, clock.now(), {**BETTER, "name": name}) for name in ("甲", "乙", "丙")]

    def decide(approval: int) -> str:
        try:
            decided(opened, approval, team["finance"], clock.now())
        except Conflict as refusal:
            return refusal.code
        return "won"

    told = at_once(*(partial(decide, approval) for _, approval in asked))
    assert sorted(told) == ["plan_moved_on", "plan_moved_on", "won"]
    assert [version for version, _ in states(opened, clock.now())] == [2, 1]
    with opened() as session:
        kept = [(versions.draft(session, draft).state, approval) for draft, approval in asked]
    loser = next(approval for state, approval in kept if state == "submitted")
    decided(opened, loser, team["owner"], clock.now(), approve=False)
    with opened() as session:
        row = session.execute(text("select id, state from plan_draft where approval_id = :id"), {"id": loser}).one()
    assert row.state == "draft"
    with opened.begin() as session:
        publishing.submit(session, row.id, WORDING, "再来", team["operator"], clock.now())


def test_an_older_version_comes_back_as_a_new_one(opened: Sessions, team: Team, clock: FixedClock) -> None:
    clock.advance(3_600)
    _, approval = submitted(opened, team, clock.now())
    decided(opened, approval, team["finance"], clock.now())
    clock.advance(3_600)
    with opened.begin() as session:
        with pytest.raises(DomainError, match="plan_is_newest"):
            publishing.ask_rollback(session, 2, "x", team["operator"], clock.now())
        with pytest.raises(NotFound, match="plan_unknown"):
            publishing.ask_rollback(session, 9, "x", team["operator"], clock.now())
        with pytest.raises(DomainError, match="plan_date_over"):
            publishing.ask_rollback(session, 1, "x", team["operator"], clock.now(), TODAY - timedelta(days=1))
        back = publishing.ask_rollback(session, 1, "投诉太多", team["operator"], clock.now()).id
    decided(opened, back, team["owner"], clock.now())
    assert states(opened, clock.now()) == [(3, "live"), (2, "ended"), (1, "ended")]
    with opened() as session:
        again = versions.document_of(session, 3)
        assert again == versions.document_of(session, 1)
        assert versions.versions(session, clock.now())[0].reverts == 1


def test_a_plan_that_waits_for_its_day_is_undone_by_a_newer_one(
    opened: Sessions, team: Team, clock: FixedClock
) -> None:
    clock.advance(3_600)
    _, approval = submitted(opened, team, clock.now(), on=TODAY + timedelta(days=5))
    decided(opened, approval, team["finance"], clock.now())
    with opened.begin() as session:
        back = publishing.ask_rollback(session, 1, "取消", team["operator"], clock.now()).id
    decided(opened, back, team["owner"], clock.now())
    assert states(opened, clock.now()) == [(3, "live"), (2, "superseded"), (1, "ended")]
    assert live(opened, clock.now() + timedelta(days=30)) == "first-shop"


def test_drafts_are_edited_by_one_at_a_time_and_not_while_somebody_decides(
    opened: Sessions, team: Team, clock: FixedClock
) -> None:
    with opened.begin() as session:
        row = publishing.start(session, {"name": "半成品", "levels": "?"}, team["operator"], clock.now())
        draft = row.id
        with pytest.raises(DomainError, match="draft_name"):
            publishing.start(session, {"levels": 1}, team["operator"], clock.now())
        with pytest.raises(DomainError, match="plan_invalid"):
            publishing.submit(session, draft, WORDING, "x", team["operator"], clock.now())
    with opened.begin() as session:
        changed = publishing.change(session, draft, 1, BETTER, team["finance"], clock.now())
        assert (changed.revision, changed.author) == (2, "小运营")
        with pytest.raises(Conflict, match="draft_changed"):
            publishing.change(session, draft, 1, BETTER, team["operator"], clock.now())
    with opened.begin() as session:
        publishing.submit(session, draft, WORDING, "x", team["operator"], clock.now())
        with pytest.raises(Conflict, match="draft_state"):
            publishing.change(session, draft, 2, BETTER, team["operator"], clock.now())
    with opened.begin() as session:
        publishing.withdraw(session, draft, team["operator"], clock.now())
        with pytest.raises(Conflict, match="draft_state"):
            publishing.withdraw(session, draft, team["operator"], clock.now())


def test_a_withdrawn_draft_is_not_published_and_its_approval_can_only_be_rejected(
    opened: Sessions, team: Team, clock: FixedClock
) -> None:
    draft, approval = submitted(opened, team, clock.now())
    with opened.begin() as session:
        publishing.withdraw(session, draft, team["operator"], clock.now())
    with pytest.raises(Conflict, match="draft_state"):
        decided(opened, approval, team["finance"], clock.now())
    decided(opened, approval, team["finance"], clock.now(), approve=False)
    with opened() as session:
        assert versions.draft(session, draft).state == "withdrawn"


def test_an_approval_that_nobody_decided_gives_the_draft_back(
    opened: Sessions, team: Team, clock: FixedClock
) -> None:
    draft, _ = submitted(opened, team, clock.now())
    with opened.begin() as session:
        assert acts.expire_due(session, clock.now() + timedelta(days=8), 10) == 1
    with opened() as session:
        assert versions.draft(session, draft).state == "draft"


def test_levels_above_the_shops_switch_and_unchanged_plans_are_refused(
    opened: Sessions, team: Team, clock: FixedClock
) -> None:
    two = {**BETTER, "levels": 2, "team": {"rate_bps": 100}, "rules": [*BETTER["rules"], {
        "level": 2, "rate_bps": 100, "sku": "NOBODY-SELLS-THIS"}]}
    with opened() as session:
        found = {one.code: one.severity for one in publishing.validate(session, two, WORDING, clock.now())}
        assert {found["levels_not_allowed"], found["team_not_allowed"]} == {"error"}
        assert found["sku_unknown"] == "warning"
        same = publishing.validate(session, FIRST.document(), WORDING, clock.now())
        assert [one.code for one in same if one.severity == "error"] == ["unchanged"]


def test_whoever_decides_sees_what_changes(opened: Sessions, team: Team, clock: FixedClock) -> None:
    rules = [{**rule, "rate_bps": 900} if rule["category"] == "fmcg" and not rule["role"] else rule
             for rule in BETTER["rules"]]
    _, approval = submitted(opened, team, clock.now(), {**BETTER, "rules": rules[::-1]})
    with opened() as session:
        payload = session.execute(text("select payload from approval where id = :id"), {"id": approval}).scalar_one()
    assert {one["where"]: (one["before"], one["after"]) for one in payload["changes"]} == {
        "name": ("first-shop", "冬季"), "cap_bps": (5_000, 4_800), "rules[category:fmcg@1].rate_bps": (800, 900)}
    assert payload["follows"] == 1 and payload["worst_case_bps"] == 3_800


FORBIDDEN = [
    "update commission_plan set name = 'x'", "delete from commission_plan", "truncate commission_plan cascade",
    "delete from plan_draft", "truncate plan_draft",
    "update plan_draft set state = 'published', version = 1", "update plan_draft set document = '{}'",
    "update plan_draft set author = '林老板'", "update plan_draft set state = 'withdrawn', name = 'x'",
    "update plan_draft set document = '[]'",
    "insert into commission_plan (version, name, document, digest, live_from, published_at)"
    " values (9, 'x', '{}', 'x', now() - interval '1 day', now())",
    "insert into commission_plan (version, name, document, digest, live_from, approval_id)"
    " select 9, 'x', '{}', 'other', now(), approval_id from plan_draft",
    "insert into commission_plan (version, name, document, digest, live_from, approval_id)"
    " select 9, 'x', '{}', payload ->> 'digest', now(), id from approval",
    "insert into commission_plan (version, name, document, digest, live_from, reverts)"
    " values (9, 'x', '{}', 'x', now(), 9)",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_database_refuses(opened: Sessions, team: Team, clock: FixedClock, statement: str) -> None:
    submitted(opened, team, clock.now())
    with pytest.raises(DBAPIError), opened.begin() as session:
        session.execute(text(statement))


def test_the_morning_is_the_day_it_should_be() -> None:
    assert MORNING.date() == TODAY
