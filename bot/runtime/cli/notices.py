"""``python -m bot notice …``: why somebody heard something or not, and the switch that stops messages for everybody."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bot.runtime.cli.common import acting, as_option, json_option, nobody, print_json, row_id, shop, stamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from domain.platform.budgets import Limits
    from domain.workflows.noticing import Explained

PURPOSES = ("money", "service", "marketing")


@click.group()
def notice() -> None:
    """Explain what people are told, and switch messages of a purpose off and on for everybody."""


@notice.command()
@click.argument("person_id", metavar="PERSON", type=row_id)
@click.option("--limit", type=click.IntRange(1, 1_000), default=20, show_default=True, help="Show so many notices.")
@json_option
def explain(person_id: int, limit: int, as_json: bool) -> None:
    """Say what the policy would answer for PERSON now, and what became of their newest notices.

    \b
    Example:  python -m bot notice explain 17
    """
    from domain.journeys.ways import Platform
    from domain.notices.rules import Policy
    from domain.people import queries as people
    from domain.stafftasks.rules import StaffWay
    from domain.workflows import noticing

    with shop() as runtime, runtime.sessions() as session:
        if people.person(session, person_id) is None:
            nobody(person_id)
        tool = runtime.context.tool
        found = noticing.explain(session, person_id, tool(Policy), tool(Platform), runtime.clock.now(), limit,
                                 tool(StaffWay))
    if as_json:
        print_json(asdict(found))
    else:
        click.echo("\n".join(_explained(found)))


def _explained(found: "Explained") -> "Iterator[str]":
    for purpose, answer in found.now.items():
        until = f" until {stamp(answer.at)}" if answer.at else ""
        yield f"now     {purpose:<10} {answer.what}" + (f" ({answer.reason}{until})" if answer.reason else "")
        yield f"        {answer.because}"
    for account, has in found.ways.items():
        yield (f"ways    {account}: {has.window} customer messages; allowed: {has.allowed or 'nothing'}; "
               f"templates: {', '.join(has.templates) or 'none'}")
    if (staff := found.staff) is not None:
        held = [f"task {one.id} ({one.state}, until {stamp(one.expires_at)})" for one in staff.tasks]
        yield (f"staff   {staff.account}: {staff.userid} has them; {staff.had} of {staff.monthly} this month; "
               f"waiting: {', '.join(held) or 'nothing'}")
    for one in found.notices:
        when = stamp(one.ended_at or one.due_at)
        yield f"{one.state:<8}{one.purpose or '-':<10} {when}  {one.key}  {one.reason}".rstrip()
        shut = ", ".join(f"{way}: {why}" for way, why in one.ways.items())
        told_later = f"; reported: {one.reported}" if one.reported else ""
        if one.way or shut:
            yield f"        left as {one.way or '-'}" + (f"; not by {shut}" if shut else "") + told_later
    for word in found.consent:
        said = "yes" if word["given"] else "no"
        yield f"consent {word['purpose']:<10} {stamp(word['at'])}  {said}, by {word['source']}"


@notice.command()
@click.option("--open", "open_only", is_flag=True, help="Only those that still wait.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=20, show_default=True, help="Show so many tasks.")
@json_option
def tasks(open_only: bool, limit: int, as_json: bool) -> None:
    """List the messages that employees were asked to send: by whom, to how many, and what became of them.

    \b
    Example:  python -m bot notice tasks --open
    """
    from domain.stafftasks import queries

    with shop() as runtime, runtime.sessions() as session:
        found = queries.tasks(session, limit, open_only)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    for one in found:
        lost = ", ".join(f"{number} {reason}" for reason, number in one.refused.items())
        click.echo(f"{one.id:>6}  {one.state:<10} {one.purpose:<10} {one.account}/{one.userid}  until "
                   f"{stamp(one.expires_at)}  sent {one.sent}, waiting {one.waits}" + (f", {lost}" if lost else ""))
    if not found:
        click.echo("no employee was asked to send anything")


@notice.command()
@click.argument("person_id", metavar="PERSON", type=row_id)
@click.option("--purpose", type=click.Choice(("marketing", "service", "money", "*")), default="marketing",
              show_default=True, help="What they want no more of; * is everything unasked.")
@click.option("--why", required=True, help="What they said and to whom, for whoever asks later.")
@as_option
def refuse(person_id: int, purpose: str, why: str, as_name: str) -> None:
    """Record that PERSON wants no more messages: they told an employee instead of the chat.

    \b
    Example:  python -m bot notice refuse 17 --why "told xiaomei in WeCom" --as lin
    """
    from domain.notices import wishes
    from domain.people import queries as people

    with shop() as runtime, runtime.sessions.begin() as session:
        if people.person(session, person_id) is None:
            nobody(person_id)
        done = wishes.refuse(session, person_id, purpose, acting(session, as_name), why, runtime.clock.now())
    click.echo(f"person {person_id} gets no {purpose} any more" if done else f"person {person_id} had said so already")


@notice.command()
@click.argument("purpose", type=click.Choice(PURPOSES))
@click.option("--why", required=True, help="The reason, for whoever asks later.")
@as_option
def off(purpose: str, why: str, as_name: str) -> None:
    """Stop messages of PURPOSE for everybody, at once. What is still worth sending later waits; answers still leave.

    \b
    Example:  python -m bot notice off marketing --why "wrong price in the campaign" --as lin
    """
    from domain.notices import service

    with shop() as runtime, runtime.sessions.begin() as session:
        done = service.switch_off(session, purpose, acting(session, as_name), why, runtime.clock.now())
    click.echo(f"{purpose} is off" if done else f"{purpose} was off already")


@notice.command()
@click.argument("purpose", type=click.Choice(PURPOSES))
@as_option
def on(purpose: str, as_name: str) -> None:
    """Let messages of PURPOSE leave again, those that waited too.

    \b
    Example:  python -m bot notice on marketing --as lin
    """
    from domain.notices import service

    with shop() as runtime:
        with runtime.sessions.begin() as session:
            done = service.switch_on(session, purpose, acting(session, as_name), runtime.clock.now())
        runtime.bell.ring({"notice"})
    click.echo(f"{purpose} is on" if done else f"{purpose} was on already")


@notice.command()
@json_option
def status(as_json: bool) -> None:
    """Show what is switched off, how late messages are, what each interface was used for today, and what is closed.

    \b
    Example:  python -m bot notice status
    """
    from domain.notices import backpressure, queries
    from domain.platform.budgets import Budgets, used

    with shop() as runtime, runtime.sessions() as session:
        off, late = queries.switched_off(session), backpressure.late(session, runtime.clock.now())
        limits, now = runtime.context.tool(Budgets).by_api, runtime.clock.now()
        names = {app_id: name for name, app_id in runtime.context.app_ids.items()}
        interfaces = used(session, now)
    if as_json:
        print_json({"off": [asdict(one) for one in off], "late_seconds": int(late.any.total_seconds()),
                    "marketing_claimed": late.any <= backpressure.MARKETING_STOPS,
                    "service_claimed": late.money <= backpressure.ALL_BUT_MONEY,
                    "interfaces": [asdict(one) | _limits(limits, one.api) for one in interfaces]})
        return
    click.echo("\n".join(f"{one.purpose} off since {stamp(one.stopped_at)} by {one.stopped_by}: {one.why}"
                         for one in off) or "everything is on")
    stopped = "marketing is not claimed" if late.any > backpressure.MARKETING_STOPS else ""
    stopped = "only answers and money are claimed" if late.money > backpressure.ALL_BUT_MONEY else stopped
    click.echo(f"late: {int(late.any.total_seconds())} s" + (f"; {stopped}" if stopped else ""))
    for one in interfaces:
        most = _limits(limits, one.api)
        closed = f"; closed for marketing until {stamp(one.marketing_until)}" if one.marketing_until else ""
        click.echo(f"{names.get(one.app_id, one.app_id)}  {one.api:<28} {one.used} of {most['per_day'] or '-'} today, "
                   f"marketing up to {most['for_marketing'] or '-'}{closed}")


def _limits(limits: "Mapping[str, Limits]", api: str) -> dict[str, int | None]:
    known = limits.get(api)
    return {"per_day": known.per_day if known else None, "for_marketing": known.marketing_share if known else None}


@notice.command()
@as_option
def mended(as_name: str) -> None:
    """Try templates again that the platform refused: they were corrected there or in the settings.

    \b
    Example:  python -m bot notice mended --as lin
    """
    from domain.notices import mending

    with shop() as runtime:
        with runtime.sessions.begin() as session:
            number = mending.templates_mended(session, acting(session, as_name), runtime.clock.now())
        runtime.bell.ring({"notice"})
    click.echo(f"{number} templates are tried again")
