"""``python -m bot experiment …``: start experiments, read them, end them."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.runtime.cli.common import acting, as_option, complain, json_option, print_json, shop

if TYPE_CHECKING:
    from domain.experiments.queries import ArmReading, Reading
    from domain.experiments.rules import Comparison

VERDICTS = {
    "draft": "not started",
    "too_early": "too early: an arm has fewer people than min_people whose window is over",
    "mismatch": "NOT TO BE TRUSTED: the numbers of people do not fit the weights",
    "harmful": "an arm does harm: {best}",
    "winner": "winner: {best}",
    "worse": "every other arm is worse than the control",
    "open": "no difference can be told yet",
    "stopped": "stopped",
    "adopted": "adopted: {best}",
}


@click.group()
def experiment() -> None:
    """Try two ways side by side: sticky assignment, guards that stop harm, results that may be read at any time."""


@experiment.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List all experiments, newest first.

    \b
    Example:  python -m bot experiment list --json
    """
    from domain.experiments import queries

    with shop() as runtime, runtime.sessions() as session:
        found = queries.every(session)
    if as_json:
        print_json([{"key": one.key, "title": one.title, "kind": one.kind, "state": state, "created_at": at}
                    for one, state, at in found])
    else:
        click.echo("\n".join(f"{one.key:<24} {state:<8} {one.kind:<7} {one.title}" for one, state, _ in found)
                   or "there are none")


@experiment.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@as_option
def create(file: Path, as_name: str) -> None:
    """Keep the experiment of a TOML FILE as a draft; says everything that is wrong with it.

    \b
    Example of a file:
        key = "restock-copy"
        title = "补货提醒:直白还是送券"
        surface = "copy"                 # copy, hour, picture, reward, journey
        min_people = 200                 # of each arm, before a winner is named
        [goal]
        metric = "order"                 # order, revenue
        within_days = 7
        [[arms]]                         # the first arm is the control
        name = "plain"
        weight = 50
        [[arms]]
        name = "coupon"
        weight = 50
        [[guards]]
        metric = "unfollow"              # unfollow, opt_out, refund, margin, notices
        worse_by = 100                   # bps
    """
    from domain.experiments import rules, service

    text = file.read_text(encoding="utf-8")
    with shop() as runtime, runtime.sessions.begin() as session:
        definition = rules.load(text)
        actor, now = acting(session, as_name), runtime.clock.now()
        service.create(session, definition, now)
        _record(session, actor, "create", definition.key, {"title": definition.title}, now)
    click.echo(f"{definition.key} is a draft; then: python -m bot experiment start {definition.key} --as {as_name}")


@experiment.command()
@click.argument("key")
@as_option
def start(key: str, as_name: str) -> None:
    """Expose people from now on.

    \b
    Example:  python -m bot experiment start restock-copy --as lin
    """
    from domain.experiments import service

    with shop() as runtime, runtime.sessions.begin() as session:
        actor, now = acting(session, as_name), runtime.clock.now()
        service.start(session, key, now)
        _record(session, actor, "start", key, {}, now)
    click.echo(f"{key} runs")


@experiment.command()
@click.argument("key")
@click.argument("weights", nargs=-1, required=True, metavar="ARM=WEIGHT…")
@as_option
def weigh(key: str, weights: tuple[str, ...], as_name: str) -> None:
    """Change the weights for people who come from now on. Nobody who was exposed before moves.

    \b
    Example:  python -m bot experiment weigh restock-copy plain=20 coupon=80 --as lin
    """
    from domain.experiments import service

    wanted: dict[str, int] = {}
    for one in weights:
        name, _, number = one.partition("=")
        if not number.isdecimal() or name in wanted:
            complain(f"{one}: write each arm once, as name=number", 2)
        wanted[name] = int(number)
    with shop() as runtime, runtime.sessions.begin() as session:
        actor, now = acting(session, as_name), runtime.clock.now()
        service.reweigh(session, key, wanted, now)
        _record(session, actor, "weigh", key, {"weights": wanted}, now)
    click.echo(f"{key}: {', '.join(weights)}")


@experiment.command()
@click.argument("key")
@click.option("--why", required=True, help="The reason, for whoever asks later.")
@as_option
def stop(key: str, why: str, as_name: str) -> None:
    """End it: everybody gets the control again.

    \b
    Example:  python -m bot experiment stop restock-copy --why "the coupon ran out" --as lin
    """
    from domain.experiments import service

    with shop() as runtime, runtime.sessions.begin() as session:
        actor, now = acting(session, as_name), runtime.clock.now()
        service.stop(session, key, why, now)
        _record(session, actor, "stop", key, {"why": why}, now)
    click.echo(f"{key} is stopped: everybody gets the control")


@experiment.command()
@click.argument("key")
@click.argument("arm")
@click.option("--why", required=True, help="The reason, for whoever asks later.")
@as_option
def adopt(key: str, arm: str, why: str, as_name: str) -> None:
    """End it and give ARM to everybody.

    \b
    Example:  python -m bot experiment adopt restock-copy coupon --why "sells more" --as lin
    """
    from domain.experiments import service

    with shop() as runtime, runtime.sessions.begin() as session:
        actor, now = acting(session, as_name), runtime.clock.now()
        service.adopt(session, key, arm, why, now)
        _record(session, actor, "adopt", key, {"arm": arm, "why": why}, now)
    click.echo(f"{key}: everybody gets {arm}")


@experiment.command()
@click.argument("key")
@json_option
def result(key: str, as_json: bool) -> None:
    """Read an experiment: every arm, its difference to the control, and what may be said.

    The intervals hold however often one looks. People whose window is still open are not counted yet. Exit status 1
    when the experiment is not to be trusted or does harm.

    \b
    Example:  python -m bot experiment result restock-copy
    """
    from domain.experiments import queries

    with shop() as runtime, runtime.sessions() as session:
        reading = queries.read(session, key, runtime.clock.now())
    if as_json:
        print_json(_told(reading))
    else:
        click.echo("\n".join(_lines(reading)))
    sys.exit(1 if reading.verdict in ("mismatch", "harmful") else 0)


def _told(reading: "Reading") -> dict[str, Any]:
    told = asdict(reading)
    told["definition"] = reading.definition.document()
    for arm, seen in zip(told["arms"], reading.arms, strict=True):
        arm["mean"] = seen.sample.mean
    return told


def _lines(reading: "Reading") -> list[str]:
    one = reading.definition
    lines = [f"{one.key}  {one.title}  ({one.kind}, {reading.state})",
             f"goal: {one.goal.metric} within {one.goal.within_days} days", ""]
    lines += [_arm(arm) for arm in reading.arms]
    for arm in reading.arms:
        lines += [f"{arm.name:<16} guard {seen.guard.metric}: {_difference(seen.comparison)}"
                  f" {'BROKEN' if seen.broken else 'holds'}" for seen in arm.guards]
    lines += ["", f"ratio of samples: p = {reading.srm_p:.3g}",
              f"result: {VERDICTS[reading.verdict].format(best=reading.best)}"]
    return lines + ([f"reason: {reading.reason}"] if reading.reason else [])


def _arm(arm: "ArmReading") -> str:
    head = f"{arm.name:<16} {arm.exposed:>7} shown {arm.sample.people:>7} counted  mean {arm.sample.mean:>10.4f}"
    return head + (f"  {_difference(arm.comparison)} p = {arm.comparison.p:.3g}" if arm.comparison else "  (control)")


def _difference(found: "Comparison") -> str:
    return f"{found.effect:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"


def _record(session: Any, actor: Any, act: str, key: str, detail: dict[str, object], now: Any) -> None:
    from domain.audit import service as audit

    audit.record(session, actor, f"experiment.{act}", f"experiment:{key}", detail, now)
