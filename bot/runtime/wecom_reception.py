"""Who is met at a WeCom application: customers whom something happened to, and employees, who are not the shop's
customers and have no person."""

import json
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from bot.kit.context import Speaker
from bot.kit.conversation import Place
from bot.kit.messages import Incoming
from bot.runtime.channels.wecom_incoming import CONTACT_CHANGES
from bot.runtime.discretion import discreet
from bot.runtime.reception import Guest, Opened
from domain.people import service as people
from domain.people.rules import IdentityRef

NOBODY = Speaker(0, "", "")
_OF_CONTACTS = frozenset(CONTACT_CHANGES.values())

_TAKE = text("""
    insert into inbox_message (account, dedupe_key, kind, payload, received_at)
    values (:account, :key, :kind, cast(:payload as jsonb), :now)
        on conflict (account, dedupe_key) do nothing returning id""")
_REPLY = text("select reply from inbox_message where account = :account and dedupe_key = :key")
_LOCK = text("select nickname, referral_code from person where id = :person for no key update")


def open_message(session: Session, message: Incoming, corp_id: str, now: datetime) -> Opened:
    """Take the message in, or learn that it was here before (waits while its first try still runs)."""
    asked = {"account": message.account, "key": message.dedupe_key}
    payload = json.dumps(discreet(message).to_json(), ensure_ascii=False)
    taken = session.execute(_TAKE, asked | {"kind": message.event or message.kind, "payload": payload, "now": now})
    message_id = taken.scalar()
    if message_id is None:
        return Opened(0, None, session.execute(_REPLY, asked).scalar_one())
    return Opened(message_id, meet(session, message, corp_id, now))


def meet(session: Session, message: Incoming, corp_id: str, now: datetime) -> Guest:
    """The customer behind a contact's event, made on first sight and locked until the transaction ends, so that what
    happens to one customer is handled one after the other; nobody for what employees do."""
    if message.event not in _OF_CONTACTS:
        return Guest(NOBODY, Place())
    person_id = people.resolve(session, [IdentityRef("external_userid", message.sender, corp_id)], now, pepper=b"")
    row = session.execute(_LOCK, {"person": person_id}).one()
    return Guest(Speaker(person_id, row.nickname, row.referral_code), Place())
