"""What must always be true of the books, as statements that name whatever breaks it.

Each statement looks at everything, at a range of ids, or at some ids: so it can be asked of the whole ledger at once,
night by night in pieces, or every few minutes for what has moved since. It reads one snapshot, so money on its way is
never mistaken for a fault.
"""

from collections.abc import Callable

from sqlalchemy.orm import Session

from domain.ledger.acts import ACTS
from domain.ledger.asking import EVERYTHING, Invariant, Scope, faults
from domain.ledger.standing import STANDING


def _balances(scope: Scope) -> str:
    """postings = balances"""
    return f"""
select a.id, format('account %s: balance says %s, postings say %s', a.id, b.amount,
                    case a.normal when 'credit' then coalesce(p.net, 0) else -coalesce(p.net, 0) end)
  from account a left join balance b on b.account_id = a.id
  left join (select id, sum(amount) as net from (
        select credit as id, amount from posting where credit >= 1000 and {scope.where('credit')}
        union all select debit, -amount from posting where debit >= 1000 and {scope.where('debit')}) s
     group by id) p on p.id = a.id
 where a.id >= 1000 and {scope.where('a.id')}
   and b.amount is distinct from case a.normal when 'credit' then coalesce(p.net, 0) else -coalesce(p.net, 0) end"""


def _journals(scope: Scope) -> str:
    """no journal without postings"""
    return f"""
select j.id, format('journal %s has no postings', j.id) from journal j
 where {scope.where('j.id')} and not exists (select from posting p where p.journal_id = j.id)"""


def _references(scope: Scope) -> str:
    """every posting has its journal and its accounts: triggers refuse others, once a statement (docs/adr/0030)"""
    return f"""
select p.journal_id, format('journal %s: posting %s names a journal or an account that is not there', p.journal_id, p.n)
  from posting p
 where {scope.where('p.journal_id')}
   and (not exists (select from journal j where j.id = p.journal_id)
        or not exists (select from account a where a.id = p.debit and a.currency = p.currency)
        or not exists (select from account a where a.id = p.credit and a.currency = p.currency))"""


def _parties(scope: Scope) -> str:
    """every order, line and commission names an order and people who are there: triggers refuse others (docs/adr/0048,
    docs/adr/0054)"""
    return f"""
select p.order_id, format('order %s names person %s, who is not there', p.order_id, p.person_id)
  from (select o.id as order_id, x.person_id from customer_order o
         cross join lateral (values (o.buyer_id), (o.seller_id), (o.leader_id)) as x (person_id)
         where {scope.where('o.id')}
        union all
        select c.order_id, c.beneficiary_id from commission_line c where {scope.where('c.order_id')}) p
 where p.person_id is not null and not exists (select from person q where q.id = p.person_id)
union all
select l.order_id, format('line %s names order %s, which is not there', l.n, l.order_id) from order_line l
 where {scope.where('l.order_id')} and not exists (select from customer_order o where o.id = l.order_id)"""


def _deals(scope: Scope) -> str:
    """commission − claw-back = journals: what the lines of an order say is what was booked for it"""
    return f"""
select coalesce(c.order_id, j.order_id), format('order %s: commissions say %s, journals say %s',
       coalesce(c.order_id, j.order_id), coalesce(c.net, 0), coalesce(j.net, 0))
  from (select order_id, sum(amount_fen - clawed_fen) as net from commission_line
         where {scope.where('order_id')} group by 1) c
  full join ({_booked(scope)}) j on j.order_id = c.order_id
 where coalesce(c.net, 0) <> coalesce(j.net, 0)"""


def _booked(scope: Scope) -> str:
    """(order_id, net) of the journals. For the whole ledger by reading it once; for some orders by the keys of their
    journals, which are made of the facts: so no index on the cause is needed where every order is written."""
    net = "sum(case when d.owner_id is null then p.amount else -p.amount end) as net"
    if scope == EVERYTHING:
        return f"""
        select j.source_id as order_id, {net} from journal j
          join posting p on p.journal_id = j.id join account d on d.id = p.debit
         where j.source_type = 'order'
           and j.kind in ('commission.accrued', 'commission.clawed_back', 'commission.confiscated') group by 1"""
    return f"""
        select k.order_id, {net} from (
            select j.id, o.id as order_id from customer_order o
              cross join lateral (values ('accrued'), ('closed')) v (fact)
              join journal j on j.idem = 'order:' || o.id || ':' || v.fact where {scope.where('o.id')}
            union all
            select j.id, r.order_id from refund r
              join journal j on j.idem = 'order:' || r.order_id || ':' || 'refund:' || r.refund_no
             where {scope.where('r.order_id')}
            union all
            select j.id, j.source_id from journal j
             where j.kind = 'commission.confiscated' and j.source_type = 'order' and {scope.where('j.source_id')}
        ) k join posting p on p.journal_id = k.id join account d on d.id = p.debit group by 1"""


def _claws(scope: Scope) -> str:
    """commission − claw-back = f(order): amounts and what was taken back follow from what was paid and returned"""
    return f"""
select c.order_id, format('commission line %s of order %s: %s of %s taken back, the order says %s', c.id, c.order_id,
                          c.clawed_fen, c.amount_fen, t.target)
  from commission_line c
  join order_line l on l.order_id = c.order_id and l.n = c.n
  join customer_order o on o.id = c.order_id
  cross join lateral (select case when o.closed_at is not null then c.amount_fen else
      div(2 * c.amount_fen::numeric * l.refunded_fen + l.paid_fen, 2 * l.paid_fen) end as target) t
 where {scope.where('c.order_id')}
   and case when c.clawed_fen <> t.target or c.base_fen <> l.paid_fen
                 or c.uncut_fen <> div(c.base_fen::numeric * c.rate_bps + 5000, 10000)
            then c.confiscated_at is null or c.clawed_fen <> c.amount_fen end"""


def _refunds(scope: Scope) -> str:
    """what an order and its lines say to have given back is the sum of their refunds"""
    return f"""
select o.id, format('order %s: %s returned, refunds say %s', o.id, o.refunded_fen, coalesce(r.fen, 0))
  from customer_order o
  left join (select order_id, sum(amount_fen) as fen from refund where {scope.where('order_id')} group by 1) r
    on r.order_id = o.id
 where {scope.where('o.id')} and o.refunded_fen <> coalesce(r.fen, 0)
union all
select r.order_id, format('refund %s of order %s says nothing of its lines', r.refund_no, r.order_id) from refund r
 where {scope.where('r.order_id')} and not exists (select from refund_line l where l.order_id = r.order_id
                                                      and l.refund_no = r.refund_no)
   and exists (select from order_line l where l.order_id = r.order_id)
union all
select l.order_id, format('order line %s/%s: %s returned, refunds say %s', l.order_id, l.n, l.refunded_fen,
                          coalesce(r.fen, 0))
  from order_line l
  left join (select order_id, n, sum(refund_fen) as fen from refund_line
              where {scope.where('order_id')} group by 1, 2) r using (order_id, n)
 where {scope.where('l.order_id')} and l.refunded_fen <> coalesce(r.fen, 0)"""


def _frozen(scope: Scope) -> str:
    """commissions under review are in the frozen account"""
    return f"""
select h.beneficiary_id, format('person %s: held commission %s, frozen balance %s', h.beneficiary_id, h.fen,
                                coalesce(b.amount, 0))
  from (select beneficiary_id, sum(amount_fen - clawed_fen) as fen from commission_line
         where held_at is not null and {scope.where('beneficiary_id')} group by 1) h
  left join account a on a.owner_id = h.beneficiary_id and a.kind = 'frozen' and a.currency = 'CNY'
  left join balance b on b.account_id = a.id
 where h.fen > coalesce(b.amount, 0)"""


def _held(scope: Scope) -> str:
    """held = open withdrawals: what their bills have not settled yet"""
    return f"""
select coalesce(h.owner_id, w.person_id), format('person %s: %s held, open withdrawals say %s',
       coalesce(h.owner_id, w.person_id), coalesce(h.amount, 0), coalesce(w.fen, 0))
  from (select a.owner_id, b.amount from account a join balance b on b.account_id = a.id
         where a.kind = 'held' and a.currency = 'CNY' and b.amount <> 0 and {scope.where('a.owner_id')}) h
  full join (
    select w.person_id, sum(w.gross_fen - coalesce(b.settled, 0)) as fen from withdrawal w
      left join lateral (select sum(share_fen) as settled from transfer_bill t where t.withdrawal_id = w.id
                            and t.state in ('SUCCESS', 'FAIL', 'CANCELLED', 'dropped')) b on true
     where w.state in ('asked', 'approved', 'paying') and {scope.where('w.person_id')}
     group by 1) w on w.person_id = h.owner_id
 where coalesce(h.amount, 0) <> coalesce(w.fen, 0)"""


def _bills(scope: Scope) -> str:
    """paid bills = clearing entries, and their tax"""
    return f"""
select b.withdrawal_id, format('bill %s: paid %s and withheld %s, journal says %s and %s', b.out_bill_no, b.amount_fen,
                               b.tax_fen, coalesce(p.net, 0), coalesce(p.tax, 0))
  from transfer_bill b
  left join journal j on j.idem = 'bill:' || b.id || ':' || 'paid' and j.kind in ('withdrawal.paid', 'packet.paid')
  left join lateral (
    select sum(p.amount) filter (where c.kind = 'clearing.wechat') as net,
           sum(p.amount) filter (where c.kind in ('tax.payable', 'tax.incidental')) as tax
      from posting p join account c on c.id = p.credit where p.journal_id = j.id) p on true
 where b.state = 'SUCCESS' and {scope.where('b.withdrawal_id')}
   and (coalesce(p.net, 0) <> b.amount_fen or coalesce(p.tax, 0) <> b.tax_fen)"""


def _leaks(scope: Scope) -> str:
    """no clearing entry without a paid bill"""
    return f"""
select j.source_id, format('journal %s: money left without a paid bill', j.idem) from journal j
 where j.source_type = 'withdrawal' and j.kind in ('withdrawal.paid', 'packet.paid') and {scope.where('j.source_id')}
   and not exists (select from transfer_bill b where b.withdrawal_id = j.source_id and b.state = 'SUCCESS'
                      and j.idem = 'bill:' || b.id || ':' || 'paid')"""


def _shares(scope: Scope) -> str:
    """the bills of a withdrawal are for what is held for it, no more and no less"""
    return f"""
select w.id, format('withdrawal %s: bills say %s, held was %s', w.no, b.fen, w.gross_fen)
  from withdrawal w
  join (select withdrawal_id, sum(share_fen) as fen from transfer_bill
         where {scope.where('withdrawal_id')} group by 1) b on b.withdrawal_id = w.id
 where b.fen <> w.gross_fen"""


def _given(name: str, table: str, worth: str) -> Callable[[Scope], str]:
    """What a row of ``table`` is worth (month closes, milestones, service pay) is what was booked for it. Letting it go
    moves money within its owner's accounts and is not counted."""

    def sql(scope: Scope) -> str:
        return f"""
select coalesce(s.id, j.id), format('{name} %s: its row says %s, journals say %s', coalesce(s.id, j.id),
                                    coalesce(s.worth, 0), coalesce(j.net, 0))
  from (select id, {worth} as worth from {table} where {scope.where('id')}) s
  full join (
    select j.source_id as id, sum(case when d.owner_id is null then p.amount else -p.amount end) as net
      from journal j join posting p on p.journal_id = j.id join account d on d.id = p.debit
     where j.source_type = '{name}' and j.kind not like '%.released' and {scope.where('j.source_id')}
     group by 1) j on j.id = s.id
 where coalesce(s.worth, 0) <> coalesce(j.net, 0)"""

    return sql


_settlements = _given("settlement", "settlement", "change_fen")
_milestones = _given("milestone", "milestone", "case when state <> 'revoked' then amount_fen else 0 end")
_service = _given("service", "service_act", "case when revoked_at is null then amount_fen else 0 end")
_rewards = _given("reward", "reward", "case when what = 'red_packet' and state <> 'revoked' then amount else 0 end")


def _grants(scope: Scope) -> str:
    """every present in money that was carried out has its journal, of that amount"""
    return f"""
select o.id, format('grant %s: %s given, its journal says %s', o.id, o.result ->> 'fen', coalesce(j.fen, 0))
  from outbox o
  left join lateral (
    select sum(p.amount) as fen from journal g join posting p on p.journal_id = g.id
     where g.idem = 'grant:' || (o.payload ->> 'cause') and g.kind = 'reward.given') j on true
 where o.kind = 'grant.red_packet' and o.state = 'done' and {scope.where('o.id')}
   and coalesce((o.result ->> 'fen')::bigint, 0) > 0 and (o.result ->> 'fen')::bigint <> coalesce(j.fen, 0)"""


def _taken(scope: Scope) -> str:
    """a gift that operators took back was taken back once, whole"""
    return f"""
select coalesce(t.journal_id, b.reverses), format('gift %s: %s taken back by hand, its journal says %s',
       coalesce(t.journal_id, b.reverses), coalesce(t.fen, 0), coalesce(b.fen, 0))
  from (select journal_id, fen from gift_taking where state = 'taken' and {scope.where('journal_id')}) t
  full join (select j.reverses, sum(p.amount) as fen from journal j join posting p on p.journal_id = j.id
              where j.reverses is not null and j.kind = 'gift.taken_back' and {scope.where('j.reverses')} group by 1) b
    on b.reverses = t.journal_id
 where t.fen is distinct from b.fen"""


def _points(scope: Scope) -> str:
    """what remains of somebody's lots is their balance of points"""
    return f"""
select coalesce(l.person_id, b.owner_id), format('points of person %s: lots say %s, the ledger says %s',
       coalesce(l.person_id, b.owner_id), coalesce(l.points, 0), coalesce(b.amount, 0))
  from (select person_id, sum(remaining) as points from point_lot where {scope.where('person_id')} group by 1) l
  full join (select a.owner_id, b.amount from account a join balance b on b.account_id = a.id
              where a.kind = 'points' and {scope.where('a.owner_id')}) b on b.owner_id = l.person_id
 where coalesce(l.points, 0) <> coalesce(b.amount, 0)"""


def _lots(scope: Scope) -> str:
    """a lot is what happened to it"""
    return f"""
select l.id, format('point lot %s: %s remain, its moves say %s', l.id, l.remaining, coalesce(m.total, 0))
  from point_lot l
  left join (select lot_id, sum(delta) as total from point_move where {scope.where('lot_id')} group by 1) m
    on m.lot_id = l.id
 where {scope.where('l.id')} and l.remaining <> coalesce(m.total, 0)"""


_LEFT_BEHIND = (
    ("orders", "customer_order", "buyer_id", ""), ("sales", "customer_order", "seller_id", ""),
    ("team sales", "customer_order", "leader_id", ""), ("commissions", "commission_line", "beneficiary_id", ""),
    ("month bookings", "settlement", "person_id", ""),
    ("milestones", "milestone", "person_id", "and state in ('provisional', 'final')"),
    ("service acts", "service_act", "person_id", ""), ("withdrawals", "withdrawal", "person_id", ""),
    ("point lots", "point_lot", "person_id", "and state <> 'closed'"), ("coupons", "coupon", "person_id", ""),
    ("rewards", "reward", "person_id", ""), ("opened rewards", "reward", "buyer_id", ""),
    ("memberships", "membership", "person_id", "and until is null"), ("member cards", "member_card", "person_id", ""),
    ("free draws", "draw_ticket", "person_id", "and used_at is null"), ("draws", "draw", "person_id", ""),
    ("exchanges", "mall_exchange", "person_id", ""), ("goods to send", "fulfilment", "person_id", ""),
    ("holds", "account_hold", "person_id", "and lifted_at is null"),
)


def _kept(scope: Scope) -> str:
    """nothing is left with somebody who was merged into another (docs/adr/0058)"""
    rows = "".join(f"""
        union all select '{name} ' || count(*) from {table} where {column} = p.id {only} having count(*) > 0"""
                   for name, table, column, only in _LEFT_BEHIND)
    return f"""
select p.id, format('person %s was merged into person %s and has still: %s (people gather)', p.id, p.merged_into,
                    l.what)
  from person p
 cross join lateral (select string_agg(w.what, ', ' order by w.what) as what from (
        select a.kind || ' ' || b.amount as what from account a join balance b on b.account_id = a.id
         where a.owner_id = p.id and b.amount <> 0{rows}) w) l
 where p.merged_into is not null and l.what is not null and {scope.where('p.id')}
 order by p.id"""


KEPT = Invariant("kept", "person", _kept)

INVARIANTS = (
    Invariant("balances", "account", _balances),
    Invariant("journals", "journal", _journals),
    Invariant("parties", "order", _parties),
    Invariant("deals", "order", _deals),
    Invariant("claws", "order", _claws),
    Invariant("refunds", "order", _refunds),
    Invariant("frozen", "person", _frozen),
    Invariant("held", "person", _held),
    Invariant("bills", "withdrawal", _bills),
    Invariant("leaks", "withdrawal", _leaks),
    Invariant("shares", "withdrawal", _shares),
    Invariant("settlements", "settlement", _settlements),
    Invariant("milestones", "milestone", _milestones),
    Invariant("service", "service", _service),
    Invariant("references", "journal", _references),
    Invariant("rewards", "reward", _rewards),
    Invariant("grants", "grant", _grants),
    Invariant("taken", "journal", _taken),
    Invariant("points", "person", _points),
    Invariant("lots", "lot", _lots),
    *STANDING,
    *ACTS,
    KEPT,
)


def sentences(session: Session, *names: str) -> list[str]:
    """What breaks some invariants in all of the books, told."""
    return [fault.sentence for one in INVARIANTS if one.name in names for fault in faults(session, one, EVERYTHING)]
