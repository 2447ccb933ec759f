"""Scene codes and poster orders: which poster is wanted, whether it is being made already, which QR it carries."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from domain.materials.models import PosterChoice, Scene
from domain.shared import ids, outbox
from domain.shared.records import record

SCENE_DAYS = 30
"""The platform's longest life of a temporary QR."""

RENEW_BEFORE_DAYS = 5
"""A poster must live a while after it was made: an older code is not reused."""

MISSED = "poster.missed"
"""What tells somebody that their poster did not come."""
GIVEN = timedelta(days=7)


@record
class Ordered:
    """What became of asking for a poster. ``new``: it is made from now on; else it was being made already. ``put_off``:
    it could not be sent so far. ``media_id``: it lies ready at the platform and is theirs by this answer: nobody else
    will send it. ``missed``: they are still to be told that an earlier one did not come."""

    new: bool
    put_off: bool = False
    media_id: str = ""
    missed: bool = False


@record
class SceneView:
    token: str
    account: str
    sharer_id: int
    sku: str
    url: str
    expires_at: datetime
    shot_id: int | None = None


def scene_of(session: Session, token: str, now: datetime) -> SceneView | None:
    """The scene behind a scanned code; None if it is not ours or expired long ago (a day of grace for late pushes)."""
    row = session.get(Scene, token)
    return _view(row) if row is not None and row.expires_at + timedelta(days=1) > now else None


def current_scene(session: Session, account: str, sharer_id: int, sku: str, now: datetime,
                  shot_id: int | None = None) -> SceneView | None:
    """A drawn code of this sharer, product and customer's picture that will live long enough for a new poster, or None.
    """
    row = session.scalars(
        select(Scene).where(Scene.sharer_id == sharer_id, Scene.account == account, Scene.sku == sku, Scene.url != "",
                            Scene.shot_id.is_not_distinct_from(shot_id),
                            Scene.expires_at > now + timedelta(days=RENEW_BEFORE_DAYS))
        .order_by(Scene.expires_at.desc()).limit(1)
    ).first()
    return _view(row) if row is not None else None


def new_token() -> str:
    """A fresh scene token: 22 characters, about 128 bits."""
    return ids.short_code(22)


def keep_scene(session: Session, scene: SceneView, now: datetime) -> None:
    """Remember a code that the platform has made for us."""
    session.add(Scene(token=scene.token, account=scene.account, sharer_id=scene.sharer_id, sku=scene.sku,
                      url=scene.url, shot_id=scene.shot_id, created_at=now, expires_at=scene.expires_at))


_ASKED = text("""
    select id, queue, state, reason, result -> 'picture' as picture from outbox
     where person_id = :person and state in ('waiting', 'running') and expires_at > :now
       and (kind = 'poster.make' and payload ->> 'sku' = :sku and payload ->> 'style' = :style
            and payload ->> 'purpose' is null
            or queue = 'notice' and payload ->> 'key' = :missed)
     order by id
""")
_HAND = text("""
    update outbox set state = 'done', reason = '', ended_at = :now, lease_until = null,
                      result = result || '{"way": "reply"}'
     where id = :id and state = 'waiting' and result ->> 'sending_at' is null returning id
""")


def order_poster(
    session: Session, person_id: int, account: str, openid: str, sku: str, style: str, cause: str, now: datetime
) -> Ordered:
    """Put the making of a poster into the outbox, unless the same one is being made already; one that was made and
    could not be sent is handed over instead.

    Call under the person's lock. ``cause`` is the message that asked, so that a retry asks only once.
    """
    found = session.execute(_ASKED, {"person": person_id, "sku": sku, "style": style, "missed": MISSED,
                                     "now": now}).all()
    missed = any(row.queue == "notice" for row in found)
    made = [row for row in found if row.queue != "notice"]
    for row in made:
        here = row.picture is not None and row.picture["account"] == account
        if here and session.execute(_HAND, {"id": row.id, "now": now}).first():
            return Ordered(new=False, put_off=True, media_id=row.picture["media_id"], missed=missed)
    if made:
        return Ordered(new=False, put_off=any(row.reason for row in made), missed=missed)
    _choose(session, person_id, sku, style, now)
    new = _put(session, "poster.make", person_id, account, openid, {"sku": sku, "style": style}, cause, now)
    return Ordered(new, missed=missed)


def give_poster(
    session: Session, person_id: int, account: str, sku: str, style: str, cause: str, now: datetime
) -> bool:
    """Put the making of a poster that nobody asked for into the outbox: sent as a service, when it disturbs nobody; it
    was promised, so a right is kept for it."""
    effect = outbox.Effect(
        queue="slow", kind="poster.make", key=f"poster.make:{cause}", person_id=person_id,
        payload={"sku": sku, "style": style, "account": account, "openid": "", "purpose": "service", "promised": True},
        expires_at=now + GIVEN)
    return outbox.put(session, [effect], now) == 1


def order_style_sheet(
    session: Session, person_id: int, account: str, openid: str, sku: str, cause: str, now: datetime
) -> bool:
    """Put the making of the numbered style sheet into the outbox, instead of one that waits."""
    outbox.withdraw(session, "poster.sheet", person_id, now)
    return _put(session, "poster.sheet", person_id, account, openid, {"sku": sku}, cause, now)


def order_share(
    session: Session, person_id: int, account: str, openid: str, facts: dict[str, str], cause: str, now: datetime
) -> bool:
    """Put the making of a picture about coming back in place of one that waits. ``facts`` are its texts."""
    outbox.withdraw(session, "share.picture", person_id, now)
    return _put(session, "share.picture", person_id, account, openid, facts, cause, now)


def order_usage(
    session: Session, person_id: int, account: str, openid: str, sku: str, shot_id: int, cause: str, now: datetime
) -> Ordered:
    """Put the making of a poster with a customer's picture into the outbox, unless one is being made already.

    Call under the person's lock.
    """
    being_made = session.execute(text("""
        select reason from outbox where person_id = :person and kind = 'shot.poster' and state in ('waiting', 'running')
           and expires_at > :now"""), {"person": person_id, "now": now}).first()
    if being_made:
        return Ordered(new=False, put_off=bool(being_made.reason))
    facts: dict[str, str | int] = {"sku": sku, "shot": shot_id}
    return Ordered(_put(session, "shot.poster", person_id, account, openid, facts, cause, now))


def choice(session: Session, person_id: int) -> tuple[str, str]:
    """(sku, style) that the person had last; ('', '') if none."""
    row = session.get(PosterChoice, person_id)
    return (row.sku, row.style) if row else ("", "")


def _put(session: Session, kind: str, person_id: int, account: str, openid: str,
         facts: Mapping[str, str | int], cause: str, now: datetime) -> bool:
    effect = outbox.Effect(
        queue="slow", kind=kind, key=f"{kind}:{account}:{cause}", person_id=person_id,
        payload={**facts, "account": account, "openid": openid}, expires_at=now + outbox.WAITED_FOR,
    )
    return outbox.put(session, [effect], now) == 1


def _choose(session: Session, person_id: int, sku: str, style: str, now: datetime) -> None:
    row = {"sku": sku, "style": style, "chosen_at": now}
    session.execute(insert(PosterChoice).values(person_id=person_id, **row)
                    .on_conflict_do_update(index_elements=["person_id"], set_=row))


def _view(row: Scene) -> SceneView:
    return SceneView(row.token, row.account, row.sharer_id, row.sku, row.url, row.expires_at, row.shot_id)


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """Materials' part of a merge: posters that are out there keep working, for the person who stays."""
    ids = {"kept": kept_id, "gone": gone_id}
    scenes = session.execute(
        text("update scene set sharer_id = :kept where sharer_id = :gone returning token"), ids
    ).all()
    session.execute(text("delete from poster_choice where person_id = :gone"), ids)
    return {"scene": len(scenes)}
