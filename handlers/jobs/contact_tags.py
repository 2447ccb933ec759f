"""Tags of customers as employees see them in WeCom: who brought them, what they like, and our own tags.

One effect is one tag at one employee: each has its own outcome. The name is made here, so that it is the sharer's
present one. Marks leave a few at a time; a corp that has no room for another tag is an alarm, not a loop.
"""

from datetime import timedelta

import structlog

from bot.kit.gateway import GatewayError, Outcome, SendResult
from bot.kit.jobs import Claimed, Done, Ended, JobContext, Jobs, Later, Refused
from bot.kit.wecom import TAG_LETTERS, UNKNOWN_TAG, WeCom, WeComs
from domain.contacts import queries
from domain.contacts import service as contacts
from domain.contacts.queries import ContactView
from domain.contacts.service import Wish
from domain.insight.rules import Segmentation
from domain.people import queries as people
from domain.workflows import contacting

jobs = Jobs()
log = structlog.get_logger(__name__)

TRY_FOR = timedelta(days=1)
CONFIG_PAUSE = timedelta(minutes=5)


@jobs.on("contact.tag")
def tag(ctx: JobContext, effect: Claimed) -> Ended:
    """payload: {contact, account, tag, value}. Brings one tag to what is wanted of it now."""
    with ctx.begin() as session:
        one = queries.contact(session, effect.payload["contact"])
        wished = contacts.wished(session, effect.payload["contact"], effect.payload["tag"], effect.payload["value"])
    if one is None or wished is None:
        return Done({"known": True})
    app = ctx.tool(WeComs).by_account.get(one.account)
    group, name = _named(ctx, wished)
    if not one.open or app is None:
        return _refused(ctx, one, wished, name, "ended" if app else "no_account")
    result = _written(ctx, app, one, wished, (group, name))
    if result.outcome is Outcome.SENT:
        with ctx.begin() as session:
            contacts.wish_ended(session, one.id, wished, name, "", ctx.now())
        return Done({"name": name})
    return _later(ctx, effect, one, wished, name, result)


@jobs.on_every_fact
def note(ctx: JobContext, effect: Claimed) -> None:
    """What somebody buys first, and our own tags, reach the employees who have them. Told twice it changes nothing."""
    if effect.person_id is None or not ctx.tool(WeComs).by_account:
        return
    if effect.kind == "order.first_completed":
        with ctx.begin() as session:
            contacting.retag(session, [effect.person_id], ctx.now())
    elif effect.kind in ("tag.added", "tag.removed"):
        with ctx.begin() as session:
            contacting.tagged(session, effect.person_id, effect.payload["tag"], effect.kind == "tag.added", ctx.now())


def _written(ctx: JobContext, app: WeCom, one: ContactView, wished: Wish, named: tuple[str, str]) -> SendResult:
    """Mark the customer. A tag that somebody deleted in WeCom meanwhile is made again, once."""
    result = SendResult(Outcome.REJECTED, UNKNOWN_TAG)
    for fresh in (False, True):
        try:
            tag_id = _tag_id(ctx, app, *named, make=wished.on, fresh=fresh)
        except GatewayError as refusal:
            return refusal.result
        if not tag_id:
            return SendResult(Outcome.SENT)  # nobody carries a tag that there is not
        ids = [tag_id]
        result = app.mark(one.userid, one.external_userid, ids if wished.on else [], [] if wished.on else ids)
        if result.errcode != UNKNOWN_TAG:
            return result
    return result


def _tag_id(ctx: JobContext, app: WeCom, group: str, name: str, *, make: bool, fresh: bool) -> str:
    with ctx.begin() as session:
        if fresh:
            contacts.keep_tag_id(session, app.corp_id, group, name, "", ctx.now())
        known = contacts.tag_id(session, app.corp_id, group, name)
    if known or not make:
        return known
    made = app.tag_id(group, name)
    with ctx.begin() as session:
        contacts.keep_tag_id(session, app.corp_id, group, name, made, ctx.now())
    return made


def _named(ctx: JobContext, wished: Wish) -> tuple[str, str]:
    """Group and name of a tag in WeCom, cut to what it takes."""
    value = wished.value
    if wished.kind == "sharer":
        with ctx.begin() as session:
            sharer = people.person(session, int(value))
        value = sharer.nickname if sharer is not None else ""
    elif wished.kind == "interest":
        value = ctx.copy.render(f"category.{value}") if ctx.copy.has(f"category.{value}") else value
    else:
        value = next((one.title for one in ctx.tool(Segmentation).tags if one.key == value), value)
    key = f"contact.tag.{wished.kind}"
    over = len(ctx.copy.render(key, name=value)) - TAG_LETTERS
    name = ctx.copy.render(key, name=value[:-over].rstrip() if over > 0 else value)
    return ctx.copy.render(f"contact.group.{wished.kind}"), name


def _later(ctx: JobContext, effect: Claimed, one: ContactView, wished: Wish, name: str, result: SendResult) -> Ended:
    """A platform that is busy, or a setting that somebody must mend, is waited for a day; the rest is final."""
    reason = f"{result.outcome.value}:{result.errcode}"
    if result.outcome is Outcome.QUOTA_USED:
        log.error("contact.tags_full", account=one.account, name=name, detail=result.detail)
        return _refused(ctx, one, wished, name, "tags_full")
    if result.outcome is Outcome.CONFIG:
        log.error("contact.tag_refused", account=one.account, errcode=result.errcode, detail=result.detail)
    waits = result.outcome in (Outcome.BACK_OFF, Outcome.CONFIG, Outcome.UNKNOWN)
    if waits and ctx.now() - effect.created_at < TRY_FOR:
        pause = result.retry_at - ctx.real_now() if result.retry_at else CONFIG_PAUSE
        return Later(reason, ctx.now() + max(pause, timedelta(seconds=1)))
    return _refused(ctx, one, wished, name, reason)


def _refused(ctx: JobContext, one: ContactView, wished: Wish, name: str, reason: str) -> Ended:
    with ctx.begin() as session:
        contacts.wish_ended(session, one.id, wished, name, reason, ctx.now())
    return Refused(reason)
