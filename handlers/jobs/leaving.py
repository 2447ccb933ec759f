"""People who left: erased after the grace, recognised when they come back."""

from datetime import timedelta

from bot.kit.chores import Chores
from bot.kit.jobs import JobContext
from domain.people.leaving import Memory
from domain.workflows import forgetting, leaving
from domain.workflows.leaving import Leaving

AT_ONCE = 20
GONE_AT_ONCE = 500
NEWCOMERS_AT_ONCE = 2_000

chores = Chores()


@chores.every("people.erase", timedelta(hours=1))
def erase(ctx: JobContext) -> bool:
    """Note whose grace has passed, then erase some of those who are due; each person in a transaction of its own. What
    was written meanwhile for those who are gone goes first."""
    rules = ctx.tool(Leaving)
    with ctx.begin() as session:
        forgetting.forget_late(session, ctx.now())
        many = leaving.note_gone(session, rules, ctx.now(), GONE_AT_ONCE) == GONE_AT_ONCE
    for _ in range(AT_ONCE):
        with ctx.begin() as session:
            looked = leaving.run_due(session, rules, ctx.tool(Memory), ctx.now(), 1)
        if not looked:
            return many
    return True


@chores.every("people.recall", timedelta(minutes=5))
def recall(ctx: JobContext) -> bool:
    """Who came back by another way than following."""
    with ctx.begin() as session:
        return leaving.recall_newcomers(session, ctx.tool(Memory), ctx.now(), NEWCOMERS_AT_ONCE) > 0
