"""Who is met at a WeCom application: customers whom something happened to, and employees, who are not the shop's
customers and have no person."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from bot.kit.context import Speaker
from bot.kit.conversation import Place
from bot.kit.messages import Incoming
from bot.runtime.channels.wecom_incoming import CONTACT_CHANGES
from bot.runtime.reception import Guest, Heard, Probable
from domain.people import service as people
from domain.people.rules import IdentityRef
from domain.shared.records import record
from domain.workflows.merging import MOVERS

NOBODY = Speaker(0, "", "")
_OF_CONTACTS = frozenset(CONTACT_CHANGES.values())

_TAKE = text("select pg_advisory_xact_lock(hashtextextended(:key, 31))")
_KNOWN = text("select reply from inbox_message where account = :account and dedupe_key = :key")
_LOCK = text("select nickname, referral_code from person where id = :person for no key update")


@record
class WeComDesk:
    """Implements ``reception.Desk``. ``only_corp``: there is no other corp here, so a customer is also who the shop's
    systems mean when they name an external_userid without a corp."""

    only_corp: bool = True

    def hear(self, session: Session, message: Incoming, corp_id: str, now: datetime, _probable: Probable = ()) -> Heard:
        """Meet who a new message is about, or learn that it was here before (waits while its first try still runs: for
        the message's own lock, because there may be nobody to lock)."""
        asked = {"account": message.account, "key": message.dedupe_key}
        session.execute(_TAKE, asked)
        known = session.execute(_KNOWN, asked).first()
        return Heard(None, known.reply) if known else Heard(self.meet(session, message, corp_id, now))

    def meet(self, session: Session, message: Incoming, corp_id: str, now: datetime) -> Guest:
        """The customer behind a contact's event, made on first sight and locked until the transaction ends, so that
        what happens to one customer is handled one after the other; nobody for what employees do."""
        if message.event not in _OF_CONTACTS:
            return Guest(NOBODY, Place())
        refs = [IdentityRef("external_userid", message.sender, corp_id)]
        refs += [IdentityRef("external_userid", message.sender)] if self.only_corp else []
        person_id = people.resolve_many(session, [refs], now, pepper=b"", movers=MOVERS)[0]
        row = session.execute(_LOCK, {"person": person_id}).one()
        return Guest(Speaker(person_id, row.nickname, row.referral_code), Place())
