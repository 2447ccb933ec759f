"""The read API: what the service knows, for the shop's systems. Each function answers one path of the table."""

import base64
import re
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from domain.commissions import queries as commissions
from domain.insight import queries as insight
from domain.insight import rules as segments
from domain.ledger import queries as ledger_queries
from domain.ledger import service as ledger
from domain.orders.models import CustomerOrder
from domain.people import queries as people
from domain.people.rules import IdentityRef, Kind
from domain.referrals import queries as referrals
from domain.rewards import queries as rewards
from domain.rewards.programme import Programme, load
from domain.rewards.rules import Offers
from domain.roles import honours
from domain.roles import queries as roles
from domain.roles.rules import Titles
from domain.shared.errors import DomainError
from domain.shared.records import record
from domain.workflows import standings
from handlers.web.api import shapes
from handlers.web.api.problems import invalid, missing

ASSETS = Path(__file__).parents[3] / "assets"

IDENTITIES: tuple[Kind, ...] = ("openid", "unionid", "external_userid", "phone", "mall_user_id")
PAGE, MOST = 50, 200
BIGGEST_ID = 2**63 - 1
_CURSOR = "s1:"


@record
class Asked:
    """One authenticated request: the transaction, business time, and what was asked. ``body`` is checked JSON."""

    session: Session
    now: datetime
    pepper: bytes
    path: dict[str, Any]
    query: MultiDict[str, str]
    body: Any = None

    def person(self) -> people.PersonView:
        """The person of the path. Raises Refusal 404."""
        person_id = self.path["person_id"]
        found = people.person(self.session, person_id) if person_id <= BIGGEST_ID else None
        if found is None:
            raise missing("person")
        return found


def find_person(asked: Asked) -> shapes.Person:
    """Exactly one identity names the person; an openid only with its app_id."""
    given = [kind for kind in IDENTITIES if kind in asked.query]
    if len(given) != 1:
        raise invalid([shapes.Fault("", f"needs exactly one of {', '.join(IDENTITIES)}")])
    kind = given[0]
    if kind == "openid" and not asked.query.get("app_id"):
        raise invalid([shapes.Fault("/app_id", "is missing: an openid is only unique within its app")])
    scope = asked.query["app_id"] if kind == "openid" else ""
    try:
        ref = IdentityRef(kind, asked.query[kind], scope)
    except DomainError:
        raise invalid([shapes.Fault(f"/{kind}", f"is no {kind}")]) from None
    person_id = people.find(asked.session, ref, pepper=asked.pepper)
    found = people.person(asked.session, person_id) if person_id is not None else None
    if found is None:
        raise missing("person")
    return _person(asked, found)


def person(asked: Asked) -> shapes.Person:
    return _person(asked, asked.person())


def _person(asked: Asked, view: people.PersonView) -> shapes.Person:
    role = roles.roles_of(asked.session, [view.id])[view.id]
    title = honours.titles_of(asked.session, [view.id], _titles(), asked.now)[view.id]
    member = standings.member(asked.session, view.id, _programme(), asked.now)
    tags = [_tag_title(tag) for tag in insight.of(asked.session, view.id).tags]
    return shapes.Person(
        id=view.id, nickname=view.nickname, role=role, title=title, tier=member.tier,
        referral_code=view.referral_code,
        referrer_id=referrals.referrer_of(asked.session, view.id, asked.now),
        tags=tags, benefits=list(member.benefits), joined_at=view.joined_at,
    )


@cache
def _titles() -> Titles:
    return Titles.load((ASSETS / "roles.toml").read_text(encoding="utf-8"))


def _tag_title(tag: str) -> str:
    """What people call it; tags that others put on are called by their own name."""
    return _tag_titles().get(tag, tag)


@cache
def _tag_titles() -> dict[str, str]:
    return segments.load((ASSETS / "segments.toml").read_text(encoding="utf-8")).titles()


def wallet(asked: Asked) -> shapes.Wallet:
    held = ledger_queries.wallet(asked.session, asked.person().id)
    return msgspec.convert(held, shapes.Wallet, from_attributes=True)


def statement(asked: Asked) -> shapes.Statement:
    """``?cursor=`` from the page before and ``?limit=`` lines; anything else is 422."""
    owner = asked.person().id
    page = ledger_queries.statement(asked.session, owner, _cursor(asked.query.get("cursor", "")),
                                    _limit(asked.query.get("limit", "")))
    lines = [msgspec.convert(line, shapes.StatementLine, from_attributes=True) for line in page.lines]
    return shapes.Statement(lines, _opaque(page.next_cursor))


def _limit(given: str) -> int:
    """How many lines a page has. Raises Refusal 422."""
    if not given:
        return PAGE
    if not (given.isascii() and given.isdecimal() and len(given) < 4 and 1 <= int(given) <= MOST):
        raise invalid([shapes.Fault("/limit", f"must be a whole number from 1 to {MOST}")])
    return int(given)


def _opaque(cursor: str | None) -> str | None:
    return base64.urlsafe_b64encode((_CURSOR + cursor).encode()).decode().rstrip("=") if cursor else None


def _cursor(given: str) -> str | None:
    """What ``_opaque`` packed, None for ''. Only its own spelling is taken."""
    if not given:
        return None
    try:
        padded = given + "=" * (-len(given) % 4)
        inner = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii").removeprefix(_CURSOR)
    except ValueError:
        inner = ""
    if not re.fullmatch(r"[0-9]{1,19}", inner) or _opaque(inner) != given:
        raise invalid([shapes.Fault("/cursor", "is not a next_cursor of this path")])
    return inner


def progress(asked: Asked) -> shapes.Progress:
    """Orders count while they are paid, not closed and not given back."""
    stands = standings.counted(asked.session, asked.person().id, _programme(), asked.now)
    step = stands.next
    reward = shapes.Reward(step.kind, step.title, step.amount_fen, step.within_days) if step else None
    return shapes.Progress(stands.repurchases, stands.current, step.repurchases if step else None, stands.remaining,
                           reward)


@cache
def _programme() -> Programme:
    offers = Offers.load((ASSETS / "rewards.toml").read_text(encoding="utf-8"))
    return load((ASSETS / "ladders.toml").read_text(encoding="utf-8"), offers.by_kind)


def coupons(asked: Asked) -> shapes.Coupons:
    found = rewards.coupons_of(asked.session, asked.person().id, asked.now)
    return shapes.Coupons([coupon_shape(one) for one in found])


def coupon_shape(view: rewards.CouponView) -> shapes.Coupon:
    return msgspec.convert(view, shapes.Coupon, from_attributes=True)


def commission(asked: Asked) -> shapes.Commission:
    """An order that earned nobody anything has no lines; one that is not known is 404."""
    channel, order_no = asked.path["channel"], asked.path["order_id"]
    lines = commissions.of_order(asked.session, channel, order_no)
    known = select(CustomerOrder.id).where(CustomerOrder.channel == channel, CustomerOrder.order_no == order_no)
    if not lines and asked.session.scalar(known) is None:
        raise missing("order")
    return shapes.Commission([msgspec.convert(one, shapes.CommissionLine, from_attributes=True) for one in lines])


def ledger_check(asked: Asked) -> shapes.LedgerCheck:
    return msgspec.convert(ledger.check(asked.session), shapes.LedgerCheck, from_attributes=True)
