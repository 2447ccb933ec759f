"""等级: what I am, what leads up, what keeps it."""

from bot.kit.context import Context
from bot.kit.conversation import Answer
from bot.kit.filters import Intent
from bot.kit.router import Router
from domain.roles import card as cards
from domain.roles.rules import Titles

router = Router(__name__)


@router.on(Intent("role.show"))
def show_role(ctx: Context) -> Answer:
    """The role and why, the way up, and what keeps it until when."""
    card = cards.card(ctx.session, ctx.speaker.id, ctx.now)
    honour = next((badge.title for badge in card.badges if badge.worn), "")
    return ctx.say("role.show", card=card, titles=ctx.tool(Titles).by_role, honour=honour, invited=None)
