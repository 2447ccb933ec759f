"""等级, 证书 and what leads there: my role and why, how to keep it, its certificate, the answer to an invitation."""

from datetime import date

from bot.kit.context import Context
from bot.kit.conversation import Answer
from bot.kit.filters import Intent
from bot.kit.router import Router
from domain.platform import silence
from domain.roles import card as cards
from domain.roles import certificates, invitations
from domain.roles.queries import roles_of
from domain.roles.rules import Titles
from domain.shared.clock import business_date
from domain.shared.records import record
from domain.workflows import seeding

router = Router(__name__)


@record
class AnswersInvitation:
    """A bare yes or no outside any dialogue, within a day of being invited: the question is still in the air.

    Longer words (接受邀请) work for as long as the invitation does.
    """

    intent: str

    def matches(self, ctx: Context) -> bool:
        if ctx.intent != self.intent or not ctx.typed_exactly or ctx.place.state:
            return False
        found = invitations.of(ctx.session, ctx.speaker.id)
        return (found is not None and found.state == "open"
                and ctx.now <= found.asked_at + invitations.ANSWERED_BY_A_BARE_YES)


@router.on(Intent("role.show"))
def show_role(ctx: Context) -> Answer:
    """The role and why, the way up, and what keeps it until when."""
    card = cards.card(ctx.session, ctx.speaker.id, ctx.now)
    honour = next((badge.title for badge in card.badges if badge.worn), "")
    return ctx.say("role.show", card=card, titles=ctx.tool(Titles).by_role, honour=honour, invited=_invited(ctx))


@router.on(Intent("certificate.make"))
def make_certificate(ctx: Context) -> Answer:
    """The certificate of the highest role that no return can undo any more; made again as often as it is wanted."""
    titles = ctx.tool(Titles).by_role
    view = certificates.of_role(ctx.session, ctx.speaker.id, titles, ctx.now)
    if view is None:
        held = cards.card(ctx.session, ctx.speaker.id, ctx.now).held
        return ctx.say("certificate.none", provisional=titles[held[0].role] if held else "", titles=titles)
    if not certificates.being_made(ctx.session, view, ctx.now):
        certificates.order(ctx.session, view, f"{ctx.message.account}:{ctx.message.dedupe_key}", ctx.now,
                           account=ctx.message.account, asked=True)
    return ctx.say("certificate.making", title=view.title, late=bool(silence.of(ctx.session, ctx.shop.app_id)))


@router.on(Intent("invitation.accept"))
@router.on(AnswersInvitation("yes"))
def accept(ctx: Context) -> Answer:
    """Consent in the person's own words."""
    accepted = seeding.accept(ctx.session, ctx.speaker.id, ctx.message.text.strip(), ctx.now)
    if accepted is None:
        known = invitations.of(ctx.session, ctx.speaker.id)
        return ctx.say("invitation.late" if known and known.state != "accepted" else "invitation.nothing")
    role = roles_of(ctx.session, [ctx.speaker.id])[ctx.speaker.id]
    return ctx.say("invitation.accepted", title=ctx.tool(Titles).of(role), boost_bps=accepted.boost_bps,
                   until=accepted.boosted_until)


@router.on(Intent("invitation.decline"))
@router.on(AnswersInvitation("no"))
def decline(ctx: Context) -> Answer:
    """Remembered for good; asking again would be begging."""
    done = seeding.decline(ctx.session, ctx.speaker.id, ctx.message.text.strip(), ctx.now)
    return ctx.say("invitation.declined" if done else "invitation.nothing")


def _invited(ctx: Context) -> date | None:
    """Until when an unanswered invitation can be accepted."""
    found = invitations.waiting(ctx.session, ctx.speaker.id, ctx.now)
    return business_date(found.expires_at) if found is not None and found.state == "open" else None
