"""Paid membership: told when it begins, is renewed or taken; the card as a picture for whoever asks."""

from bot.kit.jobs import Claimed, Done, Ended, JobContext, Jobs
from domain.notices import service as notices

jobs = Jobs()


@jobs.on("membership.set")
def begun(ctx: JobContext, effect: Claimed) -> Ended:
    return _tell(ctx, effect, "membership.set", ("title", "until", "renewal", "fewer"))


@jobs.on("membership.ended")
def ended(ctx: JobContext, effect: Claimed) -> Ended:
    return _tell(ctx, effect, "membership.ended", ("title", "why"))


def _tell(ctx: JobContext, effect: Claimed, key: str, names: tuple[str, ...]) -> Ended:
    assert effect.person_id is not None
    facts = {name: effect.payload[name] for name in names}
    with ctx.begin() as session:
        notices.tell(session, notices.Notice(effect.person_id, "service", effect.key, key, facts), ctx.now())
    return Done()
