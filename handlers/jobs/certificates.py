"""Certificates as pictures: drawn, scanned, and sent to whoever earned them or asks."""

from bot.kit.jobs import Claimed, Ended, JobContext, Jobs, Refused
from bot.pictures.certificate import CertificateRequest, Certificates, written
from domain.people import queries as people
from domain.roles import certificates
from domain.shared.clock import business_date
from handlers.jobs.pictures import missed, send_picture

jobs = Jobs()


@jobs.on("certificate.make")
def make(ctx: JobContext, effect: Claimed) -> Ended:
    """payload: {code, account, purpose}. One that was revoked in the meantime is not sent."""
    account = effect.payload["account"] or next(iter(ctx.app_ids), "")
    with ctx.begin() as session:
        view = certificates.by_code(session, effect.payload["code"])
    if view is None or view.revoked_at is not None or not account:
        return Refused("revoked" if account else "no_account")
    return send_picture(ctx, effect, lambda: ctx.tool(Certificates).draw(_request(ctx, view)), "certificate.failed")


@jobs.lapsed("certificate.make")
def certificate_missed(ctx: JobContext, effect: Claimed) -> None:
    with ctx.begin() as session:
        view = certificates.by_code(session, effect.payload["code"])
    if view is not None and view.revoked_at is None:
        missed(ctx, effect, "certificate.missed")


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

