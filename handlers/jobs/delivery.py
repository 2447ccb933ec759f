"""The one way out to a person: judged by the notice policy, paid with a right to send, and its outcome kept.

Messages carry no idempotency key at the platform. So the attempt is recorded before the call, and an
attempt whose end nobody saw counts as sent: nobody is told twice; the row says ``maybe_sent``.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog

from bot.kit.gateway import Gateway, Outcome, SendResult
from bot.kit.jobs import Claimed, Done, Ended, JobContext, Later, Refused
from domain.journeys import guard as journeys
from domain.journeys.library import Library
from domain.notices import broadcasts
from domain.notices import queries as awaited
from domain.notices import service as notices
from domain.notices.departures import Leaving
from domain.notices.rules import Policy, Purpose, Verdict, place_of
from domain.people import queries as people
from domain.people import service as people_service
from domain.people.rules import IdentityRef
from domain.platform import budgets, silence
from domain.platform import service as platform
from domain.shots import service as shots
from domain.stafftasks import service as stafftasks
from domain.stafftasks.queries import Employee
from domain.stafftasks.rules import WAITS_FOR_STAFF
from domain.subscriptions import service as subscriptions
from domain.subscriptions.rules import BY_STAFF, CHANNELS, KIND_NOT_ALLOWED
from handlers.jobs import ways
from handlers.jobs.ways import Errand, Says, Tried, Way

log = structlog.get_logger(__name__)

FOREVER = timedelta(days=3650)
"""What an employee has is not looked at here any more: the fate of the task ends it."""

CONFIG_PAUSE = timedelta(minutes=5)
"""How long to wait for a person to mend a refused account before trying again."""

TEMPLATE_PAUSE = timedelta(hours=6)
"""How long a template that the platform refuses is left alone; real time. ``notice mended`` ends it."""

OF_CARDS = frozenset({48001, 48004})
"""What may be refused to cards alone: this account may not send them. Everything else that a person must mend (the
token, the secret, the list of addresses) stops the whole account: no template is to blame, no other way is open."""

PAUSE_OF_JOURNEY = timedelta(minutes=15)
"""How long a message of a paused journey waits before it is asked again; it never outlives its expiry."""

JITTER = timedelta(seconds=20)
"""What waits for an interface comes back over so long, everybody at their own moment."""

JUST_NOW = timedelta(minutes=10)
"""Whoever acted so short a time ago has not left, although the platform may say so for a moment (43004)."""

ASK_AGAIN = timedelta(seconds=10)
"""When it is asked again about somebody who is there."""

ANSWERS_RESERVE = 1
"""Rights that unasked messages leave alone: what a person asks for must not wait behind what we want to tell."""

PICTURES_RESERVE = 3
"""Rights that pictures nobody asked for leave alone: news of money and orders goes before a certificate."""

OFFERED: frozenset[Purpose] = frozenset({"service", "marketing"})
"""What gives way to a picture that was promised."""

DAILY_QUOTA = 45009

Send = Callable[[Gateway, str], SendResult]


def deliver(ctx: JobContext, effect: Claimed, purpose: Purpose, account: str, send: Send,
            says: Says | None = None) -> Ended:
    """Send one message to the effect's person now, or say why not. ``send`` makes exactly one customer message;
    ``says`` lets it leave as a card where no window is open and its kind is allowed."""
    if effect.result.get("sending_at"):
        return Done({"maybe_sent": True})
    if effect.result.get("staff_task"):
        return _with_staff(ctx, effect)
    return _by_any_way(ctx, effect, purpose, account, send, says, Tried())


def depart(ctx: JobContext, errand: Errand, way: Way, send: Send) -> Ended:
    """Send what was judged, paid for and recorded as leaving already (``handlers.jobs.together``)."""
    tried = Tried()
    ended = _ended(ctx, errand, way, tried, _call(ctx.gateway(errand.account), errand, way, send))
    if ended is not None:
        return ended
    return _by_any_way(ctx, errand.effect, errand.purpose, errand.account, send, errand.says, tried)


def _by_any_way(ctx: JobContext, effect: Claimed, purpose: Purpose, account: str, send: Send, says: Says | None,
                tried: Tried) -> Ended:
    for _ in CHANNELS:
        found = _find(ctx, effect, purpose, account, says, tried)
        if not isinstance(found, tuple):
            return found
        ended = _take(ctx, *found, tried, send)
        if ended is not None:
            return ended
    return _nothing_open(ctx, effect, purpose, tried)


def _find(ctx: JobContext, effect: Claimed, purpose: Purpose, account: str, says: Says | None,
          tried: Tried) -> tuple[Errand, Way] | Ended:
    """Judge the message and take what its way needs, in one transaction."""
    assert effect.person_id is not None
    with ctx.begin() as session:
        if (stopped := objection(ctx, session, effect)) is not None:
            return stopped
        name, openid = _address(ctx, session, effect.person_id, account)
        reachable = bool(openid) or (purpose in BY_STAFF and says is not None
                                     and ways.employee_of(ctx, session, effect.person_id) is not None)
        verdict = notices.decide(session, leaving(effect, purpose, reachable), ctx.tool(Policy), ctx.now())
        if verdict.what != "send":
            return not_now(verdict)
        owed = purpose in OFFERED and bool(awaited.promised(session, [effect.person_id], ctx.now()))
        errand = Errand(effect, purpose, name, openid, reserve(effect, purpose, owed), says)
        way = ways.choose(ctx, session, errand, tried)
        if way is not None and way.employee is not None:
            if (handed := _hand_over(ctx, session, errand, way.employee, tried)) is not None:
                return handed
        elif way is not None:
            return errand, way
        notices.release(session, effect.id)
    return _nothing_open(ctx, effect, purpose, tried)


def _hand_over(ctx: JobContext, session: Any, errand: Errand, employee: Employee, tried: Tried) -> Ended | None:
    """Let the employee say it, in the transaction that judged it. None: they cannot, and ``tried`` says why."""
    effect = errand.effect
    assert errand.says is not None and effect.person_id is not None
    wanted = stafftasks.Wanted(effect.id, effect.person_id, errand.purpose, employee.account, employee.userid,
                               employee.external_userid, ways.staff_words(ctx, errand.says), effect.expires_at)
    if refused := stafftasks.join(session, wanted, ctx.now()):
        tried.refused["staff"] = refused
        return None
    notices.keep(session, effect.id, ways=tried.refused)
    return Later(WAITS_FOR_STAFF, ctx.now() + FOREVER)


def _with_staff(ctx: JobContext, effect: Claimed) -> Ended:
    """A notice that an employee has: what became of it there, whoever looks."""
    with ctx.begin() as session:
        state, reason, _ = stafftasks.fate(session, effect.id)
    if state == "waits":
        return Later(WAITS_FOR_STAFF, ctx.now() + FOREVER)
    return Done({"way": "staff"}) if state == "sent" else Refused(reason)


def _take(ctx: JobContext, errand: Errand, way: Way, tried: Tried, send: Send) -> Ended | None:
    """Send by this way. None: it was closed after all, and ``tried`` says why."""
    if (over := ways.over_budget(ctx, errand, way)) is not None:
        return _wait_for_budget(ctx, errand, way, over, tried)
    ctx.note(errand.effect, sending_at=ctx.real_now().isoformat())
    result = _call(ctx.gateway(errand.account), errand, way, send)
    return _ended(ctx, errand, way, tried, result)


def _call(gateway: Gateway, errand: Errand, way: Way, send: Send) -> SendResult:
    if way.card is None:
        return send(gateway, errand.openid)
    if way.channel == "subscription":
        return gateway.send_subscription(errand.openid, way.card)
    return gateway.send_template(errand.openid, way.card, f"huitou{errand.effect.id}")


def _wait_for_budget(ctx: JobContext, errand: Errand, way: Way, over: budgets.Refused, tried: Tried) -> Ended | None:
    """A pace is waited for; a day that is used up sends money and service by another way, if there is one."""
    reason, at = f"budget_{over.why}", ctx.now() + over.wait + _jitter(errand)
    with ctx.begin() as session:
        ways.give_back(session, errand, way)
        notices.release(session, errand.effect.id)
    if over.why == "pace":
        return Later(reason, at)
    tried.wait(way.channel, reason, at)
    return None


def _nothing_open(ctx: JobContext, effect: Claimed, purpose: Purpose, tried: Tried) -> Ended:
    """No way is open: wait for the one that opens by itself, for the person, or not at all."""
    ctx.note(effect, ways=tried.refused)
    if tried.again is not None:
        reason, at = tried.again
        if purpose == "marketing" and effect.expires_at is not None and effect.expires_at <= at:
            return Refused(reason, {"ways": tried.refused})
        return Later(reason, at)
    if purpose != "marketing":
        return Later(notices.NO_RIGHT, None)
    return Refused(KIND_NOT_ALLOWED if KIND_NOT_ALLOWED in tried.refused.values() else notices.NO_RIGHT)


def reserve(effect: Claimed, purpose: Purpose, owed: bool) -> int:
    """How many rights are left alone. ``owed``: the person waits for a picture that was promised, which comes before
    everything else that nobody asked for, but not before news of money."""
    if purpose == "answer":
        return 0
    if effect.payload.get("promised"):
        return ANSWERS_RESERVE
    return int(owed and purpose in OFFERED) + (PICTURES_RESERVE if effect.queue == "slow" else ANSWERS_RESERVE)


def leaving(effect: Claimed, purpose: Purpose, reachable: bool) -> Leaving:
    """The message as the policy sees it."""
    assert effect.person_id is not None
    return Leaving(effect.id, effect.person_id, purpose, effect.expires_at, reachable, digest(effect),
                   effect.payload.get("priority", 0), bool(effect.payload.get("guard")),
                   _asked_at(effect) if purpose == "answer" else None)


def _asked_at(effect: Claimed) -> datetime:
    """Since when somebody waits for this answer: longer than it is there, when it says that nothing comes."""
    told = effect.payload.get("asked_at")
    return datetime.fromisoformat(told) if told else effect.created_at


def digest(effect: Claimed) -> str:
    """What it says, for messages of text."""
    return notices.said(effect.payload["key"], effect.payload["facts"]) if "key" in effect.payload else ""


def objection(ctx: JobContext, session: Any, effect: Claimed) -> Ended | None:
    """What a journey planned is asked once more: its goal may have been reached since. So is a customer's picture: its
    author may have taken it back, or their name."""
    if number := effect.payload.get("broadcast"):
        halted = broadcasts.objection(session, number)
        return Later(halted, ctx.now() + broadcasts.ASK_AGAIN) if halted == "paused" else (
            Refused(halted) if halted else None)
    if (shot := effect.payload.get("shot")) and (
            gone := shots.objection(session, shot, named=effect.payload.get("named", False))):
        return Refused(gone)
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


def not_now(verdict: Verdict) -> Ended:
    return Later(verdict.reason, verdict.at) if verdict.what == "hold" else Refused(verdict.reason)


def _ended(ctx: JobContext, errand: Errand, way: Way, tried: Tried, result: SendResult) -> Ended | None:
    effect = errand.effect
    facts: dict[str, Any] = {"outcome": result.outcome.value, "errcode": result.errcode, "account": errand.account,
                             "way": way.channel}
    facts |= {"ways": tried.refused} if tried.refused else {}
    match result.outcome:
        case Outcome.SENT:
            return Done({**facts, "message_id": result.message_id} if result.message_id else facts)
        case Outcome.UNKNOWN:
            return Done({**facts, "maybe_sent": True})
        case Outcome.UNFOLLOWED:
            return _gone(ctx, errand, way, tried, result, facts)
        case Outcome.BACK_OFF:
            return _backed_off(ctx, errand, way, tried, result)
        case Outcome.CONFIG if way.card is None or result.errcode not in OF_CARDS:
            with ctx.begin() as session:  # nobody is promised anything meanwhile
                platform.hold_back(session, ctx.app_ids[errand.account], silence.SEND_ALARM, result.outcome.value,
                                   result.errcode, result.detail, ctx.real_now() + CONFIG_PAUSE)
            return _pay_back(ctx, errand, way, f"config:{result.errcode}", CONFIG_PAUSE)
        case Outcome.MUTED | Outcome.REJECTED:
            assert effect.person_id is not None
            with ctx.begin() as session:
                notices.release(session, effect.id)
                if result.outcome is Outcome.MUTED:
                    notices.muted(session, effect.person_id, ctx.tool(Policy), ctx.now())
            return Refused(f"{result.outcome.value}:{result.errcode}", facts)
        case _:
            _closed(ctx, errand, way, tried, result)
            return None


def _gone(ctx: JobContext, errand: Errand, way: Way, tried: Tried, result: SendResult,
          facts: dict[str, Any]) -> Ended | None:
    """The platform says that the person left. Whoever acted just now is there, whatever it says: it is asked once more,
    and then this waits for their next word. Who really left is told of by the platform's own event."""
    effect, now = errand.effect, ctx.now()
    with ctx.begin() as session:
        acted = platform.acted_at(session, errand.account, errand.openid)
        if acted is None or acted + JUST_NOW < now:
            gone = IdentityRef("openid", errand.openid, ctx.app_ids[errand.account])
            people_service.unfollow(session, gone, now)
            return Refused("unfollowed", facts)
        if effect.result.get("doubted"):
            notices.release(session, effect.id)
            platform.close(session, errand.account, errand.openid)
    if effect.result.get("doubted"):
        tried.refused[way.channel] = notices.NO_RIGHT
        ctx.note(effect, sending_at=None)
        return None
    log.warning("notice.unfollowed_doubted", errcode=result.errcode, account=errand.account)
    ctx.note(effect, doubted=True)
    return _pay_back(ctx, errand, way, f"back_off:{result.errcode}", ASK_AGAIN)


def _closed(ctx: JobContext, errand: Errand, way: Way, tried: Tried, result: SendResult) -> None:
    """The platform says that this way is shut: remember it, and let the next be tried."""
    tried.refused[way.channel] = f"{result.outcome.value}:{result.errcode}"
    with ctx.begin() as session:
        notices.release(session, errand.effect.id)
        if result.outcome in (Outcome.WINDOW_CLOSED, Outcome.QUOTA_USED):
            platform.close(session, errand.account, errand.openid)
            tried.refused[way.channel] = notices.NO_RIGHT
        elif way.card is not None:
            ways.give_back(session, errand, way)
            if result.outcome is Outcome.NOT_ALLOWED:
                subscriptions.lose(session, errand.account, errand.openid, way.card.template_id, subscriptions.REFUSED,
                                   ctx.now())
            else:
                alarm, until = ways.alarm_of(way.channel, way.card.template_id), ctx.real_now() + TEMPLATE_PAUSE
                platform.hold_back(session, ctx.app_ids[errand.account], alarm, Outcome.CONFIG.value, result.errcode,
                                   result.detail, until)
                log.error("notice.template_refused", channel=way.channel, template=way.card.template_id,
                          errcode=result.errcode, key=errand.says.key if errand.says else "")
    ctx.note(errand.effect, sending_at=None)


def _backed_off(ctx: JobContext, errand: Errand, way: Way, tried: Tried, result: SendResult) -> Ended | None:
    """A short rest is waited for; one until midnight closes marketing there, and the rest looks for another way."""
    pause, reason = _delay(ctx, result), f"back_off:{result.errcode}"
    if result.errcode == DAILY_QUOTA:
        with ctx.begin() as session:
            budgets.close_marketing(session, ctx.app_ids[errand.account], ways.API[way.channel], ctx.now(),
                                    ctx.now() + pause)
    if pause <= ways.LONG:
        return _pay_back(ctx, errand, way, reason, pause + _jitter(errand))
    with ctx.begin() as session:
        ways.give_back(session, errand, way)
        notices.release(session, errand.effect.id)
    ctx.note(errand.effect, sending_at=None)
    tried.wait(way.channel, reason, ctx.now() + pause)
    return None


def _delay(ctx: JobContext, result: SendResult) -> timedelta:
    """The platform's pause in real time becomes the same pause in business time."""
    pause = (result.retry_at or ctx.real_now()) - ctx.real_now()
    return max(pause, timedelta(seconds=1))


def _jitter(errand: Errand) -> timedelta:
    return JITTER * place_of(errand.effect.id) / 1000


def _pay_back(ctx: JobContext, errand: Errand, way: Way, reason: str, pause: timedelta) -> Ended:
    """Nothing left: what it took is returned and the message tried again after ``pause``. The call surely did not
    deliver, so the record of the attempt is withdrawn."""
    with ctx.begin() as session:
        ways.give_back(session, errand, way)
        notices.release(session, errand.effect.id)
    ctx.note(errand.effect, sending_at=None)
    return Later(reason, ctx.now() + pause)
