"""WeCom tells what happened between an employee and a customer: added, parted, edited, not handed over."""

from typing import Any

from bot.kit.context import Context
from bot.kit.conversation import Answer
from bot.kit.filters import Event
from bot.kit.router import Router
from domain.contacts import service as contacts
from domain.contacts.rules import EndedBy
from domain.contacts.service import Pair
from domain.people.leaving import Memory
from domain.workflows import contacting
from domain.workflows.contacting import Adding

router = Router(__name__)

BY_TRANSFER = "DELETE_BY_TRANSFER"


@router.on(Event("contact_added"))
def added(ctx: Context) -> Answer:
    """They are friends."""
    return _added(ctx, half=False)


@router.on(Event("contact_half_added"))
def half_added(ctx: Context) -> Answer:
    """The customer can chat, but must still be accepted; a welcome may be sent already, and then only now."""
    return _added(ctx, half=True)


def _added(ctx: Context, *, half: bool) -> Answer:
    message, data = ctx.message, ctx.message.data
    adding = Adding(_pair(ctx), message.key, message.sent_at, half, data.get("welcome_code", ""))
    contacting.added(ctx.session, ctx.tool(Memory), adding, ctx.now)
    return ctx.silent()


@router.on(Event("contact_removed"))
def removed(ctx: Context) -> Answer:
    """The employee removed the customer, or handed them over."""
    return _left(ctx, "transfer" if ctx.message.data.get("source") == BY_TRANSFER else "staff")


@router.on(Event("contact_left"))
def left(ctx: Context) -> Answer:
    """The customer removed the employee."""
    return _left(ctx, "customer")


def _left(ctx: Context, by: EndedBy) -> Answer:
    contacting.left(ctx.session, ctx.speaker.id, _pair(ctx), ctx.message.sent_at, by, ctx.now)
    return ctx.silent()


@router.on(Event("contact_edited"))
def edited(ctx: Context) -> Answer:
    """A remark or a tag was changed by hand: theirs to do. Whoever is not known yet is known now."""
    contacting.edited(ctx.session, _pair(ctx), ctx.speaker.id, ctx.now)
    return ctx.silent()


@router.on(Event("contact_transfer_failed"))
def transfer_failed(ctx: Context) -> Answer:
    contacts.transfer_failed(ctx.session, _pair(ctx), ctx.message.data.get("fail_reason", ""))
    return ctx.silent()


def _pair(ctx: Context) -> Pair:
    data: dict[str, Any] = ctx.message.data
    account = ctx.message.account.removeprefix(f"{ctx.message.channel}:")
    return Pair(ctx.shop.app_id, account, data["userid"], ctx.message.sender)
