"""``python -m bot compliance …``: how far down plans may pay, and the owner's switch for it."""

from dataclasses import asdict

import click

from bot.runtime.cli.common import acting, as_option, complain, json_option, print_json, shop


@click.group()
def compliance() -> None:
    """See and change what the law looks at: levels, and pay on the sales of a team."""


@compliance.command()
@json_option
def show(as_json: bool) -> None:
    """Show how many levels plans may pay, and whether a team may be paid for.

    \b
    Example:  python -m bot compliance show --json
    """
    from domain.commissions.limits import limits

    with shop() as runtime, runtime.sessions() as session:
        found = limits(session)
    if as_json:
        print_json(asdict(found))
    else:
        click.echo(f"levels     {found.max_levels}\nteam pay   {'yes' if found.team_pay else 'no'}")


@compliance.command()
@click.argument("most", metavar="LEVELS", type=click.IntRange(1, 3))
@click.option("--team/--no-team", default=False, show_default=True, help="Whether a team's sales may pay its leader.")
@click.option("--reason", required=True, help="Why the shop needs it; kept for ever.")
@click.option("--accept-risk", is_flag=True, help="I have read the warning that this command prints.")
@as_option
@json_option
def levels(most: int, team: bool, reason: str, accept_risk: bool, as_name: str, as_json: bool) -> None:
    """Ask for plans that pay up to LEVELS levels. An owner asks, a second person approves.

    Prints the warning about the law first; nothing is asked without --accept-risk.

    \b
    Example:  python -m bot compliance levels 2 --reason "…" --as lin --accept-risk
    """
    from domain.commissions.limits import Limits
    from domain.workflows import levels as switch

    with shop() as runtime:
        warning = runtime.voice.render("compliance.levels_warning", levels=most, team=team)
        risky = most > 1 or team
        if risky and not as_json:
            click.echo(warning + "\n")
        if risky and not accept_risk:
            complain("nothing was asked: read the warning, then add --accept-risk")
        with runtime.sessions.begin() as session:
            actor, now = acting(session, as_name), runtime.clock.now()
            asked = switch.ask(session, Limits(most, team), warning if risky else "", reason, actor, now)
            number = asked.id
    if as_json:
        print_json({"approval": number})
    else:
        click.echo(f"approval {number} waits for a second person: python -m bot approvals approve {number} --as NAME")
