"""Text notices that leave together: judged, paid with their rights, counted in the budget and recorded as leaving in
one transaction for all of them, each of another person.

The rules are those of ``delivery`` and ``ways``, asked of many at once. Only the usual case is decided here: what has
objections is told so, what may go as a customer message goes. Whatever needs more (several that become one, cards, an
interface that rests, a budget that is used up) is left out, untouched: the handler looks at it alone.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import structlog

from bot.kit.gateway import Gateway, SendResult
from bot.kit.jobs import Claimed, Ended, JobContext, Ready
from domain.notices import departures
from domain.notices import queries as awaited
from domain.notices.rules import Policy, judge
from domain.people import queries as people
from domain.platform import budgets, rights
from domain.platform.rights import Wanted
from domain.shared import outbox, trips
from domain.shared.records import record
from domain.stafftasks.rules import StaffWay
from domain.subscriptions.rules import BY_STAFF, Catalogue
from handlers.jobs import delivery
from handlers.jobs.ways import API, Errand, Says, Way

log = structlog.get_logger(__name__)


@record
class Message:
    """What one effect says, in the shop's voice."""

    effect: Claimed
    text: str

    @property
    def purpose(self) -> Any:
        return self.effect.payload["purpose"]

    def send(self, gateway: Gateway, openid: str) -> SendResult:
        return gateway.send_text(openid, self.text)


def plan(ctx: JobContext, effects: Sequence[Claimed]) -> Mapping[int, Ended | Ready]:
    """What becomes of these effects of different people, by id; without those that are to be looked at alone."""
    messages = {effect.id: text for effect in effects if (text := _worded(ctx, effect)) is not None}
    if not messages:
        return {}
    found: dict[int, Ended | Ready] = {}
    with ctx.begin() as session:
        errands = _judge(ctx, session, list(messages.values()), found)
        leaving = _pay(ctx, session, errands)
    for errand, way in leaving:
        act = partial(delivery.depart, ctx, errand, way, messages[errand.effect.id].send)
        found[errand.effect.id] = Ready(act)
    return found


def _worded(ctx: JobContext, effect: Claimed) -> Message | None:
    """The message; None for one that cannot be worded: its handler says why."""
    if effect.person_id is None or effect.result.get("sending_at") or effect.result.get("staff_task"):
        return None
    try:
        return Message(effect, ctx.copy.render(effect.payload["key"], **effect.payload["facts"]))
    except Exception as fault:  # noqa: BLE001 - one effect's fault must not stop the others
        log.warning("notice.not_worded", effect=effect.id, fault=type(fault).__name__)
        return None


def _judge(ctx: JobContext, session: Any, messages: Sequence[Message], found: dict[int, Ended | Ready]) -> list[Errand]:
    """Those that may leave now; why the others may not goes to ``found``."""
    asked = []
    for message in messages:
        if (objection := delivery.objection(ctx, session, message.effect)) is not None:
            found[message.effect.id] = objection
        else:
            asked.append(message)
    openids = people.openids_of(session, [message.effect.person_id or 0 for message in asked],
                                list(ctx.app_ids.values()))
    addressed = [(message, *_address(ctx, openids, message.effect)) for message in asked]
    if ctx.tool(StaffWay).monthly:  # who follows no account may have an employee: that is looked at alone
        addressed = [one for one in addressed if one[2] or one[0].purpose not in BY_STAFF]
    known = departures.facts_of(
        session, [delivery.leaving(message.effect, message.purpose, bool(openid)) for message, _, openid in addressed],
        ctx.tool(Policy), ctx.now())
    owed = awaited.promised(session, {message.effect.person_id or 0 for message in asked
                                      if message.purpose in delivery.OFFERED}, ctx.now())
    errands = []
    for message, account, openid in addressed:
        effect, verdict = message.effect, judge(known[message.effect.id], ctx.tool(Policy))
        if verdict.what != "send":
            found[effect.id] = delivery.not_now(verdict)
            continue
        errands.append(Errand(effect, message.purpose, account, openid,
                              delivery.reserve(effect, message.purpose, effect.person_id in owed),
                              Says(effect.payload["key"], effect.payload["facts"])))
    return errands


def _address(ctx: JobContext, openids: Mapping[tuple[int, str], str], effect: Claimed) -> tuple[str, str]:
    """The account and openid to write to: the wanted account first, else any that the person follows."""
    wanted = effect.payload["account"]
    for name in sorted(ctx.app_ids, key=lambda name: name != wanted):
        if openid := openids.get((effect.person_id or 0, ctx.app_ids[name])):
            return name, openid
    return wanted, ""


def _pay(ctx: JobContext, session: Any, errands: Sequence[Errand]) -> list[tuple[Errand, Way]]:
    """Those with an open window and room in the budget, with the right that each has used; their slots are taken, and
    they are recorded as leaving. COMMITs when there are any."""
    first = [errand for errand in errands if ctx.tool(Catalogue).order[errand.purpose][:1] == ("custom",)]
    wanted = {errand.effect.id: Wanted(errand.account, errand.openid, errand.reserve) for errand in first}
    open_ = rights.open_to(session, sorted(set(wanted.values())), ctx.now())
    leaving = _within_budget(ctx, session, [errand for errand in first if wanted[errand.effect.id] in open_])
    if not leaving:
        return []
    slots = departures.taking_slots(
        [delivery.leaving(errand.effect, errand.purpose, True) for errand in leaving], ctx.now())
    trips.close(
        session, rights.using({wanted[errand.effect.id]: open_[wanted[errand.effect.id]] for errand in leaving}),
        *([slots] if slots else ()),
        outbox.noting([errand.effect.id for errand in leaving], sending_at=ctx.real_now().isoformat()))
    return [(errand, Way("custom", right=open_[wanted[errand.effect.id]])) for errand in leaving]


def _within_budget(ctx: JobContext, session: Any, errands: Sequence[Errand]) -> list[Errand]:
    """As many as the interface of each account has room for; none of one that rests."""
    limits = ctx.tool(budgets.Budgets).by_api.get(API["custom"])
    groups: dict[tuple[str, bool], list[Errand]] = defaultdict(list)
    for errand in errands:
        groups[ctx.app_ids[errand.account], errand.purpose == "marketing"].append(errand)
    leaving: list[Errand] = []
    resting = rights.resting(session, API["custom"], ctx.real_now())
    for (app_id, marketing), group in sorted(groups.items(), key=lambda item: item[0]):
        if app_id in resting:
            continue
        free = [errand for errand in group if limits is None or errand.purpose == "answer"]
        counted = [errand for errand in group if errand not in free]
        room = budgets.take_some(session, app_id, API["custom"], limits, len(counted), marketing=marketing,
                                 at=ctx.now()) if limits and counted else 0
        leaving += [*free, *counted[:room]]
    return leaving
