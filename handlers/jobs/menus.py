"""The menu below the chat, pushed once whenever it changed."""

from datetime import timedelta

from bot.kit.gateway import GatewayError, Outcome
from bot.kit.jobs import Claimed, Done, Ended, JobContext, Jobs, Later, Refused

jobs = Jobs()

PAUSE = timedelta(seconds=5)


@jobs.on("menu.push")
def push_menu(ctx: JobContext, effect: Claimed) -> Ended:
    """payload: {account, menu}. A platform that cannot be reached yet is asked again."""
    try:
        ctx.gateway(effect.payload["account"]).push_menu(effect.payload["menu"])
    except GatewayError as refusal:
        result = refusal.result
        if result.outcome is Outcome.BACK_OFF:
            pause = result.retry_at - ctx.real_now() if result.retry_at else PAUSE
            return Later(f"back_off:{result.errcode}", ctx.now() + pause)
        return Refused(f"{result.outcome.value}:{result.errcode}")
    return Done()
