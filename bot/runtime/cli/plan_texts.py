"""How plans are written for people at a terminal: as a file to edit, as a list, as a comparison."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from bot.runtime.cli.common import stamp

if TYPE_CHECKING:
    from bot.runtime.voice import Voice
    from domain.commissions.findings import Finding
    from domain.commissions.versions import DraftView, VersionView
    from domain.workflows.simulation import Simulation


def toml_of(document: Mapping[str, Any]) -> str:
    """A plan as a file that ``plan draft`` reads: plain values first, then tables, then lists of tables."""
    return "\n".join(_table(document, "")) + "\n"


def _table(table: Mapping[str, Any], where: str) -> Iterator[str]:
    for name, value in table.items():
        if not isinstance(value, Mapping) and not _tables(value) and value not in (None, ""):
            yield f"{name} = {_value(value)}"
    for name, value in table.items():
        place = f"{where}.{name}" if where else name
        if isinstance(value, Mapping):
            yield f"\n[{place}]"
            yield from _table(value, place)
        elif _tables(value):
            for one in value:
                yield f"\n[[{place}]]"
                yield from _table(one, place)


def _tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def version_line(one: "VersionView") -> str:
    back = f", as version {one.reverts}" if one.reverts else ""
    return (f"{one.version:>4}  {one.state:<10}  from {stamp(one.live_from)}  {one.name}"
            f"{f'  published by {one.actor}' if one.actor else ''}{back}")


def draft_line(one: "DraftView") -> str:
    day = f", from {one.effective_on}" if one.effective_on else ""
    became = f" → version {one.version}" if one.version else f", approval {one.approval_id}" if (
        one.state == "submitted") else ""
    note = f"  ({one.note})" if one.note else ""
    return f"draft:{one.id}  {one.state}{became}  {one.name} by {one.author}, revision {one.revision}{day}{note}"


def finding_lines(voice: "Voice", found: Sequence["Finding"]) -> str:
    """Every finding with its place and its sentence; "nothing to say" when there is none."""
    if not found:
        return "nothing to say: it may be published"
    return "\n".join(
        f"{one.severity:<7}  {one.where or 'plan'}: {voice.render(f'plan.finding.{one.code}', **one.facts)}"
        for one in found
    )


def simulation_text(done: "Simulation") -> str:
    """The comparison as a table, then who gains and who loses."""
    from domain.shared.money import percent, yuan

    live, draft = done.live, done.draft
    levels = sorted(live.by_level | draft.by_level)
    rows = [("sales, net of returns", done.sales_fen, done.sales_fen)]
    rows += [(f"base, level {level}", live.by_level.get(level, 0), draft.by_level.get(level, 0)) for level in levels]
    rows += [("ladder", live.ladder_fen, draft.ladder_fen), ("team", live.team_fen, draft.team_fen),
             ("total cost", live.total_fen, draft.total_fen)]
    some = "" if done.orders == done.all_orders else f" (the newest of {done.all_orders})"
    lines = [f"{done.orders} orders{some} of {done.days} days, as if they began on {done.begins_on}", "",
             f"{'':<24}{'live, v' + str(done.live_version):>16}{'draft':>16}{'change':>16}"]
    lines += [f"{name:<24}{yuan(one):>16}{yuan(other):>16}{yuan(other - one):>16}" for name, one, other in rows]
    lines += [f"{'share of sales':<24}{percent(done.live_share_bps):>16}{percent(done.draft_share_bps):>16}",
              f"{'taken by the cap':<24}{yuan(live.cut_fen):>16}{yuan(draft.cut_fen):>16}",
              f"{'order lines cut':<24}{live.cut_lines:>16}{draft.cut_lines:>16}"]
    margin = done.margin
    lines += [f"{'margin left':<24}{yuan(margin.live_left_fen):>16}{yuan(margin.draft_left_fen):>16}",
              f"  of {yuan(margin.margin_fen)} on {yuan(margin.sales_fen)} of goods with a known margin; "
              f"{margin.lines_without} of {margin.lines} order lines have none", "",
              f"{done.gaining} people gain, {done.losing} lose, {done.same} stay"]
    for title, some_people in (("gain most", done.gainers), ("lose most", done.losers)):
        if some_people:
            lines += ["", title] + [
                f"  {one.person_id:>8}  {one.name or '-':<16}{yuan(one.live_fen):>16}{yuan(one.draft_fen):>16}"
                f"{yuan(one.change_fen):>16}" for one in some_people]
    return "\n".join(lines)


def progress(done: int, total: int) -> None:
    """One line on standard error that is overwritten; nothing where nobody watches."""
    if sys.stderr.isatty():
        click.echo(f"\r{done} of {total} orders", err=True, nl=done >= total)
