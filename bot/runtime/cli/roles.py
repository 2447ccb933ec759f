"""``python -m bot role …``: what somebody is and why, the month's assessment, and roles given or taken by hand."""

from dataclasses import asdict
from datetime import date, datetime
from typing import TYPE_CHECKING, cast

import click

from bot.runtime.cli.common import MAX_ID, acting, as_option, json_option, nobody, print_json, row_id, shop, stamp

if TYPE_CHECKING:
    from domain.roles.rules import Role

GIVEN = ("promoter", "gold", "partner")
AT_ONCE = 500

_person = click.argument("person_id", metavar="PERSON", type=row_id)
_role = click.argument("name", metavar="ROLE", type=click.Choice(GIVEN))
_why = click.option("--why", required=True, help="The reason, for whoever asks later; it is kept and audited.")


@click.group()
def role() -> None:
    """Show, assess, grant and revoke roles. PERSON is an id as the API gives it."""


@role.command()
@_person
@json_option
def show(person_id: int, as_json: bool) -> None:
    """Show what somebody is, since when and why, what leads up, what keeps it, and every decision.

    \b
    Example:  python -m bot role show 17 --json
    """
    from domain.people import queries as people
    from domain.roles import card, decisions

    with shop() as runtime, runtime.sessions() as session:
        known = people.person(session, person_id)
        if known is None:
            nobody(person_id)
        found = card.card(session, known.id, runtime.clock.now())
        made = decisions.history(session, known.id)
    if as_json:
        told = [{name: getattr(one, name) for name in ("at", "role", "what", "month", "reason", "actor", "evidence")}
                for one in made]
        print_json({"person_id": known.id, **asdict(found), "decisions": told})
        return
    click.echo(f"{known.id}  {known.nickname or '-'}  {found.role}")
    for held in found.held:
        state = "provisional" if held.provisional else "final"
        click.echo(f"  {held.role:<9} {state:<11} since {stamp(held.since)}  by {held.because} {held.detail}")
    for plan in found.keep:
        until = f" until {plan.until}" if plan.until else ""
        click.echo(f"  keeps {plan.role}{until}: {plan.missing_fen} fen, {plan.missing_orders} orders missing")
    for one in made:
        click.echo(f"  {stamp(one.at)}  {one.what} {one.role} ({one.reason}) by {one.actor}")


@role.command()
@click.option("--month", metavar="YYYY-MM", default="", help="The last finished month; the default.")
@as_option
@json_option
def assess(month: str, as_name: str, as_json: bool) -> None:
    """Judge the last finished month now, instead of waiting for the clock. Once done it changes nothing more.

    \b
    Example:  python -m bot role assess --as lin
    """
    from domain.audit import service as audit
    from domain.roles import assessment, honours, rulebooks
    from domain.roles.rules import later, month_of
    from domain.shared.clock import business_date

    with shop() as runtime:
        now = runtime.clock.now()
        wanted = _month(month) if month else later(month_of(business_date(now)), -1)
        asked = ended = False
        while not ended:
            with runtime.sessions.begin() as session:
                actor = acting(session, as_name)
                progress = assessment.assess(session, wanted, now, AT_ONCE)
                if not asked:
                    audit.record(session, actor, "role.assess", f"month:{wanted:%Y-%m}", {}, now)
                asked, ended = True, progress.ended
                if ended:
                    honours.award(session, rulebooks.live(session, now), wanted, now)
        runtime.bell.ring({"fact"})
    if as_json:
        print_json(asdict(progress))
    else:
        click.echo(f"{progress.month:%Y-%m}: {progress.judged} judged, {progress.promoted} promoted,"
                   f" {progress.warned} warned, {progress.demoted} demoted")


@role.command()
@_person
@_role
@_why
@as_option
def grant(person_id: int, name: str, why: str, as_name: str) -> None:
    """Give PERSON a ROLE. It stays until it is revoked by hand: no assessment takes it.

    \b
    Example:  python -m bot role grant 17 partner --why "runs our Kunming groups" --as lin
    """
    from domain.roles import service

    with shop() as runtime:
        with runtime.sessions.begin() as session:
            gained = service.give(session, person_id, cast("Role", name), why, acting(session, as_name),
                                  runtime.clock.now())
        runtime.bell.ring({"fact"})
    click.echo(f"{person_id} is {name} now" if gained else f"{person_id} was {name} already; the grant is recorded")


@role.command()
@_person
@_role
@_why
@as_option
def revoke(person_id: int, name: str, why: str, as_name: str) -> None:
    """Take a ROLE from PERSON, whatever gave it. What they bought or sold before earns it no more.

    The next completed order opens promoter rights again: who must not earn at all is frozen instead.

    \b
    Example:  python -m bot role revoke 17 gold --why "bought with own accounts" --as lin
    """
    from domain.roles import service

    with shop() as runtime:
        with runtime.sessions.begin() as session:
            had = service.take(session, person_id, cast("Role", name), why, acting(session, as_name),
                               runtime.clock.now())
        runtime.bell.ring({"fact"})
    click.echo(f"{person_id} is not {name} any more" if had else f"{person_id} was not {name}; it is recorded")


@role.command()
@click.option("--role", "name", type=click.Choice(GIVEN), default=None, help="Only whose effective role this is.")
@click.option("--after", metavar="PERSON", type=click.IntRange(0, MAX_ID), default=0,
              help="Start behind this id: the last one of the page before.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=100, show_default=True, help="At most so many.")
@json_option
def holders(name: str | None, after: int, limit: int, as_json: bool) -> None:
    """List who is more than a member: effective role, since when, by what, and whether it is final.

    \b
    Example:  python -m bot role holders --role gold --json
    """
    from domain.roles import queries

    with shop() as runtime, runtime.sessions() as session:
        found = queries.holders(session, cast("Role | None", name), after, limit)
    if as_json:
        print_json({"holders": [asdict(one) for one in found]})
        return
    for one in found:
        state = "provisional" if one.provisional else "final"
        click.echo(f"{one.person_id:>8}  {one.role:<9} {state:<11} since {stamp(one.since)}  by {one.because:<10}"
                   f"  {one.nickname or '-'}")
    if not found:
        click.echo("nobody")


@role.command()
@click.option("--state", type=click.Choice(("open", "accepted", "declined", "all")), default="open", show_default=True,
              help="Only invitations with this answer; open ones wait for it.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=100, show_default=True, help="At most so many.")
@json_option
def invitations(state: str, limit: int, as_json: bool) -> None:
    """List invitations to promote the shop, the newest first: asked when, open until when, answered how.

    \b
    Example:  python -m bot role invitations --state all --json
    """
    from domain.roles import invitations as rows

    with shop() as runtime, runtime.sessions() as session:
        found = rows.listed(session, None if state == "all" else cast("rows.State", state), limit)
        now = runtime.clock.now()
    if as_json:
        print_json({"invitations": [asdict(one) | {"over": one.expires_at <= now} for one in found]})
        return
    for one in found:
        over = "  (over)" if one.state == "open" and one.expires_at <= now else ""
        click.echo(f"{one.person_id:>8}  {one.state:<8}  asked {stamp(one.asked_at)}  until {stamp(one.expires_at)}"
                   f"{over}")
    if not found:
        click.echo("none")


def _month(given: str) -> date:
    try:
        return datetime.strptime(given, "%Y-%m").date()  # noqa: DTZ007 - a month has no time zone
    except ValueError:
        raise click.BadParameter(f"{given!r} is no month such as 2026-11", param_hint="--month") from None
