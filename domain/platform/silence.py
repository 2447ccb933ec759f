"""Whether an account can speak just now: for whoever is about to promise that something comes in a moment."""

from typing import Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.platform.service import alarm

Silence = Literal["", "sends", "all"]
"""``sends``: customer messages do not leave, but a picture can be uploaded and answered with; ``all``: nothing gets
through; '': nothing is known against it."""

SEND = "message/custom/send"
SEND_ALARM, ALARM = alarm(SEND), alarm("media/upload")
"""Kept while a person must act before customer messages leave, or anything at all; over when they do."""

_HELD = text("""
    select bool_or(h.api not in (:send, :send_alarm))
      from platform_hold h
     where h.app_id = :app and h.until > clock_timestamp() + interval '10 seconds'
       and (h.api in (:send, :send_alarm, :alarm, 'media/upload', 'qrcode/create', '*')
            or h.api = 'stable_token' and not exists (
                select from platform_token t where t.app_id = h.app_id and t.expires_at > clock_timestamp()))
""")


def of(session: Session, app_id: str) -> Silence:
    """What the platform refuses to this app for more than the next ten seconds of real time, as far as is known."""
    asked = {"app": app_id, "send": SEND, "send_alarm": SEND_ALARM, "alarm": ALARM}
    everything = session.execute(_HELD, asked).scalar()
    return "" if everything is None else "all" if everything else "sends"
