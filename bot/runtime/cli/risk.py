"""``python -m bot risk …``: cases about commission that looks wrong, and what two operators decide about them."""

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bot.runtime.cli.common import (
    MAX_ID,
    acting,
    as_option,
    json_option,
    print_json,
    row_id,
    shop,
    stamp,
    waits_for_second,
)
from domain.shared.money import yuan

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from bot.runtime.bootstrap import Runtime
    from bot.runtime.rehearsal.measure import Report
    from domain.risk.queries import CaseView
    from domain.risk.service import Outcome

STATES = ("waiting", "open", "appealed", "released", "confiscated", "all")

_reason = click.option("--reason", required=True, help="Why; kept for ever, and not shown to the person.")
_case = click.argument("case_id", metavar="CASE", type=row_id)


@click.group()
def risk() -> None:
    """Review what looks wrong: commission waits, nobody loses anything before two people have decided."""


@risk.command()
@click.option("--state", type=click.Choice(STATES), default="waiting", show_default=True, help="Only these.")
@click.option("--person", "person_id", type=row_id, help="Only about the person with this id.")
@click.option("--late", is_flag=True, help="Only appeals whose promised answer is overdue.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Show at most so many.")
@json_option
def cases(state: str, person_id: int | None, late: bool, limit: int, as_json: bool) -> None:
    """List cases: overdue answers first, then the most severe. Decided ones newest first.

    \b
    Example:  python -m bot risk cases --json
    """
    from domain.risk import queries

    with shop() as runtime, runtime.sessions() as session:
        wanted = "" if state == "all" else state
        found = queries.cases(session, runtime.clock.now(), state=wanted, person_id=person_id, late=late, limit=limit)
        if as_json:
            print_json([asdict(one) for one in found])
        else:
            click.echo("\n".join(_line(runtime, one) for one in found) or "none")


@risk.command("case")
@_case
@json_option
def show(case_id: int, as_json: bool) -> None:
    """Show one case: what speaks for it, by ids, and everything that happened.

    \b
    Example:  python -m bot risk case 12
    """
    from domain.risk import queries

    with shop() as runtime, runtime.sessions() as session:
        found = queries.case_file(session, case_id, runtime.clock.now())
        if as_json:
            print_json(asdict(found))
            return
        click.echo(_line(runtime, found.case))
        for kind, ids in found.evidence.items():
            click.echo(f"{'':>6}  {kind}: {' '.join(str(one) for one in ids) or '-'}")
        for step in found.steps:
            said = f": {step.words}" if step.words else ""
            click.echo(f"{'':>6}  {stamp(step.at)}  {step.what} by {step.actor}{said}")


@risk.command()
@click.argument("person_id", metavar="PERSON", type=row_id)
@_reason
@as_option
@json_option
def freeze(person_id: int, reason: str, as_name: str, as_json: bool) -> None:
    """Ask for PERSON to be frozen: what they earn waits, nothing is withdrawn. A second person approves.

    \b
    Example:  python -m bot risk freeze 17 --reason "sells to himself" --as lin
    """
    from domain.workflows import freezing

    with shop() as runtime, runtime.sessions.begin() as session:
        asked = freezing.ask_freeze(session, person_id, reason, acting(session, as_name), runtime.clock.now())
        waits_for_second(asked, as_json)


@risk.command()
@_case
@_reason
@as_option
@json_option
def release(case_id: int, reason: str, as_name: str, as_json: bool) -> None:
    """Ask for CASE to be released: what it holds goes on with its own dates. A second person approves.

    \b
    Example:  python -m bot risk release 12 --reason "a family" --as lin
    """
    _ask(case_id, "released", reason, as_name, as_json)


@risk.command()
@_case
@_reason
@as_option
@json_option
def confiscate(case_id: int, reason: str, as_name: str, as_json: bool) -> None:
    """Ask for the commission of CASE to be taken back, for good. A second person approves.

    What could be withdrawn already is taken from what is there; the rest is repaid by later commission.

    \b
    Example:  python -m bot risk confiscate 12 --reason "own second account" --as lin
    """
    _ask(case_id, "confiscated", reason, as_name, as_json)


@risk.command()
@json_option
def sweep(as_json: bool) -> None:
    """Look now at everything that is new, instead of within ten minutes; says how much was looked at.

    \b
    Example:  python -m bot risk sweep
    """
    from domain.risk import holding, watch
    from domain.risk.rules import Rules
    from domain.shared import outbox
    from domain.shared.seal import Seal

    looked = {"orders": 0, "people": 0, "lines_changed": 0}
    with shop() as runtime:
        rules, seal, now = runtime.context.tool(Rules), runtime.context.tool(Seal), runtime.clock.now()
        steps: dict[str, Callable[[Session], int]] = {
            "orders": lambda session: watch.scan(session, rules, seal, now, 200),
            "people": lambda session: watch.sweep(session, rules, now, 50),
            "lines_changed": lambda session: holding.settle(session, now),
        }
        for name, step in steps.items():
            while True:
                with runtime.sessions.begin() as session:
                    done = step(session)
                if bells := outbox.rung(session):
                    runtime.bell.ring(bells)
                if not done:
                    break
                looked[name] += done
    if as_json:
        print_json(looked)
    else:
        click.echo("\n".join(f"{name.replace('_', ' '):<14} {number}" for name, number in looked.items()))


@risk.command()
@click.option("--seed", type=click.IntRange(0, MAX_ID), default=1, show_default=True, help="Another story.")
@click.option("--rules", "rules_file", type=click.Path(exists=True, dir_okay=False),
              help="Another risk.toml, to try numbers before they are used.")
@click.option("--without-signals", is_flag=True, help="The mall tells nothing of payers, devices and addresses.")
@json_option
def measure(seed: int, rules_file: str | None, without_signals: bool, as_json: bool) -> None:
    """Rehearse: a shop with families, gifts and group leaders, and fraud that we put there ourselves.

    Says for each rule how many of its cases were right (precision), how much of the fraud was found (recall), and how
    much honest commission waited. On a database of its own that is gone afterwards; takes a minute.

    \b
    Example:  python -m bot risk measure --seed 2
    """
    from pathlib import Path

    from bot.runtime.bootstrap import ASSETS
    from bot.runtime.rehearsal import measure as rehearsal
    from domain.risk.rules import Rules

    document = Path(rules_file) if rules_file else ASSETS / "risk.toml"
    try:
        rules = Rules.load(document.read_text("utf-8"))
    except ValueError as fault:
        raise click.BadParameter(str(fault), param_hint="--rules") from fault
    report = rehearsal.run(seed, rules, signals=not without_signals)
    if as_json:
        print_json(asdict(report))
    else:
        click.echo(_table(report))


def _ask(case_id: int, outcome: "Outcome", reason: str, as_name: str, as_json: bool) -> None:
    from domain.workflows import freezing

    with shop() as runtime, runtime.sessions.begin() as session:
        asked = freezing.ask_decision(session, case_id, outcome, reason, acting(session, as_name), runtime.clock.now())
        waits_for_second(asked, as_json)


def _line(runtime: "Runtime", one: "CaseView") -> str:
    reason = runtime.voice.render(f"risk.reason.{one.rule}")
    money = f"held {yuan(one.held_fen)}, let go {yuan(one.released_fen)}, taken {yuan(one.confiscated_fen)}"
    head = f"{one.id:>6}  {one.state:<11}  {one.rule:<13} {one.severity:>3}  person {one.person_id} {one.nickname}"
    due = f", answer due {stamp(one.answer_due_at)}{' LATE' if one.late else ''}" if one.answer_due_at else ""
    end = f", {one.state} by {one.decided_by} at {stamp(one.decided_at)}" if one.decided_at else ""
    return f"{head}\n{'':>6}  {reason} ({one.effect})\n{'':>6}  {one.lines} lines: {money}\n" \
           f"{'':>6}  opened {stamp(one.opened_at)} by {one.opened_by}{due}{end}"


def _table(report: "Report") -> str:
    def share(part: int, whole: int) -> str:
        return f"{part * 100 // whole:>4} %" if whole else "     –"

    head = ("rule", "effect", "cases", "right", "precision", "planted", "found", "recall")
    rows = ["{:<14} {:<6} {:>6} {:>6} {:>10}   {:>7} {:>6} {:>7}".format(*head)]
    rows += [
        f"{one.rule:<14} {one.effect:<6} {one.cases:>6} {one.right:>6} {share(one.right, one.cases):>10}   "
        f"{one.planted:>7} {one.found:>6} {share(one.found, one.planted):>7}" for one in report.rules
    ]
    return "\n".join([
        f"seed {report.seed}: {report.people} people, {report.orders} orders, {report.fraud_orders} planted", "",
        *rows, "",
        f"fraud schemes found by any rule that holds: {report.schemes_held} of {report.schemes}",
        f"honest orders on hold: {report.honest_held} of {report.honest_orders}"
        f" ({report.honest_held * 1000 // max(report.honest_orders, 1) / 10} %)",
        f"honest people who earn and had a hold: {report.people_held} of {report.people_earning}",
        f"planted orders on hold: {report.fraud_held} of {report.fraud_orders}",
    ])
