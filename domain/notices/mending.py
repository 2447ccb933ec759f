"""After somebody corrected a template: it is tried again, and so is what waited for it."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import Actor
from domain.platform import service as platform


def templates_mended(session: Session, actor: Actor, now: datetime) -> int:
    """How many templates are tried again; what waited without a right is asked once more."""
    number = platform.release_templates(session)
    if number:
        session.execute(text("update outbox set due_at = :now where queue = 'notice' and state = 'waiting'"
                             " and reason = 'no_right' and due_at > :now"), {"now": now})
        audit.record(session, actor, "notices.mended", "notices:templates", {"templates": number}, now)
    return number
