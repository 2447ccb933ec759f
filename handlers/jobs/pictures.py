"""Pictures that somebody in chat waits for: drawn, uploaded, sent; put off while the platform lets nothing out; or an
apology."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from bot.kit.gateway import GatewayError, Outcome
from bot.kit.jobs import LAST_ATTEMPT, Claimed, Ended, JobContext, Later, Refused
from domain.notices import service as notices
from domain.platform import service as platform
from domain.platform import silence
from domain.shared.outbox import WAITED_FOR
from handlers.jobs.delivery import CONFIG_PAUSE, deliver

NOT_GRANTED = frozenset({0, 48001, 48004})
"""One interface is not given to this account, all else works: whoever waits is told. 0: of a subscription account."""

TOLD_WITHIN = timedelta(days=7)
"""How long it is worth telling that a picture did not come."""


def send_picture(ctx: JobContext, effect: Claimed, draw: Callable[[], bytes], failed: str) -> Ended:
    """One picture for the person of an effect {account, purpose?}; ``failed``: the text that says it could not be made.
    """
    account = effect.payload["account"] or next(iter(ctx.app_ids), "")
    if not account:
        return Refused("no_account")
    purpose = effect.payload.get("purpose", "answer")
    try:
        jpeg = draw()
        # Before the attempt to send is on record: a worker killed in this long call has sent nothing, so repeat it.
        media_id = ctx.gateway(account).upload_image(jpeg)
    except GatewayError as refusal:
        if (later := put_off(ctx, effect, account, refusal)) is not None:
            return later
        missed(ctx, effect, failed, WAITED_FOR)
        return Refused(f"{refusal.result.outcome.value}:{refusal.result.errcode}")
    except Exception:
        if effect.attempts >= LAST_ATTEMPT:
            missed(ctx, effect, failed, WAITED_FOR)
        raise
    ended = deliver(ctx, effect, purpose, account, lambda gateway, openid: gateway.send_image(openid, jpeg))
    if isinstance(ended, Later):  # whoever writes before it can be sent may be answered with it
        ctx.note(effect, picture={"account": account, "media_id": media_id})
    return ended


def put_off(ctx: JobContext, effect: Claimed, account: str, refusal: GatewayError) -> Later | None:
    """When to ask again what the platform refuses to the whole account; None: waiting does not help. What a person must
    mend is asked less and less often: each time a picture is drawn for it. It is remembered, so that nobody is promised
    anything meanwhile."""
    result = refusal.result
    if result.outcome is Outcome.BACK_OFF and result.retry_at:
        return Later(f"back_off:{result.errcode}", ctx.now() + (result.retry_at - ctx.real_now()))
    if result.outcome is Outcome.CONFIG and result.errcode not in NOT_GRANTED:
        with ctx.begin() as session:
            platform.hold_back(session, ctx.app_ids[account], silence.ALARM, result.outcome.value, result.errcode,
                               result.detail, ctx.real_now() + CONFIG_PAUSE)
        pause = max(CONFIG_PAUSE, (ctx.now() - effect.created_at) / 10)
        return Later(f"config:{result.errcode}", ctx.now() + pause)
    return None


def missed(ctx: JobContext, effect: Claimed, key: str, within: timedelta = TOLD_WITHIN, **facts: Any) -> None:
    """Tell the person of an effect that what they asked for did not come, or could not be made, as soon as we may, and
    not after ``within``. Only to somebody who waits for it; by night only while they surely do."""
    if effect.person_id is None or effect.payload.get("purpose", "answer") != "answer":
        return
    with ctx.begin() as session:
        notices.tell(session, notices.Notice(
            effect.person_id, "answer", f"picture-missed:{effect.id}", key, facts, effect.payload["account"],
            expires_at=ctx.now() + within, asked_at=effect.created_at), ctx.now())
