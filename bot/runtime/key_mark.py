"""Whether the secret key is still the one that this database was opened with.

A changed key opens nothing that was sealed under the former one, and recognises nobody who was erased; without this
mark that would be noticed when somebody returns. The mark is an HMAC: it tells nothing of the key.
"""

from datetime import datetime

import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session

from bot.runtime.secret import Secret, derive
from bot.runtime.settings import Settings

log = structlog.get_logger(__name__)

_KEPT = text("select mark, since from key_mark where name = 'secret key'")
_KEEP = text("insert into key_mark (name, mark, since) values ('secret key', :mark, :now) on conflict do nothing")
_CHANGE = text("update key_mark set mark = :mark, since = :now where name = 'secret key' and mark = :known")


def keep(session: Session, settings: Settings, now: datetime) -> None:
    """Write down which key this is; a change is taken when the former key is given as the previous one."""
    session.execute(_KEEP, {"mark": _mark(settings.secret_key), "now": now})
    known, _ = session.execute(_KEPT).one()
    if known == _mark(settings.secret_key):
        return
    if settings.secret_key_previous and known == _mark(settings.secret_key_previous):
        session.execute(_CHANGE, {"mark": _mark(settings.secret_key), "now": now, "known": known})
        log.warning("secret_key.changed")
    else:
        log.error("secret_key.unknown", remedy="bring the former key back, or give it as HUITOU_SECRET_KEY_PREVIOUS")


def foreign_since(session: Session, settings: Settings) -> datetime | None:
    """Since when the database knows another key than this one; None when it is this one, or none is known yet."""
    row = session.execute(_KEPT).one_or_none()
    return row.since if row is not None and row.mark != _mark(settings.secret_key) else None


def _mark(key: Secret) -> str:
    return derive(key, "key mark").hex()[:32]
