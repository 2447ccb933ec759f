"""What people decide has its witness: who runs the shop, what somebody may earn by, and at which rates. The database
refuses what is changed in such rows; what is added to them, or ended, with a reason of its own is found here
(docs/adr/0081). Asked like ``domain.ledger.invariants``, at night only.
"""

from domain.ledger.asking import Invariant, Scope

_THEIRS = """
 cross join lateral (select array_agg(f.id) as ids, array_agg('person:' || f.id) as subjects from (
        select {person} as id
        union select p.merged_into from person p where p.id = {person} and p.merged_into is not null
        union select p.id from person p join person k on k.id = {person}
               where p.merged_into = coalesce(k.merged_into, k.id)) f) t"""
"""Who somebody was, too: acts name the person of their day, and merges move what came of them."""


def _told(act: str, at: str, role: str) -> str:
    """The log has this act on them at that time, about this role."""
    return (f"exists (select from audit_event e where e.subject = any (t.subjects) and e.act = {act}"
            f" and e.at = {at} and e.detail ->> 'role' = {role})")


def _operators(scope: Scope) -> str:
    """who runs the shop was let in, was given the key that they have, and did not come back by themselves"""
    return f"""
select o.id, format('operator %s: %s', o.name, w.what)
  from operator o
  left join lateral (select e.detail from audit_event e
                      where e.subject = 'operator:' || o.name and e.act = 'operator.key' order by e.id desc limit 1) k
    on true
 cross join lateral (select concat_ws(', ',
       case when not exists (select from audit_event e where e.subject = 'operator:' || o.name
                                and e.act = 'operator.add' and e.detail ->> 'role' = o.role)
            then 'nobody let them in as ' || o.role end,
       case when o.key_hash <> '' and (k.detail is null or k.detail ->> 'key' <> left(o.key_hash, 12))
            then 'nobody made their key' end,
       case when k.detail ? 'key' and o.key_hash <> '' and o.key_by <> coalesce(k.detail ->> 'hand', '')
            then 'their key was made by somebody else than it says' end,
       case when (o.disabled_at is not null) <> exists (
                select from audit_event e where e.subject = 'operator:' || o.name and e.act = 'operator.disable')
            then case when o.disabled_at is null then 'nobody let them in again' else 'nobody sent them away' end end
     ) as what) w
 where w.what <> '' and {scope.where('o.id')}"""


def _roles(scope: Scope) -> str:
    """a role was earned by what it names, and ended by what it says"""
    return f"""
select g.id, format('role %s of person %s by %s/%s: %s', g.role, g.person_id, g.cause_kind, g.cause_key, w.what)
  from role_grant g {_THEIRS.format(person='g.person_id')}
 cross join lateral (select case when g.cause_key ~ '^[0-9]{{1,18}}$' then cast(g.cause_key as bigint) end as number) n
 cross join lateral (select concat_ws(', ', case when not coalesce(case g.cause_kind
       when 'operator' then {_told("'role.grant'", 'g.granted_at', 'g.role')}
       when 'order' then exists (select from customer_order o where o.id = n.number and o.buyer_id = any (t.ids)
                                    and o.completed_at is not null)
       when 'repurchase' then exists (select from customer_order o where o.id = n.number and o.buyer_id = any (t.ids))
            and (g.revoked_at is not null
                 or (select count(*) from customer_order o where o.buyer_id = any (t.ids))
                    >= (select min(r.regular_orders) from role_rulebook r))
       when 'assessment' then exists (select from role_decision d where d.person_id = any (t.ids) and d.role = g.role
                                         and d.what = 'promoted' and to_char(d.month, 'YYYY-MM') = g.cause_key)
       when 'invitation' then exists (select from invitation i where i.person_id = any (t.ids) and i.state = 'accepted')
       else false end, false) then 'nothing gave it' end,
       case when g.revoked_at is null and g.cause_kind in ('operator', 'assessment', 'invitation')
                 and cardinality(t.ids) = 1 and exists (
                     select from audit_event e where e.subject = any (t.subjects) and e.act = 'role.revoke'
                        and e.at >= g.granted_at and e.detail ->> 'role' = g.role)
            then 'it was taken' end,
       case when g.revoked_at > g.granted_at and not case g.revoke_reason
       when 'operator' then {_told("'role.revoke'", 'g.revoked_at', 'g.role')}
       when 'merged' then exists (select from person_merge m where m.gone_id = any (t.ids))
       else g.revoke_reason in ('order_returned', 'returned', 'recounted', 'below_target', 'too_few_repurchases') end
            then 'nothing took it' end) as what) w
 where w.what <> '' and {scope.where('g.id')}"""


def _decisions(scope: Scope) -> str:
    """what was decided about a role was decided by a month's assessment or by somebody who is in the log"""
    return f"""
select d.id, format('decision %s on person %s (%s %s): nobody took it', d.id, d.person_id, d.what, d.role)
  from role_decision d {_THEIRS.format(person='d.person_id')}
 where not case when d.month is not null then exists (select from role_assessment a where a.month = d.month)
       else {_told("case d.what when 'granted' then 'role.grant' else 'role.revoke' end", 'd.at', 'd.role')} end
   and {scope.where('d.id')}"""


def _boosts(scope: Scope) -> str:
    """rates of somebody are lifted by what they accepted, by as much, and no longer"""
    return f"""
select b.id, format('boost %s of person %s (%s): nobody was promised it', b.id, b.person_id, b.cause)
  from commission_boost b {_THEIRS.format(person='b.person_id')}
 where not exists (
       select from invitation i
        where i.person_id = any (t.ids) and i.state = 'accepted'
          and b.cause in (select 'seed:' || one from unnest(t.ids) one)
          and b.bps = 10000 + cast(i.evidence ->> 'boost_bps' as bigint)
          and b.ends_at at time zone 'Asia/Shanghai' <= b.starts_at at time zone 'Asia/Shanghai'
                                                        + make_interval(months => cast(i.evidence ->> 'months' as int)))
   and {scope.where('b.id')}"""


def _plans(scope: Scope) -> str:
    """but for the one that a shop begins with, every plan was published by somebody who is in the log; the first plans
    of old shops (before migration 0010) have no time of publishing and no act"""
    return f"""
select p.version, format('plan %s (%s): nobody published it', p.version, p.name)
  from commission_plan p
 where p.version > (select min(version) from commission_plan)
   and not exists (select from audit_event e where e.subject = 'plan:' || p.version
                      and e.act in ('plan.publish', 'plan.rollback', 'plan.ensure'))
   and (p.published_at > 'epoch'
        or exists (select from commission_plan q where q.version < p.version and q.published_at > 'epoch'))
   and {scope.where('p.version')}"""


ACTS = (
    Invariant("operators", "operator", _operators),
    Invariant("roles", "role", _roles),
    Invariant("decisions", "decision", _decisions),
    Invariant("boosts", "boost", _boosts),
    Invariant("plans", "plan", _plans),
)
