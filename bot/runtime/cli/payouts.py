"""``python -m bot withdrawal …``, ``payouts …``, ``tax …``: what people want to take out, decided and declared."""

import csv
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from bot.runtime.cli.common import acting, as_option, complain, json_option, print_json, shop, stamp
from bot.runtime.findings import counted

if TYPE_CHECKING:
    from domain.payouts.queries import WithdrawalView

STATES = ("asked", "approved", "paying", "paid", "partly_paid", "rejected", "failed", "expired", "cancelled")
MONTH = click.DateTime(["%Y-%m"])
COLUMNS = ("姓名", "证件类型", "证件号码", "所得项目", "所属月份",
           "付款笔数", "收入额（元）", "已扣缴税额（元）", "实付（元）", "人员编号")

_no = click.argument("no", metavar="NO")
_reason = click.option("--reason", required=True, help="Why; it is kept, and a rejected person reads it.")


@click.group()
def withdrawal() -> None:
    """Look at withdrawals and decide about them."""


@withdrawal.command("list")
@click.option("--state", "states", type=click.Choice(STATES), multiple=True, help="Only these (may be repeated).")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Show at most so many.")
@json_option
def show_all(states: tuple[str, ...], limit: int, as_json: bool) -> None:
    """List withdrawals, newest first.

    \b
    Example:  python -m bot withdrawal list --state asked
    """
    from domain.payouts import queries

    with shop() as runtime, runtime.sessions() as session:
        found = queries.listed(session, states, limit)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        click.echo("\n".join(_line(one) for one in found) or "none")


@withdrawal.command()
@_no
@json_option
def show(no: str, as_json: bool) -> None:
    """Show one withdrawal with its payments and the payee's masked data.

    \b
    Example:  python -m bot withdrawal show Wabc123def
    """
    from domain.payouts import queries
    from domain.shared.errors import NotFound
    from domain.vault import queries as vault

    with shop() as runtime, runtime.sessions() as session:
        found = queries.by_no(session, no)
        if found is None:
            raise NotFound("payout.unknown", no=no)
        payee = vault.held(session, found.person_id)
    if as_json:
        print_json(asdict(found) | {"payee": payee})
        return
    click.echo(_line(found))
    click.echo(f"  payee     {' '.join(payee.values()) or 'nothing kept'} (person {found.person_id})")
    for name in ("review", "reason", "proposed_by", "decided_by"):
        if value := getattr(found, name):
            click.echo(f"  {name:<9} {value}")
    for bill in found.bills:
        note = " ".join(part for part in (bill.fail_reason, bill.fault) if part)
        click.echo(f"  bill {bill.n:<4} {bill.out_bill_no}  {_yuan(bill.amount_fen):>10}  {bill.state}  {note}")


@withdrawal.command()
@_no
@click.option("--reason", default="", help="Why; needed when a second person must agree.")
@as_option
@json_option
def approve(no: str, reason: str, as_name: str, as_json: bool) -> None:
    """Approve NO. Above the plan's limit this asks a second person (see: approvals).

    \b
    Example:  python -m bot withdrawal approve Wabc123def --as lin --reason "known promoter"
    """
    from domain.workflows import withdrawing

    def act(session: Any, actor: Any, now: datetime, found: "WithdrawalView") -> str:
        waiting = withdrawing.approve(session, found.no, actor, reason, now)
        return f"approval {waiting.id} waits for a second person" if waiting else "approved"

    _decide(no, as_name, as_json, act)


@withdrawal.command()
@_no
@_reason
@as_option
@json_option
def reject(no: str, reason: str, as_name: str, as_json: bool) -> None:
    """Reject NO, or call back what has not been paid of it. The money returns to the person.

    \b
    Example:  python -m bot withdrawal reject Wabc123def --as lin --reason "姓名与微信实名不一致"
    """
    from domain.payouts import service

    _decide(no, as_name, as_json,
            lambda session, actor, now, found: service.reject(session, found.id, actor, reason, now))


@withdrawal.command()
@_no
@as_option
@json_option
def retry(no: str, as_name: str, as_json: bool) -> None:
    """Do what is due about the payments of NO at once, under the same numbers. Nothing can be paid twice by it.

    \b
    Example:  python -m bot withdrawal retry Wabc123def --as lin
    """
    from domain.payouts import service

    _decide(no, as_name, as_json, lambda session, actor, now, found:
            counted(service.retry(session, found.id, actor, now), "payment", "payments")
            + " will be asked about at once")


def _decide(no: str, as_name: str, as_json: bool,
            act: "Callable[[Any, Any, datetime, WithdrawalView], str]") -> None:
    from domain.payouts import queries
    from domain.shared import outbox
    from domain.shared.errors import NotFound

    with shop() as runtime:
        with runtime.sessions.begin() as session:
            found = queries.by_no(session, no)
            if found is None:
                raise NotFound("payout.unknown", no=no)
            done = act(session, acting(session, as_name), runtime.clock.now(), found)
            after = queries.by_no(session, no)
            assert after is not None
        if bells := outbox.rung(session):
            runtime.bell.ring(bells)
    if as_json:
        print_json(asdict(after) | {"result": done})
    else:
        click.echo(f"{done}\n{_line(after)}")


@click.group()
def payouts() -> None:
    """Stop and start all payments, and see what needs a human."""


@payouts.command()
@json_option
def status(as_json: bool) -> None:
    """Whether money may leave, and which payments need a human. Exit status 1 when something does.

    \b
    Example:  python -m bot payouts status --json
    """
    from domain.payouts import queries, watch

    with shop() as runtime, runtime.sessions() as session:
        switch = queries.switch(session)
        watched = watch.watched(session, runtime.clock.now())
        troubles = [dict(row._mapping) for row in queries.troubles(session, runtime.clock.now())]
        faults = queries.check(session)
        waiting = len(queries.listed(session, ("asked",), 1000))
    if as_json:
        print_json({**asdict(switch), "asked": waiting, "watched": [asdict(one) for one in watched],
                    "troubles": troubles, "faults": faults})
    else:
        stopped = f"stopped by {switch.changed_by} at {stamp(switch.stopped_at)}: {switch.reason}" \
            if switch.stopped_at else "money may leave"
        click.echo(f"{stopped}\n{counted(waiting, 'request waits', 'requests wait')} for a decision")
        for row in troubles:
            click.echo(f"  {row['no']}  {row['out_bill_no']}  {row['state']}  {row['fault']}")
        for fault in faults:
            click.echo(f"  {fault}")
    sys.exit(1 if troubles or faults or switch.stopped_at else 0)


@payouts.command()
@_reason
@as_option
def stop(reason: str, as_name: str) -> None:
    """Let no money leave until: payouts go. Requests wait; what is under way is still looked after.

    \b
    Example:  python -m bot payouts stop --as lin --reason "the fund bill does not match"
    """
    from domain.payouts import service

    with shop() as runtime, runtime.sessions.begin() as session:
        done = service.halt(session, acting(session, as_name), reason, runtime.clock.now())
    click.echo("stopped" if done else "it was stopped already")


@payouts.command()
@_reason
@as_option
def go(reason: str, as_name: str) -> None:
    """Let money leave again. What waited goes at once.

    \b
    Example:  python -m bot payouts go --as lin --reason "line 17 explained"
    """
    from domain.payouts import service

    with shop() as runtime, runtime.sessions.begin() as session:
        done = service.go(session, acting(session, as_name), reason, runtime.clock.now())
    click.echo("money may leave" if done else "it was not stopped")


@click.group()
def tax() -> None:
    """Say what income tax was withheld from whom."""


@tax.command("export")
@click.option("--month", type=MONTH, required=True, help="Month of payment in Shanghai, as 2026-11.")
@click.option("--income", type=click.Choice(("labour", "gifts")), default="labour", show_default=True,
              help="Withdrawals, or red packets that went to WeChat change.")
@click.option("-o", "--output", default="-", show_default=True, help="File to write (readable by you only); - prints.")
@as_option
def export(month: datetime, income: str, output: str, as_name: str) -> None:
    """Write a month's payments and withheld tax by person, with names and ID numbers, as CSV for the declaration.

    Every person whose data it opens is noted in the log under your name.

    \b
    Example:  python -m bot tax export --month 2026-11 --as lin -o tax-2026-11.csv
    """
    from domain.payouts.rules import RED_PACKET, WITHDRAWAL
    from domain.vault.seal import Vault
    from domain.workflows import withholding

    with shop() as runtime, runtime.sessions.begin() as session:
        lines = list(withholding.declaration(session, runtime.context.tool(Vault), month.date(),
                                             acting(session, as_name), runtime.clock.now(),
                                             RED_PACKET if income == "gifts" else WITHDRAWAL))
    item = "偶然所得" if income == "gifts" else "劳务报酬所得"
    rows = [(one.real_name, "居民身份证" if one.id_number else "", one.id_number, item, f"{month:%Y-%m}",
             one.sums.payments, _plain(one.sums.gross_fen), _plain(one.sums.tax_fen),
             _plain(one.sums.net_fen), one.sums.person_id) for one in lines]
    if output == "-":
        csv.writer(sys.stdout).writerows([COLUMNS, *rows])
        return
    try:
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        complain(f"{output} cannot be written: {error.strerror}")
    with os.fdopen(handle, "w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    click.echo(f"{len(rows)} people in {output}")


def _line(one: "WithdrawalView") -> str:
    two = " two people" if one.two_people else ""
    return (f"{one.no}  {one.state:<11} {_yuan(one.gross_fen):>12}  tax {_yuan(one.tax_fen):>10}"
            f"  paid {_yuan(one.paid_net_fen):>12}  asked {stamp(one.asked_at)}{two}")


def _yuan(fen: int) -> str:
    from domain.shared.money import yuan

    return yuan(fen)


def _plain(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"
