"""An adopted feedback becomes an event of journeys, when the time to take it back is over."""

from bot.kit.jobs import Claimed, Done, Ended, JobContext, Jobs, Refused
from domain.feedback import service as feedback
from domain.journeys import service as journeys
from domain.journeys.runs import Event

jobs = Jobs()


@jobs.on("feedback.adopted")
def tell(ctx: JobContext, effect: Claimed) -> Ended:
    """payload: {feedback, adoption}. Marked as thanked and told in one transaction."""
    now = ctx.now()
    with ctx.begin() as session:
        found = feedback.thank(session, effect.payload["feedback"], effect.payload["adoption"], now)
        if found is None:
            return Refused("taken_back_or_thanked")
        data = {"number": found.id, "about": found.about(feedback.SHOWN), "outcome": found.outcome}
        journeys.happened(session, [Event("feedback.adopted", f"feedback.adopted:{found.id}", found.person_id, now,
                                          data)], now)
    return Done()
