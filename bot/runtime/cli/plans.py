"""``python -m bot plan …``: commission plans from draft to live, and back."""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from bot.runtime.cli import plan_texts as texts
from bot.runtime.cli.common import acting, as_option, complain, json_option, print_json, row_id, shop

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from bot.runtime.bootstrap import Runtime


_what = click.argument("what", metavar="WHAT")
_reason = click.option("--reason", required=True, help="Why, for whoever decides.")
_day = click.option("--effective-on", "day", type=click.DateTime(["%Y-%m-%d"]), default=None,
                    help="First business day (Shanghai), as in 2026-12-01; without it as soon as it is agreed.")
_number = click.argument("number", metavar="DRAFT", type=row_id)


@click.group()
def plan() -> None:
    """Write, check, try out and publish commission plans. Publishing takes two people.

    WHAT is a version (3), a draft (draft:5) or a file (winter.toml, winter.json).

    \b
    plan show 3 --toml > winter.toml      start from a version and edit it
    plan validate winter.toml             all that is wrong, at once
    plan simulate winter.toml --days 30   what it would have cost
    plan draft winter.toml --as wu        keep it
    plan submit 5 --reason "…" --as wu    ask a second person
    plan publish 5 --as zhou              the second person agrees
    """


@plan.command("list")
@json_option
def show_all(as_json: bool) -> None:
    """List the published versions, newest first, and the drafts that are open.

    \b
    Example:  python -m bot plan list --json
    """
    from domain.commissions import versions

    with shop() as runtime, runtime.sessions() as session:
        known = versions.versions(session, runtime.clock.now())
        drafts = [one for one in versions.drafts(session) if one.state in ("draft", "submitted")]
    if as_json:
        print_json({"plans": [asdict(one) for one in known], "drafts": [asdict(one) for one in drafts]})
        return
    lines = [*map(texts.version_line, known), *map(texts.draft_line, drafts)]
    click.echo("\n".join(lines) or "no plan yet: python -m bot migrate")


@plan.command()
@_what
@click.option("--toml", "as_toml", is_flag=True, help="As a file to edit.")
@json_option
def show(what: str, as_toml: bool, as_json: bool) -> None:
    """Show all that WHAT says.

    \b
    Examples:  python -m bot plan show 3 --toml > winter.toml
               python -m bot plan show draft:5 --json
    """
    with shop() as runtime, runtime.sessions() as session:
        document, _ = _document(session, what)
    if as_json:
        print_json(document)
    else:
        click.echo(texts.toml_of(document), nl=False)


@plan.command()
@_what
@_day
@json_option
def validate(what: str, day: datetime | None, as_json: bool) -> None:
    """Say all that is wrong with WHAT, and all that should be known, at once.

    Exit status 1 when it may not be published.

    \b
    Example:  python -m bot plan validate winter.toml
    """
    from domain.shared.wording import Wording
    from domain.workflows import publishing

    with shop() as runtime, runtime.sessions() as session:
        document, begins = _document(session, what)
        wording, now = runtime.context.tool(Wording), runtime.clock.now()
        found = publishing.validate(session, document, wording, now, _date(day) or begins)
        wrong = any(one.severity == "error" for one in found)
        if as_json:
            print_json({"publishable": not wrong, "findings": [
                asdict(one) | {"message": runtime.voice.render(f"plan.finding.{one.code}", **one.facts)}
                for one in found]})
        else:
            click.echo(texts.finding_lines(runtime.voice, found))
    sys.exit(1 if wrong else 0)


@plan.command()
@_what
@click.option("--days", type=click.IntRange(1, 366), default=30, show_default=True, help="Orders of the last so many.")
@_day
@json_option
def simulate(what: str, days: int, day: datetime | None, as_json: bool) -> None:
    """Compare WHAT with the live plan on the shop's own orders: cost, margin, who gains, who loses. Changes nothing.

    The orders are taken as if they began on the day from which WHAT would be live, so that its phases count; returns
    pay nothing; every 30 days are a month of ladder and team bonus. Milestones and service pay are left out.

    \b
    Example:  python -m bot plan simulate winter.toml --days 90 --effective-on 2026-12-01
    """
    from sqlalchemy import text

    from domain.commissions import plans
    from domain.commissions import service as commissions
    from domain.shared.errors import DomainError
    from domain.workflows import simulation

    with shop() as runtime, runtime.sessions() as session:
        session.execute(text("set transaction isolation level repeatable read read only"))
        document, begins = _document(session, what)
        try:
            draft = plans.parse(document)
        except DomainError as refusal:
            _refused(runtime, refusal)
        now = runtime.clock.now()
        done = simulation.simulate(session, commissions.live_plan(session, now), draft, now, days,
                                   _date(day) or begins, progress=texts.progress)
    if as_json:
        print_json(asdict(done) | {"live_share_bps": done.live_share_bps, "draft_share_bps": done.draft_share_bps})
    else:
        click.echo(texts.simulation_text(done))


@plan.command()
@_what
@click.option("--into", type=row_id, default=None, help="Write this draft anew instead.")
@click.option("--revision", type=row_id, default=None, help="With --into: the one you have read.")
@click.option("--note", default="", help="A word for your colleagues.")
@_day
@as_option
@json_option
def draft(
    what: str, into: int | None, revision: int | None, note: str, day: datetime | None, as_name: str, as_json: bool
) -> None:
    """Keep WHAT as a draft, and say what is to be said about it. It may still have faults.

    \b
    Examples:  python -m bot plan draft winter.toml --effective-on 2026-12-01 --as wu
               python -m bot plan draft winter.toml --into 5 --revision 1 --as wu
    """
    from domain.commissions import versions
    from domain.shared.wording import Wording
    from domain.workflows import publishing

    if (into is None) != (revision is None):
        _end("--into and --revision go together", 2)
    with shop() as runtime, runtime.sessions.begin() as session:
        document, begins = _document(session, what)
        actor, now, begins = acting(session, as_name), runtime.clock.now(), _date(day) or begins
        if into is None or revision is None:
            row = publishing.start(session, document, actor, now, begins, note)
        else:
            row = publishing.change(session, into, revision, document, actor, now, begins, note)
        view = versions.draft_view(row)
        found = publishing.validate(session, document, runtime.context.tool(Wording), now, begins)
        if as_json:
            print_json(asdict(view) | {"publishable": not any(one.severity == "error" for one in found)})
        else:
            click.echo(f"{texts.draft_line(view)}\n{texts.finding_lines(runtime.voice, found)}")


@plan.command()
@_number
@_reason
@as_option
@json_option
def submit(number: int, reason: str, as_name: str, as_json: bool) -> None:
    """Ask a second person to publish DRAFT. They see what it changes and what is warned of.

    \b
    Example:  python -m bot plan submit 5 --reason "winter prices" --as wu
    """
    from domain.shared.errors import DomainError
    from domain.shared.wording import Wording
    from domain.workflows import publishing

    with shop() as runtime:
        try:
            with runtime.sessions.begin() as session:
                asked = publishing.submit(session, number, runtime.context.tool(Wording), reason,
                                          acting(session, as_name), runtime.clock.now()).id
        except DomainError as refusal:
            _refused(runtime, refusal)
    _waits(asked, f"plan publish {number}", as_json)


@plan.command()
@_number
@as_option
@click.option("--note", default="", help="Why, for whoever asks later.")
@json_option
def publish(number: int, as_name: str, note: str, as_json: bool) -> None:
    """Agree to DRAFT, as somebody else than who submitted it: it is published at once and begins on its day.

    To say no: python -m bot approvals reject.

    \b
    Example:  python -m bot plan publish 5 --as zhou
    """
    from domain.commissions import versions
    from domain.shared.errors import Conflict
    from domain.workflows import acts

    with shop() as runtime, runtime.sessions.begin() as session:
        row = versions.draft(session, number)
        if row.state != "submitted" or row.approval_id is None:
            raise Conflict("draft_state", id=number, state=row.state)
        now = runtime.clock.now()
        acts.decide(session, row.approval_id, True, acting(session, as_name), now, note)
        done = next(one for one in versions.versions(session, now) if one.version == row.version)
    if as_json:
        print_json(asdict(done))
    else:
        click.echo(texts.version_line(done))


@plan.command()
@_number
@as_option
@json_option
def withdraw(number: int, as_name: str, as_json: bool) -> None:
    """Give DRAFT up. One that waits for an answer can then no longer be published.

    \b
    Example:  python -m bot plan withdraw 5 --as wu
    """
    from domain.commissions import versions
    from domain.workflows import publishing

    with shop() as runtime, runtime.sessions.begin() as session:
        row = publishing.withdraw(session, number, acting(session, as_name), runtime.clock.now())
        view = versions.draft_view(row)
    if as_json:
        print_json(asdict(view))
    else:
        click.echo(texts.draft_line(view))


@plan.command()
@click.argument("version", type=row_id)
@_reason
@_day
@as_option
@json_option
def rollback(version: int, reason: str, day: datetime | None, as_name: str, as_json: bool) -> None:
    """Ask a second person to publish what VERSION said, as a new version.

    \b
    Example:  python -m bot plan rollback 2 --reason "too dear" --as wu
    """
    from domain.workflows import publishing

    with shop() as runtime, runtime.sessions.begin() as session:
        actor, now = acting(session, as_name), runtime.clock.now()
        asked = publishing.ask_rollback(session, version, reason, actor, now, _date(day)).id
    _waits(asked, f"approvals approve {asked}", as_json)


def _document(session: "Session", what: str) -> tuple[dict[str, Any], date | None]:
    """What WHAT names, and the day a draft wants. Ends the command for a file that cannot be read."""
    from domain.commissions import plans, versions

    if what.isascii() and what.isdecimal():
        return versions.document_of(session, int(what)), None
    if what.startswith("draft:") and what[6:].isascii() and what[6:].isdecimal():
        row = versions.draft(session, int(what[6:]))
        return row.document, row.effective_on
    path = Path(what)
    try:
        written = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        _end(f"{what}: {fault.strerror if isinstance(fault, OSError) else 'is not UTF-8'}; "
                 "WHAT is a version, draft:NUMBER or a file", 2)
    if path.suffix != ".json":
        return plans.read(written), None
    try:
        content = json.loads(written)
    except ValueError as fault:
        _end(f"{what}: is not JSON: {fault}", 2)
    if not isinstance(content, Mapping):
        _end(f"{what}: is not a JSON object", 2)
    return dict(content), None


def _end(message: str, status: int = 1) -> NoReturn:
    complain(message, status)
    raise SystemExit(status)


def _date(given: datetime | None) -> date | None:
    return given.date() if given else None


def _refused(runtime: "Runtime", refusal: Any) -> NoReturn:
    """Tell a plan's faults in sentences, and end; any other refusal is told by the shop."""
    if refusal.code != "plan_invalid":
        raise refusal
    _end(texts.finding_lines(runtime.voice, refusal.facts["faults"]))


def _waits(approval: int, then: str, as_json: bool) -> None:
    if as_json:
        print_json({"approval": approval})
    else:
        click.echo(f"approval {approval} waits for a second person: python -m bot {then} --as NAME")
