"""``python -m bot broadcast …``: one message to many, as marketing: begin, watch, pause, go on, stop."""

from dataclasses import asdict

import click

from bot.runtime.cli.common import acting, as_option, complain, json_option, print_json, row_id, shop, stamp

number_argument = click.argument("number", type=row_id)


@click.group()
def broadcast() -> None:
    """Tell many people the same, within everybody's caps, hours and consent, and within the platform's day."""


@broadcast.command()
@click.option("--title", required=True, help="What this is about, for the list and the log; nobody else reads it.")
@click.option("--say", required=True, help="The message, 500 characters at most.")
@click.option("--segment", default="", help="Only people of this segment (see: segment list); everybody if not given.")
@as_option
def start(title: str, say: str, segment: str, as_name: str) -> None:
    """Begin a broadcast. It leaves in pieces; whoever has no open window, no room or said no does not get it.

    \b
    Example:  python -m bot broadcast start --title "新米上市" --say "今年的新米到了" --segment champion --as lin
    """
    from domain.insight.rules import Segmentation
    from domain.notices import broadcasts
    from domain.shared.wording import Wording

    with shop() as runtime:
        known = runtime.context.tool(Segmentation).titles()
        if segment and segment not in known:
            complain(f"there is no segment {segment}: python -m bot segment list")
        with runtime.sessions.begin() as session:
            number = broadcasts.start(session, title, say, segment, runtime.context.tool(Wording),
                                      acting(session, as_name), runtime.clock.now())
        runtime.bell.ring({"chore"})
    click.echo(f"broadcast {number} begins")


@broadcast.command("list")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="Show so many, newest first.")
@json_option
def list_(limit: int, as_json: bool) -> None:
    """Show broadcasts with how many were sent, wait, and were refused for which reason.

    \b
    Example:  python -m bot broadcast list
    """
    from domain.notices import broadcasts

    with shop() as runtime, runtime.sessions() as session:
        found = broadcasts.all_of(session, limit)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    for one in found:
        refused = ", ".join(f"{number} {reason}" for reason, number in sorted(one.refused.items()))
        click.echo(f"{one.id:>5} {one.state:<8} {one.segment or 'everybody':<14} {one.sent} sent, {one.waiting} waiting"
                   f" of {one.people}  {stamp(one.started_at)} by {one.started_by}  {one.title}"
                   + (f"  refused: {refused}" if refused else ""))
    if not found:
        click.echo("there is no broadcast")


@broadcast.command()
@number_argument
@as_option
def pause(number: int, as_name: str) -> None:
    """Hold broadcast NUMBER where it is; what waits keeps waiting until it expires.

    \b
    Example:  python -m bot broadcast pause 3 --as lin
    """
    _turn(number, "paused", as_name)


@broadcast.command()
@number_argument
@as_option
def resume(number: int, as_name: str) -> None:
    """Let broadcast NUMBER go on after a pause, from the person after the last.

    \b
    Example:  python -m bot broadcast resume 3 --as lin
    """
    _turn(number, "running", as_name)


@broadcast.command()
@number_argument
@as_option
def stop(number: int, as_name: str) -> None:
    """End broadcast NUMBER for good: nobody gets it from now on, not even those for whom it waits.

    \b
    Example:  python -m bot broadcast stop 3 --as lin
    """
    _turn(number, "stopped", as_name)


def _turn(number: int, state: str, as_name: str) -> None:
    from domain.notices import broadcasts

    with shop() as runtime:
        with runtime.sessions.begin() as session:
            broadcasts.turn(session, number, state, acting(session, as_name), runtime.clock.now())
        runtime.bell.ring({"chore", "notice"})
    click.echo(f"broadcast {number} is {state}")
