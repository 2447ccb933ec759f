"""Cases: opened by rules, appealed by people, decided by two operators. Never commits.

A case puts commission on hold and loses nobody anything: the money follows by ``holding.settle``, at once for the
person concerned, and by a chore for whatever was too much for one transaction. Facts for subscribers, once each:
``risk.held:<case>`` {case, rule, amount_fen} and ``risk.decided:<case>`` {case, rule, outcome}, both about the person.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from domain.ledger import queries as ledger
from domain.ledger.models import AccountHold
from domain.people.models import Person
from domain.people.queries import survivors
from domain.risk.holding import settle
from domain.risk.models import RiskCase, RiskStep
from domain.risk.rules import FREEZE, Hit, Rules
from domain.shared.errors import Conflict, DomainError, NotFound
from domain.shared.outbox import Effect, put

Outcome = Literal["released", "confiscated"]

WAITING = ("open", "appealed")
SYSTEM = "huitou"
"""The actor of what happens by rule."""
MOST_EVIDENCE = 200
"""Ids of one kind that a case shows; the lines in question are all kept."""
MAX_APPEAL = 500
"""Characters of an appeal."""
FREEZE_SEVERITY = 100

_LINES = text("""
    insert into risk_line (case_id, line_id)
    select :case, c.id from commission_line c
     where c.beneficiary_id = :person and c.order_id = any (:orders) and c.confiscated_at is null
        on conflict do nothing
""")

_ALL_WAITING = text("""
    insert into risk_line (case_id, line_id)
    select :case, c.id from commission_line c
     where c.beneficiary_id = :person and c.released_at is null and c.confiscated_at is null
       and c.amount_fen > c.clawed_fen
        on conflict do nothing
""")

_HELD_FEN = text("""
    select coalesce(sum(c.amount_fen - c.clawed_fen), 0)::bigint from risk_line l
      join commission_line c on c.id = l.line_id where l.case_id = :case and c.held_at is not null
""")


def suspect(session: Session, hits: Sequence[Hit], rules: Rules, now: datetime) -> list[int]:
    """Open a case for each hit, or add to the one that is open; returns the cases that are new.

    What a reviewer released is not asked again within the time of trust; what was confiscated is not held twice.
    """
    hits = sorted((hit for hit in hits if hit.orders), key=lambda hit: (hit.person_id, hit.rule, hit.object))
    known = _known(session, hits)
    opened: list[int] = []
    touched: set[int] = set()
    for hit in hits:
        before = known.get((hit.person_id, hit.rule, hit.object), [])
        waiting = next((case for case in before if case.state in WAITING), None)
        if waiting is None:
            case = _open(session, hit, before, rules, now)
            opened += [case.id] if case else []
        else:
            case = waiting if _extend(session, waiting, hit, now) else None
        if case is not None and case.effect == "hold":
            touched.add(case.person_id)
    session.flush()
    for person_id in sorted(touched):
        settle(session, now, person_id)
    for case_id in opened:
        _held(session, case_id, now)
    return opened


def _known(session: Session, hits: Sequence[Hit]) -> dict[tuple[int, str, str], list[RiskCase]]:
    """The cases there were for these suspicions, newest first; open ones are locked."""
    keys = [(hit.person_id, hit.rule, hit.object) for hit in hits]
    found: dict[tuple[int, str, str], list[RiskCase]] = {}
    if keys:
        rows = select(RiskCase).where(tuple_(RiskCase.person_id, RiskCase.rule, RiskCase.object).in_(keys))
        for case in session.scalars(rows.order_by(RiskCase.id.desc()).with_for_update(),
                                    execution_options={"populate_existing": True}):
            found.setdefault((case.person_id, case.rule, case.object), []).append(case)
    return found


def _open(
    session: Session, hit: Hit, before: Sequence[RiskCase], rules: Rules, now: datetime
) -> RiskCase | None:
    """A new case about what was not judged before; None when there is nothing new, or somebody else just opened it."""
    if any(case.state == "released" and case.decided_at and now - case.decided_at < rules.trust for case in before):
        return None
    judged = {order for case in before if case.state == "confiscated" for order in case.evidence["orders"]}
    orders = [order for order in hit.orders if order not in judged]
    if not orders:
        return None
    rule = rules.rules[hit.rule]
    case_id = session.scalar(
        insert(RiskCase).values(
            person_id=hit.person_id, rule=hit.rule, object=hit.object, effect=rule.effect, severity=rule.severity,
            evidence=_evidence(orders, hit.people), opened_by=SYSTEM, opened_at=now,
        ).on_conflict_do_nothing().returning(RiskCase.id)
    )
    if case_id is None:
        return None
    _step(session, case_id, SYSTEM, "opened", now, facts={"orders": len(orders), "people": len(hit.people)})
    session.execute(_LINES, {"case": case_id, "person": hit.person_id, "orders": orders})
    return session.get_one(RiskCase, case_id)


def _evidence(orders: Sequence[int], people: Sequence[int]) -> dict[str, Any]:
    return {"orders": sorted(orders)[:MOST_EVIDENCE], "people": sorted(people)[:MOST_EVIDENCE]}


def _extend(session: Session, case: RiskCase, hit: Hit, now: datetime) -> bool:
    """Add what is new to an open case; whether anything was."""
    orders = set(hit.orders) - set(case.evidence["orders"])
    added = session.connection().execute(
        _LINES, {"case": case.id, "person": hit.person_id, "orders": sorted(orders)}).rowcount
    full = len(case.evidence["orders"]) >= MOST_EVIDENCE
    if not added and (not orders or full):
        return False
    case.evidence = _evidence([*case.evidence["orders"], *orders], sorted({*case.evidence["people"], *hit.people}))
    _step(session, case.id, SYSTEM, "evidence", now, facts={"orders": len(orders)})
    return True


def _step(
    session: Session, case_id: int, actor: str, what: str, now: datetime, words: str = "",
    facts: dict[str, Any] | None = None,
) -> None:
    session.add(RiskStep(case_id=case_id, at=now, actor=actor, what=what, words=words, facts=facts or {}))


def _held(session: Session, case_id: int, now: datetime) -> None:
    """A fact for the person, if anything of theirs waits now."""
    case = session.get_one(RiskCase, case_id)
    fen = session.execute(_HELD_FEN, {"case": case_id}).scalar_one()
    if case.effect == "hold" and (fen or case.rule == FREEZE):
        facts = {"case": case_id, "rule": case.rule, "amount_fen": fen}
        put(session, [Effect("fact", "risk.held", f"risk.held:{case_id}", case.person_id, facts)], now)


def freeze(session: Session, person_id: int, actor: str, reason: str, now: datetime) -> int:
    """Freeze somebody: what they earn waits, and nothing is withdrawn. Returns the case. ``reason`` stays inside. The
    fact ``person.frozen`` calls back what the provider could still pay them.

    Raises NotFound("person_unknown"), Conflict("already_frozen").
    """
    alive = survivors(session, [person_id]).get(person_id)
    if alive is None:
        raise NotFound("person_unknown", id=person_id)
    session.execute(select(Person.id).where(Person.id == alive).with_for_update(key_share=True))
    if ledger.frozen(session, alive):
        raise Conflict("already_frozen", person_id=alive)
    case = RiskCase(person_id=alive, rule=FREEZE, object="", effect="hold", severity=FREEZE_SEVERITY,
                    evidence=_evidence([], []), opened_by=actor, opened_at=now)
    session.add(case)
    session.flush()
    session.add(AccountHold(person_id=alive, cause=f"case:{case.id}", since=now))
    _step(session, case.id, actor, "opened", now, reason)
    session.flush()
    session.execute(_ALL_WAITING, {"case": case.id, "person": alive})
    settle(session, now, alive)
    _held(session, case.id, now)
    put(session, [Effect("fact", "person.frozen", f"person.frozen:{case.id}", alive)], now)
    return case.id


def appeal(session: Session, person_id: int, words: str, rules: Rules, now: datetime) -> datetime | None:
    """The person objects to everything that is held; returns until when they are promised an answer, None when
    nothing is held. Saying more later is kept, and the promise stays. Raises DomainError("appeal_empty")."""
    said = words.strip()[:MAX_APPEAL]
    if not said:
        raise DomainError("appeal_empty")
    cases = session.scalars(
        select(RiskCase).where(RiskCase.person_id == person_id, RiskCase.effect == "hold", RiskCase.state.in_(WAITING))
        .order_by(RiskCase.id).with_for_update(), execution_options={"populate_existing": True},
    ).all()
    for case in cases:
        if case.state == "open":
            case.state, case.appealed_at, case.answer_due_at = "appealed", now, now + rules.answer_time
        _step(session, case.id, f"person:{person_id}", "appealed", now, said)
    session.flush()
    return max((case.answer_due_at for case in cases if case.answer_due_at), default=None)


def check_open(session: Session, case_id: int) -> RiskCase:
    """The case, if it can still be decided. Raises NotFound("case_unknown"), Conflict("case_decided")."""
    case = session.get(RiskCase, case_id, populate_existing=True) if 0 < case_id < 2**63 else None
    if case is None:
        raise NotFound("case_unknown", id=case_id)
    if case.state not in WAITING:
        raise Conflict("case_decided", id=case_id, state=case.state)
    return case


def decide(session: Session, case_id: int, outcome: Outcome, actor: str, note: str, now: datetime) -> None:
    """End a case. Released: what it held goes on with its own dates. Confiscated: the lines in question go back to
    expense, from what was let go already as well; what is not there any more becomes a debt. A freeze ends either way.

    Raises NotFound("case_unknown"), Conflict("case_decided").
    """
    case = check_open(session, case_id)
    # Only one of two deciders gets past this row; the other finds the case decided.
    session.refresh(case, with_for_update=True)
    check_open(session, case_id)
    if case.rule == FREEZE and outcome == "confiscated":
        session.execute(_ALL_WAITING, {"case": case_id, "person": case.person_id})
    case.state, case.decided_by, case.decided_at = outcome, actor, now
    if case.rule == FREEZE:
        session.execute(
            update(AccountHold).where(AccountHold.person_id == case.person_id, AccountHold.lifted_at.is_(None))
            .values(lifted_at=now)
        )
    _step(session, case_id, actor, outcome, now, note)
    session.flush()
    settle(session, now, case.person_id)
    if case.effect == "hold" or outcome == "confiscated":
        facts = {"case": case_id, "rule": case.rule, "outcome": outcome}
        put(session, [Effect("fact", "risk.decided", f"risk.decided:{case_id}", case.person_id, facts)], now)


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """A merge's part: cases and freezes of ``gone`` are ``kept``'s. Of two open cases about the same thing the older
    goes on with the lines of both; whoever of the two was frozen, the one who is left is."""
    doubles = session.execute(text("""
        select g.id as gone, k.id as kept from risk_case g
          join risk_case k on k.person_id = :kept and k.rule = g.rule and k.object = g.object
         where g.person_id = :gone and g.state in ('open', 'appealed') and k.state in ('open', 'appealed')
         order by g.id for update
    """), {"kept": kept_id, "gone": gone_id}).all()
    for double in doubles:
        session.execute(text("""
            insert into risk_line (case_id, line_id) select :kept, line_id from risk_line where case_id = :gone
                on conflict do nothing"""), {"kept": double.kept, "gone": double.gone})
        session.execute(
            update(RiskCase).where(RiskCase.id == double.gone)
            .values(state="released", decided_by=SYSTEM, decided_at=now),
            execution_options={"synchronize_session": False})
        for case_id, other in ((double.gone, double.kept), (double.kept, double.gone)):
            _step(session, case_id, SYSTEM, "merged", now, facts={"case": other})
    ends = {"kept": kept_id, "gone": gone_id, "now": now}
    moved = session.connection().execute(text(
        "update risk_case set person_id = :kept where person_id = :gone"), ends).rowcount
    session.execute(text("""
        update account_hold set lifted_at = greatest(:now, since)
         where person_id = :gone and lifted_at is null
           and exists (select from account_hold k where k.person_id = :kept and k.lifted_at is null)"""), ends)
    session.execute(text("update account_hold set person_id = :kept where person_id = :gone"), ends)
    session.execute(text("insert into risk_watch (person_id) values (:kept)"), ends)
    session.flush()
    return {"risk_case": moved} if moved else {}
