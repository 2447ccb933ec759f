"""``python -m bot notice …``: why somebody heard something or not, and the switch that stops messages for everybody."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from bot.runtime.cli.common import acting, as_option, complain, json_option, print_json, shop, stamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

    from bot.runtime.bootstrap import Runtime
    from domain.platform.budgets import Limits

PURPOSES = ("money", "service", "marketing")


@click.group()
def notice() -> None:
    """Explain what people are told, and switch messages of a purpose off and on for everybody."""


@notice.command()
@click.argument("person_id", type=click.IntRange(1, 2**63 - 1))
@click.option("--limit", type=click.IntRange(1, 1_000), default=20, show_default=True, help="Show so many notices.")
@json_option
def explain(person_id: int, limit: int, as_json: bool) -> None:
    """Say what the policy would answer for the person with this ID now, and what became of their newest notices.

    \b
    Example:  python -m bot notice explain 17
    """
    from domain.notices import queries
    from domain.people import queries as people

    with shop() as runtime, runtime.sessions() as session:
        if people.person(session, person_id) is None:
            complain(f"there is no person {person_id}")
        verdicts = _verdicts(runtime, session, person_id)
        told = queries.told(session, person_id, limit)
        words = queries.words(session, person_id)
        ways = _ways(runtime, session, person_id)
    if as_json:
        print_json({"now": verdicts, "ways": ways, "notices": [asdict(one) for one in told], "consent": words})
        return
    for purpose, answer in verdicts.items():
        click.echo(f"now     {purpose:<10} {answer['what']}" + (f" ({answer['reason']})" if answer["reason"] else ""))
        click.echo(f"        {answer['because']}")
    for account, has in ways.items():
        click.echo(f"ways    {account}: {has['window']} customer messages; allowed: {has['allowed'] or 'nothing'}; "
                   f"templates: {', '.join(has['templates']) or 'none'}")
    for one in told:
        when = stamp(one.ended_at or one.due_at)
        click.echo(f"{one.state:<8}{one.purpose or '-':<10} {when}  {one.key}  {one.reason}".rstrip())
        shut = ", ".join(f"{way}: {why}" for way, why in one.ways.items())
        told_later = f"; reported: {one.reported}" if one.reported else ""
        if one.way or shut:
            click.echo(f"        left as {one.way or '-'}" + (f"; not by {shut}" if shut else "") + told_later)
    for word in words:
        said = "yes" if word["given"] else "no"
        click.echo(f"consent {word['purpose']:<10} {stamp(word['at'])}  {said}, by {word['source']}")


def _verdicts(runtime: "Runtime", session: "Session", person_id: int) -> dict[str, dict[str, str]]:
    """By purpose: what a notice without an expiry would be told now, and the facts behind it."""
    from domain.notices import service
    from domain.notices.rules import Policy, judge
    from domain.people import queries as people

    policy, now = runtime.context.tool(Policy), runtime.clock.now()
    reachable = any(people.openid_of(session, person_id, app_id) for app_id in runtime.context.app_ids.values())
    answers = {}
    for purpose in PURPOSES:
        asked = service.Leaving(0, person_id, purpose, None, reachable)  # type: ignore[arg-type]
        facts = service.facts(session, asked, policy, now)
        verdict = judge(facts, policy)
        until = stamp(verdict.at) if verdict.at else ""
        answers[purpose] = {"what": verdict.what, "reason": verdict.reason, "at": until,
                            "because": service.because(facts, policy)}
    return answers


def _ways(runtime: "Runtime", session: "Session", person_id: int) -> dict[str, dict[str, Any]]:
    """By account that the person follows: messages left in open windows, notices they allowed, templates there are."""
    from domain.people import queries as people
    from domain.platform import service as platform
    from domain.subscriptions import queries as subscriptions
    from domain.subscriptions.rules import Catalogue

    catalogue, found = runtime.context.tool(Catalogue), {}
    for account, app_id in runtime.context.app_ids.items():
        if openid := people.openid_of(session, person_id, app_id):
            names = {one: name for name, one in catalogue.known(account, "subscription").items()}
            banked = subscriptions.banked(session, account, openid)
            found[account] = {
                "window": platform.left(session, account, openid, runtime.clock.now()).total,
                "allowed": {names.get(one, one): number for one, number in banked.items()},
                "templates": sorted(catalogue.known(account, "template"))}
    return found


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

    with shop() as runtime, runtime.sessions.begin() as session:
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

    with shop() as runtime, runtime.sessions.begin() as session:
        number = mending.templates_mended(session, acting(session, as_name), runtime.clock.now())
        runtime.bell.ring({"notice"})
    click.echo(f"{number} templates are tried again")
