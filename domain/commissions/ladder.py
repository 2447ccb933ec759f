"""What own sales of a month bring on top, and how far it is to the next step. Pure, integers only."""


from domain.commissions.document import Ladder, Step
from domain.shared.money import share
from domain.shared.records import record


@record
class Bracket:
    """Part of a month's volume at one rate: ``volume_fen`` x ``rate_bps`` = ``amount_fen``, halves up. ``until_fen`` is
    where the next step begins, None at the top."""

    from_fen: int
    until_fen: int | None
    rate_bps: int
    volume_fen: int
    amount_fen: int


@record
class Position:
    """Where a volume stands: the step it reached and the next one, each None when there is none."""

    step: Step | None
    next_step: Step | None
    missing_fen: int


def brackets(ladder: Ladder, volume_fen: int) -> tuple[Bracket, ...]:
    """The parts of a volume and what each brings; lower bounds are inclusive. A negative volume (more returned than
    sold) brings nothing."""
    found, steps, last = [], ladder.steps, len(ladder.steps) - 1
    for number, step in enumerate(steps):
        if volume_fen < step.from_fen:
            break
        upto = steps[number + 1].from_fen if number < last else None
        if ladder.mode == "whole":
            found = [_bracket(step, upto, volume_fen)]
        else:
            within = volume_fen if upto is None or volume_fen < upto else upto
            found.append(_bracket(step, upto, within - step.from_fen))
    return tuple(found)


def ladder_fen(ladder: Ladder, volume_fen: int) -> int:
    """All that a month's volume brings: the sum of its brackets."""
    return sum(part.amount_fen for part in brackets(ladder, volume_fen))


def position(ladder: Ladder, volume_fen: int) -> Position:
    """The step a volume has reached, and how much is missing to the next."""
    reached = [step for step in ladder.steps if volume_fen >= step.from_fen]
    ahead = ladder.steps[len(reached)] if len(reached) < len(ladder.steps) else None
    return Position(reached[-1] if reached else None, ahead, ahead.from_fen - max(volume_fen, 0) if ahead else 0)


def _bracket(step: Step, upto: int | None, volume_fen: int) -> Bracket:
    volume = max(volume_fen, 0)
    return Bracket(step.from_fen, upto, step.rate_bps, volume, share(volume, step.rate_bps))
