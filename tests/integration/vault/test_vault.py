"""The vault on a real database: nothing readable is stored, every look is written down, erased is erased."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from domain.audit.rules import SYSTEM, Actor
from domain.people import service as people
from domain.people.rules import IdentityRef
from domain.shared.clock import FixedClock
from domain.shared.errors import DomainError
from domain.vault import queries, service
from domain.vault.seal import Vault
from domain.workflows.merging import MOVERS

NAME, NUMBER, PHONE = "张三丰", "11010519491231002X", "13800138000"
FINANCE = Actor("小钱", "finance")
PEPPER = b"a pepper of at least sixteen bytes"


@pytest.fixture
def vault() -> Vault:
    return Vault(b"k" * 32)


@pytest.fixture
def person(session: Session, clock: FixedClock) -> int:
    return someone(session, clock, "one")


def someone(session: Session, clock: FixedClock, name: str) -> int:
    return people.resolve(session, [IdentityRef("mall_user_id", name)], clock.now(), pepper=PEPPER)


def every_text(engine: Engine) -> Iterator[tuple[str, str]]:
    """(table, row as text) of the whole database."""
    with engine.connect() as db:
        names = db.execute(text("select format('%I.%I', schemaname, tablename) from pg_tables"
                                " where schemaname not in ('pg_catalog', 'information_schema')")).scalars().all()
        for name in names:
            for row in db.execute(text(f"select t::text from {name} t")).scalars():
                yield name, row


def test_nothing_readable_is_stored(engine: Engine, session: Session, clock: FixedClock, vault: Vault,
                                    person: int) -> None:
    assert service.keep(session, vault, person, "real_name", NAME, clock.now()) == "张**"
    service.keep(session, vault, person, "id_number", NUMBER, clock.now())
    service.keep(session, vault, person, "phone", PHONE, clock.now())
    session.commit()
    assert queries.held(session, person) == {
        "real_name": "张**", "id_number": "1101**********002X", "phone": "138****8000"}
    spelled = [NAME, NUMBER, PHONE, *(one.encode().hex() for one in (NAME, NUMBER, PHONE))]
    assert [(table, value) for table, row in every_text(engine) for value in spelled if value in row] == []


def test_every_look_is_written_down_with_its_reason(session: Session, clock: FixedClock, vault: Vault,
                                                    person: int) -> None:
    service.keep(session, vault, person, "real_name", NAME, clock.now())
    seen = service.reveal(session, vault, person, ["real_name", "phone"], FINANCE, "monthly declaration", clock.now())
    assert (seen.real_name, seen.phone, seen.id_number) == (NAME, "", "")
    row = session.execute(text("select operator, act, subject, detail from audit_event")).one()
    assert tuple(row) == ("小钱", "vault.reveal", f"person:{person}",
                          {"fields": ["phone", "real_name"], "reason": "monthly declaration"})
    with pytest.raises(DomainError, match="reason_missing"):
        service.reveal(session, vault, person, ["real_name"], FINANCE, "  ", clock.now())


def test_erased_is_erased(engine: Engine, session: Session, clock: FixedClock, vault: Vault, person: int) -> None:
    service.keep(session, vault, person, "real_name", NAME, clock.now())
    session.commit()
    wrapped = session.scalar(text("select wrapped from vault_key"))
    left = service.erase(session, person, SYSTEM, "left the shop", clock.now())
    session.commit()
    assert left
    assert queries.pseudonym(session, person) == left
    assert queries.held(session, person) == {}
    assert service.reveal(session, vault, person, ["real_name"], SYSTEM, "test", clock.now()).real_name == ""
    assert session.scalar(text("select count(*) from vault_item")) == 0
    with pytest.raises(DBAPIError):
        session.execute(text("update vault_key set wrapped = :w, destroyed_at = null"), {"w": wrapped})
    session.rollback()
    # Who comes back begins anew.
    assert service.keep(session, vault, person, "real_name", "李四", clock.now()) == "李*"
    assert service.erase(session, someone(session, clock, "nobody"), SYSTEM, "x", clock.now()) == ""


def test_a_row_moved_to_somebody_else_does_not_open(session: Session, clock: FixedClock, vault: Vault,
                                                    person: int) -> None:
    other = someone(session, clock, "other")
    service.keep(session, vault, person, "real_name", NAME, clock.now())
    session.execute(text("update vault_key set person_id = :other"), {"other": other})
    with pytest.raises(DomainError, match=r"vault\.damaged"):
        service.reveal(session, vault, other, ["real_name"], SYSTEM, "test", clock.now())
    session.execute(text("update vault_key set sealed_for = :other"), {"other": other})
    with pytest.raises(DomainError, match=r"vault\.damaged"):
        service.reveal(session, vault, other, ["real_name"], SYSTEM, "test", clock.now())


def test_a_new_master_takes_over_and_the_old_may_go(session: Session, clock: FixedClock, vault: Vault,
                                                    person: int) -> None:
    service.keep(session, vault, person, "real_name", NAME, clock.now())
    both, new = Vault(b"n" * 32, b"k" * 32), Vault(b"n" * 32)
    with pytest.raises(DomainError, match="master_unknown"):
        service.reveal(session, new, person, ["real_name"], SYSTEM, "test", clock.now())
    assert (service.rewrap(session, both, 10), service.rewrap(session, both, 10)) == (1, 0)
    assert service.reveal(session, new, person, ["real_name"], SYSTEM, "test", clock.now()).real_name == NAME
    digest = session.scalar(text("select digest from vault_item"))
    assert digest == new.digest("real_name", NAME)


@pytest.mark.parametrize(("kept", "gone", "conflict", "left"), [
    ({}, {"real_name": NAME}, "", {"real_name": "张**"}),
    ({"real_name": NAME}, {"real_name": NAME, "id_number": NUMBER}, "", {"real_name": "张**", "id_number":
                                                                          "1101**********002X"}),
    ({"real_name": NAME, "id_number": NUMBER}, {"real_name": NAME}, "", {"real_name": "张**", "id_number":
                                                                          "1101**********002X"}),
    ({"real_name": NAME}, {"real_name": "李四"}, "two_real_names", {"real_name": "张**"}),
])
def test_merges_carry_the_key_or_refuse(
    session: Session, clock: FixedClock, vault: Vault, kept: dict[str, str], gone: dict[str, str], conflict: str,
    left: dict[str, str],
) -> None:
    one = someone(session, clock, "one")
    clock.advance(60)
    other = someone(session, clock, "other")
    for owner, values in ((one, kept), (other, gone)):
        for kind, value in values.items():
            service.keep(session, vault, owner, kind, value, clock.now())  # type: ignore[arg-type]
    done = people.merge(session, one, other, "test", clock.now(), MOVERS)
    session.flush()
    assert (done.conflict, queries.held(session, one)) == (conflict, left)
    seen = service.reveal(session, vault, one, ["real_name"], SYSTEM, "test", clock.now())
    assert seen.real_name == NAME
    service.keep(session, vault, one, "phone", PHONE, clock.now())
    assert service.reveal(session, vault, one, ["phone"], SYSTEM, "test", clock.now()).phone == PHONE
