"""Pictures that somebody in chat waits for: drawn, uploaded, sent, or an apology."""

from collections.abc import Callable

from bot.kit.gateway import GatewayError, Outcome
from bot.kit.jobs import LAST_ATTEMPT, Claimed, Ended, JobContext, Later, Refused
from domain.notices import service as notices
from handlers.jobs.delivery import deliver


def send_picture(ctx: JobContext, effect: Claimed, draw: Callable[[], bytes], failed: str) -> Ended:
    """One picture for the person of an effect {account, purpose}; ``failed``: the text that says it could not be made.
    """
    account = effect.payload["account"] or next(iter(ctx.app_ids), "")
    if not account:
        return Refused("no_account")
    try:
        jpeg = draw()
        # Before the attempt to send is on record: a worker killed in this long call has sent nothing, so repeat it.
        ctx.gateway(account).upload_image(jpeg)
    except GatewayError as refusal:
        if refusal.result.outcome is Outcome.BACK_OFF and refusal.result.retry_at:
            return Later(f"back_off:{refusal.result.errcode}", ctx.now() + (refusal.result.retry_at - ctx.real_now()))
        _apologise(ctx, effect, failed)
        return Refused(f"{refusal.result.outcome.value}:{refusal.result.errcode}")
    except Exception:
        if effect.attempts >= LAST_ATTEMPT:
            _apologise(ctx, effect, failed)
        raise
    return deliver(ctx, effect, effect.payload["purpose"], account,
                   lambda gateway, openid: gateway.send_image(openid, jpeg))


def _apologise(ctx: JobContext, effect: Claimed, failed: str) -> None:
    if effect.person_id is None:
        return
    with ctx.begin() as session:
        notices.tell(session, notices.Notice(effect.person_id, "answer", f"picture-failed:{effect.id}", failed, {},
                                             effect.payload["account"]), ctx.now())
