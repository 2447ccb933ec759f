"""``python -m bot pay …``: the payment channel: what stops it, the fund bill of a day, and what was found out."""

import sys
from dataclasses import asdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from bot.runtime.cli.common import acting, as_option, complain, json_option, print_json, row_id, shop, stamp

if TYPE_CHECKING:
    from bot.runtime.bootstrap import Runtime
    from domain.paychannel.models import PayIncident
    from domain.payouts.reconcile import DayReport

DAYS = 14

_account = click.option("--account", default="", metavar="NAME", help="The merchant account; all if not given.")


@click.group()
def pay() -> None:
    """Compare payments with WeChat Pay's fund bill, see what stops paying out, say what it was.

    Nothing is paid while a difference is not explained. Set-up: docs/OPERATIONS.md, Paying out.
    """


@pay.command()
@_account
@json_option
def status(account: str, as_json: bool) -> None:
    """Show what stops paying out, and the days that were compared. Exit status 1 when something does.

    \b
    Example:  python -m bot pay status --json
    """
    with shop() as runtime:
        found = [_state(runtime, name) for name in _names(runtime, account)]
    if as_json:
        print_json(found)
    else:
        click.echo("\n".join(_told(one) for one in found) or "there is no [pay.…] in the accounts file")
    sys.exit(1 if any(one["stopped"] for one in found) else 0)


@pay.command()
@_account
@click.option("--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="This Shanghai day instead of those due.")
@json_option
def reconcile(account: str, day: datetime | None, as_json: bool) -> None:
    """Compare fund bills with our bills now: the days that are due, or the one of --date again.

    What differs stops paying out and is shown. The service does this by itself after 10:00. Exit status 1 when
    something differs or a fund bill could not be had.

    \b
    Example:  python -m bot pay reconcile --date 2026-11-20
    """
    with shop() as runtime:
        reports = [one for name in _names(runtime, account) for one in _compare(runtime, name, day)]
    if as_json:
        print_json([asdict(one) for one in reports])
    else:
        click.echo("\n".join(_report(runtime, one) for one in reports) or "nothing is due")
    sys.exit(1 if any(one.differences for one in reports) else 0)


@pay.command()
@click.argument("incident_id", metavar="ID", type=row_id)
@click.option("--why", required=True, help="What it was, for the second person and for whoever asks later.")
@as_option
@json_option
def explain(incident_id: int, why: str, as_name: str, as_json: bool) -> None:
    """Say what the difference ID was (see: pay status). A second person must agree before anything is paid again.

    \b
    Example:  python -m bot pay explain 3 --why "refund booked by hand in the console" --as li
    """
    from domain.payouts import reconcile as desk

    with shop() as runtime, runtime.sessions.begin() as session:
        approval = desk.explain(session, incident_id, why, acting(session, as_name), runtime.clock.now())
        told = {"approval_id": approval.id, "act": approval.act, "subject": approval.subject}
    if as_json:
        print_json(told)
    else:
        click.echo(f"asked; a second person agrees with: python -m bot approvals approve {told['approval_id']} --as …")


def _names(runtime: "Runtime", account: str) -> list[str]:
    known = sorted(runtime.settings.pay)
    if account and account not in known:
        complain(f"there is no [pay.{account}] in the accounts file", 2)
    return [account] if account else known


def _compare(runtime: "Runtime", account: str, day: datetime | None) -> "list[DayReport]":
    from bot.kit.pay import FundBillNotReady, PayGateways
    from domain.payouts import reconcile as desk

    gateway = runtime.context.tool(PayGateways).by_account[account]
    with runtime.sessions.begin() as session:
        days: list[date] = [day.date()] if day else desk.due_days(session, account, runtime.clock.now())
    reports = []
    for one in days:
        try:
            lines = gateway.fund_bill(one)
        except FundBillNotReady as fault:
            complain(f"{account}: the fund bill of {one} cannot be had now ({fault}): try again later")
        with runtime.sessions.begin() as session:
            reports.append(desk.compare(session, account, one, lines, runtime.clock.now()))
    return reports


def _state(runtime: "Runtime", account: str) -> dict[str, Any]:
    from datetime import timedelta

    from domain.paychannel import service as channel
    from domain.payouts import queries, reconcile
    from domain.shared.clock import business_date

    now = runtime.clock.now()
    with runtime.sessions() as session:
        switch = queries.switch(session)
        days = channel.compared_days(session, account, business_date(now) - timedelta(days=DAYS))
        return {
            "account": account, "stopped": switch.stopped_at is not None, "reason": switch.reason,
            "incidents": [_incident(runtime, one) for one in channel.open_incidents(session, account)],
            "due": [one.isoformat() for one in reconcile.due_days(session, account, now)],
            "compared": [{"day": one.day.isoformat(), "lines": one.lines, "income_fen": one.income_fen,
                          "outgo_fen": one.outgo_fen, "differences": one.open_incidents} for one in days]}


def _incident(runtime: "Runtime", one: "PayIncident") -> dict[str, Any]:
    return {"id": one.id, "kind": one.kind, "subject": one.subject, "day": one.day.isoformat() if one.day else None,
            "ours_fen": one.ours_fen, "theirs_fen": one.theirs_fen, "opened_at": one.opened_at,
            "text": runtime.voice.render(f"pay.incident.{one.kind}", one=one)}


def _told(one: dict[str, Any]) -> str:
    lines = [f"{one['account']}: " + (f"STOPPED ({one['reason']})" if one["stopped"] else "pays")]
    lines += [f"{found['id']:>6}  {found['text']}\n{'':>6}  since {stamp(found['opened_at'])}"
              for found in one["incidents"]]
    lines += [f"{'':>6}  {day['day']}: {day['lines']} lines, out {day['outgo_fen']} fen, back {day['income_fen']} fen, "
              f"{day['differences']} differences" for day in one["compared"]]
    if one["due"]:
        lines.append(f"{'':>6}  not compared yet: {', '.join(one['due'])}")
    return "\n".join(lines)


def _report(runtime: "Runtime", one: "DayReport") -> str:
    head = (f"{one.account} {one.day}: {one.lines} lines, out {one.outgo_fen} fen, back {one.income_fen} fen, "
            f"{len(one.differences)} differences, {one.opened} of them new")
    texts = [f"  {runtime.voice.render(f'pay.incident.{found.kind}', one=found)}" for found in one.differences]
    return "\n".join([head, *texts])
