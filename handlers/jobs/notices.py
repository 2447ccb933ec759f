"""Text notices leave here: rendered at the last moment, so that they speak in the shop's present voice."""

from bot.kit.jobs import Claimed, Ended, JobContext, Jobs
from handlers.jobs.delivery import deliver

jobs = Jobs()


@jobs.on("notice.text")
def send_text(ctx: JobContext, effect: Claimed) -> Ended:
    """payload: {purpose, key, facts, account}."""
    payload = effect.payload
    content = ctx.copy.render(payload["key"], **payload["facts"])
    return deliver(ctx, effect, payload["purpose"], payload["account"],
                   lambda gateway, openid: gateway.send_text(openid, content))
