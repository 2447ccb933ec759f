"""What people decide has its act in the log: whatever plain SQL adds to it, with a reason of its own, is found."""

import json

import pytest
from sqlalchemy.orm import Session, sessionmaker

from bot.runtime.bootstrap import ASSETS
from domain.audit import service as audit
from domain.audit.rules import Actor
from domain.commissions import plans
from domain.commissions import service as commissions
from domain.ledger import books
from domain.ledger import service as ledger
from domain.people import service as people
from domain.roles import invitations, service
from domain.roles.rulebook import Seed
from domain.shared.clock import FixedClock
from domain.workflows import seeding
from domain.workflows.merging import MOVERS
from tests.integration.people.crowd import crowd, order

ONE = plans.load(ASSETS / "plans" / "first-shop.toml")
SEED = Seed(orders=3, within_days=60, average_above_fen=1, boost_bps=2_000, boost_months=3)
OFFER = {"boost_bps": 2_000, "months": 3}


@pytest.fixture
def decided(sessions: sessionmaker[Session], team: dict[str, Actor], clock: FixedClock) -> sessionmaker[Session]:
    """Keys made and taken, roles given, taken, earned and accepted, all by the house; one of three was two people."""
    now, owner = clock.now(), team["owner"]
    with sessions() as session:
        li, wang, xin = crowd(session, 3)
    with sessions.begin() as session:
        for name in (owner.name, team["finance"].name, team["operator"].name):
            audit.new_key(session, name, owner, now)
        audit.disable_operator(session, team["operator"].name, owner, now)
        commissions.ensure_plan(session, ONE, now)
        service.give(session, xin, "partner", "she sells", owner, now)
        service.give(session, wang, "gold", "a present", owner, now)
        clock.advance(60)
        service.take(session, wang, "gold", "a mistake", owner, clock.now())
        bought = order(session, li, "A1", 0)
        service.order_completed_many(session, [(li, bought, clock.now())], clock.now())
        invitations.invite(session, [(wang, OFFER)], SEED, clock.now())
        assert seeding.accept(session, wang, "好", clock.now())
        people.merge(session, li, xin, "one phone", clock.now(), MOVERS)
    return sessions


def broken(session: Session) -> set[str]:
    """The invariants that are broken, as the nightly look finds them."""
    while books.look_at_all(session).more:
        pass
    return {fault.invariant for fault in books.state(session).faults}


def test_what_the_house_decides_is_no_fault(decided: sessionmaker[Session]) -> None:
    with decided.begin() as session:
        assert ledger.check(session).faults == () and broken(session) == set()


LI = "(select min(id) from person)"
GRANT = ("insert into role_grant (person_id, role, cause_kind, cause_key, granted_at)"
         f" values ({LI}, 'partner', '{{kind}}', '{{key}}', now())")
DECIDED = ("insert into role_decision (person_id, role, what, at, month, reason, actor, afresh)"
           f" values ({LI}, 'gold', '{{what}}', now(), {{month}}, 'because', '林老板', true)")
ATTACKS = {
    "an owner whom nobody let in": ("operators", "insert into operator (name, role, added_at)"
                                    " values ('mallory', 'owner', now())"),
    "a key in the place of another": ("operators", "update operator set key_hash = repeat('ab', 32)"
                                      " where key_hash <> '' and role = 'owner'"),
    "a key for who has none": ("operators", "update operator set key_hash = repeat('ab', 32) where role = 'reviewer'"),
    "a hand of their own": ("operators", "update operator set key_by = '' where key_by <> ''"),
    "back again": ("operators", "update operator set disabled_at = null where disabled_at is not null"),
    "an owner sent away": ("operators", "update operator set disabled_at = now() where role = 'owner'"),
    "a role by an operator": ("roles", GRANT.format(kind="operator", key="林老板:today").replace("partner", "gold")),
    "a role by an order of nobody": ("roles", GRANT.format(kind="order", key="4711")),
    "a role by words": ("roles", GRANT.format(kind="order", key="because")),
    "a role by too few purchases": ("roles", "insert into role_grant (person_id, role, cause_kind, cause_key,"
                                    " granted_at) select buyer_id, 'gold', 'repurchase', id, now()"
                                    " from customer_order"),
    "a role by an assessment": ("roles", GRANT.format(kind="assessment", key="2026-10")),
    "a role by an invitation": ("roles", GRANT.format(kind="invitation", key="1")),
    "a role for a reason of its own": ("roles", GRANT.format(kind="friend", key="1")),
    "a role back": ("roles", "update role_grant set revoked_at = null, revoke_reason = '' where revoked_at is not null"
                    " and cause_kind = 'operator' and granted_at < revoked_at"),
    "a role ended by an operator": ("roles", "update role_grant set revoked_at = now() + interval '9 years',"
                                    " revoke_reason = 'operator' where revoked_at is null"),
    "a role ended for a reason of its own": ("roles", "update role_grant set revoked_at = now() + interval '9 years',"
                                             " revoke_reason = 'because' where revoked_at is null"),
    "a decision by an operator": ("decisions", DECIDED.format(what="revoked", month="null")),
    "a decision of a month": ("decisions", DECIDED.format(what="warned", month="'2026-10-01'")),
    "a boost": ("boosts", "insert into commission_boost (person_id, bps, starts_at, ends_at, cause, granted_at)"
                f" values ({LI}, 50000, now(), now() + interval '1 year', 'seed', now())"),
    "a boost for longer": ("boosts", "update commission_boost set ends_at = ends_at + interval '1 day'"),
    "a higher boost": ("boosts", "insert into commission_boost (person_id, bps, starts_at, ends_at, cause, granted_at)"
                       " select person_id, bps + 1, starts_at, ends_at, cause || 0, granted_at from commission_boost"),
    "a plan of long ago": ("plans", "insert into commission_plan (version, name, document, digest, live_from)"
                           f" values (2, 'x', '{json.dumps({'levels': 1})}', 'x', now())"),
    "a plan": ("plans", "insert into commission_plan (version, name, document, digest, live_from, published_at)"
               f" values (2, 'x', '{json.dumps({'levels': 1})}', 'x', now(), now())"),
}


def test_the_first_plans_of_an_old_shop_are_none(sessions: sessionmaker[Session], clock: FixedClock) -> None:
    """Before plans had two people, a shop's files published what they said."""
    with sessions.begin() as session:
        for version in (1, 2):
            session.connection().exec_driver_sql(ATTACKS["a plan of long ago"][1].replace("(2,", f"({version},"))
        assert broken(session) == set()
        commissions.ensure_plan(session, ONE, clock.now())
        assert broken(session) == set() and commissions.plan_count(session) == 3


@pytest.mark.parametrize("name", ATTACKS)
def test_what_was_added_by_hand_is_found_at_night(decided: sessionmaker[Session], name: str) -> None:
    invariant, attack = ATTACKS[name]
    with decided.begin() as session:
        done = session.connection().exec_driver_sql(attack)
        assert done.rowcount, "it changed something"
        assert broken(session) == {invariant}
        assert ledger.check(session).faults
