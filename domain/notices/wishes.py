"""What somebody told an employee or on the phone instead of the chat: an operator writes it down, and it is audited."""

from datetime import datetime

from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import Actor
from domain.notices import service


def refuse(session: Session, person_id: int, purpose: str, actor: Actor, why: str, now: datetime) -> bool:
    """The person wants no more of ``purpose`` ('*' for everything unasked); False if that was so already."""
    done = service.stop(session, person_id, purpose, "operator", now)
    if done:
        audit.record(session, actor, "notices.refused", f"person:{person_id}", {"purpose": purpose, "why": why}, now)
    return done
