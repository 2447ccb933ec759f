"""Use cases of WeCom contacts: a customer adds an employee, leaves, turns out to be somebody; what tags they carry.

Two steps, because WeCom's event does not say who somebody is. The event's own transaction keeps the relation and binds
the customer to whoever brought them; then a worker asks the platform who they are, makes one person of them and their
other names (``learn``), and only then decides what a newcomer gets (``arrive``). So nobody is a newcomer twice.
docs/adr/0033.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import Actor, Role
from domain.catalog import queries as catalog
from domain.contacts import queries
from domain.contacts import service as contacts
from domain.contacts.queries import ContactView, WayView
from domain.contacts.rules import EndedBy
from domain.contacts.service import Pair, Wish
from domain.insight import queries as insight
from domain.journeys import service as journeys
from domain.journeys.runs import Event
from domain.orders import queries as orders
from domain.people import queries as people_queries
from domain.people import service as people
from domain.people.leaving import Memory
from domain.people.rules import IdentityRef
from domain.referrals import queries as referral_queries
from domain.referrals import service as referrals
from domain.referrals.rules import Touch
from domain.rewards import service as rewards
from domain.rewards.rules import NEWCOMER, Offers
from domain.shared import outbox
from domain.shared.clock import business_date
from domain.shared.errors import DomainError, NotFound
from domain.shared.records import record
from domain.welcome import binding_policy, touched_at
from domain.workflows import leaving
from domain.workflows.merging import MOVERS

MEET, WELCOME, TAG = "contact.meet", "contact.welcome", "contact.tag"
FOLLOWER = "follower.learn"


_UNASKED = text("""
    select i.value, i.person_id from identity i
     where i.kind = 'openid' and i.scope = :app and i.followed_at is not null and i.unfollowed_at is null
       and not exists (select from identity u where u.person_id = i.person_id and u.kind = 'unionid')
       and not exists (select from outbox o where o.key = 'follower.learn:' || :account || ':'
                          || left(encode(sha256(convert_to(i.value, 'UTF8')), 'hex'), 32))
     order by i.id limit :limit""")

_UNKNOWN = text("""
    select c.id, c.account, c.person_id, c.stint, looks.number from contact c
      cross join lateral (select count(*) as number from unnest(cast(:ages as interval[])) age
                           where c.since + age <= :now) looks
     where c.ended_at is null and looks.number > 0
       and not exists (select from identity u where u.person_id = c.person_id and u.kind = 'unionid')
       and not exists (select from outbox o
                        where o.key = 'contact.look:' || c.id || ':' || c.stint || ':' || looks.number)
     order by c.since desc, c.id desc limit :limit""")
_UNKNOWN_FOLLOWERS = text("""
    select i.value, i.person_id, looks.number from identity i
      cross join lateral (select count(*) as number from unnest(cast(:ages as interval[])) age
                           where i.followed_at + age <= :now) looks
     where i.kind = 'openid' and i.scope = :app and i.followed_at is not null and i.unfollowed_at is null
       and looks.number > 0
       and not exists (select from identity u where u.person_id = i.person_id and u.kind = 'unionid')
       and not exists (select from outbox o where o.key = 'follower.learn:' || :account || ':'
                          || left(encode(sha256(convert_to(i.value, 'UTF8')), 'hex'), 32) || ':' || looks.number)
     order by i.followed_at desc, i.id desc limit :limit""")
LOOKS = ("1 hour", "6 hours", "1 day", "3 days", "7 days", "14 days", "30 days", "60 days", "120 days", "240 days")
"""After how long a customer whose unionid nobody told is asked about again: a corp may be bound to an open platform
later, and customers may follow an account years after they have added an employee."""

JUST_NOW = timedelta(minutes=2)
_ABOUT_TO_BE_KNOWN = text("""
    select exists (select from contact c join identity u on u.person_id = c.person_id and u.kind = 'unionid'
                    where c.id = :contact and not exists (
                          select from identity i where i.person_id = c.person_id and i.followed_at is not null))
       and exists (select from outbox where queue = 'slow' and kind = 'follower.learn'
                      and state in ('waiting', 'running') and due_at <= :soon and created_at > :since)""")

MAY: frozenset[Role] = frozenset({"operator"})
"""Who may make codes, beside owners."""


@record
class Adding:
    """A customer added an employee at ``at``, the platform's date. ``welcome_code`` '' when no welcome may be sent."""

    pair: Pair
    state: str
    at: datetime
    half: bool = False
    welcome_code: str = ""


@record
class Origin:
    """By whom and for what somebody came; ``sharer_id`` None: by nobody, names '' when not known."""

    sharer_id: int | None = None
    sharer: str = ""
    sku: str = ""
    category: str = ""


def added(session: Session, memory: Memory, adding: Adding, now: datetime) -> None:
    """Keep the relation, bind the customer to who brought them, and have them met, welcomed and tagged."""
    ref = _ref(adding.pair)
    person_id = leaving.recall(session, memory, ref, now) or people.resolve(session, [ref], now, pepper=b"")
    one, change = contacts.added(session, adding.pair, person_id, adding.state, adding.at, now, half=adding.half)
    if change.fresh or not one.open:  # who has left again by now was brought all the same
        _bind(session, one, adding.at, now)
    if change.fresh:
        contacts.forget_tags(session, one.id)
        outbox.put(session, [_effect(one, MEET, f"{one.id}:{one.stint}", "notice")], now)
    elif change.completed and one.arrival is not None:
        _wish_all(session, one, now)
    if adding.welcome_code and one.open:
        facts = {"code": adding.welcome_code, "at": adding.at.isoformat()}
        outbox.put(session, [_effect(one, WELCOME, f"{one.corp_id}:{adding.welcome_code}", "notice", **facts)], now)


def left(session: Session, person_id: int, pair: Pair, at: datetime, by: EndedBy, now: datetime) -> None:
    """The two parted at ``at``. Who has no employee left is not reached by WeCom any more; bindings and money stay."""
    one, alone = contacts.ended(session, pair, person_id, at, by, now)
    if one.open:
        return
    if alone:
        people.unfollow(session, _ref(pair), now)
    _tell(session, "contact.ended", one, now, by=by, alone=alone)


def learn(
    session: Session, contact_id: int, unionid: str, nickname: str, avatar_url: str, now: datetime
) -> int:
    """What the platform tells of a customer: one person with whoever has the same unionid. Returns that person.

    A name that another channel told stays.
    """
    one = queries.contact(session, contact_id)
    assert one is not None
    refs = [_ref(_pair(one))] + ([IdentityRef("unionid", unionid)] if unionid else [])
    person_id = people.resolve_many(session, [refs], now, pepper=b"", movers=MOVERS)[0]
    known = people_queries.person(session, person_id)
    assert known is not None
    people.set_profile(session, person_id, nickname=None if known.nickname else nickname,
                       avatar_url=None if known.avatar_url else avatar_url)
    return person_id


def ask_followers(session: Session, accounts: Mapping[str, str], now: datetime, limit: int) -> int:
    """Have followers looked up whose unionid was never asked for (``accounts``: Official Account → app id): it is what
    makes one person of them and a contact. Returns how many; each is asked for once here (``ask_again``)."""
    found = 0
    for account, app_id in sorted(accounts.items()):
        rows = session.execute(_UNASKED, {"app": app_id, "account": account, "limit": limit}).all()
        outbox.put(session, [_asking(account, row.value, row.person_id) for row in rows], now)
        found += len(rows)
    return found


def ask_again(session: Session, accounts: Mapping[str, str], now: datetime, limit: int) -> None:
    """Have customers asked about again of whom WeCom told no unionid, and followers of whom the Official Account told
    none: the newest first, at a slower and slower pace, at most ``limit`` of each."""
    asked = {"ages": list(LOOKS), "now": now, "limit": limit}
    rows = session.execute(_UNKNOWN, asked).all()
    outbox.put(session, [_look(row, f"{row.stint}:{row.number}") for row in rows], now)
    for account, app_id in sorted(accounts.items()):
        found = session.execute(_UNKNOWN_FOLLOWERS, {**asked, "app": app_id, "account": account}).all()
        outbox.put(session, [_asking(account, row.value, row.person_id, f":{row.number}") for row in found], now)


def edited(session: Session, pair: Pair, person_id: int, now: datetime) -> None:
    """An employee has changed something about a customer: a good moment to ask who that is, once a day."""
    one = contacts.noticed(session, pair, person_id, now)
    if one.open and not people_queries.has_unionid(session, person_id):
        outbox.put(session, [_look(one, f"{one.stint}:{business_date(now)}")], now)


def _look(one: Any, turn: str) -> outbox.Effect:
    return outbox.Effect("slow", "contact.learn", f"contact.look:{one.id}:{turn}", one.person_id,
                         {"contact": one.id, "account": one.account})


def ask_follower(session: Session, person_id: int, account: str, openid: str, now: datetime) -> None:
    """Somebody follows: have them looked up, once ever."""
    outbox.put(session, [_asking(account, openid, person_id)], now)


def _asking(account: str, openid: str, person_id: int, turn: str = "") -> outbox.Effect:
    # The key outlives the person's data, so it must not hold their name.
    key = f"{FOLLOWER}:{account}:{sha256(openid.encode()).hexdigest()[:32]}{turn}"
    return outbox.Effect("slow", FOLLOWER, key, person_id, {"account": account, "openid": openid})


def follower_learnt(session: Session, app_id: str, openid: str, unionid: str, now: datetime) -> int:
    """A follower has this unionid: one person with whoever else has it. Returns that person."""
    refs = [IdentityRef("openid", openid, app_id), IdentityRef("unionid", unionid)]
    return people.resolve_many(session, [refs], now, pepper=b"", movers=MOVERS)[0]


def may_follow(session: Session, contact_id: int, now: datetime, within: timedelta) -> bool:
    """Whether this customer, by their unionid, may be somebody who has just followed an Official Account and whose name
    there is about to be known ``within`` a moment. Who is known as a follower already is nobody to wait for."""
    return bool(session.scalar(_ABOUT_TO_BE_KNOWN, {"contact": contact_id, "soon": now + within,
                                                    "since": now - JUST_NOW}))


def arrive(session: Session, contact_id: int, offers: Offers, now: datetime) -> ContactView:
    """Decide, once a stint, what somebody is who has just come: a newcomer gets the pack, journeys hear of them, and
    their tags are wanted. Repeating it changes nothing."""
    seen = queries.contact(session, contact_id)
    assert seen is not None
    # The person before the contact, as every event and every merge takes them.
    people.resolve(session, [_ref(_pair(seen))], now, pepper=b"")
    one = contacts.lock(session, contact_id)
    if one.arrival is not None or not one.open:
        return one
    follow = people.follow(session, _ref(_pair(one)), now)
    origin = origin_of(session, one)
    if origin.sharer_id == follow.person_id:  # their own code brought them: nobody recommended anybody
        origin = replace(origin, sharer_id=None, sharer="")
    coupon = rewards.welcome(session, follow.person_id, offers.of(NEWCOMER), now) if follow.first else None
    contacts.arrived(session, one.id, {
        "kind": "newcomer" if follow.first else "known", "by_way": origin.sharer_id is not None,
        "sharer": origin.sharer, "sku": origin.sku, "category": origin.category,
        "coupon": {"title": coupon.title, "code": coupon.code, "valid_until": coupon.valid_until.isoformat()}
        if coupon else None})
    _tell(session, "contact.added", one, now, first=follow.first, by_way=origin.sharer_id is not None,
          sharer=origin.sharer, sku=origin.sku, category=origin.category)
    if not one.half:
        _wish_all(session, one, now)
    return contacts.lock(session, contact_id)


def new_way(
    session: Session, corp_id: str, userid: str, sharer_id: int | None, sku: str, actor: Actor, now: datetime
) -> WayView:
    """An operator wants a code. Raises NotFound("person_unknown" | "contact.sku_unknown"),
    DomainError("contact.userid" | "not_permitted")."""
    if not actor.may(MAY):
        raise DomainError("not_permitted", act="wecom.way")
    sharer = people_queries.person(session, sharer_id) if sharer_id is not None else None
    if sharer_id is not None and sharer is None:
        raise NotFound("person_unknown", id=sharer_id)
    if sku and catalog.product(session, sku) is None:
        raise NotFound("contact.sku_unknown", sku=sku)
    way = contacts.new_way(session, corp_id, userid, sharer.id if sharer else None, sku, now)
    audit.record(session, actor, "wecom.way", f"contact_way:{way.id}",
                 {"userid": way.userid, "sharer_id": way.sharer_id, "sku": sku}, now)
    return way


def retag(session: Session, people: Sequence[int], now: datetime) -> None:
    """Something about the orders or the names of ``people`` has changed: their employees should see who brought them,
    as soon as it is known, and what they bought first and kept. An interest that went back with its order goes, one
    that the code of their arrival named stays."""
    for one in queries.open_among(session, people):
        if one.arrival is None:
            continue  # still to be met: then everything is wished at once
        origin, bought = origin_of(session, one), orders.first_category(session, one.person_id)
        sharer_id = origin.sharer_id or referral_queries.referrer_of(session, one.person_id, now)
        carried = [tag for tag in queries.tags_of(session, [one.id])[one.id] if tag.wanted]
        interests = {tag.value for tag in carried if tag.kind == "interest"}
        wanted = {each for each in (origin.category, bought) if each}
        wishes = [Wish("interest", each) for each in sorted(wanted - interests)]
        wishes += [Wish("interest", each, False) for each in sorted(interests - wanted)]
        if sharer_id not in (None, one.person_id) and not any(tag.kind == "sharer" for tag in carried):
            wishes.append(Wish("sharer", str(sharer_id)))
        _wish(session, one, wishes, now)


def tagged(session: Session, person_id: int, tag: str, on: bool, now: datetime) -> None:
    """One of our own tags came or went: it should in WeCom, too."""
    for one in queries.open_of(session, person_id):
        _wish(session, one, [Wish("insight", tag, on)], now)


def origin_of(session: Session, one: ContactView) -> Origin:
    """By whose code, or with whose referral code as the channel of a link, somebody came."""
    way = queries.way(session, one.way_id) if one.way_id is not None else None
    sharer_id = way.sharer_id if way is not None else people_queries.by_codes(session, [one.state]).get(one.state)
    sharer = people_queries.person(session, sharer_id) if sharer_id is not None else None
    sku = way.sku if way is not None else ""
    product = catalog.product(session, sku) if sku else None
    return Origin(sharer.id if sharer else None, sharer.nickname if sharer else "", sku,
                  product.category if product else "")


def _bind(session: Session, one: ContactView, at: datetime, now: datetime) -> None:
    origin = origin_of(session, one)
    if origin.sharer_id is not None and origin.sharer_id != one.person_id:
        touch = Touch(referee_id=one.person_id, sharer_id=origin.sharer_id, at=touched_at(at, now), source="wecom",
                      scene=one.state)
        referrals.bind(session, touch, binding_policy(session, now), now)


def _wish_all(session: Session, one: ContactView, now: datetime) -> None:
    """Everything that an employee should see at once of a customer who has come. Who came by nobody's code is still
    the customer of whoever brought them before: by a poster, a link or an order."""
    origin = origin_of(session, one)
    sharer_id = origin.sharer_id or referral_queries.referrer_of(session, one.person_id, now)
    bought = orders.first_category(session, one.person_id)
    wishes = [Wish("sharer", str(sharer_id))] if sharer_id not in (None, one.person_id) else []
    wishes += [Wish("interest", each) for each in dict.fromkeys((origin.category, bought)) if each]
    wishes += [Wish("insight", tag) for tag in insight.of(session, one.person_id).tags]
    _wish(session, one, wishes, now)


def _wish(session: Session, one: ContactView, wishes: Sequence[Wish], now: datetime) -> None:
    """Have tags written into WeCom. Half friends cannot be tagged: theirs wait until they are whole ones."""
    turns = [(each, contacts.wish(session, one.id, each, now)) for each in wishes if not one.half]
    outbox.put(session, [
        _effect(one, TAG, f"{one.id}:{one.stint}:{each.kind}:{each.value}:{turn}", "slow", tag=each.kind,
                value=each.value) for each, turn in turns if turn], now)


def _effect(one: ContactView, kind: str, key: str, queue: outbox.Queue, **facts: Any) -> outbox.Effect:
    return outbox.Effect(queue, kind, f"{kind}:{key}", one.person_id,
                         {"contact": one.id, "account": one.account, "purpose": "answer", **facts})


def _tell(session: Session, kind: str, one: ContactView, now: datetime, **facts: object) -> None:
    """What journeys hear of it, once a stint."""
    event = Event(kind, f"{kind}:{one.id}:{one.stint}", one.person_id, now, {"userid": one.userid, **facts})
    journeys.happened(session, [event], now)


def _ref(pair: Pair) -> IdentityRef:
    return IdentityRef("external_userid", pair.external_userid, pair.corp_id)


def _pair(one: ContactView) -> Pair:
    return Pair(one.corp_id, one.account, one.userid, one.external_userid)
