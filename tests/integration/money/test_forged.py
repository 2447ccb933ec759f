"""What somebody could write who has the house's own way into the database, and wants money: each is refused, or found
by the check of the books."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bot.runtime.bootstrap import ASSETS
from domain.ledger import service as ledger
from domain.ledger.rules import Entry, Move, person
from domain.people import service as people
from domain.points import service as points
from domain.points.rules import Life
from domain.points.service import Earning
from domain.rewards import service as rewards
from domain.rewards.rules import Offers
from domain.risk import service as risk
from domain.roles import invitations
from domain.roles.rulebook import Seed
from domain.workflows import MOVERS, seeding
from tests.integration.money.test_steps import busy
from tests.integration.money.world import Shop

__all__ = ["busy"]

SEED = Seed(orders=3, within_days=60, average_above_fen=1, boost_bps=2_000, boost_months=12)
LI, WANG = "(select min(id) from person)", "(select min(id) + 1 from person)"
AVAILABLE = "(select id from account where kind = 'available' and owner_id = {})"
JOURNAL = ("with j as (insert into journal (idem, digest, kind, effective_at, posted_at, source_type, source_id)"
           " values ('forged', 'x', '{kind}', now(), now(), '{source}', {id}) returning id), p as (insert into posting"
           " select id, 1, {debit}, {credit}, 'CNY', 70 from j), d as (update balance set amount = amount - 70"
           " where account_id = {debit} and account_id >= 1000) update balance set amount = amount + 70"
           " where account_id = {credit}")


def gift(kind: str, source: str, source_id: str = "1", debit: str = "6", credit: str = AVAILABLE.format(LI)) -> str:
    """Money for 李姐 from the shop's expense, or from somebody else."""
    return JOURNAL.format(kind=kind, source=source, id=source_id, debit=debit, credit=credit)


ORDER = "(select min(id) from customer_order)"
PENDING = "(select id from account where kind = 'pending' and owner_id = {})"
ATTACKS = {
    "a gift of nobody": gift("gift", "test"),
    "a gift that was never given": gift("reward.given", "grant", "987654"),
    "a gift of an order": gift("gift", "order", ORDER, "1"),
    "a commission that nobody earned": gift("commission.accrued", "order", ORDER, "1", PENDING.format(LI)),
    "a commission of no order": gift("commission.accrued", "order", "987654", "1", PENDING.format(LI)),
    "a month's release from expense": gift("settlement.released", "settlement", "1", "4"),
    "a reward's release from expense": gift("reward.released", "reward", "1"),
    "a milestone's release from expense": gift("milestone.released", "milestone", "1", "8"),
    "service that nobody did": gift("service.earned", "service", "987654", "9", PENDING.format(LI)),
    "a withdrawal that never was comes back": gift("withdrawal.returned", "withdrawal", "987654", "20"),
    "somebody else's money": gift("people.merged", "merge", "987654", AVAILABLE.format(WANG)),
    "somebody else's money, as a test": gift("gift", "test", "1", AVAILABLE.format(WANG)),
    "pending money at once": gift("commission.released", "order", ORDER, PENDING.format(LI)),
    "a debt forgiven": gift("debt.forgiven", "test", "1", "6",
                            "(select id from account where kind = 'debt' and owner_id = " + LI + ")"),
    "a balance without postings": "update balance set amount = amount + 70 where account_id = " + AVAILABLE.format(LI),
    "a lower floor": "update balance set floor = -10000 where account_id >= 1000",
    "an account that lives again": "update balance set ceased = not ceased where ceased",
    "a month sold more": "update month_volume set direct_fen = direct_fen + 5000000 where direct_fen > 0",
    "a team sold more": "update month_volume set team_fen = team_fen + 1 where team_fen > 0",
    "somebody sold": f"insert into month_volume values ('2026-11-01', {LI} + 3, 5000000, 1, 0)",
    "a refund that was never told": f"insert into refund values ({ORDER}, 'R9', 'x', 100, now(), now())",
    "a return beside its refund": f"with r as (insert into refund values ({ORDER}, 'R9', 'x', 0, now(), now())"
        " returning order_id, refund_no) insert into refund_line select order_id, refund_no, 1, 5, 0 from r",
    "a refund that counts as known": f"insert into refund values ({ORDER}, 'R9', 'x', 0, now(), now())",
    "an order that came back when it was born": "insert into customer_order (channel, order_no, source, buyer_id,"
        " currency, paid_fen, shipping_fen, refunded_fen, digest, paid_at, booked_at) select channel, 'Z9', source,"
        " buyer_id,"
        " currency, 100, 0, 50, 'z', now(), now() from customer_order limit 1",
    "a commission without money": "insert into commission_line (order_id, n, beneficiary_id, level, base_fen, rate_bps,"
        " rule, rule_bps, plan_version, uncut_fen, amount_fen, accrued_at) select order_id, n, beneficiary_id, 3,"
        " base_fen, 1, rule, 1, plan_version, 9, 9, now() from commission_line limit 1",
    "a held line goes on": "update commission_line set held_at = null where held_at is not null",
    "an approval born approved": "insert into approval (act, subject, reason, asked_by, asked_at, expires_at, state,"
        " decided_by, decided_at) values ('withdrawal.approve', 'withdrawal:W9', 'x', 'lin', now(), now() + interval"
        " '1 day', 'approved', 'zhou', now())",
    "a large sum without the second person": "update withdrawal set state = 'approved', decided_by = 'lin',"
        " decided_at = now() where no = 'W9'",
    "to another openid": "update withdrawal set openid = 'thief' where no = 'W9'",
    "to another openid, as an erasure": "with e as materialized (select set_config('huitou.erasing', 'yes', true))"
        " update withdrawal set openid = 'thief' from e where no = 'W9'",
    "more of it": "with e as materialized (select set_config('huitou.erasing', 'yes', true))"
        " update withdrawal set gross_fen = gross_fen + 1 from e where no = 'W9'",
    "somebody else's withdrawal": f"update withdrawal set person_id = {WANG} where no = 'W9'",
    "a bill that was paid": "insert into transfer_bill (withdrawal_id, n, out_bill_no, amount_fen, share_fen,"
        " with_name, made_at, state_at, state, paid_at, gross_fen) select id, 1, 'B9', 100, 100, false, now(), now(),"
        " 'SUCCESS', now(), 100 from withdrawal where no = 'W9'",
    "a second bill": "insert into transfer_bill (withdrawal_id, n, out_bill_no, amount_fen, share_fen, with_name,"
        " made_at, state_at) select id, g, 'B' || g, 100, 100, false, now(), now() from withdrawal,"
        " generate_series(1, 2) g where no = 'W9'",
    "a freeze lifted": "update account_hold set lifted_at = now()",
    "a freeze for another reason": "update account_hold set cause = 'mistake'",
    "somebody else is frozen": f"update account_hold set person_id = {LI}",
    "a dearer coupon": "update coupon set off_fen = 99999",
    "a coupon of somebody else": f"update coupon set person_id = {WANG}",
    "a higher role": "update role_grant set role = 'partner'",
    "somebody else's role": f"update role_grant set person_id = {WANG} where person_id <> {WANG}",
    "a better boost": "update commission_boost set bps = 50000",
    "an earlier boost": "update commission_boost set starts_at = starts_at - interval '1 year'",
    "somebody else's customer": f"update referral set referrer_id = {LI} where referrer_id <> {LI}",
    "bound earlier": "update referral set bound_at = bound_at - interval '1 year'",
    "bound from another source": "update referral set source = 'poster'",
    "points out of nothing": "update point_lot set remaining = remaining - 1 where remaining > 0",
    "points of somebody else": f"update point_lot set person_id = {WANG}",
    "a bigger lot": "update point_lot set amount = amount + 100",
    "points by a move": "insert into point_move (lot_id, kind, delta, idem, at) select id, 'undo', 5, 'forged', now()"
        " from point_lot limit 1",
    "a red packet that nobody opened": "insert into reward (ladder, rung, buyer_id, person_id, what, amount, detail,"
        " title, benefits, needed, order_id, since, state, reason, turn, changed_at)"
        f" select 'x', 'y', {LI}, {LI}, 'red_packet', 9900, '', '', array[]::text[], 2, {ORDER}, now(), 'provisional',"
        " '', 0, now()",
    "a milestone that nobody reached": "insert into milestone (person_id, key, n, amount_fen, plan_version, reached_at,"
        f" check_at) values ({LI}, 'first_sale', 9, 5000, 1, now(), now())",
    "a plan changed": "update commission_plan set document = jsonb_set(document, '{levels}', '3')",
    "a log rewritten": "update audit_event set operator = 'somebody'",
    "a log cut": "delete from audit_event",
}


@pytest.fixture
def rich(busy: Shop) -> Shop:
    """Besides, 李姐 has points, a coupon, a role, a boost, a twin, and asks for money; 小王 is frozen."""
    now = busy.clock.now()
    offers = Offers.load((ASSETS / "rewards.toml").read_text("utf-8"))
    li, wang, twin = busy.people["李姐"], busy.people["小王"], busy.person("旧号")
    with busy.sessions.begin() as session:
        points.earn(session, [Earning(li, 50, "order:1", now)], Life(), now)
        points.activate(session, now, person_id=li)
        rewards.issue(session, li, next(iter(offers.by_kind.values())), "present", now)
        invitations.invite(session, [(li, {"boost_bps": 2_000, "months": 12})], SEED, now)
        assert seeding.accept(session, li, "好", now)
        risk.freeze(session, wang, "lin", "why not", now)
        points.earn(session, [Earning(twin, 5, "order:2", now)], Life(), now)
        points.activate(session, now, person_id=twin)
        people.merge(session, li, twin, "one phone", now, MOVERS)
        session.execute(text("insert into audit_event (at, operator, role, act, subject)"
                             " values (now(), 'lin', 'owner', 'x', 'y')"))
        ledger.lock(session, [busy.people["小王"], li])
        session.execute(text("insert into withdrawal (no, person_id, account, app_id, openid, remark, gross_fen,"
                             " tax_fen, tax_method, plan_version, two_people, asked_at) select 'W9', min(id), 'a', 'a',"
                             " 'o', 'r', 100, 0, 'none', 1, true, now() from person"))
        made = session.execute(text("select max(id) from withdrawal")).scalar_one()
        ledger.post(session, [Entry(f"withdrawal:{made}:asked", "withdrawal.asked", now, "withdrawal", made, "W9",
                                    (Move(person(li, "available"), person(li, "held"), 100),))], now)
    busy.adjust()
    return busy


def test_what_is_forged_is_refused_or_reported(rich: Shop) -> None:
    with rich.sessions() as session:
        assert ledger.check(session).faults == ()
    survived = []
    for name, sql in ATTACKS.items():
        with rich.sessions() as session:
            try:
                if not session.execute(text(sql)).rowcount:
                    survived.append(f"{name}: nothing to attack")
                session.execute(text("set constraints all immediate"))
            except DBAPIError as refused:
                if getattr(refused.orig, "sqlstate", "") not in ("HT403", "HT409", "HT423", "23514", "23503"):
                    survived.append(f"{name}: {refused.orig}")
                continue
            if not ledger.check(session).faults:
                survived.append(name)
            session.rollback()
    assert not survived, "; ".join(survived)
