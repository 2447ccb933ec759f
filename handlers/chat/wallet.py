"""Money words: 佣金, 明细 [月份], 团队, 排行. (为什么 is in why.py.)"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bot.kit.context import Context
from bot.kit.conversation import Answer, State
from bot.kit.filters import InState, Intent
from bot.kit.links import Links
from bot.kit.router import Router
from domain.commissions import queries as commissions
from domain.commissions.queries import masked
from domain.ledger import queries as ledger
from domain.roles import honours
from domain.roles.rules import Titles
from domain.settlements import queries as settlements
from domain.settlements import statements
from domain.settlements.rules import Month

router = Router(__name__)

MORE_LINES = State("wallet", "lines")
LINES = 8
"""Lines of a statement that fit one message; the rest follows on 明细 again."""


def _wallet(people: Sequence[int], now: datetime) -> Sequence[tuple[str, Any]]:
    return settlements.wallet_and_month_questions(people, Month.of(now))


@router.on(Intent("wallet.balance"), asks=_wallet)
def show_balance(ctx: Context) -> Answer:
    """What there is, and what the running month would bring on top if it ended now; of a month that was named
    (上个月赚了多少) its statement."""
    if ctx.argument:
        return show_lines(ctx)
    wallet, month = settlements.wallet_and_month(ctx.session, ctx.speaker.id, Month.of(ctx.now))
    return ctx.say("wallet.balance", wallet=wallet, month=month)


@router.on(Intent("wallet.lines"))
def show_lines(ctx: Context) -> Answer:
    """The newest lines; with a month, its statement."""
    if not ctx.argument:
        return _page(ctx, None)
    month = Month.heard(ctx.argument, ctx.now)
    return _no_month(ctx, month) or _statement(ctx, month or Month.of(ctx.now))


@router.on(InState(MORE_LINES))
def show_more_lines(ctx: Context) -> Answer:
    """更多 turns the page, and behind the last one is told so; anything else is heard afresh, outside the dialogue."""
    if ctx.message.text.strip() not in ctx.copy.render("wallet.more_words").split():
        return ctx.afresh()
    cursor = ctx.place.memory["cursor"]
    return _page(ctx, cursor) if cursor else ctx.ask("wallet.no_more", MORE_LINES, {"cursor": None})


@router.on(Intent("team.show"))
def show_team(ctx: Context) -> Answer:
    team = commissions.team(ctx.session, ctx.speaker.id)
    named = honours.titles_of(ctx.session, [ctx.speaker.id, *(one.person_id for one in team.members)],
                              ctx.tool(Titles), ctx.now)
    return ctx.say("team.show", team=team, named=named, own=named[ctx.speaker.id],
                   plain=ctx.tool(Titles).of("member"))


@router.on(Intent("rank.show"))
def show_ranking(ctx: Context) -> Answer:
    """Who sold most this month, or in the one that was named, and where I stand. Sales only: nobody is ranked by heads.
    """
    month = Month.heard(ctx.argument, ctx.now) if ctx.argument else Month.of(ctx.now)
    if (refused := _no_month(ctx, month)) is not None:
        return refused
    found = settlements.ranking(ctx.session, ctx.speaker.id, month or Month.of(ctx.now))
    stars = [{"title": one.title, "period": one.period, "name": masked(one.nickname)}
             for one in honours.stars(ctx.session, ctx.now)]
    return ctx.say("rank.show", ranking=found, stars=stars, running=month == Month.of(ctx.now))


def _no_month(ctx: Context, month: Month | None) -> Answer | None:
    """What is wrong with a month that was named: no year has it, or it has not begun."""
    if month is None:
        return ctx.say("wallet.month_impossible", said=ctx.argument)
    return ctx.say("wallet.month_to_come", month=str(month)) if month.starts_at > ctx.now else None


def _statement(ctx: Context, month: Month) -> Answer:
    found = statements.statement(ctx.session, ctx.speaker.id, month)
    if found.empty:
        return ctx.say("wallet.statement_empty", month=str(month))
    newest = found.lines[-LINES:]
    return ctx.say(
        "wallet.statement", statement=found, brought=settlements.month_view(ctx.session, ctx.speaker.id, month),
        lines=newest, names={line.reason: _reason(ctx, line.reason) for line in newest},
        link=ctx.tool(Links).to("statements", ctx.speaker.id, str(month)),
    )


def _page(ctx: Context, cursor: str | None) -> Answer:
    page = ledger.statement(ctx.session, ctx.speaker.id, cursor, LINES, points=False)
    names = {line.reason: _reason(ctx, line.reason) for line in page.lines}
    facts: dict[str, object] = {"lines": page.lines, "more": page.next_cursor is not None, "names": names}
    if page.next_cursor is None and cursor is None:
        return ctx.say("wallet.lines", **facts)
    return ctx.ask("wallet.lines", MORE_LINES, {"cursor": page.next_cursor}, **facts)


def _reason(ctx: Context, reason: str) -> str:
    """A journal's kind in the shop's words; a kind that has none yet shows as it is."""
    key = f"reason.{reason}"
    return ctx.copy.render(key) if ctx.copy.has(key) else reason
