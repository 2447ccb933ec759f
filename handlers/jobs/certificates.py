"""Certificates as pictures: drawn, scanned, and sent to whoever earned them or asks."""

from bot.kit.gateway import GatewayError, Outcome
from bot.kit.jobs import LAST_ATTEMPT, Claimed, Ended, JobContext, Jobs, Later, Refused
from bot.pictures.certificate import CertificateRequest, Certificates, written
from domain.notices import service as notices
from domain.people import queries as people
from domain.roles import certificates
from domain.shared.clock import business_date
from handlers.jobs.delivery import deliver

jobs = Jobs()


@jobs.on("certificate.make")
def make(ctx: JobContext, effect: Claimed) -> Ended:
    """payload: {code, account, purpose}. One that was revoked in the meantime is not sent."""
    account = effect.payload["account"] or next(iter(ctx.app_ids), "")
    with ctx.begin() as session:
        view = certificates.by_code(session, effect.payload["code"])
    if view is None or view.revoked_at is not None or not account:
        return Refused("revoked" if account else "no_account")
    try:
        jpeg = ctx.tool(Certificates).draw(_request(ctx, view))
        # Before the attempt to send is on record: a worker killed in this long call has sent nothing, so repeat it.
        ctx.gateway(account).upload_image(jpeg)
    except GatewayError as refusal:
        if refusal.result.outcome is Outcome.BACK_OFF and refusal.result.retry_at:
            return Later(f"back_off:{refusal.result.errcode}", ctx.now() + (refusal.result.retry_at - ctx.real_now()))
        _apologise(ctx, effect)
        return Refused(f"{refusal.result.outcome.value}:{refusal.result.errcode}")
    except Exception:
        if effect.attempts >= LAST_ATTEMPT:
            _apologise(ctx, effect)
        raise
    return deliver(ctx, effect, effect.payload["purpose"], account,
                   lambda gateway, openid: gateway.send_image(openid, jpeg))


def _request(ctx: JobContext, view: certificates.CertificateView) -> CertificateRequest:
    say = ctx.copy.render
    with ctx.begin() as session:
        holder = people.person(session, view.person_id)
    assert holder is not None
    is_role = view.kind == "role"
    return CertificateRequest(
        tone=view.subject if is_role else "badge", shop=ctx.shop.name, name=holder.nickname,
        heading=say(f"certificate.heading.{view.kind}"), preamble=say("certificate.preamble"), title=view.title,
        citation=say(f"certificate.citation.{view.subject}") if is_role else (
            say("certificate.month", period=view.period)),
        number=view.number, issued=written(business_date(view.issued_at)), hint=say("certificate.hint"),
        url=f"{ctx.shop.public_url}/c/{view.code}",
    )


def _apologise(ctx: JobContext, effect: Claimed) -> None:
    """Only to somebody who waits for it."""
    if effect.payload["purpose"] != "answer" or effect.person_id is None:
        return
    with ctx.begin() as session:
        notices.tell(session, notices.Notice(effect.person_id, "answer", f"certificate-failed:{effect.id}",
                                             "certificate.failed", {}, effect.payload["account"]), ctx.now())
