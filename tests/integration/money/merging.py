"""Two people become one at the worst moment: while somebody who has read them is about to write."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.ledger import service as ledger
from domain.people import service as people
from domain.workflows import MOVERS
from tests.integration.money.world import Shop
from tests.together import until_waiting

KEEPER = "分身"
OWNED = """
    select c.conrelid::regclass::text as thing, a.attname as whose
      from pg_constraint c join pg_attribute a on a.attrelid = c.conrelid and a.attnum = any (c.conkey)
     where c.contype = 'f' and c.confrelid = 'person'::regclass order by 1, 2
"""
"""Every column that names a person."""

HISTORY = {
    "account.owner_id": "append-only; what lies on it is asked for below",
    "badge.person_id": "what both have had stays with each",
    "commission_boost.person_id": "what both have had stays with each",
    "erased_identity.person_id": "a name that was erased leads to the one it was",
    "identity.person_id": "moved by the people room itself",
    "invitation.person_id": "what both have had stays with each",
    "person.merged_into": "says it", "person_merge.gone_id": "says it", "person_merge.kept_id": "says it",
    "person_merge_conflict.one_id": "what was found", "person_merge_conflict.other_id": "what was found",
    "referral.referee_id": "an edge between the two is undone and stays", "referral.referrer_id": "likewise",
    "role_decision.person_id": "what both have had stays with each",
    "role_grant.person_id": "what both have had stays with each",
    "settlement_late.person_id": "a note; whoever takes it asks who they are now",
    "milestone_due.person_id": "a note; whoever takes it asks who they are now",
    "risk_watch.person_id": "a note; a merge writes one for whoever is kept",
    "sealed_value.sealed_for": "what it was sealed with",
}

WORDS = {
    "certificate", "consent", "consent_word", "contact", "contact_way", "conversation", "enrolment", "erasure",
    "exposure", "feedback", "journey_event", "month_volume", "notice_pause", "notice_preference", "notice_slot",
    "occasion", "payee", "person_insight", "person_tag", "poster_choice", "risk_case", "scene", "settlement", "shot",
    "shot_given", "shot_word", "staff_task_person", "tag_change", "ticket", "topic_word", "touch", "vault_key",
}
"""Tables that follow a merge and are worth nothing by themselves. A settlement is refused by the books, where it is
booked; what a month counted goes over before anybody is paid by it."""


def keeper(shop: Shop) -> None:
    """Another account of somebody, and the older one: it is the one that is kept."""
    shop.person(KEEPER)
    with shop.sessions.begin() as session:
        session.execute(text("update person set joined_at = joined_at - interval '9 days' where id = :id"),
                        {"id": shop.people[KEEPER]})


def merge(shop: Shop, session: Session, who: str) -> people.Merge:
    return people.merge(session, shop.people[KEEPER], shop.people[who], "one phone", shop.clock.now(), MOVERS)


def left_behind(shop: Shop) -> list[tuple[str, int]]:
    """Whatever is still in the name of somebody who was merged: (what, how much of it)."""
    asked = [f"select '{thing}.{whose}', count(*) from {thing} where {whose} = any (array(select id from gone))"
             for thing, whose in shop.rows(OWNED) if f"{thing}.{whose}" not in HISTORY]
    found = [(what, much) for what, much in shop.rows(
        f"with gone as (select id from person where merged_into is not null) {' union all '.join(asked)}")]
    found += [(kind, amount) for kind, amount in shop.rows(
        "select a.kind, b.amount from account a join balance b on b.account_id = a.id"
        " join person p on p.id = a.owner_id where p.merged_into is not null")]
    return [(what, much) for what, much in found if much]


def behind(shop: Shop, who: str, work: Callable[[], object]) -> None:
    """The work begins while a merge has moved everything and is not committed."""
    with ThreadPoolExecutor(1) as pool:
        with shop.sessions.begin() as merging:
            assert merge(shop, merging, who).conflict == ""
            working = pool.submit(work)
            until_waiting(shop.engine, ended=working.done)
        working.result(60)


def between(shop: Shop, who: str, work: Callable[[], object]) -> None:
    """The work has read everything and is about to book when the merge begins. If they come to wait for each other,
    one of them is told so and is done again, as the house does it."""
    with ThreadPoolExecutor(1) as pool:
        first = True
        works: list[Future[object]] = []

        def once(merging: Session) -> None:
            nonlocal first
            if first:
                first = False
                merging.execute(text("select booking_lock_alone()"))
                works.append(pool.submit(work))
                until_waiting(shop.engine, ended=works[0].done)
            # Where the merge was the one to be done again, it may find a withdrawal open, and is refused as always.
            assert merge(shop, merging, who).conflict in ("", "withdrawal_open")

        ledger.retrying(shop.sessions, once)
        works[0].result(60)


MOMENTS = {"behind": behind, "between": between}
