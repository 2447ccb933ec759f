"""What WeCom is asked when a customer has come: who they are, to greet them, and to write down their tags.

The welcome lives for twenty seconds from the event, so these effects are carried out first of all (bot.runtime.courier)
and repeated while there is time. It may be repeated without fear: the platform takes one welcome for each code.
"""

from datetime import datetime, timedelta

import structlog

from bot.kit.chores import Chores
from bot.kit.gateway import GatewayError, Outcome, SendResult
from bot.kit.jobs import Claimed, Done, Ended, JobContext, Jobs, Later, Refused
from bot.kit.wecom import TOO_LATE, WELCOMED, WeCom, WeComs
from domain.contacts import queries
from domain.contacts import service as contacts
from domain.contacts.queries import ContactView
from domain.notices import service as notices
from domain.notices.departures import Leaving
from domain.notices.rules import Policy
from domain.rewards.rules import Offers
from domain.shared import outbox
from domain.workflows import contacting

jobs = Jobs()
chores = Chores()
log = structlog.get_logger(__name__)

PATIENCE = timedelta(seconds=15)
"""How long after its event a welcome may still be tried; the platform takes it for twenty, and a call lasts."""
PAUSE = timedelta(seconds=1)
MEETING = timedelta(seconds=5)
"""How long a welcome waits for the meeting that says what is in it; then it goes without."""
FOLLOWERS_FOR = timedelta(seconds=4)
"""How long a meeting waits for who has just followed to be known by name: they may be the same person. Shorter than a
welcome waits for the meeting."""
CONFIG_PAUSE = timedelta(minutes=5)
LEARN_FOR = timedelta(days=1)
RATE = 45009
FOLLOWERS = 200
UNKNOWN_AN_HOUR = 200
STRANGER = {"kind": "known", "by_way": False, "sharer": "", "coupon": None}


@jobs.on("contact.meet")
def meet(ctx: JobContext, effect: Claimed) -> Ended:
    """payload: {contact, account}. Who came, and what they get. A platform in trouble is asked again later: a newcomer
    does not wait for it."""
    one = _contact(ctx, effect)
    trouble = _learn(ctx, one)
    left = effect.created_at + FOLLOWERS_FOR - ctx.now()
    if trouble is None and one.arrival is None and left > timedelta(0):
        with ctx.begin() as session:
            if contacting.may_follow(session, one.id, ctx.now(), left):
                return Later("followers", ctx.now() + PAUSE)
    with ctx.begin() as session:
        contacting.arrive(session, one.id, ctx.tool(Offers), ctx.now())
        if trouble is not None and trouble.outcome is not Outcome.REJECTED:
            outbox.put(session, [outbox.Effect(
                "slow", "contact.learn", f"contact.learn:{one.id}:{one.stint}", effect.person_id,
                {"contact": one.id, "account": one.account}, delay=_delay(ctx, trouble),
                expires_at=ctx.now() + LEARN_FOR)], ctx.now())
    return Done({"trouble": _named(trouble)} if trouble else {})


@jobs.on("contact.learn")
def learn(ctx: JobContext, effect: Claimed) -> Ended:
    """payload: {contact, account}. Who they are, once the platform answers again."""
    trouble = _learn(ctx, _contact(ctx, effect))
    if trouble is None:
        return Done()
    if trouble.outcome in (Outcome.BACK_OFF, Outcome.CONFIG):
        return Later(_named(trouble), ctx.now() + _delay(ctx, trouble))
    return Refused(_named(trouble))


@jobs.on(contacting.FOLLOWER)
def learn_follower(ctx: JobContext, effect: Claimed) -> Ended:
    """payload: {account, openid}. Which unionid a follower of the Official Account has; '' when it is bound to no open
    platform, and then nothing can be joined."""
    account, openid = effect.payload["account"], effect.payload["openid"]
    try:
        unionid = ctx.gateway(account).unionid(openid)
    except GatewayError as refusal:
        result = refusal.result
        if result.outcome in (Outcome.BACK_OFF, Outcome.CONFIG) and ctx.now() - effect.created_at < LEARN_FOR:
            return Later(_named(result), ctx.now() + _delay(ctx, result))
        return Refused(_named(result))
    if unionid:
        with ctx.begin() as session:
            contacting.follower_learnt(session, ctx.app_ids[account], openid, unionid, ctx.now())
    return Done({"known": bool(unionid)})


@chores.every("contacts.followers", timedelta(hours=1))
def ask_followers(ctx: JobContext) -> bool:
    """Who followed before there was WeCom here, a piece at a time."""
    if not ctx.tool(WeComs).by_account:
        return False
    with ctx.begin() as session:
        return contacting.ask_followers(session, ctx.app_ids, ctx.now(), FOLLOWERS) >= FOLLOWERS


@chores.every("contacts.unknown", timedelta(hours=1))
def ask_again(ctx: JobContext) -> bool:
    """Customers and followers whose unionid nobody told, a few an hour: it is what makes one person of the two."""
    if not ctx.tool(WeComs).by_account:
        return False
    with ctx.begin() as session:
        contacting.ask_again(session, ctx.app_ids, ctx.now(), UNKNOWN_AN_HOUR)
    return False


@jobs.on("contact.welcome")
def welcome(ctx: JobContext, effect: Claimed) -> Ended:
    """payload: {contact, account, code, at}. The one message that an application may send a customer unasked."""
    one, left = _contact(ctx, effect), _left(ctx, effect)
    app = ctx.tool(WeComs).by_account.get(one.account)
    if app is None or left <= timedelta(0):
        return _unsaid(ctx, one, "too_late" if app else "no_account")
    if one.arrival is None and left > PATIENCE - MEETING:
        return Later("meeting", ctx.now() + PAUSE)
    with ctx.begin() as session:
        leaving = Leaving(effect.id, one.person_id, "answer", None, reachable=one.open)
        verdict = notices.decide(session, leaving, ctx.tool(Policy), ctx.now())
    if verdict.what != "send":
        return _unsaid(ctx, one, verdict.reason)
    arrival = STRANGER | (one.arrival or {})
    kind = "newcomer" if arrival["kind"] == "newcomer" else "known"
    text = ctx.copy.render(f"contact.welcome.{kind}", arrival=arrival, shop=ctx.shop.name)
    return _sent(ctx, effect, one, app.welcome(effect.payload["code"], text))


def _sent(ctx: JobContext, effect: Claimed, one: ContactView, result: SendResult) -> Ended:
    facts = {"outcome": result.outcome.value, "errcode": result.errcode}
    if result.outcome is Outcome.SENT or result.errcode == WELCOMED:
        # Known as welcomed already: by our own call whose answer was lost, or they have begun to chat. Either is well.
        with ctx.begin() as session:
            contacts.welcomed(session, one.id, "sent" if result.outcome is Outcome.SENT else "welcomed", ctx.now())
        return Done(facts)
    again = result.outcome in (Outcome.BACK_OFF, Outcome.UNKNOWN) and result.errcode != RATE
    if again and _left(ctx, effect) > PAUSE:
        return Later(_named(result), ctx.now() + PAUSE)
    if result.outcome is Outcome.CONFIG:
        log.error("contact.welcome_refused", account=one.account, errcode=result.errcode, detail=result.detail)
    return _unsaid(ctx, one, "too_late" if again or result.errcode in TOO_LATE else _named(result))


def _unsaid(ctx: JobContext, one: ContactView, reason: str) -> Ended:
    with ctx.begin() as session:
        contacts.welcomed(session, one.id, reason, ctx.now())
    return Refused(reason)


def _left(ctx: JobContext, effect: Claimed) -> timedelta:
    """By the platform's date and real time, and by our own: a demo's platform dates its events by business time."""
    by_platform = datetime.fromisoformat(effect.payload["at"]) + PATIENCE - ctx.real_now()
    return min(by_platform, effect.created_at + PATIENCE - ctx.now())


def _contact(ctx: JobContext, effect: Claimed) -> ContactView:
    with ctx.begin() as session:
        found = queries.contact(session, effect.payload["contact"])
    assert found is not None
    return found


def _learn(ctx: JobContext, one: ContactView) -> SendResult | None:
    """Ask who they are and keep it; None when that went well, else why not."""
    app: WeCom | None = ctx.tool(WeComs).by_account.get(one.account)
    if app is None:
        return SendResult(Outcome.REJECTED, detail="no_account")
    try:
        who = app.contact(one.external_userid)
    except GatewayError as refusal:
        log.warning("contact.unknown", account=one.account, outcome=refusal.result.outcome.value,
                    errcode=refusal.result.errcode)
        return refusal.result
    with ctx.begin() as session:
        contacting.learn(session, one.id, who.unionid, who.name, who.avatar_url, ctx.now())
    return None


def _delay(ctx: JobContext, result: SendResult) -> timedelta:
    """The platform's pause in real time becomes the same pause in business time."""
    if result.retry_at is None:
        return CONFIG_PAUSE
    return max(result.retry_at - ctx.real_now(), PAUSE)


def _named(result: SendResult) -> str:
    return f"{result.outcome.value}:{result.errcode}"
