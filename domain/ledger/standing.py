"""What must be true of money beside what it was booked for: that what waits is there, that nobody was given what
nothing stands behind, and that closed months count what was sold. Asked like ``domain.ledger.invariants``.
"""

from domain.ledger.asking import Invariant, Scope


def _pending(scope: Scope) -> str:
    """what waits to be let go is what is pending: commissions, months, milestones, service, rewards"""
    return f"""
select coalesce(w.person_id, b.owner_id), format('person %s: %s wait to be let go, pending balance %s',
       coalesce(w.person_id, b.owner_id), coalesce(w.fen, 0), coalesce(b.amount, 0))
  from (select person_id, sum(fen) as fen from (
        select beneficiary_id as person_id, amount_fen - clawed_fen as fen from commission_line
         where released_at is null and held_at is null and {scope.where('beneficiary_id')}
        union all select person_id, held_fen from settlement where held_fen > 0 and {scope.where('person_id')}
        union all select person_id, amount_fen from milestone
         where state = 'provisional' and {scope.where('person_id')}
        union all select person_id, amount_fen from service_act
         where released_at is null and revoked_at is null and {scope.where('person_id')}
        union all select person_id, amount from reward
         where what = 'red_packet' and state = 'provisional' and {scope.where('person_id')}) every group by 1) w
  full join (select a.owner_id, b.amount from account a join balance b on b.account_id = a.id
              where a.kind = 'pending' and a.currency = 'CNY' and {scope.where('a.owner_id')}) b
    on b.owner_id = w.person_id
 where coalesce(w.fen, 0) <> coalesce(b.amount, 0)"""


def _causes(scope: Scope) -> str:
    """nobody was given money for nothing: what came from the shop has its fact, what came from another person a merge.
    How much it may be is asked elsewhere; here, that there is something to ask it of."""
    return f"""
select j.id, format('journal %s (%s, %s %s): somebody was given money, and nothing stands behind it', j.id, j.kind,
                    j.source_type, j.source_id)
  from journal j
 where {scope.where('j.id')}
   and exists (select from posting p join account d on d.id = p.debit join account c on c.id = p.credit
                where p.journal_id = j.id and p.currency = 'CNY' and c.owner_id is not null
                  and d.owner_id is distinct from c.owner_id)
   and not case j.source_type
       when 'order' then j.kind = 'commission.accrued'
       when 'merge' then exists (select from person_merge m where m.gone_id = j.source_id)
       when 'withdrawal' then exists (select from withdrawal w where w.id = j.source_id)
       when 'grant' then j.kind = 'reward.given' and (
            exists (select from outbox o where o.id = j.source_id and o.kind = 'grant.red_packet'
                       and (o.payload = '{{}}' or j.idem = 'grant' || chr(58) || (o.payload ->> 'cause')))
            or exists (select from draw d where d.id = j.source_id
                          and j.idem = 'grant' || chr(58) || 'draw' || chr(58) || d.id))
       when 'settlement' then j.kind in ('settlement.ladder', 'settlement.team', 'settlement.adjusted')
       when 'milestone' then j.kind = 'milestone.reached'
       when 'service' then j.kind = 'service.earned'
       when 'reward' then j.kind = 'reward.earned'
       else false end"""


def _volumes(scope: Scope) -> str:
    """what a closed month says that somebody and theirs sold is what their orders say, but for whom it is looked at
    again anyway"""
    doubt = """
          left join lateral (
            select true as doubt from commission_line c
             where c.order_id = o.id and c.beneficiary_id in ({whose})
               and (c.held_at is not null or c.confiscated_at is not null) limit 1) d on true"""
    closed = "join month_close m on m.month = shop_month(o.paid_at) and m.closed_at is not null"
    return f"""
select s.person_id, format('person %s sold %s and theirs %s in %s, the month says %s and %s', s.person_id,
                           sum(s.own), sum(s.team), s.month, sum(s.says_own), sum(s.says_team))
  from (select o.seller_id as person_id, m.month, o.goods_fen as own, 0 as team, 0 as says_own, 0 as says_team
          from customer_order o {closed} {doubt.format(whose='o.seller_id')}
         where o.closed_at is null and d.doubt is null and {scope.where('o.seller_id')}
        union all
        select o.leader_id, m.month, 0, o.goods_fen, 0, 0
          from customer_order o {closed} {doubt.format(whose='o.seller_id, o.leader_id')}
         where o.closed_at is null and d.doubt is null and {scope.where('o.leader_id')}
        union all
        select v.person_id, m.month, 0, 0, v.direct_fen, v.team_fen
          from month_volume v join month_close m using (month)
         where m.closed_at is not null and {scope.where('v.person_id')}) s
 where s.person_id is not null
   and not exists (select from settlement_late l where l.person_id = s.person_id and l.month = s.month)
 group by s.person_id, s.month
having sum(s.own) <> sum(s.says_own) or sum(s.team) <> sum(s.says_team)"""


STANDING = (
    Invariant("pending", "person", _pending),
    Invariant("causes", "journal", _causes),
    Invariant("volumes", "seller", _volumes),
)
