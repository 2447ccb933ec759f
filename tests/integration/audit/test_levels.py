"""How far down a plan may pay: one level, until an owner who was warned asks and a second person agrees."""

import json

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bot.runtime.bootstrap import ASSETS
from domain.commissions import plans
from domain.commissions import service as commissions
from domain.commissions.limits import Limits
from domain.shared.errors import Conflict, DomainError
from domain.workflows import acts, levels

TWO = plans.load(ASSETS / "plans" / "two-level.toml")
ONE = plans.load(ASSETS / "plans" / "first-shop.toml")
PUBLISH = ("insert into commission_plan (version, name, document, digest, live_from)"
           " values (99, 'x', cast(:document as jsonb), 'x', now())")
ALLOW = ("insert into plan_limit (max_levels, team_pay, since, operator, approval_id)"
         " values (:levels, :team, now(), 'x', :approval)")


def _switch(sessions, team, clock, max_levels: int, team_pay: bool = False) -> None:
    with sessions.begin() as session:
        asked = levels.ask(session, Limits(max_levels, team_pay), "法律提示", "试点", team["owner"], clock.now())
    with sessions.begin() as session:
        acts.decide(session, asked.id, True, team["finance"], clock.now())


def test_a_new_shop_pays_one_level_and_no_team(sessions, clock) -> None:
    with sessions.begin() as session:
        assert (commissions.allowed_levels(session), commissions.limits(session)) == (1, Limits(1, False))
        with pytest.raises(DomainError, match="levels_not_allowed"):
            commissions.ensure_plan(session, TWO, clock.now())
        with pytest.raises(DomainError, match="team_not_allowed"):
            commissions.ensure_plan(session, ONE.document() | {"team": {"rate_bps": 200}}, clock.now())
        assert commissions.ensure_plan(session, ONE, clock.now()).version == 1


def test_the_database_refuses_a_plan_beyond_it(sessions) -> None:
    for document in ({"levels": 2}, {"levels": 1, "team": {"rate_bps": 1}}, {"levels": 4}):
        with pytest.raises(DBAPIError, match="further down"), sessions.begin() as session:
            session.execute(text(PUBLISH), {"document": json.dumps(document)})


def test_two_people_raise_it_and_the_warning_is_kept(sessions, team, clock) -> None:
    with sessions.begin() as session:
        with pytest.raises(DomainError, match="warning_missing"):
            levels.ask(session, Limits(2), " ", "试点", team["owner"], clock.now())
        with pytest.raises(DomainError, match="not_permitted"):
            levels.ask(session, Limits(2), "法律提示", "试点", team["finance"], clock.now())
        for number in (0, 4):
            with pytest.raises(DomainError, match="levels_range"):
                levels.ask(session, Limits(number), "法律提示", "试点", team["owner"], clock.now())
    _switch(sessions, team, clock, 2, team_pay=True)
    with sessions.begin() as session:
        assert commissions.limits(session) == Limits(2, True)
        assert commissions.ensure_plan(session, TWO, clock.now()).levels == 2
        kept = session.execute(text("select a.payload ->> 'warning', a.asked_by, a.decided_by, l.operator"
                                    " from plan_limit l join approval a on a.id = l.approval_id")).one()
        assert tuple(kept) == ("法律提示", "林老板", "周会计", "周会计")
    with pytest.raises(DBAPIError), sessions.begin() as session:
        session.execute(text(PUBLISH), {"document": '{"levels": 3}'})


def test_nobody_raises_it_by_sql(sessions, team, clock) -> None:
    with sessions.begin() as session:
        open_one = levels.ask(session, Limits(3), "法律提示", "试点", team["owner"], clock.now()).id
    for wanted in ({"levels": 2, "team": False, "approval": None}, {"levels": 1, "team": True, "approval": None},
                   {"levels": 3, "team": False, "approval": open_one}, {"levels": 4, "team": False, "approval": None}):
        with pytest.raises(DBAPIError), sessions.begin() as session:
            session.execute(text(ALLOW), wanted)
    with sessions.begin() as session:
        acts.decide(session, open_one, True, team["finance"], clock.now())
    for sql in ("update plan_limit set max_levels = 1", "delete from plan_limit", "truncate plan_limit"):
        with pytest.raises(DBAPIError), sessions.begin() as session:
            session.execute(text(sql))
    for max_levels, team_pay in ((2, False), (3, True), (3, False)):
        with pytest.raises(DBAPIError), sessions.begin() as session:
            session.execute(text(ALLOW), {"levels": max_levels, "team": team_pay, "approval": open_one})


def test_it_is_lowered_only_when_no_plan_pays_so_far_down(sessions, team, clock) -> None:
    _switch(sessions, team, clock, 2, team_pay=True)
    with sessions.begin() as session:
        commissions.ensure_plan(session, TWO, clock.now())
        with pytest.raises(DomainError, match="levels_unchanged"):
            levels.ask(session, Limits(2, True), "法律提示", "试点", team["owner"], clock.now())
        asked = levels.ask(session, Limits(1), "", "收回", team["owner"], clock.now()).id
        with pytest.raises(Conflict, match="approval_open"):
            levels.ask(session, Limits(3), "法律提示", "x", team["owner"], clock.now())
    with pytest.raises(DomainError, match="levels_in_use"), sessions.begin() as session:
        acts.decide(session, asked, True, team["finance"], clock.now())
    clock.advance(60)
    with sessions.begin() as session:
        commissions.ensure_plan(session, ONE, clock.now())
        acts.decide(session, asked, True, team["finance"], clock.now())
        assert commissions.allowed_levels(session) == 1
