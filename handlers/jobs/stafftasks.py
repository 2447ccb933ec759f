"""Tasks of employees: asked for when their gathering is over, followed by asking, reminded of once, ended when nobody
taps. The platform tells nobody of a tap, so what it says when asked is all there is."""

from datetime import timedelta
from typing import Any

import structlog

from bot.kit.chores import Chores
from bot.kit.gateway import GatewayError, Outcome, SendResult
from bot.kit.jobs import JobContext
from bot.kit.mass import TASK_OVER, Fate, MassMessages
from bot.kit.wecom import WeComs
from domain.journeys import guard as journeys
from domain.journeys.library import Library
from domain.notices import broadcasts
from domain.notices.rules import Policy, end_of_quiet
from domain.shared.clock import SHANGHAI
from domain.stafftasks import service
from domain.stafftasks.rules import DID_NOT_SEND, DOUBT, NOT_FRIEND, StaffWay, remind_at
from domain.stafftasks.service import Task

log = structlog.get_logger(__name__)
chores = Chores()

NOBODY_LEFT = 41048
"""The employee has none of the customers any more."""
WITHDRAWN = "withdrawn"
LATE_REPORT = timedelta(hours=1)
"""How long after its end a task that was sent may keep us waiting for what became of its customers."""


@chores.every("staff.tasks", timedelta(minutes=1))
def tasks(ctx: JobContext) -> bool:
    """One task: the next that is to be asked for, else the next that is to be looked at."""
    apps = ctx.tool(WeComs).by_account
    accounts = [name for name in ctx.tool(StaffWay).monthly if name in apps]
    return bool(accounts) and (_ask(ctx, accounts) or _check(ctx, accounts))


def _ask(ctx: JobContext, accounts: list[str]) -> bool:
    with ctx.begin() as session:
        found = service.next_to_ask(session, accounts, ctx.now())
        if found is None:
            return False
        task, doubtful = found
        if not doubtful:
            task = _without_objectors(ctx, session, task)
        if not doubtful and task.people and task.expires_at <= ctx.now():
            service.not_sent(session, task, "cancelled", DID_NOT_SEND, ctx.now())
            return True
    if not task.people:
        return True
    app = ctx.tool(WeComs).by_account[task.account]
    try:
        if doubtful:
            _search(ctx, app, task)
        else:
            made = app.ask_to_send(task.userid, sorted(set(task.people.values())), task.said)
            with ctx.begin() as session:
                service.asked(session, task, made.msgid, made.strangers, ctx.now())
    except GatewayError as refusal:
        _refused(ctx, task, refusal.result)
    return True


def _without_objectors(ctx: JobContext, session: Any, task: Task) -> Task:
    """Whoever changed their mind while the task was gathered is judged anew and not asked for."""
    gone = _objectors(ctx, session, task)
    if gone:
        service.put_back(session, task, gone, WITHDRAWN, ctx.now())
    people = {effect: external for effect, external in task.people.items() if effect not in gone}
    return Task(task.id, task.account, task.userid, task.purpose, task.said, task.state, task.msgid, task.created_at,
                task.expires_at, task.asked_at, task.reminded_at, people)


def _objectors(ctx: JobContext, session: Any, task: Task) -> set[int]:
    """Those whom the task should not reach any more: by their own word, the shop's, or that of their journey."""
    gone = service.objectors(session, task)
    halted: dict[int, str] = {}
    for effect, payload in service.guarded(session, task).items():
        if number := payload.get("broadcast"):
            if number not in halted:
                halted[number] = broadcasts.objection(session, number)
            objects = bool(halted[number])
        else:
            objects = bool(journeys.objection(session, ctx.tool(Library), payload["guard"], ctx.now()))
        if objects:
            gone.add(effect)
    return gone


def _search(ctx: JobContext, app: MassMessages, task: Task) -> None:
    """The answer to our call was lost: look for the task, and believe after a while that there is none."""
    assert task.asked_at is not None
    for msgid in app.tasks_like(task.said, task.asked_at - timedelta(minutes=1), ctx.now()):
        with ctx.begin() as session:
            ours = service.has_msgid(session, task.account, msgid)
        if not ours and task.userid in app.asked(msgid):
            with ctx.begin() as session:
                service.asked(session, task, msgid, (), ctx.now())
            return
    if ctx.now() - task.asked_at >= DOUBT:
        with ctx.begin() as session:
            service.ask_anew(session, task, "not_there")


def _refused(ctx: JobContext, task: Task, result: SendResult) -> None:
    """In doubt the task stays as it is; what surely failed is asked for again, or not at all when it is our fault."""
    named = f"{result.outcome.value}:{result.errcode}"
    log.warning("staff.task_refused", account=task.account, task=task.id, outcome=named, detail=result.detail)
    if result.outcome is Outcome.UNKNOWN or task.state != "asking":
        return
    with ctx.begin() as session:
        if result.outcome in (Outcome.BACK_OFF, Outcome.CONFIG):
            service.ask_anew(session, task, named)
        else:
            reason = NOT_FRIEND if result.errcode == NOBODY_LEFT else named
            service.not_sent(session, task, "dropped", reason, ctx.now())


def _check(ctx: JobContext, accounts: list[str]) -> bool:
    with ctx.begin() as session:
        task = service.next_to_check(session, accounts, ctx.now())
        if task is None:
            return False
        gone = _objectors(ctx, session, task)
    app = ctx.tool(WeComs).by_account[task.account]
    late = task.expires_at <= ctx.now()
    try:
        cancelled = (late or bool(gone)) and _cancel(app, task)
        fates = app.received(task.msgid, task.userid)
        sent = app.asked(task.msgid).get(task.userid, False)
    except GatewayError as refusal:
        _refused(ctx, task, refusal.result)
        return True
    with ctx.begin() as session:
        for external, one in fates.items():
            if one.fate is Fate.SENT:
                service.got_it(session, task, external, one.at or ctx.now(), ctx.now())
            elif one.fate is not Fate.WAITS:
                service.did_not_get_it(session, task, external, one.fate.value, ctx.now())
        if service.finish(session, task, ctx.now()):
            return True
        if sent:
            _late_report(ctx, session, task)
        elif cancelled and late:
            service.not_sent(session, task, "cancelled", DID_NOT_SEND, ctx.now())
        elif cancelled:
            service.put_back(session, task, task.people, WITHDRAWN, ctx.now())
    if not (late or gone or sent):
        _remind(ctx, app, task)
    return True


def _cancel(app: MassMessages, task: Task) -> bool:
    """Whether nobody can send it any more. Raises GatewayError when that is not known."""
    result = app.cancel(task.msgid)
    if result.outcome is Outcome.SENT or result.errcode == TASK_OVER:
        return True
    raise GatewayError(result)


def _late_report(ctx: JobContext, session: Any, task: Task) -> None:
    """The employee has sent it, and the platform still counts. Whoever it never tells of counts as told."""
    if ctx.now() >= task.expires_at + LATE_REPORT:
        service.maybe_got_it(session, task, ctx.now())
        service.finish(session, task, ctx.now())


def _remind(ctx: JobContext, app: MassMessages, task: Task) -> None:
    """Once, and not at night."""
    assert task.asked_at is not None
    due = task.reminded_at is None and remind_at(task.asked_at, task.expires_at) <= ctx.now()
    if not due or end_of_quiet(ctx.now(), SHANGHAI, ctx.tool(Policy)) is not None:
        return
    with ctx.begin() as session:
        service.reminded(session, task, ctx.now())
    result = app.remind(task.msgid)
    if result.outcome is not Outcome.SENT:
        log.warning("staff.not_reminded", task=task.id, errcode=result.errcode)
