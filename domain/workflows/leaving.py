"""People who leave: their personal data is erased after a grace, unless something of theirs is still open; the books
stay under the person's number; who comes back is recognised and is who they were. docs/adr/0027.

Never commits. Each person is a piece of work of its own.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from types import MappingProxyType

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import SYSTEM, Actor, Role
from domain.ledger import service as ledger
from domain.ledger.rules import Entry, Move, person, platform
from domain.people import leaving, queries
from domain.people import service as people
from domain.people.leaving import ErasureView, Memory
from domain.people.rules import IdentityRef
from domain.shared.errors import DomainError, NotFound
from domain.shared.records import record
from domain.shots import queries as pictures
from domain.shots import service as shots
from domain.vault import service as vault
from domain.workflows.forfeiting import forfeit
from domain.workflows.forgetting import Leaver, forget
from domain.workflows.merging import MOVERS

MAY: frozenset[Role] = frozenset({"reviewer"})
"""Who may erase somebody, beside owners: those who answer letters."""


@record
class Leaving:
    """assets/leaving.toml."""

    grace_days: int = 30
    asked_hours: int = 24
    order_days: int = 30
    declared_on: int = 16

    @classmethod
    def load(cls, document: str) -> "Leaving":
        """Raises ValueError with every fault."""
        raw = tomllib.loads(document)
        known = {one.name for one in fields(cls)}
        faults = [f"{name} is unknown" for name in sorted(set(raw) - known)]
        faults += [f"{name} must be a whole number from 0 to 3650" for name in sorted(known & set(raw))
                   if type(raw[name]) is not int or not 0 <= raw[name] <= 3_650]
        if not faults and not 1 <= raw.get("declared_on", 16) <= 28:
            faults.append("declared_on must be a day of the month, 1 to 28")
        if faults:
            raise ValueError("leaving.toml: " + "; ".join(faults))
        return cls(**raw)

    @property
    def grace(self) -> timedelta:
        return timedelta(days=self.grace_days)


@record
class Open:
    """What of somebody is still open. Money in fen; ``withdrawal``: its number; the rest says whether."""

    available_fen: int
    pending_fen: int
    debt_fen: int
    withdrawal: str
    case: bool
    frozen: bool
    order: bool
    undeclared: bool

    def reason(self, gives_up: bool = False) -> str:
        """The first thing that puts an erasure off, '' when nothing does."""
        found: Mapping[str, object] = MappingProxyType({
            "withdrawal": self.withdrawal, "case": self.case, "debt": self.debt_fen, "pending": self.pending_fen,
            "money": self.available_fen and not gives_up, "order": self.order, "tax": self.undeclared})
        return next((name for name, standing in found.items() if standing), "")


_OPEN = text("""
    with money as (
        select a.kind, b.amount from account a join balance b on b.account_id = a.id
         where a.owner_id = :person and a.currency = 'CNY')
    select coalesce((select amount from money where kind = 'available'), 0)::bigint as available,
           coalesce((select sum(amount) from money where kind in ('pending', 'frozen')), 0)::bigint as pending,
           coalesce((select amount from money where kind = 'debt'), 0)::bigint as debt,
           coalesce((select no from withdrawal where person_id = :person and state in ('asked', 'approved', 'paying')
                      limit 1), '') as withdrawal,
           exists (select from risk_case where person_id = :person and state in ('open', 'appealed')
                      and rule <> 'freeze') as open_case,
           exists (select from account_hold where person_id = :person and lifted_at is null) as frozen,
           exists (select from customer_order where buyer_id = :person and paid_at > :young and closed_at is null
                      and refunded_fen < paid_fen)
           -- What they paid and is not booked yet, or was given up: without its buyer it never could be.
           or exists (select from (select id from commerce_open where type = 'order.paid' and state in ('new', 'dead')
                                    union all select unnest(events) from commerce_batch) w
                        join commerce_event e on e.id = w.id
                        join identity i on i.person_id = :person and i.value = e.payload -> 'buyer' ->> i.kind
                      ) as young,
           exists (select from transfer_bill t join withdrawal w on w.id = t.withdrawal_id
                    where w.person_id = :person and t.state = 'SUCCESS'
                      and month_start((shop_month(t.paid_at) + interval '1 month')::date)
                          + make_interval(days => :declared) > :now) as undeclared
""")


def standing(session: Session, person_id: int, rules: Leaving, now: datetime) -> Open:
    """What is still open between somebody and the shop."""
    row = session.execute(_OPEN, {
        "person": person_id, "young": now - timedelta(days=rules.order_days), "now": now,
        "declared": rules.declared_on - 1}).one()
    return Open(row.available, row.pending, row.debt, row.withdrawal, row.open_case, row.frozen, row.young,
                row.undeclared)


def ask(session: Session, person_id: int, rules: Leaving, now: datetime, *, gives_up: bool) -> ErasureView:
    """Somebody's own, confirmed request. ``gives_up``: what is left in the wallet is the shop's. Their pictures are
    shown to nobody from now on, however long the rest is put off."""
    due = now + timedelta(hours=rules.asked_hours)
    noted = leaving.plan(session, person_id, "asked", due, now, gives_up=gives_up)
    shots.withdraw_leavers(session, now, person_id)
    return noted


def order_erasure(session: Session, person_id: int, actor: Actor, why: str, now: datetime) -> ErasureView:
    """An operator has somebody erased (a letter, a call): due at once, put off by the same things; their pictures are
    shown to nobody from now on.

    Raises DomainError("not_permitted" | "reason_missing"), NotFound("person_unknown").
    """
    if not actor.may(MAY):
        raise DomainError("not_permitted", act="people.erase")
    if not why.strip():
        raise DomainError("reason_missing", act="people.erase")
    alive = queries.survivors(session, [person_id]).get(person_id)
    if alive is None:
        raise NotFound("person_unknown", id=person_id)
    audit.record(session, actor, "people.erase", f"person:{alive}", {}, now)
    noted = leaving.plan(session, alive, "operator", now, now, actor=actor.name, why=why.strip()[:500])
    shots.withdraw_leavers(session, now, alive)
    return noted


def note_gone(session: Session, rules: Leaving, now: datetime, limit: int) -> int:
    """Note everybody whose grace after unfollowing has passed; returns how many. Their pictures go with it."""
    many = leaving.plan_gone(session, rules.grace, now, limit)
    shots.withdraw_leavers(session, now)
    return many


def pictures_gone(session: Session, person_id: int) -> int:
    """How many pictures of somebody were deleted when their waiting erasure was noted: they do not come back."""
    waiting = leaving.erasures(session, "waiting", person_id=person_id)
    return pictures.gone_by_leaving(session, person_id, waiting[0].asked_at) if waiting else 0


def keep(session: Session, person_id: int, actor: Actor, now: datetime) -> bool:
    """An operator calls a waiting erasure off; whether there was one. Raises DomainError("not_permitted")."""
    if not actor.may(MAY):
        raise DomainError("not_permitted", act="people.keep")
    audit.record(session, actor, "people.keep", f"person:{person_id}", {}, now)
    return leaving.call_off(session, person_id, now, causes=["unfollowed", "asked", "operator"])


def run_due(
    session: Session, rules: Leaving, memory: Memory, now: datetime, limit: int, only: int | None = None
) -> list[ErasureView]:
    """Look at erasures that are due (``only``: of one person): carry them out or put them off. Returns what they are
    afterwards."""
    looked = leaving.due(session, now, limit, only)
    for one in looked:
        _look(session, one, rules, memory, now)
    return [leaving.erasures(session, person_id=one.person_id, limit=1)[0] for one in looked]


def _look(session: Session, one: ErasureView, rules: Leaving, memory: Memory, now: datetime) -> None:
    session.execute(text("select id from person where id = :id for update"), {"id": one.person_id})
    if one.cause == "unfollowed" and _follows(session, one.person_id):
        leaving.call_off(session, one.person_id, now, causes=["unfollowed"])
        return
    reason = standing(session, one.person_id, rules, now).reason(one.gives_up)
    if reason:
        leaving.put_off(session, one.id, reason, now)
        return
    if one.gives_up:
        _give_up(session, one, now)
    leaving.done(session, one.id, _erase(session, one, memory, now), now)


def _follows(session: Session, person_id: int) -> bool:
    return bool(session.scalar(text("""
        select exists (select from identity where person_id = :id and followed_at is not null
                          and unfollowed_at is null)"""), {"id": person_id}))


def _give_up(session: Session, one: ErasureView, now: datetime) -> None:
    """What is left becomes the shop's, as they said."""
    purse = ledger.lock(session, [one.person_id]).get(one.person_id)
    if purse is None or not purse.available:
        return
    move = Move(person(one.person_id, "available"), platform("writeoff"), purse.available)
    ledger.post(session, [Entry(f"erasure:{one.id}:given_up", "wallet.given_up", now, "erasure", one.id, "", (move,))],
                now)


def _erase(session: Session, one: ErasureView, memory: Memory, now: datetime) -> dict[str, int]:
    ids = tuple(session.scalars(text("select id from person where id = :id or merged_into = :id order by id"),
                                {"id": one.person_id}))
    nickname = session.execute(text("select nickname from person where id = :id"), {"id": one.person_id}).scalar_one()
    names = leaving.names(session, ids)
    taken = forfeit(session, one.person_id, one.id, now, asked=one.cause == "asked")
    counts = forget(session, Leaver(ids, tuple(names), nickname), now)
    counts |= {f"{name} forfeited": count for name, count in taken.items()}
    for each in ids:
        if vault.erase(session, each, SYSTEM, f"erasure:{one.id}", now):
            counts["vault_key"] = counts.get("vault_key", 0) + 1
    counts["identity"] = leaving.forget_names(session, memory, one.person_id, names, now)
    audit.record(session, SYSTEM, "people.erased", f"person:{one.person_id}", {"erasure": one.id}, now)
    return counts


def recall(session: Session, memory: Memory, ref: IdentityRef, now: datetime) -> int:
    """Whether the owner of an identity left before and is now who they were; returns that person, 0 if not."""
    row = session.execute(text("""
        select id, person_id, kind, scope, value, followed_at is not null from identity
         where kind = :kind and scope = :scope and value = :value
    """), {"kind": ref.kind, "scope": ref.scope, "value": ref.value}).first()
    back = leaving.recognised(session, memory, [leaving.Name(*row)]) if row else []
    return _join(session, back[0], now) if back else 0


def recall_newcomers(session: Session, memory: Memory, now: datetime, limit: int) -> int:
    """Compare the newest identities with those who left, whatever way they came; returns how many came back."""
    return sum(bool(_join(session, one, now))
               for one in leaving.recognised(session, memory, leaving.take_newcomers(session, limit)))


def _join(session: Session, one: leaving.Returned, now: datetime) -> int:
    leaving.came_back(session, one, now)
    merged = people.merge(session, one.newcomer_id, one.person_id, "returned", now, MOVERS)
    return 0 if merged.conflict else merged.kept_id
