"""How people walk through a journey. Pure: document, run, facts and time in; what changed and what is to be done out.

The engine, the preview and the simulation all walk with these functions, so they cannot disagree.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from domain.journeys.conditions import Look, Value, holds
from domain.journeys.document import (
    DAY,
    END,
    OPT_OUT,
    Branch,
    Emit,
    Journey,
    OnDay,
    Pause,
    Repeat,
    Say,
    Span,
    Split,
    Step,
    UntilAnchor,
    Wait,
    WaitFor,
    fill,
    reference,
)
from domain.journeys.runs import INSIDE, Edition, Event, Facts, Run, Walk

MAX_HOPS = 50
"""Steps of one person in one transaction; whoever has more goes on in the next."""
WATCH = 14 * DAY
"""How long a held-out run of a journey without a goal is watched, in seconds."""
BPS = 10_000


def looking(entering: Mapping[str, Any], facts: Facts, this: Mapping[str, Any] | None = None) -> Look:
    """How conditions look things up: ``event.x`` of the entering event, ``this.x`` of the one that is heard, else
    facts.
    """
    def look(name: str) -> Value:
        room, _, rest = name.partition(".")
        if room == "event":
            value: Value = entering.get(rest)
            return value
        return (this or {}).get(rest) if room == "this" else facts.fact(name)
    return look


def advance(edition: Edition, run: Run, facts: Facts, now: datetime, zone: ZoneInfo) -> Walk:
    """Walk on from where the run is until it has to wait or has ended. Changes ``run``."""
    walk, look = Walk(run), looking(run.event, facts)
    if run.state == "held":
        end(run, "no_goal", now)
        return walk
    if reason := called_off(edition.journey, look):
        if (until := _in_doubt(edition.journey, run, reason, look, now)) is not None:
            run.due_at = until
        else:
            end(run, reason, now)
        return walk
    run.doubted_at = None
    for _ in range(MAX_HOPS):
        step = edition.steps[run.step]
        onward = _pass(walk, step, facts, look, now, zone)
        if onward is None:
            return walk
        if onward == END:
            end(run, "finished", now)
            return walk
        run.step, run.begun, run.since_at = onward, False, now
    run.due_at = now
    return walk


def _pass(walk: Walk, step: Step, facts: Facts, look: Look, now: datetime, zone: ZoneInfo) -> str | None:
    """Do one step; where it leads, or None when it makes the run wait."""
    match step:
        case Wait():
            return _wait(walk, step, look, now, zone)
        case WaitFor():
            return _wait_for(walk, step, now)
        case Branch():
            taken = holds(step.when, look)
            walk.visit("yes" if taken else "no")
            return step.then if taken else step.next
        case Split():
            arm = arm_of(step, facts.arm(step.experiment), walk.run.person_id)
            walk.visit("arm", arm=arm)
            return step.arms[arm]
        case Say():
            _say(walk, step, look, now)
        case Repeat():
            return _repeat(walk, step, look)
        case Emit():
            walk.visit("done")
            walk.do(step, _filled(step.facts, look))
        case _:
            walk.visit("done")
            walk.do(step)
    return step.next


def _wait(walk: Walk, step: Wait, look: Look, now: datetime, zone: ZoneInfo) -> str | None:
    run = walk.run
    if not run.begun:
        due = moment(step.span, run, look, zone)
        if due is None:
            walk.visit("skipped", "moment_unknown")
            return step.otherwise
        run.planned_at = due
        if due > now:
            run.begun, run.due_at = True, due
            return None
    return step.next


def _wait_for(walk: Walk, step: WaitFor, now: datetime) -> str | None:
    run = walk.run
    if not run.begun:
        due = run.since_at + timedelta(seconds=step.timeout)
        run.planned_at = run.due_at = due
        run.begun = True
        if due > now:
            return None
    walk.visit("timeout")
    return step.otherwise


def _say(walk: Walk, step: Say, look: Look, now: datetime) -> None:
    if walk.run.planned_at + timedelta(seconds=step.expires) <= now:
        walk.visit("skipped", "expired")
        return
    facts = _filled(step.facts, look)
    walk.visit("told")
    walk.do(step, facts)


def _filled(facts: Mapping[str, Value], look: Look) -> dict[str, Value]:
    return {name: value if (asked := reference(value)) is None else look(asked) for name, value in facts.items()}


def _repeat(walk: Walk, step: Repeat, look: Look) -> str:
    done = walk.run.loops.get(step.id, 0)
    if done >= step.most or not holds(step.when, look):
        walk.visit("through", "" if done < step.most else "max")
        return step.next
    walk.run.loops[step.id] = done + 1
    walk.visit("again")
    return step.to


def moment(span: Span, run: Run, look: Look, zone: ZoneInfo) -> datetime | None:
    """When a wait ends; None when a fact that it needs is not known. May be in the past."""
    match span:
        case Pause(seconds):
            return run.since_at + timedelta(seconds=seconds)
        case OnDay(days, minute):
            due = _at_minute(run.since_at + timedelta(days=days), minute, zone)
            return due if due > run.since_at else _at_minute(run.since_at + timedelta(days=days + 1), minute, zone)
        case UntilAnchor(plus, offset, at):
            known = look(plus) if plus else 0
            if known is None:
                return None
            due = run.anchor_at + timedelta(days=int(known), seconds=offset)
            return due if at is None else _at_minute(due, at, zone)


def _at_minute(moment: datetime, minute: int, zone: ZoneInfo) -> datetime:
    """That minute of the local day of ``moment``."""
    day = moment.astimezone(zone).date()
    return datetime.combine(day, time(minute // 60, minute % 60), zone).astimezone(moment.tzinfo)


def called_off(journey: Journey, look: Look) -> str:
    """The reason why a run must end now, by the conditions that ask no event; '' when it goes on."""
    return next((one.reason for one in journey.exits if not one.on and holds(one.when, look)), "")


def _in_doubt(journey: Journey, run: Run, reason: str, look: Look, now: datetime) -> datetime | None:
    """When to look again whether an exit lasts; None when it is certain."""
    found = [one for one in journey.exits if not one.on and one.reason == reason and holds(one.when, look)]
    lasting = timedelta(seconds=min(one.lasting for one in found))
    run.doubted_at = run.doubted_at or now
    return run.doubted_at + lasting if now < run.doubted_at + lasting else None


def end(run: Run, reason: str, now: datetime) -> None:
    """The run is over. Whether a goal comes later is still watched until ``goal_until``."""
    run.state, run.end_reason, run.ended_at, run.begun = "ended", reason, now, False


def hear(edition: Edition, walk: Walk, event: Event, facts: Facts, now: datetime) -> str:
    """Let a run hear an event; what it meant: goal, the reason of an exit, 'heard' by a wait, or '' for nothing.

    Changes the run. Runs that have ended hear only their goal; the event that began a run means nothing to it.
    """
    run = walk.run
    if event.key == run.event_key:
        return ""
    journey, look = edition.journey, looking(run.event, facts, event.data)
    if reason := ends_by(journey, run, event, look):
        if reason == "goal":
            run.converted_at, run.goal_until = event.at, None
        if run.state in INSIDE:
            end(run, reason, now)
        return reason
    step = edition.steps.get(run.step)
    if (run.state == "open" and run.begun and isinstance(step, WaitFor) and step.on == event.kind
            and _matches(run, event, step.match) and holds(step.when, look)):
        walk.visit("heard")
        run.step, run.begun = step.next, False
        run.since_at = run.planned_at = run.due_at = now
        if run.step == END:
            end(run, "finished", now)
        return "heard"
    return ""


def ends_by(journey: Journey, run: Run, event: Event, look: Look) -> str:
    """'goal', or the reason of the exit that this event is for the run; '' when it is neither. Changes nothing."""
    goal = journey.goal
    if (goal and goal.on == event.kind and run.goal_until is not None and run.entered_at < event.at <= run.goal_until
            and _matches(run, event, goal.match) and holds(goal.when, look)):
        return "goal"
    if run.state not in INSIDE:
        return ""
    if event.kind == OPT_OUT and event.data.get("purpose") in ("*", journey.purpose):
        return "opted_out"
    return next((one.reason for one in journey.exits
                 if one.on == event.kind and _matches(run, event, one.match) and holds(one.when, look)), "")


def _matches(run: Run, event: Event, names: tuple[str, ...]) -> bool:
    return all(run.event.get(name) == event.data.get(name) for name in names)


def key_of(journey: Journey, event: Event) -> str:
    """The run key that an event leads to: runs in parallel have one each."""
    filled = fill(journey.run_key, event.data)
    return f"{filled}#{event.key}" if journey.reentry == "parallel" else filled


def entry(journey: Journey, latest: Run | None, event: Event, now: datetime) -> Literal["enter", "restart", "no"]:
    """What an event does to somebody whose latest run with this key is ``latest``. Late events begin nothing."""
    if event.at < now - timedelta(seconds=journey.max_age):
        return "no"
    if latest is None:
        return "enter"
    if latest.event_key == event.key:
        return "no"
    inside = latest.state in INSIDE
    if journey.reentry == "restart":
        return "restart" if inside else "enter"
    if journey.reentry == "after_exit" and not inside:
        rested = latest.ended_at is None or event.at >= latest.ended_at + timedelta(seconds=journey.cooldown)
        return "enter" if rested else "no"
    return "no"


def entered(edition: Edition, event: Event, latest: Run | None, now: datetime) -> Run:
    """A new run. Held-out people get one too: they are watched, not treated."""
    journey = edition.journey
    held = is_held(journey, event.person_id)
    within = timedelta(seconds=journey.goal.within if journey.goal else WATCH)
    return Run(
        person_id=event.person_id, run_key=key_of(journey, event), event=dict(event.data), event_key=event.key,
        entered_at=event.at, anchor_at=event.at, since_at=now, planned_at=now, step=journey.first,
        due_at=event.at + within if held else now, version=edition.version, journey_id=edition.journey_id,
        run_no=latest.run_no + 1 if latest else 1, state="held" if held else "open", holdout=held, depth=event.depth,
        goal_until=event.at + within if journey.goal else None,
    )


def restarted(edition: Edition, run: Run, event: Event, now: datetime) -> None:
    """The open run begins again at the new event, in the newest edition; what it did stays on record."""
    within = timedelta(seconds=edition.journey.goal.within if edition.journey.goal else WATCH)
    run.event, run.event_key, run.anchor_at, run.version = dict(event.data), event.key, event.at, edition.version
    run.step, run.begun, run.loops, run.attempts = edition.journey.first, False, {}, 0
    run.since_at = run.planned_at = now
    run.due_at = event.at + within if run.holdout else now
    run.state = "held" if run.holdout else "open"
    run.goal_until = event.at + within if edition.journey.goal else None


def moved(run: Run, to: Edition, step: str, now: datetime) -> None:
    """The run goes on in another edition at ``step`` ('' ends it). A wait that had begun is reckoned anew from its
    start.
    """
    run.version = to.version
    if not step:
        end(run, "version_retired", now)
        return
    run.step, run.begun = step, False


def is_held(journey: Journey, person_id: int) -> bool:
    """Whether somebody belongs to the hold-out of this journey: the same answer for ever."""
    return bucket(f"holdout:{journey.key}", person_id) < journey.holdout_bps


def arm_of(step: Split, assigned: str | None, person_id: int) -> str:
    """The arm of a person: the experiment's if it has one, else by the weights and a hash that never changes."""
    if assigned in step.arms:
        return str(assigned)
    point = bucket(f"split:{step.experiment}", person_id) * sum(step.weights.values())
    for arm, weight in step.weights.items():
        point -= weight * BPS
        if point < 0:
            return arm
    raise AssertionError("weights add up")


def bucket(salt: str, person_id: int) -> int:
    """A stable number below 10 000 for a person, independent for each salt."""
    digest = hashlib.blake2b(f"{salt}:{person_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % BPS


def spread(run_id: int, seconds: int) -> timedelta:
    """A stable delay below ``seconds``, so that many who are due at once do not all come at once."""
    return timedelta(seconds=bucket("spread", run_id) * seconds // BPS)
