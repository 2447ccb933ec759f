"""The bank of one-time permissions: each accept is kept, spent once, returned when nothing left, lost at a no."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

REFUSED, SWITCHED_OFF = "refused", "switched_off"
"""Why tokens are lost: the platform refused one (43101), or the person switched the template off."""


def grant(session: Session, account: str, openid: str, template_id: str, event: str, now: datetime) -> bool:
    """The person allowed one message of the template; False if the event was counted before."""
    return session.execute(text("""
        insert into subscription_token (account, openid, template_id, granted_by, granted_at)
        values (:account, :openid, :template, :event, :now) on conflict (granted_by) do nothing returning true"""),
        {"account": account, "openid": openid, "template": template_id, "event": f"{event}:{template_id}",
         "now": now}).scalar() is not None


def spend(session: Session, account: str, openid: str, template_id: str, effect_id: int, now: datetime) -> int | None:
    """One token for this effect, the oldest first; None when there is none. Commit before the message leaves.

    Of many who ask at once for the last one, one gets it: the row is locked until its taker commits.
    """
    found = session.execute(text("""
        update subscription_token set spent_at = :now, effect_id = :effect
         where id = (select id from subscription_token
                      where account = :account and openid = :openid and template_id = :template
                        and spent_at is null and lost_at is null order by id limit 1 for update skip locked)
        returning id"""),
        {"account": account, "openid": openid, "template": template_id, "effect": effect_id, "now": now}).scalar()
    return int(found) if found is not None else None


def give_back(session: Session, token_id: int) -> None:
    """The message of the token surely did not leave."""
    session.execute(text("update subscription_token set spent_at = null, effect_id = null where id = :id"),
                    {"id": token_id})


def lose(session: Session, account: str, openid: str, template_id: str, why: str, now: datetime) -> int:
    """No message of the template is allowed any more; returns how many tokens that took."""
    gone = session.execute(text("""
        update subscription_token set lost_at = :now, lost_why = :why
         where account = :account and openid = :openid and template_id = :template
           and spent_at is null and lost_at is null returning id"""),
        {"account": account, "openid": openid, "template": template_id, "why": why, "now": now})
    return len(gone.all())


def reported(session: Session, person_id: int, message_id: str, status: str) -> bool:
    """The platform tells what became of a card: kept with the notice. False when no notice of the person has the id."""
    return session.execute(text("""
        update outbox set result = result || jsonb_build_object('reported', cast(:status as text))
         where person_id = :person and queue = 'notice' and result ->> 'message_id' = :message returning true"""),
        {"person": person_id, "message": message_id, "status": status[:200]}).scalar() is not None
