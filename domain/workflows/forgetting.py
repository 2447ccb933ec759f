"""What is erased of a person, table by table: everything that tells who they were. Numbers and business facts stay
under the person's id, which is a pseudonym by then.

Rows are emptied where history must keep its shape, and deleted where nothing else hangs on them. A test compares this
list and ``KEPT`` with the schema, so that a new table with somebody's words in it is not overlooked.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.people.leaving import Name

KEPT = {
    "account_hold": "the number of the case",
    "badge": "an honour's key and its numbers",
    "certificate": "numbers and titles; the holder's name is read from the person",
    "check_in": "a day",
    "commission_boost": "the cause's key", "commission_line": "rules by key",
    "contact_way": "random tokens and addresses of the platform's codes",
    "consent": "what was agreed to and how: the shop must be able to prove it",
    "consent_word": "what was agreed to and how: the shop must be able to prove it",
    "coupon": "codes and titles", "draw": "codes of the draw", "draw_ticket": "the cause's key",
    "draw_entrant": "a random code", "erasure": "why and when, emptied of words when it is done",
    "erased_identity": "HMACs: this is what recognises who returns",
    "exposure": "the arm of an experiment", "mall_exchange": "the shop's own item",
    "member_card": "the shop's own card", "membership": "tier and benefits", "milestone": "a key",
    "month_volume": "sums", "notice_pause": "the purpose", "notice_slot": "digests of what was sent, without names",
    "occasion": "keys", "payee": "the version of the consent to withholding: tax law",
    "point_lot": "causes by key", "point_spending": "causes by key", "poster_choice": "a style",
    "programme_stale": "the fault of a count",
    "referral": "how the two met, by kind", "reward": "titles of the shop's own", "risk_case": "ids only",
    "role_decision": "numbers that a role was judged by", "role_grant": "keys",
    "scene": "random tokens", "service_act": "the shop's ticket number", "settlement": "sums",
    "shot_given": "numbers", "shot_word": "what was agreed to, without names: the shop must be able to prove it",
    "tag_change": "emptied by deleting it", "vault_key": "destroyed by the vault itself",
}
"""Tables that name a person and hold text, and why their text may stay."""

_OWN: tuple[tuple[str, str], ...] = (
    ("person", "update person set nickname = '', avatar_url = '', birthday = null, phone_verified_at = null"
               " where id = any (:ids)"),
    ("send_right", "delete from send_right where openid = any (:openids)"),
    ("subscription_token", "delete from subscription_token where openid = any (:openids)"),
    # The key of an event holds the openid. Messages that nobody could handle have no person yet.
    ("inbox_message", """
        update inbox_message set payload = '{}', reply = null, error = '', dedupe_key = 'erased:' || id,
               state = case when state in ('failed', 'running') then 'dead' else state end, due_at = null
         where person_id = any (:ids) or (person_id is null and payload ->> 'sender' = any (:openids))"""),
    ("conversation", "delete from conversation where person_id = any (:ids)"),
    ("outbox", """
        update outbox set payload = '{}', result = '{}',
               reason = case when state in ('waiting', 'running') then 'erased' else reason end,
               state = case when state in ('waiting', 'running') then 'refused' else state end,
               ended_at = coalesce(ended_at, :now), lease_until = null
         where person_id = any (:ids)"""),
    ("contact_tag", "delete from contact_tag t using contact c where c.id = t.contact_id and c.person_id = any (:ids)"),
    ("contact", "delete from contact where person_id = any (:ids)"),
    ("staff_task_person", """
        update staff_task_person set external_userid = 'erased:' || effect_id where person_id = any (:ids)"""),
    ("journey_event", "update journey_event set data = '{}' where person_id = any (:ids)"),
    # Who is forgotten walks no journey any more: there is nobody to tell, and nothing left to tell about.
    ("enrolment", """
        update enrolment set ctx = '{}', begun = false, ended_at = coalesce(ended_at, :now),
               end_reason = case when state = 'ended' then end_reason else 'erased' end, state = 'ended'
         where person_id = any (:ids)"""),
    ("person_tag", "delete from person_tag where person_id = any (:ids)"),
    ("tag_change", "delete from tag_change where person_id = any (:ids)"),
    ("person_insight", "delete from person_insight where person_id = any (:ids)"),
    ("insight_stale", "delete from insight_stale where person_id = any (:ids)"),
    ("notice_preference", "delete from notice_preference where person_id = any (:ids)"),
    ("invitation", "update invitation set words = '…' where person_id = any (:ids) and words <> ''"),
    ("feedback", """
        update feedback set words = '…', photos = '[]', outcome = '', answer = ''
         where person_id = any (:ids) and (words <> '…' or photos <> '[]')"""),
    ("topic_word", """
        update topic_word set words = '…', state = 'passed', judged_at = coalesce(judged_at, :now),
               judged_by = case when judged_by = '' then 'erased' else judged_by end
         where person_id = any (:ids) and words <> '…'"""),
    # The picture goes; what was agreed to about it stays.
    ("shot", """
        update shot set picture = null, digest = null, width = 0, height = 0, words = '', media_id = '', consent = '',
               why = case when state in ('draft', 'waiting', 'approved') then 'erased' else why end,
               ended_at = coalesce(ended_at, :now),
               state = case when state in ('draft', 'waiting', 'approved') then 'withdrawn' else state end, said = ''
         where person_id = any (:ids) and (ended_at is null or said <> '')"""),
    ("ticket_answer", """
        update ticket_answer a set words = '…' from ticket t
         where t.id = a.ticket_id and t.person_id = any (:ids) and a.words <> '…'"""),
    ("ticket", """
        update ticket set question = '…', closed_at = coalesce(closed_at, :now),
               closed_why = case when state = 'open' then 'left' else closed_why end, state = 'closed'
         where person_id = any (:ids) and question <> '…'"""),
    ("fulfilment", "update fulfilment set note = '' where person_id = any (:ids) and note <> ''"),
    ("risk_step", """
        update risk_step s set words = '' from risk_case k
         where k.id = s.case_id and k.person_id = any (:ids) and s.what = 'appealed' and s.words <> ''"""),
    ("risk_signal", "delete from risk_signal r using customer_order o"
                    " where o.id = r.order_id and o.buyer_id = any (:ids)"),
    ("customer_order", """
        update customer_order set carrier = '', tracking_no = '', region = '', signals = null
         where buyer_id = any (:ids)"""),
    # What the mall told, once it is applied. The digest stays: the same event again is still the same.
    ("order_event", """
        update commerce_event e set payload = e.payload - 'buyer' - 'risk' - 'carrier' - 'tracking_no' - 'region'
          from customer_order o
         where o.buyer_id = any (:ids) and e.subject = 'order:' || o.channel || '/' || o.order_no
           and not exists (select from commerce_open w where w.id = e.id and w.state = 'new')
           and not exists (select from commerce_batch b where e.id = any (b.events))"""),
    # A second payment of somebody's order waits for a human, who needs no name to see what it is.
    ("open_event", """
        update commerce_event e set payload = e.payload - 'buyer' - 'risk' - 'region' from commerce_open w
         where w.id = e.id and w.type = 'order.paid' and w.state = 'conflict'
           and exists (select from jsonb_each_text(e.payload -> 'buyer') b where b.value = any (:names))"""),
    # Settled events keep no phone, so one that named nothing else is known by what it told.
    ("customer_event", """
        update commerce_event e set payload = '{}', subject = 'customer:erased'
         where type = 'customer.upserted' and payload <> '{}'
           and not exists (select from commerce_open w where w.id = e.id and w.state = 'new')
           and (payload -> 'identities' ->> 'openid' = any (:names)
                or payload -> 'identities' ->> 'unionid' = any (:names)
                or payload -> 'identities' ->> 'external_userid' = any (:names)
                or payload -> 'identities' ->> 'mall_user_id' = any (:names)
                or (payload -> 'identities' = '{}' and payload ->> 'nickname' = :nickname))"""),
    ("commerce_open", """
        update commerce_open o set subject = e.subject from commerce_event e
         where o.type = 'customer.upserted' and e.id = o.id and e.subject = 'customer:erased'
           and o.subject <> e.subject"""),
    # Kept for the books, but not to whom it went: the numbers of withdrawal and bills find it at the provider.
    ("withdrawal", "update withdrawal set openid = '', remark = '' where person_id = any (:ids) and openid <> ''"),
    ("transfer_bill", """
        update transfer_bill b set package_info = '' from withdrawal w
         where w.id = b.withdrawal_id and w.person_id = any (:ids) and b.package_info <> ''"""),
)

# Others were told the name: who brought them, whom they brought, in whose business they met.
_NEIGHBOURS = text("""
    select referrer_id from referral where referee_id = any (:ids)
    union select referee_id from referral where referrer_id = any (:ids)
    union select seller_id from customer_order where buyer_id = any (:ids) and seller_id is not null
    union select leader_id from customer_order where buyer_id = any (:ids) and leader_id is not null
    union select buyer_id from customer_order where seller_id = any (:ids)
    union select g.person_id from shot_given g join shot s on s.id = g.shot_id where s.person_id = any (:ids)
    union select beneficiary_id from commission_line c join customer_order o on o.id = c.order_id
           where o.buyer_id = any (:ids)
""")
_NAMED: tuple[tuple[str, str], ...] = (
    ("others' inbox", """
        update inbox_message set reply = jsonb_set(reply, '{text}', '""')
         where person_id = any (:others) and strpos(reply ->> 'text', :name) > 0"""),
    ("others' outbox", """
        update outbox set payload = '{}', result = '{}'
         where person_id = any (:others) and state not in ('waiting', 'running')
           and (strpos(payload::text, :name) > 0 or strpos(result::text, :name) > 0)"""),
    ("others' waiting", """
        update outbox set payload = replace(payload::text, :quoted, '""')::jsonb
         where person_id = any (:others) and state in ('waiting', 'running') and strpos(payload::text, :quoted) > 0"""),
    ("others' events", """
        update journey_event set data = replace(data::text, :quoted, '""')::jsonb
         where person_id = any (:others) and strpos(data::text, :quoted) > 0"""),
    ("others' contacts", """
        update contact set arrival = replace(arrival::text, :quoted, '""')::jsonb
         where person_id = any (:others) and strpos(arrival::text, :quoted) > 0"""),
    ("others' tags", """
        update contact_tag t set name = '' from contact c
         where c.id = t.contact_id and c.person_id = any (:others) and strpos(t.name, :name) > 0"""),
    ("others' walks", """
        update enrolment set ctx = replace(ctx::text, :quoted, '""')::jsonb
         where person_id = any (:others) and strpos(ctx::text, :quoted) > 0"""),
)

_WRITTEN_BEHIND = text("""
    with gone as (
        select e.person_id from erasure e where e.state = 'done' and e.ended_at > :since
           and not exists (select from identity i where i.person_id = e.person_id))
    update outbox set payload = '{}', result = '{}',
           reason = case when state in ('waiting', 'running') then 'erased' else reason end,
           state = case when state in ('waiting', 'running') then 'refused' else state end,
           ended_at = coalesce(ended_at, :now), lease_until = null
     where person_id in (select person_id from gone) and payload <> '{}' returning id""")
_LONGEST = timedelta(days=2)
"""Longer than anything that was begun before an erasure goes on."""


@dataclass(frozen=True, slots=True)
class Leaver:
    """Who is forgotten: all ids (merged ones, too), names, what they were called."""

    ids: tuple[int, ...]
    names: tuple[Name, ...]
    nickname: str


def forget(session: Session, who: Leaver, now: datetime) -> dict[str, int]:
    """Empty everything but the identities and the vault; returns how many rows of which table changed."""
    session.execute(text("select set_config('huitou.erasing', 'yes', true)"))
    openids = [one.value for one in who.names if one.kind in ("openid", "external_userid")]
    counts: dict[str, int] = {}
    asked: dict[str, object] = {
        "ids": list(who.ids), "openids": openids, "names": [one.value for one in who.names], "now": now,
        "nickname": who.nickname or None}
    for name, statement in _OWN:
        counts[name] = _changed(session, statement, asked)
    if who.nickname:
        others = [one for one in session.scalars(_NEIGHBOURS, {"ids": list(who.ids)}) if one not in who.ids]
        quoted = json.dumps(who.nickname, ensure_ascii=False)
        for name, statement in _NAMED:
            counts[name] = _changed(session, statement, {"others": others, "name": who.nickname, "quoted": quoted})
    session.execute(text("select set_config('huitou.erasing', '', true)"))
    return {name: count for name, count in counts.items() if count}


def forget_late(session: Session, now: datetime) -> int:
    """Empty what was written for somebody by whoever had read them before they were erased; returns how many effects.
    Nobody is called by an erasure, so it is looked for a while afterwards. Who came back is not forgotten again."""
    return len(session.execute(_WRITTEN_BEHIND, {"since": now - _LONGEST, "now": now}).all())


def _changed(session: Session, statement: str, asked: dict[str, object]) -> int:
    wanted = {name: value for name, value in asked.items() if f":{name}" in statement}
    return len(session.execute(text(f"with done as ({statement} returning 1) select 1 from done"), wanted).all())  # noqa: S608


def tables() -> Sequence[str]:
    """The tables that are emptied, by their own names."""
    return sorted({statement.split("from" if statement.strip().startswith("delete") else "update")[1].split()[0]
                   for _, statement in (*_OWN, *_NAMED)} | {"identity", "vault_item"})
