"""One message, one transaction: inbox row, person, dialogue, handler, stored reply; then the bells.

A retry finds the stored reply. A fault of a handler rolls its work back, keeps the message as failed for the
sweeper, and tells the person that it will be looked after.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from bot.kit.context import Context, Shop, Speaker
from bot.kit.conversation import STAY, Answer, Place
from bot.kit.copy import Copy
from bot.kit.messages import NOTHING, Incoming, Reply
from bot.kit.messages import text as text_reply
from bot.kit.router import Router
from bot.runtime import metrics
from bot.runtime.understanding import understand
from domain.inbox import service as inbox
from domain.ledger.service import retrying
from domain.notices import service as notices
from domain.people import service as people
from domain.people.rules import IdentityRef
from domain.platform import service as platform
from domain.shared import outbox

log = structlog.get_logger(__name__)

_SPEAKER = text(
    """
    select p.id, p.nickname, p.referral_code, i.id as identity_id,
           i.followed_at is not null as followed_before, c.state, c.memory
      from person p
      join identity i on i.person_id = p.id and i.kind = 'openid' and i.scope = :app_id and i.value = :openid
      left join conversation c on c.person_id = p.id and c.account = :account and c.expires_at > :now
     where p.id = :person_id
       for no key update of p
    """
)
"""Locks the person: messages of one person are handled one after the other."""


@dataclass(frozen=True, slots=True)
class Account:
    """What dispatch needs to know of the account a message came to."""

    name: str
    app_id: str
    shop: Shop


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """Feeds messages to the router. ``taps`` maps menu keys to intents; ``pepper`` keys identity hashes;
    ``accounts`` are the Official Accounts by name; ``tools`` are the process's instances by class."""

    sessions: sessionmaker[Session]
    router: Router
    copy: Copy
    now: Callable[[], datetime]
    ring: Callable[[frozenset[str]], object]
    pepper: bytes
    taps: dict[str, str]
    accounts: dict[str, Account]
    tools: Mapping[type[Any], Any]

    def handle(self, message: Incoming) -> Reply:
        """The passive reply to a fresh message, or the stored one if it was here before. Never raises for bad input;
        a database that cannot be reached does raise: the platform must try again."""
        now = self.now()
        account = self.accounts[message.account]
        try:
            reply, bells = retrying(self.sessions, lambda session: self._first_or_retry(session, account, message, now))
        except Exception as fault:  # noqa: BLE001 - the edge: whatever a handler does, the message is kept
            return self._keep(account, message, fault, now)
        if bells:
            self.ring(bells)
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
                    person_id, reply = self._run(session, account, message, now)
                    inbox.close_message(session, failed.id, person_id, reply.to_json(), now)
                    if reply.kind == "text":
                        notices.tell(session, notices.Notice(person_id, "answer", f"late:{failed.id}", "chat.late",
                                                             {"said": reply.text}, account.name), now)
            except Exception as fault:
                log.exception("inbox.failed_again", message=failed.id, attempts=failed.attempts + 1)
                dead = inbox.fail_again(session, failed.id, failed.attempts, f"{type(fault).__name__}: {fault}", now)
                metrics.inbox("dead" if dead else "failed")
            bells = outbox.rung(session)
        self.ring(bells)
        return True

    def _first_or_retry(
        self, session: Session, account: Account, message: Incoming, now: datetime
    ) -> tuple[Reply, frozenset[str]]:
        """The reply, and the bells to ring once it is committed."""
        opened = inbox.open_message(session, account.name, message.dedupe_key, message.event or message.kind,
                                    message.to_json(), now)
        if opened.id is None:
            metrics.inbox("retry")
            return Reply(**opened.reply) if opened.reply else NOTHING, frozenset()
        person_id, reply = self._run(session, account, message, now)
        inbox.close_message(session, opened.id, person_id, reply.to_json(), now)
        metrics.inbox("done")
        return reply, outbox.rung(session)

    def _run(self, session: Session, account: Account, message: Incoming, now: datetime) -> tuple[int, Reply]:
        refs = [IdentityRef("openid", message.sender, account.app_id)]
        person_id = people.resolve(session, refs, now, pepper=self.pepper, wrote=message.kind != "event")
        row = session.execute(_SPEAKER, {"person_id": person_id, "app_id": account.app_id, "openid": message.sender,
                                         "account": account.name, "now": now}).one()
        self._open_window(session, account, message, person_id, now)
        speaker = Speaker(row.id, row.nickname, row.referral_code, row.identity_id, row.followed_before)
        place = Place(row.state or "", row.memory or {})
        ctx = Context(message, speaker, session, now, self.copy, account.shop, place, redirect=self._route,
                      tools=self.tools)
        self._understand(ctx)
        answer = self._route(ctx)
        self._move(session, account, person_id, place, answer, now)
        return person_id, answer.reply

    def _understand(self, ctx: Context) -> None:
        if ctx.message.kind == "text":
            heard = understand(ctx.message.text)
            ctx.intent, ctx.argument, ctx.candidates = heard.intent, heard.argument, heard.candidates
            ctx.confirm, ctx.typed_exactly = heard.confirm, heard.certainty == "exact"
        elif ctx.message.event == "menu":
            ctx.intent, ctx.typed_exactly = self.taps.get(ctx.message.key, ""), True

    def _route(self, ctx: Context) -> Answer:
        handler = self.router.find(ctx)
        return handler(ctx) if handler else Answer(NOTHING, STAY)

    @staticmethod
    def _move(session: Session, account: Account, person_id: int, place: Place, answer: Answer, now: datetime) -> None:
        if answer.goto is STAY:
            return
        if answer.goto is not None:
            inbox.go_to(session, person_id, account.name, str(answer.goto), answer.remember, now)
        elif place.state:
            inbox.leave(session, person_id, account.name)

    @staticmethod
    def _open_window(session: Session, account: Account, message: Incoming, person_id: int, now: datetime) -> None:
        """Whoever writes or taps lets us write back: keep the right, and wake what waited only for it."""
        trigger = trigger_of(message)
        if trigger:
            platform.grant(session, account.name, message.sender, trigger, now)
            notices.wake(session, person_id, now)

    def _keep(self, account: Account, message: Incoming, fault: Exception, now: datetime) -> Reply:
        log.exception("inbox.failed", account=account.name, kind=message.kind)
        with self.sessions.begin() as session:
            inbox.keep_failed(session, account.name, message.dedupe_key, message.event or message.kind,
                              message.to_json(), f"{type(fault).__name__}: {fault}", now)
        metrics.inbox("failed")
        return text_reply(self.copy.render("error.retrying")) if message.kind == "text" else NOTHING


def trigger_of(message: Incoming) -> platform.Trigger | None:
    """Which right to send a message opens: message, menu, follow, scan, or None."""
    if message.kind != "event":
        return "menu" if message.data.get("bizmsgmenuid") else "message"
    return _TAPS.get(message.event)


_TAPS: dict[str, platform.Trigger] = {"follow": "follow", "scan": "scan", "menu": "menu"}
