"""One message, one transaction: person, dialogue, handler, inbox row with the reply; then the bells.

A retry finds the stored reply. A fault of a handler rolls its work back, keeps the message as failed for the
sweeper, and tells the person that it will be looked after.
"""

from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.orm import Session

from bot.kit.context import Context, Shop
from bot.kit.conversation import STAY, Answer
from bot.kit.copy import Copy
from bot.kit.messages import NOTHING, Incoming, Reply
from bot.kit.messages import text as text_reply
from bot.kit.router import Asks, Router
from bot.runtime import discretion, metrics, reception
from bot.runtime.reading import Met, Reading, Said
from bot.runtime.recent import Recent, Senders
from bot.runtime.understanding import Understanding, understand
from domain.inbox import service as inbox
from domain.ledger.service import retrying
from domain.notices import service as notices
from domain.shared import outbox, trips
from domain.shared.late import Transactions
from domain.shared.records import record

log = structlog.get_logger(__name__)

REPORTS = frozenset({"view", "location_report"})
"""What a phone tells by itself while somebody looks around: it opens no right, and says nothing of the person. Those
that no handler asks for are acknowledged, and that is all."""


NOT_SAID = Understanding("", "", "none", (), False, "")
"""What a picture or an event means: nothing that was typed."""


@record
class Account:
    """What dispatch needs to know of the account a message came to. ``desk``: who is met there and how; ``router``:
    who answers, None for the dispatcher's own tree."""

    name: str
    app_id: str
    shop: Shop
    desk: reception.Desk = reception
    router: Router | None = None


@record
class Dispatcher:
    """Feeds messages to the router. ``taps`` maps menu keys to intents; ``accounts`` are the
    accounts of all channels by their name in the inbox; ``tools`` are the process's instances by class."""

    sessions: Transactions
    router: Router
    copy: Copy
    now: Callable[[], datetime]
    ring: Callable[[frozenset[str]], object]
    taps: Mapping[str, str]
    accounts: dict[str, Account]
    tools: Mapping[type[Any], Any]
    recent: Recent = field(default_factory=Recent)
    senders: Senders = field(default_factory=Senders)
    reading: Reading | None = None

    def handle(self, message: Incoming) -> Reply:
        """The passive reply to a fresh message, or the stored one if it was here before. Never raises for bad input;
        a database that cannot be reached does raise: the platform must try again."""
        if message.event in REPORTS and message.event not in self.router.events():
            metrics.inbox("ignored")
            return NOTHING
        if (known := self.recent.reply_to(message)) is not None:
            metrics.inbox("retry")
            return known
        now = self.now()
        account = self.accounts[message.account]
        try:
            meant = self._understand(message)
            reply, bells = self._by_reading(account, message, meant, now) or retrying(
                self.sessions, lambda session: self._first_or_retry(session, account, message, meant, now))
        except Exception as fault:  # noqa: BLE001 - the edge: whatever a handler does, the message is kept
            return self._keep(account, message, fault, now)
        if bells:
            self.ring(bells)
        if reply.kind != "nothing":  # which is also what a message gets that failed and that the sweeper will answer
            self.recent.keep(message, reply)
        return reply

    def retry_failed(self) -> bool:
        """Handle one failed message that is due again; its answer goes out as a notice. False if none is due."""
        now = self.now()
        with self.sessions.begin() as session:
            failed = inbox.claim_failed(session, now)
            if failed is None:
                return False
            message = Incoming.from_json(failed.payload)
            account = self.accounts[failed.account]
            try:
                with session.begin_nested():
                    guest = account.desk.meet(session, message, account.app_id, now)
                    meant = self._understand(message)
                    person_id, reply = guest.speaker.id, self._run(session, account, message, meant, guest, now)
                    self._close(session, failed.id, message, guest, reply, now)
                    if reply.kind == "text" and person_id:
                        notices.tell(session, notices.Notice(person_id, "answer", f"late:{failed.id}", "chat.late",
                                                             {"said": reply.text}, account.name), now)
            except Exception as fault:
                log.exception("inbox.failed_again", message=failed.id, attempts=failed.attempts + 1)
                dead = inbox.fail_again(session, failed.id, failed.attempts, f"{type(fault).__name__}: {fault}", now)
                metrics.inbox("dead" if dead else "failed")
            bells = outbox.rung(session)
        self.ring(bells)
        return True

    def _by_reading(
        self, account: Account, message: Incoming, meant: Understanding, now: datetime
    ) -> tuple[Reply, frozenset[str]] | None:
        """The reply of a handler that only reads, committed; None if the message is not that simple."""
        probable = self._probable(account, message, meant)
        if probable is None or self.reading is None or account.desk is not reception:
            return None

        def work(met: Met) -> Said:
            reply = self._run(met.session, account, message, meant, met.guest, met.now)
            return Said(reply, inbox.Kept(
                message.account, message.dedupe_key, met.guest.speaker.id, met.version, message.event or message.kind,
                discretion.discreet(message).to_json(), discretion.reply_as_kept(reply).to_json()))

        reply = self.reading.answer(message, account.app_id, now, *probable, work)
        return (reply, frozenset()) if reply else None

    def _first_or_retry(
        self, session: Session, account: Account, message: Incoming, meant: Understanding, now: datetime
    ) -> tuple[Reply, frozenset[str]]:
        """The reply, and the bells to ring once it is committed."""
        probable = self._probable(account, message, meant)
        questions = probable[1]([probable[0]], now) if probable else ()
        heard = account.desk.hear(session, message, account.app_id, now, questions)
        if heard.guest is None:
            metrics.inbox("retry")
            return Reply(**heard.reply) if heard.reply else NOTHING, frozenset()
        self.senders.keep(message, heard.guest.speaker.id)
        reply = self._run(session, account, message, meant, heard.guest, now)
        bells = outbox.rung(session)
        kept = discretion.as_kept(message, secret=heard.guest.place.secret)
        trips.close(session, *heard.owed, inbox.handled(
            message.account, message.dedupe_key, message.event or message.kind, kept.to_json(),
            heard.guest.speaker.id or None, discretion.reply_as_kept(reply).to_json(), now))
        metrics.inbox("done")
        return reply, bells

    def _run(
        self, session: Session, account: Account, message: Incoming, meant: Understanding, guest: reception.Guest,
        now: datetime,
    ) -> Reply:
        ctx = Context(message, guest.speaker, session, now, self.copy, account.shop, guest.place, meant.intent,
                      meant.argument, meant.certainty == "exact", meant.candidates, meant.confirm, self._route,
                      self.tools)
        answer = self._route(ctx)
        self._move(session, account, guest, answer, now)
        return answer.reply

    @staticmethod
    def _close(session: Session, message_id: int, message: Incoming, guest: reception.Guest, reply: Reply,
               now: datetime) -> None:
        if guest.place.secret and message.may_hold_words:
            inbox.forget_text(session, message_id, discretion.without_text(message).to_json())
        kept = discretion.reply_as_kept(reply)
        inbox.close_message(session, message_id, guest.speaker.id or None, kept.to_json(), now)

    def _understand(self, message: Incoming) -> Understanding:
        if message.kind == "text" or (message.kind == "voice" and message.text):
            return understand(message.text)
        if message.event == "menu":
            return Understanding(self.taps.get(message.key, ""), "", "exact", (), False, "")
        return NOT_SAID

    def _probable(self, account: Account, message: Incoming, meant: Understanding) -> tuple[int, Asks] | None:
        """Who probably sent a message, and what the handler of ``meant`` asks about them; None if nobody knows."""
        asks = (account.router or self.router).asks(meant.intent) if meant.certainty == "exact" else None
        person_id = self.senders.person(message) if asks else None
        return (person_id, asks) if asks and person_id else None

    def _route(self, ctx: Context) -> Answer:
        handler = (self.accounts[ctx.message.account].router or self.router).find(ctx)
        return handler(ctx) if handler else Answer(NOTHING, STAY)

    @staticmethod
    def _move(session: Session, account: Account, guest: reception.Guest, answer: Answer, now: datetime) -> None:
        if answer.goto is STAY:
            return
        if answer.goto is not None:
            inbox.go_to(session, guest.speaker.id, account.name, str(answer.goto), answer.remember, now)
        elif guest.place.state:
            inbox.leave(session, guest.speaker.id, account.name)

    def _keep(self, account: Account, message: Incoming, fault: Exception, now: datetime) -> Reply:
        with self.sessions.begin() as session:
            if message.may_hold_words and reception.at_secret_place(session, message, account.app_id):
                return self._forget(session, account, message, fault, now)
            log.exception("inbox.failed", account=account.name, kind=message.kind)
            stored = inbox.keep_failed(session, account.name, message.dedupe_key, message.event or message.kind,
                                       discretion.discreet(message).to_json(), f"{type(fault).__name__}: {fault}", now)
        if stored:  # its commit went through after all, or a retry was quicker
            return Reply(**stored)
        metrics.inbox("failed")
        return text_reply(self.copy.render("error.retrying")) if message.text else NOTHING

    def _forget(self, session: Session, account: Account, message: Incoming, fault: Exception, now: datetime) -> Reply:
        """Something private was said and could not be handled: it is not kept, the person is asked to say it again.
        Of the fault only its kind is told: its words may hold what was said."""
        log.error("inbox.failed", account=account.name, kind="private", fault=type(fault).__name__)
        reply = text_reply(self.copy.render("error.say_again"))
        bare = discretion.without_text(message).to_json()
        stored = inbox.keep_forgotten(session, account.name, message.dedupe_key, message.kind, bare,
                                      type(fault).__name__, reply.to_json(), now)
        metrics.inbox("failed")
        return Reply(**stored) if stored else reply
