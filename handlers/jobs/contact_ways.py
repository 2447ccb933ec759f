"""Making a 「联系我」 code: our token first, then the platform's picture. Asked for by operators."""

from bot.kit.gateway import GatewayError, Outcome, SendResult
from bot.kit.jobs import JobContext
from bot.kit.wecom import REMARK_LETTERS, WeComs
from domain.audit.rules import Actor
from domain.contacts import service as contacts
from domain.contacts.queries import WayView
from domain.people import queries as people
from domain.workflows import contacting


def make(ctx: JobContext, account: str, userid: str, sharer_id: int | None, sku: str, actor: Actor) -> WayView:
    """A code of ``userid`` whose customers count as brought by ``sharer_id`` and interested in ``sku``.

    Raises what ``contacting.new_way`` raises, and GatewayError; then there is no code, or, when nobody knows (UNKNOWN),
    one that our token waits for.
    """
    app = ctx.tool(WeComs).by_account.get(account)
    if app is None:
        raise GatewayError(SendResult(Outcome.CONFIG, detail=f"no account [wecom.{account}]"))
    with ctx.begin() as session:
        way = contacting.new_way(session, app.corp_id, userid, sharer_id, sku, actor, ctx.now())
        sharer = people.person(session, sharer_id) if sharer_id is not None else None
    remark = " ".join(filter(None, (sharer.nickname if sharer else "", sku)))[:REMARK_LETTERS]
    try:
        made = app.add_way(way.userid, way.token, remark)
    except GatewayError as refusal:
        if refusal.result.outcome is not Outcome.UNKNOWN:
            with ctx.begin() as session:
                contacts.drop_way(session, way.id)
        raise
    with ctx.begin() as session:
        return contacts.way_made(session, way.id, made.config_id, made.url)
