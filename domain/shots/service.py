"""Customers' own pictures: sent, allowed, looked at, shown around, taken back. Never commits.

Effects: ``shot.fetch`` {shot, account, media_id} (queue ``slow``), ``shot.approved`` {shot, mark, named} (queue
``fact``): thanks and reward of the author, once for each picture.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import Actor, Role
from domain.catalog import queries as catalog
from domain.notices import service as notices
from domain.shared.errors import Conflict, DomainError, NotFound
from domain.shared.outbox import Effect, put
from domain.shared.records import record
from domain.shared.wording import Wording
from domain.shots.queries import ShotView, one, picture
from domain.shots.rules import REASONS, Consent, ShotRules

ROLES: frozenset[Role] = frozenset({"owner", "operator"})
"""Who decides what is shown around."""
MEDIA_LIFE = timedelta(days=2)
"""The platform keeps pictures for three days."""
ANSWER_LIFE = timedelta(days=30)
MOST_WORDS = 200
"""Characters of what an operator adds to a refusal."""
GONE, RENAMED = "shot_withdrawn", "shot_unsigned"


@record
class Begun:
    """``what``: begun, too_many (today), full (of this person's), or leaving: their erasure is noted."""

    what: Literal["begun", "too_many", "full", "leaving"]
    number: int = 0


def begin(session: Session, person_id: int, account: str, media_id: str, rules: ShotRules, now: datetime) -> Begun:
    """Somebody sent a picture: it is fetched in the background. Call under the person's lock."""
    facts = {"person": person_id, "account": account, "media": media_id, "now": now, "since": now - timedelta(days=1)}
    counted = session.execute(text("""
        select count(*) filter (where sent_at > :since) as today,
               count(*) filter (where state in ('draft', 'waiting', 'approved')) as kept
          from shot where person_id = :person"""), facts).one()
    if session.scalar(text("select true from erasure where person_id = :person and state = 'waiting'"), facts):
        return Begun("leaving")
    if counted.today >= rules.per_day:
        return Begun("too_many")
    if counted.kept >= rules.kept:
        return Begun("full")
    number = int(session.execute(text("""
        insert into shot (person_id, account, media_id, sent_at) values (:person, :account, :media, :now)
        returning id"""), facts).scalar_one())
    put(session, [Effect("slow", "shot.fetch", f"shot.fetch:{number}", person_id,
                         {"shot": number, "account": account, "media_id": media_id}, expires_at=now + MEDIA_LIFE)], now)
    return Begun("begun", number)


def about(session: Session, numbers: Collection[int], person_id: int, sku: str) -> None:
    """Which product somebody's own drafts show; '' none of ours."""
    session.execute(text("update shot set sku = :sku where id = any (:ids) and person_id = :person"
                         " and state = 'draft'"),
                    {"ids": list(numbers), "person": person_id, "sku": sku})


def say(session: Session, numbers: Collection[int], person_id: int, words: str, rules: ShotRules) -> None:
    """What somebody says about their own drafts."""
    session.execute(text("update shot set words = :words where id = any (:ids) and person_id = :person"
                         " and state = 'draft'"),
                    {"ids": list(numbers), "person": person_id, "words": rules.cut(words)})


def allow(
    session: Session, numbers: Collection[int], person_id: int, how: Consent, wording: str, now: datetime
) -> list[int]:
    """The author lets the shop show their drafts to others, with their name or without; ``wording`` is what they were
    asked. Returns which of them are there to be looked at."""
    allowed = list(session.scalars(text("""
        update shot set state = 'waiting', consent = :how
         where id = any (:ids) and person_id = :person and state = 'draft' returning id"""),
        {"ids": list(numbers), "person": person_id, "how": how}))
    _note(session, allowed, person_id, how, wording, now)
    return sorted(allowed)


def refuse(session: Session, numbers: Collection[int], person_id: int, wording: str, now: datetime) -> None:
    """The author does not want it: their drafts are deleted."""
    _note(session, _end(session, "person_id = :person and state = 'draft' and id = any (:ids)", "said_no", now,
                        ids=list(numbers), person=person_id), person_id, "no", wording, now)


def cancel(session: Session, numbers: Collection[int], person_id: int, now: datetime) -> list[int]:
    """The author broke off before they said anything about consent: their drafts are deleted. Returns which."""
    return sorted(_end(session, "person_id = :person and state = 'draft' and id = any (:ids)", "cancelled", now,
                       ids=list(numbers), person=person_id))


def change_credit(
    session: Session, numbers: Collection[int], person_id: int, how: Consent, wording: str, now: datetime
) -> list[int]:
    """The author wants their name to stand with pictures that they let the shop show, or not any more; ``wording`` is
    what they agreed to. From this transaction on nothing leaves that shows a name which is not wanted. Returns which of
    them were changed."""
    changed = list(session.scalars(text("""
        update shot set consent = :how where id = any (:ids) and person_id = :person
           and state in ('waiting', 'approved') and consent <> :how returning id"""),
        {"ids": list(numbers), "person": person_id, "how": how}))
    _note(session, changed, person_id, how, wording, now)
    return sorted(changed)


def revoke(session: Session, numbers: Collection[int], person_id: int, wording: str, now: datetime) -> list[int]:
    """The author takes pictures back: from this transaction on they are given to nobody, and they are deleted. What was
    given for them stays theirs. Returns which of them were still there."""
    gone = _end(session, "person_id = :person and state in ('draft', 'waiting', 'approved') and id = any (:ids)",
                "revoked", now, ids=list(numbers), person=person_id)
    _note(session, gone, person_id, "revoked", wording, now)
    return sorted(gone)


def withdraw_leavers(session: Session, now: datetime, only: int | None = None) -> list[int]:
    """Pictures of everybody (``only``: of one person) whose erasure is noted: shown no more from this transaction on,
    and deleted. Whoever stays after all may send them in again. Returns which they were."""
    return sorted(_end(session, "state in ('draft', 'waiting', 'approved') and person_id in"
                                " (select person_id from erasure where state = 'waiting'"
                                " and (cast(:only as bigint) is null or person_id = :only))",
                       "leaving", now, only=only))


def keep(session: Session, number: int, jpeg: bytes, size: tuple[int, int], digest: bytes,
         now: datetime) -> Literal["kept", "again", "gone"]:
    """The picture has come. again: its author has sent the very same and it is still here, so this one is dropped;
    gone: its author took it back meanwhile."""
    row = session.execute(text("select person_id from shot where id = :id and state in ('draft', 'waiting')"
                               " and picture is null for update"), {"id": number}).first()
    if row is None:
        return "gone"
    same = session.scalar(text("select min(id) from shot where person_id = :person and digest = :digest"),
                          {"person": row.person_id, "digest": digest})
    if same is not None:
        _end(session, "id = :id", "repeated", now, id=number)
        return "again"
    session.execute(text("""
        update shot set picture = :jpeg, digest = :digest, width = :width, height = :height, media_id = ''
         where id = :id"""), {"id": number, "jpeg": jpeg, "digest": digest, "width": size[0], "height": size[1]})
    return "kept"


def unfit(session: Session, number: int, why: str, now: datetime) -> bool:
    """It could not be taken (``why``); False when it was over already."""
    return bool(_end(session, "id = :id and state in ('draft', 'waiting') and picture is null", why, now, id=number))


def approve(
    session: Session, number: int, sku: str, with_words: bool, wording: Wording, actor: Actor, now: datetime
) -> ShotView:
    """Somebody of the shop has looked: it may be shown around. ``sku`` '' leaves what its author said. ``with_words``
    False drops their words. Its author is thanked and rewarded once.

    Raises NotFound("shot_unknown" | "product_unknown"), Conflict("shot_reviewed"), DomainError("not_permitted" |
    "shot_no_picture" | "shot_no_product" | "shot_words").
    """
    _permitted(actor, "shot.approve")
    before = _waiting(session, number)
    if not before.has_picture:
        raise DomainError("shot_no_picture", number=number)
    product = catalog.product(session, sku or before.sku)
    if product is None and sku:
        raise NotFound("product_unknown", sku=sku)
    if product is None:
        raise DomainError("shot_no_product", number=number)
    words = before.words if with_words else ""
    if hits := wording.find(words):
        raise DomainError("shot_words", words="、".join(hit.word for hit in hits), number=number)
    session.execute(text("""
        update shot set state = 'approved', sku = :sku, words = :words, reviewed_at = :now, reviewed_by = :by
         where id = :id"""),
        {"id": number, "sku": product.sku, "words": words, "now": now, "by": actor.name})
    audit.record(session, actor, "shot.approve", f"shot:{number}", {"person": before.person_id, "sku": product.sku},
                 now)
    mark = session.execute(text("select digest from shot where id = :id"), {"id": number}).scalar_one()
    facts = {"shot": number, "mark": bytes(mark).hex(), "named": bool(before.credit)}
    put(session, [Effect("fact", "shot.approved", f"shot.approved:{number}", before.person_id, facts)], now)
    return one(session, number)


def decline(session: Session, number: int, reason: str, words: str, actor: Actor, now: datetime) -> ShotView:
    """Not this one; its author is told why, kindly, and the picture is deleted. ``words`` are for them; for the reason
    ``other`` they are needed.

    Raises NotFound("shot_unknown"), Conflict("shot_reviewed"), DomainError("not_permitted" | "shot_reason" |
    "words_missing" | "words_too_long").
    """
    _permitted(actor, "shot.decline")
    said = words.strip()
    if reason not in REASONS:
        raise DomainError("shot_reason", reasons="、".join(REASONS))
    if reason == "other" and not said:
        raise DomainError("words_missing")
    if len(said) > MOST_WORDS:
        raise DomainError("words_too_long", most=MOST_WORDS)
    before = _waiting(session, number)
    _end(session, "id = :id", reason, now, state="declined", id=number, by=actor.name, said=said)
    audit.record(session, actor, "shot.decline", f"shot:{number}", {"person": before.person_id, "reason": reason},
                 now)
    facts = {"number": number, "name": before.nickname, "reason": reason, "said": said}
    notices.tell(session, notices.Notice(before.person_id, "service", f"shot.declined:{number}", "shots.declined",
                                         facts, expires_at=now + ANSWER_LIFE), now)
    return one(session, number)


def retire(session: Session, number: int, why: str, actor: Actor, now: datetime) -> ShotView:
    """The shop shows it no more, and deletes it. ``why`` is for the log.

    Raises NotFound("shot_unknown"), DomainError("not_permitted" | "shot_not_shown" | "reason_missing").
    """
    _permitted(actor, "shot.retire")
    reason = why.strip()
    if not reason:
        raise DomainError("reason_missing")
    before = one(session, number, lock=True)
    if before.state != "approved":
        raise DomainError("shot_not_shown", number=number)
    _end(session, "id = :id", "shop", now, state="retired", id=number)
    audit.record(session, actor, "shot.retire", f"shot:{number}", {"person": before.person_id, "why": reason}, now)
    return one(session, number)


def look(session: Session, number: int, actor: Actor, now: datetime) -> bytes:
    """The JPEG for an operator, noted in the log: it shows somebody's home, and most are seen by nobody else.

    Raises NotFound("shot_unknown" | "shot_gone").
    """
    found = one(session, number)
    jpeg = picture(session, number)
    if jpeg is None:
        raise NotFound("shot_gone", number=number)
    audit.record(session, actor, "shot.look", f"shot:{number}", {"person": found.person_id}, now)
    return jpeg


def thank(session: Session, number: int, now: datetime) -> ShotView | None:
    """The picture whose author is to be thanked now, None when they were. Marks them as thanked."""
    found = session.execute(text("update shot set thanked_at = :now where id = :id and thanked_at is null"
                                 " and reviewed_at is not null and state <> 'declined' returning id"),
                            {"id": number, "now": now}).first()
    return one(session, number) if found else None


def cause(session: Session, shot: ShotView, mark: str) -> str:
    """Under which cause the author of an approved picture earns for it, '' when they have before for the very same.

    ``mark`` is a keyed hash of the picture: it stays with the points when the picture is gone, and cannot be read. Who
    was merged has earned under each of their ids. An approval from before marks were kept counts by its number.
    """
    if not mark:
        return f"shot:{shot.id}"
    ids = session.scalars(text("select id from person where id = :id or merged_into = :id"), {"id": shot.person_id})
    causes = [f"shot:{each}:{mark}" for each in ids]
    before = session.scalar(text("select true from point_lot where cause = any (:causes)"), {"causes": causes})
    return "" if before else f"shot:{shot.person_id}:{mark}"


def give(session: Session, number: int, person_id: int, now: datetime) -> None:
    """A poster with a picture has reached somebody who may share it."""
    session.execute(text("""
        insert into shot_given (shot_id, person_id, first_at) values (:shot, :person, :now)
        on conflict (shot_id, person_id) do update set times = shot_given.times + 1"""),
        {"shot": number, "person": person_id, "now": now})


def objection(session: Session, number: int, *, named: bool = False) -> str:
    """Why this picture (with its author's name, ``named``) may not leave the house now, '' when it may."""
    consent = session.scalar(text("select consent from shot where id = :id and state = 'approved'"), {"id": number})
    if consent is None:
        return GONE
    return RENAMED if named and consent != "named" else ""


def drop_unanswered(session: Session, rules: ShotRules, now: datetime) -> int:
    """Delete what its author never allowed."""
    return len(_end(session, "state = 'draft' and sent_at <= :since", "unanswered", now,
                    since=now - timedelta(hours=rules.draft_hours)))


def retire_weak(session: Session, rules: ShotRules, now: datetime) -> list[int]:
    """What many were given and hardly anybody came by is shown no more."""
    old = session.execute(text("""
        select s.id, min(g.first_at) as first_at from shot s join shot_given g on g.shot_id = s.id
         where s.state = 'approved' group by s.id having count(*) >= :given and min(g.first_at) <= :since
         order by s.id"""), {"given": rules.weak_given, "since": now - timedelta(days=rules.weak_days)}).all()
    weak = [row.id for row in old if one(session, row.id, lock=True).standing.weak((now - row.first_at).days, rules)]
    return sorted(_end(session, "id = any (:ids) and state = 'approved'", "weak", now, state="retired", ids=weak))


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """A merge's part: pictures, what was said about them and what was given follow."""
    ends = {"kept": kept_id, "gone": gone_id}
    moved = session.execute(text("update shot set person_id = :kept where person_id = :gone returning id"), ends).all()
    session.execute(text("update shot_word set person_id = :kept where person_id = :gone"), ends)
    session.execute(text("""
        with went as (delete from shot_given where person_id = :gone returning shot_id, times, first_at)
        insert into shot_given (shot_id, person_id, times, first_at) select shot_id, :kept, times, first_at from went
        on conflict (shot_id, person_id) do update set times = shot_given.times + excluded.times,
               first_at = least(shot_given.first_at, excluded.first_at)"""), ends)
    return {"shot": len(moved)} if moved else {}


def _permitted(actor: Actor, act: str) -> None:
    if not actor.may(ROLES):
        raise DomainError("not_permitted", act=act)


def _waiting(session: Session, number: int) -> ShotView:
    """Locked. Raises NotFound("shot_unknown"), Conflict("shot_reviewed")."""
    before = one(session, number, lock=True)
    if before.state != "waiting":
        raise Conflict("shot_reviewed", number=number, state=before.state)
    return before


def _end(session: Session, where: str, why: str, now: datetime, *, state: str = "withdrawn", by: str = "",
         said: str = "", **facts: object) -> list[int]:
    """End what ``where`` names: nothing of the picture is left. ``by``: who has looked at it, ``said``: what they
    added."""
    return list(session.scalars(text(f"""
        update shot set state = :state, consent = '', picture = null, digest = null, width = 0, height = 0,
               media_id = '', words = '', ended_at = :now, why = :why, said = :said,
               reviewed_at = case when :by = '' then reviewed_at else :now end,
               reviewed_by = case when :by = '' then reviewed_by else :by end
         where {where} returning id"""),  # noqa: S608 - conditions of this file
        {"state": state, "why": why, "now": now, "by": by, "said": said, **facts}))


def _note(session: Session, numbers: Sequence[int], person_id: int, word: str, wording: str, now: datetime) -> None:
    session.execute(text("""
        insert into shot_word (shot_id, person_id, word, wording, at)
        select n, :person, :word, :wording, :now from unnest(cast(:ids as bigint[])) n order by n"""),
        {"ids": list(numbers), "person": person_id, "word": word, "wording": wording, "now": now})
