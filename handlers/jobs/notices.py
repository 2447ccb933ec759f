"""Text notices leave here: rendered at the last moment, so that they speak in the shop's present voice."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from bot.kit.chores import Chores
from bot.kit.jobs import Claimed, Ended, JobContext, Jobs, Ready, Refused
from domain.notices import broadcasts
from domain.notices import service as notices
from domain.platform import budgets
from domain.stafftasks.rules import StaffWay
from handlers.jobs import together
from handlers.jobs.delivery import deliver
from handlers.jobs.ways import API, Says

jobs = Jobs()
chores = Chores()

DIGESTS = {
    "money.earned": ("money.earned_many", "amount_fen"),
    "money.released": ("money.released_many", "to_available_fen"),
}
"""Texts of which several that are due together become one: the text of many, and what is added up in it."""
MANY = 3
JOINED = frozenset({"programme.unlocked", "programme.final", "programme.revoked"})
"""Texts that list items: whoever could not be written to for weeks hears one list, not the same words five times."""


@jobs.on("notice.text")
def send_text(ctx: JobContext, effect: Claimed) -> Ended:
    """payload: {purpose, key, facts, account}. Three of a kind that wait together leave as one."""
    payload = effect.payload
    key, facts = payload["key"], payload["facts"]
    if key in DIGESTS and not effect.result.get("sending_at"):
        gathered = _gather(ctx, effect)
        if gathered is None:
            return Refused("gathered")
        if gathered:
            key, facts = gathered
    if key in JOINED and not effect.result.get("sending_at"):
        joined = _join(ctx, effect)
        if joined is None:
            return Refused("gathered")
        facts = joined
    content = ctx.copy.render(key, **facts)
    return deliver(ctx, effect, payload["purpose"], payload["account"],
                   lambda gateway, openid: gateway.send_text(openid, content), Says(key, facts))


@jobs.together("notice.text")
def send_texts(ctx: JobContext, effects: Sequence[Claimed]) -> Mapping[int, Ended | Ready]:
    """Those that stand alone leave together; what may have to become one text is looked at one by one."""
    return together.plan(ctx, [effect for effect in effects if effect.payload["key"] not in DIGESTS.keys() | JOINED])


def _join(ctx: JobContext, effect: Claimed) -> dict[str, Any] | None:
    """The facts of this notice with the items of all that wait with it; None when it was gathered itself. Kept as
    ``_gather`` keeps."""
    assert effect.person_id is not None
    facts: dict[str, Any] = dict(effect.payload["facts"])
    with ctx.begin() as session:
        if not notices.still_waits(session, effect.id):
            return None
        others = notices.gather(session, effect.id, effect.person_id, effect.payload["key"], 2, ctx.now())
        told = [*effect.result.get("joined", ()), *others]
        if others:
            notices.keep(session, effect.id, joined=told)
    facts["items"] = [item for one in (facts, *told) for item in one["items"]]
    if "until" in facts:  # the last of them, or unknown if it is of one
        known = [one["until"] for one in (facts, *told)]
        facts["until"] = max(known) if all(known) else min(known, key=bool)
    return facts


def _gather(ctx: JobContext, effect: Claimed) -> tuple[str, dict[str, Any]] | tuple[()] | None:
    """The text for all of them and its facts; () when there are too few; None when this one was gathered itself.

    What was gathered is kept with the effect: if it has to be tried again, it still speaks for all.
    """
    assert effect.person_id is not None
    key, summed = DIGESTS[effect.payload["key"]]
    with ctx.begin() as session:
        if not notices.still_waits(session, effect.id):
            return None
        others = notices.gather(session, effect.id, effect.person_id, effect.payload["key"], MANY, ctx.now())
        told = dict(effect.result.get("gathered", {"count": 0, "amount_fen": 0}))
        told["count"] += len(others)
        told["amount_fen"] += sum(one[summed] for one in others)
        notices.keep(session, effect.id, gathered=told)
    if not told["count"]:
        return ()
    return key, {"count": told["count"] + 1, "amount_fen": told["amount_fen"] + effect.payload["facts"][summed]}


@chores.every("notices.broadcast", timedelta(seconds=10))
def broadcast(ctx: JobContext) -> bool:
    """The next piece of what is told to many, while the day has room for marketing."""
    limits = ctx.tool(budgets.Budgets).by_api.get(API["custom"])
    with ctx.begin() as session:
        for one in budgets.used(session, ctx.now()):
            if one.api == API["custom"] and (one.marketing_until or (limits and one.used >= limits.marketing_share)):
                return False
        return broadcasts.step(session, ctx.now(), staff=bool(ctx.tool(StaffWay).monthly))
