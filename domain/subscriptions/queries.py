"""What people have allowed, for pages, for the chat and for whoever asks why a card did not leave."""

from sqlalchemy import text
from sqlalchemy.orm import Session


def banked(session: Session, account: str, openid: str) -> dict[str, int]:
    """Template id -> messages that the follower allows at present."""
    rows = session.execute(text("""
        select template_id, count(*) as number from subscription_token
         where account = :account and openid = :openid and spent_at is null and lost_at is null
         group by template_id"""), {"account": account, "openid": openid})
    return {row.template_id: int(row.number) for row in rows}
