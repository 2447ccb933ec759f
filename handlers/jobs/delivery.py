"""The one way out to a person: judged by the notice policy, paid with a right to send, and its outcome kept.

Chat messages carry no idempotency key at the platform. So the attempt is recorded before the call, and an
attempt whose end nobody saw counts as sent: nobody is told twice; the row says ``maybe_sent``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bot.kit.gateway import Gateway, Outcome, SendResult
from bot.kit.jobs import Claimed, Done, Ended, JobContext, Later, Refused
from domain.journeys import guard as journeys
from domain.journeys.library import Library
from domain.notices import service as notices
from domain.notices.rules import Policy, Purpose, Verdict
from domain.people import queries as people
from domain.people import service as people_service
from domain.people.rules import IdentityRef
from domain.platform import service as platform

CONFIG_PAUSE = timedelta(minutes=5)
"""How long to wait for a person to mend a refused account before trying again."""

PAUSE_OF_JOURNEY = timedelta(minutes=15)
"""How long a message of a paused journey waits before it is asked again; it never outlives its expiry."""

ANSWERS_RESERVE = 1
"""Rights that unasked messages leave alone: what a person asks for must not wait behind what we want to tell."""

PICTURES_RESERVE = 3
"""Rights that pictures nobody asked for leave alone: news of money and orders goes before a certificate."""

Send = Callable[[Gateway, str], SendResult]


@dataclass(frozen=True, slots=True)
class Paid:
    """Where a message went and which right it used."""

    account: str
    openid: str
    right: platform.Right


def deliver(ctx: JobContext, effect: Claimed, purpose: Purpose, account: str, send: Send) -> Ended:
    """Send one message to the effect's person now, or say why not. ``send`` makes exactly one customer message."""
    if effect.result.get("sending_at"):
        return Done({"maybe_sent": True})
    assert effect.person_id is not None
    with ctx.begin() as session:
        if (objection := _objection(ctx, session, effect)) is not None:
            return objection
        name, openid = _address(ctx, session, effect.person_id, account)
        leaving = notices.Leaving(effect.id, effect.person_id, purpose, effect.expires_at, bool(openid),
                                  _says(effect), effect.payload.get("priority", 0), bool(effect.payload.get("guard")))
        verdict = notices.decide(session, leaving, ctx.tool(Policy), ctx.now())
        if verdict.what != "send":
            return _not_now(verdict)
        right = platform.take(session, name, openid, ctx.now(), reserve=_reserve(effect, purpose))
        if right is None:
            notices.release(session, effect.id)
            return Refused(notices.NO_RIGHT) if purpose == "marketing" else Later(notices.NO_RIGHT, None)
    ctx.note(effect, sending_at=ctx.real_now().isoformat())
    return _ended(ctx, effect, Paid(name, openid, right), send(ctx.gateway(name), openid))


def _reserve(effect: Claimed, purpose: Purpose) -> int:
    if purpose == "answer":
        return 0
    return PICTURES_RESERVE if effect.queue == "slow" else ANSWERS_RESERVE


def _says(effect: Claimed) -> str:
    """What it says, for messages of text."""
    return notices.said(effect.payload["key"], effect.payload["facts"]) if "key" in effect.payload else ""


def _objection(ctx: JobContext, session: Any, effect: Claimed) -> Ended | None:
    """What a journey planned is asked once more: its goal may have been reached since."""
    guard = effect.payload.get("guard", "")
    reason = journeys.objection(session, ctx.tool(Library), guard, ctx.now()) if guard else ""
    if reason == journeys.PAUSED:
        return Later(reason, ctx.now() + PAUSE_OF_JOURNEY)
    return Refused(reason) if reason else None


def _address(ctx: JobContext, session: Any, person_id: int, account: str) -> tuple[str, str]:
    """The account and openid to write to: the wanted account first, else any that the person follows."""
    for name in sorted(ctx.app_ids, key=lambda name: name != account):
        openid = people.openid_of(session, person_id, ctx.app_ids[name])
        if openid:
            return name, openid
    return account, ""


def _not_now(verdict: Verdict) -> Ended:
    return Later(verdict.reason, verdict.at) if verdict.what == "hold" else Refused(verdict.reason)


def _ended(ctx: JobContext, effect: Claimed, paid: Paid, result: SendResult) -> Ended:
    facts = {"outcome": result.outcome.value, "errcode": result.errcode, "account": paid.account}
    match result.outcome:
        case Outcome.SENT:
            return Done(facts)
        case Outcome.UNKNOWN:
            return Done({**facts, "maybe_sent": True})
        case Outcome.WINDOW_CLOSED | Outcome.QUOTA_USED:
            with ctx.begin() as session:
                platform.close(session, paid.account, paid.openid)
                notices.release(session, effect.id)
            return _again(ctx, effect, notices.NO_RIGHT, None)
        case Outcome.UNFOLLOWED:
            with ctx.begin() as session:
                gone = IdentityRef("openid", paid.openid, ctx.app_ids[paid.account])
                people_service.unfollow(session, gone, ctx.now())
            return Refused("unfollowed", facts)
        case Outcome.BACK_OFF:
            return _pay_back(ctx, effect, paid, f"back_off:{result.errcode}", _delay(ctx, result))
        case Outcome.CONFIG:
            return _pay_back(ctx, effect, paid, f"config:{result.errcode}", CONFIG_PAUSE)
        case Outcome.MUTED | Outcome.REJECTED:
            assert effect.person_id is not None
            with ctx.begin() as session:
                notices.release(session, effect.id)
                if result.outcome is Outcome.MUTED:
                    notices.muted(session, effect.person_id, ctx.tool(Policy), ctx.now())
            return Refused(f"{result.outcome.value}:{result.errcode}", facts)


def _delay(ctx: JobContext, result: SendResult) -> timedelta:
    """The platform's pause in real time becomes the same pause in business time."""
    pause = (result.retry_at or ctx.real_now()) - ctx.real_now()
    return max(pause, timedelta(seconds=1))


def _pay_back(ctx: JobContext, effect: Claimed, paid: Paid, reason: str, pause: timedelta) -> Ended:
    """Nothing left: the right is returned and the message tried again after ``pause``."""
    with ctx.begin() as session:
        platform.give_back(session, paid.account, paid.openid, paid.right)
        notices.release(session, effect.id)
    return _again(ctx, effect, reason, ctx.now() + pause)


def _again(ctx: JobContext, effect: Claimed, reason: str, at: datetime | None) -> Ended:
    """The call surely did not deliver, so the record of the attempt is withdrawn."""
    ctx.note(effect, sending_at=None)
    return Later(reason, at)
