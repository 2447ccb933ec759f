"""积分 and 签到: what somebody's points are, and the day's check-in."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bot.kit.context import Context
from bot.kit.conversation import Answer
from bot.kit.filters import Intent
from bot.kit.router import Router
from domain.points import queries, service
from domain.points.rules import PointRules
from domain.workflows.leaving import Leaving

router = Router(__name__)

LINES = 5
"""Changes that fit below the balance."""


def _points(people: Sequence[int], now: datetime) -> Sequence[tuple[str, Any]]:
    return queries.questions(people, now, LINES)


@router.on(Intent("points.show"), asks=_points)
def show_points(ctx: Context) -> Answer:
    points, lines = queries.shown(ctx.session, ctx.speaker.id, ctx.now, LINES)
    return ctx.say("points.show", points=points, lines=lines, names={line: _name(ctx, line) for line in lines},
                   grace=ctx.tool(Leaving).grace_days)


@router.on(Intent("checkin"))
def check_in(ctx: Context) -> Answer:
    """Once a day; the answer says what came of it and what tomorrow brings."""
    rules = ctx.tool(PointRules)
    done = service.check_in(ctx.session, ctx.speaker.id, rules.check_in, rules.life, ctx.now)
    points = queries.of(ctx.session, ctx.speaker.id, ctx.now)
    if done is None:
        return ctx.say("points.checked_in_before", points=points)
    left = rules.check_in.bonus_every - done.streak % rules.check_in.bonus_every
    return ctx.say("points.checked_in", visit=done, points=points, days_to_bonus=left,
                   bonus=rules.check_in.bonus_points)


def _name(ctx: Context, line: queries.Change) -> str:
    """What a change is called; what was bought is called by its own name, where it has one."""
    cause = line.cause.split(":", 1)[0]
    for key in (f"points.{line.kind}.{cause}", f"points.{line.kind}.other"):
        if ctx.copy.has(key):
            return ctx.copy.render(key)
    return ctx.copy.render("points.changed")
